#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Peer of the bench: Python's blocking sockets, one client at a time.

usage: py_blocking.py PORT
"""

import socket
import sys

BUFFER_BYTES = 65536


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
    while True:
        conn, _ = listener.accept()
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with conn:
            try:
                while data := conn.recv(BUFFER_BYTES):
                    conn.sendall(data)
            except OSError:
                pass    # this client is gone, the next one waits


main()
