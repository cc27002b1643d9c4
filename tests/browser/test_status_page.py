# SPDX-License-Identifier: BSD-2-Clause
"""The status page in a real browser: it lives, it can be used by all, and it trusts nobody."""

import math
import os
import re
import signal
import threading
import time

import pytest

from conftest import HOSTILE
from harness import KIB, MIB, StreamLoad, exchange, fill, pause, wait_until
from harness.datagrams import client_of, udp_listener
from relay import Relay

UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

# Contrast of text, as WCAG 2 counts it, over everything that shows text of its own.
CONTRAST = """
const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
function paper(node) {
    for (; node; node = node.parentElement) {
        const [r, g, b, a = 1] = parse(getComputedStyle(node).backgroundColor);
        if (a === 1)
            return [r, g, b];
    }
    return [255, 255, 255];
}
return [...document.body.querySelectorAll("*")].filter((node) => node.checkVisibility()
    && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .map((node) => {
        const style = getComputedStyle(node);
        const ink = parse(node instanceof SVGElement ? style.fill : style.color);
        const [a, b] = [light(ink), light(paper(node))].sort((x, y) => y - x);
        return [(a + 0.05) / (b + 0.05), node.localName + "." + node.className, node.textContent];
    });
"""


MACHINE = "echo-eu-central-1b-0a1b2c3d4e5f.compute.internal.example"
LONG = "a-listener-whose-name-is-as-long-as-a-name-may-be." + "x" * 14


class Flood:
    """Sends 200 datagrams a second from another thread."""

    def __init__(self, sender):
        self.sender = sender
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(0.005):
            self.sender.send()

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def number(text):
    """A figure of the page as a number: "1,234", "1.50 MiB", "300 KiB/s"."""
    value, _, unit = text.replace(",", "").partition(" ")
    return float(value) * UNITS[unit.removesuffix("/s")] if unit else float(value)


def total(browser, path, form):
    return number(browser.text(f'.tiles [data-figure="totals.{path}"][data-as="{form}"]'))


def column(browser, name):
    """The texts of one column of the table of connections."""
    titles = browser.texts("#connections thead button")
    place = titles.index(name) + 1
    return browser.texts(f"#connections tbody td:nth-child({place})")


def is_sorted(texts, descending):
    values = [number(text) for text in texts]
    return len(set(values)) > 1 and values == sorted(values, reverse=descending)


def clients(daemon, sizes, name="echo"):
    for size in sizes:
        exchange(daemon.connect(name), bytes(size))


def test_loads_and_lives_without_a_complaint(daemon, show):
    browser = show(daemon)
    title = "ready \u00b7 %s \u00b7 echod %s:%d" % (os.uname().nodename, *daemon.control.address)
    assert browser.run("return document.title") == title
    for _ in range(3):
        up = browser.text('[data-figure="process.uptime_seconds"]')
        wait_until(
            lambda up=up: browser.text('[data-figure="process.uptime_seconds"]') != up,
            10,
            "the time goes on",
        )
    assert browser.complaints() == []


def test_a_violation_would_be_seen(daemon, show):
    """What the other tests rely on: the policy holds, and its violations are complaints."""
    browser = show(daemon)
    browser.run(
        """const script = document.createElement("script");
        script.textContent = "window.pwned = 1";
        document.body.append(script);
        document.body.setAttribute("style", "color: red");
        fetch("http://127.0.0.2:1/").catch(() => 0);
        new Image().src = "http://127.0.0.2:1/";"""
    )
    wait_until(
        lambda: sum("Content Security Policy" in text for text in browser.complaints()) >= 4,
        5,
        "four violations",
    )
    assert browser.run("return window.pwned") is None


def test_asks_only_where_it_comes_from(daemon, show):
    browser = show(daemon)
    names = browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    origin = "http://%s:%d/" % daemon.control.address
    assert names
    assert {name.removeprefix(origin).partition("?")[0] for name in names} <= {
        "stats", "history", "connections", "sources", "events"
    }


def test_figures_move_while_traffic_flows(daemon, show):
    browser = show(daemon)
    socks = [daemon.connect() for _ in range(8)]
    with StreamLoad(socks, block=16 * KIB) as load:
        wait_until(lambda: total(browser, "connections", "count") == 8, 5, "8 clients")
        wait_until(lambda: number(browser.text("#rate-in")) > 0, 5, "a rate in")
        wait_until(lambda: number(browser.text("#rate-out")) > 0, 5, "a rate out")
        first = total(browser, "received_bytes", "count")
        wait_until(
            lambda: total(browser, "received_bytes", "count") > first > 0, 5, "more bytes"
        )
        wait_until(
            lambda: any(number(text) > 0 for text in column(browser, "Rate") if text != "\u2013"),
            5,
            "rates of connections",
        )
        for path in browser.find_all("#throughput .stroke, #open .stroke"):
            wait_until(
                lambda path=path: path.attribute("d").count("L") >= 2, 8, "a line is drawn"
            )
        load.check()
        load.finish()
        wanted = load.received
    for path in ("received_bytes", "sent_bytes"):
        wait_until(
            lambda path=path: total(browser, path, "count") == wanted, 5, f"{path} at last"
        )
    wait_until(lambda: number(browser.text("#rate-in")) == 0, 5, "rest")
    assert browser.texts("#listeners tr:first-child td")[2:7] == ["0", "8", "none", "8", "0"]
    assert browser.text('[data-counter="connections_closed.client_fin"] td') == "8"


def test_throughput_of_the_chart_is_that_of_the_traffic(daemon, show):
    """Two MiB at once, then nothing: the peak of the axis fits, and the line comes back down."""
    browser = show(daemon)
    clients(daemon, [2 * MIB])
    wait_until(
        lambda: "2 MiB/s" in " ".join(browser.texts("#throughput text")), 5, "the axis"
    )
    wait_until(lambda: number(browser.text("#rate-in")) == 0, 5, "rest")
    peak = browser.run(
        """const box = document.querySelector("#throughput .stroke.in").getBBox();
        return box.height / document.querySelector("#throughput").clientHeight;"""
    )
    assert 0.1 < peak < 0.6


