#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each shell script, found by its name or its first line, is clean for shellcheck; so is what a shell
# reads in, found by the line that tells shellcheck which one.
set -eu

cd "$(dirname "$0")/../.."
scripts=$(find .ci completion quickstart.sh tests -type f \( -name '*.sh' -o ! -name '*.*' \) \
    -exec sh -c 'for file; do
        if head -n 1 "$file" | grep -Eq "^#!.*(/| )(ba)?sh( |$)" ||
            head -n 5 "$file" | grep -q "^# shellcheck shell="; then echo "$file"; fi
    done' sh {} + | sort)
if [ -z "$scripts" ]; then
    echo 'shell.sh: found no scripts to check'
    exit 1
fi
# None of the names has a blank in it.
# shellcheck disable=SC2086
shellcheck --external-sources $scripts
echo "shell.sh: $(echo "$scripts" | wc -l) scripts, 0 complaints"
