#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sizes of sources, licence lines, notes to oneself, and paths of the machine it was written on."""

import os
import re

from common import Lint, ROOT, read, tree_files

SOURCE_LINES = 900
MAIN_LINES = 100
NOTE = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
ORDINARY = {"/", "/home", "/root", "/srv", "/tmp", "/usr/src", "/var/tmp"}


def machine_paths():
    """A pattern for home folders and for the place of this very tree."""
    places = [re.escape("/" + "home") + r"/\w"]
    parent = os.path.dirname(ROOT)
    places += [re.escape(place) + "/" for place in {ROOT, parent} - ORDINARY]
    return re.compile(r"(?<![\w.)}\]*])(" + "|".join(places) + ")")


def main():
    lint = Lint()
    paths = machine_paths()
    names = tree_files()
    for name in names:
        try:
            lines = read(name).splitlines()
        except UnicodeDecodeError:
            continue
        source = re.fullmatch(r".*\.([ch]|py|sh)", name) or name in ("quickstart.sh", "tests/run")
        if source and not any("SPDX-License-Identifier: BSD-2-Clause" in line for line in lines[:3]):
            lint.complain(f"{name}:1", "no SPDX line")
        limit = MAIN_LINES if name == "src/daemon/main.c" else SOURCE_LINES
        if re.fullmatch(r"src/.*\.[ch]", name) and len(lines) > limit:
            lint.complain(name, f"{len(lines)} lines: two reasons? Where there are, split it by them")
        for number, line in enumerate(lines, 1):
            if NOTE.search(line):
                lint.complain(f"{name}:{number}", "a note to oneself: do it, or open an issue")
            if paths.search(line):
                lint.complain(f"{name}:{number}", "a path of the machine it was written on")
    lint.done(len(names), "files")


main()
