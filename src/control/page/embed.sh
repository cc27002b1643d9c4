#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: embed.sh FOLDER
# Print the status page that the files in FOLDER make up, and its policy, as C for page.h.
set -eu

cd "$1"
style=page.css
scripts='figures.js chart.js trail.js connections.js live.js'

for file in page.html $style $scripts; do
    [ -s "$file" ] || {
        echo "embed.sh: $file is missing or empty" >&2
        exit 1
    }
done

# The template, with the files in place of the lines that stand for them.
document() {
    while IFS= read -r line; do
        case $line in
        '{{style}}') cat $style ;;
        '{{script}}') cat $scripts ;;
        *) printf '%s\n' "$line" ;;
        esac
    done <page.html
}

# digest FILE...: what a policy calls an element that holds the files from its second line on.
digest() {
    { echo && cat "$@"; } | sha256sum | cut -c 1-64 | tr a-f A-F | basenc -d --base16 | base64 |
        sed 's/^/sha256-/'
}

style_digest=$(digest $style)
script_digest=$(digest $scripts)
[ -n "$style_digest" ] && [ -n "$script_digest" ] || {
    echo "embed.sh: sha256sum and basenc gave no digest" >&2
    exit 1
}

cat <<END
/* Made by embed.sh: change the other files of src/control/page instead. */
/* clang-format off */
#include <config.h>

#include "control/page/page.h"

const char page_policy[] =
    "default-src 'none'; "
    "script-src '$script_digest'; "
    "style-src '$style_digest'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";
const unsigned char page_document[] = {
END
document | od -A n -v -t u1 | sed 's/[0-9][0-9]*/&,/g'
echo '};'
echo 'const size_t page_document_length = sizeof(page_document);'
