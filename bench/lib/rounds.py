# SPDX-License-Identifier: BSD-2-Clause
"""The interleaved rounds: each workload against each server in turn, again and again."""

import csv
import dataclasses
import json
import os
import resource
import time
import urllib.error
import urllib.request

from . import generator
from .processes import Failure, Running

SPARE_DESCRIPTORS = 200
SELDOM = 3    # what no verdict needs takes part in one round of so many


@dataclasses.dataclass
class Sample:
    """One server under one workload in one round; figures are None where they are not known."""

    round: int
    workload: str
    server: str
    messages: int = 0
    lost: float = None    # share of the messages that were sent
    seconds: float = 0.0
    per_second: float = None
    mb_per_second: float = None
    cpu_us: float = None    # of the server, per message
    p50_us: float = None
    p99_us: float = None
    rss_kib: int = None
    idle_bytes: float = None    # of the server's memory, per idle connection
    server_busy: float = None    # share of a CPU
    generator_busy: float = None
    others_busy: float = None    # what neither of them used, of all CPUs
    split: str = ""    # connections of each of echod's workers
    error: str = ""


FIELDS = [field.name for field in dataclasses.fields(Sample)]


def _machine_busy_seconds():
    """CPU time used by anything, and by the host where it tells, since boot, on all CPUs."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def _children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _worker_split(port):
    """The connections of each worker, from the daemon's control port."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=2) as reply:
            workers = json.load(reply)["workers"]
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        return ""
    return "/".join(str(worker["connections"]) for worker in workers)


def _short_of_descriptors(workload):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return workload.idle + workload.connections + SPARE_DESCRIPTORS > limit


class Bench:
    """Everything that stays the same over the rounds."""

    def __init__(self, echoping, folder, server_cpus, generator_cpus, seconds):
        self.echoping = echoping
        self.folder = folder
        self.server_cpus = server_cpus
        self.generator_cpus = generator_cpus
        self.seconds = seconds

    def _cpus(self, workload):
        """One CPU for a server; for several workers all that the generator can spare, or all."""
        if not workload.workers:
            return self.server_cpus[:1]
        return self.server_cpus[:max(workload.workers)]

    def measure(self, number, workload, server):
        """Start the server, load it, end it."""
        sample = Sample(number, workload.name, server.name)
        if _short_of_descriptors(workload):
            sample.error = "not enough descriptors (ulimit -Hn)"
            return sample
        try:
            with Running(server, workload.transport, self._cpus(workload),
                         self.folder) as running:
                self._load(sample, workload, running)
        except Failure as failure:
            sample.error = str(failure)
        except OSError as error:
            sample.error = f"{server.name}: {error}"
        return sample

    def _load(self, sample, workload, running):
        bare_kib = running.rss_kib()
        with generator.idle_connections(self.generator_cpus, running.port, workload.idle):
            if workload.idle:
                sample.idle_bytes = (running.rss_kib() - bare_kib) * 1024 / workload.idle
            sizes, splits = [], []

            def during():
                sizes.append(running.rss_kib())
                if workload.workers:
                    splits.append(_worker_split(running.server.control_port))

            machine, children = _machine_busy_seconds(), _children_seconds()
            began, before = time.monotonic(), running.cpu_ns()
            outcome = generator.run(self.echoping, self.generator_cpus, running.port, workload,
                                    self.seconds, during)
            after, elapsed = running.cpu_ns(settle=True), time.monotonic() - began
            generator_seconds = _children_seconds() - children
            machine = _machine_busy_seconds() - machine
            if not running.alive():
                raise Failure(f"{running.server.name} ended during the load")
        self._fill(sample, outcome, sizes, splits)
        used = 0.0
        if before is not None and after is not None and outcome.messages:
            used = (after - before) / 1e9
            sample.cpu_us = used * 1e6 / outcome.messages
            sample.server_busy = used / outcome.seconds
            others = machine - used - generator_seconds
            sample.others_busy = max(0.0, others) / elapsed / os.cpu_count()
        sample.generator_busy = generator_seconds / outcome.seconds

    @staticmethod
    def _fill(sample, outcome, sizes, splits):
        sample.messages, sample.seconds = outcome.messages, outcome.seconds
        sample.lost = outcome.lost / (outcome.messages + outcome.lost)
        sample.per_second = outcome.messages / outcome.seconds
        sample.mb_per_second = outcome.payload_bytes / outcome.seconds / 1e6
        sample.p50_us, sample.p99_us = outcome.p50_us, outcome.p99_us
        sample.rss_kib = max(sizes, default=None)
        # the connections of the first and the last moment may be still coming or already going
        sample.split = max((split for split in splits if split), default="",
                           key=lambda split: sum(map(int, split.split("/"))))


def plan(workloads, servers, variants):
    """(workload, servers that take part) in the order of a round."""
    result = []
    for workload in workloads:
        if workload.workers:
            result.append((workload, variants))
        else:
            result.append((workload, [server for server in servers if workload.takes(server)]))
    return result


def narrowed(steps, needed):
    """Those of a plan that are needed, as (workload, server) by name."""
    narrow = [(workload, [server for server in servers if (workload.name, server.name) in needed])
              for workload, servers in steps]
    return [(workload, servers) for workload, servers in narrow if servers]


def _turned(servers, turn):
    """Begin each time with another server, so that none is always the one after another."""
    shift = turn % len(servers) if servers else 0
    return servers[shift:] + servers[:shift]


def in_round(number, workload, servers, often):
    """The servers of a round in their order; those not in often are in every third round alone.

    Those in often stand together and take turns among themselves: all rounds are alike for them.
    """
    if often is None:
        return _turned(servers, number - 1)
    first = [server for server in servers if (workload.name, server.name) in often]
    if (number - 1) % SELDOM:
        return _turned(first, number - 1)
    rest = [server for server in servers if server not in first]
    return _turned(first, number - 1) + _turned(rest, (number - 1) // SELDOM)


def schedule(steps, rounds, often):
    """All rounds, each a list of (workload, servers in their order)."""
    return [[(workload, in_round(number, workload, servers, often)) for workload, servers in steps]
            for number in range(1, rounds + 1)]


def run(bench, planned, csv_file, say):
    """Return all samples; each is in the CSV file as soon as it is made."""
    samples = []
    writer = csv.DictWriter(csv_file, FIELDS, lineterminator="\n") if csv_file else None
    if writer:
        writer.writeheader()
    for number, steps in enumerate(planned, 1):
        for workload, servers in steps:
            began = time.monotonic()
            for server in servers:
                sample = bench.measure(number, workload, server)
                samples.append(sample)
                if sample.error:
                    say(f"round {number}, {workload.name}, {server.name}: {sample.error}")
                if writer:
                    writer.writerow(dataclasses.asdict(sample))
                    csv_file.flush()
            if servers:
                say(f"round {number} of {len(planned)}: {workload.name}, {len(servers)} servers, "
                    f"{time.monotonic() - began:.1f} s")
    return samples
