# SPDX-License-Identifier: BSD-2-Clause
"""A log target that is slow, full or gone costs lines, never traffic; each reaches its reader."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from harness import (
    PROJECT,
    LogFile,
    StreamLoad,
    exchange,
    known_ports,
    receive_exactly,
    seconds,
    settings,
    wait_until,
)
from harness.control_client import ControlClient
from harness.network import split_host_port
from harness.stops import keep_promise, timed_end


def churn_until(daemon, condition, deadline=30):
    """Make log lines by short connections until the condition holds."""
    end = time.monotonic() + seconds(deadline)
    while not condition():
        assert time.monotonic() < end, "not reached by writing log lines"
        for _ in range(100):
            daemon.serve_one()


def check_served_at_once(daemon, count):
    """Nobody waits for the log: a busy machine makes one client in twenty late, not more."""
    times = []
    for _ in range(count):
        begin = time.monotonic()
        daemon.serve_one()
        times.append(time.monotonic() - begin)
    assert sorted(times)[-1 - count // 20] < seconds(0.5)


def dropped(daemon):
    return daemon.control.totals()["log_dropped"]


class _Reader:
    """A cat that reads the daemon's standard error from a pipe, and can be stopped."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as target:
            self._cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=target)
        # for launch()
        self.options = {"stderr": self._cat.stdin, "log": path}

    def started(self):
        """The daemon has its end of the pipe, and is to be the only one."""
        self._cat.stdin.close()

    def stop(self):
        self._cat.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._cat.send_signal(signal.SIGCONT)

    def wait_end(self):
        """It has written all, once the daemon has ended."""
        self._cat.wait(seconds(5))

    def kill(self):
        self._cat.kill()
        self._cat.wait()

    def close(self):
        self.started()
        self.kill()


@pytest.fixture
def launch_read(launch, tmp_path):
    """Start a daemon whose log is read by a cat; returns both."""
    readers = []

    def start(**changes):
        reader = _Reader(tmp_path / f"read-by-cat{len(readers)}")
        readers.append(reader)
        daemon = launch(reader.options, **changes)
        reader.started()
        return daemon, reader

    yield start
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("umask", [0, 0o077])
def test_mode_of_a_log_file(launch, tmp_path, umask):
    """A new one is for its owner and group, whatever the umask; one that is there keeps its mode."""
    path = tmp_path / "echod.log"
    daemon = launch({"umask": umask, "log": path}, log={"target": "file", "file": str(path)})
    assert path.stat().st_mode & 0o777 == 0o640
    path.rename(tmp_path / "rotated")
    path.touch()
    path.chmod(0o604)
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: path.stat().st_size > 0, 5, "the new file is written to")
    assert path.stat().st_mode & 0o777 == 0o604
    path.unlink()
    daemon.signal(signal.SIGUSR1)
    wait_until(path.exists, 5, "a new file")
    assert path.stat().st_mode & 0o777 == 0o640


def test_mode_of_a_log_file_is_set(launch, tmp_path):
    """log.mode, live at a reload: of a new file, never of one that is there."""
    path = tmp_path / "echod.log"
    daemon = launch({"log": path}, log=to_file(path, mode="0604"))
    assert path.stat().st_mode & 0o777 == 0o604
    daemon.configure(settings(log=to_file(path, mode="0660")))
    daemon.signal(signal.SIGHUP)
    daemon.log.wait_for("^reloaded")
    assert path.stat().st_mode & 0o777 == 0o604
    path.rename(tmp_path / "rotated")
    daemon.signal(signal.SIGUSR1)
    wait_until(path.exists, 5, "a new file")
    wait_until(lambda: path.stat().st_mode & 0o777 == 0o660, 5, "the mode of the reload")


def test_stopped_reader_holds_up_nobody(launch_read):
    """Standard error is a pipe to a reader that is stopped, and later goes on."""
    daemon, reader = launch_read(log={"connections": "all"})
    with StreamLoad([daemon.connect() for _ in range(5)]) as load:
        reader.stop()
        churn_until(daemon, lambda: dropped(daemon) > 0)
        check_served_at_once(daemon, 20)
        lost = dropped(daemon)
        reader.go_on()
        daemon.log.wait_for("dropped")
        with daemon.connect() as sock:
            peer = "%s:%d" % sock.getsockname()
            exchange(sock)
        daemon.log.wait_for(reason="client_fin", peer=peer)
        assert daemon.control.metrics().value("echod_log_dropped_total") >= lost
        load.finish()
    daemon.close_clients()
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    reader.wait_end()
    assert len(daemon.log.records()) == len(daemon.log.lines()), "no torn line"


