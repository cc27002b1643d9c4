# SPDX-License-Identifier: BSD-2-Clause
"""Puts functions of the tests' own in front of those of the C library."""

import os
import shlex
import subprocess

import pytest

from .pace import SANITIZED

_HEAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
"""


def preloaded(directory, source):
    """Options for launch(): the daemon runs with the C functions in source."""
    if SANITIZED:
        pytest.skip("a sanitizer wants to be the first library itself")
    path = directory / "preload.c"
    library = directory / "preload.so"
    path.write_text(_HEAD + source)
    compiler = shlex.split(os.environ.get("CC") or "cc")
    try:
        subprocess.run([*compiler, "-shared", "-fPIC", "-O1", "-o", library, path, "-ldl"], check=True)
    except FileNotFoundError:
        pytest.skip("needs a C compiler")
    return {"env": {"LD_PRELOAD": str(library)}}
