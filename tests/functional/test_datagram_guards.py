# SPDX-License-Identifier: BSD-2-Clause
"""What is not echoed, and why: each guard counts its own reason and costs nobody else."""

import socket
import time

import pytest

from harness import free_port, pattern, pause, wait_until
from harness.datagrams import (
    client_of,
    datagram_figures,
    segments,
    udp_listener,
    wait_counted,
)
from harness.forge import forge
from test_datagram_bursts import needs_segments

# Services that answer whatever comes, to which a reply must never go.
REFLECTORS = [7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 520, 1900, 3702, 5353, 11211]


def free_datagram_port():
    return free_port(kind=socket.SOCK_DGRAM)


def wait_dropped(daemon, count, reason, echoed=0):
    assert wait_counted(daemon, echoed + count) == (echoed, {reason: count})


# Ports


@pytest.mark.parametrize("port", [1, 7, 1023])
def test_low_source_port(launch, as_root, port):
    daemon = launch(listeners=[udp_listener()])
    client = client_of(daemon, source=("127.0.0.9", port))
    client.send()
    client_of(daemon, source="127.0.0.9").exchange()
    wait_dropped(daemon, 1, "source_port", echoed=1)
    assert not client.waiting()


def test_lowest_source_port_is_a_setting(launch):
    port = free_datagram_port()
    daemon = launch(
        listeners=[
            udp_listener(name="below", min_source_port=port + 1),
            udp_listener(name="at", min_source_port=port),
        ]
    )
    below = client_of(daemon, "below", source=("127.0.0.9", port))
    below.send()
    assert wait_counted(daemon, 1, "below") == (0, {"source_port": 1})
    assert not below.waiting()
    below.target = client_of(daemon, "at").target
    below.exchange()
    assert wait_counted(daemon, 1, "at") == (1, {})


def test_low_source_port_is_served_where_allowed(launch, as_root):
    daemon = launch(listeners=[udp_listener(min_source_port=0)])
    for port in (9, 1000, 1023):
        client_of(daemon, source=("127.0.0.9", port)).exchange()
    assert wait_counted(daemon, 3) == (3, {})


