# SPDX-License-Identifier: BSD-2-Clause
"""The servers that are compared: echod in two forms, and its peers."""

import dataclasses
import os
import pathlib
import resource
import shutil
import subprocess
import sys
from typing import Callable

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "peers"
BUILD_SECONDS = 300

# What a peer takes part in; see Workload.kinds.
SMALL, BULK, CHURN, IDLE, MIX, ONE = "small", "bulk", "churn", "idle", "mix", "one"
UDP = "udp"
EVERYTHING = frozenset({SMALL, BULK, CHURN, IDLE, MIX, ONE})    # over TCP


@dataclasses.dataclass
class Server:
    """A server that can be started: its command line for a port, and what it is."""

    name: str
    title: str
    command: Callable    # (port, folder for its files) -> argument list
    kinds: frozenset = EVERYTHING
    most_connections: int = 1 << 30
    forks: bool = False    # a process per connection
    environment: dict = dataclasses.field(default_factory=dict)
    workers: int = 0    # of echod, 0 for others
    control_port: int = 0    # of echod, while it runs
    transport: str = "tcp"    # of echod, while it runs: what it has to listen to


def _echod_listeners(port, transport):
    """With UDP only where it is measured, so that an older echod can be put to the rest."""
    listeners = [f"""{{ name = "echo"; address = "tcp://127.0.0.1:{port}"; }}"""]
    if transport == "udp":
        listeners.append(f"""{{ name = "echo-udp"; address = "udp://127.0.0.1:{port}";
        rate_per_source = 10000000; burst_per_source = 10000000; rate_total = 100000000;
        budget_per_source = 1000000000; }}""")
    return ",\n    ".join(listeners)


def echod(path, workers=1):
    """The daemon with a configuration that limits nothing the bench needs."""
    name = "echod" if workers == 1 else f"echod-{workers}w"
    title = f"echod, {workers} worker{'s' if workers > 1 else ''}"
    server = Server(name, title, None, kinds=EVERYTHING | {UDP}, workers=workers)

    def command(port, folder):
        file = pathlib.Path(folder) / f"{name}.conf"
        file.write_text(f"""workers = {workers};
limits = {{ connections = {connection_limit()}; }};
log = {{ level = "warning"; target = "stderr"; }};
control = {{ http = "127.0.0.1:{server.control_port}"; }};
shutdown = {{ timeout = "1s"; idle_grace = "0s"; }};
listeners = (
    {_echod_listeners(port, server.transport)}
);
""", encoding="utf-8")
        return [path, "-c", str(file)]

    server.command = command
    return server


