// What /connections says: the table of the open connections; and one of them, or a listener, in a
// dialog of its own.

// "by" is what the daemon can sort by: it then chooses which of many are shown.
const COLUMNS = [
	{ key: "id", title: "Id", as: "text", number: true, press: (id) => details.open(id) },
	{ key: "peer", title: "Peer", as: "text", className: "cut long" },
	{ key: "listener", title: "Listener", as: "text", className: "cut" },
	{ key: "state", title: "State", text: connectionState, className: "word" },
	{ key: "age_seconds", title: "Age", as: "seconds", number: true, by: "age" },
	{ key: "idle_seconds", title: "Idle", as: "seconds", number: true, by: "idle" },
	{ key: "rate", title: "Rate", as: "rate", number: true, className: "n wide" },
	{ key: "bytes_in", title: "Bytes in", as: "bytes", number: true, by: "bytes_in" },
	{ key: "bytes_out", title: "Bytes out", as: "bytes", number: true, by: "bytes_out" },
	{ key: "pending_bytes", title: "Pending", as: "bytes", number: true, by: "pending" },
	{ key: "worker", title: "Worker", as: "count", number: true },
];
const ROWS = 50;
const REACH = 10000;	// the daemon skips no further
const SHORTEST = 0.5;	// seconds over which a rate means something

function connectionState({ state, read_paused: paused }) {
	return paused && state === "open" ? "read paused" : String(state ?? UNKNOWN);
}

class Connections {
	constructor() {
		this.table = byId("connections");
		this.sort = COLUMNS.find((column) => column.key === "bytes_in");
		this.ascending = false;
		this.asked = this.sort;	// the sorting that the daemon was last asked for
		this.rows = [];
		this.matched = 0;
		this.offset = 0;	// asked for: how many are skipped
		this.first = 0;	// how many were skipped
		this.hint = "";	// why the peers are not those that were asked for
		this.measured = new Map();	// by id: bytes received at the last measure, and the rate then
		this.time = 0;
		this.heads = COLUMNS.map((column) => this.newHead(column));
		this.table.tHead.rows[0].append(...this.heads);
		byId("previous").addEventListener("click", () => this.turnTo(this.offset - ROWS));
		byId("next").addEventListener("click", () => this.turnTo(this.offset + ROWS));
	}

	newHead(column) {
		const head = copyOf("head");
		head.className = column.number ? "n" : "";
		head.firstChild.prepend(column.title);
		head.firstChild.addEventListener("click", () => this.sortBy(column));
		return head;
	}

	sortBy(column) {
		this.ascending = column === this.sort ? !this.ascending : !column.number;
		this.sort = column;
		if (column.by) {
			this.asked = column;
			this.turnTo(0);
		}
		this.show(this.hint);
	}

	// Offer LISTENERS, those of streams that the page shows, to choose from.
	setListeners(listeners) {
		const choice = byId("of-listener");
		const streams = listeners.filter((listener) => !isDatagram(listener)).slice(0, MOST_ROWS);
		const names = ["", ...streams.map(({ name }) => String(name))];
		setCount(choice, names.length, () => document.createElement("option"));
		const chosen = choice.value;
		names.forEach((name, i) => {
			const option = choice.children[i];
			if (option.value !== name) {
				option.value = name;
				option.text = name.length > 24 ? `${name.slice(0, 23)}\u2026` : name;
			}
		});
		if (choice.value !== chosen)
			choice.value = names.includes(chosen) ? chosen : "";
	}

	// Have the page of rows that begins with OFFSET asked for.
	turnTo(offset) {
		this.offset = Math.max(Math.min(offset, this.last), 0);
		askNow();
	}

	// Where the last page begins.
	get last() {
		return Math.max(Math.ceil(Math.min(this.matched, REACH) / ROWS) - 1, 0) * ROWS;
	}

	// Whether the daemon is asked for the least first.
	get least() {
		return this.asked === this.sort && this.ascending;
	}

	// FILTERS: by the names of the daemon's parameters; an empty one filters nothing.
	query(filters) {
		const order = this.least ? "asc" : "desc";
		const some = Object.entries(filters).filter(([, value]) => value !== "");
		return `connections?limit=${ROWS}&offset=${this.offset}&sort=${this.asked.by}&order=${order}`
			+ some.map(([name, value]) => `&${name}=${value}`).join("");
	}

	// Take an answer of /connections that came at TIME (seconds).
	take(answer, time, hint) {
		const passed = time - this.time;
		const measure = passed >= SHORTEST;
		const before = this.measured;
		if (measure) {
			this.measured = new Map();
			this.time = time;
		}
		this.rows = answer.connections.map((row) => {
			const last = before.get(row.id);
			const rate = measure ? Math.max(row.bytes_in - last?.bytes, 0) / passed : last?.rate;
			if (measure)
				this.measured.set(row.id, { bytes: row.bytes_in, rate });
			return { ...row, rate };
		});
		this.matched = answer.matched ?? answer.total;
		this.first = answer.offset ?? 0;
		// the page has gone meanwhile
		if (this.rows.length === 0 && this.offset > 0)
			this.turnTo(this.offset);
		this.show(hint);
	}

