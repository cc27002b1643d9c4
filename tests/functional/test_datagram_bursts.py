# SPDX-License-Identifier: BSD-2-Clause
"""Many datagrams at once, and those that one call sent: each comes back once, in order.

The daemon stands still while a burst arrives, so that it finds the whole of it in its socket. The
bursts stay below what the kernel's default buffers hold, some 200 KiB with its own overhead.
"""

import random
import socket

import pytest

from harness import pattern
from harness.datagrams import LARGEST, client_of, segments, udp_listener, wait_counted
from harness.process import standing_still

ADDRESSES = ["udp://127.0.0.1:0", "udp://[::1]:0", "udp://*:0"]


def can_send_segments():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.IPPROTO_UDP, 103, 1000)
        except OSError:
            return False
    return True


needs_segments = pytest.mark.skipif(not can_send_segments(), reason="needs UDP_SEGMENT")


@pytest.fixture(params=ADDRESSES)
def daemon(request, launch):
    return launch(listeners=[udp_listener(request.param)])


def send_at_once(daemon, client, datagrams):
    """All are in the socket before the first is read; all must come back in order."""
    with standing_still(daemon.pid):
        for data in datagrams:
            client.send(data)
    client.expect(datagrams)


def finished(daemon, count, *clients):
    """All were echoed, none twice."""
    assert wait_counted(daemon, count) == (count, {})
    for client in clients:
        assert not client.waiting(), "each once"


@pytest.mark.parametrize("count", [16, 64])
def test_equal_datagrams(daemon, count):
    client = client_of(daemon)
    sizes = [0, 1, 8, 1472]
    for size in sizes:
        send_at_once(daemon, client, [pattern(7, size)] * count)
    finished(daemon, len(sizes) * count, client)


def test_numbered_datagrams(daemon):
    """Counts around what one call may read or write."""
    client = client_of(daemon)
    counts = [2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100]
    for count in counts:
        send_at_once(daemon, client, [b"%d of %d" % (number, count) for number in range(count)])
    finished(daemon, sum(counts), client)


def test_without_standing_still(daemon):
    client = client_of(daemon)
    for start in range(0, 1600, 64):
        client.exchange_many([pattern(start + number, 200) for number in range(64)])
    finished(daemon, 1600, client)


@pytest.mark.parametrize("seed", range(4))
def test_mixed_sizes(daemon, seed):
    sizes = random.Random(seed)
    client = client_of(daemon)
    lengths = [0, 1, 9000, 9000] + [sizes.choice([0, 1, 8, 100, 500, 1472]) for _ in range(40)]
    sizes.shuffle(lengths)
    datagrams = [pattern(number, length) for number, length in enumerate(lengths)]
    send_at_once(daemon, client, datagrams)
    finished(daemon, len(datagrams), client)


def test_longer_and_longer_then_shorter(daemon):
    """Runs of one size, with a shorter or a longer one between them."""
    lengths = [100] * 5 + [50] + [100] * 5 + [150] + [100] * 3 + [0] + [100] * 3 + [99, 98, 98]
    client = client_of(daemon)
    datagrams = [pattern(1000 * number, length) for number, length in enumerate(lengths)]
    send_at_once(daemon, client, datagrams)
    finished(daemon, len(datagrams), client)


@pytest.mark.parametrize("run", [1, 4])
def test_two_sources_interleaved(launch, run):
    daemon = launch(listeners=[udp_listener("udp://*:0")])
    clients = [
        client_of(daemon, host="127.0.0.1", source=source) for source in ("127.0.0.1", "127.0.0.2")
    ]
    sent = [[], []]
    with standing_still(daemon.pid):
        for number in range(64):
            which = number // run % 2
            sent[which].append(b"%d of %d" % (number, which))
            clients[which].send(sent[which][-1])
    for client, datagrams in zip(clients, sent):
        client.expect(datagrams)
    finished(daemon, 64, *clients)


def test_two_families_and_addresses_interleaved(launch):
    daemon = launch(listeners=[udp_listener("udp://*:0")])
    clients = [client_of(daemon, host=host) for host in ("127.0.0.1", "::1", "127.0.0.2")]
    with standing_still(daemon.pid):
        for number in range(60):
            clients[number % 3].send(b"%d" % number)
    for first, client in enumerate(clients):
        client.expect([b"%d" % number for number in range(first, 60, 3)])
    finished(daemon, 60, *clients)


@needs_segments
def test_segments_of_one_call(daemon):
    client = client_of(daemon)
    count = 0
    for size, length in [
        (1000, 40300),
        (1000, 40000),
        (1472, 1472),
        (1472, 1473),
        (1472, 44 * 1472 + 700),
        (1, 60),
        (100, 6301),
        (512, 64 * 512),
        (9000, LARGEST),
        (30000, LARGEST),
    ]:
        data = pattern(size, length)
        client.send_segments(data, size)
        client.expect(segments(data, size))
        count += len(segments(data, size))
    finished(daemon, count, client)


@needs_segments
def test_segments_between_datagrams(daemon):
    """What was coalesced, and what was not, one after the other in the same socket."""
    client = client_of(daemon)
    data = pattern(0, 20 * 300 + 17)
    expected = [b"before", *segments(data, 300), b"", *segments(data, 1000), b"after" * 100]
    with standing_still(daemon.pid):
        client.send(b"before")
        client.send_segments(data, 300)
        client.send(b"")
        client.send_segments(data, 1000)
        client.send(b"after" * 100)
    client.expect(expected)
    finished(daemon, len(expected), client)


@needs_segments
def test_segments_of_two_sources_interleaved(launch):
    daemon = launch(listeners=[udp_listener("udp://*:0")])
    clients = [client_of(daemon, host=host) for host in ("127.0.0.1", "::1")]
    blocks = [pattern(5 * number, 5000 + number) for number in range(8)]
    with standing_still(daemon.pid):
        for number, data in enumerate(blocks):
            clients[number % 2].send_segments(data, 700)
    count = 0
    for first, client in enumerate(clients):
        expected = [part for data in blocks[first::2] for part in segments(data, 700)]
        client.expect(expected)
        count += len(expected)
    finished(daemon, count, *clients)


@needs_segments
def test_segments_come_back_from_the_address_asked(launch):
    daemon = launch(listeners=[udp_listener("udp://*:0")])
    data = pattern(0, 9500)
    for host in ("127.0.0.1", "127.0.0.2", "::1"):
        client = client_of(daemon, host=host)
        client.send_segments(data, 1000)
        client.expect(segments(data, 1000))
