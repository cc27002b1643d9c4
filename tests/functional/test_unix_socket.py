# SPDX-License-Identifier: BSD-2-Clause
"""The file of a UNIX socket: who may use it, what may be replaced, when it goes."""

import grp
import os
import socket
import stat

import pytest

from harness import exchange


@pytest.fixture
def path(tmp_path):
    return tmp_path / "echo.sock"


def unix(path, **keys):
    return [{"name": "echo", "address": f"unix:{path}", **keys}]


def refused(launch, path):
    """Start where that must fail; returns the log."""
    daemon = launch(ready=False, listeners=unix(path))
    daemon.outlives.add(path)
    daemon.spawn()
    assert daemon.wait_exit() == 69
    assert str(path) in daemon.log.text(), "the message names the path"
    return daemon.log.text()


def stale_socket(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.close()


def test_stale_socket_is_replaced(launch, path):
    stale_socket(path)
    daemon = launch(listeners=unix(path))
    exchange(daemon.connect("echo"))


def test_socket_is_removed_at_exit(launch, path):
    daemon = launch(listeners=unix(path))
    assert stat.S_ISSOCK(path.stat().st_mode)
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    assert not os.path.lexists(path)
    assert not list(path.parent.glob("echo.sock*")), "nothing beside it either"


def test_live_socket_is_not_taken(launch, path):
    first = launch(listeners=unix(path))
    inode = path.stat().st_ino
    refused(launch, path)
    assert path.stat().st_ino == inode
    exchange(first.connect())


def test_regular_file_is_not_touched(launch, path):
    path.write_text("precious")
    refused(launch, path)
    assert path.read_text() == "precious"


def test_symlink_is_not_followed(launch, path):
    target = path.with_name("target")
    stale_socket(target)
    path.symlink_to(target)
    refused(launch, path)
    assert path.is_symlink() and os.readlink(path) == str(target)
    assert stat.S_ISSOCK(target.stat().st_mode)


def test_directory_is_not_touched(launch, path):
    path.mkdir()
    refused(launch, path)
    assert path.is_dir()


def test_missing_directory_is_named(launch, tmp_path):
    refused(launch, tmp_path / "nowhere" / "echo.sock")


def test_someone_elses_socket_is_left_at_exit(launch, path):
    daemon = launch(listeners=unix(path))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        inode = path.stat().st_ino
        daemon.process.terminate()
        assert daemon.wait_exit() == 0
        daemon.outlives.add(path)
        assert path.stat().st_ino == inode


@pytest.mark.parametrize("mode", ["0600", "0666"])
def test_mode(launch, path, mode):
    launch(listeners=unix(path, mode=mode), options={"umask": 0o027})
    assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)


def test_default_mode_keeps_others_out(launch, path):
    launch(listeners=unix(path), options={"umask": 0})
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_group(launch, path, as_root):
    launch(listeners=unix(path, group="daemon"))
    assert path.stat().st_gid == grp.getgrnam("daemon").gr_gid


@pytest.mark.needs("unshare", "mount")
def test_group_of_very_many_members(launch, path, as_root, tmp_path):
    """The names of all of them come with the group's number: they take what room they take."""
    members = ",".join(f"somebody-with-a-name-{number}" for number in range(20000))
    groups = tmp_path / "group"
    groups.write_text(f"root:x:0:\nechoers:x:4711:{members}\n")
    script = f'mount --bind "{groups}" /etc/group && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    launch({"prefix": prefix}, listeners=unix(path, group="echoers"))
    assert path.stat().st_gid == 4711


def test_unknown_group_is_named(launch, path):
    daemon = launch(ready=False, listeners=unix(path, group="no-such-group"))
    daemon.spawn()
    assert daemon.wait_exit() in (69, 71, 78)
    assert "no-such-group" in daemon.log.text()


def test_folder_that_does_not_exist_is_named(launch, tmp_path):
    daemon = launch(ready=False, listeners=unix(tmp_path / "nowhere" / "echo.sock"))
    daemon.spawn()
    assert daemon.wait_exit() == 69
    text = f"cannot bind unix:{tmp_path}/nowhere/echo.sock: its folder does not exist"
    assert text in daemon.log.text()


def test_abstract_name_in_use_is_refused(launch):
    with socket.socket(socket.AF_UNIX) as other:
        name = f"echod-taken-{os.getpid()}"
        other.bind("\0" + name)
        other.listen()
        daemon = launch(ready=False, listeners=[{"name": "echo", "address": f"unix:@{name}"}])
        daemon.spawn()
        assert daemon.wait_exit() == 69
        assert name in daemon.log.text()
