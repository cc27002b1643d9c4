// Asks the daemon once a second: rests while the page is hidden or paused, and asks less and less
// often while nobody answers. Only GET, only of the server that the page came from.

const PERIOD = 1000;
const PATIENCE = 5000;
const LONGEST_WAIT = 15000;

const trail = [];	// one entry for each answer of /stats
let lastStats = null;
let lastTime = 0;	// when it came, seconds of performance.now()
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

// What get() throws: the daemon refused (then with its status), or nobody answered.
class NoAnswer extends Error {
	constructor(message, reply) {
		super(message);
		this.status = reply?.status;
		this.retryAfter = Number(reply?.headers.get("Retry-After"));
	}
}

async function get(path) {
	let reply;
	let answer;
	try {
		reply = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
		answer = await reply.json();
	} catch (error) {
		throw new NoAnswer(error.message, reply);
	}
	if (!reply.ok)
		throw new NoAnswer(answer.error ?? `status ${reply.status}`, reply);
	return answer;
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

	async ask(path, take) {
		if (now() < this.retryAt)
			return;
		try {
			take(await get(path));
			this.busy = false;
			this.answered = timeOfDay();
		} catch (error) {
			this.busy = error.status === 503;
			if (!this.busy)
				throw error;
			this.retryAt = now() + Math.min(error.retryAfter || PERIOD / 1000, LONGEST_WAIT / 1000);
		}
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

function stateOf(process) {
	if (process.draining)
		return "draining";
	return process.ready === false ? "starting" : "ready";
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
	const { received_bytes: received, sent_bytes: sent, connections: count } = stats.totals;
	const passed = time - lastTime;
	const same = lastStats !== null && lastStats.process.started === stats.process.started;
	if (!same)
		trail.length = 0;
	const rate = (value, before) =>
		same && passed <= GAP ? Math.max(value - before, 0) / passed : NaN;
	trail.push({
		time,
		in: rate(received, lastStats?.totals.received_bytes),
		out: rate(sent, lastStats?.totals.sent_bytes),
		open: count,
	});
	while (trail[0].time < time - WINDOW)
		trail.shift();
}

function showMeter(stats) {
	const max = stats.limits?.connections ?? 0;
	const value = stats.totals.connections;
	Object.assign(byId("use"), { max, low: max * 0.8, high: max * 0.95, optimum: 0, value });
}

function showProcessor(stats, time) {
	const used = stats.process.cpu_seconds - lastStats?.process.cpu_seconds;
	const percent = (used / (time - lastTime)) * 100;
	if (percent >= 0 && Number.isFinite(percent))
		setText(byId("cpu-now"), `, now ${percent.toFixed(percent < 10 ? 1 : 0)} %`);
}

function takeStats(stats, time) {
	addSample(stats, time);
	showProcessor(stats, time);
	if (lastStats === null)
		firstVersion = stats.process.version;
	else if (lastStats.process.started !== stats.process.started)
		lastRestart = timeOfDay();
	lastStats = stats;
	lastTime = time;
	setState(stateOf(stats.process));
	document.documentElement.dataset.answered = "";
	showFigures(stats);
	showMeter(stats);
	throughput.show(trail, time, NaN);
	openChart.show(trail, time, stats.limits?.connections);
}

async function askConnections() {
	const peer = byId("peer");
	const text = peer.value.trim();
	// what an address is not made of would only be refused, or need escaping
	const fits = /^[0-9A-Fa-f:.\/]*$/.test(text);
	try {
		await questions.connections.ask(connections.query(fits ? text : ""), (answer) => {
			connections.hint = fits ? "" : "A peer is an address or a network, such as 192.0.2.0/24";
			connections.take(answer, now());
		});
	} catch (error) {
		if (error.status !== 400)
			throw error;
		connections.hint = error.message;
		connections.show();
	}
	peer.setAttribute("aria-invalid", String(connections.hint !== ""));
}

async function askDetails() {
	const { path, id } = details;
	if (path === "") {
		questions.details.busy = false;
		return;
	}
	try {
		await questions.details.ask(path, (answer) => details.show(answer));
	} catch (error) {
		if (error.status !== 404)
			throw error;
		if (details.id === id)
			details.gone();
	}
}

// The clock

async function ask(figures) {
	try {
		if (figures)
			await questions.stats.ask("stats", (stats) => takeStats(stats, now()));
		await askConnections();
		await askDetails();
		failures = 0;
	} catch (error) {
		if (!(error instanceof NoAnswer))
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
