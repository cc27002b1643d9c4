# SPDX-License-Identifier: BSD-2-Clause
"""Stands between a browser and a daemon: passes on what is asked, changes answers, counts."""

import contextlib
import http.client
import http.server
import json
import threading
import time

from harness import pause

_PASSED_ON = ("Content-Type", "Content-Security-Policy", "Cache-Control", "X-Content-Type-Options")


class Relay:
    """Listens on a port of its own. changes maps a path to a function from document to document,
    refusals one to the status and headers that it gets instead, made to a function from the target
    to a document that the daemon is not asked for; rewrite is a function from page to page; delay
    is what an answer takes longer, in seconds; while deaf, nobody gets one."""

    def __init__(self, daemon_address):
        self.daemon_address = daemon_address
        self.changes = {}
        self.refusals = {}
        self.made = {}
        self.rewrite = None
        self.deaf = False
        self.delay = 0.0
        self.questions = []
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                relay.answer(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = self._server.server_address
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler):
        self.questions.append((time.monotonic(), handler.path))
        if self.deaf:
            return
        pause(self.delay, "an answer that is late")
        path = handler.path.partition("?")[0]
        if path in self.refusals:
            self._refuse(handler, *self.refusals[path])
            return
        if path in self.made:
            self._send_document(handler, self.made[path](handler.path))
            return
        connection = http.client.HTTPConnection(*self.daemon_address, timeout=10)
        try:
            connection.request("GET", handler.path)
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
        change = self.changes.get(path)
        if change is not None:
            body = json.dumps(change(json.loads(body))).encode()
        if path == "/" and self.rewrite is not None:
            body = self.rewrite(body)
        with contextlib.suppress(ConnectionError):  # a page that is left takes no answer
            self._send(handler, reply, body)

    @staticmethod
    def _refuse(handler, status, headers):
        body = b'{"error": "refused by the relay"}'
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    @staticmethod
    def _send_document(handler, document):
        body = json.dumps(document).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        with contextlib.suppress(ConnectionError):
            handler.wfile.write(body)

    @staticmethod
    def _send(handler, reply, body):
        handler.send_response(reply.status)
        for name in _PASSED_ON:
            if reply.headers[name]:
                handler.send_header(name, reply.headers[name])
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def asked(self, path, since=0.0):
        """How often a path was asked for after a moment of time.monotonic()."""
        return sum(
            moment >= since and target.partition("?")[0] == path
            for moment, target in list(self.questions)
        )
