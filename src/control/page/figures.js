// What /stats says, as text: single figures, and the tables of listeners, workers and reasons; and
// the tables of /sources and /events. Text reaches the page by textContent only: nothing that a
// peer or a configuration says can be markup.

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

// Which reasons, the most frequent first.
function formatReasons(family) {
	return Object.entries(family).filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a)
		.map(([reason, count]) => `${reason} ${FORMATS.count(count)}`).join(", ");
}

function formatDirectives(count) {
	if (count === 0)
		return "nothing";
	return `${FORMATS.count(count)} ${count === 1 ? "directive" : "directives"}`;
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
	time: (text) => formatMoment(text).replace(/ UTC$/, ""),
	reload: formatReload,
	reasons: formatReasons,
	limit: ofNumber((count) => (count === 0 ? "none" : FORMATS.count(count))),
	each: ofNumber((count) => `${FORMATS.count(count)}/s`),
	directives: ofNumber(formatDirectives),
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
			button.className = "link";
			cell.append(button);
		}
		row.append(cell);
	}
	return row;
}

// Make BODY show ITEMS, a row each. A column has "key" and "as", or text(item); and it may have
// "head": it names the row; "number": to the right, and sorted by value; "className"; press(text):
// the text is that of a button. What a cell of class "cut" has no room for is in its title.
function fillTable(body, items, columns) {
	setCount(body, items.length, () => newRow(columns));
	items.forEach((item, i) => columns.forEach(({ key, as, text, className }, j) => {
		const cell = body.rows[i].cells[j];
		const words = text ? text(item) : textOf(item, key, as);
		if (className === "word")
			setWord(cell, words);
		else
			setText(cell.firstElementChild ?? cell, words);
		if (className?.startsWith("cut") && cell.title !== words)
			cell.title = words;
	}));
}

// The figures of /stats: every element with data-figure="path", and the tables.

const MOST_ROWS = 200;	// of listeners

function showFigures(stats) {
	const listeners = stats.listeners ?? [];
	const datagrams = listeners.filter(isDatagram);
	for (const node of document.querySelectorAll("[data-figure]")) {
		const text = textOf(stats, node.dataset.figure, node.dataset.as);
		(node.dataset.word === undefined ? setText : setWord)(node, text);
	}
	showListeners("listeners", listeners.filter((listener) => !isDatagram(listener)), LISTENERS);
	showListeners("datagrams", datagrams, DATAGRAMS);
	document.documentElement.toggleAttribute("data-datagrams", datagrams.length > 0);
	fillTable(byId("workers"), stats.workers ?? [], WORKERS);
	showReasons(stats.totals);
}

function isDatagram({ address, datagrams_received: received }) {
	return address ? /^(udp|unixgram):/.test(address) : received > 0;
}

function showListeners(id, listeners, columns) {
	const body = byId(id);
	const hidden = listeners.length - MOST_ROWS;
	fillTable(body, listeners.slice(0, MOST_ROWS), columns);
	body.closest("section").hidden = listeners.length === 0;
	setText(byId(`${id}-more`), hidden > 0
		? `${FORMATS.count(hidden)} more listeners: echoctl status shows all` : "");
}

// In the words of echoctl status.
function listenerState(listener) {
	if (listener.accepting)
		return "accepting";
	return listener.open === false ? "closed" : "not accepting";
}

function droppedShare({ datagrams_received: received, datagrams_dropped: dropped }) {
	if (!dropped || !(received > 0))
		return UNKNOWN;
	return `${(100 * Math.min(sum(dropped) / received, 1)).toFixed(1)} %`;
}

const LISTENER = [
	{
		key: "name",
		as: "text",
		head: true,
		className: "cut",
		press: (name) => details.openListener(name),
	},
	{ key: "address", as: "text", className: "cut long" },
	{ text: listenerState, className: "word" },
];

