#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makefile.am's lists are sorted, and name each file of the tree: what is not in one is not shipped."""

import os
import re

from common import Lint, ROOT, read, tree_files

# What automake puts in the tarball by itself.
UNLISTED = re.compile(r"Makefile\.am|configure\.ac|m4/\w+\.m4")


def folders(text):
    """The folders that go into the tarball whole."""
    words = re.search(r"^EXTRA_DIST = \\\n((?:\t.*\n)+)", text, re.M).group(1).split()
    return tuple(word + "/" for word in words if os.path.isdir(os.path.join(ROOT, word)))


def lists(text):
    """Yield (variable, line, words) for each list with one word a line."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        match = re.match(r"(\w+) (?:\+=|=)\s*\\$", line)
        if not match:
            continue
        words, follow = [], number
        while follow < len(lines) and lines[follow - 1].endswith("\\"):
            words.append(lines[follow].rstrip("\\").strip())
            follow += 1
        yield match.group(1), number, words


def main():
    lint = Lint()
    text = read("Makefile.am")
    listed = set(re.findall(r"(?<=[\s=])[\w.+/-]+(?=\s|$)", text))
    for variable, number, words in lists(text):
        if any(not re.fullmatch(r"[\w.+/-]+", word) or word.startswith("-") for word in words):
            continue    # flags, shell words
        place = f"Makefile.am:{number}"
        if words != sorted(words):
            lint.complain(place, f"{variable} is not sorted")
        for word in words:
            if variable == "unit_tests" or variable == "fuzz_targets":
                word += ".c"
            if "." in word and not os.path.exists(os.path.join(ROOT, word)) \
                    and not os.path.isfile(os.path.join(ROOT, word + ".in")):
                lint.complain(place, f"{variable} names {word}, which is not there")
    names = tree_files()
    whole = folders(text)
    for name in names:
        if name.startswith(whole):
            continue
        program = re.fullmatch(r"(tests/(?:unit/check|fuzz/fuzz)_\w+)\.c", name)
        if name not in listed and not UNLISTED.fullmatch(name) \
                and not (program and program.group(1) in listed):
            lint.complain(name, "is in no list of Makefile.am")
    lint.done(len(names), "files")


main()
