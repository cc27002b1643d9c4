# SPDX-License-Identifier: BSD-2-Clause
"""The counters: known traffic moves the expected ones by the expected amounts, and no others."""

import re
import socket
import subprocess

from harness import KIB, exchange, fill, reset, seconds, wait_until
from harness.needs import need
from harness.process import standing_still

TWO = [
    {"name": "echo", "address": "tcp://127.0.0.1:0"},
    {"name": "other", "address": "tcp://127.0.0.1:0"},
]

# What time alone moves, or asking for it.
RESTLESS = re.compile(
    r"echod_(listener_)?peak_.*|process_.*|echod_event_loop_lag_seconds.*|echod_uptime_seconds|echod_log_written_total"
)
# How long something took: the number of observations is checked, not where they fell.
DURATIONS = re.compile(r"echod_(connection_duration|echo_delay)_seconds_(sum|bucket)")

FAMILIES = """
    echod_build_info echod_connections_accepted_total echod_connections_closed_total
    echod_connections_rejected_total echod_connections echod_connections_limit
    echod_received_bytes_total echod_sent_bytes_total echod_pending_bytes
    echod_read_pauses_total echod_accept_errors_total
    echod_config_last_reload_successful echod_config_last_reload_success_timestamp_seconds
    echod_config_needs_restart echod_config_reloads_total echod_draining echod_log_suppressed_total
    echod_log_dropped_total process_resident_memory_bytes process_open_fds
    process_cpu_seconds_total process_start_time_seconds
""".split()


def moved(before, after):
    """(name, labels) -> by how much, for every sample that differs or came or went."""
    result = {}
    for name, labels in set(before) | set(after):
        change = after.get((name, labels), 0) - before.get((name, labels), 0)
        if change and not RESTLESS.fullmatch(name) and not DURATIONS.fullmatch(name):
            result[(name, labels)] = change
    return result


def sample(name, **labels):
    return (name, tuple(sorted(labels.items())))


def settle(daemon):
    daemon.wait_connections(0)
    return daemon.settled().metrics()


def test_every_family_is_there_from_the_start(launch):
    assert set(FAMILIES) <= launch().control.metrics().names()


def test_every_family_has_help_and_type(launch):
    text = launch().control.get("/metrics").text
    described = set(re.findall(r"^# HELP (\S+) \S", text, re.M))
    typed = dict(re.findall(r"^# TYPE (\S+) (counter|gauge|histogram)$", text, re.M))
    assert described == set(typed)
    for name in re.findall(r"^([a-z_]+)", text, re.M):
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in typed or typed.get(family) == "histogram", name
    for name, kind in typed.items():
        assert name.endswith("_total") == (kind == "counter"), name
    assert text.endswith("\n")


