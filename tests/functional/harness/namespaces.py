# SPDX-License-Identifier: BSD-2-Clause
"""Networks of a test's own. Descriptors hold them, so nothing of them outlives the tests."""

import contextlib
import ctypes
import os
import pathlib
import subprocess

from .needs import lacking, need
from .pace import seconds

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(function, *arguments):
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {os.strerror(number)}")


@contextlib.contextmanager
def _back_home():
    """Return this thread to the network it is in."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _call(_LIBC.setns, home, _CLONE_NEWNET)
        os.close(home)


class Namespace:
    """A network with a loopback and what join() adds. Needs root, nsenter and ip."""

    def __init__(self):
        with _back_home():
            _call(_LIBC.unshare, _CLONE_NEWNET)
            self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.path = f"/proc/{os.getpid()}/fd/{self.descriptor}"
        self.prefix = ["nsenter", f"--net={self.path}"]
        # Answers and forged questions are to get as far as the daemon.
        for group in ("all", "default"):
            self.write(f"ipv4/conf/{group}/rp_filter", 0)
        self.ip("link", "set", "lo", "up")

    def close(self):
        os.close(self.descriptor)

    @contextlib.contextmanager
    def entered(self):
        """What this thread opens in here stays in the namespace for good."""
        with _back_home():
            _call(_LIBC.setns, self.descriptor, _CLONE_NEWNET)
            yield

    def run(self, *command):
        """Run a command inside; what it has to complain about becomes an OSError."""
        result = subprocess.run(
            [*self.prefix, *map(str, command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds(10),
            check=False,
        )
        if result.returncode != 0:
            raise OSError(f"{' '.join(map(str, command))}: {result.stderr.strip()}")

    def ip(self, *arguments):
        self.run("ip", *arguments)

    def write(self, name, value):
        """Set /proc/sys/net/NAME."""
        with self.entered():
            pathlib.Path("/proc/sys/net", name).write_text(str(value))

    def add_addresses(self, device, *addresses):
        """Addresses with their prefix lengths, usable at once."""
        for address in addresses:
            at_once = ["nodad"] if ":" in address else []
            self.ip("address", "add", address, "dev", device, *at_once)

    def udp_counts(self):
        """The kernel's counters of UDP over IPv4 and IPv6."""
        with self.entered():
            four = pathlib.Path("/proc/thread-self/net/snmp").read_text()
            six = pathlib.Path("/proc/thread-self/net/snmp6").read_text()
        names, numbers = (line.split() for line in four.splitlines() if line.startswith("Udp:"))
        result = {"Udp" + name: int(number) for name, number in zip(names[1:], numbers[1:])}
        for line in six.splitlines():
            name, number = line.split()
            if name.startswith("Udp6"):
                result[name] = int(number)
        return result


@contextlib.contextmanager
def own_network():
    """A namespace for the length of the with block, where tools and kernel have such."""
    need("ip", "nsenter")
    try:
        namespace = Namespace()
    except OSError as error:
        lacking(f"networks of its own: {error}")
    with contextlib.closing(namespace):
        yield namespace


def join(one, two, device="veth0", peer="veth0"):
    """Connect two namespaces by a pair of devices, which have no addresses yet."""
    one.ip("link", "add", device, "type", "veth", "peer", "name", peer, "netns", two.path)
    for namespace, name in ((one, device), (two, peer)):
        namespace.ip("link", "set", name, "addrgenmode", "none", "up")


@contextlib.contextmanager
def wired():
    """The client's network (10.77.0.1, fd77::1) and the server's (.2, ::2), joined by veth0."""
    with own_network() as client, own_network() as server:
        join(client, server)
        client.add_addresses("veth0", "10.77.0.1/24", "fd77::1/64")
        server.add_addresses("veth0", "10.77.0.2/24", "fd77::2/64")
        yield client, server
