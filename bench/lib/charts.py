# SPDX-License-Identifier: BSD-2-Clause
"""SVG charts, drawn by gnuplot: three panels a workload, and ratios over all workloads."""

import os
import shutil
import statistics
import subprocess

from .report import number

DRAW_SECONDS = 60
OURS, THEIRS = "0x1b6ca8", "0xb8c4ce"
COLOURS = ["#1b6ca8", "#d1495b", "#edae49", "#66a182", "#7d5ba6"]
BAR_MOST = 4    # times the median
PANELS = [("per_second", "{unit}s/s, more is better"),
          ("cpu_us", "CPU us/{unit}, less is better"),
          ("p99_us", "p99 us, less is better")]
OVERVIEWS = [("cpu_us", "overview-cpu", "server CPU time: peer divided by echod"),
             ("per_second", "overview-throughput", "throughput: peer divided by echod")]
OVERVIEW_PEERS = ["epoll", "bufferevent", "libuv", "go", "io_uring"]


def _draw(script):
    result = subprocess.run(["gnuplot", "-"], input=script, capture_output=True, text=True,
                            check=False, timeout=DRAW_SECONDS)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        raise OSError(f"gnuplot: {lines[-1] if lines else 'failed'}")


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("_", "\\\\_") + '"'


def _path(folder, name):
    return '"' + os.path.join(folder, name + ".svg").replace("\\", "\\\\").replace('"', '\\"') + '"'


def _terminal(width, height):
    return (f"set terminal svg size {width},{height} font 'sans-serif,11' "
            "background '#ffffff'")


def _block(name, rows):
    return f"${name} << END_OF_ROWS\n" + "".join(row + "\n" for row in rows) + "END_OF_ROWS"


def _values(figures, workload, servers, field):
    """(server's name, median) of those that have one, in the order of the table."""
    values = [(server.name, figures.median(workload.name, server.name, field))
              for server in servers]
    return [(name, value) for name, value in values if value is not None]


def _panel(index, label, values):
    """One bar a server with its figure behind it; a bar far beyond the others is cut short."""
    places = [(len(values) - 1 - i, name, value) for i, (name, value) in enumerate(values)]
    middle = statistics.median(value for _, value in values)
    ours = max((value for name, value in values if name.startswith("echod")), default=0)
    right = max(min(max(value for _, value in values), BAR_MOST * middle), ours) or 1
    ticks = ", ".join(f"{_quoted(name)} {place}" for place, name, _ in places)
    rows = [f"{place} {min(value, right):.6g} {OURS if name.startswith('echod') else THEIRS} "
            f'"{number(value)}{" >" if value > right else ""}"' for place, name, value in places]
    return [_block(f"panel{index}", rows), f"set ytics ({ticks})",
            f"set yrange [-0.6:{len(values) - 0.4}]", f"set xrange [0:{right * 1.3:.6g}]",
            f"set title {_quoted(label)} font ',10'",
            f"plot $panel{index} using (0):1:(0):2:($1-0.35):($1+0.35):3 "
            "with boxxyerror lc rgb variable, "
            f"$panel{index} using 2:1:4 with labels left offset 0.5,0 font ',9'"]


def _workload_script(figures, workload, servers, folder):
    panels = [(label.format(unit=workload.unit), _values(figures, workload, servers, field))
              for field, label in PANELS]
    panels = [(label, values) for label, values in panels if values]
    if not panels:
        return None
    height = 80 + 24 * max(len(values) for _, values in panels)
    script = [_terminal(330 * len(panels), height), f"set output {_path(folder, workload.name)}",
              f"set multiplot layout 1,{len(panels)} title {_quoted(workload.title)}",
              "set style fill solid noborder", "unset key", "unset border", "unset xtics",
              "set ytics scale 0"]
    for index, (label, values) in enumerate(panels):
        script += _panel(index, label, values)
    return "\n".join(script + ["unset multiplot", ""])


def _overview_script(figures, steps, field, name, title, folder):
    """Bars that start at 1: up where the peer has more of it than echod, down where less."""
    workloads = [workload.name for workload, servers in steps if not workload.workers
                 and any(server.name in OVERVIEW_PEERS for server in servers)]
    ratios = {peer: [figures.ratio((workload, peer), (workload, "echod"), field)
                     for workload in workloads] for peer in OVERVIEW_PEERS}
    peers = [peer for peer in OVERVIEW_PEERS if any(ratios[peer])]
    if not peers:
        return None
    width = 0.8 / len(peers)
    blocks, plots = [], []
    for index, peer in enumerate(peers):
        lefts = [place - 0.4 + index * width for place in range(len(workloads))]
        blocks.append(_block(f"peer{index}", [
            f"{left:.4f} {left + width:.4f} {ratio:.4g}"
            for left, ratio in zip(lefts, ratios[peer]) if ratio]))
        plots.append(f"$peer{index} using 1:(1):1:2:(1):3 with boxxyerror "
                     f"lc rgb '{COLOURS[index]}' title {_quoted(peer)}")
    ticks = ", ".join(f"{_quoted(workload)} {place}" for place, workload in enumerate(workloads))
    return "\n".join([
        _terminal(max(700, 90 * len(workloads)), 420), f"set output {_path(folder, name)}", *blocks,
        f"set title {_quoted(title)}", "set style fill solid noborder", "set logscale y 2",
        "set grid y lc '#dddddd'", "set border 2", "set tics nomirror", "set key outside right",
        f"set xtics ({ticks}) rotate by -30 scale 0", f"set xrange [-0.6:{len(workloads) - 0.4}]",
        "set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2 lc '#333333' front",
        "plot " + ", ".join(plots), ""])


def draw(figures, steps, folder):
    """Write the charts into the folder; return how many. Raises OSError."""
    if shutil.which("gnuplot") is None:
        raise OSError("gnuplot is not installed")
    os.makedirs(folder, exist_ok=True)
    scripts = [_workload_script(figures, workload, servers, folder) for workload, servers in steps]
    scripts += [_overview_script(figures, steps, field, name, title, folder)
                for field, name, title in OVERVIEWS]
    scripts = [script for script in scripts if script]
    for script in scripts:
        _draw(script)
    return len(scripts)
