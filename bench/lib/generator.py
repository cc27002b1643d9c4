# SPDX-License-Identifier: BSD-2-Clause
"""Runs echoping as the load generator, and a holder of idle connections."""

import contextlib
import dataclasses
import json
import pathlib
import select
import subprocess
import sys
import time

from .processes import Failure, spawn

GRACE_SECONDS = 20.0
IDLE_SECONDS = 60.0
SAMPLE_SECONDS = 0.2
HOLDER = pathlib.Path(__file__).with_name("idle_holder.py")
LOSS = 1
EXITS = {LOSS: "loss", 2: "mismatch", 64: "usage", 69: "unreachable", 71: "system"}


@dataclasses.dataclass
class Outcome:
    """What one or more runs at the same time amount to; latencies are those of the worst run."""

    messages: int
    lost: int
    payload_bytes: int
    seconds: float
    p50_us: float
    p99_us: float


def arguments(echoping, transport, port, load, seconds):
    command = [echoping, "--json", "-c", str(load.connections), "-s", str(load.size),
               "-d", f"{round(seconds * 1000)}ms"]
    if load.churn:
        command.append("--churn")
    if load.burst:
        command.append("--burst")
    if load.rate:
        command += ["-r", str(load.rate)]
    if load.pipeline > 1:
        command += ["-p", str(load.pipeline)]
    if load.sample > 1:
        command += ["--sample", str(load.sample)]
    return command + [transport, f"127.0.0.1:{port}"]


def _outcome(figures, load):
    latency = figures["latency_seconds"]
    return Outcome(figures["received"], figures["lost"], figures["received"] * load.size,
                   figures["seconds"], latency["p50"] * 1e6, latency["p99"] * 1e6)


def _merge(outcomes):
    return Outcome(sum(one.messages for one in outcomes),
                   sum(one.lost for one in outcomes),
                   sum(one.payload_bytes for one in outcomes),
                   max(one.seconds for one in outcomes),
                   max(one.p50_us for one in outcomes),
                   max(one.p99_us for one in outcomes))


def _bearable(status, figures, loss_most):
    """Whether all came back, or all but as many as a server may lose under this workload."""
    if status != LOSS or not figures:
        return status == 0
    return figures["lost"] <= loss_most * figures["sent"]


def _finish(process, load, loss_most, deadline):
    try:
        output, errors = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise Failure("the generator did not end in time") from error
    try:
        figures = json.loads(output)
    except ValueError:
        figures = {}
    if not _bearable(process.returncode, figures, loss_most):
        what = EXITS.get(process.returncode, f"status {process.returncode}")
        words = figures.get("first_error") or (errors.strip().splitlines() or [""])[-1]
        raise Failure(f"echoping: {what}" + (f": {words}" if words else ""))
    try:
        outcome = _outcome(figures, load)
    except (KeyError, TypeError) as error:
        raise Failure(f"echoping wrote no figures: {error!r}") from error
    if outcome.messages == 0 or outcome.seconds <= 0:
        raise Failure("not one message came back")
    return outcome


def run(echoping, cpus, port, workload, seconds, during):
    """Run all loads of a workload at once; call during() every now and then while they run."""
    deadline = time.monotonic() + seconds + GRACE_SECONDS
    processes = []
    try:
        for load in workload.loads:
            command = arguments(echoping, workload.transport, port, load, seconds)
            processes.append(spawn(cpus, command, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE))
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                processes[0].wait(SAMPLE_SECONDS)
                break
            during()
        return _merge([_finish(process, load, workload.loss_most, deadline)
                       for process, load in zip(processes, workload.loads)])
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


@contextlib.contextmanager
def idle_connections(cpus, port, count):
    """Hold that many quiet connections meanwhile."""
    if count == 0:
        yield
        return
    process = subprocess.Popen(
        ["taskset", "-c", ",".join(map(str, cpus)), sys.executable, str(HOLDER), str(port),
         str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if not select.select([process.stdout], [], [], IDLE_SECONDS)[0]:
            raise Failure(f"{count} idle connections took more than {IDLE_SECONDS:.0f} s")
        line = process.stdout.readline().strip()
        if line != "ready":
            raise Failure(line or "the holder of idle connections ended")
        yield
    finally:
        # it ends with its input
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