@pytest.mark.parametrize("title", ["Bytes in", "Age", "Id"])
def test_sorting_by_mouse(daemon, show, title):
    clients(daemon, [3000, 1, 200000, 40, 5000000])
    browser = show(daemon)
    wait_until(lambda: len(column(browser, title)) == 5, 5, "five rows")
    place = browser.texts("#connections thead button").index(title) + 1
    head = f"#connections thead th:nth-child({place})"
    # a sorted column is in order already; each press turns it
    for _ in range(3):
        browser.find(head + " button").click()
        way = browser.find(head).attribute("aria-sort")
        assert way in ("ascending", "descending")
        assert browser.find_all("#connections th[aria-sort]")[1:] == []
        if title == "Age":
            continue
        assert is_sorted(column(browser, title), way == "descending")
    assert browser.complaints() == []


def test_order_holds_while_figures_change(daemon, show):
    socks = [daemon.connect() for _ in range(4)]
    browser = show(daemon)
    sent = 0
    for round_number in range(3):
        for factor, sock in enumerate(socks):
            size = 1000 * (factor + 1) ** (1 + (round_number + factor) % 3)
            exchange(sock, bytes(size))
            sent += size
        wait_until(
            lambda sent=sent: total(browser, "received_bytes", "count") == sent, 5, "it shows that"
        )
    rows = daemon.control.connections()["connections"]
    wanted = [str(row["id"]) for row in sorted(rows, key=lambda row: -row["bytes_in"])]
    wait_until(lambda: column(browser, "Id") == wanted, 5, "sorted by bytes received")


def test_sorting_by_keyboard(daemon, show):
    clients(daemon, [3000, 1, 200000])
    browser = show(daemon)
    wait_until(lambda: len(column(browser, "Bytes out")) == 3, 5, "three rows")
    focused = "return document.activeElement.textContent"
    for _ in range(60):
        browser.press("Tab")
        if browser.run(focused) == "Bytes out":
            break
    assert browser.run(focused) == "Bytes out", "Tab does not lead to the heading"
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus cannot be seen"
    for key in ("Enter", "Space", "Enter"):
        before = browser.run("return document.activeElement.closest('th').ariaSort")
        browser.press(key)
        way = browser.run("return document.activeElement.closest('th').ariaSort")
        assert way != before and way in ("ascending", "descending")
        assert is_sorted(column(browser, "Bytes out"), way == "descending")
    exchange(daemon.connect(), b"x")
    wait_until(lambda: len(column(browser, "Bytes out")) == 4, 5, "a fourth row")
    assert browser.run(focused) == "Bytes out", "an answer took the focus away"


def test_everything_that_can_be_pressed_has_a_name_and_shows_its_focus(daemon, show):
    clients(daemon, [10])
    browser = show(daemon)
    wait_until(lambda: browser.texts("#connections tbody button"), 5, "a row")
    seen = []
    for _ in range(80):
        browser.press("Tab")
        tag, name, outline = browser.run(
            """const node = document.activeElement;
            const by = node.getAttribute("aria-labelledby");
            const name = node.ariaLabel || (by && document.getElementById(by).textContent)
                || node.labels?.[0]?.textContent || node.textContent.trim();
            return [node.localName, name, getComputedStyle(node).outlineStyle];"""
        )
        if tag == "body":
            break
        assert name, f"a {tag} without a name"
        assert outline == "solid", f"{tag} {name}: the focus cannot be seen"
        seen.append(name)
    for name in ("Pause", "Skip to the connections", "Peer", "Bytes in", "1", "metrics"):
        assert name in seen


def test_markup_in_an_address_stays_text(daemon, show):
    browser = show(daemon)
    clients(daemon, [10], "local")
    wait_until(lambda: column(browser, "Listener") == ["local"], 5, "a client")
    address = browser.texts("#listeners tr:nth-child(2) td")[0]
    assert address == daemon.addresses["local"]
    assert address.startswith(HOSTILE)
    browser.find("#connections tbody button").click()
    wait_until(lambda: HOSTILE in browser.text("#details-list"), 5, "the local address")
    assert browser.run("return [document.images.length, window.pwned ?? 0]") == [0, 0]
    assert browser.complaints() == []


def test_markup_in_any_text_of_an_answer_stays_text(daemon, relay, show):
    evil = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script></td>\u202e\'"&lt;'

    def poison(value):
        if isinstance(value, dict):
            return {key: poison(item) for key, item in value.items()}
        if isinstance(value, list):
            return [poison(item) for item in value]
        return evil if isinstance(value, str) else value

    clients(daemon, [10])
    browser = show(relay)
    wait_until(lambda: column(browser, "Peer"), 5, "a row")
    before = browser.run("return document.querySelectorAll('*').length")
    relay.changes = {"/stats": poison, "/connections": poison}
    wait_until(lambda: column(browser, "Peer") == [evil], 5, "the peer")
    assert column(browser, "State") == [evil]
    wait_until(lambda: browser.text("#listeners tr:first-child th") == evil, 5, "name")
    assert browser.text('[data-figure="process.version"]') == evil
    assert browser.run("return [document.images.length, window.pwned ?? 0]") == [0, 0]
    assert browser.run("return document.querySelectorAll('*').length") == before
    assert browser.complaints() == []


