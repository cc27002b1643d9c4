# SPDX-License-Identifier: BSD-2-Clause
"""UNIX datagrams: echoed to whoever has a name, and never waited for."""

import array
import os
import signal
import socket
import stat

import pytest

from harness import abstract_name, pattern, seconds, settings
from harness.datagrams import LARGEST, client_of, wait_counted
from harness.network import parse_address
from harness.process import standing_still


@pytest.fixture(params=["path", "abstract"])
def listener(request, tmp_path):
    address = f"{tmp_path}/echo.sock" if request.param == "path" else f"@{abstract_name()}"
    return {"name": "echo", "address": f"unixgram:{address}"}


def test_every_size(launch, listener):
    daemon = launch(listeners=[listener])
    client = client_of(daemon)
    for position, size in enumerate([0, 1, 1472, 9000, LARGEST] * 3):
        client.exchange(pattern(position, size))
    assert wait_counted(daemon, 15) == (15, {})
    assert not client.waiting()


def test_clients_with_names_of_every_kind(launch, listener, tmp_path):
    daemon = launch(listeners=[listener])
    for source in (None, str(tmp_path / "client.sock"), "\0" + abstract_name()):
        client_of(daemon, source=source).exchange(pattern(3, 1000))


def test_burst_comes_back_in_order(launch, listener):
    """As many as the queue of a UNIX socket holds on a machine that was left as it is."""
    daemon = launch(listeners=[listener])
    client = client_of(daemon)
    for start in range(0, 50, 5):
        client.exchange_many([pattern(start, 100 + start + number) for number in range(5)])
    assert wait_counted(daemon, 50) == (50, {})


def test_sender_without_a_name_is_counted(launch, listener):
    daemon = launch(listeners=[listener])
    family, address = parse_address(daemon.addresses["echo"])
    with socket.socket(family, socket.SOCK_DGRAM) as nameless:
        nameless.settimeout(seconds(10))
        for _ in range(7):
            nameless.sendto(b"hello", address)
    client_of(daemon).exchange()
    assert wait_counted(daemon, 8) == (1, {"unnamed": 7})


def test_relative_name_is_not_answered(launch, listener, tmp_path, monkeypatch):
    """The daemon would look it up in a folder of its own, and write to somebody else."""
    daemon = launch(listeners=[listener])
    monkeypatch.chdir(tmp_path)
    client_of(daemon, source="client.sock").send()
    client_of(daemon).exchange()
    assert wait_counted(daemon, 2) == (1, {"unnamed": 1})


def test_descriptors_are_not_taken(launch, listener):
    """What a client attaches to its datagrams stays the client's."""
    daemon = launch(listeners=[listener])
    client = client_of(daemon)
    client.exchange()
    folder = f"/proc/{daemon.pid}/fd"
    before = len(os.listdir(folder))
    with open("/dev/null", "rb") as file:
        rights = array.array("i", [file.fileno()] * 10)
        for _ in range(50):
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
            client.sock.sendmsg([b"take these"], control, 0, client.target)
            assert client.receive() == b"take these"
    assert len(os.listdir(folder)) == before


def test_daemon_does_not_talk_to_itself(launch, tmp_path):
    """A name that is changed behind the daemon's back to lead to its own socket: one hop, no more."""
    path, name = tmp_path / "echo.sock", tmp_path / "client.sock"
    daemon = launch(listeners=[{"name": "echo", "address": f"unixgram:{path}"}])
    client = client_of(daemon, source=str(name))
    with standing_still(daemon.pid):
        client.send()
        name.unlink()
        name.symlink_to(path)
    assert wait_counted(daemon, 2) == (1, {"own_port": 1})


def test_budget_ends_what_goes_round(launch, listener):
    daemon = launch(listeners=[dict(listener, budget_per_source=10)])
    client = client_of(daemon)
    for number in range(1, 26):
        client.send()
        if number % 11 > 0:
            client.receive()
    assert wait_counted(daemon, 25) == (23, {"budget": 2})


def test_client_that_does_not_read_is_not_waited_for(launch, listener):
    """It gets what its queue has room for; what comes after is dropped, and others are served."""
    daemon = launch(listeners=[listener])
    lazy, other = client_of(daemon), client_of(daemon)
    sent = [b"%d" % number for number in range(400)]
    for number, data in enumerate(sent):
        lazy.send(data)
        if number % 100 == 0:
            other.exchange()
    echoed, dropped = wait_counted(daemon, len(sent) + 4)
    replies = lazy.waiting()
    assert replies == sent[: len(replies)]
    assert (echoed, dropped) == (len(replies) + 4, {"send_full": len(sent) - len(replies)})
    lazy.exchange(b"it reads again")


def test_client_that_is_gone_disturbs_nobody(launch, listener, tmp_path):
    daemon = launch(listeners=[listener])
    gone = [client_of(daemon, source=str(tmp_path / f"client{n}")) for n in range(2)]
    with standing_still(daemon.pid):
        for client in gone:
            client.send()
            client.close()
        os.unlink(tmp_path / "client0")
    client_of(daemon).exchange()
    echoed, dropped = wait_counted(daemon, 3)
    assert echoed == 1
    assert set(dropped) <= {"send_refused", "send_unreachable"}


def test_datagram_larger_than_any_of_udp(launch, listener):
    """It comes back whole, or is counted and does not come back at all: never a piece of it."""
    daemon = launch(listeners=[listener])
    client = client_of(daemon)
    data = pattern(0, 100000)
    client.send(data)
    client.send(b"the next")
    echoed, dropped = wait_counted(daemon, 2)
    replies = client.receive_many(echoed)
    assert (replies, dropped) in [
        ([data, b"the next"], {}),
        ([b"the next"], {"truncated": 1}),
    ], [len(reply) for reply in replies]


def test_file_is_there_and_goes(launch, tmp_path):
    path = tmp_path / "echo.sock"
    daemon = launch(listeners=[{"name": "echo", "address": f"unixgram:{path}"}])
    assert stat.S_ISSOCK(path.stat().st_mode)
    client_of(daemon).exchange()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert not list(tmp_path.glob("echo.sock*"))


def test_mode_changes_live(launch, tmp_path):
    path = tmp_path / "echo.sock"
    listener = {"name": "echo", "address": f"unixgram:{path}", "mode": "0600"}
    daemon = launch(listeners=[listener])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    inode = path.stat().st_ino
    daemon.configure(settings(listeners=[dict(listener, mode="0666")]))
    assert daemon.local.post("/reload").status == 200
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_ino) == (0o666, inode)
    client_of(daemon).exchange()


def test_stale_file_is_replaced(launch, tmp_path):
    path = tmp_path / "echo.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stale:
        stale.bind(str(path))
    daemon = launch(listeners=[{"name": "echo", "address": f"unixgram:{path}"}])
    client_of(daemon).exchange()


def test_live_socket_is_not_taken(launch, tmp_path):
    path = tmp_path / "echo.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        inode = path.stat().st_ino
        daemon = launch(ready=False, listeners=[{"name": "echo", "address": f"unixgram:{path}"}])
        daemon.outlives.add(path)
        daemon.spawn()
        assert daemon.wait_exit() == 69
        assert str(path) in daemon.log.text()
        assert path.stat().st_ino == inode
