# SPDX-License-Identifier: BSD-2-Clause
"""Reading the configuration: good files, every kind of mistake, and what -T shows."""

import pathlib
import re

import pytest

from harness import PROJECT, run_echod

FILES = PROJECT / "tests" / "config"
GOOD = sorted((FILES / "good").glob("*.conf"))
BAD = sorted((FILES / "bad").glob("*.conf"))

DIRECTIVES = {
    "": ["workers"],
    "listeners": (
        "name address enabled backlog v6only freebind nodelay dscp mss keepalive mode group"
        " connections idle_timeout lifetime byte_limit"
    ).split(),
    "limits": "connections output_high output_low stall_timeout linger_timeout".split(),
    "log": "level target format file mode connections rate_limit".split(),
    "control": "http socket mode group http_hosts clients timeout".split(),
    "shutdown": "delay timeout idle_grace".split(),
}

ONE_LISTENER = 'listeners = ( { name = "echo"; address = "tcp://127.0.0.1:7007"; } );\n'

SIX_MISTAKES = """\
listeners = (
  { name = "echo"; address = "tcp://127.0.0.1:7007"; idle_timeout = "30"; },
  { name = "two words"; address = "tcp://127.0.0.1:7008"; }
);
limits = { conections = 10; stall_timeout = 5; };
log = { level = "loud"; };
shutdown = { timeout = "30 parsecs"; };
"""


def check(directory, path, *options):
    return run_echod(directory, "-t", "-c", path, *options)


def write(directory, text):
    path = directory / "echod.conf"
    path.write_text(text)
    return path


def test_there_are_files_to_check():
    assert GOOD and BAD


@pytest.mark.parametrize("path", GOOD, ids=[path.stem for path in GOOD])
def test_good_file(tmp_path, path):
    result = check(tmp_path, path)
    assert (result.returncode, result.stderr) == (0, "")


def test_shipped_file(tmp_path):
    result = check(tmp_path, PROJECT / "etc" / "echod.conf")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:7", "tcp://[::]:7", "tcp://127.0.0.1:7007", "tcp://[::1]:7007"]
)
def test_packaged_file_survives_another_address(tmp_path, address):
    text = (PROJECT / "etc" / "echod.conf").read_text()
    assert '"tcp://*:7"' in text
    result = check(tmp_path, write(tmp_path, text.replace('"tcp://*:7"', f'"{address}"')))
    assert (result.returncode, result.stderr) == (0, ""), result.stderr


@pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])
def test_bad_file(tmp_path, path):
    """The first lines of each bad file say what the messages must have in them."""
    expected = re.findall(r"^# expect: (.+)$", path.read_text("latin-1"), re.M)
    assert expected, f"{path} does not say what to expect"
    result = check(tmp_path, path)
    assert result.returncode == 78
    for text in expected:
        assert text in result.stderr


def test_six_mistakes_give_six_messages(tmp_path):
    path = write(tmp_path, SIX_MISTAKES)
    result = check(tmp_path, path)
    assert result.returncode == 78
    prefix = re.compile(re.escape(str(path)) + r":(\d+): ([a-z_.\[\]0-9]+): (.+)")
    found = [match.groups() for match in map(prefix.search, result.stderr.splitlines()) if match]
    assert [(int(line), key) for line, key, _ in found] == [
        (2, "listeners[0].idle_timeout"),
        (3, "listeners[1].name"),
        (5, "limits.conections"),
        (5, "limits.stall_timeout"),
        (6, "log.level"),
        (7, "shutdown.timeout"),
    ]
    texts = dict((key, text) for _, key, text in found)
    assert 'write "30s"' in texts["listeners[0].idle_timeout"]
    assert "connections" in texts["limits.conections"], "did you mean"
    assert "info" in texts["log.level"], "the words that are allowed"


def test_a_start_with_mistakes_tells_them_too(tmp_path):
    path = write(tmp_path, SIX_MISTAKES)
    result = run_echod(tmp_path, "-c", path)
    assert result.returncode == 78
    assert len(re.findall(re.escape(str(path)) + r":\d+: ", result.stderr)) == 6


