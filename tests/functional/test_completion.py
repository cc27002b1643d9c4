# SPDX-License-Identifier: BSD-2-Clause
"""Completion of echoctl where it is used: somebody presses TAB in a bash, and a stranger answers.

What single words complete to is in test_echoctl.py.
"""

import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

from fake_control import FakeControl, connection
from harness import BINARY, PROJECT, environment, seconds
from harness.terminal import Terminal

ECHOCTL = pathlib.Path(os.environ.get("ECHOCTL") or BINARY.parent / "echoctl").absolute()
SOURCE = PROJECT / "completion" / "bash" / "echoctl"
# What was offered goes to a file, too: the terminal shows it in a way that is hard to take apart.
BEGIN = r"""
PS1='$ '
set +o history
bind 'set enable-bracketed-paste off'
source "{source}"
record() { _echoctl "$@"; printf '%s\0' "${COMPREPLY[@]}" >"{record}"; }
complete -F record echoctl
bind 'set completion-query-items 0'
bind 'set page-completions off'
bind 'set show-all-if-ambiguous on'
bind 'set bell-style none'
"""
HARMLESS = ["echo", "web-1.x", "w_2"]
HOSTILE = (
    "$(touch${IFS}FILE)", "$(touch FILE)", "`touch FILE`", "`touch${IFS}FILE`", "x;touch FILE",
    "x\ntouch FILE\n", "web-1.x\n$(touch FILE)", "x|touch FILE", ">FILE", "${x:=$(touch FILE)}",
    "x$((a[$(touch FILE)]))", "\x1b]0;owned\x07", "\x1b[2Jowned", "\u009b2Jowned", "owned\u202e",
    "\x9bowned", "owned x", "owned\tx", "*", "?", "[a-z]*", "{owned,x}", "~root", "'owned",
    '"owned', "owned\\", "!owned", "owned" * 13,
)


class Shell:
    """A bash on a terminal, in an empty directory, with the completion."""

    def __init__(self, directory, path):
        self.directory = directory
        self.directory.mkdir()
        self.record = directory.parent / "offered"
        begin = directory.parent / "begin"
        begin.write_text(BEGIN.replace("{source}", str(SOURCE)).replace("{record}", str(self.record)))
        env = environment(directory.parent, PATH=path, HOME=str(directory))
        env["INPUTRC"] = "/dev/null"
        self.terminal = Terminal(["bash", "--rcfile", begin, "-i"], env, 60, 300)
        self.rounds = 0
        self.files = []

    def __enter__(self):
        self.terminal.__enter__()
        self.enter(f"cd '{self.directory}'")
        return self

    def __exit__(self, *error):
        self.terminal.__exit__(*error)

    def enter(self, keys):
        """Type the keys, and a line to know the end of what they do; returns what was printed."""
        self.rounds += 1
        begin = len(self.terminal.output)
        self.terminal.type(f"{keys}\necho at''end{self.rounds}\n")
        self.terminal.wait_for(f"atend{self.rounds}\r\n", begin, 15)
        return self.terminal.output[begin:].decode(errors="backslashreplace")

    def press_tab(self, line):
        """What is offered for a TAB after the line, which does not run. No file may appear."""
        self.record.unlink(missing_ok=True)
        shown = self.enter(line + "\t\x01\x0b").replace(line, "")
        assert sorted(path.name for path in self.directory.iterdir()) == self.files, shown
        assert not re.search(r"owned|touch|\x1b\]|\x9b|\u202e|\u009b|bash: ", shown), shown
        offered = self.record.read_text() if self.record.exists() else ""
        return list(dict.fromkeys(word for word in offered.split("\0") if word))

    def words_after(self, line):
        """The line of a TAB after the line as the shell takes it apart, which expands it."""
        text = self.enter(line + "\t\x01printf '<%s>' \n")
        return re.findall(r"<([^<>]*)>", text.replace("<%s>", ""))[1:]


@pytest.fixture
def shell(tmp_path):
    with Shell(tmp_path / "home", f"{ECHOCTL.parent}:{os.environ['PATH']}") as one:
        yield one


@pytest.fixture
def stand_in(tmp_path):
    """A shell where echoctl is the given script: the completion relies on nobody."""
    folder = tmp_path / "bin"
    folder.mkdir()
    with Shell(tmp_path / "home", f"{folder}:{os.environ['PATH']}") as one:

        def write(script):
            (folder / "echoctl").write_text("#!/bin/sh\n" + script)
            (folder / "echoctl").chmod(0o755)
            return one

        yield write


