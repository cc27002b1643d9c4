# SPDX-License-Identifier: BSD-2-Clause
"""Datagram sockets that fail: no worker spins, nobody else suffers, and the end still comes."""

import errno
import signal
import socket
import time
from select import select

import pytest

from harness import exchange, free_port, hold, settings, wait_until
from harness.activation import datagram_socket, passing
from harness.datagrams import DatagramClient, client_of, udp_listener, wait_counted
from harness.process import cpu_seconds

# linux/in.h, linux/in6.h and linux/udp.h, not in Python's socket.
IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVERR = 8, 10, 11
UDP_GRO = 104

OTHER = udp_listener(name="other")
TCP = {"name": "tcp", "address": "tcp://127.0.0.1:0"}

def port_of(daemon, name="echo"):
    return int(daemon.addresses[name].rpartition(":")[2])


def errors_of(daemon, name="echo"):
    counts = daemon.control.listener(name)["datagram_receive_errors"]
    return {word: count for word, count in counts.items() if count}


def warnings(daemon, name="echo"):
    return daemon.log.find("cannot read datagrams", level="warning", listener=name)


def check_at_rest(daemon):
    """The only worker serves the others, and does next to nothing for the one that fails."""
    stream = daemon.connect("tcp")
    other = client_of(daemon, "other")

    def served():
        exchange(stream)
        other.exchange()
        return True

    before, begin = cpu_seconds(daemon.pid), time.monotonic()
    hold(served, 1, "the others are served")
    spent, elapsed = cpu_seconds(daemon.pid) - before, time.monotonic() - begin
    assert spent < elapsed / 3, f"{spent:.2f} s of CPU in {elapsed:.2f} s"
    stream.close()


def launch_failing(launch, faults, error, **changes):
    """A daemon whose listener echo cannot be read, and a client of it that has sent ten."""
    daemon = launch(faults.options, workers=1, listeners=[udp_listener(), OTHER, TCP], **changes)
    faults.set("recvmmsg", error, port=port_of(daemon))
    client = client_of(daemon)
    for number in range(10):
        client.send(b"%d" % number)
    return daemon, client


@pytest.mark.parametrize(
    "name", ["EIO", "ENOMEM", "ENOBUFS", "EPERM", "EINVAL", "ENETDOWN", "ECONNREFUSED"]
)
def test_lasting_error_makes_the_endpoint_wait(launch, faults, name):
    daemon, client = launch_failing(launch, faults, getattr(errno, name))
    check_at_rest(daemon)
    counted = errors_of(daemon)
    assert set(counted) == {name if name != "ENETDOWN" else "other"}
    assert 4 <= sum(counted.values()) <= 100, counted
    (line,) = warnings(daemon)
    assert line["errno"] == getattr(errno, name)
    assert errors_of(daemon, "other") == {}
    faults.clear()
    client.expect([b"%d" % number for number in range(10)])
    client.exchange()
    assert len(warnings(daemon)) == 1
    labels = {"listener": "echo", "errno": name if name != "ENETDOWN" else "other"}
    assert daemon.control.metrics().value(
        "echod_datagram_receive_errors_total", **labels
    ) == sum(errors_of(daemon).values())


def test_second_episode_is_told_again(launch, faults):
    daemon, client = launch_failing(launch, faults, errno.EIO)
    daemon.log.wait_for("cannot read datagrams")
    faults.clear()
    client.expect([b"%d" % number for number in range(10)])

    def served():
        client.exchange()
        return True

    hold(served, 2.2, "an episode is over two seconds after its last error at the latest")
    faults.set("recvmmsg", errno.EIO, port=port_of(daemon))
    client.send()
    daemon.log.wait_for("cannot read datagrams", count=2)
    faults.clear()
    assert client.receive() == b"hello"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_end_comes_while_reading_fails(launch, faults, number):
    daemon, _ = launch_failing(launch, faults, errno.EIO, shutdown={"timeout": "1s"})
    daemon.log.wait_for("cannot read datagrams")
    daemon.signal(number)
    assert daemon.wait_exit() == 0


