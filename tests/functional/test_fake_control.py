# SPDX-License-Identifier: BSD-2-Clause
"""The stand-in for the control port answers as the real one: the same keys, the same types."""

import pytest

from fake_control import FakeControl, change
from harness import exchange, wait_until
from harness.control_client import ControlClient, parse_metrics
from harness.datagrams import client_of, udp_listener

ID = "{id}"
# Each route of the stand-in as echoctl asks for it.
ROUTES = [
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/stats"),
    ("GET", "/connections?tcp=1"),
    ("GET", "/connections?sort=idle&order=asc&limit=100"),
    ("GET", "/connections?group=address"),
    ("GET", "/connections/" + ID),
    ("GET", "/events?limit=10&since=0"),
    ("GET", "/sources"),
    ("GET", "/metrics"),
    ("GET", "/config"),
    ("POST", "/reload"),
    ("POST", "/drain"),
    ("POST", "/undrain"),
    ("POST", "/log/reopen"),
    ("POST", "/log/level?level=info"),
    ("POST", f"/connections/{ID}/close"),
    ("POST", "/stop"),
]


def differences(real, fake, place):
    """Yield where two documents differ in keys or types; null stands for any single value."""
    if isinstance(real, dict) and isinstance(fake, dict):
        for key in sorted(real.keys() | fake.keys()):
            if key not in fake:
                yield f"{place}.{key}: only the daemon has it"
            elif key not in real:
                yield f"{place}.{key}: the daemon does not have it"
            else:
                yield from differences(real[key], fake[key], f"{place}.{key}")
    elif isinstance(real, list) and isinstance(fake, list):
        if fake and not real:
            yield f"{place}: the daemon's list is empty, so there is nothing to compare with"
        for number, row in enumerate(fake if real else ()):
            yield from differences(real[0], row, f"{place}[{number}]")
    elif type(real) is not type(fake):
        if isinstance(real, (dict, list)) or isinstance(fake, (dict, list)) \
                or None not in (real, fake):
            yield f"{place}: {type(fake).__name__}, the daemon has {type(real).__name__}"


@pytest.fixture
def daemon(launch, open_directory):
    """One with a connection, a source of datagrams, a log file, and a changed configuration."""
    path = open_directory / "log"
    daemon = launch(
        {"log": path},
        log={"target": "file", "file": str(path)},
        listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0"}, udp_listener(name="udp")],
        control={"socket": str(open_directory / "real.sock")},
    )
    exchange(daemon.connect())
    daemon.serve_one()
    daemon.wait_connections(1)
    client_of(daemon, "udp").exchange()
    daemon.configure({**daemon.config, "workers": 3, "limits": {"connections": 50}})
    return daemon


@pytest.fixture
def control(open_directory):
    with FakeControl(open_directory / "fake.sock") as fake:
        changes = [change("workers", "1", "2")]
        fake.answers["POST", "/reload"] = (200, {"changed": changes, "needs_restart": changes})
        yield fake


def test_differences_are_seen():
    real = {"a": 1, "b": [{"c": 0.5, "d": None}], "e": {"f": True}, "g": [1]}
    assert not list(differences(real, {**real, "a": 2, "b": [{"c": None, "d": "x"}]}, ""))
    for fake, says in (
        ({**real, "a": 1.0}, ".a: float, the daemon has int"),
        ({**real, "a": True}, ".a: bool, the daemon has int"),
        ({**real, "b": [{"c": 0.5}]}, ".b[0].d: only the daemon has it"),
        ({**real, "b": [real["b"][0], {**real["b"][0], "x": 1}]}, ".b[1].x: the daemon does not"),
        ({**real, "e": None}, ".e: NoneType, the daemon has dict"),
        ({**real, "g": ["1"]}, ".g[0]: str, the daemon has int"),
    ):
        (found,) = differences(real, fake, "")
        assert found.startswith(says)


def test_all_routes_are_compared():
    paths = {(method, target.partition("?")[0]) for method, target in ROUTES}
    assert {(method, path.replace(ID, "2")) for method, path in paths} == set(FakeControl().answers)


def sources_are_known(daemon):
    return daemon.control.document("/sources")["sources"]


@pytest.mark.parametrize("method, target", ROUTES)
def test_the_stand_in_answers_as_the_daemon(daemon, control, method, target):
    wait_until(lambda: sources_are_known(daemon), 5, "a source is known")
    (row,) = daemon.control.connections()["connections"]
    real = daemon.local.request(method, target.replace(ID, str(row["id"])))
    fake = ControlClient(str(control.path)).request(method, target.replace(ID, "2"))
    assert (fake.status, real.status) == (200, 200), real.text
    kinds = [reply.headers["content-type"].partition(";")[0] for reply in (real, fake)]
    assert kinds[0] == kinds[1]
    if kinds[0] == "application/json":
        assert not list(differences(real.json, fake.json, target))
    elif target == "/metrics":
        assert parse_metrics(fake.text).names() <= parse_metrics(real.text).names()
    else:
        assert fake.body == real.body


def test_refusals_are_alike(daemon, control):
    fake = ControlClient(str(control.path))
    daemon.configure("workers = 0x;")
    control.answers["POST", "/reload"] = (422, {"errors": ["echod.conf:1: syntax error"]})
    control.answers["POST", "/connections/2/close"] = (404, {"error": "no connection 2 is open"})
    for target in ("/reload", "/connections/2/close"):
        real_reply, fake_reply = daemon.local.post(target), fake.post(target)
        assert real_reply.status == fake_reply.status
        assert not list(differences(real_reply.json, fake_reply.json, target))
    # it knows no list of paths, which nobody reads by machine
    real_reply, fake_reply = daemon.local.get("/nowhere"), fake.get("/nowhere")
    assert real_reply.status == fake_reply.status == 404
    assert real_reply.json["error"] == fake_reply.json["error"]
