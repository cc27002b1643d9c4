# SPDX-License-Identifier: BSD-2-Clause
"""A service manager's notification socket, seen from the manager's side."""

import socket
import threading
import time

from .pace import wait_until


class Message(dict):
    """One datagram: its assignments, and when it came (monotonic seconds)."""

    def __init__(self, text, when):
        super().__init__(line.partition("=")[::2] for line in text.splitlines() if line)
        self.when = when


class FakeManager:
    """Collects what the daemon says; on_ready is called the moment READY=1 arrives."""

    def __init__(self, path, on_ready=None):
        self.path = str(path)
        self.on_ready = on_ready
        self.messages = []
        self._stopped = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(0.05)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join(5)
        self._socket.close()

    def _run(self):
        while not self._stopped.is_set():
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            message = Message(data.decode(), time.monotonic())
            if "READY" in message and self.on_ready:
                self.on_ready()
            self.messages.append(message)

    def having(self, key):
        return [message for message in list(self.messages) if key in message]

    def wait_for(self, key, deadline=5, count=1):
        """Wait for the count-th message with that key and return it."""
        wait_until(
            lambda: len(self.having(key)) >= count,
            deadline,
            f"{count} message(s) with {key}; got {self.messages}",
        )
        return self.having(key)[count - 1]

    def order(self, *keys):
        """The keys of that set in the order in which they came."""
        return [key for message in list(self.messages) for key in keys if key in message]
