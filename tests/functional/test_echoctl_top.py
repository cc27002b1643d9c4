# SPDX-License-Identifier: BSD-2-Clause
"""echoctl top on a terminal: what it draws, the keys, and that the terminal is as it was after."""

import os
import re
import signal
import subprocess
import termios
import time

import pytest

from fake_control import FakeControl, connection, datagram_listener, source
from harness import environment, hold, no_reports, pause, seconds, wait_until
from harness.terminal import Terminal
from test_echoctl import ECHOCTL
from test_echoctl_status import flooded

ENTER = b"\x1b[?1049h\x1b[?25l"
LEAVE = b"\x1b[?25h\x1b[?1049l"


@pytest.fixture
def control(open_directory):
    with FakeControl(open_directory / "control.sock") as fake:
        fake.rows = [connection(number) for number in (1, 2, 3)]
        fake.bytes_per_second = {1: 1000, 2: 3 * 1024 * 1024, 3: 50 * 1024}
        yield fake


@pytest.fixture
def top(control, tmp_path):
    """Start it; what it left behind is looked at in the end."""
    terminals = []

    def start(*arguments, **terminal):
        command = [ECHOCTL, "-s", control.path, "top", "-i", "200ms", *arguments]
        terminals.append(Terminal(command, env=environment(tmp_path), **terminal))
        return terminals[-1]

    yield start
    for terminal in terminals:
        with terminal:
            pass
    no_reports(tmp_path)


