// The tables. Rows are kept and rewritten in place: focus, scrolling and the layout stay.

// Make BODY have as many rows as ITEMS; fill(row, item) writes one, newRow() makes one.
function fillRows(body, items, newRow, fill) {
	while (body.rows.length > items.length)
		body.lastElementChild.remove();
	while (body.rows.length < items.length)
		body.append(newRow());
	items.forEach((item, i) => fill(body.rows[i], item));
}

function newPlainRow(columns) {
	return () => {
		const row = document.createElement("tr");
		const head = make("th");
		head.scope = "row";
		row.append(head);
		for (let i = 1; i < columns; i++)
			row.append(make("td"));
		return row;
	};
}

function setNumber(cell, text) {
	cell.className = "n";
	setText(cell, text);
}

// In the words of echoctl status.
function listenerState(listener) {
	if (listener.accepting)
		return "accepting";
	return listener.address === null ? "closed" : "not accepting";
}

function showListeners(listeners) {
	fillRows(byId("listeners"), listeners ?? [], newPlainRow(9), (row, listener) => {
		const [name, address, state, ...numbers] = row.cells;
		setText(name, listener.name);
		// a listener that was closed is still known by where it was
		if (listener.address !== null || row.dataset.name !== listener.name)
			setText(address, listener.address ?? "");
		row.dataset.name = listener.name;
		address.className = "long";
		state.className = "word";
		setWord(state, listenerState(listener));
		[
			FORMATS.count(listener.connections),
			FORMATS.count(listener.connections_accepted),
			FORMATS.sum(listener.connections_rejected ?? {}),
			FORMATS.bytes(listener.received_bytes),
			FORMATS.bytes(listener.sent_bytes),
			FORMATS.bytes(listener.pending_bytes),
		].forEach((text, i) => setNumber(numbers[i], text));
	});
}

function showWorkers(workers) {
	fillRows(byId("workers"), workers ?? [], newPlainRow(4), (row, worker) => {
		setText(row.cells[0], FORMATS.text(worker.id));
		setNumber(row.cells[1], FORMATS.count(worker.connections));
		setNumber(row.cells[2], FORMATS.delay(worker.loop_lag?.p50_seconds));
		setNumber(row.cells[3], FORMATS.delay(worker.loop_lag?.p99_seconds));
	});
}

function newFold() {
	const fold = make("details");
	const summary = make("summary");
	const table = make("table");
	summary.append(make("span"), make("span"));
	table.append(make("tbody"));
	fold.append(summary, table);
	return fold;
}

// One fold for each family of counters; the first is open until somebody closes it.
function showReasons(totals) {
	const families = Object.entries(totals).filter(([, value]) => value instanceof Object);
	const box = byId("reasons");
	while (box.children.length > families.length)
		box.lastElementChild.remove();
	while (box.children.length < families.length)
		box.append(newFold());
	if (box.dataset.drawn === undefined && families.length > 0) {
		box.dataset.drawn = "";
		box.firstElementChild.open = true;
	}
	families.forEach(([key, family], i) => {
		const [summary, table] = box.children[i].children;
		setText(summary.firstChild, titleOf(key));
		setText(summary.lastChild, FORMATS.sum(family));
		fillRows(table.tBodies[0], Object.entries(family), newPlainRow(2), (row, [reason, count]) => {
			row.dataset.counter = `${key}.${reason}`;
			// counters that never moved step back
			row.classList.toggle("nothing", count === 0);
			setText(row.cells[0], reason);
			setNumber(row.cells[1], FORMATS.count(count));
		});
	});
}

// The connections. "by" is what the daemon can sort by: it then chooses which of many are shown.
const COLUMNS = [
	{ key: "id", title: "Id", as: "text", number: true },
	{ key: "peer", title: "Peer", as: "text" },
	{ key: "listener", title: "Listener", as: "text" },
	{ key: "state", title: "State", as: "text" },
	{ key: "age_seconds", title: "Age", as: "seconds", number: true, by: "age" },
	{ key: "idle_seconds", title: "Idle", as: "seconds", number: true, by: "idle" },
	{ key: "rate", title: "Rate", as: "rate", number: true, wide: true },
	{ key: "bytes_in", title: "Bytes in", as: "bytes", number: true, by: "bytes_in" },
	{ key: "bytes_out", title: "Bytes out", as: "bytes", number: true, by: "bytes_out" },
	{ key: "pending_bytes", title: "Pending", as: "bytes", number: true, by: "pending" },
	{ key: "worker", title: "Worker", as: "count", number: true },
];
const ROWS = 100;
const SHORTEST = 0.5;	// seconds over which a rate means something

