// Asks the daemon once a second: rests while the page is hidden or paused, and asks less and less
// often while nobody answers. Only GET, only of the server that the page came from.

const PERIOD = 1000;
const PATIENCE = 5000;
const LONGEST_WAIT = 15000;

const trail = [];	// one entry for each answer of /stats
let lastStats = null;
let lastRestart = "";	// the time of day at which a restart was seen
let firstVersion;	// of the daemon that gave this page
let failures = 0;
let retryAt = 0;
let timer = 0;
let asking = false;
let wanted = false;	// something was pressed: the connections are to be asked for
let nextAt = 0;	// when the figures are due again, milliseconds of performance.now()
let paused = false;

const connections = new Connections();
const details = new Details();
const throughput = new Chart(byId("throughput"), {
	name: "Bytes received and sent each second, over the last five minutes",
	bands: [{ key: "in", tone: "in" }, { key: "out", tone: "out", down: true }],
	steps: 2,
	bytes: true,
	format: (step) => FORMATS.rate(step).replace(/\.0+ /, " "),
	readout: (sample) => {
		setText(byId("rate-in"), FORMATS.rate(sample?.in));
		setText(byId("rate-out"), FORMATS.rate(sample?.out));
	},
});
const openChart = new Chart(byId("open"), {
	name: "Open connections, over the last five minutes",
	bands: [{ key: "open", tone: "open" }],
	steps: 4,
	format: FORMATS.count,
	readout: (sample) => setText(byId("open-now"), FORMATS.count(sample?.open)),
});

function now() {
	return performance.now() / 1000;
}

function timeOfDay() {
	return new Date().toTimeString().slice(0, 8);
}

// One of the things that are asked for. A daemon that is too busy for one says when to ask again;
// until then its last answer stays on show.
class Question {
	constructor(name) {
		this.name = name;
		this.busy = false;
		this.retryAt = 0;
		this.answered = "";	// time of day
	}

	// Ask for PATH. HANDLERS take the answer, by its status; any other is as bad as none, and throws.
	async ask(path, handlers) {
		if (now() < this.retryAt)
			return;
		this.busy = false;
		const reply = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
		if (reply.status === 503) {
			const wait = Number(reply.headers.get("Retry-After")) * 1000 || PERIOD;
			this.busy = true;
			this.retryAt = now() + Math.min(wait, LONGEST_WAIT) / 1000;
			return;
		}
		const answer = await reply.json();
		if (!Object.hasOwn(handlers, reply.status))
			throw new Error(answer.error ?? `status ${reply.status}`);
		handlers[reply.status](answer);
		this.answered = timeOfDay();
	}
}

const questions = {
	stats: new Question("figures"),
	connections: new Question("connections"),
	details: new Question("details"),
};

// State

function setState(state) {
	document.documentElement.dataset.state = state;
	setText(byId("state"), state);
	document.title = `${state} \u00b7 echod ${location.host}`;
}

function showLost() {
	const wait = Math.max(Math.ceil(retryAt - now()), 0);
	const { answered } = questions.stats;
	setState("unreachable");
	setText(byId("lost-since"), answered === ""
		? "No answer from the daemon."
		: `No answer from the daemon since ${answered}; the figures are from then.`);
	setText(byId("lost-wait"), `Next try in ${wait} s.`);
}

// What a person should know of the figures, in a place where it moves nothing.
function showNews() {
	const news = [];
	if (lastRestart !== "")
		news.push(`restarted at ${lastRestart}`);
	if (lastStats !== null && firstVersion !== lastStats.process.version)
		news.push(`this page is that of version ${firstVersion}, reload it`);
	for (const { name, busy, answered } of Object.values(questions))
		if (busy)
			news.push(`daemon busy, ${name}${answered === "" ? " to come" : ` of ${answered}`}`);
	setText(byId("news"), news.map((text) => ` \u00b7 ${text}`).join(""));
}

// Answers

