# SPDX-License-Identifier: BSD-2-Clause
"""Clients of a datagram listener, and what the daemon counts of their datagrams."""

import contextlib
import os
import socket
import struct

from .network import parse_address
from .pace import KIB, MIB, seconds, wait_until

# The most that fits into a UDP datagram over IPv4.
LARGEST = 65507

# One call, many datagrams: linux/udp.h, not in Python's socket.
_UDP_SEGMENT = 103


def udp_listener(address="udp://127.0.0.1:0", name="echo", **keys):
    """Settings of a listener that takes as many datagrams from one source as come."""
    return {"name": name, "address": address, "rate_per_source": 0, **keys}


def endpoint(address):
    """What tells one sender from another: host and port, or the name of a UNIX socket."""
    return address[:2] if isinstance(address, tuple) else os.fsencode(address)


def segments(data, size):
    """The datagrams that send_segments() makes of data."""
    return [data[start : start + size] for start in range(0, len(data), size)]


class DatagramClient:
    """A socket that sends to one listener, and holds each reply to where it must come from.

    source is what to bind to: a host, (host, port), or the name of a UNIX socket, which without
    one gets a name from the kernel. inside is a namespace to be in.
    """

    def __init__(self, target, source=None, inside=None):
        self.target = target
        family = socket.AF_UNIX
        if isinstance(target, tuple):
            family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
            source = (source, 0) if isinstance(source, str) else source
        elif source is None:
            source = ""
        with inside.entered() if inside else contextlib.nullcontext():
            self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.settimeout(seconds(10))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
        if source is not None:
            self.sock.bind(source)

    def close(self):
        self.sock.close()

    def send(self, data=b"hello"):
        self.sock.sendto(data, self.target)

    def send_segments(self, data, size):
        """One call that the kernel may cut into datagrams of that size as late as it likes.

        The last is shorter if it does not come out even. Over the loopback a listener that asks
        for it (UDP_GRO) reads all of them at once.
        """
        control = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", size))]
        assert self.sock.sendmsg([data], control, 0, self.target) == len(data)

    def receive(self):
        data, sender = self.sock.recvfrom(256 * KIB)
        assert endpoint(sender) == endpoint(self.target), f"asked {self.target}, got {sender}"
        return data

    def receive_many(self, count):
        return [self.receive() for _ in range(count)]

    def waiting(self):
        """The replies that are here already."""
        result = []
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                result.append(self.receive())
        self.sock.settimeout(seconds(10))
        return result

    def exchange(self, data=b"hello"):
        self.send(data)
        reply = self.receive()
        assert reply == data, f"sent {len(data)} bytes, got {len(reply)} back that differ"

    def exchange_many(self, datagrams):
        """Send them back to back; all must come back, in order, each once."""
        for data in datagrams:
            self.send(data)
        self.expect(datagrams)

    def expect(self, datagrams):
        replies = self.receive_many(len(datagrams))
        assert replies == datagrams, (
            f"sent {[len(data) for data in datagrams]} bytes, "
            f"got {[len(data) for data in replies]} back that differ"
        )


def client_of(daemon, name="echo", host=None, **keywords):
    """A client for that listener, closed by the daemon's teardown at the latest."""
    _, target = parse_address(daemon.addresses[name])
    if host:
        target = (host, target[1])
    client = DatagramClient(target, **keywords)
    daemon.clients.append(client)
    return client


def datagram_figures(daemon, name="echo"):
    """(received, sent, {reason: dropped}) of a listener, without the reasons that did not occur."""
    row = daemon.settled().listener(name)
    dropped = {reason: count for reason, count in row["datagrams_dropped"].items() if count}
    return row["datagrams_received"], row["datagrams_sent"], dropped


def wait_counted(daemon, count, name="echo", deadline=10):
    """Wait until exactly that many datagrams have come and each was sent back or dropped.

    Returns (sent, {reason: dropped}).
    """

    def settled():
        received, sent, dropped = datagram_figures(daemon, name)
        return received == count == sent + sum(dropped.values())

    try:
        wait_until(settled, deadline)
    except AssertionError:
        raise AssertionError(
            f"{count} datagrams expected at {name}; (received, sent, dropped) is "
            f"{datagram_figures(daemon, name)}"
        ) from None
    return datagram_figures(daemon, name)[1:]
