# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams over wires: which address and wire a reply takes, and loops of two daemons that end."""

import contextlib
import socket
import time

import pytest

from harness import hold, pattern, wait_until
from harness.datagrams import (
    LARGEST,
    DatagramClient,
    client_of,
    datagram_figures,
    udp_listener,
    wait_counted,
)
from harness.forge import forge, forge_frame
from harness.namespaces import join, own_network, wired

PORT = 20007
OTHER_PORT = 20008

# The client's address, the server's, and the network that it is all in.
NEAR = {4: "10.77.0.1", 6: "fd77::1"}
FAR = {4: "10.77.0.2", 6: "fd77::2"}


@pytest.fixture
def wire(as_root):
    """Two networks, the client's and the server's, joined by a wire; addresses as above."""
    with wired() as (client, server):
        server.add_addresses("veth0", "10.77.0.3/24", "fd77::3/64")
        server.add_addresses("veth0", "10.78.0.1/24", "fd78::1/64")
        client.ip("route", "add", "10.78.0.0/24", "via", "10.77.0.2")
        client.ip("route", "add", "fd78::/64", "via", "fd77::2")
        yield client, server


def launch_inside(launch, namespace, listener, **changes):
    """A daemon in there, watched through its UNIX socket, which is no matter of networks."""
    daemon = launch({"prefix": namespace.prefix}, listeners=[listener], **changes)
    daemon.control = daemon.local
    return daemon


def serve(launch, namespace, **keys):
    return launch_inside(launch, namespace, udp_listener(f"udp://*:{PORT}", **keys))


# Which way a reply takes


def test_reply_comes_from_the_address_asked(launch, wire):
    client, server = wire
    daemon = serve(launch, server)
    hosts = ["10.77.0.2", "10.77.0.3", "10.78.0.1", "fd77::2", "fd77::3", "fd78::1"]
    for host in hosts * 2:
        client_of(daemon, host=host, inside=client).exchange(host.encode())
    assert wait_counted(daemon, 2 * len(hosts)) == (2 * len(hosts), {})


def test_asked_from_the_machine_itself(launch, wire):
    """The loopback carries it, though the address is another interface's."""
    _, server = wire
    daemon = serve(launch, server)
    for host in ("10.77.0.2", "10.78.0.1", "127.0.0.1", "fd77::2", "fd78::1", "::1"):
        client_of(daemon, host=host, inside=server).exchange(host.encode())


def test_address_that_is_local_by_a_route_alone(launch, wire):
    client, server = wire
    for network, near, family in (("10.99.0.0/24", FAR[4], "-4"), ("fd99::/64", FAR[6], "-6")):
        server.ip(family, "route", "add", "local", network, "dev", "lo")
        client.ip(family, "route", "add", network, "via", near)
    daemon = serve(launch, server)
    for host in ("10.99.0.5", "fd99::5"):
        client_of(daemon, host=host, inside=client).exchange(host.encode())
    assert wait_counted(daemon, 2) == (2, {})


@pytest.mark.parametrize("host", ["10.77.0.3", "fd77::3"])
def test_datagrams_in_fragments(launch, wire, host):
    """Larger than what the wire carries at a time; the size of the reply is the question's."""
    client, server = wire
    daemon = serve(launch, server)
    asker = client_of(daemon, host=host, inside=client)
    for size in (1452, 1453, 1472, 1473, 9000, LARGEST) * 2:
        asker.exchange(pattern(size, size))
    assert wait_counted(daemon, 12) == (12, {})


def test_segments_over_a_wire(launch, wire):
    client, server = wire
    daemon = serve(launch, server)
    for host in ("10.77.0.3", "fd77::3"):
        asker = client_of(daemon, host=host, inside=client)
        asker.send_segments(pattern(0, 20300), 1000)
        asker.expect([pattern(start, min(1000, 20300 - start)) for start in range(0, 20300, 1000)])


@pytest.fixture
def two_wires(wire):
    """A second client on a wire of its own, with the same addresses as the first has."""
    client, server = wire
    with own_network() as second:
        join(second, server, peer="veth1")
        second.add_addresses("veth0", "10.77.0.1/24", "fe80::1/64")
        server.add_addresses("veth1", "10.77.0.9/24", "fe80::2/64")
        client.add_addresses("veth0", "fe80::1/64")
        server.add_addresses("veth0", "fe80::2/64")
        yield client, second, server


