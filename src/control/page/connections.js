// What /connections says: the table of the open connections, and one of them in a dialog of its own.

// "by" is what the daemon can sort by: it then chooses which of many are shown.
const COLUMNS = [
	{ key: "id", title: "Id", as: "text", number: true, press: (id) => details.open(id) },
	{ key: "peer", title: "Peer", as: "text", className: "long" },
	{ key: "listener", title: "Listener", as: "text" },
	{ key: "state", title: "State", text: connectionState, className: "word" },
	{ key: "age_seconds", title: "Age", as: "seconds", number: true, by: "age" },
	{ key: "idle_seconds", title: "Idle", as: "seconds", number: true, by: "idle" },
	{ key: "rate", title: "Rate", as: "rate", number: true, className: "n wide" },
	{ key: "bytes_in", title: "Bytes in", as: "bytes", number: true, by: "bytes_in" },
	{ key: "bytes_out", title: "Bytes out", as: "bytes", number: true, by: "bytes_out" },
	{ key: "pending_bytes", title: "Pending", as: "bytes", number: true, by: "pending" },
	{ key: "worker", title: "Worker", as: "count", number: true },
];
const ROWS = 100;
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
		this.hint = "";	// why the peers are not those that were asked for
		this.measured = new Map();	// by id: bytes received at the last measure, and the rate then
		this.time = 0;
		this.heads = COLUMNS.map((column) => this.newHead(column));
		this.table.tHead.rows[0].append(...this.heads);
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
			askNow();
		}
		this.show(this.hint);
	}

	// Whether the daemon is asked for the least first.
	get least() {
		return this.asked === this.sort && this.ascending;
	}

	query(peer) {
		const order = this.least ? "asc" : "desc";
		return `connections?limit=${ROWS}&sort=${this.asked.by}&order=${order}${peer && `&peer=${peer}`}`;
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
		const which = `${this.least ? "least" : "most"} ${this.asked.title.toLowerCase()} first`;
		return `${FORMATS.count(shown)} of ${FORMATS.count(this.matched)} connections, chosen by: ${which}`;
	}

	show(hint) {
		const way = this.ascending ? "ascending" : "descending";
		this.hint = hint;
		COLUMNS.forEach((column, i) => { this.heads[i].ariaSort = column === this.sort ? way : null; });
		fillTable(this.table.tBodies[0], this.sorted(), COLUMNS);
		setText(byId("shown"), this.describe());
		byId("none").hidden = this.rows.length > 0;
	}
}

// The members of a connection, those of "tcp" after its own, as [title, text]: what is new in the
// daemon needs no word here.
function membersOf(connection) {
	return Object.entries(connection).flatMap(([key, value]) => {
		if (value instanceof Object)
			return Object.entries(value).map(([inner, figure]) =>
				[`${key.toUpperCase()} ${titleOf(inner).toLowerCase()}`, formatMember(inner, figure, "delay")]);
		return [[titleOf(key), formatMember(key, value, "seconds")]];
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
	if (key.endsWith("_seconds"))
		return FORMATS[times](value);
	if (key.endsWith("_bytes") || key.startsWith("bytes_"))
		return FORMATS.bytes(value);
	if (key.endsWith("rate"))
		return FORMATS.rate(value);
	return key === "id" ? String(value) : FORMATS.count(value);
}

class Details {
	constructor() {
		this.dialog = byId("details");
		this.id = 0;	// of the connection shown, 0: none
		this.closed = false;
		byId("details-close").addEventListener("click", () => this.dialog.close());
		this.dialog.addEventListener("close", () => { this.id = 0; });
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
		this.closed = false;
		setText(byId("details-title"), `Connection ${id}`);
		setText(byId("details-command"), `echoctl close ${id}`);
		this.show(connection);
		this.dialog.showModal();
		askNow();
	}

	show(connection) {
		if (connection.id !== this.id)
			return;
		const members = membersOf(connection);
		setText(byId("details-state"), "");
		setCount(byId("details-list"), members.length, () => copyOf("member"));
		members.forEach(([title, text], i) => {
			const [name, value] = byId("details-list").children[i].children;
			setText(name, title);
			setText(value, text);
		});
	}

	// The connection ID is closed.
	gone(id) {
		this.closed = id === this.id;
		if (this.closed)
			setText(byId("details-state"), "This connection is closed.");
	}
}
