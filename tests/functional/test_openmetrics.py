# SPDX-License-Identifier: BSD-2-Clause
"""The metrics in both formats, read by a parser that is stricter than Prometheus."""

import math
import re
import subprocess

import pytest

from harness import exchange, seconds
from harness.needs import need

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What Prometheus 2.42 sends.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
NUMBER = r"(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf)"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{((?:{LABEL},)*{LABEL})\}})? ({NUMBER})")
TWO = [
    {"name": "echo", "address": "tcp://127.0.0.1:0"},
    {"name": "other", "address": "tcp://127.0.0.1:0"},
]


class Family:
    def __init__(self, name):
        self.name = name
        self.kind = None
        self.samples = []


def parse(text):
    """OpenMetrics 1.0.0 as far as it is used here: name -> Family. Any slip is an assertion."""
    assert text.endswith("\n# EOF\n"), "ends with EOF and nothing behind it"
    families = {}
    family = None
    for line in text.splitlines()[:-1]:
        assert line and line == line.strip(), f"blank or padded: {line!r}"
        if line.startswith("#"):
            _, word, name, rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE"), line
            if family is None or family.name != name:
                assert name not in families, f"{name} is not in one piece"
                family = families[name] = Family(name)
            assert not family.samples, f"{word} of {name} comes after its samples"
            if word == "TYPE":
                assert family.kind is None and rest in SUFFIXES, line
                family.kind = rest
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        suffix = match[1].removeprefix(family.name)
        assert suffix != match[1] or family.name == match[1], f"{match[1]} is in no family"
        assert suffix in SUFFIXES[family.kind], f"{match[1]} in {family.kind} {family.name}"
        labels = dict(re.findall(r'([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        key = (suffix, tuple(sorted(labels.items())))
        assert key not in [sample[0] for sample in family.samples], f"twice: {line}"
        family.samples.append((key, labels, float(match[3])))
    for family in families.values():
        assert family.kind and family.samples or family.kind == "histogram", family.name
    return families


def histograms(family):
    """Rows of one family of histograms by their own labels."""
    rows = {}
    for (suffix, _), labels, value in family.samples:
        bound = labels.pop("le", None)
        row = rows.setdefault(tuple(sorted(labels.items())), {"buckets": []})
        if suffix == "_bucket":
            row["buckets"].append((float(bound.replace("+Inf", "inf")), value))
        else:
            row[suffix] = value
    return rows


def check_histograms(families):
    count = 0
    for family in families.values():
        if family.kind != "histogram":
            continue
        for labels, row in histograms(family).items():
            bounds = [bound for bound, _ in row["buckets"]]
            values = [value for _, value in row["buckets"]]
            assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, labels
            assert values == sorted(values), f"{family.name} {labels} is not cumulative"
            assert values[-1] == row["_count"]
            assert (row["_sum"] > 0) == (row["_count"] > 0) or row["_sum"] == 0
            low = sum(
                bound * (value - before)
                for bound, value, before in zip(
                    [0, *bounds], values, [0, *values], strict=False
                )
            )
            assert row["_sum"] >= low * 0.999999, f"{family.name} {labels}: the sum is too small"
            count += 1
    return count


def get(daemon, accept=OPENMETRICS):
    return daemon.control.get("/metrics", {"Accept": accept})


# Of the 151 echoes below, if one worker has all of them in one tick of the clock: 64, then 1 of 16.
FEWEST_DELAYS = 64 + (151 - 64) // 16


def under_traffic(launch):
    daemon = launch(listeners=TWO)
    for number in range(30):
        with daemon.connect("echo" if number % 3 else "other") as sock:
            for _ in range(5):
                exchange(sock, bytes(10 + number))
    daemon.wait_connections(0)
    exchange(daemon.connect())
    metrics = daemon.settled().metrics()
    assert metrics.value("echod_echo_delay_seconds_count") >= FEWEST_DELAYS
    assert metrics.value("echod_received_bytes_total") == metrics.value("echod_sent_bytes_total")
    return daemon


def test_openmetrics_is_well_formed(launch):
    daemon = under_traffic(launch)
    reply = get(daemon)
    assert reply.headers["content-type"] == OPENMETRICS
    families = parse(reply.text)
    assert families["echod_received_bytes"].kind == "counter"
    assert families["echod_connection_duration_seconds"].kind == "histogram"
    assert check_histograms(families) == 2 + 2 + 3


def test_known_lives_and_delays(launch):
    daemon = under_traffic(launch)
    families = parse(get(daemon).text)
    lives = histograms(families["echod_connection_duration_seconds"])
    assert lives[(("listener", "echo"),)]["_count"] == 20
    assert lives[(("listener", "other"),)]["_count"] == 10
    delays = histograms(families["echod_echo_delay_seconds"])
    # of each read with data: TCP may deliver a message in parts, never two in one here
    both = [delays[(("listener", name),)]["_count"] for name in ("echo", "other")]
    assert min(both) > 0 and sum(both) >= FEWEST_DELAYS
    lag = histograms(families["echod_event_loop_lag_seconds"])
    assert set(lag) == {(("loop", name),) for name in ("main", "worker0", "worker1")}


def test_both_formats_say_the_same(launch):
    daemon = under_traffic(launch)
    plain = daemon.control.metrics()
    reply = get(daemon)
    moving = re.compile(r"process_.*|echod_event_loop_lag.*|echod_log_written_total")
    found = {}
    for name, family in parse(reply.text).items():
        for (suffix, labels), _, value in family.samples:
            found[(name + suffix, labels)] = value
    assert set(found) == set(plain)
    for key, value in found.items():
        assert value == plain[key] or moving.fullmatch(key[0]), key


@pytest.mark.parametrize(
    "accept, is_openmetrics",
    [
        (PROMETHEUS, True),
        (OPENMETRICS, True),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=2.0.0", False),
        ("text/plain;version=0.0.4", False),
        ("text/plain, application/openmetrics-text;q=0.9", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_negotiation(launch, accept, is_openmetrics):
    reply = get(launch(), accept)
    assert (reply.headers["content-type"] == OPENMETRICS) == is_openmetrics
    assert reply.text.endswith("# EOF\n") == is_openmetrics


def test_no_series_for_a_peer(launch):
    daemon = launch()
    before = len(daemon.control.metrics())
    for number in range(1, 40):
        sock, address = daemon.open_socket()
        sock.bind((f"127.0.0.{number}", 0))
        sock.connect(address)
        exchange(sock)
    assert len(daemon.control.metrics()) == before


def test_promtool_reads_histograms(launch):
    tool = need("PROMTOOL")
    daemon = under_traffic(launch)
    result = subprocess.run(
        [tool, "check", "metrics"],
        input=daemon.local.get("/metrics").text,
        capture_output=True,
        text=True,
        timeout=seconds(30),
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
