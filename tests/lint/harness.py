#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests in Python leave to the harness what it does better: to let time pass, to look for tools."""

import re

from common import Lint, read, tree_files

PLACES = r"tests/(functional|browser)/.*\.py"
HOME = "tests/functional/harness/"
# (what must not be there, the one file of the harness that may have it, what to do instead)
RULES = [
    (
        # the plain form, and those that look like a wait for something
        r"\bsleep\(|\bEvent\(\)\.wait\(|\bhold\(\s*lambda: True\b|\bselect\(\[\], \[\], \[\]"
        r"|\bwait\w*\(\s*lambda: time\.\w+\(\) [<>]",
        "pace.py",
        "wait_until() something, or pause() and say why",
    ),
    (
        r"\bwhich\(|\bimportorskip\(|[\"']CI[\"']",
        "needs.py",
        "need() the tool, or say what is lacking(): that fails where CI is set",
    ),
]


def main():
    lint = Lint()
    names = [name for name in tree_files() if re.fullmatch(PLACES, name)]
    for name in names:
        text = read(name)
        for pattern, home, advice in RULES:
            for match in re.finditer(pattern, text) if name != HOME + home else ():
                line = text.count("\n", 0, match.start()) + 1
                lint.complain(f"{name}:{line}", advice)
    lint.done(len(names), "files")


main()
