# SPDX-License-Identifier: BSD-2-Clause
"""Program: opens COUNT connections to 127.0.0.1:PORT and holds them, quiet, until its input ends.

Each echoes one message first: a connection that was used once is what idle ones are in real life.
Prints "ready" when all are there.
usage: idle_holder.py PORT COUNT
"""

import resource
import socket
import sys

MESSAGE = b"a connection that will be idle\n"


def open_one(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(MESSAGE)
    got = b""
    while len(got) < len(MESSAGE):
        block = sock.recv(len(MESSAGE))
        if not block:
            raise OSError("the server closed the connection")
        got += block
    return sock


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    try:
        while len(held) < count:
            held.append(open_one(port))
    except OSError as error:
        print(f"idle connection {len(held) + 1} of {count}: {error}", flush=True)
        sys.exit(1)
    print("ready", flush=True)
    sys.stdin.read()


main()