def test_stopped_reader_does_not_hold_up_the_exit(launch_read):
    daemon, reader = launch_read(log={"connections": "all"})
    reader.stop()
    churn_until(daemon, lambda: dropped(daemon) > 0)
    daemon.process.terminate()
    assert daemon.wait_exit(5) == 0


def test_reader_that_is_gone_is_survived(launch_read):
    daemon, reader = launch_read()
    reader.kill()
    for _ in range(20):
        daemon.serve_one()
    wait_until(lambda: dropped(daemon) > 0, 5, "the lost lines are counted")


def to_file(path, **keys):
    return {"target": "file", "file": str(path), **keys}


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_file_is_reopened_after_rotation(launch, tmp_path, number):
    path = tmp_path / "echod.log"
    daemon = launch({"log": path}, log=to_file(path))
    daemon.serve_one()
    daemon.log.wait_for(reason="client_fin")
    old = path.with_suffix(".1")
    path.rename(old)
    daemon.signal(number)
    wait_until(path.exists, 5, "a new file")
    size = old.stat().st_size
    with daemon.connect() as sock:
        peer = "%s:%d" % sock.getsockname()
        exchange(sock)
    daemon.log.wait_for(reason="client_fin", peer=peer)
    assert not LogFile(old).find(reason="client_fin", peer=peer)
    assert old.stat().st_size >= size


def test_file_that_cannot_be_opened_ends_the_start(launch, tmp_path):
    path = tmp_path / "nowhere" / "echod.log"
    daemon = launch(ready=False, log=to_file(path))
    daemon.spawn()
    assert daemon.wait_exit() in (71, 77, 78)
    assert str(path) in daemon.log.text()


def test_file_that_is_a_symlink_is_refused(launch, tmp_path):
    path, target = tmp_path / "echod.log", tmp_path / "target"
    target.write_text("precious")
    path.symlink_to(target)
    daemon = launch(ready=False, log=to_file(path))
    daemon.spawn()
    assert daemon.wait_exit() in (71, 77, 78)
    assert str(path) in daemon.log.text()
    assert target.read_text() == "precious"


def in_mount_namespace(script):
    """A prefix that prepares mounts of its own and then becomes the daemon."""
    return ["unshare", "-m", "sh", "-e", "-c", script + '\nexec "$@"', "sh"]


class _NamespaceLog(LogFile):
    """A file that only the daemon's mount namespace has."""

    def __init__(self, path):
        super().__init__(path)
        self.inner = path

    def enter(self, pid):
        self.path = pathlib.Path(f"/proc/{pid}/root{self.inner}")


