// What the charts show: a sample for each answer of /stats, and before them those of /history.
// Times are the daemon's uptime in seconds: its clock, whenever an answer arrives.

const RECENT = 300;
const HOUR = 3600;
const MOST_PAST = 360;
// What is drawn, by its key in /history.
const RATES = {
	in: "received_bytes",
	out: "sent_bytes",
	echoed: "datagrams_sent",
	dropped: "datagrams_dropped",
};

class Trail {
	constructor() {
		this.clear();
	}

	clear() {
		this.samples = [];	// our own, of the last five minutes
		this.past = [];	// the daemon's
		this.hole = 0;	// until when there is no sample of our own
		this.reached = -1;	// until when the daemon's were asked for
	}

	// Whether the daemon may remember what is missing.
	get incomplete() {
		return this.reached < this.hole;
	}

	get latest() {
		return this.samples.at(-1);
	}

	// Take an answer of /stats that followed BEFORE (null: the first).
	add({ process, totals }, before) {
		const time = process.uptime_seconds;
		const passed = time - before?.process.uptime_seconds;
		const sample = { time, span: 0, open: totals.connections };
		for (const [name, key] of Object.entries(RATES))
			sample[name] = (amount(totals[key]) - amount(before?.totals[key])) / passed;
		// over longer than a gap it is an average that says little
		if (!(passed > 0 && passed <= GAP)) {
			for (const name of Object.keys(RATES))
				sample[name] = NaN;
			this.hole = time;
		}
		this.samples.push(sample);
		while (this.samples[0].time < time - RECENT)
			this.samples.shift();
	}

	// Take an answer of /history from a daemon that was started at STARTED.
	take({ step_seconds: span, end, series }, started) {
		const last = (Date.parse(end) - Date.parse(started)) / 1000;
		const value = (key, i) => series?.[key]?.[i] ?? NaN;
		const count = Math.min(series?.connections?.length || 0, MOST_PAST);
		this.past = [];
		this.reached = Number.isFinite(last) ? last : Infinity;
		for (let i = 0; i < count; i++) {
			const sample = { time: last - (count - 1 - i) * span, span, open: value("connections", i) };
			for (const [name, key] of Object.entries(RATES))
				sample[name] = value(key, i) / span;
			if (sample.time >= 0)
				this.past.push(sample);
		}
	}

	// For charts, the last WINDOW seconds: of the hour the daemon's samples; of five minutes our
	// own, and the daemon's where there are none.
	view(window) {
		const end = this.latest?.time ?? 0;
		const own = (time, span) =>
			this.samples.some((sample) => sample.time > time - span && sample.time <= time);
		const past = window === HOUR ? this.past : this.past.filter(({ time, span }) => !own(time, span));
		const samples = (window === HOUR ? past : [...past, ...this.samples])
			.filter(({ time }) => time >= end - window && time <= end)
			.toSorted((a, b) => a.time - b.time);
		return { samples, latest: this.latest, end, window };
	}
}

// A counter, or the sum of a family of them.
function amount(counter) {
	return counter instanceof Object ? sum(counter) : counter;
}
