# SPDX-License-Identifier: BSD-2-Clause
"""Medians of samples, and ratios of two servers that were measured side by side."""

import statistics


class Figures:
    """The samples of a run, by workload, server and round."""

    def __init__(self, samples):
        self.samples = {}
        for sample in samples:
            key = (sample.workload, sample.server)
            self.samples.setdefault(key, {})[sample.round] = sample

    def _by_round(self, workload, server, field):
        rounds = self.samples.get((workload, server), {})
        values = {number: getattr(sample, field) for number, sample in rounds.items()
                  if not sample.error}
        return {number: value for number, value in values.items() if value is not None}

    def values(self, workload, server, field):
        """The figure of each round that has it."""
        return list(self._by_round(workload, server, field).values())

    def errors(self, workload, server):
        rounds = self.samples.get((workload, server), {})
        return [sample.error for sample in rounds.values() if sample.error]

    def median(self, workload, server, field):
        """The median over the rounds, or None when nothing was measured."""
        values = self._by_round(workload, server, field)
        return statistics.median(values.values()) if values else None

    def ratios(self, first, second, field):
        """The ratio of two (workload, server) in each round that has both, sorted."""
        ours, theirs = self._by_round(*first, field), self._by_round(*second, field)
        return sorted(ours[number] / theirs[number] for number in ours.keys() & theirs.keys()
                      if theirs[number])

    def ratio(self, first, second, field):
        """The median of the ratios of each round: drift from round to round cancels out."""
        ratios = self.ratios(first, second, field)
        return statistics.median(ratios) if ratios else None

    def texts(self, workload, server, field):
        rounds = self.samples.get((workload, server), {})
        return [getattr(sample, field) for sample in rounds.values() if getattr(sample, field)]

    def all(self, field):
        values = [getattr(sample, field) for rounds in self.samples.values()
                  for sample in rounds.values()]
        return [value for value in values if value is not None]
