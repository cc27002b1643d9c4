# SPDX-License-Identifier: BSD-2-Clause
"""The tables, in Markdown that reads as plain text too."""

import statistics

from . import verdicts

BEGIN = "<!-- bench/compare: begin -->"
END = "<!-- bench/compare: end -->"
BUSY_OTHERS = 0.05


def table(head, rows):
    """A Markdown table with columns of one width; all but the first are set to the right."""
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]

    def line(cells):
        first = cells[0].ljust(widths[0])
        return "| " + " | ".join([first] + [cell.rjust(width) for cell, width
                                            in zip(cells[1:], widths[1:])]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)]
                          + ["-" * (width + 1) + ":" for width in widths[1:]]) + "|"
    return [line(head), rule] + [line(row) for row in rows]


def number(value, digits=3):
    """With that many digits that count, and no more than that after the point."""
    if value is None:
        return "-"
    before = len(str(int(abs(value))))
    return f"{value:.{max(0, digits - before)}f}"


def share(value):
    return "-" if value is None else f"{100 * value:.0f} %"


def _row(figures, workload, server):
    def median(field):
        return figures.median(workload.name, server.name, field)

    def ratio(field):
        if server.name == "echod":
            return "1"
        return number(figures.ratio((workload.name, "echod"), (workload.name, server.name), field))

    rate, rss = median("per_second"), median("rss_kib")
    failed = len(figures.errors(workload.name, server.name))
    name = server.name + (f" ({failed} failed)" if failed else "")
    row = [name, "-" if rate is None else f"{rate:.0f}", number(median("mb_per_second")),
           number(median("cpu_us")), number(median("p50_us")), number(median("p99_us")),
           "-" if rss is None else f"{rss / 1024:.1f}", share(median("server_busy")),
           share(median("generator_busy")), ratio("per_second"), ratio("cpu_us"), ratio("p99_us")]
    if workload.idle:
        row.append(number(median("idle_bytes"), 4))
    if workload.loss_most:
        row.append("-" if median("lost") is None else f"{100 * median('lost'):.2f} %")
    return row


def workload_table(figures, workload, servers):
    unit = workload.unit
    head = ["server", f"{unit}s/s", "MB/s", f"CPU us/{unit}", "p50 us", "p99 us", "RSS MiB",
            "server busy", "generator busy", "throughput ratio", "CPU ratio", "p99 ratio"]
    if workload.idle:
        head.append("bytes/idle")
    if workload.loss_most:
        head.append("lost")
    rows = [_row(figures, workload, server) for server in servers]
    lines = [f"### {workload.name}: {workload.title}", ""] + table(head, rows)
    if workload.workers:
        splits = sorted({text for server in servers for text in
                         figures.texts(workload.name, server.name, "split") if "/" in text})
        lines += ["", f"Connections of each worker: {', '.join(splits) or 'not seen'}."]
    return lines + [""]


def _spread(seen, form):
    """Median and quartiles as two cells."""
    if seen is None:
        return ["-", "-"]
    return [form.format(seen.median), f"{form.format(seen.first)} - {form.format(seen.third)}"]


def verdict_table(judged):
    rows = [[demand.what, f"<= {demand.form.format(demand.bound)}", *_spread(seen, demand.form),
             str(seen.rounds if seen else 0), word] for demand, seen, word in judged]
    lines = (["### What echod has to show (echod divided by the one named last)", ""]
             + table(["demand", "bound", "median", "quartiles", "rounds", "verdict"], rows) + [""])
    rounds = [seen.rounds for _, seen, _ in judged if seen]
    if rounds and min(rounds) < verdicts.ENOUGH_ROUNDS:
        lines += [f"With fewer than {verdicts.ENOUGH_ROUNDS} rounds a verdict is a hint.", ""]
    return lines


def baseline_table(figures, steps):
    """Echod beside one peer, in every workload that both take part in."""
    rows = []
    for workload, _ in steps:
        pair = (workload.name, "echod"), (workload.name, verdicts.BASELINE)
        seen = verdicts.spread(figures.ratios(*pair, "cpu_us"))
        if seen:
            rows.append([workload.name, *_spread(seen, "{:.2f}"), str(seen.rounds),
                         verdicts.standing(seen), number(figures.ratio(*pair, "per_second")),
                         number(figures.ratio(*pair, "p99_us"))])
    if not rows:
        return []
    return ([f"### echod beside {verdicts.BASELINE} (echod divided by {verdicts.BASELINE})", ""]
            + table(["workload", "CPU ratio", "quartiles", "rounds", "echod is",
                     "throughput ratio", "p99 ratio"], rows) + [""])


def noise(figures):
    """A sentence on what else ran."""
    values = figures.all("others_busy")
    if not values:
        return []
    middle, most = statistics.median(values), max(values)
    line = (f"Neither server nor generator: {share(middle)} of all CPU time (median), "
            f"{share(most)} at most.")
    if middle > BUSY_OTHERS:
        line += " The machine was busy with something else: do not trust these figures."
    return [line, ""]


def whole(command, facts, notes, figures, steps, judged):
    """Everything, as lines."""
    lines = [f"Command: `{command}`", ""] + [f"- {name}: {text}" for name, text in facts]
    lines += [f"- {note}" for note in notes] + [""] + noise(figures)
    lines += ["Medians of the rounds that a server took part in. Ratios are echod divided by the "
              "server of the row, of each round; their median is shown.", ""]
    for workload, taking_part in steps:
        lines += workload_table(figures, workload, taking_part)
    return lines + baseline_table(figures, steps) + verdict_table(judged)


def put_into(path, lines):
    """Replace what stands between the two marks of a document."""
    with open(path, encoding="utf-8") as file:
        before, mark, rest = file.read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{path} lacks the marks {BEGIN} and {END}")
    text = "\n".join(lines).strip()
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{text}\n{END}{after}")
