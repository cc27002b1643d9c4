# SPDX-License-Identifier: BSD-2-Clause
"""What -t finds without sockets: listeners that cannot be bound beside each other; groups."""

import itertools
import socket

import pytest

from harness import config_text, free_port, run_echod, settings
from harness.activation import listening_socket, passing

# Host as it is written, v6only, and what to bind for it.
HOSTS = {
    "one": ("127.0.0.1", None),
    "two": ("127.0.0.2", None),
    "all4": ("0.0.0.0", None),
    "one6": ("[::1]", False),
    "one6only": ("[::1]", True),
    "mapped": ("[::ffff:127.0.0.1]", False),
    "mapped_all": ("[::ffff:0.0.0.0]", False),
    "all6": ("[::]", False),
    "all6only": ("[::]", True),
    "wildcard": ("*", None),
}


def listener(name, scheme, host, port):
    text, v6only = HOSTS[host]
    row = {"name": name, "address": f"{scheme}://{text}:{port}"}
    return row if v6only is None else dict(row, v6only=v6only)


def bind(scheme, host, port):
    """A socket as a listener has it."""
    text, v6only = HOSTS[host]
    text = "::" if text == "*" else text.strip("[]")
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(v6only)))
        if scheme == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((text, port))
        if scheme == "tcp":
            sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def can_both_be_bound(scheme, first, second, port):
    with bind(scheme, first, port):
        try:
            bind(scheme, second, port).close()
        except OSError:
            return False
        return True


def check(tmp_path, text, *options):
    path = tmp_path / "echod.conf"
    path.write_text(text if isinstance(text, str) else config_text(text))
    return run_echod(tmp_path, "-t", "-c", path, *options)


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
@pytest.mark.parametrize("first", HOSTS)
def test_the_verdict_is_that_of_the_kernel(tmp_path, scheme, first):
    for second in HOSTS:
        port = free_port()
        rows = [listener("a", scheme, first, port), listener("b", scheme, second, port)]
        result = check(tmp_path, settings(listeners=rows))
        possible = can_both_be_bound(scheme, first, second, port)
        assert result.returncode == (0 if possible else 78), (first, second, result.stderr)
        if not possible:
            assert len(result.stderr.splitlines()) == 1
            assert "listeners[1].address: " in result.stderr
            assert f"at {tmp_path}/echod.conf:" in result.stderr, "the other place"


@pytest.mark.parametrize(
    "rows",
    [
        ("tcp://0.0.0.0:{}", "udp://127.0.0.1:{}"),
        ("unix:@n{}", "unixgram:@n{}"),
        ("unix:/run/n{}", "unix:@/run/n{}"),
        ("tcp://0.0.0.0:0", "tcp://127.0.0.1:0"),
    ],
)
def test_sockets_that_have_nothing_in_common(tmp_path, rows):
    port = free_port()
    both = [{"name": f"n{i}", "address": row.format(port)} for i, row in enumerate(rows)]
    result = check(tmp_path, settings(listeners=both))
    assert (result.returncode, result.stderr) == (0, "")


def test_what_is_not_enabled_overlaps_nothing(tmp_path):
    port = free_port()
    rows = [listener("a", "tcp", "all4", port), listener("b", "tcp", "one", port)]
    for off in (0, 1):
        both = [dict(row, enabled=i != off) for i, row in enumerate(rows)]
        assert check(tmp_path, settings(listeners=both)).returncode == 0


@pytest.mark.parametrize("path", ["//run/d", "/run//d", "/run/./d", "/./run/d"])
def test_one_path_written_in_two_ways(tmp_path, path):
    rows = [
        {"name": "a", "address": "unix:/run/d"},
        {"name": "b", "address": f"unixgram:{path}"},
    ]
    result = check(tmp_path, settings(listeners=rows))
    assert result.returncode == 78
    assert f'listeners[1].address: "unixgram:{path}" is used twice (first at ' in result.stderr


@pytest.mark.parametrize("path", ["/run/d", "//run/d", "/run/./d"])
def test_control_socket_on_the_file_of_a_listener(tmp_path, path):
    rows = [{"name": "a", "address": "unix:/run/d"}]
    result = check(tmp_path, settings(listeners=rows, control={"socket": path}))
    assert result.returncode == 78
    assert f'control.socket: "{path}" is the address of listeners[0] too (set at ' in result.stderr


