// Some minutes as SVG. A chart has bands: one that grows upwards from the zero line and, for
// traffic, one that grows downwards, so that equal lines do not hide each other.

const SVG = "http://www.w3.org/2000/svg";
// Seconds from one label of the time axis to the next.
const LABELS = [15, 30, 60, 120, 300, 600, 1200];
const GAP = 3.5;	// seconds without a sample of our own that break the line
const EDGE = { left: 66, right: 8, top: 8, bottom: 22 };

function setAttributes(node, attributes) {
	for (const [key, value] of Object.entries(attributes))
		node.setAttribute(key, value);
}

function svg(parent, name, attributes, text = "") {
	const node = document.createElementNS(SVG, name);
	setAttributes(node, attributes);
	node.textContent = text;
	parent.append(node);
	return node;
}

// The smallest round step with which COUNT of them reach PEAK: for bytes a power of two, else 1, 2
// or 5 times a power of ten.
function roundStep(peak, count, bytes) {
	const wanted = peak / count;
	if (bytes)
		return 2 ** Math.max(Math.ceil(Math.log2(wanted)), 9);
	for (let power = 1; ; power *= 10)
		for (const digit of [1, 2, 5])
			if (digit * power >= wanted)
				return digit * power;
}

function timeLabel(ago) {
	if (ago === 0)
		return "now";
	return ago % 60 === 0 ? `\u2212${ago / 60} min` : `\u2212${ago} s`;
}

// How long without a sample breaks the line that leads from A to B.
function gapBetween(a, b) {
	return Math.max(GAP, 1.5 * Math.max(a.span, b.span));
}

class Chart {
	// box: the element to draw in. options: name; bands [{key, tone, down}]; steps on each side of
	// zero; bytes: whether values are bytes a second; format(value) for the axis; readout(sample).
	constructor(box, options) {
		this.box = box;
		this.options = options;
		this.samples = [];
		this.latest = undefined;
		this.end = 0;
		this.window = 60;
		this.limit = NaN;
		this.svg = svg(box, "svg", { role: "img", tabindex: 0 });
		this.grid = svg(this.svg, "g", {});
		this.bands = options.bands.map((band) => ({
			...band,
			fill: svg(this.svg, "path", { class: `fill ${band.tone}` }),
			stroke: svg(this.svg, "path", { class: `stroke ${band.tone}` }),
		}));
		this.cursor = svg(this.svg, "g", { visibility: "hidden" });
		this.cursorLine = svg(this.cursor, "line", { class: "cursor", y1: EDGE.top + 10 });
		this.cursorTime = svg(this.cursor, "text", { y: EDGE.top + 4 });
		this.pointed = null;
		this.svg.addEventListener("pointermove", (event) => this.pointAt(event.offsetX));
		this.svg.addEventListener("pointerleave", () => this.point(null));
		this.svg.addEventListener("blur", () => this.point(null));
		this.svg.addEventListener("keydown", (event) => this.onKey(event));
		new ResizeObserver(() => this.draw()).observe(box);
	}

	// samples: [{time, span, key: value or NaN, ...}], oldest first: each stands for the span of
	// seconds before its time. latest: what is read out while no sample is pointed at. window: how
	// long before end the chart may begin.
	show({ samples, latest, end, window }, limit) {
		Object.assign(this, { samples, latest, end, window, limit });
		this.svg.setAttribute("aria-label",
			`${this.options.name}, over the last ${window / 60} minutes`);
		this.draw();
	}

	x(time) {
		return EDGE.left + (1 - (this.end - time) / (this.minutes * 60)) * this.width;
	}

	y(value, down) {
		return this.zero + ((down ? 1 : -1) * value * this.reach) / this.top;
	}

	draw() {
		const { clientWidth, clientHeight } = this.box;
		const twoSided = this.bands.some((band) => band.down);
		if (clientWidth === 0)
			return;
		this.width = clientWidth - EDGE.left - EDGE.right;
		this.height = clientHeight - EDGE.top - EDGE.bottom;
		this.reach = twoSided ? this.height / 2 : this.height;
		this.zero = EDGE.top + this.reach;
		const values = this.samples.flatMap((sample) => this.bands.map((band) => sample[band.key]));
		const peak = values.reduce((most, value) => (value > most ? value : most), 0);
		this.step = roundStep(peak, this.options.steps, this.options.bytes);
		this.steps = Math.max(Math.ceil(peak / this.step), 2);
		this.top = this.step * this.steps;
		// the time axis begins with one minute and grows with what there is to show
		const passed = this.end - (this.samples[0]?.time ?? this.end);
		this.minutes = Math.min(Math.max(Math.ceil(passed / 60), 1), this.window / 60);
		this.svg.setAttribute("viewBox", `0 0 ${clientWidth} ${clientHeight}`);
		this.drawGrid(twoSided);
		for (const band of this.bands)
			this.drawBand(band);
		this.drawCursor();
	}

