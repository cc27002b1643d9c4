# SPDX-License-Identifier: BSD-2-Clause
"""echoctl events and peers: who was closed or refused, once or followed, and who is connected."""

import contextlib
import json
import re
import signal
import subprocess

import pytest

import fake_control
from fake_control import FakeControl, connection, event, refused
from harness import hold, no_reports, seconds, wait_until
from harness.terminal import Terminal
from test_echoctl import (
    ECHOCTL, HARMLESS, HOSTILE, UNSAFE, ask, clean_environment, control, echoctl, on_terminal, rows,
    width)

TITLES = "TIME EVENT LISTENER PEER REASON LASTED IN OUT CONNECTION".split()


def tell(control, *told):
    """Have it tell these events; the list that is returned may grow."""
    found = list(told)
    control.answers["GET", "/events"] = lambda: (
        200, fake_control.events(found, control.requests[-1][1]))
    return found


class Follower:
    """A running `echoctl events -f` that writes to pipes, or to a terminal."""

    def __init__(self, control, directory, *arguments):
        self.process = subprocess.Popen(
            [ECHOCTL, "-s", control.path, "events", "-f", *arguments],
            stdin=subprocess.DEVNULL, env=clean_environment(directory),
            stdout=(directory / "out").open("wb"), stderr=(directory / "err").open("wb"))
        self.directory = directory

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        no_reports(self.directory)

    @property
    def output(self):
        return (self.directory / "out").read_text()

    @property
    def errors(self):
        return (self.directory / "err").read_text()

    def wait_peers(self, *numbers):
        """Until these events were printed, in this order, and no others."""
        wanted = [str(100 + number) for number in numbers]
        wait_until(lambda: [row[-1] for row in rows(self.output)[1:]] == wanted, 10,
                   f"the events {numbers}")


# once


def test_events_are_a_log(ask, control):
    tell(control, event(1), refused(2, peer="[2001:db8::1]:443"), event(3, reason="idle_timeout"))
    result = ask("events")
    assert (result.returncode, result.stderr) == (0, "")
    moment = "2025-01-31T23:59:59.123Z"
    assert rows(result.stdout) == [
        TITLES,
        [moment, "closed", "echo", "192.0.2.1:5000", "client_fin", "4.250", "1000", "1000", "101"],
        [moment, "refused", "echo", "[2001:db8::1]:443", "limit", "0.000", "0", "0", "-"],
        [moment, "closed", "echo", "192.0.2.3:5000", "idle_timeout", "4.250", "1000", "1000", "103"],
    ]
    assert control.targets("GET") == ["/events"]


def test_no_events_are_titles(ask, control):
    tell(control)
    assert rows(ask("events").stdout) == [TITLES]


def test_filters_of_events(ask, control):
    tell(control)
    ask(*"events -l echo -p 192.0.2.0/24 -r idle_timeout -n 5".split())
    ask(*"events --listener a&b --peer ::1 --reason limit --limit 1000".split())
    assert control.targets("GET") == [
        "/events?listener=echo&peer=192.0.2.0%2F24&reason=idle_timeout&limit=5",
        "/events?listener=a%26b&peer=%3A%3A1&reason=limit&limit=1000",
    ]


def test_events_as_json(ask, control):
    body = b' {"events": [\n], "next": 1.50}'
    control.answers["GET", "/events"] = (200, body)
    assert ask("--json", "events", text=False).stdout == body


def test_an_older_daemon_has_no_events(ask, control):
    control.answers.pop(("GET", "/events"), None)
    for arguments in (["events"], ["events", "-f"], ["-j", "events", "-f"]):
        result = ask(*arguments)
        assert (result.returncode, result.stderr) == (1, "echoctl: unknown path\n")


