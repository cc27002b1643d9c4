# SPDX-License-Identifier: BSD-2-Clause
"""What the servers are put through."""

import dataclasses

from .peers import BULK, CHURN, IDLE, MIX, ONE, SMALL, UDP

KIB = 1024
MIB = 1024 * KIB


@dataclasses.dataclass(frozen=True)
class Load:
    """One run of the generator."""

    connections: int
    size: int
    pipeline: int = 1
    churn: bool = False
    burst: bool = False    # the pipeline at once, and again when all of it came back
    rate: int = 0    # messages a second; 0: as fast as they come back
    sample: int = 1    # one message of so many is verified whole


@dataclasses.dataclass(frozen=True)
class Workload:
    """Loads that run at the same time, and who takes part."""

    name: str
    title: str
    loads: tuple
    kind: str
    idle: int = 0    # connections that are open besides, and quiet
    workers: tuple = ()    # instead of the peers: echod with these numbers of workers
    quick: bool = False    # part of --quick
    loss_most: float = 0.0    # share of the messages that a server may lose

    @property
    def connections(self):
        return sum(load.connections for load in self.loads)

    @property
    def unit(self):
        """What throughput and CPU time are counted per."""
        return {CHURN: "connection", UDP: "datagram"}.get(self.kind, "message")

    @property
    def transport(self):
        return "udp" if self.kind == UDP else "tcp"

    def takes(self, server):
        return self.kind in server.kinds and self.connections <= server.most_connections


def _small(size, connections, quick=False):
    label = f"{size // KIB}k" if size >= KIB else str(size)
    words = f"{size // KIB} KiB" if size >= KIB else f"{size} B"
    return Workload(f"{label}x{connections}",
                    f"{words}, {connections} connection{'s' if connections > 1 else ''}",
                    (Load(connections, size),), ONE if connections == 1 else SMALL, quick=quick)


# Bulk data: looking at every byte would cost the generator more than echoing costs the server.
BULK_SAMPLE = 16

# A socket's buffer of the usual size does not hold all that is in flight with 16 datagrams on each
# socket: what does not find room is lost. The generator gives it up after a second, and a burst
# waits for that.
UDP_LOSS_MOST = 0.01

MIX_SIZES = (64, 256, KIB, 4 * KIB, 16 * KIB)

WORKLOADS = [
    _small(128, 1),
    _small(128, 50, quick=True),
    _small(128, 500),
    _small(KIB, 1),
    _small(KIB, 50),
    _small(KIB, 500),
    _small(4 * KIB, 50),
    _small(16 * KIB, 50),
    Workload("64kx8", "64 KiB, 8 connections, 4 in flight",
             (Load(8, 64 * KIB, 4, sample=BULK_SAMPLE),), BULK, quick=True),
    Workload("1mx4", "1 MiB, 4 connections, 2 in flight",
             (Load(4, MIB, 2, sample=BULK_SAMPLE),), BULK, quick=True),
    Workload("pipelined", "64 B, 50 connections, 32 in flight", (Load(50, 64, 32),), SMALL),
    Workload("churn", "connect, 64 B, close; 50 at a time", (Load(50, 64, churn=True),), CHURN,
             quick=True),
    Workload("idle", "128 B, 50 connections beside 15000 idle ones", (Load(50, 128),), IDLE,
             idle=15000),
    Workload("mix", "64 B to 16 KiB: 5 sizes, 10 connections and 4000 messages/s for each",
             tuple(Load(10, size, rate=4000) for size in MIX_SIZES), MIX),
    Workload("workers", "128 B, 50 connections, 30000 messages/s, echod with 1 and 2 workers",
             (Load(50, 128, rate=30000),), SMALL, workers=(1, 2), quick=True),
    Workload("udp-burst", "UDP, 64 B, 16 sockets, bursts of 16 on each",
             (Load(16, 64, 16, burst=True),), UDP, loss_most=UDP_LOSS_MOST),
    Workload("udp-window", "UDP, 64 B, 16 sockets, 16 in flight on each", (Load(16, 64, 16),), UDP,
             loss_most=UDP_LOSS_MOST),
    Workload("udp-single", "UDP, 64 B, 16 sockets, 1 in flight on each", (Load(16, 64),), UDP,
             loss_most=UDP_LOSS_MOST),
]
BY_NAME = {workload.name: workload for workload in WORKLOADS}
# Where this one runs, that one has to run as well: the one is judged by comparison with the other.
BASIS = {"idle": "128x50"}


def chosen(names, quick):
    """The workloads of these names, or of the form of the run, in the order of the list."""
    if names:
        wanted = set(names)
    else:
        wanted = {workload.name for workload in WORKLOADS if workload.quick or not quick}
    wanted |= {BASIS[name] for name in wanted if name in BASIS}
    return [workload for workload in WORKLOADS if workload.name in wanted]
