// Figures as text, and what writes it. Text reaches the page by textContent only: nothing that a
// peer or a configuration says can be markup.

const UNKNOWN = "\u2013";
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const thousands = new Intl.NumberFormat("en");

function formatCount(count) {
	return thousands.format(Math.round(count));
}

function formatBytes(bytes) {
	let value = Math.max(bytes, 0);
	let unit = 0;
	while (value >= 1024 && unit + 1 < SIZES.length) {
		value /= 1024;
		unit++;
	}
	const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
	return `${value.toFixed(digits)} ${SIZES[unit]}`;
}

function formatRate(bytes) {
	return `${formatBytes(bytes)}/s`;
}

// For axes, whose steps are whole numbers of a unit.
function formatAxisRate(bytes) {
	return formatRate(bytes).replace(/\.0+ /, " ");
}

function formatSeconds(duration) {
	const seconds = Math.max(Math.floor(duration), 0);
	const two = (number) => String(number).padStart(2, "0");
	if (seconds >= 86400)
		return `${Math.floor(seconds / 86400)}d ${Math.floor((seconds % 86400) / 3600)}h`;
	if (seconds >= 3600)
		return `${Math.floor(seconds / 3600)}h ${two(Math.floor((seconds % 3600) / 60))}m`;
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

// A key of the JSON as a title: connections_closed is "Connections closed", age_seconds "Age".
function titleOf(key) {
	const words = key.replace(/_(seconds|bytes)$/, "").replaceAll("_", " ");
	return words.charAt(0).toUpperCase() + words.slice(1);
}

// What data-as="" names. Anything that is not of the right kind shows as unknown.
const FORMATS = {
	text: (value) => String(value),
	count: (value) => (Number.isFinite(value) ? formatCount(value) : UNKNOWN),
	bytes: (value) => (Number.isFinite(value) ? formatBytes(value) : UNKNOWN),
	rate: (value) => (Number.isFinite(value) ? formatRate(value) : UNKNOWN),
	seconds: (value) => (Number.isFinite(value) ? formatSeconds(value) : UNKNOWN),
	delay: (value) => (Number.isFinite(value) ? formatDelay(value) : UNKNOWN),
	moment: formatMoment,
	reload: formatReload,
	sum: (value) => formatCount(sum(value)),
};

function byId(id) {
	return document.getElementById(id);
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

function make(name, className, text) {
	const node = document.createElement(name);
	if (className)
		node.className = className;
	if (text !== undefined)
		node.textContent = text;
	return node;
}

// lookUp({a: {b: 1}}, "a.b") is 1; undefined where a member is missing.
function lookUp(object, path) {
	return path
		.split(".")
		.reduce((value, name) => (value && Object.hasOwn(value, name) ? value[name] : undefined), object);
}

// Fill in every element with data-figure="path".
function showFigures(stats) {
	for (const node of document.querySelectorAll("[data-figure]")) {
		const value = lookUp(stats, node.dataset.figure) ?? null;
		const text = value === null ? UNKNOWN : FORMATS[node.dataset.as](value);
		if (node.dataset.word === undefined)
			setText(node, text);
		else
			setWord(node, text);
	}
}
