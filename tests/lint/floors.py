#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Includes go downwards, in the order of the house, and in no circle; libraries stay in their rooms."""

import collections
import os
import re

from common import Lint, ROOT, read, tree_files

FLOORS = ["base", "config", "engine", "control", "daemon"]
# The programs beside the daemon, and what they share.
CLIENTS = ["client", "echoctl", "echoping"]
# A library's header, and the files that may include it.
LIBRARIES = [
    (r"libconfig\.h", r"src/config/config_file\.c",
     "only src/config/config_file.c knows libconfig"),
    (r"systemd/.*", r"src/daemon/service_manager\.c", "only src/daemon/service_manager.c knows systemd"),
    (r"event2/http\w*\.h", r"src/control/.*", "evhttp stays in src/control"),
    (r"event2/.*|event\.h|evhttp\.h", r"src/(engine|control|daemon)/.*",
     "libevent begins at src/engine"),
    (r"jansson\.h", r"src/(control|daemon|echoctl|echoping)/.*", "jansson begins at src/control"),
    (r"zlib\.h", r"src/control/gzip\.c", "only src/control/gzip.c knows zlib"),
    (r"curl/.*", r"src/echoctl/session\.c", "only src/echoctl/session.c knows libcurl"),
    (r"libsmartcols\.h", r"src/echoctl/table\.c", "only src/echoctl/table.c knows libsmartcols"),
]

# A folder of a floor, and its headers that the rest of the tree may include.
FOLDERS = {"src/engine/datagram/": {"endpoint.h"}}

# Two halves of one thing may include each other.
PAIRS = [{"engine/connection", "engine/echo"}]


def allowed_rooms(floor):
    if floor in CLIENTS:
        return {floor, "client", "base"}
    return set(FLOORS[:FLOORS.index(floor) + 1])


def check_order(lint, name, includes):
    """<config.h> opens each .c and nothing else; a .c then includes its own header."""
    if name.endswith(".h"):
        for line, header in includes:
            if header == "<config.h>":
                lint.complain(f"{name}:{line}", "a header leaves <config.h> to its users")
        return
    if not includes or includes[0][1] != "<config.h>":
        lint.complain(f"{name}:1", "the first include of a .c is <config.h>")
        return
    own = name[len("src/"):-len("c")] + "h"
    if os.path.isfile(os.path.join(ROOT, "src", own)):
        if len(includes) < 2 or includes[1][1] != f'"{own}"':
            lint.complain(f"{name}:{includes[0][0]}", f'the second include is "{own}"')


def check_folder(lint, name, place, path):
    for folder, headers in FOLDERS.items():
        inside = f"src/{path}".startswith(folder)
        if inside and not name.startswith(folder) and os.path.basename(path) not in headers:
            lint.complain(place, f"{path} is for {folder} alone")


def find_circles(rooms):
    """The sets of rooms that include each other, directly or by way of others (Tarjan's algorithm).

    A room is x.c and x.h together; ROOMS maps each to those that either of the two includes.
    """
    index, low, stack, circles = {}, {}, [], []

    def visit(room):
        index[room] = low[room] = len(index)
        stack.append(room)
        for other in sorted(rooms[room] & rooms.keys()):
            if other not in index:
                visit(other)
            if other in stack:
                low[room] = min(low[room], low[other])
        if low[room] == index[room]:
            at = stack.index(room)
            circles.append(set(stack[at:]))
            del stack[at:]

    for room in sorted(rooms):
        if room not in index:
            visit(room)
    return [circle for circle in circles if len(circle) > 1]


def main():
    lint = Lint()
    rooms = collections.defaultdict(set)
    names = [name for name in tree_files() if re.fullmatch(r"src/.*\.[ch]", name)]
    for name in names:
        floor = name.split("/")[1]
        if floor not in FLOORS + CLIENTS:
            lint.complain(name, f"src/{floor} is no floor: {', '.join(FLOORS + CLIENTS)} are")
            continue
        includes = []
        for number, line in enumerate(read(name).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+([<"][^>"]+[>"])', line)
            if match:
                includes.append((number, match.group(1)))
        check_order(lint, name, includes)
        room = name[len("src/"):-len(".c")]
        rooms[room] |= {header[1:-len('.h"')] for _, header in includes if header[0] == '"'} - {room}
        for number, header in includes:
            place = f"{name}:{number}"
            path = header[1:-1]
            if header.startswith('"'):
                below = path.split("/")[0]
                check_folder(lint, name, place, path)
                if "/" not in path or not os.path.isfile(os.path.join(ROOT, "src", path)):
                    lint.complain(place, f'{header} is not "floor/room.h" of a file in src')
                elif below not in allowed_rooms(floor):
                    lint.complain(place, f"src/{floor} may not include src/{below}: {header}")
                continue
            for pattern, users, rule in LIBRARIES:
                if re.fullmatch(pattern, path):
                    if not re.fullmatch(users, name):
                        lint.complain(place, f"{rule}: {header}")
                    break
    for circle in find_circles(rooms):
        if circle not in PAIRS:
            lint.complain("src", f"a circle of includes: {', '.join(sorted(circle))}")
    lint.done(len(names), "sources")


main()
