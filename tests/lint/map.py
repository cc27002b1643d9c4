#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The map in doc/architecture.md has every file of src/ once, each in its folder, and no other."""

import os
import re

from common import Lint, read, tree_files

DOCUMENT = "doc/architecture.md"


def room(name):
    """A .c and its .h, or a page and its header, are one; of other files the map gives the name."""
    stem, extension = os.path.splitext(name)
    return stem if extension in (".c", ".h", ".html") else name


def main():
    lint = Lint()
    rooms = {room(name) for name in tree_files() if name.startswith("src/")}
    listed = set()
    folder = ""
    text = re.search(r"^## Map$.*?^```$(.*?)^```$", read(DOCUMENT), re.M | re.S)
    for line in text[1].splitlines() if text else []:
        match = re.match(r"( *)([^ ,]+(?:, [^ ]+)*)  +\S", line)
        if not match:
            if line:
                lint.complain(DOCUMENT, f"no name and sentence: {line}")
        elif not match[1]:
            folder = match[2]
        else:
            names = {folder + name for name in match[2].split(", ")}
            for name in sorted(names & listed):
                lint.complain(DOCUMENT, f"the map has {name} twice")
            listed |= names
    for name in sorted(rooms - listed):
        lint.complain(DOCUMENT, f"the map lacks {name}")
    for name in sorted(listed - rooms):
        lint.complain(DOCUMENT, f"the map has {name}, which is not there")
    lint.done(len(rooms), "rooms")


main()
