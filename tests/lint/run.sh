#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: tests/lint/run.sh [TAP-FILE]
# Runs every lint of this folder and says which passed. Each lint prints what is wrong, with file and
# line, and ends with a status other than 0. ECHOD names the daemon for those lints that ask it.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
tap=${1:-/dev/null}
number=0
failed=0

: >"$tap" || exit 1
for lint in "$here"/*.py "$here"/*.sh; do
    name=$(basename "$lint")
    case $name in
    run.sh | common.py) continue ;;
    *.py) runner="python3" ;;
    *) runner="sh" ;;
    esac
    number=$((number + 1))
    if timeout 120 "$runner" "$lint"; then
        echo "lint $name: ok"
        echo "ok $number - $name" >>"$tap"
    else
        echo "lint $name: FAILED"
        echo "not ok $number - $name" >>"$tap"
        failed=$((failed + 1))
    fi
done
echo "1..$number" >>"$tap"
[ "$number" -gt 0 ] && [ "$failed" -eq 0 ]
