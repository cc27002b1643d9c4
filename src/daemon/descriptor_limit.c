/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/descriptor_limit.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/engine.h"

int
descriptor_limit_meet(const struct config *cfg, struct error_list *errors)
{
	rlim_t needed = (rlim_t)engine_descriptors(cfg);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		error_list_add(
		    errors, "cannot read the limit on open descriptors: %s", strerror(errno));
		return -EMFILE;
	}
	if (limit.rlim_cur >= needed)
		return 0;
	if (limit.rlim_max < needed) {
		error_list_add(errors,
		    "limits.connections = %lld needs %llu open descriptors, but the hard limit is "
		    "%llu "
		    "(raise LimitNOFILE= or ulimit -Hn, or lower limits.connections)",
		    (long long)cfg->limits.connections, (unsigned long long)needed,
		    (unsigned long long)limit.rlim_max);
		return -EMFILE;
	}
	limit.rlim_cur = needed;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
		error_list_add(errors, "cannot raise the limit on open descriptors to %llu: %s",
		    (unsigned long long)needed, strerror(errno));
		return -EMFILE;
	}
	return 0;
}
