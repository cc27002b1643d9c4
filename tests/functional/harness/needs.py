# SPDX-License-Identifier: BSD-2-Clause
"""What a test cannot do without. Where CI is set all of it must be there; elsewhere it may lack."""

import os
import shutil

import pytest


def lacking(what):
    """End the test: a failure under CI, a skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"must be there where CI is set: {what}", pytrace=False)
    pytest.skip(f"needs {what}")


def need(*tools):
    """Each of the tools must be found; returns the path of the first.

    A name in capitals is an environment variable with the path.
    """
    paths = [os.environ.get(tool) if tool.isupper() else shutil.which(tool) for tool in tools]
    for tool, path in zip(tools, paths):
        if not path:
            lacking(tool)
    return paths[0]
