# SPDX-License-Identifier: BSD-2-Clause
"""Moments that the daemon tells, on a machine whose clock is set after the start."""

import datetime
import time

import pytest

from harness import wait_until

YEAR = 365 * 86400


def started(daemon):
    """When /stats says that the process began, since the epoch."""
    text = daemon.control.stats()["process"]["started"]
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.mark.parametrize("set_by", [YEAR, -YEAR])
def test_the_start_follows_a_clock_that_is_set(launch, faults, set_by):
    daemon = launch(faults.options)
    begin = started(daemon)
    assert abs(begin - time.time()) < 60
    assert daemon.local.post("/reload").status == 200
    faults.set("clock_gettime", value=set_by)
    wait_until(lambda: abs(started(daemon) - begin - set_by) < 1, 10, "the start follows")
    metrics = daemon.control.metrics()
    assert abs(metrics.value("process_start_time_seconds") - begin - set_by) < 1
    reload = "echod_config_last_reload_success_timestamp_seconds"
    assert abs(metrics.value(reload) - begin - set_by) < 60
    assert len(daemon.log.find("the clock was set (forward|back) by 31536000 seconds")) == 1
    faults.clear()
    wait_until(lambda: abs(started(daemon) - begin) < 1, 10, "the start follows back")


def test_the_start_does_not_move_with_each_second(launch, faults):
    """Alerts count its changes as starts: a clock that is kept right changes nothing."""
    daemon = launch(faults.options)
    begin = daemon.control.metrics().value("process_start_time_seconds")
    faults.set("clock_gettime", value=1)
    lines = daemon.control.metrics().value("echod_event_loop_lag_seconds_count", loop="main")

    def turns():
        now = daemon.control.metrics()
        assert now.value("process_start_time_seconds") == begin
        return now.value("echod_event_loop_lag_seconds_count", loop="main") - lines > 16

    wait_until(turns, 20, "two looks at the clock")