def test_promtool_has_nothing_to_say(launch):
    tool = need("PROMTOOL")
    daemon = launch(listeners=TWO)
    exchange(daemon.connect())
    text = daemon.control.get("/metrics").text
    result = subprocess.run(
        [tool, "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=seconds(30),
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_known_traffic_moves_these_and_no_others(launch):
    daemon = launch(listeners=TWO)
    before = settle(daemon)
    for number in range(10):
        with daemon.connect() as sock:
            exchange(sock, bytes(1000 + number))
    settle(daemon)
    for _ in range(3):
        sock = daemon.connect("other")
        exchange(sock, bytes(10))
        reset(sock)
    after = settle(daemon)
    changes = moved(before, after)
    observed = {key: n for key, n in changes.items() if "_seconds_count" in key[0]}
    for key in observed:
        del changes[key]
    assert changes == {
        sample("echod_connections_accepted_total", listener="echo"): 10,
        sample("echod_connections_closed_total", listener="echo", reason="client_fin"): 10,
        sample("echod_received_bytes_total", listener="echo"): 10045,
        sample("echod_sent_bytes_total", listener="echo"): 10045,
        sample("echod_connections_accepted_total", listener="other"): 3,
        sample("echod_connections_closed_total", listener="other", reason="client_reset"): 3,
        sample("echod_received_bytes_total", listener="other"): 30,
        sample("echod_sent_bytes_total", listener="other"): 30,
    }


def test_delays_are_a_sample_under_load(launch):
    """So many echoes in one tick of the clock that some are not measured, which leaves no trace."""
    daemon = launch(workers=1)
    socks = [daemon.connect() for _ in range(200)]
    echoed = 0

    def sampled():
        nonlocal echoed
        for sock in socks:
            sock.sendall(b"x")
        for sock in socks:
            assert sock.recv(1) == b"x"
        echoed += len(socks)
        return daemon.settled().metrics().value("echod_echo_delay_seconds_count") < echoed

    wait_until(sampled, 20, "an echo that is not measured")
    metrics = daemon.control.metrics()
    assert metrics.value("echod_echo_delay_seconds_count") >= 64
    slow = metrics.value("echod_echo_delay_seconds_bucket", le="+Inf") - metrics.value(
        "echod_echo_delay_seconds_bucket", le="10.0"
    )
    assert slow == 0


def test_asking_moves_nothing(launch):
    daemon = launch(listeners=TWO)
    before = settle(daemon)
    for route in ("/metrics", "/stats", "/connections", "/livez", "/nowhere"):
        daemon.control.get(route)
    assert not moved(before, daemon.control.metrics())


def test_rejection_moves_its_counter_and_no_other(launch):
    daemon = launch(listeners=[dict(TWO[0], connections=1), TWO[1]])
    exchange(daemon.connect())
    before = daemon.settled().metrics()
    for _ in range(4):
        with daemon.connect() as sock:
            wait_until(lambda sock=sock: _gone(sock), 5, "turned away")
    key = sample("echod_connections_rejected_total", listener="echo", reason="listener_limit")
    assert moved(before, daemon.control.metrics()) == {key: 4}


def _gone(sock):
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_open_connections_and_pending_bytes_go_up_and_down(launch):
    daemon = launch(listeners=TWO, limits={"stall_timeout": "60s"})
    clients = [daemon.connect() for _ in range(5)]
    for sock in clients:
        exchange(sock)
    stuck = daemon.connect("other")
    fill(stuck, 1 << 30)
    metrics = daemon.settled().metrics()
    assert metrics.value("echod_connections", listener="echo") == 5
    assert metrics.value("echod_connections", listener="other") == 1
    assert metrics.value("echod_pending_bytes", listener="other") >= 64 * KIB
    assert metrics.value("echod_pending_bytes", listener="echo") == 0
    assert metrics.value("echod_read_pauses_total", listener="other") == 1
    reset(stuck)
    daemon.close_clients()
    metrics = settle(daemon)
    assert metrics.value("echod_connections") == 0
    assert metrics.value("echod_pending_bytes") == 0


def test_sum_over_connections_equals_the_totals(launch):
    daemon = launch(listeners=TWO, workers=3)
    clients = [daemon.connect("echo" if n % 3 else "other") for n in range(60)]
    for number, sock in enumerate(clients):
        for _ in range(number % 4):
            exchange(sock, bytes(100 + 7 * number))
    reply = daemon.control.connections("?limit=1000")
    stats = daemon.settled().stats()
    rows = reply["connections"]
    assert len(rows) == reply["total"] == stats["totals"]["connections"] == 60
    sent = sum((n % 4) * (100 + 7 * n) for n in range(60))
    for key, total in [("bytes_in", "received_bytes"), ("bytes_out", "sent_bytes")]:
        assert sum(row[key] for row in rows) == stats["totals"][total] == sent
        for listener in stats["listeners"]:
            mine = [row[key] for row in rows if row["listener"] == listener["name"]]
            assert sum(mine) == listener[total]
    for key in ("connections_accepted", "connections", "pending_bytes", "read_pauses"):
        assert sum(row[key] for row in stats["listeners"]) == stats["totals"][key]
    assert sum(row["connections"] for row in stats["workers"]) == 60


def test_accepted_equals_closed_in_the_end(launch):
    daemon = launch(listeners=TWO)
    for number in range(90):
        sock = daemon.connect("echo" if number % 2 else "other")
        if number % 3 == 0:
            exchange(sock, b"x" * number)
        elif number % 3 == 1:
            sock.send(b"y")
        if number % 5 == 0:
            reset(sock)
        elif number % 5 == 1:
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
            sock.close()
        else:
            sock.close()
    daemon.wait_connections(0)
    for row in [daemon.control.totals(), *daemon.control.stats()["listeners"]]:
        closed = sum(row["connections_closed"].values())
        assert closed == row["connections_accepted"] == (90 if "name" not in row else 45)


def test_metrics_and_stats_agree(launch):
    daemon = launch(listeners=TWO)
    for name, count in [("echo", 3), ("other", 4)]:
        for _ in range(count):
            with daemon.connect(name) as sock:
                exchange(sock, bytes(50))
    exchange(daemon.connect())
    wait_until(lambda: daemon.control.totals()["connections"] == 1, 5, "one connection left")
    metrics = daemon.settled().metrics()
    for row in daemon.control.stats()["listeners"]:
        for key in ("connections_accepted", "received_bytes", "sent_bytes", "read_pauses"):
            assert metrics.value(f"echod_{key}_total", listener=row["name"]) == row[key]
        assert metrics.value("echod_connections", listener=row["name"]) == row["connections"]
        for reason, count in row["connections_closed"].items():
            assert count == metrics.value(
                "echod_connections_closed_total", listener=row["name"], reason=reason
            )
    assert metrics.value("echod_connections_limit") == 1000
    assert metrics.value("echod_draining") == 0


def test_reload_results_are_counted(launch):
    daemon = launch()
    before = daemon.control.metrics()
    assert before.value("echod_config_last_reload_successful") == 1
    daemon.configure("nonsense = 1;\n")
    daemon.process.send_signal(1)
    wait_until(
        lambda: daemon.control.metrics().value("echod_config_reloads_total") == 1, 5, "counted"
    )
    changes = moved(before, daemon.control.metrics())
    assert changes.pop(sample("echod_config_last_reload_successful")) == -1
    ((key, count),) = changes.items()
    assert key[0] == "echod_config_reloads_total" and count == 1


def test_bytes_that_never_went_back_are_not_counted_as_sent(launch):
    """Clients that reset before their echo: the daemon reads what they sent, and can send none."""
    daemon = launch()
    known = [daemon.connect() for _ in range(10)]
    for sock in known:
        exchange(sock)
    before = daemon.settled().totals()
    assert before["sent_bytes"] == before["received_bytes"]
    with standing_still(daemon.pid):
        for sock in known + [daemon.connect() for _ in range(10)]:
            sock.sendall(bytes(1000))
            reset(sock)
    daemon.wait_connections(0)
    wait_until(lambda: daemon.control.totals()["connections_accepted"] == 20, 5, "all accepted")
    daemon.wait_connections(0)
    totals = daemon.control.totals()
    assert totals["received_bytes"] > before["received_bytes"], "some of it was read"
    assert totals["sent_bytes"] == before["sent_bytes"] < totals["received_bytes"]
