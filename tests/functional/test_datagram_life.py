# SPDX-License-Identifier: BSD-2-Clause
"""Datagram listeners from start to stop: sockets of a service manager, reload, and the end."""

import os
import signal
import socket
import time
from select import select

import pytest

from harness import abstract_name, free_port, hold, pattern, seconds, settings, wait_until
from harness.activation import datagram_socket, listening_socket, passing, udp_address
from harness.datagrams import (
    DatagramClient,
    client_of,
    datagram_figures,
    udp_listener,
    wait_counted,
)
from harness.network import parse_address
from harness.process import descriptors, standing_still

ECHO = udp_listener()
TCP = {"name": "tcp", "address": "tcp://127.0.0.1:0"}


def second(name="second", **keys):
    """A listener whose port is known beforehand."""
    return udp_listener(f"udp://127.0.0.1:{free_port(kind=socket.SOCK_DGRAM)}", name, **keys)


def refused(address):
    """Whether the port says that nobody has it."""
    family, target = parse_address(address)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(target)
        sock.send(b"hello")
        try:
            sock.recv(10)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            pass
        return False


def wait_refused(address):
    """Its worker closes a socket when it has echoed what was in it."""
    wait_until(lambda: refused(address), 5, f"{address} is closed")


# Sockets of a service manager


def test_taken_by_name(launch):
    with datagram_socket() as sock:
        daemon = launch(passing([sock], "echo"), listeners=[second("echo")])
        assert daemon.addresses["echo"] == udp_address(sock)
        assert daemon.origins == {"echo": "inherited"}
        assert daemon.control.listener("echo")["origin"] == "inherited"
        client_of(daemon).exchange()


@pytest.mark.parametrize("names", ["", "unknown"])
def test_taken_by_address_when_no_name_fits(launch, names):
    with datagram_socket() as sock:
        daemon = launch(
            passing([sock], names), listeners=[udp_listener(udp_address(sock)), second()]
        )
        assert daemon.origins == {"echo": "inherited", "second": "bound"}
        client_of(daemon).exchange()
        client_of(daemon, "second").exchange()


def test_udp_and_tcp_of_one_port_are_told_apart_by_kind(launch):
    with listening_socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        datagram.bind(stream.getsockname())
        tcp = "tcp://%s:%d" % stream.getsockname()
        daemon = launch(
            passing([datagram, stream]),
            listeners=[
                {"name": "tcp", "address": tcp},
                udp_listener(udp_address(datagram)),
            ],
        )
        assert daemon.origins == {"tcp": "inherited", "echo": "inherited"}
        client_of(daemon).exchange()
        assert daemon.is_served("tcp")


def test_listening_stream_socket_is_refused_by_number_and_name(launch):
    with listening_socket() as bad:
        daemon = launch(passing([bad], "wrong"), ready=False, listeners=[second("wrong")])
        daemon.spawn()
        assert daemon.wait_exit() > 0
        lines = [line for line in daemon.log.lines() if "wrong" in line and "3" in line]
        assert lines, f"number and name are told:\n{daemon.log.text()}"


def test_one_that_matches_nothing_is_closed_with_a_warning(launch):
    extra = datagram_socket()
    address = udp_address(extra)
    daemon = launch(passing([extra], "stranger"), listeners=[ECHO])
    extra.close()
    assert [line for line in daemon.log.wait_mentions("stranger") if line["level"] == "warning"]
    assert refused(address)
    client_of(daemon).exchange()


@pytest.mark.parametrize(
    "host, asked, told", [("127.0.0.1", "127.0.0.1", False), ("0.0.0.0", "127.0.0.2", True)]
)
def test_what_came_before_the_start_is_echoed(launch, host, asked, told):
    """As the datagram for whose sake systemd starts a service.

    Of those that came before somebody wanted to know (IP_PKTINFO, which is PassPacketInfo= in a
    .socket unit) the kernel does not tell to which address they went, but that of the socket does
    where it has one.
    """
    with datagram_socket(host) as sock:
        sock.setsockopt(socket.IPPROTO_IP, 8, told)
        client = DatagramClient((asked, sock.getsockname()[1]))
        sent = [pattern(number, 100) for number in range(20)]
        for data in sent:
            client.send(data)
        daemon = launch(passing([sock], "echo"), listeners=[second("echo")])
        daemon.clients.append(client)
        assert wait_counted(daemon, 20) == (20, {})
        client.expect(sent)
        client.exchange_many(sent)
        assert wait_counted(daemon, 40) == (40, {})


