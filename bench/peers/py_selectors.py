#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Peer of the bench: Python's selectors with callbacks, one thread.

usage: py_selectors.py PORT
"""

import selectors
import socket
import sys

BUFFER_BYTES = 65536
SELECTOR = selectors.DefaultSelector()


def close(conn):
    SELECTOR.unregister(conn)
    conn.close()


def readable(conn):
    try:
        data = conn.recv(BUFFER_BYTES)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if not data:
        close(conn)
        return
    send(conn, data)


def send(conn, data):
    try:
        sent = conn.send(data)
    except BlockingIOError:
        sent = 0
    except OSError:
        close(conn)
        return
    if sent < len(data):
        rest = memoryview(data)[sent:]
        SELECTOR.modify(conn, selectors.EVENT_WRITE, lambda conn: writable(conn, rest))


def writable(conn, rest):
    SELECTOR.modify(conn, selectors.EVENT_READ, readable)
    send(conn, rest)


def accepted(listener):
    try:
        conn, _ = listener.accept()
    except BlockingIOError:
        return
    conn.setblocking(False)
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    SELECTOR.register(conn, selectors.EVENT_READ, readable)


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
    listener.setblocking(False)
    SELECTOR.register(listener, selectors.EVENT_READ, accepted)
    while True:
        for key, _ in SELECTOR.select():
            key.data(key.fileobj)


main()
