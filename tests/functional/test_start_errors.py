# SPDX-License-Identifier: BSD-2-Clause
"""What stops a start is told where the log goes and at the terminal, and holds nobody up."""

import contextlib
import errno
import os
import pty
import re
import signal
import socket
import subprocess
import termios
import time

import pytest

from harness import BINARY, LogFile, environment, known_ports, seconds, settings, wait_until
from harness.faults import FOREVER

WRONG = 'listeners = ( { name = "echo"; address = "tcp://127.0.0.1:0"; backlog = 0; } );\n'
MISTAKE = "listeners[0].backlog: 0 is out of range"


def ended(daemon):
    daemon.spawn()
    return daemon.wait_exit()


def count(text, what):
    return text.count(what)


@contextlib.contextmanager
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def to_taken(port, **log):
    row = {"name": "echo", "address": f"tcp://127.0.0.1:{port}"}
    return {**known_ports(**log), "listeners": [row]}


def test_address_in_use_is_told_in_the_log_and_at_the_terminal(launch, tmp_path):
    path = tmp_path / "echod.log"
    with taken_port() as port:
        daemon = launch(ready=False, **to_taken(port, target="file", file=str(path)))
        assert ended(daemon) == 69
    told = [line for line in LogFile(path).find(level="error") if str(port) in line["message"]]
    assert len(told) == 1
    assert daemon.stderr_path.read_text() == told[0]["message"] + "\n"


def test_mistakes_are_told_in_the_log_and_at_the_terminal(launch, tmp_path):
    path = tmp_path / "echod.log"
    daemon = launch(ready=False)
    daemon.configure(WRONG + f'log = {{ target = "file"; file = "{path}"; format = "text"; }};\n')
    assert ended(daemon) == 78
    plain = daemon.stderr_path.read_text()
    assert plain.startswith(f"{daemon.config_path}:1: {MISTAKE}") and count(plain, "\n") == 1
    assert path.read_text().endswith(f" error {plain}") and count(path.read_text(), "\n") == 1


def test_standard_error_as_target_is_told_once_in_its_form(launch):
    daemon = launch(ready=False)
    daemon.configure(WRONG + 'log = { target = "stderr"; format = "json"; };\n')
    assert ended(daemon) == 78
    assert len(daemon.log.records()) == len(daemon.log.lines()) == 1
    assert daemon.log.find(level="error")[0]["message"].startswith(f"{daemon.config_path}:1: ")


def test_file_that_is_standard_error_is_told_once(launch):
    daemon = launch(ready=False)
    daemon.configure(WRONG + f'log = {{ target = "file"; file = "{daemon.stderr_path}"; }};\n')
    assert ended(daemon) == 78
    assert count(daemon.stderr_path.read_text(), MISTAKE) == 1


def test_target_that_cannot_be_had_does_not_tell_it_twice(launch, as_root):
    prefix = ["unshare", "-m", "sh", "-ec", 'mount -t tmpfs tmpfs /run\nexec "$@"', "sh"]
    with taken_port() as port:
        daemon = launch({"prefix": prefix}, ready=False, **to_taken(port, target="journal"))
        assert ended(daemon) == 69
    assert len(daemon.log.find("the journal cannot be had")) == 1
    assert count(daemon.log.text(), f"127.0.0.1:{port}: ") == 1
    assert len(daemon.log.records()) == len(daemon.log.lines())


def test_settings_of_the_log_that_are_wrong_are_not_used(launch, tmp_path):
    path = tmp_path / "echod.log"
    daemon = launch(ready=False)
    daemon.configure(
        WRONG + f'log = {{ target = "file"; file = "{path}"; format = "jsn"; }};\n'
    )
    assert ended(daemon) == 78
    assert not path.exists()
    lines = daemon.stderr_path.read_text().splitlines()
    assert len(lines) == 2 and "log.format" in lines[1]


def test_log_that_cannot_be_opened_is_a_mistake_more(launch, tmp_path):
    path = tmp_path / "nowhere" / "echod.log"
    daemon = launch(ready=False)
    daemon.configure(WRONG + f'log = {{ target = "file"; file = "{path}"; }};\n')
    assert ended(daemon) == 78
    lines = daemon.stderr_path.read_text().splitlines()
    assert len(lines) == 2 and MISTAKE in lines[0] and str(path) in lines[1]


# nobody reads


def _fill(fd):
    """Until it takes not even a byte, or only the few bytes that make a writer wait."""
    os.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"x" * 100)
    os.set_blocking(fd, True)


@pytest.fixture(params=["full pipe", "nearly full pipe", "full terminal", "stopped terminal"])
def unread(request):
    """Two ends; what is written to the first is read by nobody."""
    if "pipe" in request.param:
        reader, writer = os.pipe()
        _fill(writer)
        if "nearly" in request.param:
            os.read(reader, 4096)
    else:
        reader, writer = pty.openpty()
        if "full" in request.param:
            _fill(writer)
        else:
            termios.tcflow(writer, termios.TCOOFF)
    yield writer
    if "stopped" in request.param:
        termios.tcflow(writer, termios.TCOON)
    os.close(reader)
    os.close(writer)


