// What /stats says, as text: single figures, and the tables of listeners, workers and reasons. Text
// reaches the page by textContent only: nothing that a peer or a configuration says can be markup.

const UNKNOWN = "\u2013";
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const thousands = new Intl.NumberFormat("en");

function formatBytes(bytes) {
	const unit = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), SIZES.length - 1);
	const value = Math.max(bytes, 0) / 1024 ** unit;
	const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
	return `${value.toFixed(digits)} ${SIZES[unit]}`;
}

function formatSeconds(duration) {
	const seconds = Math.max(Math.floor(duration), 0);
	const two = (number) => String(Math.floor(number)).padStart(2, "0");
	if (seconds >= 86400)
		return `${Math.floor(seconds / 86400)}d ${Math.floor((seconds % 86400) / 3600)}h`;
	if (seconds >= 3600)
		return `${Math.floor(seconds / 3600)}h ${two((seconds % 3600) / 60)}m`;
	if (seconds >= 60)
		return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
	if (seconds >= 10)
		return `${seconds}s`;
	return `${(Math.floor(Math.max(duration, 0) * 10) / 10).toFixed(1)}s`;
}

// Times that may be far below a second: loop lag, round trips.
function formatDelay(seconds) {
	if (seconds >= 1)
		return `${seconds.toFixed(2)} s`;
	if (seconds >= 1e-3)
		return `${(seconds * 1e3).toFixed(seconds >= 1e-2 ? 0 : 1)} ms`;
	return `${(seconds * 1e6).toFixed(0)} \u00b5s`;
}

function formatMoment(text) {
	const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)/.exec(text);
	return match ? `${match[1]} ${match[2]} UTC` : String(text);
}

function sum(family) {
	return Object.values(family).reduce((total, count) => total + count, 0);
}

// In the words of echoctl status.
function formatReload({ last_reload_successful: successful, reloads }) {
	if (reloads === undefined)
		return UNKNOWN;
	if (sum(reloads) === 0)
		return "none since the start";
	return successful ? "successful" : "failed";
}

function ofNumber(format) {
	return (value) => (Number.isFinite(value) ? format(value) : UNKNOWN);
}

// What data-as="" and the "as" of a column name. What is not of the right kind shows as unknown.
const FORMATS = {
	text: String,
	count: ofNumber((count) => thousands.format(Math.round(count))),
	bytes: ofNumber(formatBytes),
	rate: ofNumber((bytes) => `${formatBytes(bytes)}/s`),
	seconds: ofNumber(formatSeconds),
	delay: ofNumber(formatDelay),
	moment: formatMoment,
	reload: formatReload,
	sum: (family) => FORMATS.count(sum(family)),
};

// The member of OBJECT at PATH ("a.b") as text.
function textOf(object, path, as) {
	const value = path.split(".").reduce((part, name) =>
		(part && Object.hasOwn(part, name) ? part[name] : undefined), object);
	return value === undefined || value === null ? UNKNOWN : FORMATS[as](value);
}

// A key of the JSON as a title: connections_closed is "Connections closed", age_seconds "Age".
function titleOf(key) {
	const words = key.replace(/_(seconds|bytes)$/, "").replaceAll("_", " ");
	return words.charAt(0).toUpperCase() + words.slice(1);
}

// Elements. They are kept and rewritten in place: focus, scrolling and the layout stay.

function byId(id) {
	return document.getElementById(id);
}

// Of what a template of the page holds.
function copyOf(id) {
	return byId(id).content.firstElementChild.cloneNode(true);
}

// Write only what has changed: a selection stays, nothing is laid out anew.
function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

// Text that also chooses a colour: data-word is one of the words that the style knows.
function setWord(node, word) {
	setText(node, word);
	if (node.dataset.word !== word)
		node.dataset.word = word;
}

