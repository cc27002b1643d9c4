# SPDX-License-Identifier: BSD-2-Clause
"""Starts servers pinned to their CPUs, reads what they use from /proc, and ends them for certain.

Each server leads a session of its own, and this process is the reaper of all orphans below it: what
a server forked can be found, ended and waited for even when the server is gone.
"""

import contextlib
import ctypes
import glob
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

READY_SECONDS = 10.0
STOP_SECONDS = 3.0
PROBE_SECONDS = 1.0
PROBE = b"echo\n"
TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """A server or generator did not do its part; the text says what."""


def become_reaper():
    _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _die_with_parent():
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(cpus, arguments, **keywords):
    """Start a program on these CPUs. It ends when this process does."""
    cpu_list = ",".join(map(str, cpus))
    return subprocess.Popen(["taskset", "-c", cpu_list] + arguments, stdin=subprocess.DEVNULL,
                            preexec_fn=_die_with_parent, **keywords)


def free_port():
    """A port that nobody has, over TCP or UDP, below those that the kernel gives to clients."""
    for _ in range(200):
        port = random.randrange(12000, 32000)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            try:
                stream.bind(("127.0.0.1", port))
                datagram.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failure("found no free port")


def _echoes(transport, port):
    """Whether the server there sends back what it gets, over this transport."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with contextlib.suppress(OSError), socket.socket(type=kind) as sock:
        sock.settimeout(PROBE_SECONDS)
        sock.connect(("127.0.0.1", port))
        sock.sendall(PROBE)
        return sock.recv(len(PROBE)) == PROBE
    return False


def _read(path):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _status(pid, key):
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(key + ":"):
            return line.split()[1]
    return None


def _session_members(leader):
    """The processes of the session that a server leads, itself left out."""
    members = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        fields = _read(path).rpartition(")")[2].split()
        if len(fields) > 3 and int(fields[3]) == leader:
            pid = int(path.split("/")[2])
            if pid != leader:
                members.append(pid)
    return members


def _own_cpu_ns(pid):
    return sum(int(_read(path).split()[0] or 0)
               for path in glob.glob(f"/proc/{pid}/task/*/schedstat") if _read(path))


class Running:
    """A server that runs; leave the with block to end it."""

    def __init__(self, server, transport, cpus, folder):
        self.server = server
        server.transport = transport
        self.port = free_port()
        if server.workers:
            server.control_port = free_port()
        self.log = pathlib.Path(folder) / f"{server.name}.log"
        with open(self.log, "wb") as log:
            self.process = spawn(cpus, server.command(self.port, folder), stdout=log, stderr=log,
                                 start_new_session=True, cwd=folder,
                                 env=dict(os.environ, **server.environment))
        self.pid = self.process.pid

    def __enter__(self):
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception):
        self.stop()

    def _last_words(self):
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _wait_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failure(f"{self.server.name} ended with status {self.process.returncode}"
                              + self._last_words())
            if _echoes(self.server.transport, self.port):
                break
            time.sleep(0.02)
        else:
            raise Failure(f"{self.server.name} did not echo within {READY_SECONDS:.0f} s"
                          + self._last_words())
        # let it see the end of the probe
        time.sleep(0.05)

    def alive(self):
        return self.process.poll() is None

    def cpu_ns(self, settle=False):
        """CPU time used so far, or None where it cannot be known: see bench/README.md."""
        own = _own_cpu_ns(self.pid)
        if not self.server.forks:
            return own
        if int(_status(self.pid, "SigIgn") or "0", 16) >> (signal.SIGCHLD - 1) & 1:
            return None
        deadline = time.monotonic() + (1.0 if settle else 0.0)
        while (members := _session_members(self.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        fields = _read(f"/proc/{self.pid}/stat").rpartition(")")[2].split()
        reaped = (int(fields[13]) + int(fields[14])) * 1_000_000_000 // TICKS
        return own + reaped + sum(_own_cpu_ns(member) for member in members)

    def rss_kib(self):
        members = [self.pid] + (_session_members(self.pid) if self.server.forks else [])
        return sum(int(_status(pid, "VmRSS") or 0) for pid in members)

    def stop(self):
        """End the server and whatever it started, and wait for all of it."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        deadline = time.monotonic() + STOP_SECONDS
        while (members := _session_members(self.pid)) and time.monotonic() < deadline:
            for pid in members:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.01)
