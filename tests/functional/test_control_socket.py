# SPDX-License-Identifier: BSD-2-Clause
"""The control socket: who gets in, and what may be asked for there and nowhere else."""

import base64
import grp
import hashlib
import json
import os
import re
import signal
import socket
import stat
import subprocess

import pytest

from harness import (
    PROJECT,
    config_text,
    ended,
    exchange,
    free_port,
    hold,
    receive_to_end,
    run_echod,
    seconds,
    settings,
    wait_until,
)
from harness.needs import need

VERBS = (
    "/reload /drain /undrain /stop /log/reopen /log/level?level=info /connections/1/close"
).split()


def curl(daemon, target, *options):
    tool = need("curl")
    result = subprocess.run(
        [tool, "-sS", "--unix-socket", daemon.local.address, *options, f"http://localhost{target}"],
        capture_output=True,
        text=True,
        timeout=seconds(20),
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def steady(stats):
    """Without what moves by itself."""
    for row in (stats["process"], *stats["workers"]):
        del row["loop_lag"]
    for key in ("uptime_seconds", "cpu_seconds", "resident_bytes", "open_fds"):
        del stats["process"][key]
    del stats["totals"]["log_written"]
    return stats


# the port and the socket


def test_curl_and_the_port_give_the_same_figures(launch):
    daemon = launch()
    for size in (10, 2000):
        exchange(daemon.connect(), bytes(size))
    assert daemon.settled().totals()["sent_bytes"] == 2010
    assert steady(json.loads(curl(daemon, "/stats"))) == steady(daemon.control.stats())
    mine, theirs = json.loads(curl(daemon, "/connections")), daemon.control.connections()
    for rows in (mine["connections"], theirs["connections"]):
        for row in rows:
            for key in ("age_seconds", "idle_seconds", "since"):
                del row[key]
    assert mine == theirs
    assert json.loads(curl(daemon, "/config")) == daemon.control.document("/config")
    assert curl(daemon, "/readyz") == daemon.control.get("/readyz").text == "ok\n"


@pytest.mark.parametrize("target", VERBS)
def test_the_port_refuses_verbs(launch, target):
    daemon = launch()
    reply = daemon.control.post(target)
    assert reply.status == 403
    assert "control.socket" in reply.json["error"]
    assert daemon.is_served()
    assert daemon.control.get("/readyz").status == 200


@pytest.mark.parametrize("target", VERBS)
def test_verbs_are_no_pages(launch, target):
    daemon = launch()
    for client in (daemon.control, daemon.local):
        reply = client.get(target)
        assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_the_socket_alone_is_enough(launch):
    daemon = launch(ready=False, control={"http": ""})
    daemon.spawn()
    daemon.log.wait_for("is ready")
    path = daemon.log.find("^control socket listening$")[0]["address"].removeprefix("unix:")
    assert json.loads(_ask(path, "GET /version"))["name"] == "echod"
    assert not daemon.log.find("control port listening")


def _ask(path, request):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(seconds(10))
        sock.connect(path)
        sock.sendall(f"{request} HTTP/1.0\r\n\r\n".encode())
        return receive_to_end(sock).decode().partition("\r\n\r\n")[2]


# the file


def test_mode_group_and_end_of_the_file(launch, tmp_path):
    path = tmp_path / "made" / "c.sock"
    options = {"umask": 0}
    daemon = launch(options=options, control={"socket": str(path), "mode": "0600"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert daemon.local.address == str(path)
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    assert list(path.parent.iterdir()) == []


def test_group(launch, tmp_path, as_root):
    path = tmp_path / "c.sock"
    launch(control={"socket": str(path), "group": "daemon"})
    assert path.stat().st_gid == grp.getgrnam("daemon").gr_gid
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_stale_file_is_replaced(launch, tmp_path):
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    daemon = launch(control={"socket": str(path)})
    assert daemon.local.get("/livez").status == 200


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("precious"), lambda path: path.mkdir()], ids=["file", "dir"]
)
def test_what_is_no_socket_is_left_alone(launch, tmp_path, make):
    path = tmp_path / "c.sock"
    make(path)
    before = path.stat().st_ino
    daemon = launch(ready=False, control={"socket": str(path)})
    daemon.spawn()
    assert daemon.wait_exit() == 69
    assert str(path) in daemon.log.text()
    assert path.stat().st_ino == before


def test_a_path_that_may_not_be_used_is_told(as_root, open_directory):
    """Another user, and a folder where it may not write."""
    path = open_directory / "echod.conf"
    path.write_text(config_text(settings(control={"socket": f"{open_directory}/c.sock"})))
    path.chmod(0o644)
    result = run_echod(open_directory, "-c", path, user=65534, group=65534, extra_groups=[])
    assert result.returncode == 77, result.stderr
    assert f"{open_directory}/c.sock" in result.stderr


@pytest.mark.parametrize(
    "folder, code, reason", [("own", 77, "Permission denied"), ("no/own", 69, "No such file")]
)
def test_a_folder_that_cannot_be_made_is_told(as_root, open_directory, folder, code, reason):
    path = open_directory / "echod.conf"
    socket_path = f"{open_directory}/{folder}/c.sock"
    path.write_text(config_text(settings(control={"socket": socket_path})))
    path.chmod(0o644)
    result = run_echod(open_directory, "-c", path, user=65534, group=65534, extra_groups=[])
    assert result.returncode == code, result.stderr
    assert f"control.socket: cannot make {open_directory}/{folder}: {reason}" in result.stderr


def test_unknown_group_is_named(launch, tmp_path):
    changes = {"socket": f"{tmp_path}/c.sock", "group": "no-such-group"}
    daemon = launch(ready=False, control=changes)
    daemon.spawn()
    assert daemon.wait_exit() in (69, 71, 78)
    assert "no-such-group" in daemon.log.text()


def test_two_daemons_share_no_socket(launch, tmp_path):
    path = tmp_path / "c.sock"
    first = launch(control={"socket": str(path)})
    second = launch(ready=False, control={"socket": str(path)})
    second.spawn()
    assert second.wait_exit() == 69
    assert first.local.get("/livez").status == 200


def test_no_place_for_auto_is_a_warning(launch, tmp_path):
    daemon = launch(options={"env": {"RUNTIME_DIRECTORY": f"{tmp_path}/no/such"}})
    assert daemon.local is None
    assert len(daemon.log.find("serving without a control socket", level="warning")) == 1
    assert daemon.control.get("/livez").status == 200
    assert daemon.is_served()


@pytest.mark.parametrize(
    "folder, says",
    [
        ("own", "cannot make {}: Read-only file system"),
        ("more/than/one", "cannot make {}: Read-only file system"),
        ("there", "cannot lock unix:{}/c.sock.lock: Read-only file system"),
    ],
)
@pytest.mark.needs("unshare")
def test_read_only_file_system_is_a_warning(as_root, launch, tmp_path, folder, says):
    place = tmp_path / "root"
    place.mkdir()
    script = f"mount -t tmpfs none {place} && mkdir {place}/there && mount -o remount,ro {place}"
    daemon = launch(
        {"prefix": ["unshare", "--mount", "bash", "-c", f'{script} && exec "$@"', "bash"]},
        control={"socket": f"{place}/{folder}/c.sock"},
    )
    assert daemon.local is None
    (warning,) = daemon.log.find("serving without a control socket", level="warning")
    assert says.format(f"{place}/{folder}") in warning["message"]
    assert daemon.control.get("/livez").status == 200
    assert daemon.is_served()


@pytest.mark.needs("unshare")
def test_packaged_file_serves_on_a_read_only_root(as_root, launch):
    """As in a container without a volume: no /run/echod, and no way to make it."""
    script = "ip link set lo up && mount -t tmpfs none /run && mount -o remount,ro /run"
    daemon = launch(
        {
            "prefix": ["unshare", "--mount", "--net", "bash", "-c", f'{script} && exec "$@"', "bash"],
        },
        ready=False,
    )
    daemon.configure((PROJECT / "etc" / "echod.conf").read_text())
    daemon.spawn()
    wait_until(lambda: " is ready: " in daemon.log.text(), 10, "ready")
    assert "cannot make /run/echod: Read-only file system" in daemon.log.text()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_empty_is_none(launch):
    daemon = launch(control={"socket": ""})
    assert daemon.local is None
    assert not daemon.log.find(level="warning")
    assert not (daemon.directory / "control.sock").exists()


def test_no_address_at_all(launch):
    daemon = launch(ready=False, control={"http": "", "socket": ""})
    daemon.spawn()
    daemon.log.wait_for("is ready")
    daemon.addresses = {"echo": daemon.log.find("^listening$")[0]["address"]}
    assert daemon.is_served()


# verbs


def test_who_asked_is_on_record(launch):
    daemon = launch()
    assert daemon.local.post("/log/level?level=info").status == 200
    assert daemon.local.post("/nowhere").status == 404
    for target in ("/log/level?level=info", "/nowhere"):
        (record,) = daemon.log.wait_for("^control request$", target=target)
        assert (record["uid"], record["pid"]) == (os.geteuid(), os.getpid())
    daemon.local.get("/stats")
    assert len(daemon.log.find("^control request$")) == 2


def test_reload_tells_what_changed(launch):
    daemon = launch(limits={"connections": 100})
    reply = daemon.local.post("/reload")
    assert (reply.status, reply.json) == (200, {"changed": [], "needs_restart": []})
    changes = dict(daemon.config, limits={"connections": 50}, workers=3)
    changes["control"] = dict(changes["control"], http_hosts=["echo.example"], mode="0600")
    daemon.configure(changes)
    reply = daemon.local.post("/reload")
    assert reply.status == 200
    assert {"key": "limits.connections", "from": "100", "to": "50"} in reply.json["changed"]
    hosts = {"key": "control.http_hosts", "from": "( )", "to": '( "echo.example" )'}
    assert hosts in reply.json["changed"]
    assert len(reply.json["changed"]) == 2
    assert sorted(row["key"] for row in reply.json["needs_restart"]) == ["control.mode", "workers"]
    assert daemon.control.stats()["limits"]["connections"] == 50
    assert daemon.control.get("/livez", {"Host": "echo.example"}).status == 200


def test_reload_tells_what_is_wrong(launch):
    daemon = launch()
    daemon.configure('workers = "2";\nlimits = { conections = 5; };\n')
    reply = daemon.local.post("/reload")
    assert reply.status == 422
    assert len(reply.json["errors"]) == 3
    assert reply.json["errors"][0].startswith(f"{daemon.config_path}:1: workers: ")
    assert f"{daemon.config_path}:2: limits.conections: " in reply.json["errors"][1]
    assert daemon.is_served()
    assert daemon.control.metrics().value("echod_config_last_reload_successful") == 0


def test_drain_and_undrain(launch):
    address = f"tcp://127.0.0.1:{free_port()}"
    listeners = [{"name": "echo", "address": address}]
    daemon = launch(listeners=listeners, shutdown={"idle_grace": "100ms"})
    sock = daemon.connect()
    exchange(sock)
    assert daemon.local.post("/drain").json == {"ok": True}
    reply = daemon.control.get("/readyz")
    assert (reply.status, reply.text) == (503, "draining\n")
    wait_until(lambda: ended(sock), 5, "an idle connection is ended")
    sock.close()
    wait_until(lambda: daemon.control.closed("drain") == 1, 5, "it is counted")
    wait_until(lambda: not daemon.is_served(), 5, "no new client is served")
    assert daemon.local.post("/drain").status == 200, "it drains already"
    assert daemon.local.post("/undrain").status == 200
    wait_until(daemon.is_served, 5, "clients are served again")
    assert daemon.control.get("/readyz").status == 200
    assert daemon.local.post("/undrain").status == 200, "it serves already"


def test_stop_answers_first(launch):
    daemon = launch()
    reply = daemon.local.post("/stop")
    assert (reply.status, reply.json) == (200, {"ok": True})
    assert daemon.wait_exit() == 0


def test_stop_is_a_drain(launch):
    daemon = launch(shutdown={"delay": "2s"})
    sock = daemon.connect()
    exchange(sock)
    assert daemon.local.post("/stop").status == 200
    assert daemon.control.get("/readyz").text == "draining\n"
    exchange(sock)
    assert daemon.local.post("/stop").status == 409
    for verb in ("/drain", "/undrain", "/reload"):
        reply = daemon.local.post(verb)
        assert reply.status == 409 and "stopping" in reply.json["error"]
    exchange(sock)
    assert daemon.wait_exit() == 0


def test_log_level(launch):
    daemon = launch()
    assert daemon.local.post("/log/level?level=error").status == 200
    daemon.log.wait_for("^control request$")  # which is told before the level changes
    daemon.serve_one()
    daemon.local.post("/log/reopen")
    lines = len(daemon.log.lines())
    hold(lambda: len(daemon.log.lines()) == lines, 0.3, "nothing below the level")
    assert daemon.local.post("/log/level?level=info").status == 200
    daemon.serve_one()
    daemon.log.wait_for(reason="client_fin")
    for query in ("", "?level=", "?level=loud", "?level=info&level=info", "?x=info"):
        reply = daemon.local.post("/log/level" + query)
        assert reply.status == 400
        assert "debug" in reply.json["error"]


def test_log_level_outlives_a_reload_that_fails(launch):
    daemon = launch()
    assert daemon.local.post("/log/level?level=error").status == 200
    with socket.create_server(("127.0.0.1", 0)) as taken:
        row = {"name": "more", "address": f"tcp://127.0.0.1:{taken.getsockname()[1]}"}
        daemon.configure(settings(listeners=[*settings()["listeners"], row]))
        assert daemon.local.post("/reload").status == 422
    daemon.log.wait_for("cannot bind", level="error")
    lines = len(daemon.log.lines())
    daemon.serve_one()
    hold(lambda: len(daemon.log.lines()) == lines, 0.3, "nothing below the level")
    daemon.configure(settings())
    assert daemon.local.post("/reload").status == 200
    daemon.serve_one()
    daemon.log.wait_for(reason="client_fin")


def test_log_reopen(launch, tmp_path):
    path = tmp_path / "log"
    daemon = launch(options={"log": path}, log={"target": "file", "file": str(path)})
    path.rename(tmp_path / "old")
    assert daemon.local.post("/log/reopen").status == 200
    wait_until(path.exists, 5, "a new file")
    daemon.serve_one()
    daemon.log.wait_for(reason="client_fin")
    daemon.log.wait_for("^log file opened again$", level="notice")


def test_log_without_a_file_is_not_said_to_be_opened_again(launch):
    told = "the log goes to standard error: there is no file to open again"
    daemon = launch()
    reply = daemon.local.post("/log/reopen")
    assert (reply.status, reply.json) == (409, {"error": told})
    daemon.signal(signal.SIGUSR1)
    daemon.log.wait_for(f"^{told}$", count=2)
    daemon.signal(signal.SIGHUP)
    daemon.log.wait_for("^reloaded$")
    # the next line of the same thread: a reload has told all
    daemon.local.post("/log/level?level=info")
    daemon.log.wait_for("^log.level is info")
    assert len(daemon.log.find("open")) == 2


def test_close_ends_one_connection(launch):
    daemon = launch()
    clients = [daemon.connect() for _ in range(5)]
    for sock in clients:
        exchange(sock)
    row = daemon.row(clients[2])
    assert daemon.local.post(f"/connections/{row['id']}/close").json == {"ok": True}
    wait_until(lambda: ended(clients[2]), 5, "its client sees the end")
    daemon.wait_connections(4)
    assert daemon.control.closed("admin") == 1
    for sock in clients[:2] + clients[3:]:
        exchange(sock)
    reply = daemon.local.post(f"/connections/{row['id']}/close")
    assert reply.status == 404
    assert str(row["id"]) in reply.json["error"]
    assert daemon.control.get(f"/connections/{row['id']}").status == 404


@pytest.mark.parametrize("level", ["error", "warning", "info"])
def test_a_change_of_the_level_does_not_silence_its_own_lines(launch, level):
    daemon = launch()
    target = f"/log/level?level={level}"
    assert daemon.local.post(target).status == 200
    daemon.log.wait_for("^control request$", level="notice", target=target)
    daemon.log.wait_for(f"log.level is {level} until", level="notice")
    assert daemon.local.post("/log/level?level=error").status == 200
    assert daemon.local.post("/log/level?level=warning").status == 200
    daemon.log.wait_for("log.level is warning until", level="notice")


def test_a_reload_does_not_silence_its_own_lines(launch):
    """But the level of the file holds from there on."""
    daemon = launch()
    daemon.configure(settings(log={"level": "error"}))
    assert daemon.local.post("/reload").status == 200
    for message in ("^control request$", "^log.level changed from .* to ", "^reloaded$"):
        daemon.log.wait_for(message, level="notice")
    assert daemon.local.post("/nowhere").status == 404
    assert daemon.local.post("/log/level?level=notice").status == 200
    daemon.log.wait_for("log.level is notice until", level="notice")
    assert not daemon.log.find(target="/nowhere")


@pytest.mark.parametrize("target", ["/nowhere?" + "x" * 7000, "/log/reopen?" + "%0a" * 2000])
def test_a_long_request_is_logged_all_the_same(launch, target):
    daemon = launch()
    daemon.local.post(target)
    (record,) = daemon.log.wait_for("^control request$", uid=os.geteuid())
    assert len(record["target"]) > 200 and target.startswith(record["target"])


def test_a_body_is_not_needed_and_has_a_limit(launch):
    daemon = launch()
    assert daemon.local.post("/undrain", body=b"x" * 4000).status == 200
    assert daemon.local.post("/undrain", body=b"x" * 5000).status == 413
    assert daemon.local.post("/undrain").status == 200


def test_other_sites_are_refused_here_too(launch):
    daemon = launch()
    navigated = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for headers in (
        {"Origin": "http://example.org"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", **navigated},
    ):
        assert daemon.local.post("/stop", headers=headers).status == 403
    assert daemon.local.get("/livez", {"Host": "whatever.example"}).status == 200
    assert daemon.is_served()


# what can be read


def test_config_tells_origins(launch):
    daemon = launch(limits={"connections": 123}, control={"http_hosts": ["a.example"]})
    document = daemon.local.document("/config")
    assert document["path"] == str(daemon.config_path)
    rows = {row["key"]: row for row in document["directives"]}
    assert len(rows) == len(document["directives"])
    keys = {"key", "value", "waiting", "default", "origin", "effect", "help"}
    assert set(rows["workers"]) == keys
    limit = rows["limits.connections"]
    assert (limit["value"], limit["default"], limit["effect"]) == ("123", False, "live")
    lines = daemon.config_path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.startswith("limits"))
    assert limit["origin"] == f"{daemon.config_path}:{number}"
    assert rows["limits.output_high"]["origin"] == "default"
    assert rows["limits.output_high"]["default"] is True
    assert rows["control.http_hosts"]["value"] == '( "a.example" )'
    assert rows["listeners.echo.address"]["value"] == "tcp://127.0.0.1:0"
    assert "listeners.echo.mode" not in rows


def test_config_follows_a_reload(launch):
    daemon = launch()
    daemon.configure(dict(daemon.config, limits={"connections": 77}))
    assert daemon.local.post("/reload").status == 200
    rows = {row["key"]: row["value"] for row in daemon.local.document("/config")["directives"]}
    assert rows["limits.connections"] == "77"


def test_version(launch):
    document = launch().control.document("/version")
    assert document["name"] == "echod"
    assert document["libevent"].startswith("2.")


def test_the_page_has_its_own_policy(launch):
    daemon = launch()
    first, second = (client.get("/") for client in (daemon.control, daemon.local))
    assert first.status == 200
    assert first.headers["content-type"].startswith("text/html")
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for element in ("script", "style"):
        (text,) = re.findall(rf"<{element}[^>]*>(.*?)</{element}>", first.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}';" in policy
    head = daemon.control.request("HEAD", "/")
    assert (head.status, head.text) == (200, "")
    for name in ("content-length", "content-security-policy", "content-type", "cache-control"):
        assert head.headers[name] == first.headers[name]
    assert head.headers["cache-control"] == "no-store"
    assert second.text == first.text, "the page is the same for everybody"


def test_the_page_holds_all_it_needs_and_nothing_its_policy_forbids(launch):
    page = launch().control.get("/").text
    assert "{{" not in page.partition("<script")[0]
    for name, count in (("<script", 1), ("</script", 1), ("<style", 1), ("</style", 1)):
        assert page.count(name) == count
    for word in (" style=", "javascript:", "innerHTML", "outerHTML", "insertAdjacent", "src="):
        assert word not in page
    # the one address is the name of SVG, which nobody fetches
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}
    noscript = page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert "echoctl status" in noscript and 'href="stats"' in noscript
