/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/spare.h"

#include <fcntl.h>
#include <unistd.h>

bool
spare_fill(struct spare *spare)
{
	while (spare->count < SPARE_MAX) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return false;
		spare->fds[spare->count++] = fd;
	}
	return true;
}

bool
spare_give(struct spare *spare)
{
	if (spare->count == 0)
		return false;
	close(spare->fds[--spare->count]);
	return true;
}

void
spare_done(struct spare *spare)
{
	while (spare_give(spare))
		continue;
}
