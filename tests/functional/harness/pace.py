# SPDX-License-Identifier: BSD-2-Clause
"""Which binary is tested, and how patient the tests are with it.

A sanitizer build is several times slower and keeps freed memory, so deadlines grow, sizes shrink
and claims about resident memory are not made there. ECHOD_SLOW_FACTOR=N stretches deadlines
further; ECHOD_SANITIZER=0|1 overrides what is found in the binary.
"""

import os
import pathlib
import time

PROJECT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("ECHOD") or PROJECT / "build" / "echod").absolute()

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


def _is_sanitized():
    forced = os.environ.get("ECHOD_SANITIZER")
    if forced:
        return forced != "0"
    try:
        text = BINARY.read_bytes()
    except OSError:
        return False
    return b"__asan_init" in text or b"__tsan_init" in text or b"__ubsan_handle" in text


SANITIZED = _is_sanitized()
SLOW_FACTOR = float(os.environ.get("ECHOD_SLOW_FACTOR") or (3.0 if SANITIZED else 1.0))


def seconds(plain):
    """A deadline: as many seconds as the build under test deserves."""
    return plain * SLOW_FACTOR


def scaled(plain, sanitized):
    """A size or a count: the first for a plain build, the second under a sanitizer."""
    return sanitized if SANITIZED else plain


def pause(duration, why):
    """Let time pass (not stretched), where time itself is what the test or its peer is about.

    What is waited for is wait_until()'s, what must not happen meanwhile is hold()'s.
    """
    assert why
    time.sleep(duration)


def wait_until(predicate, deadline, what="condition"):
    """Poll until predicate() is true and return its value; fail the test after the deadline."""
    end = time.monotonic() + seconds(deadline)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {seconds(deadline):g} s: {what}")
        time.sleep(0.01)


def hold(predicate, duration, what="condition"):
    """Check that predicate() stays true for a duration (not stretched)."""
    end = time.monotonic() + duration
    while time.monotonic() < end:
        assert predicate(), f"did not hold for {duration:g} s: {what}"
        time.sleep(0.02)
