# SPDX-License-Identifier: BSD-2-Clause
"""A reload changes all that it says, or nothing; and disturbs no connection."""

import os
import signal
import socket
import stat
import time

import pytest

from harness import (
    StreamLoad,
    config_text,
    exchange,
    free_port,
    receive_to_end,
    scaled,
    seconds,
    settings,
    wait_until,
)

ECHO = {"name": "echo", "address": "tcp://127.0.0.1:0"}


def second(name="second", **keys):
    return {"name": name, "address": f"tcp://127.0.0.1:{free_port()}", **keys}


def port_of(listener):
    return int(listener["address"].rpartition(":")[2])


# What a reload says last: all else about it is in the log by then.
LAST_LINE = "^(reloaded|reload failed)"


def reload_results(daemon):
    metrics = daemon.control.metrics()
    return {
        dict(labels)["result"]: number
        for (name, labels), number in metrics.items()
        if name == "echod_config_reloads_total"
    }


def reload(daemon, config, good=True):
    """Reload with a new file and wait for the outcome, which must be the expected one."""
    daemon.configure(config)
    before = reload_results(daemon)
    told = len(daemon.log.find(LAST_LINE))
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: reload_results(daemon) != before, 5, "the reload is counted")
    moved = {key for key, n in reload_results(daemon).items() if n != before.get(key, 0)}
    assert len(moved) == 1
    state = daemon.control.metrics().value("echod_config_last_reload_successful")
    assert state == (1 if good else 0), daemon.log.text()[-3000:]
    daemon.log.wait_for(LAST_LINE, count=told + 1)


def test_bad_file_changes_nothing_and_says_so(launch):
    daemon = launch()
    before = daemon.control.stats()
    sock = daemon.connect()
    exchange(sock)
    bad = (
        f'listeners = ( {{ name = "other"; address = "tcp://127.0.0.1:{free_port()}"; }} );\n'
        'limits = { connections = "many"; };\n'
    )
    reload(daemon, bad, good=False)
    lines = daemon.log.wait_mentions(f"{daemon.config_path}:2: limits.connections: ")
    assert lines and all(line["level"] in ("error", "warning") for line in lines)
    exchange(sock)
    assert daemon.is_served()
    after = daemon.control.stats()
    assert after["limits"] == before["limits"]
    assert [row["name"] for row in after["listeners"]] == ["echo"]


def test_six_mistakes_are_all_told(launch):
    daemon = launch()
    bad = "".join(f"limits_{number} = 1;\n" for number in range(6))
    reload(daemon, bad, good=False)
    for number in range(6):
        assert daemon.log.wait_mentions(f":{number + 1}: limits_{number}: ")
    assert daemon.is_served()


def test_missing_file_changes_nothing(launch):
    daemon = launch()
    os.unlink(daemon.config_path)
    daemon.signal(signal.SIGHUP)
    wait_until(
        lambda: daemon.control.metrics().value("echod_config_last_reload_successful") == 0,
        5,
        "the failure shows in the metrics",
    )
    assert daemon.log.wait_mentions(str(daemon.config_path))
    assert daemon.is_served()


def test_address_that_is_taken_changes_nothing(launch):
    daemon = launch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = {"name": "taken", "address": "tcp://127.0.0.1:%d" % other.getsockname()[1]}
        new = second("new")
        reload(daemon, settings(listeners=[ECHO, new, taken]), good=False)
        assert daemon.log.wait_mentions(taken["address"])
    assert [row["name"] for row in daemon.control.stats()["listeners"]] == ["echo"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of(new)), timeout=1)
    assert daemon.is_served()


def test_good_reload_under_fifty_streams(launch):
    """One listener comes, one goes, a timeout changes; nobody who is connected notices."""
    gone, new = second("gone"), second("new")
    daemon = launch(listeners=[ECHO, gone])
    socks = [daemon.connect("echo" if n % 2 else "gone") for n in range(50)]
    with StreamLoad(socks) as load:
        wait_until(lambda: load.least_received > 20000, 20, "all streams flow")
        changed = dict(ECHO, idle_timeout="500ms")
        reload(daemon, settings(listeners=[changed, new]))
        mark = load.received
        daemon.addresses["new"] = new["address"]
        exchange(daemon.connect("new"))
        with pytest.raises(ConnectionRefusedError):
            daemon.connect("gone")
        idle = daemon.connect()
        assert receive_to_end(idle) == b"", "the new timeout counts"
        idle.close()
        wait_until(lambda: load.received > mark + 50 * 20000, 20, "all streams go on")
        load.check()
        load.finish()
    closed = daemon.control.totals()["connections_closed"]
    assert {reason for reason, count in closed.items() if count} == {"client_fin", "idle_timeout"}


