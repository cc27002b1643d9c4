# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces and socket files that come, go and come back: no mistake of the file."""

import os
import socket
import stat
import subprocess

import pytest

from harness import BINARY, exchange, pause, seconds, settings, wait_until
from harness.control_client import ControlClient
from harness.namespaces import own_network

PORT = 20017
ZONED = f"[fe80::1%eth7]:{PORT}"


@pytest.fixture
def network(as_root):
    with own_network() as namespace:
        yield namespace


def plug(namespace):
    namespace.ip("link", "add", "eth7", "type", "veth", "peer", "name", "far7")
    for name in ("far7", "eth7"):
        namespace.ip("link", "set", name, "addrgenmode", "none", "up")
    namespace.add_addresses("eth7", "fe80::1/64")


def unplug(namespace):
    namespace.ip("link", "delete", "eth7")


def zoned(scheme="tcp", **keys):
    return {"name": "zoned", "address": f"{scheme}://{ZONED}", **keys}


def begin(launch, namespace, *listeners):
    """A daemon in there, asked through its UNIX socket, which is no matter of networks."""
    plain = {"name": "plain", "address": "tcp://127.0.0.1:0"}
    daemon = launch({"prefix": namespace.prefix}, ready=False, listeners=[plain, *listeners])
    daemon.spawn()
    daemon.log.wait_for(".* is ready")
    daemon.local = ControlClient(str(daemon.directory / "control.sock"))
    return daemon


def echoes(namespace, kind=socket.SOCK_STREAM):
    """Whether the link-local address answers on its interface as that is now."""
    with namespace.entered():
        try:
            with socket.socket(socket.AF_INET6, kind) as sock:
                sock.settimeout(1)
                sock.connect(("fe80::1", PORT, 0, socket.if_nametoindex("eth7")))
                sock.send(b"hello")
                return sock.recv(5) == b"hello"
        except OSError:
            return False


@pytest.mark.parametrize(
    "changes",
    [
        {"listeners": [zoned()]},
        {"listeners": [zoned("udp")]},
        {"listeners": [{"name": "zoned", "address": f"tcp://[fe80::1%4242]:{PORT}"}]},
        {"control": {"http": ZONED}},
    ],
    ids=["tcp", "udp", "number", "control"],
)
def test_missing_interface_is_unavailable_and_told_by_name(launch, changes):
    daemon = launch(ready=False, **changes)
    daemon.spawn()
    assert daemon.wait_exit() == 69
    zone = "4242" if "4242" in str(changes) else "eth7"
    assert f"there is no interface {zone} now" in daemon.log.text()


