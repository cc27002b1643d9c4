# SPDX-License-Identifier: BSD-2-Clause
"""Every example of README.md and of the manuals does what it says, as it stands there.

Commands run in a network and among folders of the test's own, where the well-known ports, /run/echod
and /etc/echod.conf are free. A load lasts 300 ms there in place of its ten seconds.
"""

import contextlib
import os
import re
import shlex
import subprocess

import pytest

from harness import BINARY, PROJECT, SANITIZED, run_echod, seconds, wait_until
from harness.terminal import Terminal

PROGRAMS = {
    "echod": BINARY,
    "echoctl": os.environ.get("ECHOCTL", PROJECT / "build" / "echoctl"),
    "echoping": os.environ.get("ECHOPING", PROJECT / "build" / "echoping"),
}
README = (PROJECT / "README.md").read_text()

pytestmark = pytest.mark.skipif(SANITIZED, reason="the same for every build, and the clients' tests")

# What the manuals' examples speak of.
SERVED = """
listeners = (
  { name = "echo"; address = "tcp://*:7"; },
  { name = "high"; address = "tcp://127.0.0.1:7007"; },
  { name = "udp"; address = "udp://[2001:db8::1]:7"; },
  { name = "unix"; address = "unix:/run/echod/echo.sock"; }
);
workers = %d;
limits = { connections = %d; };
"""

SETUP = """
set -e
ip link set lo up
ip address add 2001:db8::1/128 dev lo nodad
mount -t tmpfs none /run
mkdir -m 755 /run/echod
cp -a /etc "$1"
mount --bind "$1" /etc
echo '127.0.0.1 localhost echo.example.net' >/etc/hosts
echo ready
exec sleep 600
"""


def examples(manual):
    """The literal blocks below EXAMPLES, without the marks of mdoc(7)."""
    text = (PROJECT / "man" / manual).read_text()
    section = re.search(r"^\.Sh EXAMPLES\n(.*?)^\.Sh ", text, re.M | re.S)[1]
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section, re.M | re.S)
    assert blocks, f"{manual}: no examples"
    return [block.replace(r"\-", "-").replace(r"\e", "\\") for block in blocks]


def commands(manual):
    """(command, the output that is shown below it) for each one in the manual's examples."""
    for block in examples(manual):
        for part in re.split(r"^[$#] ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def fences(heading):
    """The blocks of code in that section of the README."""
    section = re.search(rf"^## {heading}\n(.*?)^## ", README, re.M | re.S)[1]
    return re.findall(r"^```\w*\n(.*?)^```", section, re.M | re.S)


class Place:
    """A network, /run and /etc of its own, held by a process."""

    def __init__(self, directory):
        self.programs = directory / "bin"
        self.programs.mkdir()
        for name, path in PROGRAMS.items():
            (self.programs / name).symlink_to(path)
        self.etc = directory / "etc"
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "bash", "-c", SETUP, "bash", self.etc],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self.holder.stdout.readline() == b"ready\n", "unshare, ip or mount failed"
        self.environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
        }
        self.daemon = None

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(seconds(10))

    def close(self):
        self.stop()
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def inside(self, command):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "bash", "-c", command]

    def run(self, command):
        return subprocess.run(
            self.inside(command),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds(30),
            check=False,
        )

    def start(self, command):
        self.daemon = subprocess.Popen(
            self.inside(f"exec {command}"),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: self.run("echoctl status").returncode == 0, 10, "ready")


@pytest.fixture
def place(as_root, tmp_path):
    with contextlib.closing(Place(tmp_path)) as result:
        yield result


def shortened(command):
    """A load that takes no ten seconds."""
    words = shlex.split(command)
    loads = words[0] == "echoping" and {"-c", "--idle"} & set(words)
    return f"{re.sub(r' -d 5s', '', command)} -d 300ms" if loads else command


def test_tour_of_the_readme(place):
    path, tour = fences("A tour in thirty seconds")
    assert path == "PATH=$PWD/build:$PATH\n"
    lines = tour.splitlines()
    assert len(lines) >= 7
    place.start("echod")
    for command in re.findall(r"`(printf [^`]+)`", README):
        result = place.run(command)
        assert result.stdout == "hello", f"{command}: {result}"
    for line in lines:
        command = line.partition("# ")[0].strip()
        if command == "echoctl top":
            with Terminal(place.inside(command), env=place.environment) as terminal:
                terminal.wait_for(": ready, up")
                terminal.type("q")
                assert terminal.wait_exit() == 0
        else:
            result = place.run(shortened(command))
            assert (result.returncode, result.stderr) == (0, ""), f"{command}: {result}"
    assert place.daemon.wait(seconds(10)) == 0


@pytest.mark.parametrize("text", fences("Configure") + examples("echod.conf.5"))
def test_configuration(tmp_path, text):
    path = tmp_path / "echod.conf"
    path.write_text(text)
    result = run_echod(tmp_path, "-t", "-c", path)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr


@pytest.mark.parametrize("manual", ["echod.8", "echoctl.1", "echoping.1"])
def test_commands_of_the_manual(place, manual):
    config = place.etc / "echod.conf"
    # echoping's examples hold 15000 connections, echoctl's has this limit in its answer
    config.write_text(SERVED % (2, 16000 if manual == "echoping.1" else 10000))
    seen = []
    for command, output in commands(manual):
        seen.append(command)
        if command.split()[0] == "echod" and not re.search(" -[tT] ", command):
            place.stop()
            place.start(command)
            continue
        if place.daemon is None:
            place.start("echod -c /etc/echod.conf")
        if "reload" in command:
            config.write_text(SERVED % (4, 15000))
        result = place.run(shortened(command))
        assert (result.returncode, result.stderr) == (0, ""), f"{command}: {result}"
        if output:
            assert result.stdout == output, command
    assert len(seen) >= 5
