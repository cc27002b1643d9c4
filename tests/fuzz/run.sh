#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: tests/fuzz/run.sh TAP-FILE TARGET...
# Runs each fuzz target for FUZZ_SECONDS (20) from its seeds, tests/fuzz/seeds/ROOM/ or what other
# tests have in tests/ROOM/good/ and bad/, and with its dictionary tests/fuzz/ROOM.dict, where there
# are such. What a run finds (inputs that reach new code, inputs that crash) stays in the build
# folder, in tests/fuzz/ROOM.corpus/.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
seconds=${FUZZ_SECONDS:-20}
tap=$1
shift
number=0
failed=0

: >"$tap" || exit 1
if [ $# -eq 0 ]; then
    echo 'There are no fuzz targets: configure with CC=clang and --enable-fuzzers.' >&2
    exit 1
fi
for target in "$@"; do
    number=$((number + 1))
    room=${target##*/fuzz_}
    corpus=tests/fuzz/$room.corpus
    mkdir -p "$corpus" || exit 1
    set -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$corpus/"
    if [ -f "$here/$room.dict" ]; then
        set -- "$@" -dict="$here/$room.dict"
    fi
    set -- "$@" "$corpus"
    for seeds in "$here/seeds/$room" "$here/../$room/good" "$here/../$room/bad"; do
        if [ -d "$seeds" ]; then
            set -- "$@" "$seeds"
        fi
    done
    echo "fuzz $room for $seconds seconds"
    if timeout -k 10 $((seconds + 60)) "./$target" "$@" >"$corpus.log" 2>&1; then
        grep -E '^stat::(number_of_executed_units|peak_rss_mb)' "$corpus.log"
        echo "ok $number - $room" >>"$tap"
    else
        tail -n 60 "$corpus.log"
        echo "fuzz $room: FAILED"
        echo "not ok $number - $room" >>"$tap"
        failed=$((failed + 1))
    fi
done
echo "1..$number" >>"$tap"
[ "$failed" -eq 0 ]