def test_answers_with_members_missing_do_no_harm(daemon, relay, show):
    clients(daemon, [10])
    browser = show(relay)

    def poor(stats):
        return {
            "process": {"uptime_seconds": 86400.5},
            "totals": {"connections": 3, "received_bytes": 1, "sent_bytes": 1},
            "listeners": [{"name": "bare"}],
        }

    bare = {"connections": [{"id": 1}], "total": 1}
    relay.changes = {"/stats": poor, "/connections": lambda _: bare}
    wait_until(
        lambda: browser.text('[data-figure="process.uptime_seconds"]') == "1d 0h", 5, "up"
    )
    wait_until(lambda: column(browser, "Peer") == ["\u2013"], 5, "a row without a peer")
    assert browser.find("html").attribute("data-state") == "ready"
    assert not re.search("undefined|NaN|null|Infinity", browser.find("body").text)
    browser.find("#listeners button").click()
    assert browser.text("#details-title") == "Listener bare"
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 1920])
def test_fits_every_width(daemon, show, width):
    clients(daemon, [10] * 3)
    clients(daemon, [10], "local")
    browser = show(daemon)
    browser.view(width=width)
    wait_until(lambda: len(column(browser, "Peer")) == 4, 5, "four rows")
    inner, scroll = browser.run(
        "return [document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert (inner, scroll) == (width, width)
    boxes = browser.run(
        "return [...document.querySelectorAll('.scroll')].map((n) => n.scrollWidth > n.clientWidth)"
    )
    assert any(boxes) == (width < 1000), "tables scroll in their own boxes, where they have to"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_good(daemon, show, scheme):
    clients(daemon, [10] * 2)
    browser = show(daemon)
    browser.view(scheme=scheme, motion="reduce")
    wait_until(lambda: len(column(browser, "Peer")) == 2, 5, "two rows")
    found = browser.run(CONTRAST)
    assert len(found) > 60
    assert [row for row in found if row[0] < 4.5] == []
    paper = re.findall(r"\d+", browser.find("html").style("background-color"))
    assert (sum(map(int, paper[:3])) < 128) == (scheme == "dark")


def test_little_moves_where_people_want_it_so(daemon, show):
    browser = show(daemon)
    moving = """return [...document.querySelectorAll("*")].filter((node) =>
        getComputedStyle(node).transitionDuration.split(", ").some((t) => t !== "0s")
        || getComputedStyle(node).animationName !== "none").length"""
    assert browser.run(moving) > 0
    browser.view(motion="reduce")
    assert browser.run(moving) == 0


def test_nothing_jumps(daemon, show):
    """The browser's own measure: how much of the page was moved by something not asked for."""
    browser = show(daemon)
    browser.run(
        """window.shifts = [];
        new PerformanceObserver((list) => shifts.push(...list.getEntries().map((e) => e.value)))
            .observe({ type: "layout-shift", buffered: true });"""
    )
    socks = [daemon.connect() for _ in range(5)]
    with StreamLoad(socks, block=64 * KIB) as load:
        wait_until(lambda: total(browser, "received_bytes", "count") > MIB, 10, "a MiB")
        pause(3, "what does not jump while figures change")
        load.check()
    assert browser.run("return shifts.reduce((a, b) => a + b, 0)") < 0.02


def test_without_scripts_it_says_where_the_figures_are(daemon, browser, show):
    browser.scripts(False)
    show(daemon, live=False)
    tree = browser.cdp("Accessibility.getFullAXTree")["nodes"]
    said = [node.get("name", {}).get("value") or "" for node in tree if not node["ignored"]]
    for wanted in ("echod", "echoctl status", "/stats", "metrics"):
        assert wanted in said, wanted
    assert "script, which this browser does not run" in " ".join(said)
    for hidden in ("Pause", "Totals", "Listeners", "Open connections", "Close", "draining"):
        assert hidden not in said, hidden
    assert browser.complaints() == []
    browser.find("noscript a").click()
    wait_until(lambda: browser.call("GET", "/url").endswith("/stats"), 5, "the link leads there")


@pytest.mark.parametrize("element", ["script", "style"])
def test_a_changed_script_or_style_does_nothing(daemon, relay, show, element):
    """The policy names each by its hash: one byte more, and the browser refuses it."""
    end = f"</{element}>".encode()
    addition = {"script": b"window.pwned = 1;", "style": b"body { color: red }"}[element]

    def changed(page):
        assert page.count(end) == 1
        return page.replace(end, addition + end)

    relay.rewrite = changed
    browser = show(relay, live=False)
    wait_until(
        lambda: any("Content Security Policy" in text for text in browser.complaints()),
        5,
        "a violation",
    )
    if element == "script":
        assert browser.run("return window.pwned") is None
        assert browser.run("return document.documentElement.dataset.state") is None
        assert relay.asked("/stats") == 0
    else:
        assert browser.find("body").style("color") == "rgba(0, 0, 0, 1)"


def test_every_counter_is_drawn(daemon, relay, show):
    """All families with reasons, by the words of /stats, those that a later daemon adds too."""
    clients(daemon, [10])

    def numbered(stats):
        stats["totals"]["frames_lost"] = {"new_reason": 0}
        count = 1_000_000
        for family in stats["totals"].values():
            if isinstance(family, dict):
                for reason in family:
                    family[reason] = count = count + 1
        return stats

    relay.changes["/stats"] = numbered
    browser = show(relay)
    totals = numbered(daemon.control.stats())["totals"]
    families = {key: value for key, value in totals.items() if isinstance(value, dict)}
    del families["peaks"]  # no counter
    assert {"connections_closed", "datagram_receive_errors", "frames_lost"} <= set(families)
    for key, family in families.items():
        for reason, count in family.items():
            row = f'[data-counter="{key}.{reason}"]'
            assert browser.text(row + " th") == reason
            assert browser.text(row + " td") == f"{count:,}"
    titles = browser.texts("#reasons summary span:first-child")
    assert titles == [key.replace("_", " ").capitalize() for key in families]
    sums = browser.texts("#reasons summary span:last-child")
    assert sums == [f"{sum(family.values()):,}" for family in families.values()]
    assert len(browser.find_all("#reasons details[open]")) == 1
    assert browser.texts("#workers th") == [str(row["id"]) for row in daemon.control.stats()["workers"]]
    browser.find("#reasons summary").click()
    uptime = browser.text('[data-figure="process.uptime_seconds"]')
    wait_until(
        lambda: browser.text('[data-figure="process.uptime_seconds"]') != uptime, 5, "more"
    )
    assert browser.find_all("#reasons details[open]") == [], "a fold that was closed stays so"


SIZES = [
    (0, "0 B"),
    (1023, "1023 B"),
    (1024, "1.00 KiB"),
    (15 * 1024 + 512, "15.5 KiB"),
    (150 * MIB, "150 MiB"),
    (2**60, "1.00 EiB"),
]
DURATIONS = [
    (0, "0.0s"),
    (0.449, "0.4s"),
    (9.999, "9.9s"),
    (10, "10s"),
    (59.999, "59s"),
    (65, "1m 05s"),
    (3 * 3600 + 300, "3h 05m"),
    (12 * 86400 + 3 * 3600, "12d 3h"),
]
DELAYS = [(4e-7, "0 \u00b5s"), (0.00025, "250 \u00b5s"), (0.0015, "1.5 ms"), (0.025, "25 ms"), (2.5, "2.50 s")]
COUNTS = [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567"), (2**52, f"{2**52:,}")]
MOMENTS = [
    ("1970-01-01T00:00:00.000Z", "1970-01-01 00:00:00 UTC"),
    ("2024-12-31T23:59:59.999Z", "2024-12-31 23:59:59 UTC"),
]
UNKNOWN = [(None, "\u2013")]


def test_figures_have_their_form(daemon, relay, show):
    """Each answer brings the next value of each kind; what the daemon cannot tell is a dash."""
    kinds = {
        "totals.pending_bytes": SIZES + UNKNOWN,
        "process.uptime_seconds": DURATIONS + UNKNOWN,
        "process.loop_lag.p99_seconds": DELAYS + UNKNOWN,
        "totals.read_pauses": COUNTS + UNKNOWN,
        "process.started": MOMENTS + UNKNOWN,
    }
    turn = 0

    def change(stats):
        for path, cases in kinds.items():
            *parents, key = path.split(".")
            place = stats
            for parent in parents:
                place = place[parent]
            place[key] = cases[min(turn, len(cases) - 1)][0]
        return stats

    relay.changes["/stats"] = change
    browser = show(relay)
    for turn in range(max(map(len, kinds.values()))):
        wanted = [cases[min(turn, len(cases) - 1)][1] for cases in kinds.values()]
        wait_until(
            lambda wanted=wanted: [browser.text(f'[data-figure="{p}"]') for p in kinds] == wanted,
            5,
            f"{wanted}",
        )


def test_states_of_process_and_listeners_are_told(daemon, relay, show):
    answer = {}

    def change(stats):
        stats["process"].update(answer)
        stats["listeners"][0]["accepting"] = not answer
        return stats

    relay.changes["/stats"] = change
    browser = show(relay)
    reload = '[data-figure="process"]'
    assert browser.text("#state") == "ready"
    assert browser.text(reload) == "none since the start"
    assert browser.texts("#listeners .word") == ["accepting", "accepting"]
    answer = {
        "ready": False,
        "last_reload_successful": False,
        "reloads": {"success": 3, "failure": 1},
    }
    wait_until(lambda: browser.text("#state") == "starting", 5, "not ready")
    assert browser.text(reload) == "failed"
    assert browser.text('[data-figure="process.reloads.success"]') == "3"
    assert browser.texts("#listeners .word") == ["not accepting", "accepting"]
    answer = dict(answer, last_reload_successful=True)
    wait_until(lambda: browser.text(reload) == "successful", 5, "a good one")


@pytest.mark.parametrize(
    ("path", "word"), [("/stats", "figures of"), ("/connections", "connections of")]
)
def test_a_busy_daemon_is_asked_when_it_says(daemon, relay, show, path, word):
    """503 with Retry-After is an answer: the old figures stay, nothing else stops."""
    clients(daemon, [10])
    browser = show(relay)
    wait_until(lambda: len(column(browser, "Peer")) == 1, 5, "a row")
    uptime = browser.text('[data-figure="process.uptime_seconds"]')
    relay.refusals[path] = 503, {"Retry-After": "3"}
    wait_until(lambda: "daemon busy, " + word in browser.text("#news"), 5, "it is said")
    since = time.monotonic()
    other = "/stats" if path == "/connections" else "/connections"
    wait_until(lambda: relay.asked(other, since) >= 4, 10, "the other goes on")
    assert relay.asked(path, since) <= 2
    assert browser.find("html").attribute("data-state") == "ready"
    assert not browser.find("#lost").shown()
    assert len(column(browser, "Peer")) == 1
    relay.refusals.clear()
    wait_until(lambda: browser.text("#news") == "", 10, "it is over")
    assert browser.text('[data-figure="process.uptime_seconds"]') != uptime


def test_paused_says_so_and_goes_on_asking(daemon, relay, show):
    """Nothing that is shown changes but the state; and the charts have no hole afterwards."""
    browser = show(relay)
    button = browser.find("#pause")
    button.click()
    assert button.text == "Resume"
    assert browser.text("#state") == "paused"
    assert browser.run("return document.title").startswith("paused")
    assert re.search(r"figures of \d\d:\d\d:\d\d", browser.text("#news"))
    clients(daemon, [5000])
    since = time.monotonic()
    wait_until(lambda: relay.asked("/stats", since) >= 5, 15, "it goes on asking")
    assert relay.asked("/connections", since) == 0
    assert total(browser, "received_bytes", "count") == 0
    assert column(browser, "Peer") == []
    relay.changes["/stats"] = draining
    wait_until(lambda: browser.text("#state") == "paused, draining", 5, "the state is told")
    assert browser.find("#draining").shown()
    button.click()
    assert button.text == "Pause"
    assert browser.text("#state") == "draining"
    assert total(browser, "received_bytes", "count") == 5000
    wait_until(lambda: len(column(browser, "Peer")) == 1, 5, "the rows again")
    line = browser.find("#throughput .stroke.in").attribute("d")
    assert line.count("M") == 1 and line.count("L") >= 4, "the line has a hole"


def draining(stats):
    stats["process"].update(draining=True, ready=False)
    return stats


def test_a_hidden_page_asks_nothing(daemon, relay, show):
    browser = show(relay)
    mine = browser.call("GET", "/window")
    other = browser.call("POST", "/window/new", {"type": "tab"})["handle"]
    browser.call("POST", "/window", {"handle": other})
    try:
        pause(0.5, "a question may be under way")
        since = time.monotonic()
        pause(4, "it would ask, and the chart has a hole")
        assert relay.asked("/stats", since) == 0
    finally:
        browser.call("DELETE", "/window")
        browser.call("POST", "/window", {"handle": mine})
    wait_until(lambda: relay.asked("/stats", since) >= 2, 5, "questions again")
    wait_until(lambda: relay.asked("/history", since) >= 1, 12, "what was missed")


def test_asks_once_a_second(daemon, relay, show):
    show(relay)
    since = time.monotonic()
    pause(4, "questions are counted")
    assert 3 <= relay.asked("/stats", since) <= 5
    assert 3 <= relay.asked("/connections", since) <= 5


def test_goes_on_while_somebody_presses_everything(daemon, relay, show):
    browser = show(relay)
    relay.delay = 0.15
    clients(daemon, [100, 200])
    browser.run(
        """const buttons = document.querySelectorAll("#connections thead button");
        let n = 0;
        window.pressing = setInterval(() => buttons[n++ % buttons.length].click(), 40);"""
    )
    since = time.monotonic()
    pause(4, "questions are counted while it is pressed")
    browser.run("clearInterval(window.pressing)")
    assert 2 <= relay.asked("/stats", since) <= 5
    since = time.monotonic()
    wait_until(lambda: relay.asked("/stats", since) >= 2, 5, "it lives on")
    assert browser.complaints() == []


def test_says_that_nobody_answers_and_asks_less(daemon, relay, show):
    browser = show(relay)
    relay.deaf = True
    wait_until(
        lambda: browser.find("html").attribute("data-state") == "unreachable", 10, "lost"
    )
    assert browser.find("#lost").shown()
    assert "No answer from the daemon since" in browser.text("#lost")
    assert browser.text("#state") == "unreachable"
    since = time.monotonic()
    pause(6, "questions are counted, of which there are less")
    assert 1 <= relay.asked("/stats", since) <= 4
    relay.deaf = False
    wait_until(
        lambda: browser.find("html").attribute("data-state") == "ready", 20, "found again"
    )
    assert not browser.find("#lost").shown()


def test_a_restart_starts_the_charts_anew(daemon, relay, show):
    browser = show(relay)
    clients(daemon, [MIB])
    wait_until(lambda: total(browser, "received_bytes", "count") == MIB, 5, "a MiB")
    points = "return document.querySelector('#open .stroke').getAttribute('d').split('L').length"
    wait_until(lambda: browser.run(points) >= 3, 6, "three points")

    def restarted(stats):
        stats["process"]["pid"] = 1
        for key in ("received_bytes", "sent_bytes"):
            stats["totals"][key] = 5
        return stats

    relay.changes["/stats"] = restarted
    wait_until(lambda: total(browser, "received_bytes", "count") == 5, 5, "less")
    assert browser.run(points) <= 2
    assert "restarted at" in browser.text("#news")
    assert "reload" not in browser.text("#news")


def test_a_page_of_another_version_says_so(daemon, relay, show):
    browser = show(relay)

    def replaced(stats):
        stats["process"].update(pid=1, version="99")
        return stats

    relay.changes["/stats"] = replaced
    wait_until(lambda: "reload it" in browser.text("#news"), 5, "the news")
    assert browser.text('[data-figure="process.version"]') == "99"


def moment(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def aged(relay, uptime):
    """Have a daemon look as if it had been up for so many seconds, with an hour behind it."""
    began = time.time() - uptime

    def change(stats):
        stats["process"].update(uptime_seconds=time.time() - began, started=moment(began))
        return stats

    relay.changes["/stats"] = change
    relay.changes["/history"] = lambda _: past_hour(time.time())


def past_hour(end, most=400):
    """An answer of /history: an hour with an incident in its middle, and a hole."""
    steps = range(360)
    wave = [1000 + 400 * math.sin(n / 20) + 90 * math.sin(n * 1.7) for n in steps]
    load = [amount * (8 if 150 < n < 190 else 1) for n, amount in enumerate(wave)]
    scales = {"received_bytes": 90000, "sent_bytes": 90000, "datagrams_received": 9}
    scales |= {"datagrams_sent": 4, "datagrams_dropped": 5}
    scales |= {"accepted": 1, "rejected": 0, "closed": 1}
    series = {key: [round(amount * scale) for amount in load] for key, scale in scales.items()}
    series["connections"] = [min(round(amount / 20), most) for amount in load]
    for row in series.values():
        row[250:262] = [None] * 12
    return {"step_seconds": 10, "end": moment(end), "series": series}


def points(browser, chart):
    """How many points each unbroken piece of a chart's first line has."""
    line = browser.texts(chart) and browser.find(f"{chart} .stroke").attribute("d") or ""
    return [piece.count("L") + 1 for piece in line.split("M")[1:]]


def test_the_hour_is_drawn_at_once(daemon, relay, show):
    """Who opens the page after the incident sees it."""
    aged(relay, 5000)
    browser = show(relay)
    wait_until(lambda: sum(points(browser, "#throughput")) > 300, 5, "the hour")
    assert relay.asked("/stats") <= 2
    assert browser.find("#range input[value='3600']").property("checked")
    assert len(points(browser, "#throughput")) == 2, "what was not sampled is a hole"
    assert "\u221260 min" in browser.texts("#open text")
    assert browser.find("#open svg").attribute("aria-label").endswith("over the last 60 minutes")
    peak = browser.run(
        """const box = document.querySelector("#open .stroke").getBBox();
        return box.height / document.querySelector("#open").clientHeight;"""
    )
    assert peak > 0.5
    browser.find("#range input[value='300']").click()
    wait_until(lambda: sum(points(browser, "#throughput")) < 60, 5, "five minutes")
    assert "\u22125 min" in browser.texts("#open text")
    since = time.monotonic()
    browser.find("#range input[value='3600']").click()
    wait_until(lambda: sum(points(browser, "#throughput")) > 300, 5, "the hour again")
    wait_until(lambda: relay.asked("/history", since) >= 2, 15, "it goes on")
    assert browser.complaints() == []


def test_five_minutes_begin_before_the_page(daemon, relay, show):
    aged(relay, 290)
    browser = show(relay)
    assert browser.find("#range input[value='300']").property("checked")
    wait_until(lambda: sum(points(browser, "#throughput")) >= 28, 5, "what was before")
    wait_until(lambda: sum(points(browser, "#throughput")) >= 32, 8, "and what is now")
    assert len(points(browser, "#throughput")) == 1, "the two are one line"
    since = time.monotonic()
    pause(3, "it would ask again")
    assert relay.asked("/history", since) == 0


def test_a_daemon_without_history_or_events(daemon, relay, show):
    relay.refusals = {"/history": (404, {}), "/events": (404, {})}
    browser = show(relay)
    wait_until(lambda: sum(points(browser, "#open")) >= 3, 8, "a line all the same")
    assert not browser.find("#range").shown()
    browser.find("#events-card summary").click()
    wait_until(lambda: not browser.find("#events-card").shown(), 5, "no events")
    assert browser.find("html").attribute("data-state") == "ready"
    assert relay.asked("/history") == 1


def test_rates_are_by_the_clock_of_the_daemon(daemon, relay, show):
    """However late answers come: 1000 B a second are drawn as that."""
    late = iter([0.9, 0.0, 0.6, 0.0, 0.8] + [0.0] * 1000)

    def change(stats):
        stats["totals"]["received_bytes"] = round(1000 * stats["process"]["uptime_seconds"])
        pause(next(late), "an answer that is late")
        return stats

    relay.changes["/stats"] = change
    browser = show(relay)
    seen = set()

    def enough():
        seen.add(browser.text("#rate-in"))
        return relay.asked("/stats") >= 7

    wait_until(enough, 20, "seven answers")
    rates = [number(text) for text in seen if text != "\u2013"]
    assert rates and all(990 <= rate <= 1010 for rate in rates), seen


def test_reasons_at_zero_are_folded(daemon, show):
    browser = show(daemon)
    assert not browser.find("#reasons details").shown()
    zero = int(browser.text("#zeros-count"))
    assert "client_fin" in browser.text("#zeros-list")
    with daemon.connect() as sock:
        exchange(sock)
    wait_until(lambda: browser.find("#reasons details").shown(), 5, "one that has moved")
    assert browser.find("#reasons details").attribute("open") is not None
    assert browser.texts("#reasons tbody th") == ["client_fin"]
    assert int(browser.text("#zeros-count")) == zero - 1
    assert "client_fin" not in browser.text("#zeros-list")


def test_datagrams_over_the_rate_are_seen(launch, show):
    daemon = launch(
        listeners=[
            {"name": "echo", "address": "tcp://127.0.0.1:0"},
            udp_listener(name="u", rate_per_source=10, burst_per_source=10),
        ]
    )
    browser = show(daemon)
    sender = client_of(daemon, "u")
    with Flood(sender):
        deadline = 10
        wait_until(
            lambda: number(browser.text(".tiles [data-figure='totals.datagrams_dropped']")) > 100,
            deadline,
            "the total",
        )
        wait_until(lambda: "source_rate" in browser.text("#reasons"), deadline, "the reason")
        wait_until(lambda: float(browser.text("#rate-dropped")[:-2]) > 20, deadline, "a rate")
        wait_until(lambda: browser.texts("#sources th") == ["127.0.0.1/32"], deadline, "its source")
    figures = daemon.settled().totals()
    (share,) = browser.texts("#datagrams td:nth-child(7)")
    assert 50 < float(share.removesuffix(" %")) < 100
    wanted = [figures["datagrams_received"], figures["datagrams_sent"]]
    wanted.append(figures["datagrams_dropped"]["source_rate"])
    wait_until(
        lambda: [number(text) for text in browser.texts("#datagrams td")[2:5]] == wanted, 5, "all"
    )
    assert browser.texts("#datagrams td")[6] == f"source_rate {wanted[2]:,}"
    assert browser.texts("#listeners th") == ["echo"]
    assert sum(points(browser, "#flood")) > 1
    browser.find("#datagrams button").click()
    names = browser.texts("#details-list dt")
    details = dict(zip(names, browser.texts("#details-list dd")))
    assert details["Datagrams dropped: source_rate"] == f"{wanted[2]:,}"
    assert browser.text("#details-command") == "echoctl sources -l u"
    assert browser.complaints() == []


def test_without_datagram_listeners_nothing_is_said_of_datagrams(daemon, relay, show):
    browser = show(relay)
    wait_until(lambda: relay.asked("/stats") >= 3, 8, "some answers")
    assert not any(node.shown() for node in browser.find_all(".datagrams"))
    assert relay.asked("/sources") == 0


def test_peaks_limits_and_delays_of_a_listener(launch, show):
    daemon = launch(
        listeners=[
            {"name": "echo", "address": "tcp://127.0.0.1:0", "connections": 7},
            {"name": "free", "address": "tcp://127.0.0.1:0"},
        ]
    )
    socks = [daemon.connect() for _ in range(3)]
    for sock in socks:
        exchange(sock)
    for sock in socks[1:]:
        sock.close()
    browser = show(daemon)
    wait_until(
        lambda: browser.texts("#listeners tr:first-child td")[2:5] == ["1", "3", "7"], 5, "the row"
    )
    assert browser.texts("#listeners tr:last-child td")[2:5] == ["0", "0", "none"]
    for delay in browser.texts("#listeners tr:first-child td")[-2:]:
        assert re.fullmatch(r"[\d.]+ (\u00b5s|ms)", delay)
    assert browser.texts("#listeners tr:last-child td")[-2:] == ["\u2013", "\u2013"]
    assert browser.text('.tiles [data-figure="totals.peaks.connections"]') == "3"
    browser.find("#listeners button").click()
    assert browser.text("#details-title") == "Listener echo"
    names = browser.texts("#details-list dt")
    details = dict(zip(names, browser.texts("#details-list dd")))
    assert details["Peak of connections"] == "3"
    assert details["Connections closed: client_fin"] == "2"
    assert "Connections closed: idle_timeout" not in names
    assert browser.text("#details-command") == "echoctl connections -l echo"
    exchange(socks[0], bytes(MIB))
    wait_until(lambda: "1.00 MiB" in browser.texts("#details-list dd"), 5, "it lives")
    browser.press("Escape")
    assert not browser.find("#details").shown()


def test_connections_by_listener_and_state(daemon, show):
    clients(daemon, [10, 20])
    clients(daemon, [30], "local")
    browser = show(daemon)
    wait_until(lambda: len(column(browser, "Listener")) == 3, 5, "three rows")
    assert browser.texts("#of-listener option") == ["any", "echo", "local"]
    browser.find("#of-listener").type("local")
    wait_until(lambda: column(browser, "Listener") == ["local"], 5, "one row")
    browser.find("#of-state").type("flushing")
    wait_until(lambda: browser.find("#none").shown(), 5, "none is flushing")
    browser.find("#of-listener").type("any")
    browser.find("#of-state").type("open")
    wait_until(lambda: len(column(browser, "Listener")) == 3, 5, "all")
    assert browser.complaints() == []


def test_pages_of_connections(daemon, show):
    clients(daemon, range(1, 121))
    browser = show(daemon)
    wait_until(lambda: browser.text("#shown").startswith("1\u201350 of 120 "), 5, "the first page")
    assert browser.find("#previous").attribute("aria-disabled") == "true"
    first = column(browser, "Bytes in")
    assert (first[0], first[-1]) == ("120 B", "71 B")
    browser.find("#next").click()
    wait_until(lambda: column(browser, "Bytes in")[0] == "70 B", 5, "the second")
    assert browser.text("#shown").startswith("51\u2013100 of 120 ")
    browser.find("#next").click()
    wait_until(lambda: column(browser, "Bytes in")[-1] == "1 B", 5, "the last")
    assert browser.find("#next").attribute("aria-disabled") == "true"
    for sock in daemon.clients[:40]:
        sock.close()
    wait_until(lambda: browser.text("#shown").startswith("51\u201380 of 80 "), 5, "it has gone")
    browser.find("#previous").click()
    wait_until(lambda: browser.text("#shown").startswith("1\u2013"), 5, "the first again")


def test_what_waits_for_a_restart_is_told(daemon, relay, show):
    waiting = 0

    def change(stats):
        stats["process"]["needs_restart"] = waiting
        return stats

    relay.changes["/stats"] = change
    browser = show(relay)
    row = '[data-figure="process.needs_restart"]'
    assert browser.text(row) == "nothing"
    assert "restart" not in browser.text("#news")
    waiting = 1
    wait_until(lambda: "1 directive waits for a restart" in browser.text("#news"), 5, "one")
    waiting = 2
    wait_until(lambda: "2 directives wait for a restart" in browser.text("#news"), 5, "two")
    assert browser.text(row) == "2 directives"


def test_recent_events_are_asked_for_when_unfolded(daemon, relay, show):
    rows = [
        {"id": 2, "time": "2026-05-04T09:12:44.105Z", "kind": "refused", "listener": "echo",
         "connection": None, "peer": "192.0.2.7:4711", "reason": "limit", "bytes_in": 0,
         "bytes_out": 0, "duration_seconds": 0},
        {"id": 1, "time": "2026-05-04T09:12:40.105Z", "kind": "closed", "listener": "echo",
         "connection": 17, "peer": "192.0.2.8:4712", "reason": "client_fin", "bytes_in": 2048,
         "bytes_out": 2048, "duration_seconds": 65.2},
    ]
    relay.made["/events"] = lambda _: {"events": rows, "next": 2}
    browser = show(relay)
    wait_until(lambda: relay.asked("/stats") >= 3, 8, "some answers")
    assert relay.asked("/events") == 0
    browser.find("#events-card summary").click()
    wait_until(lambda: len(browser.texts("#events tr")) == 2, 5, "two rows")
    assert browser.texts("#events tr:last-child td") == [
        "2026-05-04 09:12:40", "closed", "client_fin", "echo", "192.0.2.8:4712",
        "2.00 KiB", "2.00 KiB", "1m 05s",
    ]  # fmt: skip
    rows.clear()
    wait_until(lambda: browser.find("#no-events").shown(), 5, "it lives")
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_are_shortened(launch, show, width):
    daemon = launch(
        listeners=[
            {"name": LONG, "address": "tcp://127.0.0.1:0"},
            udp_listener(name=LONG[:-1] + "u"),
        ]
    )
    clients(daemon, [10], LONG)
    with Relay(daemon.control.address) as relay:
        relay.changes["/stats"] = lambda stats: {
            **stats, "process": {**stats["process"], "machine": MACHINE}
        }
        browser = show(relay)
        browser.view(width=width)
        wait_until(lambda: column(browser, "Listener") == [LONG], 5, "a row")
        cells = ["#listeners th", "#datagrams th", "#connections td:nth-child(3)"]
        for selector in ["#machine", *cells]:
            room, title = browser.run(
                "const n = document.querySelector(arguments[0]); return [n.clientWidth, n.title];",
                selector,
            )
            assert room <= 260 and title in (LONG, LONG[:-1] + "u", MACHINE), selector
        assert browser.run("return document.documentElement.scrollWidth") == width
        assert all(len(text) <= 24 for text in browser.texts("#of-listener option"))


def test_an_address_outlives_the_listener(launch, show):
    """The page that is opened while the daemon drains still says where it was."""
    daemon = launch(shutdown={"timeout": "30s", "idle_grace": "20s"})
    clients(daemon, [10])
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: not daemon.control.listener("echo")["open"], 5, "closed")
    browser = show(daemon)
    assert browser.texts("#listeners td")[:2] == [daemon.addresses["echo"], "closed"]
    daemon.close_clients()
    assert daemon.wait_exit() == 0


def test_draining_is_plain_to_see(launch, show):
    daemon = launch(shutdown={"timeout": "30s", "idle_grace": "20s"})
    clients(daemon, [10, 20])
    browser = show(daemon)
    assert not browser.find("#draining").shown()
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: browser.find("#draining").shown(), 5, "the notice")
    assert browser.text("#state") == "draining"
    assert "2 still open" in " ".join(browser.text("#draining").split())
    wait_until(lambda: browser.texts("#listeners .word") == ["closed"], 5, "closed")
    assert browser.texts("#listeners td")[0] == daemon.addresses["echo"]
    assert browser.run("return document.title").startswith("draining")
    daemon.close_clients()
    assert daemon.wait_exit() == 0


def test_details_of_a_connection(daemon, show):
    sock = daemon.connect()
    exchange(sock, bytes(5000))
    browser = show(daemon)
    wait_until(lambda: column(browser, "Bytes in") == ["4.88 KiB"], 5, "a row")
    browser.find("#connections tbody button").click()
    dialog = browser.find("#details")
    assert dialog.shown()

    def details():
        names = browser.texts("#details-list dt")
        return dict(zip(names, browser.texts("#details-list dd")))

    assert details()["Peer"] == "%s:%d" % sock.getsockname()
    wait_until(lambda: "TCP rtt" in details(), 5, "what the kernel knows")
    assert re.fullmatch(r"[\d.]+ (\u00b5s|ms)", details()["TCP rtt"])
    exchange(sock, bytes(5000))
    wait_until(lambda: details()["Bytes in"] == "9.77 KiB", 5, "it lives")
    sock.close()
    wait_until(lambda: "is closed" in browser.text("#details-state"), 5, "its end")
    browser.press("Escape")
    assert not dialog.shown()


def test_peers_can_be_chosen(daemon, show):
    near, far = (daemon.open_socket() for _ in range(2))
    for (sock, address), host in ((near, "127.0.0.2"), (far, "127.0.0.3")):
        sock.bind((host, 0))
        sock.connect(address)
        exchange(sock)
    browser = show(daemon)
    wait_until(lambda: len(column(browser, "Peer")) == 2, 5, "two rows")
    field = browser.find("#peer")
    field.type("127.0.0.2/32")
    wait_until(lambda: len(column(browser, "Peer")) == 1, 5, "one row")
    assert column(browser, "Peer")[0].startswith("127.0.0.2:")
    assert field.attribute("aria-invalid") == "false"
    field.type("9")
    wait_until(lambda: field.attribute("aria-invalid") == "true", 5, "refused")
    assert "peer" in browser.text("#shown")
    field.type("z")
    wait_until(lambda: "192.0.2.0/24" in browser.text("#shown"), 5, "what is right")
    assert browser.find("html").attribute("data-state") == "ready"


class Photographer:
    """Makes pictures of a state in each of the looks."""

    LOOKS = {
        "light": {},
        "dark": {"scheme": "dark"},
        "narrow": {"width": 360, "height": 780},
        "wide": {"width": 1920, "height": 1080},
    }

    def __init__(self, browser, folder):
        self.browser = browser
        self.folder = folder

    def shoot(self, state, looks=tuple(LOOKS)):
        for look in looks:
            self.browser.view(**self.LOOKS[look])
            # another answer lets the charts be drawn for the new size
            self.browser.run("window.dispatchEvent(new Event('resize'))")
            pause(1.5, "the page is drawn for the new size")
            path = self.folder / f"status-{state}-{look}.png"
            self.browser.screenshot(path)
            assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        self.browser.view()


@pytest.fixture
def photographer(browser, pictures):
    return Photographer(browser, pictures)


def test_pictures(launch, show, photographer):
    """Nothing is judged here but that they can be made: look at them."""
    names = ["echo", "echo-v6", "local"]
    addresses = ["tcp://127.0.0.1:0", "tcp://[::1]:0", f"{HOSTILE}{time.time_ns()}"]
    daemon = launch(
        listeners=[{"name": n, "address": a} for n, a in zip(names, addresses)],
        shutdown={"timeout": "30s", "idle_grace": "20s"},
    )
    browser = show(daemon)
    photographer.shoot("idle")
    socks = [daemon.connect(names[n % 3]) for n in range(24)]
    stuck = daemon.connect_narrow()
    fill(stuck, 30 * MIB)
    loads = [StreamLoad(socks[n::3], block=KIB << 2 * n, interval=0.05) for n in range(3)]
    with loads[0], loads[1], loads[2]:
        wait_until(
            lambda: browser.find(".chart .stroke").attribute("d").count("L") >= 12,
            30,
            "a line of a dozen seconds",
        )
        photographer.shoot("load")
        browser.find("#listeners button").click()
        photographer.shoot("listener")
        browser.press("Escape")
        browser.find("#pause").click()
        photographer.shoot("paused")
        browser.find("#pause").click()
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: browser.find("#draining").shown(), 5, "the notice")
    photographer.shoot("draining")
    daemon.close_clients()
    daemon.wait_exit(30)


def test_pictures_of_many(launch, show, photographer):
    """500 connections, datagrams over the rate, long names, an hour with an incident."""
    daemon = launch(
        listeners=[
            {"name": LONG, "address": "tcp://127.0.0.1:0", "connections": 600},
            {"name": "local", "address": f"{HOSTILE}{'y' * 30}{time.time_ns()}"},
            udp_listener(name="u", rate_per_source=50, burst_per_source=50),
            udp_listener(name=LONG[:-1] + "u"),
        ],
    )
    clients(daemon, range(1, 501), LONG)

    with Relay(daemon.control.address) as relay:
        aged(relay, 4000)
        age = relay.changes["/stats"]

        def change(stats):
            stats["process"].update(machine=MACHINE, needs_restart=2)
            return age(stats)

        relay.changes["/stats"] = change
        browser = show(relay)
        with Flood(client_of(daemon, "u")):
            wait_until(lambda: re.match(r"[1-9]\d", browser.text("#rate-dropped")), 10, "drops")
            photographer.shoot("hour")
            browser.find("#range input").click()
            photographer.shoot("datagrams")
            browser.find("#next").click()
            browser.find("#zeros summary").click()
            photographer.shoot("folds")
    daemon.close_clients()