def test_restart_loses_no_queued_datagram(launch):
    with datagram_socket() as sock:
        client = DatagramClient(sock.getsockname())
        options = passing([sock], "echo")
        for number in range(3):
            daemon = launch(options, listeners=[second("echo")])
            client.exchange(b"%d" % number)
            daemon.signal(signal.SIGTERM)
            sent = [b"%d of %d" % (part, number) for part in range(20)]
            for data in sent[:10]:
                client.send(data)
            assert daemon.wait_exit() == 0
            for data in sent[10:]:
                client.send(data)
            daemon = launch(options, listeners=[second("echo")])
            client.expect(sent)
            daemon.signal(signal.SIGTERM)
            assert daemon.wait_exit() == 0
        assert not client.waiting()
        client.close()


def test_inherited_unix_socket_is_not_unlinked(launch, tmp_path):
    path = tmp_path / "echo.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        daemon = launch(
            passing([sock], "echo"), listeners=[{"name": "echo", "address": f"unixgram:{path}"}]
        )
        daemon.outlives.add(path)
        assert daemon.origins == {"echo": "inherited"}
        client_of(daemon).exchange()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0
        assert os.path.lexists(path)


# Reload


def reload(daemon, *listeners, status=200):
    daemon.configure(settings(listeners=list(listeners)))
    reply = daemon.local.post("/reload")
    assert reply.status == status, reply.text
    return reply.json


def sockets(descriptors_now):
    """The sockets among them, as the kernel numbers them."""
    return {name for name in descriptors_now.values() if name.startswith("socket:")}


@pytest.mark.parametrize(
    "keys, reason",
    [
        ({"deny": ["127.0.0.0/8"]}, "denied"),
        ({"allow": ["127.0.0.2/32"]}, "not_allowed"),
        ({"min_source_port": 65535}, "source_port"),
        ({"rate_per_source": 1, "burst_per_source": 3}, "source_rate"),
        ({"rate_total": 1}, "total_rate"),
        ({"budget_per_source": 10}, "budget"),
    ],
)
def test_guards_change_live(launch, keys, reason):
    daemon = launch(listeners=[ECHO])
    client = client_of(daemon)
    for _ in range(50):
        client.exchange()
    address = daemon.control.listener("echo")["address"]
    assert reload(daemon, dict(ECHO, **keys))["needs_restart"] == []
    assert daemon.control.listener("echo")["address"] == address
    assert sockets(descriptors(daemon.pid)) >= sockets(daemon.descriptors), "the socket is kept"
    for _ in range(50):
        client.send()
    sent, dropped = wait_counted(daemon, 100)
    assert set(dropped) == {reason}
    assert len(client.waiting()) == sent - 50
    reload(daemon, ECHO)
    for _ in range(50):
        client.exchange()
    assert wait_counted(daemon, 150) == (sent + 50, dropped)


def test_datagrams_in_the_socket_survive_a_reload(launch):
    daemon = launch(listeners=[ECHO])
    client = client_of(daemon)
    sent = [b"%d" % number for number in range(50)]
    with standing_still(daemon.pid):
        for data in sent:
            client.send(data)
        daemon.configure(settings(listeners=[dict(ECHO, budget_per_source=5000), second()]))
        daemon.signal(signal.SIGHUP)
    client.expect(sent)
    wait_until(lambda: daemon.control.listener("second"), 5, "the reload")
    assert wait_counted(daemon, 50) == (50, {})
    daemon.more_descriptors += 4


def test_listener_comes_and_goes(launch):
    extra = second()
    daemon = launch(listeners=[ECHO])
    client = client_of(daemon)
    client.exchange()
    assert refused(extra["address"])
    for _ in range(2):
        reload(daemon, ECHO, extra)
        daemon.addresses["second"] = extra["address"]
        before = datagram_figures(daemon, "second")[1]
        client_of(daemon, "second").exchange()
        assert wait_counted(daemon, before + 1, "second") == (before + 1, {})
        reload(daemon, ECHO)
        wait_refused(extra["address"])
    client.exchange()
    assert wait_counted(daemon, 2) == (2, {})


def test_first_datagram_listener_beside_tcp(launch):
    extra = second()
    daemon = launch(listeners=[TCP])
    reload(daemon, TCP, extra)
    daemon.addresses["second"] = extra["address"]
    client_of(daemon, "second").exchange()
    reload(daemon, TCP)
    wait_refused(extra["address"])
    assert daemon.is_served("tcp")


