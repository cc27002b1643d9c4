# SPDX-License-Identifier: BSD-2-Clause
"""The kinds of stream socket that the daemon serves, for tests that hold on all of them."""

import contextlib
import socket

from .activation import passing
from .network import abstract_name

# Parameters for a test: TCP of either family, a UNIX socket; the daemon's own, or inherited.
TCP = ("tcp4", "tcp6", "tcp4-inherited")
UNIX = ("unix", "unix-inherited")
PLACES = TCP + UNIX
# For what takes long and is the same for each origin.
BOTH = ("tcp4", "unix")


def _listening(place):
    if place.startswith("unix"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind("\0" + abstract_name())
    else:
        sock = socket.socket(socket.AF_INET)
        sock.bind(("127.0.0.1", 0))
    sock.listen(1000)
    return sock


def launch_at(launch, place, options=None, keys=None, **changes):
    """A daemon with one listener there, named echo; keys are more of the listener's."""
    kind, _, origin = place.partition("-")
    address = {
        "tcp4": "tcp://127.0.0.1:0",
        "tcp6": "tcp://[::1]:0",
        "unix": f"unix:@{abstract_name()}",
    }[kind]
    options = dict(options or {})
    with contextlib.ExitStack() as stack:
        if origin:
            options |= passing([stack.enter_context(_listening(place))], "echo")
        listener = {"name": "echo", "address": address, **(keys or {})}
        daemon = launch(options, listeners=[listener], **changes)
    assert daemon.origins["echo"] == (origin or "bound")
    return daemon


def only_row(daemon):
    """The row in /connections of the only client, None while there is none."""
    rows = daemon.control.connections()["connections"]
    assert len(rows) <= 1
    return rows[0] if rows else None