def frames(terminal, since=0):
    """What was drawn, as texts without escape sequences; the last one may be cut short."""
    pieces = terminal.output[since:].split(b"\x1b[H")[1:]
    return [re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", piece).decode() for piece in pieces]


def ids(frame):
    """The connections in a frame, from top to bottom."""
    return [int(match) for match in re.findall(r"^ *(\d+)  192\.0\.2\.", frame, re.M)]


def wait_order(terminal, wanted):
    """Until a frame from now on has that order; returns it."""
    since = len(terminal.output)

    def ordered():
        terminal.read(0.05)
        for frame in frames(terminal, since)[:-1]:
            if ids(frame) == wanted:
                return frame
        return None

    return wait_until(ordered, 10, f"the order {wanted}")


def wait_quiet(control, duration):
    """Until nothing was asked for that many seconds."""
    seen = [0, time.monotonic()]

    def quiet():
        if len(control.requests) != seen[0]:
            seen[:] = len(control.requests), time.monotonic()
        return time.monotonic() - seen[1] >= duration

    wait_until(quiet, 10, f"no request for {duration} s")


def assert_restored(terminal, code=0):
    assert terminal.wait_exit() == code
    assert terminal.output.count(ENTER) == terminal.output.count(LEAVE) >= 1
    assert terminal.modes() == terminal.modes_before


def ended_in_order(terminal):
    """The last bytes give the terminal back."""
    return terminal.output.endswith(LEAVE)


def test_it_draws_rates(top):
    terminal = top()
    frame = wait_order(terminal, [2, 3, 1])
    assert re.search(r"^echod 0\.1\.0, process \d+: ready, up 1d02h\r?$", frame, re.M)
    assert re.search(r"^connections 3 of 10000, accepted 0/s, closed 0/s, rejected 0/s\r?$", frame,
                     re.M)
    assert re.search(r"^received 3\.[01] MiB/s \(\d+\.\d MiB\), sent 3\.", frame, re.M)
    row = re.search(r"^ +2 .*$", frame, re.M)[0].split()
    assert row[:2] == ["2", "192.0.2.2:5000"]
    assert (float(row[2]), row[3]) == (pytest.approx(3.0, abs=0.3), "MiB/s")
    assert (float(row[4]), row[5]) == (pytest.approx(3.0, abs=0.3), "MiB/s")
    assert row[6:9] == ["0", "B", "4m10s"]
    assert row[9:11] == ["open", "echo"]
    assert terminal.modes() != terminal.modes_before
    terminal.type("q")
    assert_restored(terminal)
    assert ended_in_order(terminal)
    assert terminal.output.startswith(ENTER)


def test_it_asks_for_the_busy_ones(top, control):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    terminal.type("q")
    assert_restored(terminal)
    wanted = "/connections?sort=idle&order=asc&limit=1000"
    assert set(control.targets("GET")) == {"/livez", "/stats", wanted}
    assert control.targets("POST") == []


def test_keys_sort(top, control):
    control.rows[0]["pending_bytes"] = 5000
    control.rows[2]["age_seconds"] = 9999
    control.rows[0]["age_seconds"] = 5
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    terminal.type("r")
    wait_order(terminal, [1, 3, 2])
    terminal.type("i")
    wait_order(terminal, [2, 3, 1])
    terminal.type("p")
    wait_order(terminal, [1, 2, 3])
    terminal.type("a")
    assert "by age, most first" in wait_order(terminal, [3, 2, 1])
    terminal.type("a")
    assert "by age, least first" in wait_order(terminal, [1, 2, 3])
    terminal.type("o")
    wait_order(terminal, [2, 3, 1])
    # arrow keys and function keys are not the letters in them
    terminal.type("\x1b[A\x1bOa\x1b[15~\x1b[1;5p\x1b")
    wait_order(terminal, [2, 3, 1])
    terminal.type("q")
    assert_restored(terminal)


def test_space_pauses(top, control):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    terminal.type(" ")
    terminal.wait_for("PAUSED")
    asked = len(control.requests)
    # two requests make the sample that was under way; without a pause there would be six
    hold(lambda: len(control.requests) <= asked + 2, 0.7, "nothing is asked while it pauses")
    asked = len(control.requests)
    terminal.type("a")
    wait_until(lambda: terminal.read(0.05) and "by age" in frames(terminal)[-1], 5, "a new order")
    since = len(terminal.output)
    terminal.type(" ")
    wait_until(lambda: len(control.requests) > asked + 3, 5, "samples go on")
    terminal.wait_for("by age, most first", since)
    terminal.type("q")
    assert_restored(terminal)


def test_interrupt_is_a_way_out(top):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    terminal.type("\x03")
    assert_restored(terminal)
    assert ended_in_order(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals(top, number):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    terminal.process.send_signal(number)
    assert_restored(terminal, 0 if number == signal.SIGINT else -number)
    assert ended_in_order(terminal)


def test_the_daemon_goes_away(top, control):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    control.stop()
    assert_restored(terminal, 69)
    tail = terminal.output.rpartition(LEAVE)[2].decode()
    assert tail == f"echoctl: {control.path}: No such file or directory\r\n"


def test_an_answer_that_is_none(top, control):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    control.answers["GET", "/connections"] = (500, {"error": "no more \x1b[2J"})
    assert_restored(terminal, 1)
    assert terminal.output.endswith(b"echoctl: no more \\x1b[2J\r\n")


@pytest.mark.parametrize("path", ["/stats", "/connections"])
def test_a_busy_daemon_is_asked_again(top, control, path):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    good = control.answers["GET", path]
    control.answers["GET", path] = (503, {"error": "busy"})
    asked = len(control.requests)
    wait_until(lambda: len(control.requests) >= asked + 6, 10, "it goes on asking")
    control.answers["GET", path] = good
    terminal.wait_for("\x1b[H", len(terminal.output))
    terminal.type("q")
    assert_restored(terminal, 0)


def test_a_daemon_that_hangs_does_not_make_the_keys_hang(top, control):
    terminal = top()
    wait_order(terminal, [2, 3, 1])

    def slow():
        pause(seconds(8), "a daemon that does not answer")
        return 200, control.stats()

    asked = len(control.requests)
    control.answers["GET", "/stats"] = slow
    wait_until(lambda: "/stats" in [request[1] for request in control.requests[asked:]], 5,
               "it waits for an answer")
    while terminal.read(0.3):
        pass
    before = time.monotonic()
    terminal.type("a")
    terminal.wait_for("by age", deadline=3)
    terminal.type("q")
    assert_restored(terminal)
    assert time.monotonic() - before < seconds(3)


def test_a_daemon_that_starts_anew_has_no_negative_rates(top, control):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    since = len(terminal.output)
    control.pid += 1
    control.rows = [connection(number, bytes_in=0, bytes_out=0) for number in (1, 2, 3)]
    control.bytes_per_second = {}
    wait_until(lambda: terminal.read(0.05) and "0 B/s" in "".join(frames(terminal, since)[-1:]), 5, "rates")
    terminal.type("q")
    assert_restored(terminal)
    drawn = frames(terminal, since)[:-1]
    assert "-" in [re.search(r"^received (\S+)", frame, re.M)[1] for frame in drawn]
    assert not re.search(r"-\d+(\.\d)? [KM]?i?B/s", "".join(frames(terminal)))


def test_it_follows_the_size(top, control):
    control.rows = [connection(number) for number in range(1, 101)]
    terminal = top(lines=12, columns=60)

    def drawn(lines, columns):
        terminal.read(0.05)
        for frame in frames(terminal, since)[:-1]:
            drawn_lines = frame.split("\r\n")
            if len(drawn_lines) == lines and len(ids(frame)) == lines - 5:
                assert max(len(line) for line in drawn_lines) < columns
                return True
        return False

    since = 0
    wait_until(lambda: drawn(12, 60), 5, "a small screen")
    since = len(terminal.output)
    terminal.resize(40, 130)
    wait_until(lambda: drawn(40, 130), 5, "a large screen")
    since = len(terminal.output)
    terminal.resize(3, 10)
    wait_until(lambda: any(frame.count("\r\n") == 2 for frame in frames(terminal, since)[:-1])
               or (terminal.read(0.05) and False), 5, "a tiny screen")
    terminal.type("q")
    assert_restored(terminal)


def test_stopped_and_continued(top):
    terminal = top()
    wait_order(terminal, [2, 3, 1])

    def state():
        with open(f"/proc/{terminal.process.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]

    terminal.process.send_signal(signal.SIGTSTP)
    wait_until(lambda: state() == "T", 5, "it stops")
    while terminal.read(0.05):
        pass
    assert ended_in_order(terminal)
    assert terminal.modes() == terminal.modes_before
    terminal.process.send_signal(signal.SIGCONT)
    wait_order(terminal, [2, 3, 1])
    assert terminal.modes() != terminal.modes_before
    terminal.type("q")
    assert_restored(terminal)


def test_a_terminal_that_takes_nothing(top, control):
    control.rows = [connection(number) for number in range(1, 301)]
    terminal = top(lines=300, columns=200)
    wait_until(lambda: len(control.requests) >= 3, 10, "it draws")
    # nobody reads what it draws: it waits, and asks for no more, but must end all the same
    wait_quiet(control, 1)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(seconds(5)) == -signal.SIGTERM
    assert terminal.modes() == terminal.modes_before


def test_the_terminal_goes_away(top):
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    os.close(terminal.master)
    terminal.master = os.open("/dev/null", os.O_RDWR)
    assert terminal.process.wait(seconds(5)) in (0, -signal.SIGHUP)


def test_hostile_text_does_not_reach_the_terminal(top, control):
    control.rows = [connection(1, peer="\x1b[2Ja\r\n", listener="\u009b1m\x7f", state="\x07")]
    terminal = top(columns=150)
    terminal.wait_for("\\x1b[2Ja\\x0d\\x0a")
    terminal.type("q")
    assert_restored(terminal)
    assert b"\x07" not in terminal.output
    assert b"\x1b[2Ja" not in terminal.output.replace(b"\\x1b[2Ja", b"")


def test_no_colour(control, tmp_path):
    env = environment(tmp_path, NO_COLOR="1")
    with Terminal([ECHOCTL, "-s", control.path, "top"], env=env) as terminal:
        terminal.wait_for("192.0.2.1")
        terminal.type("q")
        assert_restored(terminal)
        assert b"\x1b[7m" not in terminal.output


# datagrams


def datagrams(control, **rates):
    """Have it serve datagrams, and sources send; rates: source -> (echoed, dropped) per second."""

    def grown(figure):
        return int(figure * control.elapsed())

    def stats():
        document = control.stats()
        echoed, dropped = (grown(sum(pair[i] for pair in rates.values())) for i in (0, 1))
        document["listeners"].append(datagram_listener("u"))
        document["totals"].update(datagrams_received=echoed + dropped, datagrams_sent=echoed)
        document["totals"]["datagrams_dropped"] = {"source_rate": dropped, "budget": 0}
        return 200, document

    def sources():
        found = [source(source=name, listener="u", echoed=grown(pair[0]), dropped=grown(pair[1]))
                 for name, pair in rates.items()]
        return 200, {"known": len(found), "limit": 1000, "sources": found}

    control.answers["GET", "/stats"] = stats
    control.answers["GET", "/sources"] = sources


def names(frame):
    """The sources in a frame, from top to bottom."""
    return re.findall(r"^(\w)  ", frame, re.M)


def wait_frame(terminal, is_wanted):
    """Until a frame from now on is as wanted; returns it."""
    since = len(terminal.output)

    def seen():
        terminal.read(0.05)
        return next((frame for frame in frames(terminal, since)[:-1] if is_wanted(frame)), None)

    return wait_until(seen, 10, "a frame as wanted")


def test_drops_stand_out(top, control):
    datagrams(control, a=(50, 400))
    terminal = top()
    frame = wait_order(terminal, [2, 3, 1])
    (line,) = re.findall(r"^datagrams .*", frame, re.M)
    figures = re.fullmatch(
        r"datagrams received (\S+)/s, echoed (\S+)/s, dropped (\S+)/s \((\d+) in all\)\r", line)
    received, echoed, dropped, _ = map(float, figures.groups())
    assert (received, echoed, dropped) == pytest.approx((450, 50, 400), rel=0.3)
    assert b"\x1b[33mdatagrams received" in terminal.output
    assert ids(frame) == [2, 3, 1]
    terminal.type("q")
    assert_restored(terminal)


def test_datagrams_without_drops_are_calm(top, control):
    datagrams(control, a=(50, 0))
    terminal = top()
    wait_frame(terminal, lambda frame: "datagrams received" in frame and "dropped 0/s" in frame)
    terminal.type("q")
    assert_restored(terminal)
    assert b"\x1b[33mdatagrams" not in terminal.output


def test_without_datagrams_there_is_no_line_of_them(top):
    terminal = top()
    assert "datagrams" not in wait_order(terminal, [2, 3, 1])
    terminal.type("q")
    assert_restored(terminal)


def test_a_key_shows_the_sources(top, control):
    datagrams(control, a=(50, 4), b=(9, 400), c=(700, 0))
    terminal = top(columns=80)
    assert "s sources" in wait_order(terminal, [2, 3, 1])
    terminal.type("s")
    frame = wait_frame(terminal, lambda frame: names(frame) == ["c", "b", "a"])
    assert "by rate, most first; q quit, s connections" in frame
    assert re.search(r"^SOURCE +ECHOED/S +DROPPED/S +ECHOED +DROPPED +LISTENER +IDLE", frame, re.M)
    terminal.type("d")
    wait_frame(terminal, lambda frame: names(frame) == ["b", "a", "c"])
    terminal.type("d")
    wait_frame(terminal, lambda frame: names(frame) == ["c", "a", "b"])
    terminal.type("e")
    wait_frame(terminal, lambda frame: names(frame) == ["c", "a", "b"] and "by echoed" in frame)
    assert "/sources?limit=1000" in control.targets("GET")
    terminal.type("s")
    wait_order(terminal, [2, 3, 1])
    terminal.type("q")
    assert_restored(terminal)
    assert all(len(line) < 80 for frame in frames(terminal) for line in frame.split("\r\n"))


def test_a_flood_over_the_rate_is_seen(launch, open_directory, tmp_path):
    """The real daemon."""
    path = open_directory / "real.sock"
    with flooded(launch, path), Terminal(
            [ECHOCTL, "-s", path, "top"], env=environment(tmp_path), columns=80) as terminal:
        terminal.wait_for("\x1b[33mdatagrams received ")
        terminal.type("s")
        frame = wait_frame(terminal, lambda frame: re.search(r"^127\.0\.0\.1.*\d/s +\S+/s ", frame, re.M))
        assert re.search(r"^127\.0\.0\.1/32 +\S+/s +[1-9]\S*/s +\d+ +\d+  u ", frame, re.M)
        terminal.type("q")
        assert_restored(terminal)


def test_the_other_list_ends_a_pause(top, control):
    datagrams(control, a=(50, 4))
    terminal = top()
    wait_order(terminal, [2, 3, 1])
    terminal.type(" ")
    terminal.wait_for("PAUSED")
    terminal.type("s")
    frame = wait_frame(terminal, lambda frame: names(frame) == ["a"])
    assert "PAUSED" not in frame
    terminal.type("q")
    assert_restored(terminal)


def test_the_other_list_does_not_wait_for_the_first(top, control):
    """A request that hangs is broken off."""
    datagrams(control, a=(50, 4))
    terminal = top()
    wait_order(terminal, [2, 3, 1])

    def slow():
        pause(seconds(8), "a daemon that does not answer")
        return 200, control.connections()

    control.answers["GET", "/connections"] = slow
    asked = len(control.requests)
    wait_until(lambda: any("/connections" in request[1] for request in control.requests[asked:]),
               5, "it waits for an answer")
    before = time.monotonic()
    terminal.type("s")
    wait_frame(terminal, lambda frame: names(frame) == ["a"])
    assert time.monotonic() - before < seconds(3)
    terminal.type("q")
    assert_restored(terminal)


def test_hostile_sources_do_not_reach_the_terminal(top, control):
    datagrams(control)
    row = source(source="\x1b[2Ja\r\n", listener="\u009b1m\x7f")
    control.answers["GET", "/sources"] = (200, {"known": 1, "sources": [row, 1, None, {}]})
    terminal = top(columns=150)
    terminal.type("s")
    terminal.wait_for("\\x1b[2Ja\\x0d\\x0a")
    terminal.type("q")
    assert_restored(terminal)
    assert b"\x1b[2Ja" not in terminal.output.replace(b"\\x1b[2Ja", b"")


def test_it_needs_a_terminal(control, tmp_path):
    command = [str(ECHOCTL), "-s", str(control.path), "top"]
    env = environment(tmp_path)
    result = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env=env,
                            text=True, timeout=seconds(10), check=False)
    assert (result.returncode, result.stdout) == (64, "")
    assert "use connections instead" in result.stderr
    with Terminal(["env", "TERM=dumb", *command], env=env) as terminal:
        assert terminal.wait_exit() == 64
        assert ENTER not in terminal.output


def test_nobody_listens(tmp_path):
    command = [ECHOCTL, "-s", tmp_path / "none", "top"]
    with Terminal(command, env=environment(tmp_path)) as terminal:
        assert terminal.wait_exit() == 69
        assert ENTER not in terminal.output
        assert b"No such file or directory" in terminal.output
        assert terminal.modes()[3] & termios.ECHO
