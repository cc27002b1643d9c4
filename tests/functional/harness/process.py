# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel tells of a process: memory, descriptors, CPU time, threads."""

import contextlib
import ctypes
import os
import pathlib
import re
import resource
import signal

from .pace import wait_until

_PTRACE_DETACH = 17
_PTRACE_SEIZE = 0x4206
_PTRACE_INTERRUPT = 0x4207
_WALL = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


def resident_bytes(pid):
    fields = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize()


def descriptors(pid):
    """Descriptor number -> what it points to."""
    result = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            result[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return result


def steady_descriptors(pid):
    """The descriptors once their number has stopped changing."""
    numbers = []

    def steady():
        now = descriptors(pid)
        numbers.append(len(now))
        return now if len(numbers) >= 4 and len(set(numbers[-4:])) == 1 else None

    return wait_until(steady, 2, "the number of descriptors settles")


def is_over(pid):
    """Whether the process has ended, even if somebody still holds one of its threads."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()[0] in "ZX"


@contextlib.contextmanager
def standing_still(pid):
    """No thread of the process runs within the with block; signals wait for its end."""
    tasks = pathlib.Path(f"/proc/{pid}/task")

    def stopped():
        texts = [path.joinpath("stat").read_text() for path in tasks.iterdir()]
        return all(text.rpartition(")")[2].split()[0] == "T" for text in texts)

    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(stopped, 5, "the process stands still")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def cpu_seconds(pid):
    """User and system time of all threads."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def soft_descriptor_limit(pid):
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]


def worker_threads(pid):
    """Thread ids of the worker loops, by worker id: their names are echod-w0, echod-w1, ..."""
    found = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        name = pathlib.Path(f"/proc/{pid}/task/{tid}/comm").read_text().strip()
        if re.fullmatch(r"echod-w\d+", name):
            found[name] = int(tid)
    result = [found[name] for name in sorted(found)]
    assert result, f"no thread of process {pid} is named as a worker"
    return result


def _ptrace(request, tid):
    if _LIBC.ptrace(request, tid, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace: {os.strerror(number)}")


@contextlib.contextmanager
def frozen_thread(tid):
    """Hold one thread still for the length of the with block; the others run on."""
    _ptrace(_PTRACE_SEIZE, tid)
    _ptrace(_PTRACE_INTERRUPT, tid)
    os.waitpid(tid, _WALL)
    try:
        yield
    finally:
        try:
            _ptrace(_PTRACE_DETACH, tid)
        except ProcessLookupError:
            # It was killed meanwhile. Its process is not gone before we have taken note of that.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(tid, _WALL)
