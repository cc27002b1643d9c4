#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Print the version, without a newline: of a tarball what it says itself, of a clone what git says,
# which is the last release (a tag vX.Y.Z) with the number of commits since and the last of them.
# configure.ac calls it when configure is made.
set -eu
cd "$(dirname "$0")"

released=0.1.0

if [ -e .tarball-version ]; then
    version=$(cat .tarball-version)
elif version=$(git describe --tags --match 'v[0-9]*' 2>/dev/null); then
    version=$(printf '%s' "${version#v}" | sed 's/-\([0-9]*\)-/+\1./')
elif commit=$(git rev-parse --short=7 HEAD 2>/dev/null); then
    # before the first release there is no tag to count from
    version=$released+0.g$commit
else
    version=$released
fi
printf '%s' "$version"