	drawGrid(twoSided) {
		const right = EDGE.left + this.width;
		const bottom = EDGE.top + this.height;
		const line = (kind, x1, x2, y1, y2) => svg(this.grid, "line", { class: kind, x1, x2, y1, y2 });
		const label = (text, x, y, anchor) => svg(this.grid, "text", { x, y, "text-anchor": anchor }, text);
		this.grid.replaceChildren();
		for (let i = twoSided ? -this.steps : 0; i <= this.steps; i++) {
			const y = Math.round(this.y(i * this.step, false));
			line(i === 0 ? "zero" : "grid", EDGE.left, right, y, y);
			label(this.options.format(Math.abs(i) * this.step), EDGE.left - 8, y + 4, "end");
		}
		const room = Math.min(Math.max(Math.floor(this.width / 60), 2), 6);
		const fits = (seconds) => (this.minutes * 60) / seconds <= room
			&& (seconds >= 60 || this.minutes <= 2);
		const apart = LABELS.find(fits) ?? LABELS.at(-1);
		for (let ago = 0; ago <= this.minutes * 60; ago += apart) {
			const x = Math.round(this.x(this.end - ago));
			line("grid", x, x, EDGE.top, bottom);
			label(timeLabel(ago), x, bottom + 17, ago === 0 ? "end" : "middle");
		}
		const y = Math.round(this.y(this.limit, false));
		if (this.limit <= this.top)
			line("limit", EDGE.left, right, y, y);
	}

	// Runs of known samples that follow each other closely.
	runs(key) {
		const runs = [];
		let last = null;
		for (const sample of this.samples.filter((one) => Number.isFinite(one[key]))) {
			if (last === null || sample.time - last.time > gapBetween(last, sample))
				runs.push([]);
			runs.at(-1).push(sample);
			last = sample;
		}
		return runs;
	}

	drawBand(band) {
		let stroke = "";
		let fill = "";
		for (const run of this.runs(band.key)) {
			const x = (sample) => this.x(sample.time).toFixed(1);
			const y = (sample) => this.y(sample[band.key], band.down).toFixed(1);
			const points = run.map((sample) => `${x(sample)} ${y(sample)}`).join("L");
			stroke += `M${points}`;
			fill += `M${x(run[0])} ${this.zero}L${points}L${x(run.at(-1))} ${this.zero}Z`;
		}
		band.stroke.setAttribute("d", stroke);
		band.fill.setAttribute("d", fill);
	}

	// The sample under the pointer or the arrow keys.

	pointAt(x) {
		const time = this.end - this.minutes * 60 * (1 - (x - EDGE.left) / this.width);
		let best = null;
		for (const sample of this.samples)
			if (best === null || Math.abs(sample.time - time) < Math.abs(best.time - time))
				best = sample;
		this.point(best !== null && Math.abs(best.time - time) <= gapBetween(best, best) ? best : null);
	}

	point(sample) {
		this.pointed = sample;
		this.drawCursor();
	}

	onKey(event) {
		const step = { ArrowLeft: -1, ArrowRight: 1, Escape: 0 }[event.key];
		if (step === undefined)
			return;
		event.preventDefault();
		const last = this.samples.length - 1;
		const place = this.pointed === null ? last : this.samples.indexOf(this.pointed) + step;
		this.point(step === 0 || last < 0 ? null : this.samples[Math.min(Math.max(place, 0), last)]);
	}

	drawCursor() {
		if (!this.samples.includes(this.pointed))
			this.pointed = null;
		const sample = this.pointed;
		this.cursor.setAttribute("visibility", sample === null ? "hidden" : "visible");
		if (sample !== null) {
			const x = this.x(sample.time);
			const anchor = x > EDGE.left + this.width - 36 ? "end" : "middle";
			setAttributes(this.cursor, { transform: `translate(${x.toFixed(1)} 0)` });
			setAttributes(this.cursorLine, { y2: EDGE.top + this.height });
			setAttributes(this.cursorTime, { "text-anchor": anchor });
			setText(this.cursorTime, `${FORMATS.seconds(this.end - sample.time)} ago`);
		}
		this.options.readout(sample ?? this.latest);
	}
}