def test_full_disk_holds_up_nobody(launch, tmp_path, as_root):
    """The log is on a file system of 256 KiB; a file takes the rest of it, and goes again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    prefix = in_mount_namespace(f"mount -t tmpfs -o size=256k tmpfs {disk}")
    config = known_ports(**to_file(disk / "echod.log", connections="all"))
    daemon = launch({"prefix": prefix}, ready=False, **config)
    daemon.log = _NamespaceLog(disk / "echod.log")
    daemon.spawn()
    daemon.log.enter(daemon.pid)
    daemon.wait_ready()
    inside = pathlib.Path(f"/proc/{daemon.pid}/root{disk}")
    with open(inside / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(bytes(4096))
    churn_until(daemon, lambda: dropped(daemon) > 0)
    sock = daemon.connect()
    sock.sendall(b"hello")
    assert receive_exactly(sock, 5) == b"hello"
    (inside / "filler").unlink()
    sock.close()
    wait_until(lambda: _appears(daemon), 10, "logging resumes without a restart")
    assert daemon.log.wait_mentions("dropped")


def _appears(daemon):
    """Whether the end of a new connection shows in the log soon."""
    with daemon.connect() as sock:
        peer = "%s:%d" % sock.getsockname()
        exchange(sock)
    try:
        return daemon.log.wait_for(reason="client_fin", peer=peer, deadline=0.5)
    except AssertionError:
        return False


def _datagrams(sock):
    """All datagrams that wait in a socket."""
    result = []
    sock.setblocking(False)
    try:
        while True:
            result.append(sock.recv(65536))
    except BlockingIOError:
        return result


def test_journal_gets_structured_fields(launch, tmp_path, as_root):
    directory = tmp_path / "journal"
    directory.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(directory / "socket"))
        prefix = in_mount_namespace(
            "mount -t tmpfs tmpfs /run\nmkdir -p /run/systemd/journal\n"
            f"mount --bind {directory} /run/systemd/journal"
        )
        config = known_ports(target="journal")
        daemon = launch({"prefix": prefix}, ready=False, **config)
        daemon.spawn()
        daemon.addresses = {"echo": config["listeners"][0]["address"]}
        wait_until(daemon.is_served, 10, "the daemon serves")
        entries = []

        def ended():
            entries.extend(_datagrams(journal))
            return [entry for entry in entries if b"ECHOD_REASON=client_fin" in entry]

        fields = wait_until(ended, 5, "an entry with the reason")[0].split(b"\n")
        assert b"ECHOD_LISTENER=echo" in fields
        assert b"PRIORITY=6" in fields
        assert [field for field in fields if field.startswith(b"ECHOD_PEER=127.0.0.1:")]
        text = next(field for field in fields if field.startswith(b"MESSAGE="))
        assert b" listener=echo " in text and b" reason=client_fin" in text
        assert re.search(rb" peer=127\.0\.0\.1:\d+ ", text)
        listening = next(entry for entry in entries if b"MESSAGE=listening" in entry)
        assert b"address=%b" % config["listeners"][0]["address"].encode() in listening
        sources = set()
        for entry in entries:
            place = re.search(rb"^CODE_FILE=(src/\S+)$", entry, re.M)[1].decode()
            line = int(re.search(rb"^CODE_LINE=(\d+)$", entry, re.M)[1])
            function = re.search(rb"^CODE_FUNC=(\w+)$", entry, re.M)[1].decode()
            source = (PROJECT / place).read_text().split("\n")
            assert re.search(r"\blog_\w+\(", "\n".join(source[max(line - 4, 0) : line]))
            assert any(row.startswith(f"{function}(") for row in source)
            sources.add(place)
        assert {"src/engine/plan.c", "src/engine/connection.c"} <= sources


def test_journal_that_nobody_reads_holds_up_nobody(launch, tmp_path, as_root):
    directory = tmp_path / "journal"
    directory.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(directory / "socket"))
        prefix = in_mount_namespace(
            "mount -t tmpfs tmpfs /run\nmkdir -p /run/systemd/journal\n"
            f"mount --bind {directory} /run/systemd/journal"
        )
        config = known_ports(target="journal", connections="all")
        daemon = launch({"prefix": prefix}, ready=False, **config)
        daemon.spawn()
        daemon.addresses = {"echo": config["listeners"][0]["address"]}
        wait_until(daemon.is_served, 10, "the daemon serves")
        check_served_at_once(daemon, 300)
        daemon.process.terminate()
        assert daemon.wait_exit(8) == 0


def test_syslog(launch, tmp_path, as_root):
    path = tmp_path / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))
        prefix = in_mount_namespace(
            f"exec 9<{tmp_path}\nmount -t tmpfs tmpfs /dev\nmknod -m 666 /dev/null c 1 3\n"
            "mknod -m 666 /dev/urandom c 1 9\n"
            f"touch /dev/log\nmount --bind {path} /dev/log\nexec 9<&-"
        )
        config = known_ports(target="syslog", format="text")
        daemon = launch({"prefix": prefix}, ready=False, **config)
        daemon.spawn()
        daemon.addresses = {"echo": config["listeners"][0]["address"]}
        wait_until(daemon.is_served, 10, "the daemon serves")
        lines = []

        def ended():
            lines.extend(_datagrams(syslog))
            return [line for line in lines if b"reason=client_fin" in line]

        line = wait_until(ended, 5, "a line with the reason")[0]
        assert re.match(rb"<\d+>.*echod", line)


def test_stopped_reader_and_busy_connections_do_not_hold_up_the_exit(launch_read):
    def stop():
        daemon, reader = launch_read(
            log={"connections": "all"}, shutdown={"timeout": "1s", "idle_grace": "30s"}
        )
        reader.stop()
        churn_until(daemon, lambda: dropped(daemon) > 0)
        with StreamLoad([daemon.connect() for _ in range(10)]) as load:
            wait_until(lambda: load.least_received > 20000, 20, "all streams flow")
            elapsed = timed_end(daemon, signal.SIGTERM)
        assert daemon.wait_exit() == 0
        return elapsed

    keep_promise(stop, 1)


NO_READER = {
    "journal": "mount -t tmpfs tmpfs /run",
    "syslog": "mount -t tmpfs tmpfs /dev\nmknod -m 666 /dev/null c 1 3\n"
    "mknod -m 666 /dev/urandom c 1 9\nmknod -m 600 /dev/console c 5 1",
}


def launch_inside(launch, script, **log):
    """A daemon in a mount namespace, whose log may go nowhere that we can see."""
    config = known_ports(**log)
    daemon = launch({"prefix": in_mount_namespace(script)}, ready=False, **config)
    daemon.spawn()
    daemon.addresses = {"echo": config["listeners"][0]["address"]}
    daemon.control = ControlClient(split_host_port(config["control"]["http"]))
    wait_until(daemon.is_served, 10, "the daemon serves")
    return daemon


@pytest.mark.parametrize("target", NO_READER)
@pytest.mark.parametrize("level", ["info", "error"])
def test_target_that_cannot_be_had_is_told_and_standard_error_stands_in(
    launch, as_root, target, level
):
    """Under "error", no line but this one would be written: it does not wait for another."""
    daemon = launch_inside(launch, NO_READER[target], target=target, level=level)
    daemon.log.wait_for(f"^log.target: .*{target} cannot be had: No such file", level="error")
    for _ in range(10):
        daemon.serve_one()
    if level == "info":
        daemon.log.wait_for(reason="client_fin", count=10)
    assert dropped(daemon) == 0
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    assert len(daemon.log.find("cannot be had")) == 1
    assert len(daemon.log.records()) == len(daemon.log.lines()), "all in the form of the log"
    assert len(daemon.log.find(reason="client_fin")) >= (10 if level == "info" else 0)


@pytest.mark.parametrize("left", [True, False], ids=["dead", "missing"])
def test_journal_that_goes_away_and_comes_back(launch, tmp_path, as_root, left):
    """Its lines are on standard error meanwhile, and begin and end of that are told."""
    directory = tmp_path / "journal"
    directory.mkdir()
    path = directory / "socket"
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(path))
    script = (
        "mount -t tmpfs tmpfs /run\nmkdir -p /run/systemd/journal\n"
        f"mount --bind {directory} /run/systemd/journal"
    )
    with journal:
        daemon = launch_inside(launch, script, target="journal", connections="close")
        assert daemon.log.text() == ""
    if not left:
        path.unlink()
    daemon.serve_one()
    daemon.log.wait_for("^log.target: the journal cannot be had: ", level="error")
    daemon.log.wait_for(reason="client_fin", count=1)
    path.unlink(missing_ok=True)
    lines = len(daemon.log.lines())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        daemon.serve_one()
        entries = []

        def told():
            entries.extend(_datagrams(journal))
            return [entry for entry in entries if b"the journal can be had again" in entry]

        wait_until(told, 5, "the end of it is told")
        assert any(b"ECHOD_REASON=client_fin" in entry for entry in entries)
        assert len(daemon.log.lines()) == lines
        daemon.process.terminate()
        assert daemon.wait_exit() == 0


@pytest.fixture
def busy_processor():
    """Two processes that never rest, on a processor that is returned."""
    processor = min(os.sched_getaffinity(0))
    command = [sys.executable, "-c", "while True: pass"]
    hogs = [subprocess.Popen(["taskset", "-c", str(processor), *command]) for _ in range(2)]
    yield processor
    for hog in hogs:
        hog.kill()
        hog.wait()


@pytest.mark.needs("taskset")
def test_last_lines_wait_for_a_processor(launch, busy_processor):
    """The thread of the log gets one last of all: it is not taken for stuck in its target."""
    for _ in range(8):
        daemon = launch({"prefix": ["taskset", "-c", str(busy_processor)]}, workers=1)
        for tid in map(int, os.listdir(f"/proc/{daemon.pid}/task")):
            name = pathlib.Path(f"/proc/{daemon.pid}/task/{tid}/comm").read_text().strip()
            if name == "echod-log":
                os.sched_setscheduler(tid, os.SCHED_IDLE, os.sched_param(0))
        daemon.signal(signal.SIGQUIT)
        assert daemon.wait_exit() == 0
        assert daemon.log.find("^stopped: ")


def test_syslog_that_dies_is_replaced_by_standard_error(launch, tmp_path, as_root):
    path = tmp_path / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))
        script = f"{NO_READER['syslog']}\ntouch /dev/log\nmount --bind {path} /dev/log"
        daemon = launch_inside(launch, script, target="syslog", connections="close")
        assert daemon.log.text() == ""
    daemon.serve_one()
    daemon.log.wait_for("^log.target: syslog cannot be had: Connection refused", level="error")
    daemon.log.wait_for(reason="client_fin", count=1)