def _run(directory, unread, *arguments):
    """The exit status and how long it took."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [str(BINARY), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stderr=unread,
        env=environment(directory),
    )
    try:
        return process.wait(seconds(8)), time.monotonic() - begin
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


MANY = WRONG + "".join(f"wrong{number} = {number};\n" for number in range(90))


@pytest.mark.parametrize(
    "text, arguments, status",
    [
        (None, ["--nonsense"], 64),
        ("listeners = ", ["-c"], 78),
        (MANY, ["-c"], 78),
        (MANY, ["-t", "-c"], 78),
        ('log = { target = "file"; file = "FOLDER/log"; };' + MANY, ["-c"], 78),
    ],
    ids=["usage", "syntax", "mistakes", "test", "file"],
)
def test_blocked_standard_error_does_not_hold_up_a_start_that_fails(
    tmp_path, unread, text, arguments, status
):
    if text is not None:
        path = tmp_path / "echod.conf"
        path.write_text(text.replace("FOLDER", str(tmp_path)))
        arguments = [*arguments, path]
    code, elapsed = _run(tmp_path, unread, *arguments)
    assert code == status
    assert elapsed < seconds(4)
    if text is not None and "FOLDER" in text:
        assert len((tmp_path / "log").read_text().splitlines()) == 91


def test_blocked_standard_error_holds_up_neither_traffic_nor_the_end(launch, unread):
    config = known_ports(connections="all", level="debug")
    daemon = launch({"stderr": unread}, ready=False, **config)
    daemon.spawn()
    daemon.addresses = {"echo": config["listeners"][0]["address"]}
    wait_until(daemon.is_served, 10, "the daemon serves")
    for _ in range(300):
        daemon.serve_one()
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit(8) == 0
    assert time.monotonic() - begin < seconds(3)


# no memory


def _told(text):
    """What it says of want of memory: in a line of the log, or plain."""
    return [line for line in text.splitlines() if re.search("memory|unavailable", line)]


MANY_ALLOCATIONS = 1 << 20


@pytest.mark.parametrize("times", [1, FOREVER], ids=["once", "for ever"])
def test_start_without_memory_says_why_it_ends(launch, faults, times):
    """Each allocation fails in turn, but the first, in which libconfig may crash."""
    listeners = [
        {"name": "echo", "address": "tcp://127.0.0.1:0"},
        {"name": "u", "address": "udp://127.0.0.1:0"},
    ]

    def start():
        daemon = launch(faults.options, ready=False, listeners=listeners)
        daemon.spawn()
        wait_until(
            lambda: daemon.process.poll() is not None or daemon.log.find("is ready"),
            10,
            "it is ready or has ended",
        )
        left = faults.still_good("alloc")
        faults.clear()
        if daemon.process.poll() is None:
            daemon.process.terminate()
        return daemon.wait_exit(), daemon.log.text(), left

    faults.set("alloc", errno.ENOMEM, skip=MANY_ALLOCATIONS)
    total = MANY_ALLOCATIONS - start()[2]
    ends = 0
    for skip in range(total - 1, total - 90, -2):
        faults.set("alloc", errno.ENOMEM, times=times, skip=skip)
        status, text, _ = start()
        assert status in (0, 71), (skip, text)
        ends += status == 71
        assert status == 0 or _told(text), (skip, text)
    assert ends > 25


@pytest.mark.parametrize("times", [1, FOREVER], ids=["once", "for ever"])
def test_reload_without_memory_says_why_it_fails(launch, faults, times):
    daemon = launch(faults.options)
    before = settings()
    more = settings(
        listeners=[
            *before["listeners"],
            {"name": "more", "address": "tcp://127.0.0.1:0"},
            {"name": "u", "address": "udp://127.0.0.1:0"},
        ]
    )

    def reload(config):
        daemon.configure(config)
        skip = len(daemon.log.text())
        daemon.signal(signal.SIGHUP)
        ended = re.compile('"(reloaded|reload failed[^"]*)"')
        wait_until(lambda: ended.search(daemon.log.text()[skip:]), 10, "the reload has ended")
        return daemon.log.text()[skip:]

    faults.set("alloc", errno.ENOMEM, skip=MANY_ALLOCATIONS)
    reload(more)
    total = MANY_ALLOCATIONS - faults.still_good("alloc")
    faults.clear()
    failed = 0
    for skip in range(total - 1, total - 45, -3):
        reload(before)
        faults.set("alloc", errno.ENOMEM, times=times, skip=skip)
        text = reload(more)
        faults.clear()
        failed += "reload failed" in text
        assert "reload failed" not in text or _told(text), (skip, text)
    assert failed > 1


@pytest.mark.parametrize("skip", [0, 1])
def test_no_memory_at_all_is_told(launch, faults, skip):
    """For the command line, and for what all hangs from."""
    faults.set("alloc", errno.ENOMEM, times=FOREVER, skip=skip)
    daemon = launch(faults.options, ready=False)
    assert ended(daemon) == 71
    assert daemon.stderr_path.read_text() == "echod: out of memory\n"


def test_configuration_without_memory_is_no_mistake_of_the_file(launch, faults):
    """Its first allocations: status 71, and no word about what is in the file."""
    for skip in range(1, 20):
        faults.set("alloc", errno.ENOMEM, times=FOREVER, skip=skip)
        daemon = launch(faults.options, ready=False)
        assert ended(daemon) == 71
        lines = daemon.log.lines()
        assert lines and all("memory" in line for line in lines)
        # the list of --listen is made before the file is read
        assert lines[0] in (f"{daemon.config_path}: out of memory", "echod: out of memory")


def test_addresses_without_memory_are_no_mistake(faults, tmp_path):
    """Those of --listen; its first allocations, as above."""
    command = [str(BINARY), "-t", "--listen", "tcp://127.0.0.1:0"]
    for skip in range(15):
        faults.set("alloc", errno.ENOMEM, times=FOREVER, skip=skip)
        done = subprocess.run(
            command,
            env=environment(tmp_path, **faults.env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds(10),
        )
        assert done.returncode == 71, (skip, done)
        assert "memory" in done.stderr, (skip, done)