function addSample(stats, time) {
	const before = lastStats?.process.started === stats.process.started ? lastStats : null;
	const passed = time - trail.at(-1)?.time;
	const rate = (group, key) =>
		(passed <= GAP ? Math.max(stats[group][key] - before?.[group][key], 0) / passed : NaN);
	if (before === null)
		trail.length = 0;
	trail.push({
		time,
		in: rate("totals", "received_bytes"),
		out: rate("totals", "sent_bytes"),
		open: stats.totals.connections,
	});
	while (trail[0].time < time - WINDOW)
		trail.shift();
	const percent = rate("process", "cpu_seconds") * 100;
	if (percent >= 0)
		setText(byId("cpu-now"), `, now ${percent.toFixed(percent < 10 ? 1 : 0)} %`);
}

function takeStats(stats) {
	const time = now();
	const { process, totals, limits } = stats;
	const max = limits?.connections ?? 0;
	addSample(stats, time);
	if (lastStats === null)
		firstVersion = process.version;
	else if (lastStats.process.started !== process.started)
		lastRestart = timeOfDay();
	lastStats = stats;
	setState(process.draining ? "draining" : process.ready === false ? "starting" : "ready");
	document.documentElement.dataset.answered = "";
	showFigures(stats);
	Object.assign(byId("use"),
		{ max, low: max * 0.8, high: max * 0.95, optimum: 0, value: totals.connections });
	throughput.show(trail, time, NaN);
	openChart.show(trail, time, limits?.connections);
}

async function askConnections() {
	const peer = byId("peer");
	const text = peer.value.trim();
	// what an address is not made of would only be refused, or need escaping
	const fits = /^[0-9A-Fa-f:.\/]*$/.test(text);
	await questions.connections.ask(connections.query(fits ? text : ""), {
		200: (answer) => connections.take(answer, now(),
			fits ? "" : "A peer is an address or a network, such as 192.0.2.0/24"),
		400: ({ error }) => connections.show(error),
	});
	peer.setAttribute("aria-invalid", String(connections.hint !== ""));
}

async function askDetails() {
	const { path, id } = details;
	if (path === "")
		questions.details.busy = false;
	else
		await questions.details.ask(path, {
			200: (answer) => details.show(answer),
			404: () => details.gone(id),
		});
}

// The clock

async function ask(figures) {
	try {
		if (figures)
			await questions.stats.ask("stats", { 200: takeStats });
		await askConnections();
		await askDetails();
		failures = 0;
	} catch (error) {
		console.error(error);
		failures++;
		retryAt = now() + Math.min(PERIOD * 2 ** (failures - 1), LONGEST_WAIT) / 1000;
	}
	showNews();
}

// One turn for each question that is due; only one turn at a time is under way.
async function tick() {
	if (asking)
		return;
	asking = true;
	clearTimeout(timer);
	while (!document.hidden && !paused) {
		const start = performance.now();
		const due = start >= nextAt;
		if (!due && !wanted)
			break;
		wanted = false;
		if (failures === 0 || (due && now() >= retryAt))
			await ask(due);
		// one that fails alone is most often a page that is being left
		if (failures > 1)
			showLost();
		if (due)
			nextAt = Math.max(start + PERIOD, performance.now() + PERIOD / 4);
	}
	asking = false;
	if (!document.hidden && !paused)
		timer = setTimeout(tick, Math.max(nextAt - performance.now(), 0));
}

// Do not wait for the next second: somebody has pressed something. The figures keep their pace.
function askNow() {
	wanted = true;
	tick();
}

byId("pause").addEventListener("click", () => {
	paused = !paused;
	document.documentElement.toggleAttribute("data-paused", paused);
	setText(byId("pause"), paused ? "Resume" : "Pause");
	tick();
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("peer").addEventListener("input", askNow);
document.addEventListener("visibilitychange", tick);
window.addEventListener("online", tick);
setState("asking");
tick();