def test_changed_address_moves_the_listener(launch):
    first, then = second("echo"), second("echo")
    daemon = launch(listeners=[first])
    client_of(daemon).exchange()
    reload(daemon, then)
    wait_refused(first["address"])
    daemon.addresses["echo"] = then["address"]
    client_of(daemon).exchange()


def test_listener_changes_its_kind(launch):
    port = free_port()
    tcp = {"name": "echo", "address": f"tcp://127.0.0.1:{port}"}
    udp = udp_listener(f"udp://127.0.0.1:{port}")
    daemon = launch(listeners=[tcp])
    assert daemon.is_served()
    reload(daemon, udp)
    assert not daemon.is_served()
    daemon.addresses["echo"] = udp["address"]
    client_of(daemon).exchange()
    reload(daemon, tcp)
    wait_refused(udp["address"])
    daemon.addresses["echo"] = tcp["address"]
    assert daemon.is_served()


def test_own_ports_follow_a_reload(launch):
    """What is a port of the daemon's own is so from the moment that it has it."""
    extra = second()
    port = int(extra["address"].rpartition(":")[2])
    daemon = launch(listeners=[ECHO])
    client = client_of(daemon, source=("127.0.0.9", port))
    client.exchange()
    reload(daemon, ECHO, extra)
    client.send()
    assert wait_counted(daemon, 2) == (1, {"own_port": 1})
    reload(daemon, ECHO)
    client.exchange()
    assert wait_counted(daemon, 3) == (2, {"own_port": 1})


@pytest.mark.parametrize(
    "address, key, value",
    [
        ("udp://127.0.0.1:0", "backlog", 5),
        ("udp://127.0.0.1:0", "idle_timeout", "1m"),
        ("udp://127.0.0.1:0", "mode", "0600"),
        ("tcp://127.0.0.1:0", "rate_per_source", 5),
        ("tcp://127.0.0.1:0", "min_source_port", 5),
        ("unixgram:@unused", "min_source_port", 5),
        ("unixgram:@unused", "backlog", 5),
    ],
)
def test_key_that_does_not_fit_refuses_the_file(launch, address, key, value):
    daemon = launch(listeners=[ECHO])
    misfit = {"name": "misfit", "address": address, key: value}
    errors = reload(daemon, ECHO, misfit, second(), status=422)["errors"]
    lines = daemon.config_path.read_text().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if "misfit" in line)
    assert [error for error in errors if f"{daemon.config_path}:{number}: " in error], errors
    assert any(key in error for error in errors)
    assert [row["name"] for row in daemon.control.stats()["listeners"]] == ["echo"]
    client_of(daemon).exchange()


@pytest.mark.parametrize(
    "keys",
    [
        {"min_source_port": 65536},
        {"min_source_port": -1},
        {"rate_per_source": "200"},
        {"deny": ["127.0.0.1/8"]},
        {"allow": ["everybody"]},
    ],
)
def test_bad_value_refuses_the_file(launch, keys):
    daemon = launch(listeners=[ECHO])
    (key,) = keys
    errors = reload(daemon, dict(ECHO, **keys), status=422)["errors"]
    assert any(f"{daemon.config_path}:" in error and key in error for error in errors), errors
    client_of(daemon).exchange()


# The end


def test_stops_at_once_when_nothing_waits(launch):
    daemon = launch(listeners=[ECHO], shutdown={"timeout": "30s", "idle_grace": "5s"})
    client_of(daemon).exchange()
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(4)
    assert refused(daemon.addresses["echo"])