function setCount(parent, count, makeChild) {
	while (parent.children.length > count)
		parent.lastElementChild.remove();
	while (parent.children.length < count)
		parent.append(makeChild());
}

function newRow(columns) {
	const row = document.createElement("tr");
	for (const { head, number, className, press } of columns) {
		const cell = document.createElement(head ? "th" : "td");
		cell.className = className ?? (number ? "n" : "");
		if (head)
			cell.scope = "row";
		if (press) {
			const button = document.createElement("button");
			button.type = "button";
			button.addEventListener("click", () => press(button.textContent));
			cell.append(button);
		}
		row.append(cell);
	}
	return row;
}

// Make BODY show ITEMS, a row each. A column has "key" and "as", or text(item); and it may have
// "head": it names the row; "number": to the right, and sorted by value; "className"; press(text):
// the text is that of a button.
function fillTable(body, items, columns) {
	setCount(body, items.length, () => newRow(columns));
	items.forEach((item, i) => columns.forEach(({ key, as, text, className }, j) => {
		const cell = body.rows[i].cells[j];
		const words = text ? text(item) : textOf(item, key, as);
		if (className === "word")
			setWord(cell, words);
		else
			setText(cell.firstElementChild ?? cell, words);
		if (className === "long")
			cell.title = words;
	}));
}

// The figures of /stats: every element with data-figure="path", and the tables.

function showFigures(stats) {
	for (const node of document.querySelectorAll("[data-figure]")) {
		const text = textOf(stats, node.dataset.figure, node.dataset.as);
		(node.dataset.word === undefined ? setText : setWord)(node, text);
	}
	fillTable(byId("listeners"), stats.listeners ?? [], LISTENERS);
	fillTable(byId("workers"), stats.workers ?? [], WORKERS);
	showReasons(stats.totals);
}

// In the words of echoctl status.
function listenerState(listener) {
	if (listener.accepting)
		return "accepting";
	return listener.address === null ? "closed" : "not accepting";
}

// A listener that was closed is still known by where it was.
const addresses = new Map();

function listenerAddress({ name, address }) {
	if (address)
		addresses.set(name, address);
	return addresses.get(name) ?? "";
}

const LISTENERS = [
	{ key: "name", as: "text", head: true },
	{ text: listenerAddress, className: "long" },
	{ text: listenerState, className: "word" },
	{ key: "connections", as: "count", number: true },
	{ key: "connections_accepted", as: "count", number: true },
	{ key: "connections_rejected", as: "sum", number: true },
	{ key: "received_bytes", as: "bytes", number: true },
	{ key: "sent_bytes", as: "bytes", number: true },
	{ key: "pending_bytes", as: "bytes", number: true },
];

const WORKERS = [
	{ key: "id", as: "text", head: true },
	{ key: "connections", as: "count", number: true },
	{ key: "loop_lag.p50_seconds", as: "delay", number: true },
	{ key: "loop_lag.p99_seconds", as: "delay", number: true },
];

const REASONS = [
	{ key: "0", as: "text", head: true },
	{ key: "1", as: "count", number: true },
];

// One fold for each family of counters; the first is open until somebody closes it.
function showReasons(totals) {
	const families = Object.entries(totals).filter(([, value]) => value instanceof Object);
	const box = byId("reasons");
	const first = box.children.length === 0;
	setCount(box, families.length, () => copyOf("fold"));
	if (first && families.length > 0)
		box.firstElementChild.open = true;
	families.forEach(([key, family], i) => {
		const [summary, { tBodies: [body] }] = box.children[i].children;
		const counters = Object.entries(family);
		setText(summary.firstChild, titleOf(key));
		setText(summary.lastChild, FORMATS.sum(family));
		fillTable(body, counters, REASONS);
		counters.forEach(([reason, count], j) => {
			body.rows[j].dataset.counter = `${key}.${reason}`;
			// counters that never moved step back
			body.rows[j].classList.toggle("nothing", count === 0);
		});
	});
}