const LISTENERS = [
	...LISTENER,
	{ key: "connections", as: "count", number: true },
	{ key: "peaks.connections", as: "count", number: true },
	{ key: "connections_limit", as: "limit", number: true },
	{ key: "connections_accepted", as: "count", number: true },
	{ key: "connections_rejected", as: "sum", number: true },
	{ key: "received_bytes", as: "bytes", number: true },
	{ key: "sent_bytes", as: "bytes", number: true },
	{ key: "pending_bytes", as: "bytes", number: true },
	{ key: "echo_delay.p50_seconds", as: "delay", number: true },
	{ key: "echo_delay.p99_seconds", as: "delay", number: true },
];

const DATAGRAMS = [
	...LISTENER,
	{ key: "datagrams_received", as: "count", number: true },
	{ key: "datagrams_sent", as: "count", number: true },
	{ key: "datagrams_dropped", as: "sum", number: true },
	{ text: droppedShare, number: true },
	{ key: "datagrams_dropped", as: "reasons", className: "cut wide" },
	{ key: "received_bytes", as: "bytes", number: true },
	{ key: "sent_bytes", as: "bytes", number: true },
];

const SOURCES = [
	{ key: "source", as: "text", head: true, className: "cut long" },
	{ key: "listener", as: "text", className: "cut" },
	{ key: "echoed", as: "count", number: true },
	{ key: "dropped", as: "count", number: true },
	{ key: "idle_seconds", as: "seconds", number: true },
];

const EVENTS = [
	{ key: "time", as: "time" },
	{ key: "kind", as: "text", className: "word" },
	{ key: "reason", as: "text" },
	{ key: "listener", as: "text", className: "cut" },
	{ key: "peer", as: "text", className: "cut long" },
	{ key: "bytes_in", as: "bytes", number: true },
	{ key: "bytes_out", as: "bytes", number: true },
	{ key: "duration_seconds", as: "seconds", number: true },
];

function showSources({ sources, known }) {
	fillTable(byId("sources"), sources, SOURCES);
	setText(byId("sources-more"), sources.length === 0 ? "No source was believed yet."
		: known > sources.length ? `${sources.length} of ${FORMATS.count(known)}, busiest first` : "");
}

function showEvents({ events }) {
	fillTable(byId("events"), events, EVENTS);
	byId("no-events").hidden = events.length > 0;
}

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

// Whether a person may still want the first reasons opened.
let untouched = true;

// One fold for each family of counters that have moved, and one for all that have not.
function showReasons(totals) {
	const families = Object.entries(totals)
		.filter(([key, value]) => value instanceof Object && key !== "peaks");
	const box = byId("reasons");
	setCount(box, families.length, () => copyOf("fold"));
	families.forEach(([key, family], i) => {
		const fold = box.children[i];
		const [summary, { tBodies: [body] }] = fold.children;
		const counters = Object.entries(family).filter(([, count]) => count !== 0);
		fold.hidden = counters.length === 0;
		fold.open ||= untouched && !fold.hidden;
		untouched &&= fold.hidden;
		setText(summary.firstChild, titleOf(key));
		setText(summary.lastChild, FORMATS.sum(family));
		fillTable(body, counters, REASONS);
		counters.forEach(([reason], j) => { body.rows[j].dataset.counter = `${key}.${reason}`; });
	});
	showZeros(families.map(([key, family]) =>
		[titleOf(key), Object.keys(family).filter((reason) => family[reason] === 0)]));
}

function showZeros(families) {
	const some = families.filter(([, reasons]) => reasons.length > 0);
	byId("zeros").hidden = some.length === 0;
	setText(byId("zeros-count"), String(some.flatMap(([, reasons]) => reasons).length));
	fillList(byId("zeros-list"), some.map(([title, reasons]) => [title, reasons.join(", ")]));
}

// Make a dl show MEMBERS, each [title, text].
function fillList(list, members) {
	setCount(list, members.length, () => copyOf("member"));
	members.forEach(([title, text], i) => {
		const [name, value] = list.children[i].children;
		setText(name, title);
		setText(value, text);
	});
}
