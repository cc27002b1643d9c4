# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the browser tests. Run: ECHOD=path/to/echod python3 -m pytest tests/browser

CHROMIUM and CHROMEDRIVER name the programs; SCREENSHOTS names a folder that keeps the pictures.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "functional"))

from harness import BINARY, Echod, seconds, settings, wait_until  # noqa: E402
from harness.needs import need  # noqa: E402
from relay import Relay  # noqa: E402
from webdriver import Browser  # noqa: E402

# The address of an abstract socket may hold anything printable: it is what a page must not trust.
HOSTILE = 'unix:@<img src=x onerror="pwned=1"><b>&amp;'


def pytest_configure(config):
    if not os.access(BINARY, os.X_OK) and not config.option.collectonly:
        pytest.exit(f"no daemon to test at {BINARY}: build it, or say where in ECHOD", 2)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One browser for all tests."""
    programs = [os.environ.get(name.upper()) or need(name) for name in ("chromium", "chromedriver")]
    browser = Browser(tmp_path_factory.mktemp("browser"), *programs, patience=seconds(30))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """The browser as if new: an empty page, light, 1280 wide, nothing in its console."""
    chromium.scripts(True)
    chromium.view()
    chromium.open("about:blank")
    chromium.complaints()
    yield chromium
    chromium.scripts(True)
    chromium.open("about:blank")


@pytest.fixture
def launch(tmp_path):
    """Start daemons with launch(group={...}, ...); each is stopped and checked at the end."""
    daemons = []

    def start(**changes):
        directory = tmp_path / f"echod{len(daemons)}"
        directory.mkdir()
        daemon = Echod(directory, settings(**changes))
        daemons.append(daemon)
        return daemon.start()

    yield start
    for daemon in reversed(daemons):
        daemon.finish()


@pytest.fixture
def daemon(launch):
    """One daemon with two listeners, one of which has a hostile address."""
    address = f"{HOSTILE}{os.getpid()}"
    return launch(
        listeners=[
            {"name": "echo", "address": "tcp://127.0.0.1:0"},
            {"name": "local", "address": address},
        ]
    )


@pytest.fixture
def relay(daemon):
    """A server in front of that daemon that can change its answers and counts the questions."""
    with Relay(daemon.control.address) as server:
        yield server


@pytest.fixture
def show(browser):
    """Open the page of a daemon or relay and wait until its scripts have had a first answer."""

    def open_page(server, live=True):
        browser.open("http://%s:%d/" % getattr(server, "control", server).address)
        if live:
            wait_until(lambda: browser.find_all("html[data-answered]"), 10, "an answer")
        return browser

    return open_page


@pytest.fixture
def pictures(tmp_path):
    """The folder for screenshots."""
    folder = pathlib.Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
