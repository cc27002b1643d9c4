// One connection in a dialog of its own, with what the kernel knows of it.

const DETAILS = [
	["peer", "Peer", "text"],
	["proxied_peer", "Behind a proxy", "text"],
	["local", "Local", "text"],
	["listener", "Listener", "text"],
	["transport", "Transport", "text"],
	["worker", "Worker", "text"],
	["state", "State", "text"],
	["since", "Since", "moment"],
	["age_seconds", "Age", "seconds"],
	["idle_seconds", "Idle", "seconds"],
	["bytes_in", "Received", "bytes"],
	["bytes_out", "Sent", "bytes"],
	["reads", "Reads", "count"],
	["pending_bytes", "Waiting", "bytes"],
	["read_paused", "Reading paused", "yesno"],
	["pauses", "Pauses", "count"],
	["paused_seconds", "Paused for", "seconds"],
	["tcp.rtt_seconds", "Round trip", "delay"],
	["tcp.rttvar_seconds", "Round trip variance", "delay"],
	["tcp.min_rtt_seconds", "Least round trip", "delay"],
	["tcp.retransmits", "Retransmits", "count"],
	["tcp.mss", "Segment size", "bytes"],
	["tcp.cwnd", "Congestion window", "count"],
	["tcp.delivery_rate", "Delivery rate", "rate"],
];

class Details {
	constructor(onChange) {
		this.dialog = byId("details");
		this.list = byId("details-list");
		this.onChange = onChange;
		this.id = 0;	// of the connection shown, 0: none
		this.ended = false;
		byId("details-close").addEventListener("click", () => this.dialog.close());
		this.dialog.addEventListener("close", () => { this.id = 0; });
		this.dialog.addEventListener("click", (event) => {
			if (event.target === this.dialog)
				this.dialog.close();
		});
	}

	get path() {
		return this.id > 0 && !this.ended ? `connections/${this.id}` : "";
	}

	// Open for one row of the table; the daemon's own answer follows.
	open(row) {
		this.id = row.id;
		this.ended = false;
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
		const known = DETAILS.filter(([key]) => (lookUp(connection, key) ?? null) !== null);
		if (this.list.children.length !== known.length)
			this.list.replaceChildren(...known.map(() => {
				const line = make("div");
				line.append(make("dt"), make("dd"));
				return line;
			}));
		known.forEach(([key, title, as], i) => {
			const [name, value] = this.list.children[i].children;
			setText(name, title);
			setText(value, FORMATS[as](lookUp(connection, key)));
		});
	}

	gone() {
		this.ended = true;
		setText(byId("details-state"), "This connection has ended.");
	}
}
