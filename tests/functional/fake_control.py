# SPDX-License-Identifier: BSD-2-Clause
"""A stand-in for the daemon's control port: it answers what a test wants to hear.

With it, echoctl's own behaviour is tested for answers that a real daemon gives rarely, or never.
Its answers have the keys and the types of the daemon's: test_fake_control.py compares them.
"""

import contextlib
import http.server
import ipaddress
import json
import os
import socketserver
import threading
import time
import urllib.parse

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

# Counters that have a label, with its values.
LABELS = {
    "connections_closed": (
        "client_fin client_reset idle_timeout stalled timed_out lifetime byte_limit drain"
        " drain_forced admin write_error read_error no_memory"
    ),
    "connections_rejected": "limit listener_limit no_descriptors",
    "accept_errors": (
        "EMFILE ENFILE ENOBUFS ENOMEM ENOSPC EINVAL EPERM EACCES ECONNABORTED EPROTO ENETDOWN"
        " ENETUNREACH EHOSTDOWN EHOSTUNREACH other"
    ),
    "datagrams_dropped": (
        "source_port own_port reflector_port source_multicast source_broadcast"
        " source_subnet_broadcast source_unspecified source_mapped destination denied not_allowed source_rate total_rate"
        " budget truncated unnamed send_full send_refused send_unreachable send_error"
    ),
    "datagram_receive_errors": (
        "ECONNREFUSED EINVAL EIO ENOBUFS ENOMEM ENOSPC EPERM ESHUTDOWN other"
    ),
}
# Those that have none.
COUNTS = (
    "connections connections_accepted received_bytes sent_bytes pending_bytes read_pauses"
    " datagrams_received datagrams_sent"
).split()
COUNTED = {
    "connections_closed": dict.fromkeys(
        ("client_fin", "client_reset", "idle_timeout", "stalled", "admin"), 1
    ),
    "connections_rejected": {"limit": 2},
}

DIRECTIVES = [
    ("limits.connections", "20000", False, "/etc/echod.conf:7", "live", "Most connections."),
    ("log.file", "", True, "default", "live", "Where the log goes."),
    ("listeners.echo.idle_timeout", "10m", True, "default", "new connections", "Silence."),
    ("workers", "0", True, "default", "restart", "Worker threads."),
]


def connection(number, **changes):
    """A row of /connections."""
    row = {
        "id": number,
        "listener": "echo",
        "worker": number % 2,
        "transport": "tcp",
        "peer": f"192.0.2.{number}:5000",
        "local": "192.0.2.254:7",
        "since": "2025-01-31T23:59:59.123Z",
        "age_seconds": 250.5,
        "idle_seconds": 0.25,
        "state": "open",
        "bytes_in": 1000 * number,
        "bytes_out": 1000 * number,
        "reads": 10,
        "pending_bytes": 0,
        "read_paused": False,
        "pauses": 0,
        "paused_seconds": 0.0,
        "tcp": {
            "rtt_seconds": 0.000417,
            "rttvar_seconds": 0.0001,
            "min_rtt_seconds": 0.0004,
            "retransmits": 0,
            "mss": 1448,
            "cwnd": 10,
            "delivery_rate": 125000,
        },
    }
    row.update(changes)
    return row


def source(**changes):
    """A row of /sources."""
    row = {
        "listener": "echo",
        "source": "192.0.2.0/24",
        "echoed": 7,
        "dropped": 0,
        "idle_seconds": 0.5,
    }
    row.update(changes)
    return row


def event(number, **changes):
    """A row of /events."""
    row = {
        "id": number,
        "time": "2025-01-31T23:59:59.123Z",
        "kind": "closed",
        "listener": "echo",
        "connection": 100 + number,
        "peer": f"192.0.2.{number % 256}:5000",
        "reason": "client_fin",
        "bytes_in": 1000,
        "bytes_out": 1000,
        "duration_seconds": 4.25,
    }
    row.update(changes)
    return row


def refused(number, **changes):
    """A row of /events for a client that was turned away."""
    nothing = {"connection": None, "bytes_in": 0, "bytes_out": 0, "duration_seconds": 0.0}
    return event(number, **{"kind": "refused", "reason": "limit", **nothing, **changes})


