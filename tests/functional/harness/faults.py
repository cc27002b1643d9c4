# SPDX-License-Identifier: BSD-2-Clause
"""Makes calls of a daemon fail or dawdle, when and as often as a test says: see faults.c."""

import errno
import mmap
import os
import pathlib
import re
import shlex
import struct
import subprocess

import pytest

from .needs import need
from .pace import SANITIZED, seconds

_SOURCE = pathlib.Path(__file__).with_suffix(".c")
_NUMBER = struct.Struct("=q")
FOREVER = -1

# Calls that move bytes, which may be fewer than were asked for.
MOVERS = ("readv", "recv", "send", "splice", "writev")


def _list(name):
    """The words of one of the two lists in faults.c, in their order."""
    lines = re.search(rf"^#define {name}\(X\) \\\n((?:\tX.*\n)+)", _SOURCE.read_text(), re.M)
    return re.findall(r"^\tX\((\w+)\)", lines[1], re.M)


_CALLS = _list("CALLS")
_FIELDS = _list("FIELDS")


def build(directory):
    """Compile the library that is loaded in front of the C library; returns its path."""
    if SANITIZED:
        pytest.skip("a sanitizer wants to be the first library")
    compiler = shlex.split(os.environ.get("CC") or "cc")
    need(compiler[0])
    library = directory / "faults.so"
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-fno-builtin", "-shared", "-fPIC"]
    command = [*compiler, *flags, "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True, timeout=seconds(60))
    return library


class Faults:
    """The faults of one daemon, which is started with options."""

    def __init__(self, library, path):
        path.write_bytes(bytes(_NUMBER.size * len(_CALLS) * len(_FIELDS)))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.env = {"LD_PRELOAD": str(library), "ECHOD_FAULTS": str(path)}
        self.options = {"env": self.env}

    @staticmethod
    def _place(call, field):
        row, column = _CALLS.index(call), _FIELDS.index(field)
        return _NUMBER.size * (row * len(_FIELDS) + column)

    def _get(self, call, field):
        return _NUMBER.unpack_from(self._map, self._place(call, field))[0]

    def _put(self, call, field, value):
        _NUMBER.pack_into(self._map, self._place(call, field), value)

    def set(self, call, error=0, times=FOREVER, **fields):
        """From now on this happens to the call; error is an errno or its name."""
        self.clear(call)
        fields["error"] = getattr(errno, error) if isinstance(error, str) else error
        for field, value in fields.items():
            self._put(call, field, value)
        self._put(call, "times", times)  # last: the others say what happens so often

    def clear(self, *calls):
        """Nothing more happens to these calls, to none without any; what has happened stays."""
        for call in calls or _CALLS:
            for field in _FIELDS:  # times is the first
                if field != "hits":
                    self._put(call, field, 0)

    def left(self, call):
        """How often it is still to happen."""
        return self._get(call, "times")

    def still_good(self, call):
        """How many calls are to go well before it happens."""
        return self._get(call, "skip")

    @property
    def hits(self):
        """How often anything has happened."""
        return sum(self._get(call, "hits") for call in _CALLS)
