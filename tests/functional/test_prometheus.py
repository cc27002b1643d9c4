# SPDX-License-Identifier: BSD-2-Clause
"""A real Prometheus with our example configuration, alerts and dashboard, over a daemon at work.

PROMETHEUS and PROMTOOL name the programs.
"""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from harness import (
    KIB,
    PROJECT,
    Echod,
    StreamLoad,
    exchange,
    free_port,
    seconds,
    settings,
    wait_until,
)
from harness.needs import need

CONTRIB = PROJECT / "contrib"
ALERTS = CONTRIB / "prometheus" / "alerts.yml"
DASHBOARD = CONTRIB / "grafana" / "echod.json"
NAMES = re.findall(r"- alert: (\w+)", ALERTS.read_text())
TWO = [
    {"name": "echo", "address": "tcp://127.0.0.1:0"},
    {"name": "other", "address": "tcp://127.0.0.1:0"},
]


def promtool(*arguments):
    return subprocess.run(
        [need("PROMTOOL"), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )


class Prometheus:
    """One server with the files of contrib/, which scrapes one daemon each second."""

    def __init__(self, directory, target):
        self.directory = directory
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = directory / "prometheus.log"
        shutil.copy(ALERTS, directory)
        text = (CONTRIB / "prometheus" / "scrape.yml").read_text()
        changes = {"127.0.0.1:9862": target, ": 15s": ": 1s", ": 5s": ": 1s"}
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        self.config = directory / "prometheus.yml"
        self.config.write_text(text)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [
                    need("PROMETHEUS"),
                    f"--config.file={self.config}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
            )

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(seconds(20))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=seconds(10)) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None

    def answers(self):
        assert self.process.poll() is None, f"ended at start:\n{self.log.read_text()}"
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=1) as reply:
                return reply.status == 200
        except OSError:
            return False

    def query(self, expression):
        """Rows of an instant query: [(labels, number)]."""
        data = self.get("/api/v1/query", query=expression)
        return [(row["metric"], float(row["value"][1])) for row in data["result"]]

    def value(self, expression):
        """The only number of a query, None where there is no row."""
        rows = self.query(expression)
        assert len(rows) <= 1, f"{expression}: {rows}"
        return rows[0][1] if rows else None

    def wait_value(self, expression, value, deadline=15):
        wait_until(lambda: self.value(expression) == value, deadline, f"{expression} is {value}")

    def alerts(self):
        """Alert -> state of its rule; every rule could be evaluated."""
        (group,) = self.get("/api/v1/rules")["groups"]
        for rule in group["rules"]:
            assert rule["health"] != "err", f"{rule['name']}: {rule['lastError']}"
        return {rule["name"]: rule["state"] for rule in group["rules"] if rule["health"] == "ok"}


@contextlib.contextmanager
def observing(daemon, directory):
    """A Prometheus that has scraped that daemon at least once."""
    directory.mkdir()
    server = Prometheus(directory, "%s:%d" % daemon.control.address)
    try:
        wait_until(server.answers, 20, "Prometheus is ready")
        wait_until(lambda: server.value('up{job="echod"}') == 1, 20, "a first scrape")
        yield server
    finally:
        server.stop()


