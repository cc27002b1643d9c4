# SPDX-License-Identifier: BSD-2-Clause
"""Addresses as the daemon writes them, and ports of one's own."""

import os
import random
import socket

_own = random.Random(os.urandom(8))


def free_port(family=socket.AF_INET, kind=socket.SOCK_STREAM):
    """A port that nobody has now, below the range the kernel gives to clients."""
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    while True:
        port = _own.randrange(20000, 32000)
        with socket.socket(family, kind) as sock:
            try:
                sock.bind((host, port))
            except OSError:
                continue
            return port


def abstract_name():
    """A name for an abstract UNIX socket that nobody else has."""
    return f"echod-test-{os.getpid()}-{_own.randrange(1 << 32):08x}"


def split_host_port(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def parse_address(text):
    """tcp:, udp:, unix: or unixgram: as (family, address for connect)."""
    scheme, _, rest = text.partition(":")
    if scheme in ("unix", "unixgram"):
        return socket.AF_UNIX, "\0" + rest[1:] if rest.startswith("@") else rest
    assert scheme in ("tcp", "udp") and rest.startswith("//"), f"not an address: {text!r}"
    host, port = split_host_port(rest[2:])
    if host in ("*", "::"):
        host = "::1" if host == "::" else "127.0.0.1"
    elif host == "0.0.0.0":
        host = "127.0.0.1"
    return (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, port)