def test_reload_and_drain_while_reading_fails(launch, faults):
    daemon, _ = launch_failing(launch, faults, errno.EIO)
    daemon.log.wait_for("cannot read datagrams")
    assert daemon.local.post("/reload").status == 200
    assert daemon.local.post("/drain").status == 200
    faults.clear()
    assert daemon.local.post("/undrain").status == 200
    client = DatagramClient(("127.0.0.1", int(
        daemon.control.listener("echo")["address"].rpartition(":")[2])))
    client.exchange()
    client.close()


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "unix"])
def test_another_holder_shuts_the_socket_down(launch, tmp_path, host, how):
    """For ever readable and empty. What comes to a UDP socket all the same is still echoed."""
    if host == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(tmp_path / "echo.sock"))
        address = f"unixgram:{tmp_path}/echo.sock"
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        shown = f"[{host}]" if ":" in host else host
        address = f"udp://{shown}:{sock.getsockname()[1]}"
    listener = udp_listener(address) if host != "unix" else {"name": "echo", "address": address}
    with sock:
        daemon = launch(passing([sock], "echo"), workers=1, listeners=[listener, OTHER, TCP])
        if host == "unix":
            daemon.outlives.add(tmp_path / "echo.sock")
        client = client_of(daemon, host="127.0.0.1" if host == "0.0.0.0" else None)
        client.exchange()
        try:
            sock.shutdown(how)
        except OSError as error:
            # what an unconnected socket says, and does it all the same
            assert error.errno == errno.ENOTCONN
        check_at_rest(daemon)
        assert set(errors_of(daemon)) == {"ESHUTDOWN"}
        (line,) = warnings(daemon)
        assert line["errno"] == errno.ESHUTDOWN
        if host != "unix" and how == socket.SHUT_RD:
            for _ in range(3):
                client.exchange()
            assert len(warnings(daemon)) == 1
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0


@pytest.mark.parametrize("told", ["before", "while"])
def test_errors_of_earlier_sends_are_not_lasting(launch, told):
    """A socket may be told (IP_RECVERR) to keep what ICMP says of clients that are gone."""
    with datagram_socket() as sock:
        if told == "before":
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        daemon = launch(
            passing([sock], "echo"), workers=1, listeners=[udp_listener(), OTHER, TCP]
        )
        if told == "while":
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        client = client_of(daemon)
        client.exchange()
        for number in range(20):
            gone = DatagramClient(client.target)
            gone.send()
            gone.close()
            if number % 2:
                client.exchange_many([b"%d" % number, b"and one more"])
        check_at_rest(daemon)
        client.exchange()
        assert not warnings(daemon)


def test_start_that_cannot_watch_the_socket_fails(launch, faults):
    listener = udp_listener(f"udp://127.0.0.1:{free_port(kind=socket.SOCK_DGRAM)}")
    faults.set("epoll_ctl", errno.ENOSPC, port=int(listener["address"].rpartition(":")[2]))
    daemon = launch(faults.options, ready=False, listeners=[listener, TCP])
    daemon.spawn()
    assert daemon.wait_exit() > 0
    assert "listeners.echo" in daemon.log.text()
    assert "No space left on device" in daemon.log.text()


def test_reload_that_cannot_watch_the_socket_fails(launch, faults):
    listener = udp_listener(f"udp://127.0.0.1:{free_port(kind=socket.SOCK_DGRAM)}")
    faults.set("epoll_ctl", errno.ENOMEM, port=int(listener["address"].rpartition(":")[2]))
    daemon = launch(faults.options, listeners=[OTHER, TCP])
    daemon.configure(settings(listeners=[OTHER, TCP, listener]))
    reply = daemon.local.post("/reload")
    assert reply.status not in (200, 202), reply.text
    assert "listeners.echo" in reply.text
    client_of(daemon, "other").exchange()
    faults.clear()
    assert daemon.local.post("/reload").status == 200
    daemon.more_descriptors += 1
    daemon.addresses["echo"] = listener["address"]
    client_of(daemon).exchange()