def serve(daemon):
    """Traffic whose figures are known: returns bytes and connections of each listener."""
    socks = {name: [daemon.connect(name) for _ in range(4)] for name in ("echo", "other")}
    result = {}
    for name, block in (("echo", 8 * KIB), ("other", KIB)):
        with StreamLoad(socks[name], block=block) as load:
            wait_until(lambda load=load: load.least_received >= 40 * load.block, 20, "traffic")
            load.finish()
        result[name] = load.received, len(socks[name])
    return result


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A daemon that has served known traffic and still holds one client, and its Prometheus."""
    directory = tmp_path_factory.mktemp("scene")
    daemon = Echod(directory, settings(listeners=TWO, limits={"connections": 100})).start()
    with contextlib.ExitStack() as stack:
        stack.callback(daemon.finish)
        prometheus = stack.enter_context(observing(daemon, directory / "prometheus"))
        served = serve(daemon)
        exchange(daemon.connect())
        # received first: what is stored in between has an echo that is not counted yet
        for counter in ("received", "sent"):
            wait_until(
                lambda counter=counter: prometheus.value(f"sum(echod_{counter}_bytes_total)")
                == sum(received for received, _ in served.values()) + 5,
                15,
                "all traffic is stored",
            )
        prometheus.wait_value("sum(echod_connections_closed_total)", 8)
        yield daemon, prometheus, served


def test_what_it_stores_is_what_was_served(scene):
    _, prometheus, served = scene
    for name, (received, count) in served.items():
        # the client that stays has sent five bytes
        held = int(name == "echo")
        label = f'{{job="echod", listener="{name}"}}'
        wanted = {
            f"echod_received_bytes_total{label}": received + 5 * held,
            f"echod_sent_bytes_total{label}": received + 5 * held,
            f"echod_connections_accepted_total{label}": count + held,
            f"sum(echod_connections_closed_total{label})": count,
            f"echod_connections{label}": held,
            f"echod_connection_duration_seconds_count{label}": count,
            "echod_connections_limit": 100,
            "echod_build_info": 1,
        }
        assert {query: prometheus.value(query) for query in wanted} == wanted
        assert prometheus.value(f"echod_echo_delay_seconds_count{label}") > 0
        rate = prometheus.value(f"rate(echod_received_bytes_total{label}[1m])")
        assert 0 < rate <= received + 5


def test_it_has_every_family_and_sample(scene):
    daemon, prometheus, _ = scene
    text = daemon.control.get("/metrics").text
    names = set(prometheus.get("/api/v1/label/__name__/values"))
    metrics = daemon.control.metrics()
    assert metrics.names() <= names
    assert prometheus.value("scrape_samples_scraped") == len(metrics)
    metadata = prometheus.get("/api/v1/metadata")
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.M):
        # OpenMetrics names a family of counters without its suffix
        known = metadata.get(name) or metadata[name.removesuffix("_total")]
        assert known[0]["type"] == kind, name
        assert known[0]["help"], name


@pytest.mark.parametrize(
    "name",
    [
        "echod_connection_duration_seconds",
        "echod_echo_delay_seconds",
        "echod_event_loop_lag_seconds",
    ],
)
def test_histograms_are_consistent(scene, name):
    _, prometheus, _ = scene
    # all at one moment, so that no scrape comes in between
    moment = prometheus.value("vector(time())")
    rows = {}
    for labels, number in prometheus.query(f"{name}_bucket @ {moment}"):
        key = tuple(sorted(item for item in labels.items() if item[0] not in ("le", "__name__")))
        rows.setdefault(key, []).append((float(labels["le"]), number))
    assert rows
    for key, buckets in rows.items():
        counts = [number for _, number in sorted(buckets)]
        assert counts == sorted(counts), key
        assert max(buckets)[0] == float("inf")
    total = prometheus.value(f"sum({name}_count @ {moment})")
    assert total == sum(max(buckets)[1] for buckets in rows.values()) > 0
    assert prometheus.value(f"sum({name}_sum @ {moment})") > 0
    worst = prometheus.value(f"histogram_quantile(1, sum by (le) ({name}_bucket @ {moment}))")
    assert 0 < worst < 60


def test_alerts_are_quiet_over_a_daemon_in_good_health(scene):
    _, prometheus, _ = scene
    wait_until(lambda: set(prometheus.alerts()) == set(NAMES), 15, "all rules evaluated")
    states = prometheus.alerts()
    assert {name: state for name, state in states.items() if state != "inactive"} == {}


def test_alerts_notice_trouble(launch, tmp_path):
    daemon = launch()
    with observing(daemon, tmp_path / "prometheus") as prometheus:
        daemon.configure("nonsense = 1;\n")
        daemon.signal(signal.SIGHUP)
        wait_until(
            lambda: prometheus.alerts().get("EchodReloadFailed") == "pending", 15, "a bad reload"
        )
        daemon.kill()
        wait_until(lambda: prometheus.alerts().get("EchodDown") == "pending", 15, "the end")


def dashboard_queries():
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def test_every_query_of_the_dashboard_has_an_answer(scene):
    _, prometheus, _ = scene
    queries = list(dashboard_queries())
    assert len(queries) > 25
    for title, query in queries:
        for name in ("job", "instance", "listener"):
            query = query.replace(f"${name}", ".*")
        query = query.replace("$__rate_interval", "1m").replace("$__interval", "1m")
        assert "$" not in query, f"{title}: a variable that is not known: {query}"
        rows = prometheus.query(query)
        # a daemon that was started once has no changes of its start
        assert rows or title == "starts", f"{title}: nothing for {query}"


def test_every_variable_of_the_dashboard_has_values(scene):
    daemon, prometheus, _ = scene
    dashboard = json.loads(DASHBOARD.read_text())
    wanted = {"job": {"echod"}, "instance": {"%s:%d" % daemon.control.address}}
    wanted["listener"] = {"echo", "other"}
    found = {}
    for variable in dashboard["templating"]["list"]:
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.get("definition", ""))
        if match:
            query = re.sub(r"\$\w+", ".*", match[1])
            found[variable["name"]] = {labels[match[2]] for labels, _ in prometheus.query(query)}
    assert found == wanted


def test_panels_of_the_dashboard_do_not_overlap():
    dashboard = json.loads(DASHBOARD.read_text())
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(identities) == len(set(identities))


def test_dashboard_can_be_imported_as_it_is():
    """What an import asks for is listed, and each panel's source is the dashboard's own variable."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["__inputs"] == [] and dashboard["id"] is None
    wanted = {row["id"] for row in dashboard["__requires"] if row["type"] == "panel"}
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert wanted == {panel["type"] for panel in panels}
    for panel in panels:
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_example_configuration_is_valid():
    result = promtool("check", "config", CONTRIB / "prometheus" / "scrape.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_alerts_pass_their_tests():
    result = promtool("check", "rules", ALERTS)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(NAMES)} rules found" in result.stdout
    result = promtool("test", "rules", ALERTS.with_name("alerts_test.yml"))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_alerts_are_those_of_the_manual():
    """Names and severities, in doc/operations.md as in the rules."""
    rules = re.findall(r"- alert: (\w+)\n.*?severity: (\w+)", ALERTS.read_text(), re.S)
    told = (PROJECT / "doc" / "operations.md").read_text()
    assert sorted(re.findall(r"^\| (Echod\w+) \| (\w+) \|", told, re.M)) == sorted(rules)


