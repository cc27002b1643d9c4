#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Functional tests leave to the harness what it does better: to let time pass, to look for tools."""

import re

from common import Lint, read, tree_files

PLACE = "tests/functional/"
# (what must not be there, the one file that may have it, what to do instead)
RULES = [
    (
        # the plain form, and those that look like a wait for something
        r"\bsleep\(|\bEvent\(\)\.wait\(|\bhold\(\s*lambda: True\b|\bselect\(\[\], \[\], \[\]",
        "harness/pace.py",
        "wait_until() something, or pause() and say why",
    ),
    (
        r"\bwhich\(|[\"']CI[\"']",
        "harness/needs.py",
        "need() the tool, or say what is lacking(): that fails where CI is set",
    ),
]


def main():
    lint = Lint()
    names = [name for name in tree_files() if re.fullmatch(PLACE + r".*\.py", name)]
    for name in names:
        text = read(name)
        for pattern, home, advice in RULES:
            for match in re.finditer(pattern, text) if name != PLACE + home else ():
                line = text.count("\n", 0, match.start()) + 1
                lint.complain(f"{name}:{line}", advice)
    lint.done(len(names), "files")


main()
