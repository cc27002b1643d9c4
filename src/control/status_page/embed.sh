#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: embed.sh FOLDER
# Print the parts of the status page in FOLDER as C arrays, for status_page_parts.h.
set -eu

cd "$1"

# part NAME FILE...: the bytes of the files, one after the other.
part() {
    name=$1
    shift
    for file; do
        [ -s "$file" ] || {
            echo "embed.sh: $file is missing or empty" >&2
            exit 1
        }
    done
    echo
    echo "const unsigned char status_page_${name}[] = {"
    cat "$@" | od -A n -v -t u1 | sed 's/[0-9][0-9]*/&,/g'
    echo '};'
    echo "const size_t status_page_${name}_length = sizeof(status_page_$name);"
}

echo '/* Made by embed.sh: change the files of src/control/status_page instead. */'
echo '/* clang-format off */'
echo '#include <config.h>'
echo
echo '#include "control/status_page_parts.h"'
part template page.html
part style page.css
part script figures.js chart.js tables.js details.js live.js
