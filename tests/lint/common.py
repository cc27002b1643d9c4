# SPDX-License-Identifier: BSD-2-Clause
"""What the lints share: the tree's files and the way to complain."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# For a tree without git: folders that hold no source, and what autoreconf makes.
FOREIGN = {".git", "autom4te.cache", "build", "build-aux", "__pycache__", ".pytest_cache"}
MADE = {"Makefile.in", "aclocal.m4", "config.h.in", "config.h.in~", "configure", "configure~"}


def tree_files():
    """Return the tree's own files, sorted, relative to ROOT: what git tracks or would add."""
    try:
        output = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"], check=True, capture_output=True, text=True).stdout
        names = {name for name in output.split("\0") if name}
    except (OSError, subprocess.CalledProcessError):
        names = set()
        for folder, subfolders, files in os.walk(ROOT):
            subfolders[:] = [name for name in subfolders if name not in FOREIGN
                             and not name.startswith("build-")]
            names.update(os.path.relpath(os.path.join(folder, name), ROOT) for name in files)
        names -= MADE
    return sorted(name for name in names if os.path.isfile(os.path.join(ROOT, name)))


def read(name):
    """Return the text of a file of the tree."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


class Lint:
    """Collects complaints; done() prints the verdict and ends the program."""

    def __init__(self):
        self.name = os.path.basename(sys.argv[0])
        self.count = 0

    def complain(self, place, text):
        self.count += 1
        print(f"{place}: {text} [{self.name}]")

    def done(self, checked, what):
        """End: checked things of a kind were looked at; none at all is a failure too."""
        if checked == 0:
            self.complain(self.name, f"found no {what} to check")
        print(f"{self.name}: {checked} {what}, {self.count} complaints")
        sys.exit(1 if self.count else 0)
