# SPDX-License-Identifier: BSD-2-Clause
"""A reload whose file or groups take their time holds up nobody, and ends in good order."""

import os
import signal
import socket
import threading
import time

import pytest

from harness import config_text, free_port, pause, settings, wait_until
from harness.control_client import ControlClient

ECHO = {"name": "echo", "address": "tcp://127.0.0.1:0"}


class Asking(threading.Thread):
    """POST /reload in the background."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.control = ControlClient(str(daemon.directory / "control.sock"))
        self.reply = None
        self.start()

    def run(self):
        try:
            self.reply = self.control.post("/reload")
        except OSError:
            pass

    def answer(self):
        wait_until(lambda: not self.is_alive(), 20, "the reload is answered")
        return self.reply


def local(tmp_path, **keys):
    return {"name": "local", "address": f"unix:{tmp_path / 'echo.sock'}", **keys}


def with_group(tmp_path, group, **changes):
    return settings(listeners=[ECHO, local(tmp_path, group=group)], **changes)


def slow_groups(launch, faults, tmp_path, delay_ms):
    """A daemon whose reload waits that long for a name service, which it does when this returns."""
    daemon = launch(
        {"env": faults.env}, listeners=[ECHO, local(tmp_path)], shutdown={"timeout": "2s"}
    )
    faults.set("getgrnam_r", delay_ms=delay_ms)
    daemon.configure(with_group(tmp_path, "daemon"))
    asking = Asking(daemon)
    wait_until(lambda: faults.hits == 1, 5, "the group is looked up")
    return daemon, asking


def test_slow_name_service_holds_up_nobody(launch, faults, tmp_path):
    daemon, asking = slow_groups(launch, faults, tmp_path, 3000)
    assert daemon.is_served()
    assert daemon.control.get("/readyz").status == 200
    assert asking.is_alive(), "all that while the group is looked up"
    assert asking.answer().status == 200
    assert daemon.log.wait_mentions("listeners.local.group changed")


def test_who_asked_is_told_however_long_it_takes(launch, faults, tmp_path):
    """The time is the name service's: no deadline of the client's passes meanwhile."""
    control = {"timeout": "300ms"}
    daemon = launch({"env": faults.env}, listeners=[ECHO, local(tmp_path)], control=control)
    faults.set("getgrnam_r", delay_ms=1500)
    daemon.configure(with_group(tmp_path, "daemon", control=control))
    reply = Asking(daemon).answer()
    assert reply is not None, "closed without an answer"
    assert reply.status == 200
    assert "listeners.local.group" in [change["key"] for change in reply.json["changed"]]


def test_group_that_did_not_change_is_not_looked_up(launch, faults, tmp_path):
    daemon = launch(
        {"env": faults.env},
        listeners=[ECHO, local(tmp_path, group="daemon")],
        control={"group": "daemon"},
    )
    faults.set("getgrnam_r", error="EIO")
    assert daemon.local.post("/reload").status == 200
    assert faults.hits == 0


def test_name_service_that_fails_is_told_with_its_place(launch, faults, tmp_path):
    daemon = launch({"env": faults.env}, listeners=[ECHO, local(tmp_path)])
    faults.set("getgrnam_r", error="EIO")
    daemon.configure(with_group(tmp_path, "daemon"))
    reply = daemon.local.post("/reload")
    assert reply.status == 422
    (line,) = reply.json["errors"]
    assert line.startswith(f"{daemon.config_path}:")
    assert line.endswith('"daemon" cannot be looked up: Input/output error')


@pytest.mark.parametrize("error, code", [("EIO", 69), (0, 78)])
def test_name_service_that_fails_is_no_mistake_of_the_file(launch, faults, tmp_path, error, code):
    group = "daemon" if error else "nosuchgroup"
    daemon = launch(
        {"env": faults.env}, ready=False, listeners=[ECHO, local(tmp_path, group=group)]
    )
    if error:
        faults.set("getgrnam_r", error=error)
    daemon.spawn()
    assert daemon.wait_exit() == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_stop_does_not_wait_for_a_name_service(launch, faults, tmp_path, number):
    daemon, asking = slow_groups(launch, faults, tmp_path, 60000)
    daemon.signal(number)
    assert daemon.wait_exit(5) == 0
    reply = asking.answer()
    assert reply is not None and reply.status in (409, 503), "who waits is told"


def test_drain_meanwhile_refuses_the_reload(launch, faults, tmp_path):
    daemon, asking = slow_groups(launch, faults, tmp_path, 1500)
    assert daemon.local.post("/drain").status == 200
    assert asking.answer().status == 409
    assert daemon.control.stats()["process"]["reloads"] == {"success": 0, "failure": 0}
    assert daemon.local.post("/undrain").status == 200
    assert daemon.local.post("/reload").status == 200


def test_requests_meanwhile_share_one_more_reload(launch, faults, tmp_path):
    daemon, first = slow_groups(launch, faults, tmp_path, 1500)
    daemon.configure(with_group(tmp_path, "daemon", limits={"connections": 77}))
    others = [Asking(daemon) for _ in range(4)]
    assert first.answer().status == 200
    for other in others:
        reply = other.answer()
        assert reply.status == 200
        assert "limits.connections" in reply.text, "it began after the request"
    assert daemon.control.stats()["process"]["reloads"]["success"] == 2


def test_signal_meanwhile_is_one_more_reload(launch, faults, tmp_path):
    daemon, first = slow_groups(launch, faults, tmp_path, 1500)
    daemon.configure(with_group(tmp_path, "daemon", limits={"connections": 77}))
    daemon.signal(signal.SIGHUP)
    assert first.answer().status == 200
    wait_until(
        lambda: daemon.control.stats()["limits"]["connections"] == 77, 5, "the second reload"
    )


def test_client_that_leaves_meanwhile_does_not_matter(launch, faults, tmp_path):
    daemon = launch({"env": faults.env}, listeners=[ECHO, local(tmp_path)])
    faults.set("getgrnam_r", delay_ms=1000)
    daemon.configure(with_group(tmp_path, "daemon"))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(daemon.directory / "control.sock"))
        sock.sendall(b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: faults.hits == 1, 5, "the group is looked up")
    assert daemon.log.wait_mentions("listeners.local.group changed")
    assert daemon.is_served()


def test_pipe_without_a_writer_as_configuration_holds_up_nobody(launch):
    daemon = launch()
    os.unlink(daemon.config_path)
    os.mkfifo(daemon.config_path)
    asking = Asking(daemon)
    for _ in range(10):
        before = time.monotonic()
        assert daemon.is_served()
        assert time.monotonic() - before < 1
    assert asking.is_alive(), "all that while the pipe is waited for"
    reply = asking.answer()
    assert reply.status == 422
    assert "its writer did not end it within 5 seconds" in reply.text
    assert daemon.is_served()


def test_pipe_with_a_writer_is_a_configuration(launch):
    daemon = launch()
    listener = {"name": "echo", "address": f"tcp://127.0.0.1:{free_port()}"}
    os.unlink(daemon.config_path)
    os.mkfifo(daemon.config_path)
    asking = Asking(daemon)
    daemon.config_path.write_text(config_text(settings(listeners=[listener])))
    assert asking.answer().status == 200


def test_end_of_the_file_meets_the_end_of_the_daemon(launch):
    """The thread is left behind, and what it had is its own: only a sanitizer sees the rest."""
    for delay_ms in range(0, 40, 4):
        daemon = launch()
        os.unlink(daemon.config_path)
        os.mkfifo(daemon.config_path)
        daemon.signal(signal.SIGHUP)
        writer = os.open(daemon.config_path, os.O_WRONLY)
        daemon.signal(signal.SIGQUIT)
        pause(delay_ms / 1000, "the two ends come at about one time")
        os.close(writer)
        assert daemon.wait_exit() == 0


@pytest.mark.parametrize("path", ["/", "/dev/zero"])
def test_what_is_no_file_is_refused_with_a_sentence(launch, path):
    daemon = launch()
    os.unlink(daemon.config_path)
    os.symlink(path, daemon.config_path)
    reply = daemon.local.post("/reload")
    assert reply.status == 422
    assert "is neither a regular file nor a pipe" in reply.text


def test_thread_that_cannot_be_had_fails_the_reload_alone(launch, faults):
    daemon = launch({"env": faults.env})
    faults.set("pthread_create", error="EAGAIN")
    reply = daemon.local.post("/reload")
    assert reply.status == 422
    assert "cannot start a thread that reads the file" in reply.text
    faults.clear()
    assert daemon.local.post("/reload").status == 200
