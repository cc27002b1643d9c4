// One connection in a dialog of its own, with what the kernel knows of it.

// The members of an answer, those of "tcp" after its own, as [title, text]: what is new in the
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
	constructor(onChange) {
		this.dialog = byId("details");
		this.list = byId("details-list");
		this.onChange = onChange;
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
	open(row) {
		this.id = row.id;
		this.closed = false;
		setText(byId("details-title"), `Connection ${row.id}`);
		setText(byId("details-command"), `echoctl close ${row.id}`);
		this.list.replaceChildren();
		this.show(row);
		this.dialog.showModal();
		this.onChange();
	}

	show(connection) {
		if (connection.id !== this.id)
			return;
		setText(byId("details-state"), "");
		const members = membersOf(connection);
		if (this.list.children.length !== members.length)
			this.list.replaceChildren(...members.map(() => {
				const line = make("div");
				line.append(make("dt"), make("dd"));
				return line;
			}));
		members.forEach(([title, text], i) => {
			const [name, value] = this.list.children[i].children;
			setText(name, title);
			setText(value, text);
		});
	}

	gone() {
		this.closed = true;
		setText(byId("details-state"), "This connection is closed.");
	}
}