def test_sample_limit_has_room_for_sixty_listeners(launch):
    names = [f"listener-with-a-long-name-{number:02d}" for number in range(60)]
    kinds = ("tcp", "udp")
    daemon = launch(
        listeners=[
            {"name": name, "address": f"{kinds[number % 2]}://127.0.0.1:0"}
            for number, name in enumerate(names)
        ]
    )
    text = (CONTRIB / "prometheus" / "scrape.yml").read_text()
    limit = int(re.search(r"sample_limit: (\d+)", text)[1])
    assert 2 * len(daemon.control.metrics()) < limit


@pytest.mark.parametrize("expression", ["vector(1) > 2", "vector(1)"])
@pytest.mark.parametrize("name", NAMES)
def test_the_tests_of_the_alerts_can_fail(tmp_path, name, expression):
    """An alert that never fires, or always, does not pass: each has both kinds of test."""
    text, count = re.subn(
        rf"(- alert: {name}\n\s+expr:) .*?(?=\n        (?:for|labels):)",
        rf"\1 {expression}",
        ALERTS.read_text(),
        flags=re.S,
    )
    assert count == 1
    (tmp_path / "alerts.yml").write_text(text)
    shutil.copy(ALERTS.with_name("alerts_test.yml"), tmp_path)
    result = promtool("test", "rules", tmp_path / "alerts_test.yml")
    assert result.returncode == 1
    assert f"alertname:{name}" in (result.stdout + result.stderr).replace(": ", ":")
