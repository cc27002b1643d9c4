# SPDX-License-Identifier: BSD-2-Clause
"""A file of any size is checked at once, and of many mistakes the first are told, and how many."""

import re
import resource

import pytest

from harness import MIB, run_echod, scaled, seconds, settings

LISTENERS = 'listeners = ( { name = "echo"; address = "tcp://127.0.0.1:7007"; } );\n'


def fill(head, element, tail="", separator=""):
    """A text of nearly 1 MiB (less under a sanitizer), and how many elements it has."""
    parts, size, count = [head], len(head) + len(tail), 0
    while True:
        text = (separator if count else "") + element(count)
        if size + len(text) >= scaled(MIB, MIB // 8):
            return "".join(parts) + tail, count
        parts.append(text)
        size += len(text)
        count += 1


def listeners(element):
    return fill("listeners = (\n", element, ");\n", ",")


def listener(number, address, rest=""):
    return f'{{ name = "n{number}"; address = "{address}"; {rest} }}\n'


def host(number):
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


# What makes it, and how many mistakes one element is, with how many elements that are none.
MISTAKES = {
    "different keys": (lambda: fill(LISTENERS, lambda i: f"k{i:x}=1;\n"), 1, 0),
    "one line of keys": (lambda: fill(LISTENERS, lambda i: f"k{i:x}=1;"), 1, 0),
    "keys in a listener": (
        lambda: fill("listeners = ( {\n", lambda i: f"k{i:x}=1;\n", "} );\n"),
        1,
        -2,
    ),
    "one group again and again": (
        lambda: fill(LISTENERS, lambda i: "limits = { connections = 1; };\n"),
        1,
        1,
    ),
    "misspelt keys": (
        lambda: listeners(lambda i: f'{{ name = "n{i}"; adress = "tcp://{host(i)}:7"; }}\n'),
        2,
        0,
    ),
    "empty listeners": (lambda: listeners(lambda i: "{}"), 2, 0),
    "numbers for listeners": (lambda: listeners(lambda i: "1\n"), 1, 0),
    "one name": (
        lambda: listeners(lambda i: f'{{ name = "n"; address = "tcp://{host(i)}:7"; }}\n'),
        1,
        1,
    ),
    "one address": (lambda: listeners(lambda i: listener(i, "tcp://*:7")), 1, 1),
    "one wide address": (
        lambda: listeners(lambda i: listener(i, f"udp://{host(i)}:7" if i else "udp://*:7")),
        1,
        1,
    ),
}

GOOD = {
    "listeners": lambda: listeners(lambda i: listener(i, f"tcp://{host(i)}:7")),
    "files": lambda: listeners(lambda i: listener(i, f"unix:/run/n{i}")),
    "comments": lambda: fill(LISTENERS, lambda i: "#\n"),
    "empty lines": lambda: fill(LISTENERS, lambda i: "\n"),
}

OTHERS = {
    "escapes": lambda: fill(LISTENERS + 'log = { file = "', lambda i: "\\x41", '"; };'),
    "networks": lambda: fill(
        'listeners = ( { name = "u"; address = "udp://*:7"; deny = (',
        lambda i: '"10.0.0.0/8"',
        "); } );\n",
        ",",
    ),
    "an array": lambda: fill(LISTENERS + "workers = [", lambda i: "1", "];\n", ","),
    "lists in lists": lambda: fill(LISTENERS + "workers = (", lambda i: "((()))", ");\n", ","),
    "brackets": lambda: fill(LISTENERS + "workers = ", lambda i: "("),
    "one string": lambda: fill(LISTENERS + 'log = { file = "', lambda i: "x", '"; };'),
}


def check(tmp_path, text):
    path = tmp_path / "echod.conf"
    path.write_text(text)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = run_echod(tmp_path, "-t", "-c", path, deadline=30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < seconds(2), "the check is not linear"
    return result


@pytest.mark.parametrize("kind", MISTAKES)
def test_the_first_mistakes_and_their_number(tmp_path, kind):
    make, each, none = MISTAKES[kind]
    text, count = make()
    result = check(tmp_path, text)
    assert result.returncode == 78
    lines = result.stderr.splitlines()
    assert len(lines) == 101
    assert lines[-1] == f"{each * (count - none)} mistakes in all, the first 100 are above"
    numbers = [int(re.match(r".*echod\.conf:(\d+): ", line)[1]) for line in lines[:-1]]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("kind", GOOD)
def test_a_large_good_file(tmp_path, kind):
    result = check(tmp_path, GOOD[kind]()[0])
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("kind", OTHERS)
def test_a_large_value(tmp_path, kind):
    result = check(tmp_path, OTHERS[kind]()[0])
    assert result.returncode == 78
    assert len(result.stderr.splitlines()) == 1


def test_first_mistakes_of_all_steps(tmp_path):
    """A key that is unknown is found later than one that is given twice, but stands before."""
    text = "unknown = 1;\n" + LISTENERS + "workers = 1;\n" * 300
    lines = check(tmp_path, text).stderr.splitlines()
    assert ":1: unknown: unknown key" in lines[0]
    assert lines[-1].startswith("300 mistakes in all")


def test_a_hundred_mistakes_are_all(tmp_path):
    text = LISTENERS + "".join(f"k{i} = 1;\n" for i in range(50)) + "workers = 1;\n" * 51
    lines = check(tmp_path, text).stderr.splitlines()
    assert len(lines) == 100
    assert "in all" not in lines[-1]


def test_what_stands_behind_many_duplicates_is_read(tmp_path):
    lines = check(tmp_path, "workers = 1;\n" * 99 + LISTENERS + "workers = 99;\n").stderr.splitlines()
    assert len(lines) == 99
    assert all("workers: is given twice" in line for line in lines)


def test_keys_beyond_those_of_any_group(tmp_path):
    """They are told, with what stands in them; what stands behind is judged as ever."""
    surplus = "".join(f"k{i} = 1;\n" for i in range(64))
    text = LISTENERS + f"limits = {{ {surplus} more = {{ a = 1; a = 2; }}; }};\nworkers = 99;\n"
    lines = check(tmp_path, text).stderr.splitlines()
    assert len(lines) == 67
    assert "limits.more: comes after 64 other keys of its group" in lines[64]
    assert "limits.more.a: is given twice" in lines[65]
    assert "workers: 99 is out of range" in lines[66]


def test_all_included_files_together_have_a_limit(tmp_path):
    (tmp_path / "part.conf").write_text(("#" * 1023 + "\n") * 512)
    result = check(tmp_path, LISTENERS + '@include "part.conf"\n' * 2)
    assert result.returncode == 78
    assert "echod.conf:3: @include" in result.stderr
    assert "all files together are larger than 1 MiB" in result.stderr


def test_mistakes_in_included_files_keep_their_order(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.conf").write_text("x = 1;\nworkers = 1;\n")
    text = LISTENERS + 'y = 1;\n@include "a.conf"\nz = 1;\n@include "b.conf"\nw = 1;\n'
    lines = check(tmp_path, text).stderr.splitlines()
    places = [re.search(r"(\w+\.conf:\d+): ", line)[1] for line in lines]
    assert places == [
        "echod.conf:2",
        "a.conf:1",
        "echod.conf:4",
        "b.conf:1",
        "b.conf:1",
        "b.conf:2",
        "echod.conf:6",
    ]


def test_a_reload_tells_the_first_mistakes_and_goes_on(launch):
    daemon = launch()
    text, count = MISTAKES["different keys"][0]()
    daemon.configure(text)
    reply = daemon.local.post("/reload")
    assert reply.status == 422
    assert len(reply.json["errors"]) == 101
    last = f"{count} mistakes in all, the first 100 are above"
    assert reply.json["errors"][-1] == last
    daemon.log.wait_for(re.escape(last))
    assert daemon.is_served()
    daemon.configure(settings())
    assert daemon.local.post("/reload").status == 200