def connection_limit():
    """echod's limit of connections: below the hard limit of descriptors by what it needs itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 19000 if hard == resource.RLIM_INFINITY else max(100, min(19000, hard - 600))


def _program(folder, name, *arguments):
    return lambda port, files: [os.path.join(folder, name), str(port), *arguments]


def _script(name):
    return lambda port, files: [sys.executable, str(SOURCES / name), str(port)]


def _xinetd_command(path):
    def command(port, folder):
        file = pathlib.Path(folder) / "xinetd.conf"
        file.write_text(f"""defaults
{{
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
}}
service echo
{{
    type = INTERNAL UNLISTED
    id = echo-stream
    socket_type = stream
    protocol = tcp
    bind = 127.0.0.1
    port = {port}
    wait = no
    flags = NODELAY
    disable = no
}}
""", encoding="utf-8")
        return [path, "-dontfork", "-f", str(file), "-pidfile", os.path.join(folder, "xinetd.pid"),
                "-filelog", os.path.join(folder, "xinetd.log")]

    return command


def _socat_command(path):
    return lambda port, files: [
        path, f"TCP4-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=4096", "EXEC:cat"]


def _ncat_command(path):
    return lambda port, files: [path, "-4", "-l", "-k", "-m", "4000", "-e", "/bin/cat",
                                "127.0.0.1", str(port)]


FORKING = frozenset({SMALL, BULK, CHURN, ONE})
# ncat passes data on by turns, so that it stops for ever when a client sends more than its pipes
# hold; and it lingers over each connection that its client ends.
NCAT = frozenset({SMALL, ONE})


def own_peers(folder):
    """The peers that are built here or run by Python, best known first."""
    return [
        (Server("epoll", "raw epoll, recv and send", _program(folder, "epoll_echo")),
         "epoll_echo"),
        (Server("bufferevent", "textbook bufferevent", _program(folder, "bufferevent_echo")),
         "bufferevent_echo"),
        (Server("be-direct", "bufferevent, send in the read callback",
                _program(folder, "bufferevent_echo", "direct"), kinds=frozenset({SMALL})),
         "bufferevent_echo"),
        (Server("libuv", "libuv, uv_try_write", _program(folder, "uv_echo")), "uv_echo"),
        (Server("go", "Go net, Read and Write", _program(folder, "go_echo")), "go_echo"),
        (Server("go-copy", "Go io.Copy, which splices", _program(folder, "go_echo", "copy"),
                kinds=frozenset({BULK, MIX})), "go_echo"),
        (Server("io_uring", "io_uring, multishot receive", _program(folder, "uring_echo")),
         "uring_echo"),
        (Server("py-selectors", "Python selectors, callbacks", _script("py_selectors.py"),
                kinds=EVERYTHING - {IDLE}), None),
        (Server("py-asyncio", "Python asyncio, streams", _script("py_asyncio.py"),
                kinds=EVERYTHING - {IDLE}), None),
        (Server("py-blocking", "Python blocking, one client", _script("py_blocking.py"),
                kinds=frozenset({ONE}), most_connections=1), None),
        (Server("udp-plain", "recvfrom and sendto", _program(folder, "udp_plain_echo"),
                kinds=frozenset({UDP})), "udp_plain_echo"),
        (Server("udp-go", "Go net.PacketConn", _program(folder, "udp_go_echo"),
                kinds=frozenset({UDP})), "udp_go_echo"),
        (Server("udp-go-addr", "Go net.UDPConn, AddrPort",
                _program(folder, "udp_go_echo", "addrport"),
                kinds=frozenset({UDP})), "udp_go_echo"),
    ]


def real_peers():
    """(name, title, command maker, kinds) of the peers that Debian ships."""
    return [
        ("xinetd", "xinetd's built-in echo, forking", _xinetd_command, FORKING),
        ("socat", "socat, forking cat", _socat_command, FORKING),
        ("ncat", "ncat -k -e cat, forking", _ncat_command, NCAT),
    ]


NAMES = ["epoll", "bufferevent", "be-direct", "libuv", "go", "go-copy", "io_uring", "py-selectors",
         "py-asyncio", "py-blocking", "udp-plain", "udp-go", "udp-go-addr",
         "xinetd", "socat", "ncat"]


def _build(folder, target):
    """Return None, or why the peer cannot be built."""
    if shutil.which("make") is None:
        return "no make"
    try:
        result = subprocess.run(
            ["make", "--no-print-directory", "-f", str(SOURCES / "Makefile"), f"OUT={folder}",
             target], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        return f"make took more than {BUILD_SECONDS} s"
    if result.returncode == 0:
        return None
    lines = result.stderr.strip().splitlines() or ["make failed"]
    telling = [line for line in lines if "error:" in line or "o such file" in line]
    return (telling or lines)[0]


def provide(wanted, kinds, folder, tools, may_download, say):
    """Build or unpack the peers named that take part in any workload of these kinds.

    Those that cannot be had are told to say and left out.
    """
    peers = []
    for server, target in own_peers(os.path.join(folder, "peers")):
        if server.name not in wanted or not kinds & server.kinds:
            continue
        failure = _build(os.path.join(folder, "peers"), target) if target else None
        if failure:
            say(f"left out: {server.name}: {failure}")
        else:
            peers.append(server)
    for name, title, make_command, takes in real_peers():
        if name not in wanted or not kinds & takes:
            continue
        path, failure = tools.provide(name, may_download)
        if failure:
            say(f"left out: {name}: {failure}")
        else:
            peers.append(Server(name, title, make_command(path), kinds=takes,
                                most_connections=50, forks=True,
                                environment=tools.environment()))
    return peers
