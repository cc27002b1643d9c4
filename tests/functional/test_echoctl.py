# SPDX-License-Identifier: BSD-2-Clause
"""echoctl's own behaviour: verbs, output, exit codes, where it looks for the daemon."""

import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

from fake_control import FakeControl, change, connection, datagram_listener, event, source
from harness import BINARY, PROJECT, environment, free_port, no_reports, pause, seconds
from harness.terminal import Terminal

ECHOCTL = pathlib.Path(os.environ.get("ECHOCTL") or BINARY.parent / "echoctl").absolute()
VERBS = (
    "status stats connections connection peers sources events top metrics config health reload"
    " drain undrain stop close log-level log-reopen version help"
).split()
NOTHING = ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "NO_COLOR")


def clean_environment(directory, **changes):
    """None of what echoctl looks at, but for changes."""
    env = environment(directory, **changes)
    return {key: value for key, value in env.items() if key in changes or key not in NOTHING}


@pytest.fixture
def echoctl(tmp_path):
    """Run echoctl to its end; a sanitizer's report fails the test."""

    def run(*arguments, text=True, deadline=20, env=None, **popen):
        popen.setdefault("stdout", subprocess.PIPE)
        result = subprocess.run(
            [str(ECHOCTL), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=text,
            timeout=seconds(deadline),
            check=False,
            env=clean_environment(tmp_path, **(env or {})),
            **popen,
        )
        no_reports(tmp_path)
        return result

    return run


@pytest.fixture
def control(open_directory):
    with FakeControl(open_directory / "control.sock") as fake:
        yield fake


@pytest.fixture
def ask(echoctl, control):
    """Run a verb at the fake control port."""
    return lambda *arguments, **options: echoctl("-s", control.path, *arguments, **options)


def rows(text):
    """Lines of a table as lists of their cells."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


# the command line


def test_help(echoctl):
    result = echoctl("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert all(re.search(rf"^  {verb}\b", result.stdout, re.M) for verb in VERBS)
    assert echoctl("-h").stdout == result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 85


def test_version(echoctl):
    result = echoctl("-V")
    assert result.returncode == 0
    assert re.match(r"echoctl \d+\.\d+\.\d+\S* \(libcurl ", result.stdout)
    assert echoctl("--version").stdout == result.stdout


def test_help_on_a_verb(echoctl):
    assert echoctl("help").stdout == echoctl("--help").stdout
    assert echoctl("--help", "top").stdout == echoctl("--help").stdout
    for verb in VERBS:
        text = echoctl("help", verb).stdout
        assert re.match(rf"Usage: echoctl \[OPTION \.\.\.\] {verb}( \[?[A-Z]+\]?)?\n.+\n\n", text)
        assert "--socket PATH" in text
    text = echoctl("help", "peers").stdout
    assert "--prefix" in text and "--follow" not in text
    assert "connections, bytes_in, bytes_out or pending" in text
    result = echoctl("help", "pears")
    assert result.returncode == 64
    assert 'unknown verb "pears": did you mean "peers"?' in result.stderr


def test_versions_of_both(ask, control):
    answer = {"name": "echod", "version": "1.2.3", "libevent": "2.1.12-stable", "jansson": "2.14",
              "compiler": "12.2.0"}
    control.answers["GET", "/version"] = (200, answer)
    own, its = ask("version").stdout.splitlines()
    assert own + "\n" == ask("--version").stdout
    assert its == "echod 1.2.3 (libevent 2.1.12-stable, jansson 2.14, compiler 12.2.0)"
    assert json.loads(ask("-j", "version").stdout) == answer
    control.answers["GET", "/version"] = (200, {"name": HOSTILE})
    assert not re.search(UNSAFE, ask("version").stdout)


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "no verb"),
        (["statsu"], 'did you mean "status"?'),
        (["nonsense"], 'unknown verb "nonsense"'),
        (["--nonsense", "status"], "nonsense"),
        (["status", "more"], '"more" is too much'),
        (["close"], "which ID?"),
        (["close", "1", "2"], "too much"),
        (["close", "x"], "not the number of a connection"),
        (["connection", "../stats"], "not the number of a connection"),
        (["log-level"], "which LEVEL?"),
        (["-s", "/a", "-u", "http://b", "status"], "do not go together"),
        (["-s", "/" + 200 * "x", "status"], "longer than the path of a socket can be"),
        (["-u", "file:///etc/passwd", "status"], "http://HOST:PORT"),
        (["-t", "5x", "status"], "unit"),
        (["-t", "0s", "status"], "is not from 1ms to"),
        (["--wait", "drain"], "--wait belongs to the verb stop"),
        (["--limit", "5", "status"], "--limit belongs to the verb connections"),
        (["connections", "--limit", "many"], "is not a whole number"),
        (["--interval", "1ms", "top"], "is not from 100ms to"),
        (["--json", "top"], "for --json there is connections"),
        (["connections", "-S", "closed"], '--state: "closed" is not open, flushing or lingering'),
        (["connections", "-k", "size"],
         '--sort: "size" is not age, idle, bytes_in, bytes_out or pending'),
        (["peers", "-k", "age"], '--sort: "age" is not connections, bytes_in, bytes_out or pending'),
        (["peers", "-o", "up"], '--order: "up" is not asc or desc'),
        (["log-level", "loud"],
         'log-level: "loud" is not error, warning, notice, info or debug'),
        (["connections", "-p", "10.0.0.1/8"], '--peer: "10.0.0.1/8" has bits set beyond'),
        (["events", "-p", "example.net"], '--peer: "example.net" '),
        (["connections", "--prefix", "24"], "--prefix belongs to the verb peers"),
        (["sources", "-f"], "--follow belongs to the verb events"),
        (["events", "--limit", "x"], "is not a whole number"),
    ],
)
def test_usage_errors(echoctl, arguments, says):
    result = echoctl(*arguments)
    assert result.returncode == 64
    assert result.stdout == ""
    assert says in result.stderr
    assert "Try 'echoctl --help'" in result.stderr


def test_all_mistakes_are_told_at_once(echoctl):
    result = echoctl("-t", "5x", "--limit", "x", "reload")
    assert result.returncode == 64
    assert "--timeout" in result.stderr
    assert '"x" is not a whole number' in result.stderr
    assert "--limit belongs to" in result.stderr


# where it looks


def test_the_first_socket_that_exists_is_asked(echoctl, open_directory):
    one, two = open_directory / "one", open_directory / "two"
    (two / "echod").mkdir(parents=True)
    one.mkdir()
    env = {"RUNTIME_DIRECTORY": f"{open_directory}/none:{one}", "XDG_RUNTIME_DIR": two}
    if os.path.exists("/run/echod/control.sock"):
        pytest.skip("a daemon runs on this machine")
    with FakeControl(two / "echod" / "control.sock") as second:
        assert echoctl("health", env=env).returncode == 0
        assert second.targets("GET") == ["/readyz"]
        with FakeControl(one / "control.sock") as first:
            assert echoctl("health", env=env).returncode == 0
            assert first.targets("GET") == ["/readyz"]
        assert len(second.requests) == 1


def test_all_places_are_named_when_there_is_none(echoctl, tmp_path):
    if os.path.exists("/run/echod/control.sock"):
        pytest.skip("a daemon runs on this machine")
    env = {"RUNTIME_DIRECTORY": tmp_path / "a", "XDG_RUNTIME_DIR": tmp_path / "b"}
    result = echoctl("status", env=env)
    assert (result.returncode, result.stdout) == (69, "")
    for place in (tmp_path / "a", "/run/echod", tmp_path / "b" / "echod"):
        assert f"{place}/control.sock: No such file or directory" in result.stderr
    assert "-u http://127.0.0.1:9862" in result.stderr


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("top", "help")])
def test_nobody_listens(echoctl, open_directory, verb):
    path = open_directory / "control.sock"
    operand = {"close": ["1"], "connection": ["1"], "log-level": ["info"]}.get(verb, [])
    result = echoctl("-s", path, verb, *operand)
    assert (result.returncode, result.stdout) == (69, "")
    assert result.stderr == f"echoctl: {path}: No such file or directory\n"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    result = echoctl("-s", path, "--json", verb, *operand)
    assert result.returncode == 69
    assert result.stderr == f"echoctl: {path}: Connection refused\n"


def test_nobody_at_the_url(echoctl):
    result = echoctl("-u", f"http://127.0.0.1:{free_port()}", "status")
    assert result.returncode == 69
    assert "Connection refused" in result.stderr


def test_a_silent_daemon_is_given_up(echoctl, open_directory):
    path = open_directory / "control.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        before = time.monotonic()
        result = echoctl("-s", path, "-t", "300ms", "status")
    assert result.returncode == 69
    assert "no answer in time" in result.stderr
    assert 0.3 <= time.monotonic() - before < seconds(5)


def test_a_daemon_that_hangs_up(ask, control):
    control.answers["GET", "/stats"] = "hang up"
    result = ask("status")
    assert result.returncode == 69
    assert "closed without an answer" in result.stderr


@pytest.mark.parametrize("body", ["", "hello\n", "[1]\n", '{"a":', "{}x", '{"a":"\\u0000"}'])
def test_something_else_answers(ask, control, body):
    control.answers["GET", "/stats"] = (200, body)
    result = ask("status")
    assert result.returncode == 69
    assert "the answer is not one of echod's" in result.stderr


def test_url(echoctl):
    with FakeControl() as fake:
        for url in (fake.url, fake.url + "/", fake.url[len("http://") :]):
            assert echoctl("--url", url, "health").returncode == 0
        assert fake.targets("GET") == 3 * ["/readyz"]
        assert all(request[2]["Host"] == fake.url[len("http://") :] for request in fake.requests)
        fake.answers["POST", "/drain"] = (405, {"error": "/drain takes GET"})
        result = echoctl("-u", fake.url, "drain")
    assert result.returncode == 1
    assert result.stderr.startswith("echoctl: /drain takes GET\n")
    assert "needs the control socket" in result.stderr


def test_a_proxy_of_the_environment_is_not_asked(echoctl):
    proxy = f"http://127.0.0.1:{free_port()}"
    with FakeControl() as fake:
        env = {"http_proxy": proxy, "ALL_PROXY": proxy}
        assert echoctl("-u", fake.url, "health", env=env).returncode == 0


def test_the_host_is_one_that_the_daemon_knows(ask, control):
    assert ask("health").returncode == 0
    (request,) = control.requests
    assert request[2]["Host"] == "localhost"
    assert "Origin" not in request[2]


# verbs that look


def test_status(ask, control):
    stats = control.stats()
    stats["listeners"][0].update(peaks={"connections": 9}, connections_limit=50, open=True)
    control.answers["GET", "/stats"] = (200, stats)
    result = ask("status")
    assert (result.returncode, result.stderr) == (0, "")
    head, _, rest = result.stdout.partition("\n")
    assert head == f"echod 0.1.0, process {control.pid}: ready, up 1d02h"
    assert "connections  3 of 10000; 7 accepted, 2 rejected, 5 closed\n" in rest
    assert "traffic      5.0 MiB received, 5.0 MiB sent, 0 B pending\n" in rest
    assert "process      3.3 MiB resident, 23 of 20000 descriptors, 1.50s of CPU time\n" in rest
    assert "last reload  successful (2 so far, 0 failed)\n" in rest
    assert ["echo", "tcp://[::]:7", "accepting", "3", "50", "9", "7", "2", "5.0 MiB",
            "5.0 MiB"] in rows(rest)
    assert rows(rest)[-4:] == [
        ["LOOP", "OPEN", "LAG P50", "LAG P99"],
        ["main", "-", "50.0us", "1.00ms"],
        ["worker 0", "2", "50.0us", "-"],
        ["worker 1", "1", "-", "-"],
    ]
    assert control.targets("GET") == ["/stats"]


def test_status_while_draining_and_after_a_failed_reload(ask, control):
    control.state = "draining"
    stats = control.stats()
    stats["process"]["last_reload_successful"] = False
    stats["process"]["reloads"] = {"success": 0, "failure": 1}
    stats["listeners"][0]["accepting"] = False
    control.answers["GET", "/stats"] = (200, stats)
    text = ask("status").stdout
    assert ": draining, up" in text.splitlines()[0]
    assert "last reload  failed: the configuration before it is in force\n" in text
    assert "not accepting" in text


def test_status_of_a_daemon_that_tells_little(ask, control):
    control.answers["GET", "/stats"] = (200, {"process": {"pid": "x"}, "listeners": [1, {}]})
    result = ask("status")
    assert result.returncode == 0
    assert result.stdout.startswith("echod -, process -: not ready, up -\n")


def test_stats_shows_every_figure(ask, control):
    stats = {**control.stats(), "news": [[1.5], {"id": 9, "x": 1}]}
    control.answers["GET", "/stats"] = (200, stats)
    figures = dict(rows(ask("stats").stdout))
    assert figures["process.version"] == "0.1.0"
    assert figures["process.ready"] == "true"
    assert figures["totals.received_bytes"] == str(5 * 1024 * 1024)
    assert figures["totals.connections_rejected.limit"] == "2"
    assert figures["listeners[echo].address"] == "tcp://[::]:7"
    assert figures["workers[1].connections"] == "1"
    assert figures["process.cpu_seconds"] == "1.500"
    assert figures["news[0][0]"] == "1.50"
    assert figures["news[9].x"] == "1"


def test_large_numbers_stay_exact(ask, control):
    control.answers["GET", "/stats"] = (200, {"totals": {"received_bytes": 2**63 - 1}})
    assert rows(ask("stats").stdout) == [["totals.received_bytes", str(2**63 - 1)]]


def test_connections(ask, control):
    control.rows = [
        connection(1, state="flushing", read_paused=True, pending_bytes=4096),
        connection(12345, listener="local", peer="unix:pid=7,uid=0", bytes_in=2**40, tcp=None),
    ]
    control.answers["GET", "/connections"] = (200, {"total": 2, "connections": control.rows})
    result = ask("connections")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert rows(result.stdout) == [
        "ID LISTENER PEER STATE AGE IDLE IN OUT PENDING PAUSED RTT".split(),
        "1 echo 192.0.2.1:5000 flushing 250.500 0.250 1000 1000 4096 yes 0.000417".split(),
        f"12345 local unix:pid=7,uid=0 open 250.500 0.250 {2**40} 12345000 0 no -".split(),
    ]
    # figures stand at the right, and no line has blanks at its end
    assert lines[1].startswith("    1  echo ")
    assert lines[1].index("1000") + 4 == lines[2].index(str(2**40)) + 13
    assert all(line == line.rstrip() for line in lines)


def test_connections_filters(ask, control):
    result = ask(
        *"connections --listener echo --peer 192.0.2.0/24 --state open --sort bytes_in".split(),
        *"--order desc --limit 20 --offset 40".split(),
    )
    assert result.returncode == 0
    ask(*"-n 1 -O 2 -k age -o asc -S open -p ::1 -l e connections".split())
    assert control.targets("GET") == [
        "/connections?tcp=1&listener=echo&peer=192.0.2.0%2F24&state=open&sort=bytes_in&order=desc"
        "&limit=20&offset=40",
        "/connections?tcp=1&listener=e&peer=%3A%3A1&state=open&sort=age&order=asc&limit=1&offset=2",
    ]


def test_a_query_cannot_be_smuggled(ask, control):
    ask("connections", "--listener", "a&limit=0 #?%\r\n\xe9")
    query = "tcp=1&listener=a%26limit%3D0%20%23%3F%25%0D%0A%C3%A9"
    assert control.targets("GET") == [f"/connections?{query}"]


def test_connections_tells_that_there_are_more(ask, control):
    control.answers["GET", "/connections"] = (200, {"total": 500, "connections": [connection(1)]})
    result = ask("connections")
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 2
    assert "1 of 500" in result.stderr
    answer = {"total": 500, "matched": 1, "connections": [connection(1)]}
    control.answers["GET", "/connections"] = (200, answer)
    assert ask("connections").stderr == ""


def test_connection(ask, control):
    figures = dict(rows(ask("connection", "2").stdout))
    assert figures["id"] == "2"
    assert figures["peer"] == "192.0.2.2:5000"
    assert figures["tcp.rtt_seconds"] == "0.000417"
    result = ask("connection", "9")
    assert (result.returncode, result.stderr) == (1, "echoctl: unknown path\n")
    assert control.targets("GET") == ["/connections/2", "/connections/9"]


def test_metrics(ask, control):
    result = ask("metrics", text=False)
    assert result.returncode == 0
    assert result.stdout == control.answers["GET", "/metrics"][1].encode()


def test_config(ask):
    assert rows(ask("config").stdout) == [
        ["KEY", "VALUE", "ORIGIN", "EFFECT"],
        ["limits.connections", "20000", "/etc/echod.conf:7", "live"],
        ["log.file", '""', "default", "live"],
        ["listeners.echo.idle_timeout", "10m", "default", "new connections"],
        ["workers", "0", "default", "restart"],
    ]


def waiting(control, **values):
    """Have the directives with these keys wait for a restart with these values."""
    answer = control.config()
    for row in answer["directives"]:
        row["waiting"] = values.get(row["key"])
    control.answers["GET", "/config"] = (200, answer)


def test_config_marks_what_waits_for_a_restart(ask, control, tmp_path):
    waiting(control, workers="4")
    text = ask("config").stdout
    assert rows(text)[0] == ["KEY", "VALUE", "ORIGIN", "EFFECT", "AFTER RESTART"]
    assert rows(text)[1][-1] == "-"
    assert rows(text)[-1] == ["workers", "0", "default", "restart", "4"]
    text = on_terminal(control, tmp_path, "config")
    assert text.endswith("\033[33m4\033[0m\n")
    waiting(control, workers="")
    assert rows(ask("config").stdout)[-1][-1] == '""'
    waiting(control)
    assert "AFTER RESTART" not in ask("config").stdout


@pytest.mark.parametrize("state, code, word", [("ready", 0, "ok"), ("draining", 1, "draining")])
def test_health(ask, control, state, code, word):
    control.state = state
    result = ask("health")
    assert (result.returncode, result.stdout, result.stderr) == (code, word + "\n", "")


# verbs that change something


def test_reload(ask, control):
    control.answers["POST", "/reload"] = (
        200,
        {
            "changed": [
                change("limits.connections", "10000", "20000"),
                change("listeners.new.address", "", "tcp://[::]:9"),
            ],
            "needs_restart": [change("workers", "2", "4")],
        },
    )
    result = ask("reload")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "limits.connections: 10000 -> 20000\n"
        "listeners.new.address: (none) -> tcp://[::]:9\n"
        "needs a restart: workers: 2 -> 4\n"
    )
    assert control.targets("POST") == ["/reload"]
    assert control.requests[0][3] == b""


def test_reload_without_a_change(ask):
    assert ask("reload").stdout == "nothing has changed\n"


def test_reload_of_a_bad_file(ask, control):
    lines = [
        '/etc/echod.conf:3: limits.connections: "x" is not a number',
        '/etc/echod.conf:9: unknown key "tiemout" (did you mean "timeout"?) \\x1b',
    ]
    control.answers["POST", "/reload"] = (422, {"errors": lines})
    result = ask("reload")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == lines


@pytest.mark.parametrize(
    "arguments, target, says",
    [
        (["drain"], "/drain", "draining"),
        (["undrain"], "/undrain", "taking clients again"),
        (["stop"], "/stop", "stopping"),
        (["close", "2"], "/connections/2/close", "closed: connection 2"),
        (
            ["log-level", "debug"],
            "/log/level?level=debug",
            "log level until the next reload: debug",
        ),
        (["log-reopen"], "/log/reopen", "log opened again"),
    ],
)
def test_changing_verbs(ask, control, arguments, target, says):
    result = ask(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (0, says + "\n", "")
    assert control.targets("POST") == [target]
    control.answers["POST", target.partition("?")[0]] = (409, {"error": "not now"})
    result = ask(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "echoctl: not now\n")


def test_a_busy_daemon(ask, control):
    control.answers["GET", "/connections"] = (503, {"error": "busy with other questions"})
    result = ask("connections")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "echoctl: busy with other questions\n"


def test_a_refusal_without_words(ask, control):
    control.answers["POST", "/drain"] = (500, "<h1>500</h1>")
    result = ask("drain")
    assert result.returncode == 1
    assert "refused with HTTP status 500" in result.stderr


def test_stop_waits_until_the_socket_is_gone(ask, control):
    def stop():
        threading.Timer(0.5, control.stop).start()
        return 200, {"ok": True}

    control.answers["POST", "/stop"] = stop
    before = time.monotonic()
    result = ask("stop", "--wait")
    assert (result.returncode, result.stdout, result.stderr) == (0, "stopped\n", "")
    assert 0.5 <= time.monotonic() - before < seconds(5)


def test_stop_sees_that_another_process_took_over(ask, control):
    def stop():
        threading.Timer(0.3, setattr, (control, "pid", control.pid + 1)).start()
        return 200, {"ok": True}

    control.answers["POST", "/stop"] = stop
    assert ask("stop", "--wait").stdout == "stopped\n"


def test_stop_does_not_wait_for_ever(ask):
    before = time.monotonic()
    result = ask("stop", "--wait", "--timeout", "500ms")
    assert result.returncode == 1
    assert "still there" in result.stderr
    assert 0.5 <= time.monotonic() - before < seconds(5)


def test_stop_that_is_refused_does_not_wait(ask, control):
    control.answers["POST", "/stop"] = (409, {"error": "already stopping"})
    before = time.monotonic()
    result = ask("stop", "--wait")
    assert (result.returncode, result.stderr) == (1, "echoctl: already stopping\n")
    assert time.monotonic() - before < seconds(5)


# output


JSON_VERBS = [
    (["status"], "GET", "/stats"),
    (["stats"], "GET", "/stats"),
    (["connections"], "GET", "/connections"),
    (["connection", "2"], "GET", "/connections/2"),
    (["config"], "GET", "/config"),
    (["reload"], "POST", "/reload"),
    (["drain"], "POST", "/drain"),
    (["close", "2"], "POST", "/connections/2/close"),
]


@pytest.mark.parametrize("arguments, method, path", JSON_VERBS)
def test_json_is_passed_through(ask, control, arguments, method, path):
    body = b' {"a": [1.50, "\xc3\xa9\\u001b"],\n\n "b": null}  '
    control.answers[method, path] = (200, body)
    result = ask("--json", *arguments, text=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, body, b"")
    control.answers[method, path] = (422, body)
    result = ask(*arguments, "-j", text=False)
    assert (result.returncode, result.stdout, result.stderr) == (1, body, b"")


def test_a_large_answer(ask, control):
    many = [connection(number) for number in range(1, 15001)]
    control.answers["GET", "/connections"] = (200, {"total": len(many), "connections": many})
    result = ask("connections")
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 15001
    document = json.loads(ask("--json", "connections").stdout)
    assert document["connections"] == many


def test_output_that_cannot_be_written(ask):
    with open("/dev/full", "wb") as full:
        result = ask("status", stdout=full)
    assert result.returncode == 1
    assert "No space left on device" in result.stderr


HOSTILE = "a\x1b]0;x\x07\x9b\u202e\u009b2J\r\nb\\x1b\x7f"
UNSAFE = r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
HARMLESS = r"a\x1b]0;x\x07\xc2\x9b\xe2\x80\xae\xc2\x9b2J\x0d\x0ab\x1b\x7f"


def test_what_the_daemon_says_is_harmless(ask, control):
    hostile = connection(1, listener=HOSTILE, peer=HOSTILE, state=HOSTILE)
    hostile[HOSTILE] = HOSTILE
    control.rows = [hostile]
    control.answers["GET", "/connections/1"] = (200, hostile)
    stats = control.stats()
    stats["process"]["version"] = stats["listeners"][0]["name"] = HOSTILE
    stats["listeners"][0]["address"] = HOSTILE
    control.answers["GET", "/stats"] = (200, stats)
    rows_of = [{"key": HOSTILE, "value": HOSTILE, "origin": HOSTILE, "effect": HOSTILE}]
    control.answers["GET", "/config"] = (200, {"directives": rows_of})
    changes = [change(HOSTILE, HOSTILE, HOSTILE)]
    control.answers["POST", "/reload"] = (200, {"changed": changes, "needs_restart": changes})
    control.answers["POST", "/drain"] = (409, {"error": HOSTILE})
    control.answers["POST", "/undrain"] = (422, {"errors": [HOSTILE]})
    hostile_source = source(listener=HOSTILE, source=HOSTILE)
    control.answers["GET", "/sources"] = (200, {"sources": [hostile_source]})
    control.answers["GET", "/readyz"] = (503, HOSTILE.replace("\n", ""))
    stats["totals"]["datagrams_received"] = 1
    stats["totals"]["datagrams_dropped"] = {HOSTILE: 1}
    rows_of[0]["waiting"] = HOSTILE
    hostile_event = event(1, **dict.fromkeys(("time", "kind", "listener", "peer", "reason"), HOSTILE))
    control.answers["GET", "/events"] = (200, {"events": [hostile_event], "next": 1})
    for path in ("/stop", "/log/reopen", "/log/level", "/connections/2/close"):
        control.answers["POST", path] = (409, {"error": HOSTILE})
    for verb in ("connections", "connection 1", "events", "peers", "status", "stats", "config", "reload", "drain",
                 "undrain", "sources", "health", "stop", "log-reopen", "log-level info", "close 2"):
        result = ask(*verb.split())
        text = result.stdout + result.stderr
        assert (HARMLESS.replace(r"\x0a", "") if verb == "health" else HARMLESS) in text, verb
        assert not re.search(UNSAFE, text), verb


def on_terminal(control, tmp_path, *arguments, columns=100, **changes):
    env = clean_environment(tmp_path, **changes)
    command = [ECHOCTL, "-s", control.path, *arguments]
    with Terminal(command, env=env, columns=columns) as terminal:
        terminal.wait_exit()
        return terminal.output.replace(b"\r\n", b"\n").decode()


def test_units_and_colours_are_for_a_terminal(ask, control, tmp_path):
    control.rows = [connection(1, bytes_in=12897485)]
    plain = ask("connections").stdout
    assert "\033" not in plain
    assert "12897485" in plain
    text = on_terminal(control, tmp_path, "connections")
    assert text.startswith("\033[1mID")
    assert "12.3 MiB" in text
    assert "4m10s" in text
    assert "417us" in text
    text = on_terminal(control, tmp_path, "connections", NO_COLOR="1")
    assert "\033" not in text
    assert "12.3 MiB" in text
    assert "\033" in on_terminal(control, tmp_path, "connections", NO_COLOR="")


def test_a_terminal_gets_harmless_json_and_metrics(control, tmp_path):
    control.answers["GET", "/stats"] = (200, '{"a":"\x7f\u009b"}\n')
    assert on_terminal(control, tmp_path, "--json", "stats") == '{"a":"\\x7f\\xc2\\x9b"}\n'
    control.answers["GET", "/metrics"] = (200, 'a{b="\\"\x1b"} 1\n')
    assert on_terminal(control, tmp_path, "metrics") == 'a{b="\\"\\x1b"} 1\n'


def test_wide_characters_keep_columns_straight(ask, control):
    control.rows = [connection(1, listener="\u6f22\u5b57"), connection(2, listener="e\u0301x")]
    lines = ask("connections", env={"LC_ALL": "C.UTF-8"}).stdout.splitlines()
    assert lines[1].index("192.0.2.1") == lines[0].index("PEER") - 2
    assert lines[2].index("192.0.2.2") == lines[0].index("PEER") + 1


# a terminal of 80 columns


def long_names(control):
    """Answers that are far wider than a terminal."""
    name, peer = "listener-" + "x" * 52 + "-END", "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"
    control.rows = [
        connection(2**40 + number, listener=name, peer=peer, bytes_in=2**61, age_seconds=4e7)
        for number in range(3)
    ]
    by_peer = [{"peer": peer[1:-7] + "/64" if number else name, "connections": 2**60,
                **dict.fromkeys(("bytes_in", "bytes_out", "pending_bytes"), 2**61)}
               for number in range(3)]
    control.answers["GET", "/connections"] = (
        200, {"total": 3, "matched": 3, "connections": control.rows, "peers": by_peer})
    control.answers["GET", "/events"] = (200, {"next": 2**60, "events": [
        event(2**60, listener=name, peer=peer, bytes_in=2**61, bytes_out=2**61, duration_seconds=4e7,
              reason="source_subnet_broadcast", connection=2**60)]})
    stats = control.stats()
    stats["process"]["needs_restart"] = 2**40
    stats["totals"]["peaks"] = {
        "connections": 2**40, "accepts_per_second": 2**40, "received_bytes_per_second": 2**61,
        "sent_bytes_per_second": 2**61}
    reasons = "source_rate total_rate budget send_unreachable source_unspecified".split()
    stats["totals"]["datagrams_dropped"] = dict.fromkeys(reasons, 2**59)
    stats["totals"].update(
        datagrams_received=2**61, datagrams_sent=2**61,
        connections=2**40, connections_accepted=2**60, connections_closed=2**60,
        received_bytes=2**61, sent_bytes=2**61)
    stats["listeners"] = [
        {**row, "name": name, "address": f"tcp://{peer}", "connections_accepted": 2**60}
        for row in stats["listeners"]
    ] * 30 + [datagram_listener(name, address=f"udp://{peer}", datagrams_received=2**54,
                                source_unspecified=2**54)] * 30
    stats["listeners"][0].update(connections_limit=2**40, peaks={"connections": 2**40})
    control.answers["GET", "/stats"] = (200, stats)
    control.answers["GET", "/sources"] = (200, {"sources": [
        source(listener=name, source=peer[1:-7] + "/64", echoed=2**60, dropped=2**60,
               idle_seconds=4e7)]})
    control.answers["GET", "/config"] = (200, {"directives": [
        {"key": f"listeners.{name}.unix_socket", "value": "unix:/run/" + "v" * 90 + "/socket",
         "origin": "/etc/echod/" + "o" * 60 + ".conf:123", "effect": "new connections", "waiting": "unix:/run/" + "w" * 90}]})
    return name


WIDE_VERBS = ("status", "stats", "connections", "connection 1099511627776", "peers", "sources",
              "events", "config")


def width(line):
    """How many columns a line takes without its colours."""
    return len(re.sub(r"\x1b\[\d*m", "", line))


@pytest.mark.parametrize("verb", WIDE_VERBS)
@pytest.mark.parametrize("columns", [200, 80, 60, 48, 40])
def test_no_line_is_wider_than_the_terminal(control, tmp_path, verb, columns):
    name = long_names(control)
    control.answers["GET", "/connections/1099511627776"] = (200, control.rows[0])
    lines = on_terminal(control, tmp_path, *verb.split(), columns=columns).splitlines()
    assert max(map(width, lines)) <= columns, "\n".join(lines)
    if columns == 200:
        return
    assert "\u2026" in "".join(lines) or columns == 40
    # the wide form has all, and so has a pipe
    for text in (
        on_terminal(control, tmp_path, *verb.split(), "-W", columns=columns),
        on_terminal(control, tmp_path, "--wide", *verb.split(), columns=columns),
    ):
        assert name in text and "\u2026" not in text
        assert max(map(width, text.splitlines())) > columns


@pytest.mark.parametrize("verb", WIDE_VERBS)
def test_a_pipe_gets_everything(ask, control, verb):
    name = long_names(control)
    control.answers["GET", "/connections/1099511627776"] = (200, control.rows[0])
    plain = ask(*verb.split()).stdout
    assert name in plain and "\u2026" not in plain
    assert ask(*verb.split(), "-W").stdout == plain


def test_columns_of_least_use_go_first(control, tmp_path):
    usual = "ID LISTENER PEER STATE AGE IDLE IN OUT PENDING PAUSED RTT".split()
    control.rows = [connection(1, bytes_in=12897485)]
    control.answers["GET", "/connections"] = (200, {"total": 1, "connections": control.rows})
    seen = []
    for columns in (120, 80, 60, 50, 40, 30, 20):
        lines = on_terminal(
            control, tmp_path, "connections", columns=columns, NO_COLOR="1").splitlines()
        assert max(map(width, lines)) <= columns
        titles = lines[0].split()
        assert titles == [title for title in usual if title in titles]
        seen.append(titles)
    assert seen[0] == usual
    assert "RTT" not in seen[2] and "PEER" in seen[2]
    assert all(len(a) >= len(b) for a, b in zip(seen, seen[1:]))
    assert seen[-1]


def test_figures_of_status_are_not_cut(control, tmp_path):
    long_names(control)
    text = " ".join(on_terminal(control, tmp_path, "status", columns=80).split())
    assert f"{2**40} of 10000; {2**60} accepted, 2 rejected, {2**60} closed" in text


# shell completion


def complete(words, env=None, folder=None, lines=False):
    """What bash offers for the last of the words, called in that folder."""
    script = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_echoctl; ((${#COMPREPLY[@]} == 0)) || printf "%s\\n" "${COMPREPLY[@]}"'
    )
    source = PROJECT / "completion" / "bash" / "echoctl"
    result = subprocess.run(
        ["bash", "--norc", "-uc", script, "bash", str(source), *words],
        capture_output=True,
        text=True,
        timeout=seconds(10),
        check=True,
        env=env,
        cwd=folder,
    )
    assert result.stderr == ""
    return result.stdout.splitlines() if lines else result.stdout.split()


def test_completion():
    assert sorted(complete(["echoctl", ""])) == sorted(VERBS)
    assert complete(["echoctl", "--json", "conn"]) == ["connections", "connection"]
    assert complete(["echoctl", "log-level", "d"]) == ["debug"]
    assert complete(["echoctl", "connections", "--sort", "b"]) == ["bytes_in", "bytes_out"]
    assert complete(["echoctl", "connections", "--state", ""]) == "open flushing lingering".split()
    assert "--listener" in complete(["echoctl", "connections", "--l"])
    assert "--wait" in complete(["echoctl", "-s", "/x", "stop", "--"])
    assert "--wait" not in complete(["echoctl", "drain", "--"])
    assert complete(["echoctl", "drain", ""]) == []
    assert complete(["echoctl", "peers", "--sort", "c"]) == ["connections"]
    assert "--prefix" in complete(["echoctl", "peers", "--"])
    assert "--follow" in complete(["echoctl", "events", "-l", "x", "--"])


def test_completion_asks_the_daemon(control):
    env = {"PATH": f"{ECHOCTL.parent}:{os.environ['PATH']}"}
    socket_words = ["echoctl", "-s", str(control.path)]
    assert complete([*socket_words, "close", ""], env) == ["1", "2", "3"]
    assert complete([*socket_words, "connections", "--listener", ""], env) == ["echo"]
    assert complete([*socket_words, "events", "-l", ""], env) == ["echo"]
    assert complete([*socket_words, "events", "--reason", "cl"], env) == ["client_fin", "client_reset"]
    assert "listener_limit" in complete([*socket_words, "events", "-r", ""], env)
    # reasons of datagrams are none of events
    assert complete([*socket_words, "events", "-r", "source"], env) == []


HOSTILE_WORDS = [
    "$(touch${IFS}FILE)",
    "$(touch FILE)",
    "`touch FILE`",
    "x;touch FILE",
    "x&&touch${IFS}FILE",
    "x|tee FILE",
    ">FILE",
    "<(touch FILE)",
    "${x:=$(touch FILE)}",
    "$((a[$(touch FILE)]))",
    "a\nwebber",
    "a\n$(touch FILE)\n2",
    "\x1b]0;owned\x07",
    "\x1b[2Jw",
    "\x9b2Jw",
    "w\u009b2J",
    "web x",
    "web\tx",
    "w*",
    "web-?",
    "[a-z]*",
    "{web,x}",
    "~root",
    "$HOME",
    "$PATH",
    "web'x",
    'web"x',
    "web\\x",
    "!!",
    "w" * 65,
    "w\u00e9b",
]


def listeners(names):
    return {"listeners": [{"name": name} for name in names]}


@pytest.mark.parametrize("words", [
    ["connections", "--listener"],
    ["connections", "-l"],
    ["sources", "--listener"],
    ["sources", "-l"],
])
@pytest.mark.parametrize("typed, offered", [
    ("", ["web-1.x", "echo", "w_2", "-dash"]),
    ("w", ["web-1.x", "w_2"]),
    ("web-", ["web-1.x"]),
    ("*", []),
    ("[a-z]", []),
    ("$(touch FILE)", []),
])
def test_completion_runs_nothing_that_a_daemon_says(control, tmp_path, words, typed, offered):
    """Words of a hostile socket; the names that can be names are offered all the same."""
    env = {"PATH": f"{ECHOCTL.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    names = ["web-1.x", *HOSTILE_WORDS, "echo", "w_2", "-dash"]
    control.answers["GET", "/stats"] = (200, listeners(names))
    found = complete(["echoctl", "-s", str(control.path), *words, typed], env, tmp_path, lines=True)
    assert found == offered
    assert not list(tmp_path.iterdir()), "a word was run"


@pytest.mark.parametrize("verb", ["connection", "close"])
def test_completion_offers_numbers_alone_as_connections(tmp_path, verb):
    """A stand-in for echoctl prints what no echoctl does: the completion relies on nobody."""
    stand_in = tmp_path / "bin" / "echoctl"
    stand_in.parent.mkdir()
    said = "\n".join(["ID  LISTENER", "1", *HOSTILE_WORDS, "23  echo"])
    (stand_in.parent / "said").write_text(said + "\n", encoding="utf-8")
    stand_in.write_text(f"#!/bin/sh\ncat '{stand_in.parent}/said'\n")
    stand_in.chmod(0o755)
    before = sorted(tmp_path.rglob("*"))
    env = {"PATH": f"{stand_in.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    found = complete(["echoctl", verb, ""], env, tmp_path, lines=True)
    # "2" is the last line of a word that has several
    assert found == ["1", "2", "23"]
    assert sorted(tmp_path.rglob("*")) == before, "a word was run"


@pytest.mark.parametrize("path", [
    "/nowhere/$(touch FILE)", "/nowhere/`touch FILE`", "'/nowhere/a b'", "/nowhere/\"$(touch FILE)",
])
def test_completion_runs_nothing_of_a_word_that_is_being_typed(tmp_path, path):
    env = {"PATH": f"{ECHOCTL.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for words in (["-s", path, "close", ""], ["-s", path], ["-u", path, "sources", "-l", ""]):
        assert complete(["echoctl", *words], env, tmp_path, lines=True) in ([], [""])
        assert not list(tmp_path.iterdir()), "a word was run"


def test_completion_does_not_wait_for_a_daemon_without_end(control, tmp_path):
    env = {"PATH": f"{ECHOCTL.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def slow():
        pause(seconds(8), "a daemon that does not answer")
        return 200, listeners(["echo"])

    control.answers["GET", "/stats"] = slow
    begin = time.monotonic()
    words = ["echoctl", "-s", str(control.path), "sources", "-l", ""]
    assert complete(words, env, tmp_path, lines=True) == []
    assert time.monotonic() - begin < seconds(6)


def test_completion_knows_every_option(echoctl):
    offered = set()
    for verb in VERBS:
        offered |= set(complete(["echoctl", verb, "-"]))
    assert offered == set(re.findall(r"--[a-z]+", echoctl("--help").stdout))