	// By key, unknown last, equal ones by id.
	sorted() {
		const { key, number } = this.sort;
		const way = this.ascending ? 1 : -1;
		const unknown = (value) => number === true && Number.isNaN(value ?? NaN);
		const compare = number
			? (a, b) => a - b
			: (a, b) => String(a).localeCompare(String(b), "en", { numeric: true });
		return this.rows.toSorted((a, b) => unknown(a[key]) - unknown(b[key])
			|| way * compare(a[key], b[key]) || a.id - b.id);
	}

	describe() {
		const shown = this.rows.length;
		if (this.hint || shown === 0)
			return this.hint;
		if (shown >= this.matched)
			return shown === 1 ? "1 connection" : `All ${FORMATS.count(shown)} connections`;
		const from = FORMATS.count(this.first + 1);
		const to = FORMATS.count(this.first + shown);
		const which = `${this.least ? "least" : "most"} ${this.asked.title.toLowerCase()} first`;
		return `${from}\u2013${to} of ${FORMATS.count(this.matched)} connections, ${which}`;
	}

	show(hint) {
		const way = this.ascending ? "ascending" : "descending";
		this.hint = hint;
		COLUMNS.forEach((column, i) => { this.heads[i].ariaSort = column === this.sort ? way : null; });
		fillTable(this.table.tBodies[0], this.sorted(), COLUMNS);
		setText(byId("shown"), this.describe());
		byId("none").hidden = this.rows.length > 0;
		byId("pager").hidden = this.first === 0 && this.rows.length >= this.matched;
		// a button that is disabled would lose the focus
		byId("previous").ariaDisabled = String(this.first === 0);
		byId("next").ariaDisabled = String(this.first >= this.last);
	}
}

// The objects in a row whose members are no reasons.
const GROUPS = { tcp: "TCP", peaks: "Peak of", echo_delay: "Echo delay" };

// The members of a connection or a listener, those of an object in it after its own, as [title,
// text]: what is new in the daemon needs no word here. Reasons that are zero are left out.
function membersOf(row) {
	return Object.entries(row).flatMap(([key, value]) => {
		if (!(value instanceof Object))
			return [[titleOf(key), formatMember(key, value, "seconds")]];
		if (!Object.hasOwn(GROUPS, key))
			return Object.entries(value).filter(([, count]) => count !== 0).map(([reason, count]) =>
				[`${titleOf(key)}: ${reason}`, FORMATS.count(count)]);
		return Object.entries(value).map(([inner, figure]) =>
			[`${GROUPS[key]} ${titleOf(inner).toLowerCase()}`, formatMember(inner, figure, "delay")]);
	});
}

// By the unit that the key names; TIMES says how long durations are.
function formatMember(key, value, times) {
	if (value === null)
		return UNKNOWN;
	if (typeof value === "boolean")
		return value ? "yes" : "no";
	if (typeof value === "string")
		return key === "since" ? FORMATS.moment(value) : value;
	if (key.endsWith("_bytes_per_second"))
		return FORMATS.rate(value);
	if (key.endsWith("_seconds"))
		return FORMATS[times](value);
	if (key.endsWith("_bytes") || key.startsWith("bytes_"))
		return FORMATS.bytes(value);
	if (key === "delivery_rate")
		return FORMATS.rate(value);
	if (key === "connections_limit")
		return FORMATS.limit(value);
	return key === "id" ? String(value) : FORMATS.count(value);
}

class Details {
	constructor() {
		this.dialog = byId("details");
		this.id = 0;	// of the connection shown, 0: none
		this.listener = null;	// the name of the listener shown
		this.closed = false;
		byId("details-close").addEventListener("click", () => this.dialog.close());
		this.dialog.addEventListener("close", () => Object.assign(this, { id: 0, listener: null }));
		this.dialog.addEventListener("click", (event) => {
			if (event.target === this.dialog)
				this.dialog.close();
		});
	}

	get path() {
		return this.id > 0 && !this.closed ? `connections/${this.id}` : "";
	}

	// Open for one row of the table; the daemon's own answer follows.
	open(id) {
		const row = connections.rows.find((candidate) => String(candidate.id) === id);
		if (!row)
			return;
		const { rate, ...connection } = row;	// the rate is ours
		this.id = row.id;
		this.begin(`Connection ${id}`, connection, "To close it:", `echoctl close ${id}`);
		askNow();
	}

	openListener(name) {
		const row = lastStats?.listeners?.find((candidate) => candidate.name === name);
		if (!row)
			return;
		this.listener = name;
		const [hint, verb] = isDatagram(row)
			? ["Who sends to it:", "sources"] : ["Its connections:", "connections"];
		this.begin(`Listener ${name}`, row, hint, `echoctl ${verb} -l ${name}`);
	}

	begin(title, row, hint, command) {
		this.closed = false;
		setText(byId("details-title"), title);
		setText(byId("details-hint"), hint);
		setText(byId("details-command"), command);
		this.fill(row);
		this.dialog.showModal();
	}

	fill(row) {
		setText(byId("details-state"), "");
		fillList(byId("details-list"), membersOf(row));
	}

	// Take an answer of /connections/ID, or of /stats.

	show(connection) {
		if (connection.id === this.id)
			this.fill(connection);
	}

	showListener(listeners) {
		const row = listeners?.find(({ name }) => name === this.listener);
		if (row && this.listener !== null)
			this.fill(row);
	}

	// The connection ID is closed.
	gone(id) {
		this.closed = id === this.id;
		if (this.closed)
			setText(byId("details-state"), "This connection is closed.");
	}
}
