#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""No two files of the tree have the same bytes: a copy is forgotten when its original changes."""

import hashlib
import os

from common import Lint, ROOT, tree_files

# What a tool wants to find beside each of its folders.
EACH_ITS_OWN = {"pytest.ini"}


def main():
    lint = Lint()
    names = tree_files()
    first = {}
    for name in names:
        with open(os.path.join(ROOT, name), "rb") as file:
            data = file.read()
        if data and os.path.basename(name) not in EACH_ITS_OWN:
            original = first.setdefault(hashlib.sha256(data).digest(), name)
            if original != name:
                lint.complain(name, f"the same bytes as {original}")
    lint.done(len(names), "files")


main()