@pytest.mark.parametrize(
    "text",
    [
        "listeners = (",
        "limits = { connections = 99999999999; };",
        "limits = { connections = 4294967296; };",
        "limits = { connections = -1; };",
        "limits = { connections = 1; connections = 2; };",
        "limits = { connections = true; };",
        "limits = ( );",
        'workers = "two";',
        "workers = 2.5;",
        'listeners = ( { name = "a"; address = "tcp://localhost:7"; } );',
        'listeners = ( { name = "a"; address = "tcp://127.0.0.1:70000"; } );',
        'listeners = ( { name = "a"; address = "sctp://127.0.0.1:7007"; } );',
        'listeners = ( { name = "a"; address = "udp://127.0.0.1:7007"; backlog = 5; } );',
        'listeners = ( { address = "tcp://127.0.0.1:7007"; } );',
        'listeners = ( { name = "a"; } );',
        'listeners = ( { name = "a"; address = "tcp://127.0.0.1:7007"; },'
        ' { name = "a"; address = "tcp://127.0.0.1:7008"; } );',
        'listeners = ( { name = "a"; address = "tcp://127.0.0.1:7007"; },'
        ' { name = "b"; address = "tcp://127.0.0.1:7007"; } );',
        'limits = { output_high = "1KiB"; output_low = "2KiB"; };',
        'log = { target = "file"; };',
        'control = { http = "nonsense"; };',
        'shutdown = { delay = "-1s"; };',
        'shutdown = { delay = "1 s"; };',
        "nonsense = 1;",
        '@include "nowhere.conf"',
    ],
)
def test_mistake(tmp_path, text):
    path = write(tmp_path, text + "\n" + ("" if text.startswith("listeners") else ONE_LISTENER))
    result = check(tmp_path, path)
    assert result.returncode == 78
    assert re.search(re.escape(str(path)) + r":1: \S", result.stderr), result.stderr


def test_include_is_relative_to_the_including_file(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "limits.conf").write_text("limits = { connections = 77; };\n")
    path = write(tmp_path, '@include "parts/limits.conf"\n' + ONE_LISTENER)
    result = run_echod(tmp_path, "-T", "-c", path, cwd="/")
    assert result.returncode == 0, result.stderr
    assert re.search(r"connections = 77;.*limits\.conf:1", result.stdout)


def test_mistake_in_an_included_file_names_that_file(tmp_path):
    part = tmp_path / "part.conf"
    part.write_text("\n\nlimits = { conections = 77; };\n")
    result = check(tmp_path, write(tmp_path, '@include "part.conf"\n' + ONE_LISTENER))
    assert result.returncode == 78
    assert "part.conf:3: limits.conections: " in result.stderr


def dump(directory, path):
    result = run_echod(directory, "-T", "-c", path)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def dumped_sections(text):
    """Section -> directive -> (value, origin) of a dump with one directive a line."""
    sections = {}
    section = ""
    for line in text.splitlines():
        if match := re.match(r"\s*(\w+)\s*=\s*[({]?\s*$", line):
            section = match[1]
        elif match := re.match(r"\s*(\w+)\s*=\s*(.+?);\s*#\s*(.+?)\s*$", line):
            sections.setdefault(section, {})[match[1]] = (match[2], match[3])
        elif re.match(r"\s*[})];?\s*$", line) and section != "listeners":
            section = ""
        elif re.match(r"\);", line):
            section = ""
    return sections


def test_dump_shows_every_directive_with_its_origin(tmp_path):
    """Keys that suit only one kind of address are shown for that kind."""
    path = write(
        tmp_path,
        'listeners = (\n{ name = "local"; address = "unix:/run/local"; },\n'
        '{ name = "echo";\n address = "tcp://[::1]:7007"; } );\n'
        "limits = {\n connections = 55;\n};\n",
    )
    sections = dumped_sections(dump(tmp_path, path))
    assert {name: sorted(rows) for name, rows in sections.items()} == {
        name: sorted(rows) for name, rows in DIRECTIVES.items()
    }
    assert sections["limits"]["connections"] == ("55", f"{path}:6")
    assert sections["listeners"]["address"] == ('"tcp://[::1]:7007"', f"{path}:4")
    assert sections["limits"]["output_high"] == ('"256KiB"', "default")
    assert sections["shutdown"]["timeout"] == ('"30s"', "default")


def without_origins(text):
    return re.sub(r"\s*#.*", "", text)


@pytest.mark.parametrize("path", GOOD, ids=[path.stem for path in GOOD])
def test_dump_can_be_read_back(tmp_path, path):
    first = dump(tmp_path, path)
    again = pathlib.Path(tmp_path / "again.conf")
    again.write_text(first)
    assert without_origins(dump(tmp_path, again)) == without_origins(first)


def test_dump_of_a_bad_file_is_refused(tmp_path):
    result = run_echod(tmp_path, "-T", "-c", write(tmp_path, SIX_MISTAKES))
    assert result.returncode == 78
    assert result.stdout == ""
