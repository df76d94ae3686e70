"""A worker as a process: its signals, its log, its children."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from conftest import Daemon

from agnt5 import FlowDefinition, SyncClient, task_step

SCRIPT = """
import asyncio, multiprocessing, os, pathlib, sys, time
import agnt5
from agnt5 import *

here = pathlib.Path(os.environ["HERE"])

def sleep():
    time.sleep(100)

@function
def forks(ctx):
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=sleep)
    child.start()
    child.terminate()
    child.join(20)
    return child.exitcode

@function
async def forks_on_the_loop(ctx):
    return forks(ctx)

@function
def until_told(ctx):
    (here / f"begun-{ctx.attempt}").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
    return "done"

@function
def hangs(ctx):
    (here / f"hangs-{ctx.workflow_id}-{ctx.attempt}").touch()
    time.sleep(100)

@function
async def blocks(ctx):
    while not (here / "go").exists():
        time.sleep(0.01)
    return "done"

@function
async def uses_up_threads(ctx):
    for _ in range(40):
        asyncio.ensure_future(asyncio.to_thread(time.sleep, 100))
    (here / f"begun-{ctx.attempt}").touch()
    await asyncio.sleep(100)

@function
def fails(ctx):
    raise LookupError(f"no customer\\n\\x1b[31m {ctx.attempt}")

@function
def quick():
    return 1

@workflow
def failing():
    return FlowDefinition([task_step("a", service_name="svc", handler_name="fails", retry={"max_attempts": 3, "initial_interval_ms": 1})])