def events(rows, target="/events"):
    """What a daemon with these events, oldest first, answers to a request for that target."""
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))
    newer = [row for row in rows if row["id"] > int(query.get("since", 0))]
    newest = newer[-int(query.get("limit", 100)):]
    return {
        "matched": len(newer),
        "limit": int(query.get("limit", 100)),
        "next": rows[-1]["id"] if rows else 0,
        "events": newest[::-1],
    }


def peers(rows, prefix):
    """Connections by address, or by network, of that length for IPv4, as of /connections."""
    groups = {}
    for row in rows:
        name = (row["peer"].rpartition(":")[0] or row["peer"]).strip("[]")
        if prefix is not None:
            bits = 64 if ":" in name else prefix
            name = str(ipaddress.ip_network(f"{name}/{bits}", strict=False))
        group = groups.setdefault(
            name, {"peer": name, "connections": 0, "bytes_in": 0, "bytes_out": 0, "pending_bytes": 0})
        group["connections"] += 1
        for key in ("bytes_in", "bytes_out", "pending_bytes"):
            group[key] += row[key]
    return {
        "total": len(rows),
        "matched": len(groups),
        "limit": 100,
        "offset": 0,
        "ungrouped": 0,
        "peers": list(groups.values()),
    }


def _listener(name, address, **changes):
    row = {"name": name, "address": address, "origin": "bound", "accepting": True}
    row.update(dict.fromkeys(COUNTS, 0))
    row.update({family: dict.fromkeys(values.split(), 0) for family, values in LABELS.items()})
    row.update(changes)
    return row


def stream_listener(name, **changes):
    """A row of /stats' listeners, without any traffic."""
    return _listener(name, **{"address": "tcp://[::]:7", **changes})


def datagram_listener(name, **changes):
    """One of datagrams of 50 bytes; keys that are reasons say how many were dropped for them."""
    reasons = LABELS["datagrams_dropped"].split()
    dropped = {reason: changes.pop(reason, 0) for reason in reasons}
    row = _listener(name, **{"address": "udp://[::]:7", "datagrams_dropped": dropped, **changes})
    row.update(received_bytes=50 * row["datagrams_received"],
               sent_bytes=50 * row["datagrams_sent"])
    return row


def change(key, before, after):
    """A row of the answer of /reload."""
    return {"key": key, "from": before, "to": after}


def delays(p50=None, p99=None):
    """How late a loop was, or how long echoes took; None where nothing was measured."""
    return {"mean_seconds": None if p50 is None else p50 / 2, "p50_seconds": p50,
            "p99_seconds": p99}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass

    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        control = self.server.control
        path = self.path.partition("?")[0]
        control.requests.append((self.command, self.path, dict(self.headers), body))
        answer = control.answers.get((self.command, path))
        if callable(answer):
            answer = answer()
        if answer is None:
            answer = (404, {"error": "unknown path"})
        if answer == "hang up":
            self.close_connection = True
            return
        status, content = answer
        kind = TEXT if isinstance(content, str) else JSON
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content, separators=(",", ":")) + "\n"
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogateescape")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.close_connection = True
        with contextlib.suppress(BrokenPipeError):
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = _answer


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class _TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True


