# SPDX-License-Identifier: BSD-2-Clause
"""Behind Debian's HAProxy, which HAPROXY names: daemons are restarted one after the other."""

import json
import os
import signal
import subprocess
import time

import pytest

from harness import SANITIZED, environment, free_port, hold, seconds, wait_until
from harness.echoping import ECHOPING, LOSS, OK, start_echoping
from harness.needs import need

pytestmark = [
    pytest.mark.needs(str(ECHOPING)),
    pytest.mark.skipif(SANITIZED, reason="the same for every build"),
]

BALANCER = """
defaults
  mode tcp
  retries 3
  option redispatch
  timeout connect 1s
  timeout client 30s
  timeout server 30s
frontend echo
  bind 127.0.0.1:{port}
  default_backend daemons
backend daemons
  balance roundrobin
  option httpchk GET /readyz
  default-server inter 100ms fall 1 rise 1
{servers}
"""


class Member:
    """A daemon behind the balancer, which comes back at the same addresses."""

    def __init__(self, launch):
        self.launch = launch
        self.port, self.control = free_port(), free_port()
        self.start()

    def start(self):
        self.daemon = self.launch(
            listeners=[{"name": "echo", "address": f"tcp://127.0.0.1:{self.port}"}],
            control={"http": f"127.0.0.1:{self.control}"},
            shutdown={"delay": "300ms", "timeout": "5s", "idle_grace": "0s"},
        )

    def restart(self):
        self.daemon.signal(signal.SIGTERM)
        self.daemon.wait_exit()
        self.start()


@pytest.fixture
def balanced(launch, tmp_path):
    """Three members, and the address of a balancer that serves."""
    tool = need("HAPROXY")
    members = [Member(launch) for _ in range(3)]
    port = free_port()
    servers = "\n".join(
        f"  server {index} 127.0.0.1:{member.port} check port {member.control}"
        for index, member in enumerate(members)
    )
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(BALANCER.format(port=port, servers=servers))
    process = subprocess.Popen(
        [tool, "-db", "-f", str(configuration)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
    )
    try:
        yield members, f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def test_rolling_restart_is_told_by_one_load(balanced, tmp_path):
    """Each restart is an outage of some connections, with the message at most that met our FIN."""
    members, address = balanced
    options = ["-c", 9, "-r", 300, "-d", "60s", "-w", "5s", "--json"]
    wait_until(lambda: accepts(address), 10, "the balancer listens")
    process = start_echoping(tmp_path, address, *options)
    spans = []
    try:
        wait_until(
            lambda: all(m.daemon.control.totals()["sent_bytes"] > 0 for m in members),
            10,
            "all three serve",
        )
        for member in members:
            before = time.time()
            member.restart()
            wait_until(lambda m=member: m.daemon.is_served(), 10, "it is back")
            spans.append((before, time.time()))
            hold(lambda: process.poll() is None, 0.7, "the load goes on between two restarts")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=seconds(20))
    finally:
        process.kill()
    result = json.loads(out)
    assert result["mismatched"] == result["broken"] == 0, (result, err)
    # without a grace a message may be under way when its connection is closed as idle
    assert result["lost"] == sum(o["lost"] for o in result["outages"]) <= 3, (result, err)
    assert process.returncode == (LOSS if result["lost"] else OK)
    assert result["reconnects"] >= 9 - 3
    for before, after in spans:
        inside = [o for o in result["outages"] if before - 0.1 <= moment(o["start"]) <= after]
        assert inside, (before, after, result["outages"])
        for outage in inside:
            assert outage["cause"] in ("closed by the server", os.strerror(104))
            assert 0 <= outage["seconds"] < seconds(2)


def accepts(address):
    out = subprocess.run(
        [str(ECHOPING), "-q", "-n", "1", "-w", "1s", address],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds(10),
        check=False,
    )
    return out.returncode == 0


def moment(text):
    """Seconds since 1970 of an RFC 3339 time in UTC."""
    whole, part = text.rstrip("Z").split(".")
    parsed = time.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    return time.mktime(parsed) - time.timezone + float("0." + part)