@pytest.mark.parametrize("host, control", itertools.product(HOSTS, ["127.0.0.1", "[::1]", "*"]))
def test_control_port_beside_a_listener(tmp_path, host, control):
    port = free_port()
    HOSTS_OF = {"127.0.0.1": "one", "[::1]": "one6", "*": "wildcard"}
    possible = can_both_be_bound("tcp", host, HOSTS_OF[control], port)
    rows = [listener("a", "tcp", host, port)]
    result = check(tmp_path, settings(listeners=rows, control={"http": f"{control}:{port}"}))
    assert result.returncode == (0 if possible else 78), result.stderr
    if not possible:
        assert f'control.http: "{control}:{port}" ' in result.stderr
        assert "listeners[0]" in result.stderr


@pytest.mark.parametrize(
    "host, wanted",
    [("all6", "write v6only = true for [::]"), ("wildcard", "write [::] with v6only = true")],
)
def test_ipv6_beside_ipv4_is_told_v6only(tmp_path, host, wanted):
    rows = [listener("a", "tcp", host, 7), listener("b", "tcp", "all4", 7)]
    for both in (rows, rows[::-1]):
        assert wanted in check(tmp_path, settings(listeners=both)).stderr


def test_each_is_told_once_with_the_first(tmp_path):
    rows = [listener("a", "tcp", "one", 7), listener("b", "tcp", "all4", 7)]
    rows += [listener("c", "tcp", "two", 7), listener("d", "tcp", "one6", 7)]
    lines = check(tmp_path, settings(listeners=rows)).stderr.splitlines()
    assert len(lines) == 2
    assert 'listeners[1].address: "tcp://0.0.0.0:7" cannot be bound beside' in lines[0]
    assert '"tcp://127.0.0.1:7" of listeners[0] (set at ' in lines[0]
    assert '"tcp://0.0.0.0:7" of listeners[1] (set at ' in lines[1]


def test_a_start_refuses_overlaps_as_a_mistake_of_the_file(launch):
    port = free_port()
    rows = [listener("a", "tcp", "all4", port), listener("b", "tcp", "one", port)]
    daemon = launch(ready=False, listeners=rows)
    daemon.spawn()
    assert daemon.wait_exit() == 78
    assert "listeners[1].address: " in daemon.log.text()


def test_passed_sockets_have_the_addresses_of_their_units(launch):
    """What is written in the file is not bound then: it may overlap."""
    port = free_port()
    rows = [listener("a", "tcp", "all4", port), listener("b", "tcp", "one", port)]
    with listening_socket() as one, listening_socket() as two:
        daemon = launch(passing([one, two], "a:b"), listeners=rows)
        assert daemon.origins == {"a": "inherited", "b": "inherited"}
        assert daemon.local.post("/reload").status == 200


GROUP = "no-such-group"


@pytest.mark.parametrize(
    "changes, key",
    [
        ({"listeners": [{"name": "a", "address": "unix:/run/d", "group": GROUP}]}, "listeners[0]"),
        ({"control": {"group": GROUP, "socket": "/run/c"}}, "control"),
    ],
)
def test_a_group_that_does_not_exist(tmp_path, changes, key):
    result = check(tmp_path, settings(**changes))
    assert result.returncode == 78
    line = f'{key}.group: "{GROUP}" is no group of this machine'
    assert line in result.stderr
    assert result.stderr.startswith(f"{tmp_path}/echod.conf:")


@pytest.mark.parametrize(
    "changes",
    [
        {"listeners": [{"name": "a", "address": "unix:/run/d", "group": "root"}]},
        {"listeners": [{"name": "a", "address": "unix:/run/d", "group": "4711"}]},
        {"control": {"group": "4711", "socket": "/run/c"}},
    ],
)
def test_groups_that_are_fine(tmp_path, changes):
    result = check(tmp_path, settings(**changes))
    assert (result.returncode, result.stderr) == (0, "")


def test_the_dump_needs_no_group(tmp_path):
    """A file may be read on a machine that it is not for."""
    path = tmp_path / "echod.conf"
    rows = [{"name": "a", "address": "unix:/run/d", "group": GROUP}]
    path.write_text(config_text(settings(listeners=rows)))
    assert run_echod(tmp_path, "-T", "-c", path).returncode == 0