@pytest.fixture
def control(open_directory):
    with FakeControl(open_directory / "control.sock") as fake:
        yield hostile(fake)


def hostile(control):
    """Have it tell names of both kinds, and numbers of connections that are none."""
    names = [*HOSTILE[:9], *HARMLESS, *HOSTILE[9:]]
    stats = control.stats()
    stats["listeners"] = [{"name": name, "address": name, name: name} for name in names]
    stats["process"]["version"] = HOSTILE[0]
    stats["totals"]["connections_closed"] = dict.fromkeys([*HOSTILE, "idle_timeout"], 1)
    control.answers["GET", "/stats"] = (200, stats)
    rows = [connection(7, listener=name, peer=name, state=name) for name in HOSTILE]
    rows += [connection(8, id=name) for name in HOSTILE] + [connection(71)]
    control.answers["GET", "/connections"] = (200, {"connections": rows})
    return control


def test_tab_runs_nothing_that_a_daemon_says(shell, control):
    for verb in ("connections -l ", "connections --listener ", "connections --listener=",
                 "sources -l ", "sources --listener ", "sources --listener="):
        assert shell.press_tab(f"echoctl -s {control.path} {verb}") == HARMLESS
        assert shell.press_tab(f"echoctl -s {control.path} {verb}w") == ["web-1.x", "w_2"]
        assert shell.press_tab(f"echoctl -s {control.path} {verb}web") == ["web-1.x"]
    for verb in ("events -r ", "events --reason="):
        offered = shell.press_tab(f"echoctl -s {control.path} {verb}")
        assert offered and all(re.fullmatch("[a-z_]+", word) for word in offered), offered
        assert shell.press_tab(f"echoctl -s {control.path} {verb}id") == ["idle_timeout"]
    for verb in ("connection ", "close "):
        assert shell.press_tab(f"echoctl -s {control.path} {verb}") == ["7", "71"]
    assert control.targets("POST") == []


OWN = ("", "$(touch FILE)", '"$(touch FILE)', "`touch FILE`", "$(touch${IFS}FILE)", "x;touch$IFS",
       "${x:=$(touch FILE)}", "$((a[$(touch FILE)]))", "<(touch FILE)", "'", '"', "\\", "*", "~", "~/")


@pytest.mark.parametrize("line", [
    "", "-s ", "-u ", "--socket=", "-l ", "connections -S ", "connections -k ", "connections -o ",
    "connections -l ", "sources -l ", "events -r ", "peers -P ", "close ", "connection ", "log-level ", "stop -", "status ",
])
def test_tab_runs_nothing_of_a_line_that_is_being_typed(shell, control, line):
    for word in OWN:
        shell.press_tab(f"echoctl -s {control.path} {line}{word}")
    for word in OWN[1:]:
        if not word.endswith(("'", '"', "\\")) and not word.startswith('"'):
            shell.press_tab(f"echoctl -s {word} {line}")
            shell.press_tab(f'echoctl -u "{word}" {line}')


def test_tab_asks_the_socket_that_the_line_names(shell, open_directory):
    home = shell.directory / "run"
    home.mkdir()
    shell.files = ["run"]
    path = open_directory / "a b'c\"d$e=f:g.sock"
    typed = re.sub(r"[ '\"$]", r"\\\g<0>", str(path))
    double = re.sub(r"[\"$]", r"\\\g<0>", str(path))
    places = [f"-s {typed}", f'--socket "{double}"', f"--socket={typed}", f"-s{typed}", f'-s"{double}"']
    with FakeControl(path) as fake:
        for place in places:
            assert shell.press_tab(f"echoctl {place} close ") == ["1", "2", "3"]
            assert shell.press_tab(f"echoctl {place} connections -l ec") == ["echo"]
        assert len(fake.targets("GET")) == 2 * len(places)
    with FakeControl(home / "x.sock"):
        for place in ("-s ~/run/x.sock", "-s '/dev/null' -s ~/'run'/x.sock", "-s run/x.sock"):
            assert shell.press_tab(f"echoctl {place} close ") == ["1", "2", "3"]
        # what only an expansion would tell is not asked, nor is anybody else
        for place in ("$PWD/run/x.sock", "~+/run/x.sock", "'run/x.sock"):
            assert shell.press_tab(f"echoctl -s {place} close ") == []


