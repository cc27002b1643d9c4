#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each prototype of a header has a comment above it, each struct, union and enum above or inside.

Declarations that follow each other without an empty line are a group: a comment above the first
counts for all of it. A forward declaration ("struct connection;") needs none.
"""

import re

from common import Lint, read, tree_files


def strip_preprocessor(text):
    """Blank out directives with their continuation lines, which may hold anything."""
    lines, inside = [], False
    for line in text.splitlines():
        directive = inside or re.match(r"\s*#", line)
        inside = bool(directive) and line.endswith("\\")
        lines.append("#" if directive else line)
    return "\n".join(lines)


def parts(text):
    """Split a header in (line, kind, text) with kind comment, blank, directive or declaration."""
    position, line = 0, 1
    while position < len(text):
        if text[position] == "\n":
            end, kind = position + 1, "newline"
        elif text[position].isspace():
            end, kind = position + 1, "space"
        elif text.startswith("/*", position):
            end, kind = text.index("*/", position) + 2, "comment"
        elif text[position] == "#":
            end, kind = position + 1, "directive"
        else:
            end, kind = declaration_end(text, position), "declaration"
        yield line, kind, text[position:end]
        line += text.count("\n", position, end)
        position = end


def declaration_end(text, position):
    """A declaration ends with ; outside of braces, or with the closing brace of a function."""
    depth = 0
    function = False
    while position < len(text):
        if text.startswith("/*", position):
            position = text.index("*/", position) + 2
            continue
        char = text[position]
        if char == "{":
            if depth == 0:
                function = text[:position].rstrip().endswith(")")
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0 and function:
                return position + 1
        elif char == ";" and depth == 0:
            return position + 1
        position += 1
    return position


def summary(declaration):
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", declaration, flags=re.DOTALL)).split("{")[0][:60]


def main():
    lint = Lint()
    headers = [name for name in tree_files() if re.fullmatch(r"src/.*\.h", name)]
    for name in headers:
        covered = False     # by a comment above, with no empty line between
        newlines = 0
        first = True        # the comments at the top are the file's own
        for line, kind, text in parts(strip_preprocessor(read(name))):
            if kind == "newline":
                newlines += 1
                if newlines > 1:
                    covered = False
                continue
            if kind == "space":
                continue
            if kind == "comment":
                # One behind a declaration, on its line, says something about that one only.
                if newlines > 0 or first:
                    covered = True
            elif kind == "directive":
                first = False
            else:
                plain = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
                forward = re.fullmatch(r"(struct|union|enum)\s+\w+\s*;", plain)
                compound = re.match(r"(typedef\s+)?(struct|union|enum)\b[^;(]*\{", plain)
                inside = compound and "/*" in text
                macro = re.match(r"[A-Z_0-9]+\(", plain)   # TAILQ_HEAD(...) and the like
                if not (forward or macro or covered or inside):
                    lint.complain(f"{name}:{line}", f"no comment above: {summary(text)}")
            newlines = 0
    lint.done(len(headers), "headers")


main()
