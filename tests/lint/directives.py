#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's directives, etc/echod.conf and echod.conf(5) name the same keys, and agree on defaults.

The daemon's are what "echod -T" prints without a file, and for a UNIX socket and one of UDP, which
have keys of their own; ECHOD names the daemon. In etc/echod.conf a key may be given or commented out
("# key = value;"). In the manual each is an ".It Ic section.key", followed by
"Type: ...; range: ...; default: ...; effect: ...".
"""

import os
import re
import subprocess
import tempfile

from common import Lint, read

MANUAL = "man/echod.conf.5"
SAMPLE = "etc/echod.conf"
EFFECTS = {"live", "new connections", "restart"}
# What the daemon listens on is not one default of a key.
NO_DEFAULT = {"listeners[].name", "listeners[].address"}
TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_][\w-]*|[-+]?[\w.]+|[{}()\[\]=:;,]')


UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
         "d": 86400 * 10**9, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def plain(value):
    """Reduce a duration or size to its smallest unit: "60s" and "1m" are the same."""
    match = re.fullmatch(r"(\d+)([a-zA-Z]+)", value)
    if match and match.group(2) in UNITS:
        return int(match.group(1)) * UNITS[match.group(2)]
    return value


def parse(text):
    """Return {key path: set of values as written} of a text in the syntax of libconfig."""
    lines = []
    for line in text.splitlines():
        # a directive that is commented out counts as one
        line = re.sub(r"^(\s*)(?:#|//)\s*([a-z_0-9]+\s*=[^;]*;)", r"\1\2", line)
        # a comment begins outside of strings only
        line = re.sub(r'^((?:[^"#/]|"(?:\\.|[^"\\])*"|/(?!/))*)(?:#|//).*$', r"\1", line)
        lines.append(line)
    tokens = TOKEN.findall(re.sub(r"/\*.*?\*/", "", "\n".join(lines), flags=re.DOTALL))
    values, path, position = {}, [], 0
    while position < len(tokens):
        token = tokens[position]
        following = tokens[position + 1] if position + 1 < len(tokens) else ""
        if following in ("=", ":") and re.fullmatch(r"[A-Za-z_][\w-]*", token):
            value = tokens[position + 2] if position + 2 < len(tokens) else ""
            after = tokens[position + 3] if position + 3 < len(tokens) else ""
            if value == "(" and after not in ("{", "("):
                end = tokens.index(")", position) if ")" in tokens[position:] else len(tokens)
                values.setdefault(".".join([part for part in path if part] + [token]), set()).add(
                    "( " + " ".join(tokens[position + 3:end]) + " )" if end > position + 3 else "( )")
                position = end + 1
                continue
            if value == "(":
                path.append(token + "[]")
            elif value == "{":
                path.append(token)
            else:
                values.setdefault(".".join([part for part in path if part] + [token]),
                                  set()).add(value.strip('"'))
            position += 3
            continue
        if token in "{(":
            path.append("")
        elif token in "})" and path:
            path.pop()
        position += 1
    return values


def read_daemon(lint):
    daemon = os.environ.get("ECHOD", "")
    if not daemon:
        lint.complain(lint.name, "ECHOD does not name a daemon to ask")
        return {}
    values = {}
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write('listeners = ( { name = "lint"; address = "unix:/run/lint.sock"; },\n'
                   '{ name = "lint-udp"; address = "udp://127.0.0.1:7"; } );\n')
        file.flush()
        for options in (["-T"], ["-T", "-c", file.name]):
            result = subprocess.run([daemon] + options, capture_output=True, text=True, check=False,
                                    timeout=20, stdin=subprocess.DEVNULL)
            if result.returncode != 0:
                lint.complain(daemon, f"{' '.join(options)} ended with status {result.returncode}: "
                                      f"{result.stderr.strip()}")
            for key, found in parse(result.stdout).items():
                values.setdefault(key, set()).update(found)
    return values


def read_manual(lint):
    """Return {key: default as written} and check the form of each entry."""
    defaults = {}
    lines = read(MANUAL).splitlines()
    for number, line in enumerate(lines, 1):
        match = re.match(r"\.It Ic (\S+)\s*$", line)
        if not match:
            continue
        key, place = match.group(1), f"{MANUAL}:{number}"
        if key in defaults:
            lint.complain(place, f"{key} has two entries")
        form = re.match(r"Type: ([^;]+); range: ([^;]+); default: ([^;]*); effect: ([^;]+)\.$",
                        lines[number] if number < len(lines) else "")
        defaults[key] = None
        if not form:
            lint.complain(place, f'{key}: no "Type: ...; range: ...; default: ...; effect: ..." below')
            continue
        defaults[key] = form.group(3).strip('"')
        if form.group(4) not in EFFECTS:
            lint.complain(place, f"{key}: effect is {form.group(4)}, not one of {sorted(EFFECTS)}")
    return defaults


def main():
    lint = Lint()
    sources = {"echod -T": read_daemon(lint), SAMPLE: parse(read(SAMPLE)), MANUAL: read_manual(lint)}
    keys = set().union(*sources.values())
    for key in sorted(keys):
        for source, found in sources.items():
            if key not in found:
                others = [other for other in sources if key in sources[other]]
                lint.complain(source, f"{key} is missing, which {' and '.join(others)} has")
    for key, values in sources["echod -T"].items():
        default = sources[MANUAL].get(key)
        if key not in NO_DEFAULT and default is not None \
                and {plain(value) for value in values} != {plain(default)}:
            lint.complain(MANUAL, f"{key}: default is {default}, the daemon's is {sorted(values)}")
    lint.done(len(keys), "directives")


main()
