# SPDX-License-Identifier: BSD-2-Clause
"""What echod has to show against its peers, and whether it did."""

import dataclasses
import statistics


@dataclasses.dataclass
class Verdict:
    """One demand, what was measured, and the least and greatest of the rounds."""

    what: str
    bound: str
    measured: str
    spread: str
    met: bool = None    # None: not measured

    @property
    def word(self):
        return {None: "not measured", True: "met", False: "NOT MET"}[self.met]


def _judge(what, bound, values, at_most, text="{:.2f}"):
    """At most the bound, or at least it."""
    sign = "<=" if at_most else ">="
    demand = f"{sign} {text.format(bound)}"
    if not values:
        return Verdict(what, demand, "-", "-")
    middle = statistics.median(values)
    return Verdict(what, demand, text.format(middle),
                   f"{text.format(min(values))} - {text.format(max(values))}",
                   middle <= bound if at_most else middle >= bound)


def _against(figures, workload, peer, field):
    return figures.ratios((workload, "echod"), (workload, peer), field)


def _against_best_copying(figures, workload, servers, what, bound):
    """Against the peer with the greatest throughput among those that do not splice."""
    rates = {server.name: figures.median(workload, server.name, "per_second")
             for server in servers if server.copies}
    rates = {name: rate for name, rate in rates.items() if rate is not None}
    best = max(rates, key=rates.get, default=None)
    values = _against(figures, workload, best, "per_second") if best else []
    return _judge(f"{what}, best copying peer ({best or 'none'})", bound, values, False)


def _even_split(figures):
    what = "two workers: connections of each, furthest apart"
    splits = [list(map(int, text.split("/")))
              for text in figures.texts("workers", "echod-2w", "split")]
    apart = [max(split) - min(split) for split in splits if len(split) == 2 and sum(split) > 0]
    # the last probe or a scrape may still be on the books of one worker
    return _judge(what, 1, apart, True, "{:.0f}")


def judge(figures, servers):
    cpu, rate = "cpu_us", "per_second"
    small = "128 B x 50: CPU per message"
    churn = "churn: CPU per connection"
    burst = "UDP, bursts of 16: CPU per datagram"
    single = "UDP, 1 in flight: CPU per datagram"
    return [
        _judge(f"{small}, bufferevent", 0.80, _against(figures, "128x50", "bufferevent", cpu),
               True),
        _judge(f"{small}, go", 1.0, _against(figures, "128x50", "go", cpu), True),
        _judge(f"{small}, libuv", 1.05, _against(figures, "128x50", "libuv", cpu), True),
        _judge(f"{small}, epoll", 1.2, _against(figures, "128x50", "epoll", cpu), True),
        _judge("128 B x 50: p99, libuv", 1.10, _against(figures, "128x50", "libuv", "p99_us"),
               True),
        _against_best_copying(figures, "64kx8", servers, "64 KiB x 8: throughput", 1.6),
        _judge("64 KiB x 8: throughput, bufferevent", 7.0,
               _against(figures, "64kx8", "bufferevent", rate), False),
        _against_best_copying(figures, "1mx4", servers, "1 MiB x 4: throughput", 1.3),
        _judge(f"{churn}, epoll", 1.15, _against(figures, "churn", "epoll", cpu), True),
        _judge(f"{churn}, go", 0.8, _against(figures, "churn", "go", cpu), True),
        _judge("15000 idle: bytes of memory for each", 1.4 * 1024,
               figures.values("idle", "echod", "idle_bytes"), True, "{:.0f}"),
        _judge("15000 idle: CPU per message, without them", 1.05,
               figures.ratios(("idle", "echod"), ("128x50", "echod"), cpu), True),
        _even_split(figures),
        _judge("two workers: CPU per message, one worker", 1.10,
               figures.ratios(("workers", "echod-2w"), ("workers", "echod"), cpu), True),
        _judge(f"{burst}, udp-plain", 0.8, _against(figures, "udp-burst", "udp-plain", cpu), True),
        _judge(f"{burst}, udp-go", 0.6, _against(figures, "udp-burst", "udp-go", cpu), True),
        _judge(f"{single}, udp-plain", 1.1, _against(figures, "udp-single", "udp-plain", cpu),
               True),
        _judge(f"{single}, udp-go", 0.6, _against(figures, "udp-single", "udp-go", cpu), True),
    ]
