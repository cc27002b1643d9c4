# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the functional tests. Run: ECHOD=path/to/echod python3 -m pytest tests/functional"""

import os
import pathlib
import shutil
import tempfile

import pytest

from harness import BINARY, Echod, settings
from harness.faults import Faults, build
from harness.needs import lacking, need


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(tool, ...): what the test cannot do without")
    if not os.access(BINARY, os.X_OK) and not config.option.collectonly:
        pytest.exit(f"no daemon to test at {BINARY}: build it, or say where in ECHOD", 2)


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        need(*marker.args)


@pytest.fixture
def launch(tmp_path):
    """Start daemons with launch(group={...}, ...); each is stopped and checked at the end.

    Keywords are groups of the configuration; options is a dict of arguments for Echod.
    """
    daemons = []

    def start(options=None, ready=True, **changes):
        directory = tmp_path / f"echod{len(daemons)}"
        directory.mkdir()
        daemon = Echod(directory, settings(**changes), **(options or {}))
        daemons.append(daemon)
        return daemon.start() if ready else daemon

    yield start
    errors = []
    for daemon in reversed(daemons):
        try:
            daemon.finish()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture
def open_directory():
    """A directory that any user may enter, with a path short enough for a UNIX socket."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="echod-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def as_root():
    """For tests that need to be root: mount a file system, change to another user."""
    if os.geteuid() != 0:
        lacking("root")


@pytest.fixture(scope="session")
def faults_library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def faults(faults_library, tmp_path):
    """For launch(faults.options): calls of that daemon fail as the test says."""
    return Faults(faults_library, tmp_path / "faults")
