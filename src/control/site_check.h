/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guards a door against web pages that a browser on this machine happens to show: a page of
 * another site must not read the port by a name that points here (DNS rebinding), nor make a
 * browser use it (cross-site requests).
 */
#ifndef ECHOD_CONTROL_SITE_CHECK_H
#define ECHOD_CONTROL_SITE_CHECK_H

#include <stdbool.h>

#include "base/address.h"
#include "config/configuration.h"

struct evhttp_request;

struct site_check {
	char own[ADDRESS_TEXT_MAX];      /* where the door is, as in a Host header, without port */
	const struct config_list *hosts; /* borrowed; what it may be called too */
	bool any_host;                   /* no name leads here: Host is not looked at */
};

/* Prepare a check for a door at ADDRESS; a UNIX socket takes any Host. */
void site_check_init(struct site_check *check, const struct address *address);

/*
 * Look at Host, Origin and Sec-Fetch-Site of REQ. Returns 0 when they are ours; else the HTTP
 * status (400 or 403), and *ret_error is a static text that says what would be right.
 */
int site_check_request(
    const struct site_check *check, struct evhttp_request *req, const char **ret_error);

#endif