def test_unchanged_file_changes_nothing(launch):
    daemon = launch()
    address = daemon.addresses["echo"]
    sock = daemon.connect()
    exchange(sock)
    reload(daemon, daemon.config)
    assert daemon.control.listener("echo")["address"] == address
    exchange(sock)
    assert daemon.is_served()


def test_changed_address_moves_the_listener(launch):
    first, then = second("echo"), second("echo")
    daemon = launch(listeners=[first])
    sock = daemon.connect()
    exchange(sock)
    reload(daemon, settings(listeners=[then]))
    exchange(sock)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of(first)), timeout=1)
    daemon.addresses["echo"] = then["address"]
    assert daemon.is_served()


def test_listener_can_be_disabled_and_enabled(launch):
    extra = second("extra")
    daemon = launch(listeners=[ECHO, extra])
    assert daemon.is_served("extra")
    reload(daemon, settings(listeners=[ECHO, dict(extra, enabled=False)]))
    assert not daemon.is_served("extra")
    reload(daemon, settings(listeners=[ECHO, extra]))
    assert daemon.is_served("extra")


def test_removed_unix_listener_takes_its_file_along(launch, tmp_path):
    path = tmp_path / "echo.sock"
    daemon = launch(listeners=[ECHO, {"name": "local", "address": f"unix:{path}"}])
    sock = daemon.connect("local")
    exchange(sock)
    reload(daemon, settings(listeners=[ECHO]))
    assert not os.path.lexists(path)
    exchange(sock)


def test_limit_is_raised_live(launch):
    daemon = launch(limits={"connections": 2})
    clients = [daemon.connect() for _ in range(2)]
    for sock in clients:
        exchange(sock)
    assert not daemon.is_served()
    reload(daemon, settings(limits={"connections": 3}))
    assert daemon.is_served()
    assert daemon.control.stats()["limits"]["connections"] == 3


def test_directive_that_needs_a_restart_is_named_once(launch):
    daemon = launch(workers=2)
    reload(daemon, settings(workers=3))
    lines = daemon.log.wait_mentions("workers")
    assert len([line for line in lines if line["level"] == "warning"]) == 1
    assert len(daemon.control.stats()["workers"]) == 2
    assert daemon.is_served()


def test_connections_waiting_to_be_accepted_survive(launch):
    daemon = launch()
    daemon.signal(signal.SIGSTOP)
    waiting = [daemon.connect() for _ in range(20)]
    daemon.configure(settings(listeners=[dict(ECHO, idle_timeout="1h"), second("new")]))
    daemon.signal(signal.SIGHUP)
    daemon.signal(signal.SIGCONT)
    for sock in waiting:
        exchange(sock)
    daemon.more_descriptors += 1


def test_connections_waiting_at_a_removed_listener_are_served(launch):
    gone = second("gone")
    daemon = launch(listeners=[ECHO, gone])
    daemon.signal(signal.SIGSTOP)
    waiting = [daemon.connect("gone") for _ in range(500)]
    daemon.configure(settings())
    daemon.signal(signal.SIGHUP)
    daemon.signal(signal.SIGCONT)
    for sock in waiting:
        exchange(sock)
    assert not daemon.is_served("gone")


def test_storm_of_reloads_ends_with_the_last_file(launch):
    daemon = launch()
    with StreamLoad([daemon.connect() for _ in range(5)]) as load:
        for number in range(scaled(100, 30)):
            daemon.configure(settings(limits={"connections": 500 + number}))
            daemon.signal(signal.SIGHUP)
        daemon.configure(settings(limits={"connections": 321}))
        daemon.signal(signal.SIGHUP)
        wait_until(
            lambda: daemon.control.stats()["limits"]["connections"] == 321, 10, "the last file"
        )
        load.finish()


def test_torn_file_is_never_half_applied(launch):
    """The file grows in steps with a HUP after each; the daemon runs on old or new, not between."""
    daemon = launch(limits={"connections": 111})
    text = config_text(settings(limits={"connections": 222}))
    seen = set()
    end = time.monotonic() + seconds(20)
    for length in range(0, len(text), 60):
        daemon.config_path.write_text(text[:length])
        daemon.signal(signal.SIGHUP)
        stats = daemon.control.stats()
        seen.add((stats["limits"]["connections"], len(stats["workers"])))
        assert time.monotonic() < end
    daemon.config_path.write_text(text)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: daemon.control.stats()["limits"]["connections"] == 222, 5, "the whole file")
    assert all(workers == 2 for _, workers in seen)
    assert daemon.is_served()


def warnings_of(daemon, text):
    return [line for line in daemon.log.mentions(text) if line["level"] == "warning"]


def test_directive_that_needs_a_restart_is_told_until_it_agrees(launch):
    """Against what runs, not against the last file."""
    daemon = launch(workers=2)
    for count in (1, 2):
        reload(daemon, settings(workers=3))
        assert len(warnings_of(daemon, "workers")) == count
    reload(daemon, settings(workers=2))
    assert len(warnings_of(daemon, "workers")) == 2
    assert len(daemon.control.stats()["workers"]) == 2


