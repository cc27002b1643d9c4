# SPDX-License-Identifier: BSD-2-Clause
"""Plays the part of systemd that owns a service's sockets."""

import pathlib
import socket
import sys

_SHIM = pathlib.Path(__file__).with_name("exec_with_sockets.py")


def listening_socket(backlog=128):
    """A listening TCP socket on the loopback, blocking as a careless parent leaves it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(backlog)
    return sock


def datagram_socket(host="127.0.0.1"):
    """A bound UDP socket, blocking as a careless parent leaves it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    return sock


def passing(files, names=""):
    """Arguments for Echod so that it starts with these sockets as descriptors 3 and up."""
    numbers = tuple(file.fileno() for file in files)
    return {
        "prefix": [sys.executable, "-S", str(_SHIM), ":".join(map(str, numbers)), names],
        "pass_fds": numbers,
    }


def tcp_address(sock):
    return "tcp://%s:%d" % sock.getsockname()[:2]


def udp_address(sock):
    return "udp://%s:%d" % sock.getsockname()[:2]