def test_tab_asks_the_url_that_the_line_names(shell):
    with FakeControl() as fake:
        for place in (f"-u {fake.url}", f"--url={fake.url}", f"-u '{fake.url}'", f"-u{fake.url[7:]}"):
            assert shell.press_tab(f"echoctl {place} close ") == ["1", "2", "3"]
            assert shell.press_tab(f"echoctl {place} connections --listener=") == ["echo"]
        assert len(fake.targets("GET")) == 8


def test_tab_completes_paths_of_sockets(shell):
    names = ["a b.sock", "c$(touch FILE).sock", "d`touch FILE`;.sock", "e\n$(touch FILE).sock"]
    for name in names:
        (shell.directory / name).touch()
    shell.files = sorted(names)
    for name in names[:3]:
        for option in ("-s ", "--socket "):
            assert shell.words_after(f"echoctl {option}{name[0]}") == [option.strip(), name]
        assert shell.words_after(f"echoctl -s '{name[0]}")[1:] == [name]
    assert shell.words_after("echoctl -s ~/a") == ["-s", f"{shell.directory}/{names[0]}"]
    shell.enter("echoctl -s e\t\x01\x0b")
    assert sorted(path.name for path in shell.directory.iterdir()) == shell.files


@pytest.mark.parametrize("script, offered", [
    ("exec sleep 60", []),
    ("exec yes 7", ["7"]),
    ("exec yes 'listeners[x].name  web-1.x'", []),
    ("exec tr '\\0' 7 </dev/zero", []),
    ("exec tr '\\0' '\\n' </dev/zero", []),
    ("exec cat /dev/zero", []),
    ("echo ID; echo 7; exec sleep 60", ["7"]),
    ("trap '' INT HUP; while :; do echo '$(touch FILE)'; done", []),
])
def test_tab_comes_back_from_an_answer_without_end(stand_in, script, offered):
    shell = stand_in(script)
    begin = time.monotonic()
    assert shell.press_tab("echoctl close ") == offered
    assert time.monotonic() - begin < seconds(8)


@pytest.mark.parametrize("head", [
    None, b"HTTP/1.1 200 OK\r\n\r\n", b'HTTP/1.1 200 OK\r\n\r\n{"listeners":[', b"",
])
def test_tab_comes_back_from_a_socket_that_never_ends(shell, open_directory, head):
    """It takes nobody, says nothing, or goes on and on."""
    path = open_directory / "control.sock"
    over = threading.Event()

    def serve():
        client, _ = server.accept()
        with client:
            client.settimeout(0.2)
            try:
                client.sendall(head)
                while not over.is_set():
                    client.sendall(b'{"name":"echo"},' * 4096 if head else b"")
                    over.wait(0.01)
            except OSError:
                pass

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        if head is not None:
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
        begin = time.monotonic()
        try:
            assert shell.press_tab(f"echoctl -s {path} sources -l ") == []
        finally:
            over.set()
        assert time.monotonic() - begin < seconds(8)


def test_names_are_those_that_a_configuration_can_have(tmp_path):
    """One rule: what the daemon takes as a listener's name is offered, and nothing else is."""
    names = [chr(code) for code in range(33, 127)] + ["a" * 64, "a" * 65, "a.B_c-9", "\u00e9"]
    taken = []
    for name in names:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        file = tmp_path / "echod.conf"
        file.write_text(f'listeners = ( {{ name = "{quoted}"; address = "tcp://127.0.0.1:7"; }} );\n')
        result = subprocess.run([BINARY, "-t", "-c", file], capture_output=True, check=False)
        if result.returncode == 0:
            taken.append(name)
    said = "".join(f"listeners[0].name  {name}\n" for name in names)
    script = (
        'source "$1"; COMP_WORDS=(echoctl sources -l ""); COMP_CWORD=3; '
        '_echoctl_ask() { printf "%s" "$SAID"; }; _echoctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    result = subprocess.run(
        ["bash", "-c", script, "bash", SOURCE],
        env={**os.environ, "SAID": said}, capture_output=True, check=True, timeout=seconds(10),
    )
    assert result.stderr == b""
    assert result.stdout.decode().splitlines() == taken
    assert len(taken) == 26 * 2 + 10 + 3 + 2
