#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The route table in src/control/routes.c, doc/control.md and echoctl(1) name the same things.

In the document each route has one row of the table and one section "## METHOD PATH" with an example
of its answer; what stands there as JSON is JSON. In the table of the source, what is posted changes
something, and nothing else does; the socket alone serves it. In the manual each verb is an
".It Cm VERB": one for each route that changes something, and for each that is worth one to a person.
"""

import json
import os
import re

from common import Lint, ROOT, read

TABLE = "src/control/routes.c"
DOCUMENT = "doc/control.md"
MANUAL = "man/echoctl.1"
ROW = re.compile(
    r'\{\s*(GET|POST),\s*"([^"]+)",\s*(?:(route_\w+),\s*NULL|NULL,\s*(route_\w+)),\s*(?:"[^"]*"\s*)+\}')
# What echoctl calls a route that is read; None: it has no verb of its own.
READ_VERBS = {"/": None, "/livez": None, "/version": None, "/readyz": "health", "/stats": "stats",
              "/connections": "connections", "/connections/ID": "connection", "/config": "config",
              "/events": "events", "/sources": "sources", "/history": None,
              "/metrics": "metrics"}

# Verbs for a part of what a route tells.
MORE_VERBS = {"peers": "/connections"}


def verb_of(method, path):
    """/log/level is log-level; /connections/ID/close is close."""
    if method == "GET":
        return READ_VERBS.get(path)
    return path.rsplit("ID/", 1)[-1].strip("/").replace("/", "-")


def read_table(lint):
    text = read(TABLE)
    table = text[text.index("route_table[] = {"):]
    table = table[:table.index("\n};")]
    rows = {}
    for method, path, *handlers in ROW.findall(table):
        if (method, path) in rows:
            lint.complain(TABLE, f"{method} {path} is there twice")
        handler = "".join(handlers)
        if not handler.startswith("route_act_" if method == "POST" else "route_read_"):
            lint.complain(TABLE, f"{method} {path} is handled by {handler}")
        if method == "GET" and path not in READ_VERBS:
            lint.complain("tests/lint/routes.py", f"READ_VERBS does not know {path}")
        rows[(method, path)] = "socket" if method == "POST" else "both"
    if len(rows) != len(re.findall(r"^\t\{", table, re.MULTILINE)):
        lint.complain(TABLE, "not every row of the table could be read")
    return rows


def check_document(lint, routes):
    text = read(DOCUMENT)
    rows = re.findall(r"^\| (GET|POST) \| `([^`]+)` \| (\w+) \|", text, re.MULTILINE)
    listed = {(method, path): place for method, path, place in rows}
    parts = re.split(r"^## (?=GET|POST)(.*)$", text, flags=re.MULTILINE)[1:]
    sections = dict(zip(parts[::2], parts[1::2]))
    if len(rows) > len(listed) or len(parts) > 2 * len(sections):
        lint.complain(DOCUMENT, "a route has two rows or two sections")
    for example in re.findall(r"^```json$(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        try:
            json.loads(example)
        except ValueError as error:
            lint.complain(DOCUMENT, f"an example is no JSON: {error}: {example.strip()[:60]}")
    for route, place in routes.items():
        name = " ".join(route)
        if listed.get(route) != place:
            lint.complain(DOCUMENT, f"{name}: the table says {listed.get(route)}, it is {place}")
        if "\n```" not in sections.get(name, ""):
            lint.complain(DOCUMENT, f"{name}: no section with an example")
    known = {" ".join(route) for route in routes}
    for name in sorted({" ".join(route) for route in listed} - known | sections.keys() - known):
        lint.complain(DOCUMENT, f"{name} is no route")


def check_manual(lint, routes):
    if not os.path.exists(os.path.join(ROOT, MANUAL)):
        return
    verbs = set(re.findall(r"^\.It (?:Cm|Ic) ([a-z-]+)", read(MANUAL), re.MULTILINE))
    for method, path in routes:
        verb = verb_of(method, path)
        if verb and verb not in verbs:
            lint.complain(MANUAL, f"{method} {path}: no verb {verb}")
    for verb, path in MORE_VERBS.items():
        if verb not in verbs:
            lint.complain(MANUAL, f"GET {path}: no verb {verb}")


def main():
    lint = Lint()
    routes = read_table(lint)
    check_document(lint, routes)
    check_manual(lint, routes)
    lint.done(len(routes), "routes")


main()