def test_reply_takes_the_wire_of_the_question(launch, two_wires):
    """Both clients have the same link-local address and ask the same one: only the wire differs."""
    first, second, server = two_wires
    daemon = serve(launch, server)
    clients = []
    for namespace in (first, second):
        with namespace.entered():
            target = ("fe80::2", PORT, 0, socket.if_nametoindex("veth0"))
        clients.append(DatagramClient(target, ("fe80::1", 7777, 0, target[3]), inside=namespace))
    with contextlib.closing(clients[0]), contextlib.closing(clients[1]):
        for number in range(10):
            for which, client in enumerate(clients):
                client.send(b"%d of %d" % (number, which))
        for which, client in enumerate(clients):
            client.expect([b"%d of %d" % (number, which) for number in range(10)])
    assert wait_counted(daemon, 20) == (20, {})


@pytest.mark.parametrize(
    "source, asked",
    [
        ("127.0.0.1", "10.77.0.2"),
        ("10.77.0.3", "10.77.0.2"),
        ("10.77.0.2", "127.0.0.1"),
        ("::1", "fd77::2"),
        ("fd77::3", "fd77::2"),
    ],
)
def test_machine_asks_itself(launch, wire, source, asked):
    """At one own address, from another: the way back is not the wire that has the first."""
    _, server = wire
    daemon = serve(launch, server)
    client_of(daemon, host=asked, source=source, inside=server).exchange()


# What must not be answered


def nothing_was_sent(daemon, namespace, before):
    """Neither the daemon nor its kernel says that a reply went out."""
    assert datagram_figures(daemon)[1] == 0
    after = namespace.udp_counts()
    for key in ("UdpOutDatagrams", "Udp6OutDatagrams"):
        assert after[key] == before[key], key


def test_asked_by_broadcast(launch, wire):
    client, server = wire
    daemon = serve(launch, server)
    before = server.udp_counts()
    asker = client_of(daemon, host="10.77.0.255", inside=client)
    asker.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for _ in range(3):
        asker.send()
    assert wait_counted(daemon, 3) == (0, {"destination": 3})
    nothing_was_sent(daemon, server, before)


@pytest.mark.parametrize("address", ["127.255.255.255", "10.77.0.255"])
def test_listens_at_a_broadcast_address(launch, wire, address):
    """Bound to that alone, so that nothing but the address says that it is no single host's."""
    client, server = wire
    inside = server if address.startswith("127") else client
    daemon = launch_inside(launch, server, udp_listener(f"udp://{address}:{PORT}"))
    before = server.udp_counts()
    asker = client_of(daemon, host=address, inside=inside)
    asker.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for _ in range(3):
        asker.send()
    assert wait_counted(daemon, 3) == (0, {"destination": 3})
    if inside is client:
        nothing_was_sent(daemon, server, before)


@pytest.mark.parametrize("group", ["224.0.0.1", "ff02::1"])
def test_asked_by_multicast(launch, wire, group):
    """Groups that each host is in. Not to have it delivered is as good as to drop it."""
    client, server = wire
    daemon = serve(launch, server)
    before = server.udp_counts()
    asker = client_of(daemon, host=group, inside=client)
    if group == "ff02::1":
        with client.entered():
            index = socket.if_nametoindex("veth0")
        asker.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        near = socket.inet_aton(NEAR[4])
        asker.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, near)
    asker.send()
    # The wire keeps the order: when this one is there, so is what went before.
    host = FAR[6] if ":" in group else FAR[4]
    refused = client_of(daemon, host=host, source=("", 1900), inside=client)
    refused.send()
    wait_until(lambda: datagram_figures(daemon)[2].get("reflector_port") == 1, 5, "the second")
    received, _, dropped = datagram_figures(daemon)
    assert dropped in ({"reflector_port": 1}, {"reflector_port": 1, "destination": 1})
    assert received == sum(dropped.values())
    nothing_was_sent(daemon, server, before)


@pytest.mark.parametrize("bound", ["*", "0.0.0.0", FAR[4]])
@pytest.mark.parametrize("way", ["wire", "loopback", "routed", "routed inside"])
def test_source_in_network_zero(launch, wire, bound, way):
    """The kernel delivers some of it. Asked to route 0.0.0.0, it puts in an address of its own."""
    client, server = wire
    daemon = launch_inside(launch, server, udp_listener(f"udp://{bound}:{PORT}"))
    before = server.udp_counts()
    inside = client if way in ("wire", "routed") else server
    for asked in (FAR[4], "255.255.255.255", "0.0.0.0", "127.0.0.1"):
        for source in ("0.0.0.1", "0.255.255.255", "0.0.0.0"):
            if not way.startswith("routed"):
                device = "veth0" if way == "wire" else "lo"
                forge_frame(device, (source, 5000), (asked, PORT), inside=inside)
            elif source != "0.0.0.0":
                with contextlib.suppress(OSError):
                    forge((source, 5000), (asked, PORT), inside=inside)
    # Each way keeps the order: when these are there, so is what went before.
    for namespace in (client, server):
        client_of(daemon, host=FAR[4], source=("", 1900), inside=namespace).send()
    wait_until(lambda: datagram_figures(daemon)[2].get("reflector_port") == 2, 5, "the last two")
    received, sent, dropped = datagram_figures(daemon)
    assert set(dropped) == {"source_unspecified", "reflector_port"}
    assert (received, sent) == (sum(dropped.values()), 0)
    after = server.udp_counts()["UdpOutDatagrams"]
    assert after == before["UdpOutDatagrams"] + 1, "the question from inside, and no reply"


