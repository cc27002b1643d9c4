# SPDX-License-Identifier: BSD-2-Clause
"""The promise of echod(8): a stop is over within delay, timeout and one second."""

import time

from .pace import seconds, wait_until
from .process import is_over

PROMISED = 1
# What one run may have besides on a machine that is busy with something else.
SLACK = 3
RUNS = 3


def timed_end(daemon, number):
    """Send the signal and return how long the process went on; it is still to be waited for.

    That cannot be while one of its threads is traced.
    """
    begin = time.monotonic()
    daemon.signal(number)
    wait_until(lambda: is_over(daemon.pid), 10, "the process ends")
    return time.monotonic() - begin


def keep_promise(stop, configured=0.0):
    """stop() ends a daemon of its own and returns how long that took: one of three is in time.

    A busy machine makes a run late now and then, a daemon that breaks its promise makes each so.
    configured is the sum of shutdown.delay and shutdown.timeout, as far as they have to pass.
    """
    times = []
    while not times or times[-1] >= configured + seconds(PROMISED):
        assert len(times) < RUNS, f"never within {configured:g} + {seconds(PROMISED):g} s: {times}"
        times.append(stop())
        assert times[-1] < configured + seconds(PROMISED + SLACK)
