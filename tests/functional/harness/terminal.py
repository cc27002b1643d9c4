# SPDX-License-Identifier: BSD-2-Clause
"""Runs a program on a terminal of its own and watches what it draws."""

import contextlib
import errno
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

from .pace import seconds


class Terminal:
    """A pseudo-terminal with a program on it. Use as a context: nothing stays behind."""

    def __init__(self, command, env=None, lines=24, columns=100):
        self.master, self.slave = pty.openpty()
        self.resize(lines, columns)
        self.modes_before = termios.tcgetattr(self.slave)
        self.output = b""
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**(env or os.environ), "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, lines, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def modes(self):
        return termios.tcgetattr(self.slave)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self, timeout):
        """Take what is there, waiting for it; returns whether something was."""
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            block = os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        self.output += block
        return bool(block)

    def wait_for(self, text, since=0, deadline=10):
        """Read until the text appears after that many bytes; returns the output's length then."""
        wanted = text if isinstance(text, bytes) else text.encode()
        end = time.monotonic() + seconds(deadline)
        while wanted not in self.output[since:]:
            left = end - time.monotonic()
            assert left > 0, f"{wanted!r} does not appear in {self.output[since:][-3000:]!r}"
            self.read(min(left, 0.1))
        return len(self.output)

    def wait_exit(self, deadline=10):
        """Read on until the program has ended; returns its exit code."""
        end = time.monotonic() + seconds(deadline)
        while self.process.poll() is None:
            assert time.monotonic() < end, f"still running: {self.output[-2000:]!r}"
            self.read(0.05)
        while self.read(0):
            pass
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)
