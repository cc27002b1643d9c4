# SPDX-License-Identifier: BSD-2-Clause
"""Runs the binary as a command that ends by itself, and looks at what commands left behind."""

import subprocess

from .daemon import environment
from .pace import BINARY, seconds


def no_reports(directory):
    """No sanitizer has written a report to the directory, see environment()."""
    reports = [path.read_text() for path in directory.glob("sanitizer.*")]
    assert not reports, f"sanitizer report:\n{reports[0][:8000]}"


def run_echod(directory, *arguments, prefix=(), deadline=10, **popen):
    """Run to the end; a sanitizer's report fails the test like any other wrong text would."""
    popen.setdefault("env", environment(directory))
    result = subprocess.run(
        [*prefix, str(BINARY), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds(deadline),
        check=False,
        **popen,
    )
    reports = [path.read_text() for path in directory.glob("sanitizer.*")]
    assert not reports, f"sanitizer report:\n{reports[0][:8000]}"
    return result