Worker("svc", capacity=int(os.environ.get("CAPACITY", "10")), drain=float(os.environ.get("DRAIN", "20"))).run_sync()
"""


class Served:
    """A worker of SCRIPT in a process."""

    def __init__(self, daemon: Daemon, *python: str, **env: str) -> None:
        self.daemon = daemon
        script = daemon.folder / "script.py"
        script.write_text(SCRIPT)
        self.log = daemon.folder / "worker.log"
        self.client = SyncClient(daemon.url)
        self.process = daemon.worker(script, *python, HERE=str(daemon.folder), **env)
        self.until(lambda: "connected" in self.said())

    def said(self) -> str:
        return self.log.read_text()

    def until(self, held: Callable[[], object]) -> None:
        for _ in range(6000):
            if held():
                return
            assert self.process.poll() is None or "Traceback" not in self.said(), self.said()
            threading.Event().wait(0.01)
        raise AssertionError(self.said())

    def run(self, handler: str, run: str, **options: object) -> None:
        flow = FlowDefinition([task_step("a", service_name="svc", handler_name=handler, **{"retry": {"max_attempts": 1}} | options)])  # type: ignore[arg-type]
        self.client.register_workflow(handler, flow)
        self.client.start_workflow(handler, None, run)

    def begun(self, attempt: int = 1) -> pathlib.Path:
        return self.daemon.folder / f"begun-{attempt}"

    def go(self) -> None:
        (self.daemon.folder / "go").touch()


def test_a_child_of_a_handler_is_none_of_the_worker(daemon: Daemon) -> None:
    """It dies of its own signals, and the worker goes on."""
    served = Served(daemon)
    for handler in ("forks", "forks_on_the_loop"):
        served.run(handler, handler)
        assert served.client.wait(handler, 60)["output"] == {"a": -signal.SIGTERM}
    served.run("quick", "after")
    assert served.client.wait("after", 60)["output"] == {"a": 1} and served.process.poll() is None
    assert "stopping" not in served.said()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_an_orderly_stop(daemon: Daemon, sig: signal.Signals) -> None:
    served = Served(daemon)
    served.run("until_told", "r")
    served.until(served.begun().exists)
    served.process.send_signal(sig)
    served.until(lambda: "stopping; waiting up to 20 s" in served.said())
    assert "until_told (run r, step a, attempt 1)" in served.said()
    served.go()
    assert served.process.wait(60) == 0
    assert served.client.get_workflow_status("r")["output"] == {"a": "done"}


def test_hangups_that_are_ignored_stay_so(daemon: Daemon) -> None:
    script = daemon.folder / "script.py"
    script.write_text("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + SCRIPT)
    client = SyncClient(daemon.url)
    process = daemon.worker(script, HERE=str(daemon.folder))
    client.register_workflow("w", FlowDefinition([task_step("a", service_name="svc", handler_name="quick")]))
    for n in range(3):
        client.start_workflow("w", None, f"r{n}")
        client.wait(f"r{n}", 60)
        process.send_signal(signal.SIGHUP)
    assert process.poll() is None


@pytest.mark.parametrize("handler", ["until_told", "uses_up_threads"])
def test_a_second_signal_ends_it_at_once(daemon: Daemon, handler: str) -> None:
    served = Served(daemon, DRAIN="1000")
    served.run(handler, "r")
    served.until(served.begun().exists)
    served.process.send_signal(signal.SIGINT)
    served.until(lambda: "stopping" in served.said())
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(60) == 1
    assert f"are offered to others: {handler} (run r, step a, attempt 1)" in served.said()
    assert served.client.list_workers() == []


def test_handlers_that_do_not_return_in_time_show_in_the_exit_code(daemon: Daemon) -> None:
    served = Served(daemon, DRAIN="0.1")
    served.run("hangs", "r")
    served.until((daemon.folder / "hangs-r-1").exists)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 1


def test_failing_attempts_are_in_the_log(daemon: Daemon) -> None:
    """Each with run, step, attempt and error; the traceback with the last."""
    served = Served(daemon)
    served.client.start_workflow("failing", None, "r")
    assert served.client.wait("r", 60)["state"] == "failed"
    log = served.said()
    for attempt in (1, 2):
        assert f"run r, step a, attempt {attempt} failed and may be tried again: LookupError: no customer\\n\\x1b[31m {attempt}\n" in log
    assert "run r, step a, attempt 3 failed: LookupError: no customer\\n" in log
    assert log.count("Traceback (most recent call last)") == 1 and "in fails" in log


def test_handlers_that_hang_are_named(daemon: Daemon) -> None:
    served = Served(daemon, CAPACITY="2", DRAIN="0")
    for run in ("h-1", "h-2"):
        served.run("hangs", run, timeout_ms=200)
        assert served.client.wait(run, 60)["error"]["code"] == "attempt_timeout"
    served.until(lambda: "2 of 2 threads are still in handlers whose attempts are over" in served.said())
    line = next(line for line in served.said().splitlines() if "2 of 2 threads" in line)
    assert "hangs (run h-1, step a, attempt 1), over for" in line and "hangs (run h-2, step a, attempt 1), over for" in line
    assert "cannot be stopped" in line and "Nothing more is taken" in line


def test_an_async_handler_that_blocks_is_named(daemon: Daemon) -> None:
    served = Served(daemon)
    served.run("blocks", "r")
    served.until(lambda: "the event loop has been held" in served.said())
    assert "under way: blocks (run r, step a, attempt 1)" in served.said()
    served.go()
    assert served.client.wait("r", 60)["output"] == {"a": "done"}


def test_an_outcome_that_came_too_late_is_named(daemon: Daemon) -> None:
    served = Served(daemon)
    served.run("until_told", "r", timeout_ms=500, retry={"max_attempts": 100, "initial_interval_ms": 1})
    served.until(served.begun(2).exists)
    served.go()
    served.until(lambda: "the outcome of until_told (run r, step a, attempt 1) came too late: " in served.said())
    assert served.client.wait("r", 60)["output"] == {"a": "done"}


def test_nothing_is_left_open(daemon: Daemon) -> None:
    """Python's own checks find no socket, loop or coroutine that was not closed."""
    served = Served(daemon, "-X", "dev")
    served.run("quick", "r")
    served.client.wait("r", 60)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0
    assert "Warning" not in served.said(), served.said()
    code = f"""
import asyncio, agnt5
async def main():
    async with agnt5.Client({daemon.url!r}) as client:
        await asyncio.gather(*(client.wait("r") for _ in range(5)))
        async for event in client.follow_events("r"):
            break
asyncio.run(main())
with agnt5.SyncClient({daemon.url!r}) as client:
    client.wait("r")
    list(client.follow_events("r"))
"""
    out = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert out.returncode == 0 and "Warning" not in out.stderr, out.stderr