@pytest.mark.parametrize("lowest", [0, 1024])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_no_source_port_at_all(launch, as_root, host, lowest):
    daemon = launch(listeners=[udp_listener("udp://*:0", min_source_port=lowest)])
    client = client_of(daemon, host=host)
    forge((host, 0), client.target)
    client.exchange()
    wait_dropped(daemon, 1, "source_port", echoed=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_reflectors_are_refused_whatever_the_lowest_port(launch, as_root, host):
    daemon = launch(listeners=[udp_listener("udp://*:0", min_source_port=0)])
    client = client_of(daemon, host=host)
    for port in REFLECTORS:
        forge((host, port), client.target)
    client.exchange()
    wait_dropped(daemon, len(REFLECTORS), "reflector_port", echoed=1)


def test_neighbours_of_reflectors_are_served(launch, as_root):
    daemon = launch(listeners=[udp_listener(min_source_port=0)])
    neighbours = {port + step for port in REFLECTORS for step in (-1, 1)} - set(REFLECTORS)
    target = client_of(daemon).target
    for port in neighbours:
        forge(("127.0.0.99", port), target)
    assert wait_counted(daemon, len(neighbours)) == (len(neighbours), {})


@pytest.mark.parametrize("port", [1900, 5353, 11211])
def test_reflector_gets_no_answer(launch, port):
    """Above the lowest port, so no root is needed to be one."""
    daemon = launch(listeners=[udp_listener()])
    client = client_of(daemon, source=("127.0.0.9", port))
    client.send()
    client_of(daemon).exchange()
    wait_dropped(daemon, 1, "reflector_port", echoed=1)
    assert not client.waiting()


def test_listeners_with_one_port_do_not_answer_each_other(launch, as_root):
    port = free_datagram_port()
    names = {"first": "127.0.0.1", "second": "127.0.0.2"}
    daemon = launch(
        listeners=[udp_listener(f"udp://{host}:{port}", name) for name, host in names.items()]
    )
    forge((names["second"], port), (names["first"], port))
    assert wait_counted(daemon, 1, "first") == (0, {"own_port": 1})
    assert datagram_figures(daemon, "second") == (0, 0, {})


def test_port_of_any_other_listener(launch):
    """The port alone: the echo of another machine has the same, and another address."""
    daemon = launch(
        listeners=[
            udp_listener("udp://*:0"),
            udp_listener(name="other"),
            udp_listener("udp://[::1]:0", name="six"),
        ]
    )
    for name in ("other", "six"):
        port = client_of(daemon, name).target[1]
        client = client_of(daemon, host="127.0.0.1", source=("127.0.0.9", port))
        client.send()
        client_of(daemon, host="127.0.0.1").exchange()
        assert not client.waiting()
    wait_dropped(daemon, 2, "own_port", echoed=2)


def test_port_of_a_tcp_listener_is_nobodys(launch):
    port = free_datagram_port()
    daemon = launch(
        listeners=[udp_listener(), {"name": "stream", "address": f"tcp://127.0.0.1:{port}"}]
    )
    client_of(daemon, source=("127.0.0.9", port)).exchange()


# Addresses


def test_deny(launch):
    daemon = launch(listeners=[udp_listener("udp://*:0", deny=["127.0.0.3/32", "::1/128"])])
    denied = [
        client_of(daemon, host="127.0.0.1", source="127.0.0.3"),
        client_of(daemon, host="::1"),
    ]
    for client in denied:
        client.send()
    client_of(daemon, host="127.0.0.1", source="127.0.0.4").exchange()
    wait_dropped(daemon, 2, "denied", echoed=1)
    assert not any(client.waiting() for client in denied)


def test_allow(launch):
    daemon = launch(listeners=[udp_listener("udp://*:0", allow=["127.0.0.2/31", "::1/128"])])
    others = [client_of(daemon, host="127.0.0.1", source=f"127.0.0.{n}") for n in (1, 4)]
    for client in others:
        client.send()
    for source in ("127.0.0.2", "127.0.0.3"):
        client_of(daemon, host="127.0.0.1", source=source).exchange()
    client_of(daemon, host="::1").exchange()
    wait_dropped(daemon, 2, "not_allowed", echoed=3)
    assert not any(client.waiting() for client in others)


def test_deny_comes_before_allow(launch):
    daemon = launch(listeners=[udp_listener(allow=["127.0.0.0/8"], deny=["127.0.0.3"])])
    client_of(daemon, source="127.0.0.3").send()
    client_of(daemon, source="127.0.0.2").exchange()
    wait_dropped(daemon, 1, "denied", echoed=1)


# The kernel delivers these over the loopback, where it does not check where a datagram came from.
# Two it does not: for 0.0.0.0 a raw socket puts in an address of its own, so that one is in
# test_datagram_namespaces.py, from the wire; and a multicast source the kernel's IPv6 drops itself
# (ip6_rcv_core) on every way in, so there is no test of it here.
@pytest.mark.parametrize(
    "source, reason",
    [
        ("224.0.0.1", "source_multicast"),
        ("239.255.255.250", "source_multicast"),
        ("255.255.255.255", "source_broadcast"),
        ("::", "source_unspecified"),
    ],
)
@pytest.mark.parametrize("wildcard", [False, True])
def test_source_that_nobody_can_have(launch, as_root, source, reason, wildcard):
    host = "::1" if ":" in source else "127.0.0.1"
    if wildcard:
        address = "udp://*:0"
    else:
        address = "udp://[::1]:0" if ":" in source else "udp://127.0.0.1:0"
    daemon = launch(listeners=[udp_listener(address)])
    client = client_of(daemon, host=host)
    for _ in range(3):
        forge((source, 5000), client.target)
    client.exchange()
    wait_dropped(daemon, 3, reason, echoed=1)


@pytest.mark.parametrize("address", ["udp://[::1]:0", "udp://*:0"])
def test_mapped_source(launch, as_root, address):
    """An IPv4 address in a header of IPv6: a reply would leave as IPv4, from somewhere else."""
    daemon = launch(listeners=[udp_listener(address)])
    client = client_of(daemon, host="::1")
    for _ in range(3):
        forge(("::ffff:127.0.0.99", 5000), client.target)
    client.exchange()
    wait_until(lambda: datagram_figures(daemon)[1] == 1, 5, "the echo is counted")
    if datagram_figures(daemon) == (1, 1, {}):
        pytest.skip("this kernel drops such datagrams itself")
    wait_dropped(daemon, 3, "source_mapped", echoed=1)


# Rates: settings so low that counts tell, whatever the time that a slow build takes.


def check_rate(echoed, burst, rate, elapsed):
    assert burst <= echoed <= burst + rate * elapsed + 1, (
        f"{echoed} echoed in {elapsed:.2f} s with a burst of {burst} and {rate} a second"
    )


@pytest.mark.parametrize("address", ["udp://127.0.0.1:0", "udp://*:0"])
def test_flood_from_one_source_costs_no_other(launch, address):
    """400 datagrams a second from one, 20 from the other; few enough for the kernel's queue."""
    daemon = launch(listeners=[udp_listener(address, rate_per_source=50, burst_per_source=100)])
    flooder, other = (
        client_of(daemon, host="127.0.0.1", source=f"127.0.0.{number}") for number in (1, 3)
    )
    begin = time.monotonic()
    for number in range(60):
        for _ in range(20):
            flooder.send(b"flood")
        other.exchange(b"probe %d" % number)
        pause(0.05, "400 datagrams a second, by the clock")
    echoed, dropped = wait_counted(daemon, 60 * 21)
    elapsed = time.monotonic() - begin
    check_rate(echoed - 60, 100, 50, elapsed)
    assert dropped == {"source_rate": 60 * 21 - echoed}
    assert len(flooder.waiting()) == echoed - 60


@pytest.mark.parametrize("address", ["udp://127.0.0.1:0", "udp://[::1]:0", "udp://*:0"])
def test_many_ports_are_one_source(launch, address):
    daemon = launch(listeners=[udp_listener(address, rate_per_source=1, burst_per_source=10)])
    begin = time.monotonic()
    clients = [client_of(daemon) for _ in range(20)]
    for client in clients * 5:
        client.send()
    echoed, dropped = wait_counted(daemon, 100)
    check_rate(echoed, 10, 1, time.monotonic() - begin)
    assert dropped == {"source_rate": 100 - echoed}
    assert sum(len(client.waiting()) for client in clients) == echoed


def test_source_is_served_again_after_a_while(launch):
    daemon = launch(listeners=[udp_listener(rate_per_source=10, burst_per_source=1)])
    client = client_of(daemon)

    def served():
        client.send(b"again")
        return client.waiting()

    for _ in range(3):
        wait_until(served, 5, "the source may send again")


@needs_segments
def test_each_segment_counts_as_a_datagram(launch):
    daemon = launch(listeners=[udp_listener(rate_per_source=1, burst_per_source=10)])
    client = client_of(daemon)
    data = pattern(0, 6300)
    begin = time.monotonic()
    client.send_segments(data, 100)
    echoed, dropped = wait_counted(daemon, 63)
    check_rate(echoed, 10, 1, time.monotonic() - begin)
    assert dropped == {"source_rate": 63 - echoed}
    assert client.waiting()[:10] == segments(data, 100)[:10]


def test_total_rate_holds_all_sources_together(launch):
    daemon = launch(listeners=[udp_listener(rate_total=20)])
    clients = [client_of(daemon, source=f"127.0.0.{number}") for number in range(1, 11)]
    begin = time.monotonic()
    for client in clients * 10:
        client.send()
    echoed, dropped = wait_counted(daemon, 100)
    elapsed = time.monotonic() - begin
    assert 1 <= echoed <= 20 * (elapsed + 1) + 1, f"{echoed} echoed in {elapsed:.2f} s"
    assert dropped == {"total_rate": 100 - echoed}
    assert sum(len(client.waiting()) for client in clients) == echoed

    def served():
        clients[0].send()
        return clients[0].waiting()

    wait_until(served, 5, "it goes on")


# The budget


def kept(datagrams, budget):
    """What a budget lets through: after so many, one is dropped."""
    return [data for number, data in enumerate(datagrams, 1) if number % (budget + 1)]


def test_budget_drops_one_after_so_many(launch):
    """Counted for the source, whatever its ports."""
    daemon = launch(listeners=[udp_listener(budget_per_source=50)])
    clients = [client_of(daemon) for _ in range(2)]
    datagrams = [b"%d" % number for number in range(51 * 4)]
    replies = []
    for number, data in enumerate(datagrams):
        client = clients[number % 2]
        client.send(data)
        wait_counted(daemon, number + 1)
        replies += client.waiting()
    assert replies == kept(datagrams, 50)
    wait_dropped(daemon, 4, "budget", echoed=200)


def test_budget_within_a_burst(launch):
    daemon = launch(listeners=[udp_listener(budget_per_source=50)])
    client = client_of(daemon)
    datagrams = [b"%d" % number for number in range(51 * 2)]
    for data in datagrams:
        client.send(data)
    wait_dropped(daemon, 2, "budget", echoed=100)
    assert client.waiting() == kept(datagrams, 50)


@needs_segments
def test_budget_within_segments(launch):
    daemon = launch(listeners=[udp_listener(budget_per_source=25)])
    client = client_of(daemon)
    data = pattern(0, 60 * 200)
    client.send_segments(data, 200)
    wait_dropped(daemon, 2, "budget", echoed=58)
    assert client.waiting() == kept(segments(data, 200), 25)


def test_budget_of_each_source(launch):
    daemon = launch(listeners=[udp_listener("udp://*:0", budget_per_source=20)])
    clients = [
        client_of(daemon, host="127.0.0.1", source=f"127.0.0.{number}") for number in range(1, 5)
    ]
    for _ in range(20):
        for client in clients:
            client.exchange()
    for client in clients:
        client.send(b"one too many")
    wait_dropped(daemon, 4, "budget", echoed=80)
    for client in clients:
        client.exchange(b"and on")


def test_no_budget(launch):
    daemon = launch(listeners=[udp_listener(budget_per_source=0)])
    client = client_of(daemon)
    for start in range(0, 12800, 64):
        client.exchange_many([b"%d" % number for number in range(start, start + 64)])
    assert wait_counted(daemon, 12800) == (12800, {})
