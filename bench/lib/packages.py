# SPDX-License-Identifier: BSD-2-Clause
"""Debian packages of the peers: what to install, and what only to unpack.

Compilers and libraries are installed, which needs root. Packages that would start or configure a
service are downloaded and unpacked in a folder of the build instead, and run from there.
"""

import os
import pathlib
import shutil
import subprocess

INSTALL = ["gcc", "gnuplot-nox", "golang-go", "libevent-dev", "liburing-dev", "libuv1-dev", "make"]
# The libraries beside a tool are those that a small Debian lacks; the ones it has are left out.
UNPACK = {
    "ncat": ["ncat", "liblua5.3-0", "libpcap0.8"],
    "socat": ["socat", "libwrap0"],
    "xinetd": ["xinetd", "libtirpc-common", "libtirpc3", "libwrap0"],
}
APT_SECONDS = 600


def installed(package):
    result = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                            capture_output=True, text=True, check=False)
    return result.returncode == 0 and result.stdout.strip() == "installed"


def version(package):
    """The version of an installed package, or an empty string."""
    result = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                            capture_output=True, text=True, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""


def _apt(arguments, folder=None):
    """Run apt-get; return None, or the last line of what it complained about."""
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    try:
        result = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root"] + arguments,
                                cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False, timeout=APT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return None
    return (result.stderr.strip() or result.stdout.strip() or "failed").splitlines()[-1]


def install_missing(say):
    """Install what the peers and charts are built with; what fails shows when a peer is built."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-query") is None:
        say("no apt here: only what is installed already is used")
        return
    missing = [package for package in INSTALL if not installed(package)]
    if not missing:
        return
    if os.geteuid() != 0:
        say(f"not root: cannot install {' '.join(missing)}")
        return
    say(f"installing {' '.join(missing)}")
    failure = _apt(["update"])
    # one by one, so that one that is not to be had does not keep the others out
    for package in missing:
        failure = _apt(["install", "-y", "--no-install-recommends", package])
        if failure:
            say(f"cannot install {package}: {failure}")


class Tools:
    """Programs unpacked under a folder: never installed, so that nothing of theirs starts."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.debs = self.root / "packages"

    def environment(self):
        """What a program from here needs in its environment."""
        paths = sorted(str(path) for path in self.root.glob("*/lib/*-linux-gnu"))
        paths += sorted(str(path) for path in self.root.glob("lib/*-linux-gnu"))
        return {"LD_LIBRARY_PATH": ":".join(paths)} if paths else {}

    def _find(self, name):
        for folder in ("usr/bin", "usr/sbin", "bin", "sbin"):
            # socat may be a link to one of several of its versions
            path = self.root / folder / name
            if path.exists():
                return str(path)
        return None

    def provide(self, name, may_download):
        """Return (path of the program, None), or (None, why there is none)."""
        path = self._find(name)
        if path is None and may_download:
            failure = self._unpack(name)
            if failure:
                return None, failure
            path = self._find(name)
        if path is None:
            return None, "not unpacked"
        result = subprocess.run(["ldd", path], env=dict(os.environ, **self.environment()),
                                capture_output=True, text=True, check=False)
        lacking = [line.split()[0] for line in result.stdout.splitlines() if "not found" in line]
        if lacking:
            return None, f"lacks {' '.join(lacking)}"
        return path, None

    def _unpack(self, name):
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            return "no apt here"
        self.debs.mkdir(parents=True, exist_ok=True)
        for package in UNPACK[name]:
            if package != name and installed(package):
                continue
            failure = _apt(["download", package], folder=self.debs)
            if failure:
                return f"cannot download {package}: {failure}"
            for deb in sorted(self.debs.glob(f"{package}_*.deb")):
                subprocess.run(["dpkg-deb", "-x", str(deb), str(self.root)], check=True)
        return None
