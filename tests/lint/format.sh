#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each .c and .h is what clang-format makes of it.
set -eu

cd "$(dirname "$0")/../.."
count=$(find src tests -name '*.[ch]' | wc -l)
if [ "$count" -eq 0 ]; then
    echo 'format.sh: found no sources to check'
    exit 1
fi
find src tests -name '*.[ch]' -exec clang-format --dry-run -Werror --ferror-limit=3 {} +
echo "format.sh: $count files, 0 complaints"
