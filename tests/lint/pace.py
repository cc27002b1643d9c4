#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Functional tests wait for a condition, or say why they let time pass: by harness/pace.py alone."""

import re

from common import Lint, read, tree_files

PLACES = re.compile(r"tests/functional/.*\.py")
PACE = "tests/functional/harness/pace.py"
# What lets time pass: the plain form, and those that look like a wait for something.
SLEEPS = (
    r"\bsleep\(",
    r"\bEvent\(\)\.wait\(",
    r"\bhold\(\s*lambda: True\b",
    r"\bselect\(\[\], \[\], \[\]",
)


def main():
    lint = Lint()
    names = [name for name in tree_files() if PLACES.fullmatch(name) and name != PACE]
    for name in names:
        text = read(name)
        for match in re.finditer("|".join(SLEEPS), text):
            line = text.count("\n", 0, match.start()) + 1
            lint.complain(f"{name}:{line}", "wait_until() something, or pause() and say why")
    lint.done(len(names), "files")


main()
