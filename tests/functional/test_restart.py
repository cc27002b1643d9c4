# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that was killed starts again at once, whatever it left behind."""

import contextlib
import os
import socket
import threading
import time

from harness import exchange, free_port, scaled, seconds, wait_until


class _Load:
    """Clients that keep coming, write, and do not care what becomes of them."""

    def __init__(self, addresses):
        self.served = 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=address, daemon=True) for address in addresses
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds(5))

    def _run(self, family, address):
        kept = []
        while not self._stop.wait(0.002):
            with contextlib.suppress(OSError):
                sock = socket.socket(family, socket.SOCK_STREAM)
                sock.settimeout(1)
                sock.connect(address)
                sock.sendall(bytes(20000))
                self.served += bool(sock.recv(100))
                kept.append(sock)
            if len(kept) > 20:
                kept.pop(0).close()
        for sock in kept:
            sock.close()


def test_killed_fifty_times_under_load(launch, tmp_path):
    path = tmp_path / "echo.sock"
    port, control = free_port(), free_port()
    daemon = launch(
        listeners=[
            {"name": "echo", "address": f"tcp://127.0.0.1:{port}"},
            {"name": "local", "address": f"unix:{path}"},
        ],
        control={"http": f"127.0.0.1:{control}"},
    )
    times = []
    with _Load([(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_UNIX, str(path))]) as load:
        for _ in range(scaled(50, 20)):
            before = load.served
            wait_until(lambda before=before: load.served != before, 5, "a client is served")
            daemon.kill()
            daemon.log.path.unlink()
            begin = time.monotonic()
            daemon.start()
            times.append(time.monotonic() - begin)
            daemon.exit_code = None
            with daemon.connect("echo") as tcp, daemon.connect("local") as unix:
                exchange(tcp)
                exchange(unix)
    # nothing that was left is waited for; a busy machine makes some of the starts late, not most
    assert sorted(times)[len(times) // 2] < seconds(1), times
    daemon.close_clients()
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    assert not os.path.lexists(path)


def test_port_can_be_bound_again_after_a_busy_stop(launch):
    """Our side closes first, so that the old connections are in TIME_WAIT."""
    port = free_port()
    listeners = [{"name": "echo", "address": f"tcp://127.0.0.1:{port}"}]
    for _ in range(3):
        daemon = launch(listeners=listeners)
        clients = [daemon.connect() for _ in range(10)]
        for sock in clients:
            exchange(sock)
        daemon.process.terminate()
        for sock in clients:
            assert sock.recv(1) == b""
            sock.close()
        assert daemon.wait_exit() == 0
