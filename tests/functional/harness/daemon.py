# SPDX-License-Identifier: BSD-2-Clause
"""Runs the daemon under test and, at the end, holds it to what every test expects of it."""

import os
import pathlib
import re
import resource
import signal
import socket
import subprocess

from . import config_text, network, pace, process
from .clients import exchange, exchange_large, pattern, receive_exactly
from .control_client import ControlClient
from .log_file import LogFile
from .pace import seconds, wait_until

_TROUBLE = re.compile(
    r"ERROR: AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:|\bBUG\b"
)


def environment(directory, **changes):
    """What the daemon gets to see: nothing of a service manager that runs the tests."""
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_", "JOURNAL_"))
    }
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
        report = f"log_path={directory}/sanitizer"
        env[name] = ":".join(filter(None, (os.environ.get(name), report)))
    # where the control socket goes unless a test says otherwise: none is shared
    env["RUNTIME_DIRECTORY"] = str(directory)
    env.update({key: str(value) for key, value in changes.items()})
    return env


class Echod:
    """One daemon: its configuration, process, log and control port.

    prefix is a command that ends by executing the daemon in the same process. log tells where
    its lines arrive; unless a test says otherwise that is its standard error.
    """

    def __init__(
        self, directory, config, prefix=(), more_arguments=(), env=None, log=None, **popen
    ):
        self.directory = pathlib.Path(directory)
        self.config_path = self.directory / "echod.conf"
        self.prefix = list(prefix)
        self.more_arguments = list(more_arguments)
        self.stderr_path = self.directory / "stderr"
        self.log = LogFile(log or self.stderr_path)
        self.env = env or {}
        self.popen = popen
        self.process = None
        self.control = None
        self.local = None
        self.addresses = {}
        self.origins = {}
        self.descriptors = {}
        self.more_descriptors = 0
        self.exit_code = None
        self.socket_files = {self.directory / "control.sock"}
        self.outlives = set()
        self.clients = []
        self.configure(config)

    # configuration

    def configure(self, config):
        """Write the file anew; a dict or the text itself."""
        self.config = config
        text = config_text.config_text(config) if isinstance(config, dict) else config
        temporary = self.config_path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self.config_path)
        if isinstance(config, dict):
            for row in config["listeners"]:
                scheme, _, path = row["address"].partition(":")
                if scheme in ("unix", "unixgram") and path.startswith("/"):
                    self.socket_files.add(pathlib.Path(path))

    # life

    @property
    def pid(self):
        return self.process.pid

    def spawn(self):
        """Start without waiting for anything."""
        command = [*self.prefix, str(pace.BINARY), "-c", str(self.config_path)]
        command += self.more_arguments
        popen = {"stdin": subprocess.DEVNULL, "env": environment(self.directory, **self.env)}
        popen.update(self.popen)
        if "stderr" in popen:
            self.process = subprocess.Popen(command, **popen)
        else:
            with open(self.stderr_path, "ab") as stderr:
                self.process = subprocess.Popen(command, stderr=stderr, **popen)
        return self

    def start(self):
        """Start and wait until every listener listens."""
        skip = len(self.log.records())
        self.spawn()
        self.wait_ready(skip)
        return self

    def _learn(self, skip):
        control = local = None
        ready = False
        listening = {}
        for record in self.log.records()[skip:]:
            if record.get("message") == "listening":
                listening[record["listener"]] = record
            elif record.get("message") == "control port listening":
                control = record["address"]
            elif record.get("message") == "control socket listening":
                local = record["address"].removeprefix("unix:")
            elif re.search(r"\bis ready\b", record.get("message", "")):
                ready = True
        wanted = {row["name"] for row in self.config["listeners"] if row.get("enabled", True)}
        if not ready or control is None or not wanted <= set(listening):
            return False
        self.control = ControlClient(network.split_host_port(control))
        self.local = ControlClient(local) if local else None
        self.addresses = {name: row["address"] for name, row in listening.items()}
        self.origins = {name: row["origin"] for name, row in listening.items()}
        return True

    def wait_ready(self, skip=0):
        def ready():
            assert self.process.poll() is None, (
                f"ended at start with {self.process.returncode}:\n{self.log.text()}"
            )
            return self._learn(skip)

        # The log tells, not the control port: a request would count among the descriptors.
        wait_until(ready, 10, f"log lines that tell the ports; the log: {self.log.path}")
        self.descriptors = process.steady_descriptors(self.pid)

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, deadline=10):
        """Wait for the end and return the exit code; the teardown then expects nothing else."""
        try:
            self.exit_code = self.process.wait(seconds(deadline))
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running after {seconds(deadline):g} s:\n{self.log.text()[-2000:]}"
            ) from None
        return self.exit_code

    def kill(self):
        """SIGKILL: nothing of its teardown runs."""
        self.process.kill()
        return self.wait_exit()

    # clients

    def open_socket(self, name="echo"):
        """A socket for that listener, not connected, closed by the teardown at the latest."""
        family, address = network.parse_address(self.addresses[name])
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(seconds(10))
        self.clients.append(sock)
        return sock, address

    def connect(self, name="echo"):
        sock, address = self.open_socket(name)
        sock.connect(address)
        return sock

    def is_served(self, name="echo"):
        """Whether a new client gets its bytes back."""
        try:
            with self.connect(name) as sock:
                sock.sendall(b"hello")
                return receive_exactly(sock, 5) == b"hello"
        except (ConnectionError, FileNotFoundError):
            return False

    def serve_one(self, name="echo"):
        """One short connection."""
        with self.connect(name) as sock:
            exchange(sock)
        self.clients.remove(sock)

    def connect_narrow(self, name="echo"):
        """A client whose kernel takes little of the echo while nobody reads."""
        sock, address = self.open_socket(name)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * pace.KIB)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(address)
        return sock

    def row(self, sock):
        """The row in /connections of a TCP client, None while there is none."""
        peer = "%s:%d" % sock.getsockname()[:2]
        rows = self.control.connections("?limit=1000")["connections"]
        return next((row for row in rows if row["peer"] == peer), None)

    def queue_some(self, sock):
        """Send until the daemon itself holds some of the echo; returns how many bytes went."""
        total = 0
        block = 64 * pace.KIB
        while total < 64 * pace.MIB:
            sock.sendall(pattern(total, block))
            total += block
            wait_until(lambda: (self.row(sock) or {}).get("bytes_in") == total, 5, "all is read")
            if self.row(sock)["pending_bytes"] > 0:
                return total
        raise AssertionError("the kernel takes everything")

    def warm_up(self, name="echo"):
        """Touch what is only touched under traffic, so that memory can be compared."""
        socks = [self.connect(name) for _ in range(4)]
        for sock in socks:
            exchange_large(sock, bytes(2 * pace.MIB))
            sock.close()
        self.control.metrics()
        self.control.stats()
        self.control.connections()
        self.wait_connections(0)

    def settled(self):
        """The control client, once all is counted that clients have seen until now.

        A client may have its echo a moment before its worker has counted it. This asks each
        worker for its connections, and it answers between two of its callbacks.
        """
        wait_until(
            lambda: self.control.get("/connections?limit=1").status == 200,
            10,
            "each worker answers",
        )
        return self.control

    def wait_connections(self, count, deadline=10):
        wait_until(
            lambda: self.control.totals()["connections"] == count,
            deadline,
            f"{count} open connections",
        )

    def resident(self):
        return process.resident_bytes(self.pid)

    def limit_descriptors(self, number):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (number, number))

    # teardown

    def close_clients(self):
        for sock in self.clients:
            sock.close()
        self.clients.clear()

    def finish(self):
        """Stop a daemon that still runs; check what holds for every test."""
        if self.process is None:
            return
        try:
            self.close_clients()
            if self.exit_code is None:
                assert self.process.poll() is None, (
                    f"ended on its own with {self.process.returncode}:\n{self.log.text()[-4000:]}"
                )
                self._check_reports()
                self._check_descriptors()
                self.signal(signal.SIGTERM)
                code = self.wait_exit()
                self._check_reports()  # first: a sanitizer ends the process, and tells why
                assert code == 0, f"exit code {code}:\n{self.log.text()}"
            self._check_reports()
            if self.exit_code >= 0:
                self._check_socket_files()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def _check_descriptors(self):
        if not self.descriptors:
            return
        most = len(self.descriptors) + self.more_descriptors
        wait_until(
            lambda: len(process.descriptors(self.pid)) <= most,
            8,
            f"no more than {most} descriptors; at ready {self.descriptors}, "
            f"now {process.descriptors(self.pid)}",
        )

    def _check_reports(self):
        for report in self.directory.glob("sanitizer.*"):
            raise AssertionError(f"sanitizer report:\n{report.read_text()[:8000]}")
        for text in {self.log.text(), LogFile(self.stderr_path).text()}:
            match = _TROUBLE.search(text)
            assert not match, f"{match[0]!r} in the log:\n{text[-8000:]}"

    def _check_socket_files(self):
        left = {path for path in self.socket_files if os.path.lexists(path)} - self.outlives
        assert not left, f"socket files left behind: {left}"