def test_missing_interface_is_no_mistake_of_the_file(launch):
    daemon = launch(ready=False, listeners=[zoned()])
    result = subprocess.run(
        [BINARY, "-t", "-c", daemon.config_path], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_missing_interface_of_a_disabled_listener_does_not_matter(launch):
    daemon = launch(
        listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0"}, zoned(enabled=False)]
    )
    assert daemon.is_served()


def test_number_of_an_interface_is_a_zone(launch, network):
    plug(network)
    with network.entered():
        number = socket.if_nametoindex("eth7")
    address = f"tcp://[fe80::1%{number}]:{PORT}"
    begin(launch, network, {"name": "zoned", "address": address})
    assert echoes(network)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_freebind_serves_the_rest_and_binds_when_the_interface_comes(launch, network, kind):
    scheme = "tcp" if kind == socket.SOCK_STREAM else "udp"
    daemon = begin(launch, network, zoned(scheme, freebind=True))
    assert daemon.log.wait_mentions("there is no interface eth7 now")
    assert daemon.local.listener("zoned")["address"] is None
    plug(network)
    wait_until(lambda: echoes(network, kind), 10, "the listener is bound")
    assert daemon.local.listener("zoned")["origin"] == "bound"


def test_freebind_follows_an_interface_that_is_made_anew(launch, network):
    plug(network)
    begin(launch, network, zoned(freebind=True))
    assert echoes(network)
    unplug(network)
    plug(network)
    wait_until(lambda: echoes(network), 10, "the listener is bound anew")


def test_interface_made_anew_that_somebody_else_has_is_told_once(launch, network):
    """Tried every two seconds, and told again by a reload alone."""
    plug(network)
    daemon = begin(launch, network, zoned(freebind=True))
    unplug(network)
    plug(network)
    with network.entered():
        other = socket.create_server(
            ("fe80::1", PORT, 0, socket.if_nametoindex("eth7")), family=socket.AF_INET6
        )
    with other:
        pause(seconds(5), "it is tried every two seconds")
        assert daemon.log.text().count("and nobody reaches it") == 1
        assert daemon.local.post("/reload").status == 200
        assert daemon.log.text().count("and nobody reaches it") == 2
    wait_until(lambda: echoes(network), 10, "the listener is bound anew")


def test_reload_goes_well_while_the_interface_is_gone(launch, network):
    plug(network)
    daemon = begin(launch, network, zoned())
    unplug(network)
    reply = daemon.local.post("/reload")
    assert reply.status == 200, reply.text
    assert daemon.local.listener("zoned")["origin"] == "bound"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_reload_binds_anew_to_an_interface_that_was_made_anew(launch, network, kind):
    plug(network)
    daemon = begin(launch, network, zoned("tcp" if kind == socket.SOCK_STREAM else "udp"))
    assert echoes(network, kind)
    unplug(network)
    plug(network)
    assert not echoes(network, kind)
    assert daemon.local.post("/reload").status == 200
    assert echoes(network, kind)
    assert daemon.log.wait_mentions("its interface was made anew: bound anew")


# Socket files


def _path_listener(tmp_path, scheme="unix"):
    return {"name": "echo", "address": f"{scheme}:{tmp_path / 'echo.sock'}"}


@pytest.mark.parametrize("lock_too", [False, True])
def test_reload_binds_a_removed_socket_file_anew(launch, tmp_path, lock_too):
    path = tmp_path / "echo.sock"
    lock = tmp_path / "echo.sock.lock"
    daemon = launch(listeners=[_path_listener(tmp_path)])
    with daemon.connect() as old:
        path.unlink()
        if lock_too:
            lock.unlink()
        assert daemon.control.get("/readyz").status == 200
        assert daemon.local.post("/reload").status == 200
        assert daemon.is_served()
        assert lock.exists()
        exchange(old)
    assert daemon.log.wait_mentions("its socket file was removed or replaced: bound anew")
    daemon.signal(15)
    assert daemon.wait_exit() == 0
    assert not path.exists() and not lock.exists()


def test_reload_binds_a_removed_socket_file_anew_with_its_new_mode(launch, tmp_path):
    path = tmp_path / "echo.sock"
    listener = _path_listener(tmp_path)
    daemon = launch(listeners=[{**listener, "mode": "0600"}])
    path.unlink()
    daemon.configure(settings(listeners=[{**listener, "mode": "0666"}]))
    assert daemon.local.post("/reload").status == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_reload_binds_a_removed_datagram_socket_file_anew(launch, tmp_path):
    path = tmp_path / "echo.sock"
    daemon = launch(listeners=[_path_listener(tmp_path, "unixgram")])
    path.unlink()
    assert daemon.local.post("/reload").status == 200
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "client.sock"))
        sock.settimeout(5)
        sock.sendto(b"hello", str(path))
        assert sock.recv(16) == b"hello"


def test_reload_leaves_alone_a_socket_file_that_somebody_else_serves(launch, tmp_path):
    path = tmp_path / "echo.sock"
    daemon = launch(listeners=[_path_listener(tmp_path)])
    daemon.outlives.add(path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        inode = os.stat(path).st_ino
        assert daemon.local.post("/reload").status == 200
        assert daemon.log.wait_mentions("and nobody reaches it")
        assert os.stat(path).st_ino == inode


def test_reload_that_fails_keeps_the_lock_of_a_removed_socket_file(launch, tmp_path):
    path = tmp_path / "echo.sock"
    lock = tmp_path / "echo.sock.lock"
    listener = _path_listener(tmp_path)
    daemon = launch(listeners=[listener])
    path.unlink()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "tcp://127.0.0.1:%d" % taken.getsockname()[1]
        daemon.configure(settings(listeners=[listener, {"name": "taken", "address": address}]))
        assert daemon.local.post("/reload").status == 422
    assert lock.exists() and not path.exists()
    daemon.configure(settings(listeners=[listener]))
    assert daemon.local.post("/reload").status == 200
    assert daemon.is_served()