@pytest.mark.parametrize("bound", ["*", f"[{FAR[6]}]"])
def test_source_without_address_over_ipv6(launch, wire, bound):
    client, server = wire
    daemon = launch_inside(launch, server, udp_listener(f"udp://{bound}:{PORT}"))
    before = server.udp_counts()
    forge_frame("veth0", ("::", 5000), (FAR[6], PORT), inside=client)
    assert wait_counted(daemon, 1) == (0, {"source_unspecified": 1})
    nothing_was_sent(daemon, server, before)


@pytest.mark.parametrize("bound", ["*", "0.0.0.0", FAR[4]])
def test_broadcast_of_the_network_as_source(launch, wire, bound):
    """A flood of it is no matter of rates, and leaves the others theirs."""
    client, server = wire
    listener = udp_listener(f"udp://{bound}:{PORT}", rate_per_source=20, burst_per_source=20)
    daemon = launch_inside(launch, server, listener)
    before = server.udp_counts()
    forge(("10.77.0.255", 5000), (FAR[4], PORT), inside=client)
    assert wait_counted(daemon, 1) == (0, {"source_subnet_broadcast": 1})
    for _ in range(100):
        forge(("10.77.0.255", 5000), (FAR[4], PORT), inside=client)
    assert wait_counted(daemon, 101) == (0, {"source_subnet_broadcast": 101})
    nothing_was_sent(daemon, server, before)
    client_of(daemon, host=FAR[4], inside=client).exchange()


def test_broadcast_of_a_network_that_the_machine_gets_later(launch, wire):
    client, server = wire
    daemon = serve(launch, server)
    source = ("10.79.0.127", 5000)
    for _ in range(3):
        server.add_addresses("veth0", "10.79.0.1/25")
        received = datagram_figures(daemon)[0]
        forge(source, (FAR[4], PORT), inside=client)
        sent, dropped = wait_counted(daemon, received + 1)
        assert (sent, set(dropped)) == (0, {"source_subnet_broadcast"})
        server.ip("address", "del", "10.79.0.1/25", "dev", "veth0")


def test_broadcasts_of_many_networks(launch, wire):
    """More than are remembered."""
    client, server = wire
    for number in range(12):
        server.add_addresses("veth0", f"10.80.{number}.1/24")
    daemon = serve(launch, server)
    for _ in range(5):
        for number in range(12):
            count = datagram_figures(daemon)[0] + 1
            forge((f"10.80.{number}.255", 5000), (FAR[4], PORT), inside=client)
            assert wait_counted(daemon, count)[0] == 0
    dropped = datagram_figures(daemon)[2]
    assert dropped["source_subnet_broadcast"] + dropped.get("send_refused", 0) == 60
    assert dropped["source_subnet_broadcast"] >= 12


def test_a_route_that_prohibits_is_no_broadcast(launch, wire):
    client, server = wire
    server.ip("route", "add", "prohibit", "203.0.113.0/24")
    daemon = serve(launch, server)
    for _ in range(3):
        forge(("203.0.113.255", 5000), (FAR[4], PORT), inside=client)
    assert wait_counted(daemon, 3) == (0, {"send_refused": 3})


def test_source_without_a_route(launch, wire):
    client, server = wire
    daemon = serve(launch, server)
    for _ in range(3):
        forge(("2001:db8::9", 5000), (FAR[6], PORT), inside=client)
    client_of(daemon, host=FAR[6], inside=client).exchange()
    assert wait_counted(daemon, 4) == (1, {"send_unreachable": 3})


def test_source_without_a_route_over_ipv4(launch, wire):
    """Told which wire to take, the kernel's IPv4 believes that the address must be on it."""
    client, server = wire
    daemon = serve(launch, server)
    for _ in range(3):
        forge(("203.0.113.9", 5000), (FAR[4], PORT), inside=client)
    client_of(daemon, host=FAR[4], inside=client).exchange()
    assert wait_counted(daemon, 4) in [(4, {}), (1, {"send_unreachable": 3})]


