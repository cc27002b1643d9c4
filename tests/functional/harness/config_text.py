# SPDX-License-Identifier: BSD-2-Clause
"""Writes configurations in libconfig's syntax from Python values."""

import copy

from .network import free_port

LISTENER = {"name": "echo", "address": "tcp://127.0.0.1:0"}

# What the suite runs with unless a test says otherwise: log lines as objects, none held back.
DEFAULTS = {
    "workers": 2,
    "limits": {"connections": 1000},
    "log": {
        "level": "info",
        "target": "stderr",
        "format": "json",
        "connections": "close",
        "rate_limit": 0,
    },
    "control": {"http": "127.0.0.1:0"},
    "shutdown": {"timeout": "10s", "idle_grace": "200ms"},
}


def settings(**changes):
    """The defaults with changes: groups are merged key by key, anything else is replaced."""
    result = copy.deepcopy(DEFAULTS)
    result["listeners"] = [dict(LISTENER)]
    for key, value in changes.items():
        if isinstance(value, dict):
            result.setdefault(key, {}).update(value)
        else:
            result[key] = value
    return result


def quote(text):
    """A libconfig string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def value_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {value_text(v)};" for k, v in value.items()) + " }"
    return "(\n  " + ",\n  ".join(value_text(item) for item in value) + "\n)"


def config_text(values):
    """The text of a file: one directive or group a line."""
    return "".join(f"{key} = {value_text(value)};\n" for key, value in values.items())


def known_ports(**log):
    """Changes for a daemon whose ports must be known without its log."""
    return {
        "listeners": [{"name": "echo", "address": f"tcp://127.0.0.1:{free_port()}"}],
        "control": {"http": f"127.0.0.1:{free_port()}"},
        "log": log,
    }