class Connections {
	// onChange: another question is to be asked. onOpen(id): details are wanted.
	constructor(onChange, onOpen) {
		this.table = byId("connections");
		this.onChange = onChange;
		this.onOpen = onOpen;
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
		this.showSort();
	}

	newHead(column) {
		const head = make("th", column.number ? "n" : "");
		const button = make("button", "", column.title);
		const way = make("span", "way");
		head.scope = "col";
		button.type = "button";
		way.setAttribute("aria-hidden", "true");
		button.append(way);
		button.addEventListener("click", () => this.sortBy(column));
		head.append(button);
		return head;
	}

	sortBy(column) {
		this.ascending = column === this.sort ? !this.ascending : !column.number;
		this.sort = column;
		if (column.by)
			this.asked = column;
		this.showSort();
		this.show();
		if (column.by)
			this.onChange();
	}

	showSort() {
		COLUMNS.forEach((column, i) => {
			if (column === this.sort)
				this.heads[i].setAttribute("aria-sort", this.ascending ? "ascending" : "descending");
			else
				this.heads[i].removeAttribute("aria-sort");
		});
	}

	query(peer) {
		const ascending = this.asked === this.sort && this.ascending;
		const parts = [`limit=${ROWS}`, `sort=${this.asked.by}`, `order=${ascending ? "asc" : "desc"}`];
		if (peer)
			parts.push(`peer=${peer}`);
		return `connections?${parts.join("&")}`;
	}

	// Take an answer of /connections that came at TIME (seconds).
	take(answer, time) {
		const passed = time - this.time;
		const measure = passed >= SHORTEST;
		const before = this.measured;
		if (measure) {
			this.measured = new Map();
			this.time = time;
		}
		this.rows = answer.connections.map((row) => {
			const { bytes, rate } = before.get(row.id) ?? { bytes: NaN, rate: NaN };
			const now = measure ? Math.max(row.bytes_in - bytes, 0) / passed : rate;
			if (measure)
				this.measured.set(row.id, { bytes: row.bytes_in, rate: now });
			return { ...row, rate: now };
		});
		this.matched = answer.matched ?? answer.total;
		this.show();
	}

	// By key, unknown last, equal ones by id.
	sorted() {
		const { key, number } = this.sort;
		const way = this.ascending ? 1 : -1;
		const compare = number
			? (a, b) => (a[key] ?? NaN) - (b[key] ?? NaN)
			: (a, b) => String(a[key]).localeCompare(String(b[key]), "en", { numeric: true });
		return this.rows.toSorted((a, b) => {
			const known = Number.isNaN(b[key] ?? NaN) - Number.isNaN(a[key] ?? NaN);
			if (number && known !== 0)
				return -known;
			return way * compare(a, b) || a.id - b.id;
		});
	}

	describe() {
		const shown = this.rows.length;
		if (this.hint)
			return this.hint;
		if (shown === 0)
			return "";
		if (shown >= this.matched)
			return shown === 1 ? "1 connection" : `All ${formatCount(shown)} connections`;
		const ascending = this.asked === this.sort && this.ascending;
		const which = `${ascending ? "least" : "most"} ${this.asked.title.toLowerCase()} first`;
		return `${formatCount(shown)} of ${formatCount(this.matched)} connections, chosen by: ${which}`;
	}

	show() {
		const fill = (row, item) => this.fill(row, item);
		fillRows(this.table.tBodies[0], this.sorted(), () => this.newRow(), fill);
		setText(byId("shown"), this.describe());
		byId("none").hidden = this.rows.length > 0;
	}

	newRow() {
		const row = document.createElement("tr");
		for (const column of COLUMNS)
			row.append(make("td", column.number ? (column.wide ? "n wide" : "n") : ""));
		const button = make("button");
		button.type = "button";
		button.addEventListener("click", () => this.onOpen(Number(button.textContent)));
		row.cells[0].append(button);
		return row;
	}

	fill(row, item) {
		COLUMNS.forEach((column, i) => {
			const cell = row.cells[i];
			const value = item[column.key];
			const text = value === undefined || value === null ? UNKNOWN : FORMATS[column.as](value);
			if (column.key === "id")
				setText(cell.firstChild, text);
			else if (column.key === "state")
				this.fillState(cell, item);
			else
				setText(cell, text);
			if (column.key === "peer") {
				cell.className = "long";
				cell.title = text;
			}
		});
	}

	fillState(cell, item) {
		cell.className = "word";
		setWord(cell, item.read_paused && item.state === "open" ? "read paused" : String(item.state));
	}
}