def test_addresses_of_one_ipv6_network_are_one_source(launch, wire):
    client, server = wire
    client.add_addresses("veth0", "fd77::5:1/64", "fd79::1/64")
    server.ip("route", "add", "fd79::/64", "via", NEAR[6])
    daemon = serve(launch, server, rate_per_source=1, burst_per_source=10)
    begin = time.monotonic()
    for source in (NEAR[6], "fd77::5:1"):
        asker = client_of(daemon, host=FAR[6], source=source, inside=client)
        for _ in range(10):
            asker.send()
    echoed, dropped = wait_counted(daemon, 20)
    assert 10 <= echoed <= 11 + time.monotonic() - begin
    assert dropped == {"source_rate": 20 - echoed}
    stranger = client_of(daemon, host=FAR[6], source="fd79::1", inside=client)
    stranger.exchange_many([b"%d" % number for number in range(10)])
    rows = daemon.control.document("/sources")["sources"]
    assert {row["source"]: row["echoed"] for row in rows} == {"fd77::/64": echoed, "fd79::/64": 10}


# Loops


def at_rest(*namespaces):
    """No datagram moves any more."""

    def moved():
        return [
            {key: n for key, n in namespace.udp_counts().items() if "Datagrams" in key}
            for namespace in namespaces
        ]

    before = moved()
    hold(lambda: moved() == before, 0.5, "the wire is silent")


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("port, reasons", [(PORT, {"own_port"}), (7, {"own_port", "source_port"})])
def test_two_daemons_with_one_port(launch, wire, family, port, reasons):
    """Without any limit they would talk for ever; the port alone tells."""
    listener = udp_listener(f"udp://*:{port}", budget_per_source=0)
    near, far = (launch_inside(launch, namespace, listener) for namespace in wire)
    forge((NEAR[family], port), (FAR[family], port), inside=wire[0])
    sent, dropped = wait_counted(far, 1)
    assert (sent, list(dropped.values())) == (0, [1])
    assert set(dropped) <= reasons
    hold(lambda: datagram_figures(far)[0] == 1, 1, "nothing else comes")
    assert datagram_figures(near) == (0, 0, {})
    at_rest(*wire)


def budget_ends_a_loop(launch, wire, family):
    near, far = (
        launch_inside(
            launch, namespace, udp_listener(f"udp://*:{port}", budget_per_source=50)
        )
        for namespace, port in zip(wire, (PORT, OTHER_PORT))
    )
    forge((NEAR[family], PORT), (FAR[family], OTHER_PORT), b"ball", inside=wire[0])
    assert wait_counted(far, 51) == (50, {"budget": 1})
    assert wait_counted(near, 50) == (50, {})
    at_rest(*wire)
    rows = far.control.document("/sources")["sources"]
    source = "10.77.0.1/32" if family == 4 else "fd77::/64"
    assert [(row["source"], row["echoed"], row["dropped"]) for row in rows] == [(source, 50, 1)]


@pytest.mark.parametrize("family", [4, 6])
def test_budget_ends_a_loop(launch, wire, family):
    """Two daemons whose ports tell nothing: the one that is asked first runs out first."""
    budget_ends_a_loop(launch, wire, family)


@pytest.mark.parametrize("family", [4, 6])
def test_budget_ends_a_loop_that_takes_its_time(launch, wire, faults, family):
    """As over a long wire; few kernels can delay what a wire carries, so each reading dawdles."""
    faults.set("recvmmsg", delay_ms=2)

    def slow(options=None, **changes):
        return launch({**(options or {}), **faults.options}, **changes)

    budget_ends_a_loop(slow, wire, family)
    assert faults.hits > 100


def test_budget_ends_many_loops(launch, wire):
    """Twenty balls in the air. Each drop takes one away, so it takes a while."""
    near, far = (
        launch_inside(launch, namespace, udp_listener(f"udp://*:{port}", budget_per_source=50))
        for namespace, port in zip(wire, (PORT, OTHER_PORT))
    )
    for number in range(20):
        forge((NEAR[4], PORT), (FAR[4], OTHER_PORT), b"%d" % number, inside=wire[0])

    def dropped():
        return sum(datagram_figures(daemon)[2].get("budget", 0) for daemon in (near, far))

    wait_until(lambda: dropped() == 20, 20, "all are dropped")
    at_rest(*wire)
    for daemon in (near, far):
        assert set(datagram_figures(daemon)[2]) <= {"budget"}
