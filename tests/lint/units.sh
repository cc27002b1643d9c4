#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The systemd units are free of mistakes, and the service is exposed to 1.6 at most, of 10.
set -eu

limit=16
cd "$(dirname "$0")/../.."
if [ -z "${ECHOD:-}" ]; then
    echo 'units.sh: ECHOD does not name a daemon to start'
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed -e "s|@sbindir@|$(dirname "$ECHOD")|" -e "s|@bindir@|$(dirname "$ECHOD")|" \
    -e 's|@sysconfdir@|/etc|' \
    systemd/echod.service.in >"$folder/echod.service"
cp systemd/echod.socket "$folder"
for unit in "$folder/echod.service" "$folder/echod.socket"; do
    # A complaint without a status is a complaint too.
    complaints=$(systemd-analyze verify --man=no --recursive-errors=one "$unit" 2>&1) || {
        echo "$complaints"
        exit 1
    }
    if [ -n "$complaints" ]; then
        echo "$complaints"
        exit 1
    fi
done
if ! systemd-analyze security --offline=true --no-pager --threshold=$limit "$folder/echod.service" \
    >"$folder/exposure"; then
    cat "$folder/exposure"
    exit 1
fi
echo "units.sh: 2 units, 0 complaints; $(tail -n 1 "$folder/exposure")"