def test_events_on_a_terminal(control, tmp_path):
    tell(control, event(1, bytes_in=2**40), refused(2), event(3, reason="drain_forced",
         peer="255.255.255.255:65535", duration_seconds=250.5))
    lines = on_terminal(control, tmp_path, "events", columns=80).splitlines()
    assert rows(re.sub(r"\x1b\[\d*m", "", "\n".join(lines))) == [
        TITLES[:6],
        ["01-31 23:59:59Z", "closed", "echo", "192.0.2.1:5000", "client_fin", "4.25s"],
        ["01-31 23:59:59Z", "refused", "echo", "192.0.2.2:5000", "limit", "0s"],
        ["01-31 23:59:59Z", "closed", "echo", "255.255.255.255:65535", "drain_forced", "4m10s"],
    ]
    assert "\x1b[33mrefused\x1b[0m" in lines[2]
    assert "1.0 TiB" in on_terminal(control, tmp_path, "events", columns=130)


# followed


def test_follow_goes_on_with_what_is_new(control, tmp_path):
    found = tell(control, *map(event, range(1, 31)))
    with Follower(control, tmp_path) as follower:
        follower.wait_peers(*range(21, 31))
        found += [event(31), event(32)]
        follower.wait_peers(*range(21, 33))
        found.append(event(33))
        follower.wait_peers(*range(21, 34))
        assert [row[0] for row in rows(follower.output)].count("TIME") == 1
        assert follower.errors == ""
    targets = control.targets("GET")
    assert targets[:2] == ["/events?limit=10", "/events?limit=1000&since=30"]
    assert targets[-1] in ("/events?limit=1000&since=32", "/events?limit=1000&since=33")


def test_follow_begins_where_the_limit_says(control, tmp_path):
    tell(control, *map(event, range(1, 31)))
    with Follower(control, tmp_path, "-n", "2", "-l", "echo", "-r", "limit") as follower:
        follower.wait_peers(29, 30)
        wait_until(lambda: len(control.requests) > 1, 10, "a second look")
    assert control.targets("GET")[:2] == [
        "/events?limit=2&listener=echo&reason=limit",
        "/events?limit=1000&since=30&listener=echo&reason=limit",
    ]


def test_a_pipe_gets_all_of_what_comes_later(control, tmp_path):
    found = tell(control, event(1))
    with Follower(control, tmp_path) as follower:
        follower.wait_peers(1)
        name, peer = "l" * 64, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"
        found.append(event(2, listener=name, peer=peer, bytes_in=2**61))
        follower.wait_peers(1, 2)
        assert all(text in follower.output for text in (name, peer, str(2**61)))


def test_titles_of_a_pipe_stand_above_what_comes_later(control, tmp_path):
    """Titles are printed before the first event is known: with room for a time in full."""
    found = tell(control)
    with Follower(control, tmp_path) as follower:
        wait_until(lambda: "TIME" in follower.output, 10, "the titles")
        found.append(event(1, reason="no_descriptors"))
        follower.wait_peers(1)
        titles, line = follower.output.splitlines()
    assert titles.index("EVENT") == line.index("closed")
    assert titles.index("LASTED") + len("LASTED") == line.index("4.250") + len("4.250")


def test_follow_asks_once_a_second(control, tmp_path):
    tell(control, event(1))
    with Follower(control, tmp_path) as follower:
        follower.wait_peers(1)
        asked = len(control.requests)
        hold(lambda: len(control.requests) <= asked + 2, 1.8, "no more than one look a second")


@pytest.mark.parametrize("since", ["smaller", "larger"])
def test_follow_survives_a_daemon_that_comes_back(open_directory, tmp_path, since):
    path = open_directory / "control.sock"
    old = FakeControl(path)
    tell(old, event(500))
    with contextlib.ExitStack() as stack:
        with old:
            follower = stack.enter_context(Follower(old, tmp_path))
            follower.wait_peers(500)
        wait_until(lambda: "waiting" in follower.errors, 10, "it is told")
        with FakeControl(path) as new:
            first = 1 if since == "smaller" else 600
            found = tell(new, event(first), event(first + 1))
            follower.wait_peers(500, first, first + 1)
            found.append(event(first + 2))
            follower.wait_peers(500, first, first + 1, first + 2)
        wait_until(lambda: follower.errors.count("waiting") == 2, 10, "it is told again")
        assert follower.process.poll() is None
    assert follower.errors == 2 * (
        f"echoctl: {path}: No such file or directory\n"
        "echoctl: waiting for the daemon to come back\n")


