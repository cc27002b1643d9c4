# SPDX-License-Identifier: BSD-2-Clause
"""Every datagram comes back equal, from the address that it was sent to."""

import socket
import subprocess

import pytest

from harness import free_port, pattern, seconds
from harness.datagrams import LARGEST, client_of, udp_listener, wait_counted
from test_echoping import ECHOPING, figures

SIZES = [0, 1, 1472, 9000, LARGEST]

# A listener's address, and the host that its clients ask.
ADDRESSES = [
    ("udp://127.0.0.1:0", "127.0.0.1"),
    ("udp://[::1]:0", "::1"),
    ("udp://0.0.0.0:0", "127.0.0.1"),
    ("udp://*:0", "127.0.0.1"),
    ("udp://*:0", "::1"),
    ("udp://[::]:0", "127.0.0.1"),
    ("udp://[::]:0", "::1"),
]


@pytest.mark.parametrize("address, host", ADDRESSES)
def test_every_size(launch, address, host):
    daemon = launch(listeners=[udp_listener(address)])
    client = client_of(daemon, host=host)
    for position, size in enumerate(SIZES * 3):
        client.exchange(pattern(position, size))
    assert wait_counted(daemon, 3 * len(SIZES)) == (3 * len(SIZES), {})
    assert not client.waiting(), "each once"


def test_odd_sizes(launch):
    daemon = launch(listeners=[udp_listener("udp://*:0")])
    clients = [client_of(daemon, host=host) for host in ("127.0.0.1", "::1")]
    for size in (2, 3, 7, 255, 256, 1471, 1473, 2047, 2048, 2049, 16384, 65506):
        for client in clients:
            client.exchange(pattern(size, size))


def test_largest_datagram_of_ipv6(launch):
    """Its length field does not count the header of IP, so 20 bytes more fit."""
    daemon = launch(listeners=[udp_listener("udp://[::1]:0")])
    client_of(daemon).exchange(pattern(1, LARGEST + 20))


@pytest.mark.parametrize("wildcard", ["*", "[::]"])
def test_reply_comes_from_the_address_asked(launch, wildcard):
    """The client checks each reply's sender."""
    daemon = launch(listeners=[udp_listener(f"udp://{wildcard}:0")])
    for host in ("127.0.0.1", "127.0.0.2", "127.9.8.7", "::1") * 2:
        client_of(daemon, host=host).exchange(host.encode())


def test_one_socket_asks_many_addresses_at_once(launch):
    """Nothing of the one before may stick to a reply, though one read brings them all."""
    daemon = launch(listeners=[udp_listener("udp://0.0.0.0:0")])
    client = client_of(daemon)
    port = client.target[1]
    asked = {f"127.0.0.{number}": b"%d" % number for number in range(1, 41)}
    for host, data in asked.items():
        client.sock.sendto(data, (host, port))
    came = {}
    for _ in asked:
        data, (host, from_port) = client.sock.recvfrom(100)
        assert from_port == port
        came[host] = data
    assert came == asked


def test_connected_client(launch):
    """Its kernel lets only replies from the right address and port through."""
    daemon = launch(listeners=[udp_listener("udp://*:0")])
    for host in ("127.0.0.2", "::1"):
        client = client_of(daemon, host=host)
        client.sock.connect(client.target)
        for number in range(10):
            client.sock.send(b"%d" % number)
            assert client.sock.recv(100) == b"%d" % number


def test_many_clients(launch):
    daemon = launch(listeners=[udp_listener()])
    clients = [client_of(daemon) for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
    for number, client in enumerate(clients):
        client.expect([b"%d" % number])
    assert wait_counted(daemon, 100) == (100, {})


def test_client_that_is_gone_disturbs_nobody(launch):
    """The ICMP errors that its replies cause are nothing that a read or a send may end with."""
    daemon = launch(listeners=[udp_listener()])
    for number in range(1, 21):
        gone = client_of(daemon)
        gone.send()
        gone.close()
        client_of(daemon).exchange()
        wait_counted(daemon, 2 * number)
    assert wait_counted(daemon, 40) == (40, {})


def test_beside_a_tcp_listener_with_the_same_port(launch):
    port = free_port()
    daemon = launch(
        listeners=[
            {"name": "stream", "address": f"tcp://127.0.0.1:{port}"},
            udp_listener(f"udp://127.0.0.1:{port}", "datagram"),
        ]
    )
    client_of(daemon, "datagram").exchange()
    assert daemon.is_served("stream")


def test_v6only_leaves_ipv4_alone(launch):
    daemon = launch(listeners=[udp_listener("udp://[::]:0", v6only=True)])
    client_of(daemon, host="::1").exchange()
    client = client_of(daemon, host="127.0.0.1")
    client.sock.connect(client.target)
    client.sock.send(b"hello")
    with pytest.raises(ConnectionRefusedError):
        client.sock.recv(100)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_replies_have_the_class_of_service(launch, host):
    """In the upper six bits of a byte of the header; the reply to segments has it, too."""
    daemon = launch(listeners=[udp_listener("udp://*:0", dscp=46)])
    client = client_of(daemon, host=host)
    if host == "::1":
        client.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
    else:
        client.sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    client.send()
    data, [(_, _, service)], _, _ = client.sock.recvmsg(100, 100)
    assert (data, service[0]) == (b"hello", 46 << 2)


def test_address_in_use_is_named(launch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        address = "udp://127.0.0.1:%d" % other.getsockname()[1]
        daemon = launch(ready=False, listeners=[udp_listener(address)])
        daemon.spawn()
        assert daemon.wait_exit() == 69
        assert address in daemon.log.text()


@pytest.mark.needs(str(ECHOPING))
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_echoping(launch, tmp_path, host):
    daemon = launch(listeners=[udp_listener("udp://*:0")])
    target = f"{host}:{daemon.addresses['echo'].rpartition(':')[2]}"
    for size in (8, 56, 1472, 9000, LARGEST):
        result = figures(tmp_path, "-n", 3, "-i", "10ms", "-s", size, "udp", target)
        assert (result["result"], result["received"]) == ("ok", 3), size
    count = 2000
    result = figures(tmp_path, "-c", 4, "-p", 8, "-n", count, "-s", 128, "udp", target)
    assert (result["result"], result["received"], result["duplicates"]) == ("ok", count, 0)
    assert wait_counted(daemon, 15 + count) == (15 + count, {})


@pytest.mark.needs("nc")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("size", [1, 1472, 9000])
def test_netcat(launch, tmp_path, host, size):
    # from a file, of which nc makes one datagram; a pipe may hand it over in parts
    (tmp_path / "datagram").write_bytes(pattern(0, size))
    daemon = launch(listeners=[udp_listener("udp://*:0")])
    port = daemon.addresses["echo"].rpartition(":")[2]
    with open(tmp_path / "datagram", "rb") as datagram:
        result = subprocess.run(
            ["nc", "-u", "-W", "1", "-w", "10", host, port],
            stdin=datagram,
            capture_output=True,
            timeout=seconds(20),
            check=False,
        )
    assert (result.returncode, result.stdout, result.stderr) == (0, pattern(0, size), b"")
