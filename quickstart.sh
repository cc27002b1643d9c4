#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: ./quickstart.sh run [ARGUMENT...]   build echod and start it in the foreground
#        ./quickstart.sh check               build echod and run all tests
#
# For Debian 12. Missing packages are installed, which needs root; everything else happens in
# build/. Both commands can be run again and then do only what is left to do. "run" hands ARGUMENTs
# on to the daemon; "check" ends with the line "N passed, N failed".
set -euo pipefail
shopt -s inherit_errexit

# What a build needs, and what the tests need beyond that. No package here starts a service.
run_packages=(
    autoconf automake gcc libc6-dev make pkgconf
    libconfig-dev libcurl4-openssl-dev libevent-dev libjansson-dev libsmartcols-dev libsystemd-dev
    zlib1g-dev
)
check_packages=(
    "${run_packages[@]}"
    check                                   # unit tests
    curl iproute2 netcat-openbsd python3 python3-jsonschema python3-pytest python3-pytest-xdist strace # functional tests
    systemd                                 # the same, and lints
    liblua5.3-0 libopentracing-c-wrapper0   # libraries of haproxy, which is unpacked below
    chromium chromium-driver                # browser tests
    clang-format mandoc shellcheck          # lints, which want python3 too
    clang libclang-rt-dev                   # fuzz targets
)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$root/build

usage() {
    sed -n '4,5s/^# //p' "${BASH_SOURCE[0]}"
}

say() {
    printf '==> %s\n' "$*"
}

die() {
    printf 'quickstart.sh: %s\n' "$*" >&2
    exit 1
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# Print those of the packages that are not installed.
missing_packages() {
    local package
    for package; do
        if ! dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
            echo "$package"
        fi
    done
}

need_packages() {
    local missing
    if [[ ! -e /etc/debian_version ]] || ! command -v dpkg-query >/dev/null; then
        die "this is not Debian. On Debian 12 the packages would be: $*
Install what corresponds to them, then: autoreconf -fi && ./configure && make && make check"
    fi
    mapfile -t missing < <(missing_packages "$@")
    if ((${#missing[@]} == 0)); then
        say "all packages are installed"
        return
    fi
    if ((EUID != 0)); then
        die "not root, so these packages cannot be installed: ${missing[*]}
As root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing packages: ${missing[*]}"
    apt update
    apt install -y --no-install-recommends "${missing[@]}"
    mapfile -t missing < <(missing_packages "${missing[@]}")
    ((${#missing[@]} == 0)) || die "still not installed: ${missing[*]}"
}

# Configure again only where something that configure looks at has changed.
configure_and_make() {
    local stamp=$build/.quickstart wanted
    wanted=$(
        cd "$root"
        echo "$root $*"
        cat configure.ac Makefile.am m4/*.m4 | sha256sum
        pkg-config --modversion libevent_core libconfig jansson zlib libcurl smartcols libsystemd
        for argument; do
            case $argument in --with-check=yes) pkg-config --modversion check ;; esac
        done
    )
    [[ ! -e $root/config.status ]] ||
        die "this tree was configured in place, which rules out another folder: run make distclean first"
    mkdir -p "$build"
    if [[ -e $build/Makefile && -e $stamp && $(<"$stamp") == "$wanted" ]]; then
        say "build/ is configured"
    else
        say "configuring in build/"
        rm -f "$stamp"
        (cd "$root" && autoreconf -fi)
        (cd "$build" && ../configure --silent PYTHON=/usr/bin/python3 "$@")
        # objects do not depend on the flags that configure found
        make -C "$build" --no-print-directory -s clean
        printf '%s\n' "$wanted" >"$stamp"
    fi
    say "building with $(nproc) jobs"
    make -C "$build" --no-print-directory -j"$(nproc)"
}

# Unpack PROGRAM... of Debian's PACKAGE, which starts a service where it is installed: nothing is.
unpack() {
    local package=$1 tools=$build/tools program absent=
    shift
    for program; do
        [[ -x $tools/$program ]] || absent=$program
    done
    [[ $absent ]] || return 0
    say "unpacking Debian's $package in build/tools, without installing it"
    mkdir -p "$tools"
    (
        cd "$tools"
        rm -f "$package"_*.deb
        # a fresh machine, or one with cleaned lists, knows no packages yet
        apt -o APT::Sandbox::User=root download "$package" 2>/dev/null ||
            { ((EUID == 0)) && apt update && apt -o APT::Sandbox::User=root download "$package"; }
        # only these programs, and under their own names last, so that a torn one is never used
        dpkg-deb --fsys-tarfile "$package"_*.deb |
            tar -x --transform 's,$,.part,' "${@/#/./}"
        for program; do
            mv "$program.part" "$program"
        done
        rm -f "$package"_*.deb
    ) || die "cannot download the package $package; as root: apt-get update"
}

# The judges of /metrics, and a balancer to restart daemons behind.
need_tools() {
    export PROMTOOL=$build/tools/usr/bin/promtool PROMETHEUS=$build/tools/usr/bin/prometheus
    export HAPROXY=$build/tools/usr/sbin/haproxy
    unpack prometheus usr/bin/promtool usr/bin/prometheus
    unpack haproxy usr/sbin/haproxy
}

run() {
    local configuration=(--with-systemd=yes)
    if grep -q -s -e --with-check=yes "$build/.quickstart"; then
        configuration+=(--with-check=yes)    # what "check" left is good for this as well
    fi
    need_packages "${run_packages[@]}"
    configure_and_make "${configuration[@]}"
    if (($# == 0)); then
        say "echod will serve: echo on tcp 127.0.0.1:7007 and [::1]:7007, control on http://127.0.0.1:9862"
        say "try in another terminal: $build/echoping -n 3 127.0.0.1:7007; $build/echoctl status; Ctrl-C here ends it"
    else
        say "starting echod $*; its log says where it serves"
    fi
    exec "$build/echod" "$@"
}

check() {
    need_packages "${check_packages[@]}"
    configure_and_make --with-systemd=yes --with-check=yes
    need_tools
    say "running unit tests, functional tests, browser tests and lints"
    exec /usr/bin/python3 "$root/tests/run" ${TOTALS:+--totals "$TOTALS"} "$build" unit functional browser lint
}

case ${1-} in
run)
    shift
    run "$@"
    ;;
check)
    (($# == 1)) || die "check takes no arguments"
    check
    ;;
-h | --help)
    usage
    ;;
*)
    usage >&2
    exit 64
    ;;
esac
