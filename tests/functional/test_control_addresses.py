# SPDX-License-Identifier: BSD-2-Clause
"""control.http = "*:PORT" is where IPv4 and IPv6 are, as far as the machine has them: like a
listener's tcp://*:PORT, which the same daemon has in each test."""

import contextlib
import ctypes
import errno
import platform
import socket
import struct

import pytest

from harness import exchange, receive_to_end, seconds
from harness.namespaces import Namespace
from harness.needs import lacking, need

PORTS = {"echo": 20007, "control": 20008}
V4, V6 = "127.0.0.1", "::1"


# Instructions (code, jump if true, jump if false, operand) of a filter for seccomp(2): a kernel
# started with ipv6.disable=1 makes no socket of AF_INET6 either, and says EAFNOSUPPORT.
_SOCKET = {"x86_64": 41, "aarch64": 198}
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ERRNO, _ALLOW = 0x50000, 0x7FFF0000


def _forbid_ipv6():
    """For the process that becomes the daemon."""
    filters = [
        (_LOAD, 0, 0, 0),  # the number of the system call
        (_IF_EQUAL, 0, 3, _SOCKET[platform.machine()]),
        (_LOAD, 0, 0, 16),  # its first argument
        (_IF_EQUAL, 0, 1, socket.AF_INET6),
        (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in filters))
    program = struct.pack("HP", len(filters), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((38, 1, 0, 0, 0), (22, 2, program, 0, 0)):  # NO_NEW_PRIVS, then SECCOMP
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


@pytest.fixture
def no_ipv6():
    """Options for launch(): the daemon's kernel has no IPv6."""
    if platform.machine() not in _SOCKET:
        lacking("the number of socket(2) on this machine")
    return {"preexec_fn": _forbid_ipv6}


@pytest.fixture
def network(as_root):
    """A network of the test's own."""
    need("ip", "nsenter")
    with contextlib.ExitStack() as stack:
        try:
            namespace = stack.enter_context(contextlib.closing(Namespace()))
        except OSError as error:
            lacking(f"a network of its own: {error}")
        yield namespace


def launch_wild(launch, options, host="*"):
    daemon = launch(
        options,
        listeners=[{"name": "echo", "address": f"tcp://{host}:{PORTS['echo']}"}],
        control={"http": f"{host}:{PORTS['control']}"},
    )
    daemon.control = daemon.local
    return daemon


def connect(daemon, host, port):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    daemon.clients.append(sock)
    sock.settimeout(seconds(10))
    sock.connect((host, port))
    return sock


def ask(daemon, host, name, target="/version"):
    """The status of the control port at HOST, called by that name."""
    sock = connect(daemon, host, PORTS["control"])
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {name}:{PORTS['control']}\r\n\r\n".encode())
    return int(receive_to_end(sock).split()[1])


def bracketed(host):
    return f"[{host}]" if ":" in host else host


def assert_serves(daemon, host):
    """The listener echoes there, and the control port answers to that name."""
    exchange(connect(daemon, host, PORTS["echo"]))
    assert ask(daemon, host, bracketed(host)) == 200


@pytest.mark.parametrize(
    "setting, hosts",
    [
        (None, [V4, V6]),
        (("ipv6/bindv6only", 1), [V4, V6]),
        (("ipv6/conf/all/disable_ipv6", 1), [V4]),
    ],
    ids=["defaults", "bindv6only", "disable_ipv6"],
)
def test_the_wildcard_is_both_families(launch, network, setting, hosts):
    if setting:
        network.write(*setting)
    daemon = launch_wild(launch, {"prefix": network.prefix})
    with network.entered():
        for host in hosts:
            assert_serves(daemon, host)


def test_the_port_answers_to_the_address_that_was_asked(launch, network):
    """A balancer or Prometheus asks by address; a name that leads here is somebody else's."""
    hosts = ["192.0.2.7", "2001:db8::7"]
    network.add_addresses("lo", "192.0.2.7/32", "192.0.2.8/32", "2001:db8::7/128")
    daemon = launch_wild(launch, {"prefix": network.prefix})
    with network.entered():
        for host in hosts:
            assert ask(daemon, host, bracketed(host)) == 200
            for name in ("example.org", "192.0.2.8", "192.0.2.77", "[2001:db8::8]"):
                assert ask(daemon, host, name) == 403
                assert ask(daemon, host, name, "/readyz") == 200
                assert ask(daemon, host, name, "/readyz/") == 403


def test_one_address_of_ipv6_is_that_alone(launch, network):
    daemon = launch_wild(launch, {"prefix": network.prefix}, "[::1]")
    with network.entered():
        assert_serves(daemon, V6)
        for port in PORTS.values():
            with pytest.raises(ConnectionRefusedError):
                connect(daemon, V4, port)


def test_a_kernel_without_ipv6_serves_the_wildcard_by_ipv4(launch, network, no_ipv6):
    daemon = launch_wild(launch, {"prefix": network.prefix, **no_ipv6})
    with network.entered():
        assert_serves(daemon, V4)
        for port in PORTS.values():
            with pytest.raises(OSError):
                connect(daemon, V6, port)
    for message in ("listening", "control port listening"):
        (record,) = daemon.log.find(f"^{message}$")
        assert "0.0.0.0:" in record["address"]


def test_a_kernel_without_ipv6_has_no_such_address(launch, no_ipv6):
    daemon = launch(no_ipv6, ready=False, control={"http": f"[::1]:{PORTS['control']}"})
    daemon.spawn()
    assert daemon.wait_exit() == 69
    text = f"control.http: cannot make a socket for [::1]:{PORTS['control']}: "
    assert text in daemon.log.text()