def test_follow_sees_another_daemon_by_its_ids(control, tmp_path):
    """It was away for less than a second."""
    found = tell(control, event(500))
    with Follower(control, tmp_path) as follower:
        follower.wait_peers(500)
        found[:] = [event(1), event(2)]
        follower.wait_peers(500, 1, 2)
        found.append(event(3))
        follower.wait_peers(500, 1, 2, 3)
        assert follower.errors == ""


def test_follow_bears_a_busy_daemon(control, tmp_path):
    found = tell(control, event(1))
    with Follower(control, tmp_path) as follower:
        follower.wait_peers(1)
        good = control.answers["GET", "/events"]
        asked = len(control.requests)
        control.answers["GET", "/events"] = (503, {"error": "busy"})
        wait_until(lambda: len(control.requests) > asked + 1, 10, "it is asked again")
        found.append(event(2))
        control.answers["GET", "/events"] = good
        follower.wait_peers(1, 2)
        assert follower.errors == ""


def test_follow_tells_when_more_came_than_are_told(control, tmp_path):
    found = tell(control, event(1))
    with Follower(control, tmp_path) as follower:
        follower.wait_peers(1)
        found += map(event, range(2, 1500))
        follower.wait_peers(1, *range(500, 1500))
        assert "these are the last 1000 events" in follower.errors


def test_nobody_to_follow(echoctl, open_directory):
    result = echoctl("-s", open_directory / "none", "events", "-f")
    assert (result.returncode, result.stdout) == (69, "")
    assert "waiting" not in result.stderr


@pytest.mark.parametrize("answer", [
    (200, {"events": []}), (200, {"events": [], "next": "x"}), (200, "hello"), (200, "[1]")])
def test_follow_ends_at_an_answer_that_is_none(control, tmp_path, answer):
    tell(control, event(1))
    with Follower(control, tmp_path) as follower:
        follower.wait_peers(1)
        control.answers["GET", "/events"] = answer
        assert follower.process.wait(seconds(10)) == 69
        assert "the answer is not one of echod's" in follower.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_follow_ends_by_a_signal(control, tmp_path, number):
    tell(control, event(1))
    with Follower(control, tmp_path) as follower:
        follower.wait_peers(1)
        follower.process.send_signal(number)
        assert follower.process.wait(seconds(10)) == -number


def test_follow_ends_when_nobody_reads(control, tmp_path):
    found = tell(control, event(1))
    command = [ECHOCTL, "-s", control.path, "events", "-f"]
    with subprocess.Popen(command, env=clean_environment(tmp_path), stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"TIME")
        process.stdout.close()
        found.append(event(2))
        assert process.wait(seconds(10)) == -signal.SIGPIPE


def test_follow_into_a_full_disk(ask, control):
    tell(control, event(1))
    with open("/dev/full", "wb") as full:
        result = ask("events", "-f", stdout=full)
    assert result.returncode == 1
    assert "echoctl: standard output:" in result.stderr


def test_followed_events_as_lines_of_json(control, tmp_path):
    found = tell(control, event(1), refused(2, peer="caf\u00e9"))
    with Follower(control, tmp_path, "--json") as follower:
        wait_until(lambda: follower.output.count("\n") == 2, 10, "the first ones")
        found.append(event(3, duration_seconds=0.1))
        wait_until(lambda: follower.output.count("\n") == 3, 10, "what came")
        assert [json.loads(line) for line in follower.output.splitlines()] == found
        assert '"duration_seconds":0.1}' in follower.output


