# SPDX-License-Identifier: BSD-2-Clause
"""bench/compare: what makes a verdict, and which servers a round takes. Nothing is measured."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

# pylint: disable=wrong-import-position
from lib import peers, report, rounds, verdicts, workloads
from lib.figures import Figures


def steps():
    servers = [peers.echod("echod")] + [server for server, _ in peers.own_peers("unused")]
    variants = [peers.echod("echod", workers) for workers in (1, 2)]
    return rounds.plan(workloads.WORKLOADS, servers, variants)


def names(taking_part):
    return [server.name for server in taking_part]


@pytest.mark.parametrize("values, word", [
    ([], "not measured"),
    ([1.04], "met"),
    ([0.5] * 8 + [9] * 7, "met"),
    ([1.05] * 15, "FAILED"),
    ([1] * 5 + [1.05] * 10, "open"),
    ([1] * 4 + [1.05] * 11, "FAILED"),
])
def test_verdict_by_median_and_quartiles(values, word):
    assert verdicts.verdict(1, verdicts.spread(values)) == word


def test_ratios_are_made_within_a_round():
    samples = [rounds.Sample(number, "churn", server, cpu_us=factor * number)
               for number in range(1, 16) for server, factor in (("echod", 1.1), ("epoll", 1))]
    samples[0].error = "lost a byte"
    judged = {demand.what: (seen, word)
              for demand, seen, word in verdicts.judge(Figures(samples))}
    seen, word = judged["churn: CPU per connection, epoll"]
    assert (seen.rounds, word) == (14, "met")
    assert seen.first == seen.median == seen.third == pytest.approx(1.1)
    assert "With fewer than 15" in "\n".join(report.verdict_table(verdicts.judge(Figures(samples))))


def test_demands_name_what_takes_part():
    there = {(workload.name, server.name) for workload, taking_part in steps()
             for server in taking_part}
    needed = verdicts.needed(steps())
    assert needed <= there
    assert {server for _, server in needed} == verdicts.PEERS | {"echod", "echod-2w"}


def test_rounds_take_what_is_needed_each_time_and_the_rest_one_time_of_three():
    whole = steps()
    needed = verdicts.needed(whole)
    narrow = rounds.narrowed(whole, needed)
    planned = rounds.schedule(whole, 15, needed)
    assert planned[0][1][0].name == "128x50"
    for number, (round_steps, narrow_steps) in enumerate(
            zip(planned, rounds.schedule(narrow, 15, needed)), 1):
        short = [(workload, taking_part) for workload, taking_part in round_steps if taking_part]
        if number % 3 == 1:
            assert [sorted(names(taking_part)) for _, taking_part in short] == [
                sorted(names(taking_part)) for _, taking_part in whole]
        else:
            assert short == narrow_steps
    first = [names(round_steps[1][1])[0] for round_steps in planned]
    assert sorted(first) == ["echod"] * 5 + ["epoll"] * 5 + ["libuv"] * 5
