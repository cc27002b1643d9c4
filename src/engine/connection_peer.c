/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/connection_peer.h"

#include <stdio.h>

#include "base/address.h"

char *
connection_peer_format(const union connection_peer *peer, char *buffer, size_t size)
{
	if (peer->family == AF_INET || peer->family == AF_INET6)
		return address_format_sockaddr((const struct sockaddr *)&peer->in6,
		    peer->family == AF_INET ? sizeof(peer->in) : sizeof(peer->in6), buffer, size);
	(void)snprintf(
	    buffer, size, "unix:pid=%d,uid=%u", (int)peer->un.pid, (unsigned)peer->un.uid);
	return buffer;
}