def test_followed_lines_stay_in_their_columns(control, tmp_path):
    """What comes later is shortened to the columns of the first lines; a new size begins anew."""
    found = tell(control, event(1))
    command = [ECHOCTL, "-s", control.path, "events", "-f"]
    with Terminal(command, env=clean_environment(tmp_path, NO_COLOR="1"), columns=80) as terminal:
        terminal.wait_for("192.0.2.1:5000")
        found.append(event(2, listener="l" * 60, peer="[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
                           reason="r" * 30, bytes_in=2**61, duration_seconds=4e7))
        terminal.wait_for(":65535")
        found.append(event(3))
        terminal.wait_for("192.0.2.3:5000")
        lines = terminal.output.decode().splitlines()
        assert max(map(width, lines)) <= 80, "\n".join(lines)
        assert len({line.index("closed") for line in lines[1:]}) == 1
        assert lines[1].index("192.") == lines[2].index("[2001") == lines[3].index("192.")
        since = len(terminal.output)
        terminal.resize(24, 150)
        found.append(event(4, peer="[2001:db8:1111:2222:3333:4444:5555:6666]:65535"))
        terminal.wait_for("[2001:db8:1111:2222:3333:4444:5555:6666]:65535", since)
        assert b"CONNECTION" in terminal.output[since:]
        terminal.type("\x03")
        assert terminal.wait_exit() in (0, -signal.SIGINT)


@pytest.mark.parametrize("form", [[], ["-f"], ["-f", "--json"]])
def test_hostile_events_do_not_reach_the_terminal(control, tmp_path, form):
    bad = {key: HOSTILE for key in event(1) if key != "id"}
    tell(control, {**bad, "id": 1}, {"id": 2}, event(3, time="\u00e9" * 24 + "Z"), event(4))
    command = [ECHOCTL, "-s", control.path, "events", *form]
    with Terminal(command, env=clean_environment(tmp_path, NO_COLOR="1"), columns=400) as terminal:
        terminal.wait_for("192.0.2.4")
        text = terminal.output.decode().replace("\r\n", "\n")
    assert not re.search(UNSAFE, text)
    assert HARMLESS in text or "--json" in form


# peers


def test_peers(ask, control):
    control.rows = [connection(1), connection(2, pending_bytes=7), connection(3),
                    connection(4, peer="192.0.2.1:9", bytes_in=5)]
    result = ask("peers")
    assert (result.returncode, result.stderr) == (0, "")
    assert rows(result.stdout) == [
        "PEER CONNECTIONS IN OUT PENDING".split(),
        "192.0.2.1 2 1005 5000 0".split(),
        "192.0.2.2 1 2000 2000 7".split(),
        "192.0.2.3 1 3000 3000 0".split(),
    ]
    assert rows(ask("peers", "--prefix", "24").stdout)[1][:2] == ["192.0.2.0/24", "4"]


@pytest.mark.parametrize("arguments, query", [
    ("", "group=address"),
    ("-P 24", "group=prefix&ipv4_prefix=24"),
    ("--prefix 0,128", "group=prefix&ipv4_prefix=0&ipv6_prefix=128"),
    ("-p 192.0.2.0/24 -l echo -S open -k connections -o asc -n 5 -O 2",
     "group=address&listener=echo&peer=192.0.2.0%2F24&state=open&sort=connections&order=asc"
     "&limit=5&offset=2"),
])
def test_questions_for_peers(ask, control, arguments, query):
    assert ask("peers", *arguments.split()).returncode == 0
    assert control.targets("GET") == [f"/connections?{query}"]


@pytest.mark.parametrize("prefix", ["", "x", "33", "-1", "24,", "24,129", "24,64,1", "0024", "24 ", "1&a=b"])
def test_wrong_prefixes(echoctl, prefix):
    result = echoctl("peers", "--prefix", prefix)
    assert (result.returncode, result.stdout) == (64, "")
    assert f'--prefix: "{prefix}" is not a length' in result.stderr
    assert "such as 24,64" in result.stderr


def test_peers_tell_that_there_are_more(ask, control):
    one = {"peer": "unix", "connections": 3, "bytes_in": 1, "bytes_out": 1, "pending_bytes": 0}
    answer = {"peers": [one], "matched": 40, "total": 500}
    control.answers["GET", "/connections"] = (200, answer)
    assert ask("peers").stderr == "echoctl: these are 1 of 40 peers, see --limit and --offset\n"
    answer["matched"] = 1
    assert ask("peers").stderr == ""


def test_an_older_daemon_has_no_peers(ask, control):
    control.answers["GET", "/connections"] = (400, {"error": 'unknown parameter "group"'})
    result = ask("peers")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == 'echoctl: unknown parameter "group"\n'
