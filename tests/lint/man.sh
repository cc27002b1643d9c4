#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The manual pages are clean for mandoc, down to its warnings.
set -eu

cd "$(dirname "$0")/../.."
for page in man/*.[1-9]; do
    mandoc -T lint -W warning "$page"
    echo "man.sh: $page, 0 complaints"
done
