# SPDX-License-Identifier: BSD-2-Clause
"""What a user types wrongly is told in words that lead to what is right."""

import pytest

from harness import run_echod

LISTENERS = 'listeners = ( { name = "echo"; address = "tcp://127.0.0.1:7007"; } );\n'


def listener(keys="", address="tcp://127.0.0.1:7007"):
    return f'listeners = ( {{ name = "echo"; address = "{address}"; {keys} }} );\n'


def udp(keys):
    return listener(keys, "udp://*:7")


CASES = [
    # the form of the file
    (LISTENERS + 'log.level = "info";', "write log = { ... }; with the key inside"),
    (LISTENERS + "[log]\n", "a section is a group: write NAME = { ... };"),
    ("{ " + LISTENERS + "}", "no bracket stands around the whole file"),
    (LISTENERS + '"workers" = 4;', "a key has no quotes (write workers)"),
    (LISTENERS + '"workers": 4', "a key has no quotes (write workers)"),
    (LISTENERS + "limits = ( connections = 5 );", "a list has no keys: write { } around them"),
    (LISTENERS + "workers = ;", "did not expect ';' here (a value is missing before it)"),
    (LISTENERS + "workers = 4; }", "nothing is open that it could close"),
    (LISTENERS + 'include "x.conf"', 'write @include "FILE" for a file'),
    (LISTENERS + "@include x.conf", 'write @include "FILE", alone on its line'),
    (LISTENERS + "WORKERS = 4;", 'did you mean "workers"?'),
    (LISTENERS + 'log = { level = "INFO"; };', 'did you mean "info"?'),
    (listener("backlog = 1,000;"), "a number is written without commas"),
    (udp('deny = ( "10.0.0.0/8", );'), "did not expect ')' here (remove the comma before it)"),
    (listener('idle_timeout = "30s; } );\n#'), "a string is not closed on its line"),
    (LISTENERS.replace('"echo"', '"echo'), "or a quote, in or behind its line"),
    # characters that are not what they look like
    ("\ufeff" + LISTENERS, "the file begins with a byte order mark"),
    (LISTENERS + "workers = 4;\ufeff", "there is a byte order mark here"),
    (LISTENERS.replace(" ", "\u00a0"), "there is a no-break space here"),
    (LISTENERS.replace('"', "\u201c"), "there is a typographic quote here"),
    (LISTENERS.replace('"', "`"), "a string stands in double quotes"),
    (LISTENERS.replace("(", "\uff08"), "did not expect '\uff08' here (outside quotes"),
    (LISTENERS + "workers =\u200b 4;", "did not expect '\\xe2\\x80\\x8b' here (outside quotes"),
    (LISTENERS + "workers = \u22124;", "did not expect '\u2212' here (outside quotes"),
    (listener(address="tcp://127.0.0.1\u200b:7"), '"tcp://127.0.0.1\\xe2\\x80\\x8b:7" has no'),
    # addresses
    (listener(address="tcp://::1:7"), "without brackets (write [ADDRESS]:PORT"),
    (listener(address="tcp://localhost:7"), "names are not looked up"),
    (listener(address="unix:/run/echod/"), "ends as a folder does"),
    (LISTENERS + 'control = { http = "http://127.0.0.1:9862"; };', "a scheme where none belongs"),
    (LISTENERS + 'control = { http = "9862"; };', '"127.0.0.1:9862", or "" for none'),
    (LISTENERS + 'control = { http = "off"; };', 'or "" for none'),
    (LISTENERS + "control = { http = false; };", 'or "" for none'),
    (udp("deny = ( 10.0.0.0/8 );"), "10.0.0.0/8 has no quotes (write networks in parentheses"),
    # units
    (listener('idle_timeout = "30 s";'), 'has a space in it (write "30s")'),
    (listener('idle_timeout = " 30s";'), 'has a space in it (write "30s")'),
    (listener('idle_timeout = "30 seconds";'), 'has a space in it (write "30s")'),
    (listener('idle_timeout = "5min";'), 'has an unknown unit (write "5m")'),
    (listener('idle_timeout = "5M";'), 'has an unknown unit (write "5m")'),
    (listener('idle_timeout = "1h30m";'), '"90m" for 1h30m'),
    (listener('idle_timeout = "1,5s";'), "has a fraction"),
    (listener('byte_limit = "256K";'), 'has an unknown unit (write "256KiB")'),
    (listener('byte_limit = "1MB";'), 'has an unknown unit (write "1MiB")'),
    (listener('byte_limit = "1 gb";'), 'has a space in it (write "1GiB")'),
    (listener('byte_limit = "1Mbit";'), "write B, KiB, MiB, GiB or TiB"),
    # quotes that alone would not help
    (listener("idle_timeout = off;"), '"off" is not a duration'),
    (listener("idle_timeout = 30s;"), '30s has no quotes (write "30s")'),
    (LISTENERS + "log = { level = 6; };", '"6" is not a known word'),
    (listener("group = 1000;", "unix:/run/d"), '1000 has no quotes (write "1000")'),
]


@pytest.mark.parametrize("text, advice", CASES)
def test_advice(tmp_path, text, advice):
    path = tmp_path / "echod.conf"
    path.write_text(text, "utf-8")
    result = run_echod(tmp_path, "-t", "-c", path, encoding="utf-8")
    assert result.returncode == 78
    assert advice in result.stderr
    assert len(result.stderr.splitlines()) == 1, "one mistake, one message"
