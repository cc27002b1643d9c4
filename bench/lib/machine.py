# SPDX-License-Identifier: BSD-2-Clause
"""What the figures depend on besides the servers: the machine and the versions on it."""

import os
import platform
import re
import subprocess
import time

from . import packages


def _first(pattern, path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            match = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return None
    return match.group(1).strip() if match else None


def _says(*command):
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (result.stdout or result.stderr).strip().splitlines()
    return lines[0] if lines else None


def facts(echod, echoping):
    """(name, text) of everything that is worth writing down beside figures."""
    memory = _first(r"^MemTotal:\s+(\d+)", "/proc/meminfo")
    model = _first(r"^model name\s*:\s*(.+)", "/proc/cpuinfo") or platform.machine()
    result = [
        ("date", time.strftime("%Y-%m-%d %H:%M %Z")),
        ("CPU", f"{model}, {os.cpu_count()} online"),
        ("memory", f"{int(memory) / 1024 / 1024:.0f} GiB" if memory else None),
        ("system", _first(r'^PRETTY_NAME="?([^"\n]+)', "/etc/os-release")),
        ("kernel", platform.release()),
        ("echod", _says(echod, "-V")),
        ("echoping", _says(echoping, "-V")),
        ("compiler", _says("cc", "--version")),
        ("Go", _says("go", "version")),
        ("Python", platform.python_version()),
        ("load at the start", f"{os.getloadavg()[0]:.2f}"),
    ]
    for package in ("libevent-dev", "libuv1-dev", "liburing-dev"):
        result.append((package, packages.version(package)))
    return [(name, text) for name, text in result if text]
