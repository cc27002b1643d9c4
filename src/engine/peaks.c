/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/peaks.h"

#include "base/clock.h"

void
peaks_sample(struct peaks *peaks, const uint64_t counts[PEAK_RATE_COUNT], int64_t interval_ns)
{
	for (int i = 0; i < PEAK_RATE_COUNT; i++) {
		double rate = (double)(counts[i] - peaks->counts[i]) / clock_seconds(interval_ns);

		if (rate > (double)peaks->rates[i])
			peaks->rates[i] = (uint64_t)(rate + 0.5);
		peaks->counts[i] = counts[i];
	}
}