def test_v6only_of_a_kept_socket_needs_a_restart(launch):
    six = {"name": "echo", "address": "tcp://[::1]:0"}
    daemon = launch(listeners=[dict(six, v6only=False)])
    address = daemon.addresses["echo"]
    reload(daemon, settings(listeners=[dict(six, v6only=True)]))
    assert daemon.control.listener("echo")["address"] == address, "the socket is kept"
    lines = warnings_of(daemon, "v6only")
    assert len(lines) == 1, lines
    assert "restart" in lines[0]["message"]


def waiting(daemon):
    """What waits for a restart, as all three say that count it: key -> what runs, and what waits."""
    rows = daemon.local.document("/config")["directives"]
    result = {
        row["key"]: (row["value"], row["waiting"]) for row in rows if row["waiting"] is not None
    }
    assert daemon.control.stats()["process"]["needs_restart"] == len(result)
    assert daemon.control.metrics().value("echod_config_needs_restart") == len(result)
    return result


def test_config_says_what_runs_and_what_waits(launch):
    daemon = launch(workers=2)
    assert waiting(daemon) == {}
    other = settings(workers=3, control={"mode": "0600"})
    for _ in range(2):
        reload(daemon, other)
        assert waiting(daemon) == {"workers": ("2", "3"), "control.mode": ("0660", "0600")}
    other["workers"] = 4
    reload(daemon, other)
    assert waiting(daemon) == {"workers": ("2", "4"), "control.mode": ("0660", "0600")}
    reload(daemon, 'workers = "bad";\n', good=False)
    assert waiting(daemon) == {"workers": ("2", "4"), "control.mode": ("0660", "0600")}
    reload(daemon, settings(workers=2, control={"mode": "0600"}))
    assert waiting(daemon) == {"control.mode": ("0660", "0600")}
    reload(daemon, settings(workers=2))
    assert waiting(daemon) == {}


def test_config_has_the_level_that_was_set_by_hand(launch):
    daemon = launch()

    def level():
        rows = {row["key"]: row for row in daemon.local.document("/config")["directives"]}
        return rows["log.level"]

    before = level()
    assert daemon.local.post("/log/level?level=warning").status == 200
    after = level()
    assert (after["value"], after["origin"], after["default"]) == ("warning", "set by hand", False)
    assert daemon.local.post("/reload").status == 200
    assert level() == before, "a reload puts the file's in force"


def test_a_value_that_waits_has_the_origin_of_what_runs(launch):
    daemon = launch(workers=2)
    origin = {row["key"]: row["origin"] for row in daemon.local.document("/config")["directives"]}
    reload(daemon, "# one more line\n" + config_text(settings(workers=3)))
    rows = {row["key"]: row for row in daemon.local.document("/config")["directives"]}
    assert rows["workers"]["origin"] == origin["workers"]
    assert rows["listeners.echo.address"]["origin"] != origin["listeners.echo.address"]
    without = settings()
    without.pop("workers", None)
    reload(daemon, without)
    row = {row["key"]: row for row in daemon.local.document("/config")["directives"]}["workers"]
    assert (row["value"], row["waiting"], row["default"]) == ("2", "0", False)


def test_options_of_a_kept_socket_wait_and_of_a_new_one_do_not(launch):
    six = {"name": "echo", "address": f"tcp://[::1]:{free_port()}"}
    daemon = launch(listeners=[six, ECHO | {"name": "other"}])
    for name in ("echo", "renamed", "renamed"):
        rows = [dict(six, name=name, v6only=True), ECHO | {"name": "other", "freebind": True}]
        reload(daemon, settings(listeners=rows))
        assert waiting(daemon) == {
            f"listeners.{name}.v6only": ("false", "true"),
            "listeners.other.freebind": ("false", "true"),
        }
    moved = dict(six, name="renamed", v6only=True, address=f"tcp://[::1]:{free_port()}")
    reload(daemon, settings(listeners=[moved]))
    assert waiting(daemon) == {}
    reload(daemon, settings(listeners=[dict(moved, enabled=False), ECHO]))
    reload(daemon, settings(listeners=[dict(moved, freebind=True), ECHO]))
    assert waiting(daemon) == {}, "it was closed in between"


