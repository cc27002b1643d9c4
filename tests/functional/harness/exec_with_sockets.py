# SPDX-License-Identifier: BSD-2-Clause
"""Becomes a command that finds its sockets the way a service manager passes them.

usage: exec_with_sockets.py DESCRIPTORS NAMES COMMAND [ARGUMENT ...]
DESCRIPTORS and NAMES are lists separated by colons; no names: LISTEN_FDNAMES is not set.
LISTEN_PID becomes ours, which execve keeps, unless the environment already has one.
"""

import fcntl
import os
import sys

FIRST = 3


def main():
    numbers = [int(number) for number in sys.argv[1].split(":")]
    copies = [fcntl.fcntl(number, fcntl.F_DUPFD, 100) for number in numbers]
    for number in numbers:
        os.close(number)
    for position, copy in enumerate(copies):
        os.dup2(copy, FIRST + position)
        os.close(copy)
    os.environ.setdefault("LISTEN_PID", str(os.getpid()))
    os.environ["LISTEN_FDS"] = str(len(copies))
    if sys.argv[2]:
        os.environ["LISTEN_FDNAMES"] = sys.argv[2]
    os.execv(sys.argv[3], sys.argv[3:])


main()
