// Asks the daemon once a second: rests while the page is hidden, and asks less and less often while
// nobody answers. While paused it goes on asking for the figures, so that the charts have no hole,
// and changes nothing that is shown but the state and what somebody presses for. Only GET, only of
// the server that the page came from.

const PERIOD = 1000;
const PATIENCE = 5000;
const LONGEST_WAIT = 15000;

const trail = new Trail();
let lastStats = null;
let lastRestart = "";	// the time of day at which a restart was seen
let firstVersion;	// of the daemon that gave this page
let failures = 0;
let retryAt = 0;
let timer = 0;
let asking = false;
let wanted = false;	// something was pressed: the connections are to be asked for
let nextAt = 0;	// when the figures are due again, milliseconds of performance.now()
let pausedAt = "";	// the time of day since which the page is paused; empty: it is not
let state = "asking";
let chosenWindow = RECENT;	// what the charts show, seconds

const connections = new Connections();
const details = new Details();

// A chart that reads the latest figures out: LEGEND maps what a sample has to the element's id.
function newChart(id, name, bands, steps, as, legend) {
	return new Chart(byId(id), {
		name,
		bands,
		steps,
		bytes: as === "rate",
		format: (step) => FORMATS[as](step).replace(/\.0+ /, " "),
		readout: (sample) => {
			for (const [key, readoutId] of Object.entries(legend))
				setText(byId(readoutId), FORMATS[as](sample?.[key]));
		},
	});
}

const throughput = newChart("throughput", "Bytes received and sent each second",
	[{ key: "in", tone: "in" }, { key: "out", tone: "out", down: true }], 2, "rate",
	{ in: "rate-in", out: "rate-out" });
const openChart = newChart("open", "Open connections",
	[{ key: "open", tone: "open" }], 4, "count", { open: "open-now" });
const datagramChart = newChart("flood", "Datagrams echoed and dropped each second",
	[{ key: "echoed", tone: "in" }, { key: "dropped", tone: "dropped", down: true }], 2, "each",
	{ echoed: "rate-echoed", dropped: "rate-dropped" });

function now() {
	return performance.now() / 1000;
}

function timeOfDay() {
	return new Date().toTimeString().slice(0, 8);
}

// One of the things that are asked for. A daemon that is too busy for one says when to ask again;
// until then its last answer stays on show.
class Question {
	// every: seconds from one answer to the next question; 0: each turn
	constructor(name, every = 0) {
		this.name = name;
		this.every = every;
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
		this.retryAt = now() + this.every;
	}
}

const questions = {
	stats: new Question("figures"),
	history: new Question("history", 10),
	connections: new Question("connections"),
	sources: new Question("sources", 3),
	events: new Question("events", 2),
	details: new Question("details"),
};

// State

function setState(word) {
	state = word;
	showState();
}

