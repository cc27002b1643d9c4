# SPDX-License-Identifier: BSD-2-Clause
"""What echod has to show against its peers, and whether it did: see bench/README.md."""

import dataclasses
import statistics

MARGIN = 1.04    # a median up to that much above its bound is met
ENOUGH_ROUNDS = 15
BASELINE = "libuv"    # what echod is compared with in every workload that both take part in
MET, OPEN, FAILED, NOT_MEASURED = "met", "open", "FAILED", "not measured"


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median and quartiles of the figures of all rounds."""

    rounds: int
    first: float
    median: float
    third: float


def spread(values):
    """None when there is no value."""
    values = list(values)
    if not values:
        return None
    # one value has no quartiles of its own
    first, median, third = statistics.quantiles(values * 2 if len(values) == 1 else values, n=4,
                                                method="inclusive")
    return Spread(len(values), first, median, third)


def verdict(bound, seen):
    """The word for figures that ought to be at most the bound."""
    if seen is None:
        return NOT_MEASURED
    if seen.median <= bound * MARGIN:
        return MET
    return OPEN if seen.first <= bound <= seen.third else FAILED


@dataclasses.dataclass(frozen=True)
class Demand:
    """A figure of one (workload, server), or its ratio to that of another, has a bound."""

    what: str
    bound: float
    ours: tuple
    theirs: tuple = None
    field: str = "cpu_us"
    form: str = "{:.2f}"

    def values(self, figures):
        """One for each round that has all that it takes."""
        if self.field == "split":
            return _furthest_apart(figures.texts(*self.ours, "split"))
        if self.theirs is None:
            return figures.values(*self.ours, self.field)
        return figures.ratios(self.ours, self.theirs, self.field)

    @property
    def pairs(self):
        """The (workload, server) that have to be measured for it."""
        return {self.ours, self.theirs} - {None}


def _furthest_apart(splits):
    """Of the connections of each worker: the most less the least."""
    counts = [list(map(int, text.split("/"))) for text in splits]
    return [max(count) - min(count) for count in counts if len(count) == 2 and sum(count) > 0]


def _beside(what, workload, bounds):
    """CPU time of echod divided by that of peers, in the same rounds."""
    return [Demand(f"{what}, {peer}", bound, (workload, "echod"), (workload, peer))
            for peer, bound in bounds.items()]


DEMANDS = [
    *_beside("128 B x 50: CPU per message", "128x50", {"epoll": 1.05, "libuv": 1.00}),
    *_beside("4 KiB x 50: CPU per message", "4kx50", {"epoll": 1.02}),
    *_beside("16 KiB x 50: CPU per message", "16kx50", {"epoll": 1.02}),
    *_beside("64 B x 50 x 32: CPU per message", "pipelined", {"epoll": 1.08}),
    *_beside("64 KiB x 8 x 4: CPU per message", "64kx8", {"epoll": 0.80, "libuv": 0.90}),
    *_beside("1 MiB x 4 x 2: CPU per message", "1mx4", {"epoll": 0.40, "libuv": 0.50}),
    *_beside("churn: CPU per connection", "churn", {"epoll": 1.15}),
    Demand("15000 idle: bytes of memory for each", 1.4 * 1024, ("idle", "echod"),
           field="idle_bytes", form="{:.0f}"),
    Demand("15000 idle: CPU per message, without them", 1.05, ("idle", "echod"),
           ("128x50", "echod")),
    *_beside("mix: CPU per message", "mix", {"epoll": 1.05}),
    # the last probe or a scrape may still be on the books of one worker
    Demand("two workers: connections of each, furthest apart", 1, ("workers", "echod-2w"),
           field="split", form="{:.0f}"),
    Demand("two workers: CPU per message, one worker", 1.10, ("workers", "echod-2w"),
           ("workers", "echod")),
    *_beside("UDP, bursts of 16: CPU per datagram", "udp-burst", {"udp-plain": 0.85}),
    *_beside("UDP, 1 in flight: CPU per datagram", "udp-single", {"udp-plain": 1.10}),
]
# Peers that a run takes that measures for the verdicts alone.
PEERS = {BASELINE} | {demand.theirs[1] for demand in DEMANDS
                      if demand.theirs and not demand.theirs[1].startswith("echod")}


def needed(steps):
    """The (workload, server) of a plan that the verdicts and the comparison with libuv look at."""
    pairs = set().union(*(demand.pairs for demand in DEMANDS))
    for workload, servers in steps:
        if BASELINE in [server.name for server in servers]:
            pairs |= {(workload.name, "echod"), (workload.name, BASELINE)}
    return pairs


def judge(figures):
    """(demand, spread or None, verdict) of each."""
    result = []
    for demand in DEMANDS:
        seen = spread(demand.values(figures))
        result.append((demand, seen, verdict(demand.bound, seen)))
    return result


def standing(seen):
    """Whether echod costs less than the other, as far as the rounds agree."""
    if seen.third < 1:
        return "ahead"
    return "behind" if seen.first > 1 else "undecided"