class FakeControl:
    """Serves at a UNIX socket (path), or on a port of 127.0.0.1 without one.

    answers: (method, path) -> (status, text | bytes | object), a function that returns one, or
    "hang up". requests: (method, target, headers, body) of all that came.
    """

    def __init__(self, path=None):
        self.path = path
        self.requests = []
        self.rows = [connection(1), connection(2), connection(3)]
        self.bytes_per_second = {}
        self.pid = os.getpid()
        self.state = "ready"
        self.started = time.monotonic()
        self.answers = {
            ("GET", "/livez"): (200, "ok\n"),
            ("GET", "/readyz"): self._readyz,
            ("GET", "/stats"): lambda: (200, self.stats()),
            ("GET", "/connections"): lambda: (200, self.connections(self.requests[-1][1])),
            ("GET", "/connections/2"): (200, connection(2)),
            ("GET", "/sources"): (200, {"known": 1, "limit": 100, "sources": [source()]}),
            ("GET", "/events"): lambda: (200, events([event(1)], self.requests[-1][1])),
            ("GET", "/metrics"): (200, "# TYPE echod_connections gauge\nechod_connections 3\n"),
            ("GET", "/config"): (200, self.config()),
            ("POST", "/reload"): (200, {"changed": [], "needs_restart": []}),
        }
        for verb in ("drain", "undrain", "stop", "log/reopen", "log/level", "connections/2/close"):
            self.answers["POST", "/" + verb] = (200, {"ok": True})
        self.server = None

    # answers

    def elapsed(self):
        return time.monotonic() - self.started

    def _readyz(self):
        return (200, "ok\n") if self.state == "ready" else (503, self.state + "\n")

    def connections(self, target="/connections?tcp=1"):
        rows = []
        for row in self.rows:
            more = int(self.bytes_per_second.get(row["id"], 0) * self.elapsed())
            rows.append({
                **row,
                "age_seconds": round(row["age_seconds"] + self.elapsed(), 3),
                "bytes_in": row["bytes_in"] + more,
                "bytes_out": row["bytes_out"] + more,
            })
            if "tcp=1" not in target:
                del rows[-1]["tcp"]
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))
        if "group" in query:
            return peers(rows, query.get("ipv4_prefix", 24) if query["group"] == "prefix" else None)
        count = len(rows)
        return {"total": count, "matched": count, "limit": 100, "offset": 0, "connections": rows}

    def stats(self):
        moved = int(sum(self.bytes_per_second.values()) * self.elapsed())
        counters = {
            "connections": len(self.rows),
            "connections_accepted": 7,
            "received_bytes": 5 * 1024 * 1024 + moved,
            "sent_bytes": 5 * 1024 * 1024 + moved,
            "peaks": {
                "connections": len(self.rows),
                "accepts_per_second": 1,
                "received_bytes_per_second": 1000,
                "sent_bytes_per_second": 1000,
            },
            "pending_bytes": 0,
            "read_pauses": 0,
            "datagrams_received": 0,
            "datagrams_sent": 0,
        }
        for name, values in LABELS.items():
            counters[name] = {**dict.fromkeys(values.split(), 0), **COUNTED.get(name, {})}
        return {
            "process": {
                "version": "0.1.0",
                "machine": "web-3",
                "pid": self.pid,
                "started": "2025-01-31T23:00:00.000Z",
                "uptime_seconds": round(93784 + self.elapsed(), 3),
                "workers": 2,
                "ready": self.state == "ready",
                "draining": self.state == "draining",
                "resident_bytes": 3485696,
                "open_fds": 23,
                "max_fds": 20000,
                "cpu_seconds": 1.5,
                "last_reload_successful": True,
                "reloads": {"success": 2, "failure": 0},
                "needs_restart": 0,
                "loop_lag": delays(0.00005, 0.001),
            },
            "totals": {**counters, "log_written": 4, "log_dropped": 0, "log_suppressed": 0},
            "listeners": [{
                "name": "echo",
                "echo_delay": delays(0.000025, 0.0001),
                "address": "tcp://[::]:7",
                "origin": "bound",
                "open": True,
                "accepting": True,
                "connections_limit": 0,
                **counters,
            }],
            "workers": [
                {"id": 0, "connections": 2, "loop_lag": delays(0.00005)},
                {"id": 1, "connections": 1, "loop_lag": delays()},
            ],
            "limits": {"connections": 10000},
        }

    @staticmethod
    def config():
        keys = ("key", "value", "default", "origin", "effect", "help")
        rows = [dict(zip(keys, row), waiting=None) for row in DIRECTIVES]
        return {"path": "/etc/echod.conf", "directives": rows}

    # life

    def start(self):
        if self.path is not None:
            self.server = _UnixServer(str(self.path), _Handler)
        else:
            self.server = _TcpServer(("127.0.0.1", 0), _Handler)
        self.server.control = self
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.server.server_address[1]

    def stop(self):
        """Stop listening; the socket file goes too."""
        server, self.server = self.server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            if self.path is not None:
                self.path.unlink(missing_ok=True)

    def targets(self, method):
        """Targets of the requests so far."""
        return [request[1] for request in self.requests if request[0] == method]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