@pytest.mark.parametrize(
    "address, count", [("udp://127.0.0.1:0", 100), ("udp://*:0", 100), ("unixgram", 5)]
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_waits_in_the_socket_is_echoed_first(launch, address, count, number):
    if address == "unixgram":
        address = f"unixgram:@{abstract_name()}"
        listener = {"name": "echo", "address": address}
    else:
        listener = udp_listener(address)
    daemon = launch(listeners=[listener])
    client = client_of(daemon)
    client.exchange()
    sent = [b"%d" % position for position in range(count)]
    with standing_still(daemon.pid):
        for data in sent:
            client.send(data)
        daemon.signal(number)
    client.expect(sent)
    assert daemon.wait_exit() == 0


def test_many_full_sockets_are_no_hung_worker(launch):
    """One worker, which has to empty them one after the other, longer than it may take to end."""
    count = 40
    names = [f"echo{number}" for number in range(count)]
    unbounded = {"rate_total": 0, "budget_per_source": 0}
    daemon = launch(workers=1, listeners=[udp_listener(name=name, **unbounded) for name in names])
    clients = [client_of(daemon, name) for name in names]
    with standing_still(daemon.pid):
        for client in clients:
            # more than the socket of the listener takes
            for _ in range(300):
                client.send_segments(bytes(64 * 60), 60)
        daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit(20) == 0


def test_guards_hold_to_the_end(launch):
    daemon = launch(listeners=[udp_listener(deny=["127.0.0.3/32"])])
    client, denied = client_of(daemon), client_of(daemon, source="127.0.0.3")
    with standing_still(daemon.pid):
        denied.send()
        client.send()
        daemon.signal(signal.SIGTERM)
    client.expect([b"hello"])
    assert daemon.wait_exit() == 0
    assert not denied.waiting()


def test_flood_does_not_hold_up_the_end(launch):
    daemon = launch(listeners=[ECHO], shutdown={"timeout": "2s"})
    client = client_of(daemon)
    client.exchange()
    daemon.signal(signal.SIGTERM)
    begin = time.monotonic()
    while daemon.process.poll() is None:
        assert time.monotonic() - begin < 2 + seconds(2), "it goes on for the flood's sake"
        client.sock.sendto(b"flood", client.target)
    assert daemon.wait_exit() == 0


def test_delay_goes_on_echoing(launch):
    daemon = launch(listeners=[ECHO], shutdown={"delay": "2s", "timeout": "30s"})
    client = client_of(daemon)
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: daemon.control.get("/readyz").status == 503, 5, "/readyz says 503")
    client.exchange()
    assert datagram_figures(daemon)[1] == 1
    assert daemon.wait_exit() == 0
    assert refused(daemon.addresses["echo"])


def test_datagrams_do_not_wait_for_streams(launch):
    """While connections drain, the socket is closed: another daemon may have the port."""
    daemon = launch(listeners=[ECHO, TCP], shutdown={"timeout": "30s", "idle_grace": "30s"})
    stream = daemon.connect("tcp")
    stream.sendall(b"hello")
    assert stream.recv(5) == b"hello"
    daemon.signal(signal.SIGTERM)
    wait_refused(daemon.addresses["echo"])
    stream.sendall(b"still there")
    assert stream.recv(11) == b"still there"
    stream.close()
    assert daemon.wait_exit() == 0


def test_drain_and_undrain(launch):
    extra = second()
    daemon = launch(listeners=[extra])
    client = client_of(daemon, "second")
    client.exchange()
    assert daemon.local.post("/drain").status == 200
    wait_refused(extra["address"])
    assert daemon.local.post("/undrain").status == 200
    client.exchange()
    assert daemon.control.get("/readyz").status == 200


@pytest.mark.parametrize("kind", ["udp", "unixgram"])
def test_undrain_does_not_wait_for_the_worker(launch, tmp_path, kind):
    """The old socket may still be with its worker when the new one wants the same address."""
    listener = second("echo")
    if kind == "unixgram":
        listener = {"name": "echo", "address": f"unixgram:{tmp_path}/echo.sock"}
    daemon = launch(listeners=[listener, TCP])
    client = client_of(daemon)
    for _ in range(50):
        client.send()
        for verb in ("/drain", "/undrain"):
            reply = daemon.local.post(verb)
            assert reply.status == 200, reply.text
        client.waiting()
    client = client_of(daemon)
    client.exchange()


def test_drained_socket_of_a_service_manager_keeps_what_comes(launch):
    """It stays open, and what it gets meanwhile is echoed when the daemon serves again."""
    with datagram_socket() as sock:
        daemon = launch(passing([sock], "echo"), listeners=[second("echo")])
        client = client_of(daemon)
        client.exchange()
        assert daemon.local.post("/drain").status == 200

        def silent():
            client.send(b"early or late")
            if not select([client.sock], [], [], 0.2)[0]:
                return True
            client.receive()
            return False

        wait_until(silent, 5, "it does not echo any more")
        hold(lambda: not client.waiting(), 0.3, "it does not echo")
        client.send(b"late")
        assert daemon.local.post("/undrain").status == 200
        assert client.receive_many(2) == [b"early or late", b"late"]
