#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each shell script, found by its name or its first line, is clean for shellcheck.
set -eu

cd "$(dirname "$0")/../.."
scripts=$(find .ci quickstart.sh tests -type f \( -name '*.sh' -o ! -name '*.*' \) \
    -exec sh -c 'for file; do
        if head -n 1 "$file" | grep -Eq "^#!.*(/| )(ba)?sh( |$)"; then echo "$file"; fi
    done' sh {} + | sort)
if [ -z "$scripts" ]; then
    echo 'shell.sh: found no scripts to check'
    exit 1
fi
# None of the names has a blank in it.
# shellcheck disable=SC2086
shellcheck --external-sources $scripts
echo "shell.sh: $(echo "$scripts" | wc -l) scripts, 0 complaints"