function showState() {
	const said = pausedAt === "" ? state : state === "ready" ? "paused" : `paused, ${state}`;
	const machine = lastStats?.process.machine ?? "";
	document.documentElement.dataset.state = state;
	setText(byId("state"), said);
	setText(byId("machine"), machine);
	byId("machine").title = machine;
	document.title = [said, machine, `echod ${location.host}`].filter(Boolean).join(" \u00b7 ");
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
	const waiting = lastStats?.process.needs_restart;
	if (pausedAt !== "")
		news.push(`figures of ${pausedAt}`);
	if (waiting > 0)
		news.push(`${FORMATS.directives(waiting)} ${waiting === 1 ? "waits" : "wait"} for a restart`);
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

function takeStats(stats) {
	const { process } = stats;
	const same = lastStats !== null && lastStats.process.pid === process.pid
		&& !(process.uptime_seconds < lastStats.process.uptime_seconds);
	if (lastStats === null)
		begin(process);
	else if (!same)
		lastRestart = timeOfDay();
	if (!same)
		trail.clear();
	trail.add(stats, same ? lastStats : null);
	if (same && pausedAt === "")
		showLoad(process, lastStats.process);
	lastStats = stats;
	setState(process.draining ? "draining" : process.ready === false ? "starting" : "ready");
	document.documentElement.dataset.answered = "";
	if (pausedAt === "")
		show();
}

// The first answer. Who opens the page after something has happened looks for it in the hour.
function begin(process) {
	firstVersion = process.version;
	setWindow(process.uptime_seconds > RECENT ? HOUR : RECENT);
}

function showLoad(process, before) {
	const percent = 100 * (process.cpu_seconds - before.cpu_seconds)
		/ (process.uptime_seconds - before.uptime_seconds);
	if (percent >= 0 && percent < Infinity)
		setText(byId("cpu-now"), `, now ${percent.toFixed(percent < 10 ? 1 : 0)} %`);
}

// Show what the last answer of /stats said.
function show() {
	const { totals, limits, listeners } = lastStats;
	const max = limits?.connections ?? 0;
	showFigures(lastStats);
	connections.setListeners(listeners ?? []);
	details.showListener(listeners);
	Object.assign(byId("use"),
		{ max, low: max * 0.8, high: max * 0.95, optimum: 0, value: totals.connections });
	byId("dropped").dataset.word = trail.latest.dropped > 0 ? "dropping" : "";
	showCharts();
}

function showCharts() {
	const view = trail.view(chosenWindow);
	throughput.show(view, NaN);
	openChart.show(view, lastStats.limits?.connections);
	datagramChart.show(view, NaN);
}

function setWindow(seconds) {
	chosenWindow = seconds;
	for (const choice of byId("range").elements)
		choice.checked = Number(choice.value) === seconds;
}

async function askHistory() {
	if (chosenWindow !== HOUR && !trail.incomplete)
		return;
	await questions.history.ask("history", {
		200: (answer) => {
			trail.take(answer, lastStats.process.started);
			showCharts();
		},
		// a daemon that remembers nothing
		404: () => {
			trail.reached = Infinity;
			byId("range").hidden = true;
			setWindow(RECENT);
		},
	});
}

async function askConnections() {
	const peer = byId("peer");
	const text = peer.value.trim();
	// what an address is not made of would only be refused, or need escaping
	const fits = /^[0-9A-Fa-f:.\/]*$/.test(text);
	const filters = {
		peer: fits ? text : "",
		listener: byId("of-listener").value,
		state: byId("of-state").value,
	};
	await questions.connections.ask(connections.query(filters), {
		200: (answer) => connections.take(answer, now(),
			fits ? "" : "A peer is an address or a network, such as 192.0.2.0/24"),
		400: ({ error }) => connections.show(error),
		404: ({ error }) => connections.show(error),
	});
	peer.setAttribute("aria-invalid", String(connections.hint !== ""));
}

async function askSources() {
	if (document.documentElement.hasAttribute("data-datagrams"))
		await questions.sources.ask("sources?limit=20", { 200: showSources });
}

async function askEvents() {
	const card = byId("events-card");
	if (card.open && !card.hidden)
		await questions.events.ask("events?limit=50", {
			200: showEvents,
			404: () => { card.hidden = true; },
		});
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

async function ask(figures, pressed) {
	try {
		if (figures)
			await questions.stats.ask("stats", { 200: takeStats });
		if (pausedAt === "" || pressed)
			for (const more of [askHistory, askConnections, askSources, askEvents, askDetails])
				await more();
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
	while (!document.hidden) {
		const start = performance.now();
		const due = start >= nextAt;
		if (!due && !wanted)
			break;
		const pressed = wanted;
		wanted = false;
		if (failures === 0 || (due && now() >= retryAt))
			await ask(due, pressed);
		// one that fails alone is most often a page that is being left
		if (failures > 1)
			showLost();
		if (due)
			nextAt = Math.max(start + PERIOD, performance.now() + PERIOD / 4);
	}
	asking = false;
	if (!document.hidden)
		timer = setTimeout(tick, Math.max(nextAt - performance.now(), 0));
}

// Do not wait for the next second: somebody has pressed something. The figures keep their pace.
function askNow() {
	wanted = true;
	tick();
}

byId("pause").addEventListener("click", () => {
	pausedAt = pausedAt === "" ? questions.stats.answered || timeOfDay() : "";
	document.documentElement.toggleAttribute("data-paused", pausedAt !== "");
	setText(byId("pause"), pausedAt === "" ? "Pause" : "Resume");
	showState();
	showNews();
	if (pausedAt !== "")
		return;
	if (lastStats !== null)
		show();
	askNow();
});
byId("range").addEventListener("change", (event) => {
	setWindow(Number(event.target.value));
	questions.history.retryAt = 0;
	showCharts();
	askNow();
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", () => connections.turnTo(0));
byId("events-card").addEventListener("toggle", askNow);
document.addEventListener("visibilitychange", tick);
window.addEventListener("online", tick);
setText(byId("address"), location.host);
setState("asking");
tick();
