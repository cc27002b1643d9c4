# SPDX-License-Identifier: BSD-2-Clause
"""Asks the control port, and reads the Prometheus text format."""

import http.client
import json
import re
import socket

from .pace import seconds

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = {key.lower(): value for key, value in response.getheaders()}
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Metrics(dict):
    """(name, ((label, value), ...)) -> number."""

    def value(self, name, **labels):
        """Sum of all samples of that name that have these labels; 0 when there is none."""
        wanted = set(labels.items())
        return sum(
            number for (key, have), number in self.items() if key == name and wanted <= set(have)
        )

    def names(self):
        return {name for name, _ in self}


def parse_metrics(text):
    result = Metrics()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        key = (match[1], tuple(sorted(_LABEL.findall(match[2] or ""))))
        assert key not in result, f"sample appears twice: {line!r}"
        result[key] = float(match[3])
    return result


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class ControlClient:
    """One request, one connection; the address is (host, port), or the path of a UNIX socket."""

    def __init__(self, address):
        self.address = address

    def connect(self):
        """A socket connected to the port."""
        if not isinstance(self.address, str):
            return socket.create_connection(self.address, timeout=seconds(10))
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(seconds(10))
        sock.connect(self.address)
        return sock

    def _open(self):
        if isinstance(self.address, str):
            return _LocalConnection(self.address, seconds(10))
        return http.client.HTTPConnection(*self.address, timeout=seconds(10))

    def request(self, method, target, headers=None, body=None):
        connection = self._open()
        try:
            connection.request(method, target, body=body, headers=headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def raw(self, data, half_close=False):
        """Send bytes as they are and return all that comes back."""
        with self.connect() as sock:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            received = b""
            try:
                while block := sock.recv(65536):
                    received += block
            except ConnectionResetError:
                pass
            return received

    def get(self, target, headers=None):
        return self.request("GET", target, headers)

    def post(self, target, headers=None, body=None):
        return self.request("POST", target, headers, body)

    def document(self, target):
        reply = self.get(target)
        assert reply.status == 200, f"{target}: {reply.status} {reply.text}"
        return reply.json

    def stats(self):
        return self.document("/stats")

    def totals(self):
        return self.stats()["totals"]

    def closed(self, reason):
        return self.totals()["connections_closed"].get(reason, 0)

    def rejected(self):
        return sum(self.totals()["connections_rejected"].values())

    def listener(self, name):
        """The row of one listener in /stats, None if there is none."""
        rows = [row for row in self.stats()["listeners"] if row["name"] == name]
        return rows[0] if rows else None

    def connections(self, query=""):
        return self.document("/connections" + query)

    def metrics(self):
        reply = self.get("/metrics")
        assert reply.status == 200
        return parse_metrics(reply.text)