def test_what_waits_still_waits_after_a_drain(launch):
    daemon = launch(workers=2)
    reload(daemon, settings(workers=3))
    assert daemon.local.post("/drain").status == 200
    assert daemon.local.post("/undrain").status == 200
    assert waiting(daemon) == {"workers": ("2", "3")}


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_overlap_with_a_listener_of_our_own_is_told(launch, scheme):
    port = free_port()
    narrow = {"name": "narrow", "address": f"{scheme}://127.0.0.1:{port}"}
    wide = {"name": "wide", "address": f"{scheme}://0.0.0.0:{port}"}
    daemon = launch(listeners=[narrow])
    daemon.configure(settings(listeners=[wide]))
    reply = daemon.local.post("/reload")
    holder = f"listeners.wide: our own listeners.narrow holds {narrow['address']}, which overlaps"
    assert reply.status == 422 and holder in reply.text
    daemon.configure(settings())
    assert daemon.local.post("/reload").status == 200
    daemon.configure(settings(listeners=[wide]))
    assert daemon.local.post("/reload").status == 200


def test_wildcard_written_otherwise_keeps_its_socket(launch):
    """* and [::] are one address: what the kept socket cannot take over is told as such."""
    port = free_port()
    daemon = launch(listeners=[{"name": "echo", "address": f"tcp://*:{port}"}])
    row = {"name": "echo", "address": f"tcp://[::]:{port}", "v6only": True}
    daemon.configure(settings(listeners=[row]))
    answer = daemon.local.post("/reload").json
    waiting = {change["key"] for change in answer["needs_restart"]}
    assert "listeners.echo.v6only" in waiting, answer
    exchange(socket.create_connection(("127.0.0.1", port), timeout=seconds(10)))


def segment_size(daemon, name):
    with daemon.connect(name) as sock:
        exchange(sock)
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def test_segment_size_goes_back_to_the_kernels(launch):
    plain = second("plain")
    daemon = launch(listeners=[dict(ECHO, mss=500), plain])
    usual = segment_size(daemon, "plain")
    assert segment_size(daemon, "echo") <= 500 < usual
    reload(daemon, settings(listeners=[dict(ECHO, mss=0), plain]))
    assert segment_size(daemon, "echo") == usual
    sock = daemon.connect()
    exchange(sock)
    document = daemon.local.connections("?tcp=1")
    assert document["connections"][0]["tcp"]["mss"] > 500


def test_group_of_the_control_socket_that_waits_is_no_other_groups(launch, tmp_path, as_root):
    """Its name stays that of before until a restart, and so does what the name stands for."""
    local = {"name": "local", "address": f"unix:{tmp_path / 'echo.sock'}"}
    daemon = launch(listeners=[local], control={"group": "4711"})
    reload(daemon, settings(listeners=[local], control={"group": "4712"}))
    local["group"] = "4711"
    reload(daemon, settings(listeners=[local], control={"group": "4712"}))
    assert (tmp_path / "echo.sock").stat().st_gid == 4711


def test_unknown_group_changes_nothing(launch, tmp_path):
    path = tmp_path / "echo.sock"
    local = {"name": "local", "address": f"unix:{path}", "mode": "0600"}
    daemon = launch(listeners=[ECHO, local])
    before = path.lstat()
    new = second("new")
    local = dict(local, mode="0666", group="nosuchgroup")
    changed = settings(listeners=[ECHO, local, new], limits={"connections": 77})
    reload(daemon, changed, good=False)
    daemon.log.wait_for("^reload failed", level="error")
    assert daemon.log.wait_mentions("nosuchgroup")
    reply = daemon.local.post("/reload")
    assert reply.status == 422
    assert any("nosuchgroup" in line for line in reply.json["errors"])
    after = path.lstat()
    assert (after.st_mode, after.st_gid) == (before.st_mode, before.st_gid)
    assert daemon.control.stats()["limits"]["connections"] == 1000
    assert {row["name"] for row in daemon.control.stats()["listeners"]} == {"echo", "local"}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of(new)), timeout=1)
    assert daemon.is_served() and daemon.is_served("local")


@pytest.mark.parametrize("kind", ["symlink", "file"])
def test_mode_of_what_took_the_place_of_a_socket_is_left_alone(launch, tmp_path, kind):
    path, target = tmp_path / "echo.sock", tmp_path / "target"
    local = {"name": "local", "address": f"unix:{path}", "mode": "0600"}
    daemon = launch(listeners=[ECHO, local])
    target.write_text("precious")
    target.chmod(0o640)
    path.unlink()
    if kind == "symlink":
        path.symlink_to(target)
    elif kind == "file":
        target.rename(path)
        target = path
    daemon.outlives.add(path)
    changed = settings(listeners=[ECHO, dict(local, mode="0666")], limits={"connections": 77})
    reload(daemon, changed, good=False)
    daemon.log.wait_for("^reload failed", level="error")
    lines = [line for line in daemon.log.wait_mentions(str(path)) if line["level"] == "error"]
    assert lines, "the message names the path"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_text() == "precious"
    assert os.path.lexists(path)
    assert daemon.control.stats()["limits"]["connections"] == 1000
    assert daemon.is_served()