@pytest.mark.parametrize("name", ["ENOSPC", "ENOMEM"])
def test_socket_that_cannot_be_watched_is_tried_again(launch, faults, name):
    with datagram_socket() as sock:
        options = {**passing([sock], "echo"), "env": faults.env}
        daemon = launch(options, workers=1, listeners=[udp_listener(), OTHER, TCP])
        client = client_of(daemon)
        client.exchange()
        assert daemon.local.post("/drain").status == 200

        def left_alone():
            client.send(b"early")
            if select([client.sock], [], [], 0.2)[0]:
                return not client.receive()
            return True

        wait_until(left_alone, 5, "the worker has heard of the drain")
        faults.set("epoll_ctl", name, port=port_of(daemon))
        wait_until(lambda: daemon.local.post("/undrain").status == 200, 5)
        wait_until(lambda: sum(errors_of(daemon).values()) >= 3, 5, "it is tried again")
        assert set(errors_of(daemon)) == {name}
        hold(lambda: not client.waiting(), 0.3, "nobody reads")
        faults.clear()
        assert client.receive() == b"early"
        client.exchange()
        assert len(warnings(daemon)) == 1


# What a socket is set to


def options_of(sock):
    names = {
        "IP_PKTINFO": (socket.IPPROTO_IP, IP_PKTINFO),
        "IP_MTU_DISCOVER": (socket.IPPROTO_IP, IP_MTU_DISCOVER),
        "IP_TOS": (socket.IPPROTO_IP, socket.IP_TOS),
        "UDP_GRO": (socket.IPPROTO_UDP, UDP_GRO),
        "SO_RCVBUF": (socket.SOL_SOCKET, socket.SO_RCVBUF),
        "SO_REUSEADDR": (socket.SOL_SOCKET, socket.SO_REUSEADDR),
        "SO_BROADCAST": (socket.SOL_SOCKET, socket.SO_BROADCAST),
    }
    if sock.family == socket.AF_INET6:
        names["IPV6_RECVPKTINFO"] = (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)
    return {name: sock.getsockopt(*which) for name, which in names.items()}


@pytest.mark.parametrize("host, pinned", [("127.0.0.1", True), ("0.0.0.0", False), ("::1", True)])
def test_reload_and_undrain_leave_the_socket_as_it_is(launch, host, pinned):
    with socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
    ) as sock:
        sock.bind((host, 0))
        shown = f"[{host}]" if ":" in host else host
        listener = udp_listener(f"udp://{shown}:{sock.getsockname()[1]}")
        daemon = launch(passing([sock], "echo"), listeners=[listener])
        client = client_of(daemon, host="127.0.0.1" if host == "0.0.0.0" else None)
        client.exchange()
        # what an operator does to it from outside lasts too
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100000)
        before = options_of(sock)
        assert before["IP_PKTINFO"] == int(not pinned)
        for verbs in (["/reload"], ["/drain", "/undrain"], ["/reload", "/reload"]):
            for verb in verbs:
                assert daemon.local.post(verb).status == 200
            client.exchange()
            assert options_of(sock) == before, verbs
        daemon.configure(settings(listeners=[dict(listener, dscp=10)]))
        assert daemon.local.post("/reload").status == 200
        assert options_of(sock) == {**before, "IP_TOS": 40}
        client.exchange()
        # a reload that is refused takes back what it has set
        busy = {"name": "busy", "address": f"udp://192.0.2.1:{free_port()}"}
        daemon.configure(settings(listeners=[dict(listener, dscp=20), busy]))
        assert daemon.local.post("/reload").status != 200
        assert options_of(sock) == {**before, "IP_TOS": 40}
        assert wait_counted(daemon, 5) == (5, {})
