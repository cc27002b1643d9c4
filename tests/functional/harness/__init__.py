# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the running daemon share."""

from .clients import (
    BackgroundClient,
    StreamLoad,
    ended,
    exchange,
    exchange_large,
    fill,
    pattern,
    receive_exactly,
    receive_to_end,
    reset,
)
from .command import no_reports, run_echod
from .config_text import config_text, known_ports, settings
from .control_client import parse_metrics
from .daemon import Echod, environment
from .log_file import LogFile
from .network import abstract_name, free_port
from .pace import (
    BINARY,
    GIB,
    KIB,
    MIB,
    PROJECT,
    SANITIZED,
    SLOW_FACTOR,
    hold,
    pause,
    scaled,
    seconds,
    wait_until,
)

__all__ = [
    "BINARY",
    "BackgroundClient",
    "Echod",
    "GIB",
    "KIB",
    "LogFile",
    "MIB",
    "PROJECT",
    "SANITIZED",
    "SLOW_FACTOR",
    "StreamLoad",
    "abstract_name",
    "config_text",
    "ended",
    "environment",
    "exchange",
    "exchange_large",
    "fill",
    "free_port",
    "hold",
    "known_ports",
    "no_reports",
    "parse_metrics",
    "pattern",
    "pause",
    "receive_exactly",
    "receive_to_end",
    "reset",
    "run_echod",
    "scaled",
    "seconds",
    "settings",
    "wait_until",
]
