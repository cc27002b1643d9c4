# SPDX-License-Identifier: BSD-2-Clause
"""Makes system calls and allocations of a daemon fail, when and as often as a test says."""

import mmap
import pathlib
import struct
import subprocess

from .pace import seconds

SOURCE = pathlib.Path(__file__).with_suffix(".c")

# The same names in the same order as in faults.c, which says what they do.
_SLOTS = (
    "workers_only hits alloc_skip alloc_fail epoll_errno epoll_fail pipe_errno pipe_fail"
    " splice_errno splice_skip splice_fail io_most send_most eintr_every"
).split()
_NUMBER = struct.Struct("=q")


def build(compiler, directory):
    """Compile the library that is loaded in front of the C library."""
    library = directory / "faults.so"
    command = [compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-fno-builtin", "-shared", "-fPIC"]
    subprocess.run(
        [*command, "-o", str(library), str(SOURCE), "-ldl"], check=True, timeout=seconds(60)
    )
    return library


class Faults:
    """The faults of one daemon, which is started with options."""

    def __init__(self, library, path):
        path.write_bytes(bytes(_NUMBER.size * len(_SLOTS)))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.options = {"env": {"LD_PRELOAD": str(library), "ECHOD_FAULTS": str(path)}}

    def _put(self, name, value):
        _NUMBER.pack_into(self._map, _NUMBER.size * _SLOTS.index(name), value)

    def set(self, **values):
        """Counts come last, as the others say what they are counts of."""
        for name in sorted(values, key=lambda name: name.endswith("_fail")):
            self._put(name, values[name])

    def get(self, name):
        return _NUMBER.unpack_from(self._map, _NUMBER.size * _SLOTS.index(name))[0]

    def clear(self):
        """No more faults; how many there were stays."""
        for name in sorted(_SLOTS, key=lambda name: not name.endswith("_fail")):
            if name not in ("hits", "workers_only"):
                self._put(name, 0)

    @property
    def hits(self):
        return self.get("hits")
