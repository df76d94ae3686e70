"""Tests of workflows: a real daemon of the test run's own, handlers called directly or replaced, and the path that a run took.

With pytest there is nothing to set up: the plugin comes with the package, and a test asks for the fixture ``agnt5``::

    def test_approval(agnt5):
        agnt5.stub("mail", "send", returns="sent")
        run = agnt5.start("document_approval", {"document": "plan"})
        run.signal("document_approved", {"by": "ada"})
        run.wait().assert_path("prepare", "wait_for_approval", "publish").assert_skipped("escalate")

Without pytest, ``with Kit() as kit:`` does the same.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from . import functions, workflows
from .client import SyncClient
from .errors import NonRetryableError
from .functions import Context, Handler
from .worker import Worker
from .workflows import FlowDefinition

__all__ = ["Called", "Daemon", "Kit", "Run", "call_handler", "find_daemon", "make_context"]


def find_daemon() -> str:
    """The path of an agnt5d: AGNT5D_BIN, else the PATH, else one that is built of the repository around here. Raises FileNotFoundError."""
    named = os.environ.get("AGNT5D_BIN") or shutil.which("agnt5d")
    if named:
        return named
    for place in (pathlib.Path(__file__).resolve(), pathlib.Path.cwd()):
        for folder in place.parents if place.is_file() else (place, *place.parents):
            mod = folder / "go.mod"
            if mod.is_file() and mod.read_text().startswith("module github.com/agnt5/agnt5d\n"):
                out = folder / "bin" / "agnt5d"
                subprocess.run(["go", "build", "-o", str(out), "./cmd/agnt5d"], cwd=folder, check=True)
                return str(out)
    raise FileNotFoundError("no agnt5d: set AGNT5D_BIN to its path, put it into the PATH, or run the tests inside its repository")


class Daemon:
    """``agnt5d serve --test-clock`` on a free port, with a journal in a folder of its own that is removed at the end.

    ``flags`` are added to its command line. kill() and start() are there for tests of what survives.
    """

    def __init__(self, *flags: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="agnt5-test-")
        self.folder = pathlib.Path(self._folder.name)
        self._flags = flags
        self._listen = "127.0.0.1:0"
        self.url = ""
        self.start()

    def start(self) -> None:
        """Start it, at the address that it had before. Raises RuntimeError with its log when it does not come up."""
        log = self.folder / "daemon.log"
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("AGNT5D_", "AGNT5_"))}
        with log.open("a") as errors:
            self.process = subprocess.Popen(
                [find_daemon(), "serve", "--test-clock", "--listen", self._listen, "--file", str(self.folder / "runs.db"), *self._flags],
                stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True, env=environ,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"agnt5d did not start: {line}{log.read_text()}")
        self.url = line.split()[2]
        self._listen = self.url.rpartition("/")[2]

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


# Handlers, called directly.


def make_context(
    *,
    workflow_input: Any = None,
    input: Any = None,
    input_data: Any = None,
    dependencies: dict[str, Any] | None = None,
    errors: dict[str, Any] | None = None,
    item: Any = None,
    index: int | None = None,
    round: int | None = None,
    previous: Any = None,
    fate: dict[str, Any] | None = None,
    compensates: bool = False,
    output: Any = None,
    objects: dict[str, Any] | None = None,
    attempt: int = 1,
    workflow_id: str = "test-run",
    workflow_name: str = "test_workflow",
    step_name: str = "step",
    service_name: str = "test-service",
    handler_name: str = "handler",
    beat: Callable[[Any], None] | None = None,
) -> Context:
    """A context to call a handler with. ``objects`` is the state of its object keys, ``beat`` is told what it says by heartbeat().

    ``index`` makes it an item of a step with ``for_each``, ``round`` (from 0) one round of a step with ``repeat``. ``errors`` are those of the steps
    whose ``on_failure`` names the step. ``fate`` makes it a step of finally, ``compensates`` the compensation of a step that gave ``output``.
    Raises ValueError for an ``item`` without an ``index``, a ``previous`` without a ``round`` and an ``output`` that nothing compensates.
    """
    if item is not None and index is None:
        raise ValueError("an item has an index: give index, too")
    if previous is not None and round is None:
        raise ValueError("what the round before gave is previous to a round: give round, too")
    if output is not None and not compensates:
        raise ValueError("an output is there to be compensated: give compensates, too")
    if compensates and fate is None:
        fate = {"state": "failed", "error": None}
    named = step_name if index is None else f"{step_name}[{index}]"
    key = f"{workflow_id}/{named}" + ("/undo" if compensates else f"/r{round + 1}" if round else "")
    task = {
        "workflow_id": workflow_id, "workflow_name": workflow_name, "step": named, "service_name": service_name, "handler_name": handler_name,
        "attempt": attempt, "idempotency_key": key, "workflow_input": workflow_input, "input": input, "input_data": input_data,
        "errors": errors or {}, "item": item, "index": index, "round": round, "previous": previous, "fate": fate,
        "dependencies": dependencies or {}, "object_keys": list(objects or {}),
        "objects": {key: {"state": state, "version": 0 if state is None else 1, "fence": 1} for key, state in (objects or {}).items()},
    }  # fmt: skip
    if compensates:
        task["output"] = output
    return Context(json.loads(json.dumps(task, allow_nan=False)), "test-worker", beat)


@dataclass
class Called:
    """What became of a handler that was called directly."""

    output: Any
    """As the daemon would keep it: JSON."""
    objects: dict[str, Any]
    """The object state that it set."""
    heartbeats: list[Any]
    """What it said by ctx.heartbeat()."""


def call_handler(handler: Callable[..., Any] | str, **context: Any) -> Called:
    """Call a handler, or one that is registered under this name, with its parameters filled as a worker fills them.

    The keywords are those of make_context. An async handler is run on a loop of its own. Raises what the handler raises,
    NonRetryableError for a parameter that is found nowhere, and TypeError or ValueError for an output that is not JSON.
    """
    made = functions.handlers().get(handler) if isinstance(handler, str) else Handler(getattr(handler, "__name__", "handler"), handler)
    if made is None:
        raise KeyError(f"no handler {handler!r} is registered in this process")
    heartbeats: list[Any] = []
    about: dict[str, Any] = {"handler_name": made.name, "beat": heartbeats.append} | context
    ctx = make_context(**about)
    args, kwargs = made.arguments(ctx)
    output = _aside(made.fn(*args, **kwargs)) if made.is_async else made.fn(*args, **kwargs)
    return Called(json.loads(json.dumps(output, allow_nan=False)), ctx.objects.changed(), heartbeats)


def _aside(what: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop in a thread of its own: the test may be a coroutine itself."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, what).result()


# Runs.


@dataclass
class Stub:
    """A handler that stands in for another; ``calls`` has the context of each attempt."""

    calls: list[Context] = field(default_factory=list)


class Run:
    """A run of a test. wait() reads its end; the rest is about that."""

    def __init__(self, client: SyncClient, workflow_id: str) -> None:
        self._client = client
        self.workflow_id = workflow_id
        self.status: dict[str, Any] = client.get_workflow_status(workflow_id)

    def signal(self, name: str, payload: Any = None) -> Run:
        """Send it a signal."""
        self._client.signal_workflow(self.workflow_id, name, payload)
        return self

    def fire(self, timer_key: str, timeout: float = 30.0) -> Run:
        """Fire a timer now, as soon as the run waits for it."""
        step = self.timers.get(timer_key)
        if step is not None:
            self.wait_for(step, "waiting", timeout)
        self._client.fire_timer(self.workflow_id, timer_key)
        return self

    def cancel(self, reason: str = "") -> Run:
        """End it."""
        self._client.cancel_workflow(self.workflow_id, reason)
        return self

    def wait_for(self, step: str, state: str, timeout: float = 30.0) -> Run:
        """Wait until a step is in a state. Raises AssertionError when it is not in ``timeout`` seconds, and says why it does not move."""
        until = time.monotonic() + timeout
        while self.step(step)["state"] != state:
            if time.monotonic() > until:
                raise AssertionError(f"step {step} is {self.step(step)['state']}, not {state}, after {timeout:g} s. {self._why()}")
            time.sleep(0.01)
            self.status = self._client.get_workflow_status(self.workflow_id)
        return self

    def wait(self, timeout: float = 30.0) -> Run:
        """Wait until it has ended. Raises AssertionError when it has not in ``timeout`` seconds, and says why it does not move."""
        until = time.monotonic() + timeout
        while not self.status.get("completed_at"):
            if time.monotonic() > until:
                raise AssertionError(f"run {self.workflow_id} has not ended after {timeout:g} s. {self._why()}")
            time.sleep(0.01)
            self.status = self._client.get_workflow_status(self.workflow_id)
        return self

    def _why(self) -> str:
        return " ".join(f"{reason['step']}: {reason['detail']}." for reason in self._client.explain(self.workflow_id))

    @property
    def timers(self) -> dict[str, str]:
        """The step of each timer key."""
        definition = self._client.get_definition(self.status["workflow_name"], self.status["version"])["definition"]
        return {step["timer"]["key"]: step["name"] for step in definition["steps"] + definition.get("finally", []) if "timer" in step}

    @property
    def state(self) -> str:
        return str(self.status["state"])

    @property
    def output(self) -> Any:
        """The output of every completed step that nothing depends on, by name."""
        return self.status.get("output")

    @property
    def error(self) -> dict[str, Any] | None:
        return self.status.get("error")

    @property
    def path(self) -> list[str]:
        """The steps that were completed, in that order."""
        return [event["step"] for event in self._client.get_history(self.workflow_id) if event["kind"] == "StepCompleted"]

    def step(self, name: str) -> dict[str, Any]:
        """A step's status: ``state``, ``attempt``, ``output`` and more. Raises AssertionError when there is none."""
        steps: dict[str, dict[str, Any]] = self.status["steps"]
        if name not in steps:
            raise AssertionError(f"run {self.workflow_id} has no step {name!r}; it has {', '.join(steps)}")
        return steps[name]

    def assert_completed(self) -> Run:
        assert self.state == "completed", f"run {self.workflow_id} is {self.state}: {self.error}"
        return self

    def assert_failed(self, step: str | None = None, code: str | None = None) -> Run:
        assert self.state == "failed", f"run {self.workflow_id} is {self.state}, not failed"
        error = self.error or {}
        assert step in (None, error.get("step")), f"it failed at {error.get('step')}, not at {step}: {error}"
        assert code in (None, error.get("code")), f"it failed with {error.get('code')}, not with {code}: {error}"
        return self

    def assert_path(self, *steps: str) -> Run:
        """These steps were completed, in this order, and no other."""
        assert self.path == list(steps), f"the run went {self.path}, not {list(steps)}"
        return self

    def assert_skipped(self, *steps: str) -> Run:
        for name in steps:
            assert self.step(name)["state"] == "skipped", f"step {name} is {self.step(name)['state']}, not skipped"
        return self

    def assert_attempts(self, step: str, attempts: int) -> Run:
        assert self.step(step)["attempt"] == attempts, f"step {step} had {self.step(step)['attempt']} attempts, not {attempts}"
        return self


def _tasks(flow: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks of a definition, and the compensations of them."""
    tasks = [step for step in flow["steps"] + flow.get("finally", []) if "handler_name" in step]
    return tasks + [{"service_name": task["service_name"]} | task["compensate"] for task in tasks if task.get("compensate")]


class Kit:
    """A daemon, or the one given, and workers for everything that is registered in this process.

    Workers start with the first run, one for each service that the workflows name, in this process. Stubs are set before that.
    """

    def __init__(self, daemon: Daemon | None = None) -> None:
        self._own = daemon is None
        self.daemon = daemon or Daemon()
        self.url = self.daemon.url
        self.client = SyncClient(self.url)
        self._stubs: dict[tuple[str, str], Callable[..., Any]] = {}
        self._serving: _Serving | None = None

    def stub(
        self,
        service_name: str,
        handler_name: str,
        *,
        returns: Any = None,
        raises: BaseException | list[BaseException | None] | None = None,
        does: Callable[..., Any] | None = None,
    ) -> Stub:
        """Let something else do a handler's work: it returns ``returns``, raises ``raises``, or is done by ``does``, a handler.

        A list of exceptions is for one attempt after the other, None for one that succeeds; when it is used up, attempts succeed.
        """
        if self._serving is not None:
            raise RuntimeError("stubs are set before the first run starts")
        stub = Stub()
        trouble = list(raises) if isinstance(raises, list) else None

        def stand_in(ctx: Context) -> Any:
            stub.calls.append(ctx)
            why = (trouble.pop(0) if trouble else None) if trouble is not None else raises
            if isinstance(why, BaseException):
                raise why
            if does is None:
                return returns
            handler = Handler(handler_name, does)
            args, kwargs = handler.arguments(ctx)
            return _aside(handler.fn(*args, **kwargs)) if handler.is_async else handler.fn(*args, **kwargs)

        self._stubs[service_name, handler_name] = stand_in
        return stub

    def register(self, name: str, definition: FlowDefinition) -> None:
        """Register a definition for this test only."""
        self.client.register_workflow(name, definition)

    def serve(self) -> None:
        """Start the workers; start() does it."""
        if self._serving is not None:
            return
        flows = workflows.get_registered_workflows()
        names = {definition["name"] for definition in self.client.list_definitions()}
        known = [self.client.get_definition(name)["definition"] for name in names - flows.keys()] + [flow.to_dict() for flow in flows.values()]
        wanted = {(step["service_name"], step["handler_name"]) for flow in known for step in _tasks(flow)}
        handlers = functions.get_registered_functions()
        services: dict[str, dict[str, Callable[..., Any]]] = {}
        for service, handler in sorted(wanted):
            fn = self._stubs.get((service, handler)) or handlers.get(handler)
            services.setdefault(service, {})[handler] = fn or _missing(service, handler)
        for name, flow in flows.items():
            self.client.register_workflow(name, flow)
        self._serving = _Serving(self.url, services)

    def start(self, workflow_name: str, input_data: Any = None, workflow_id: str | None = None) -> Run:
        """Start a run."""
        self.serve()
        return Run(self.client, self.client.start_workflow(workflow_name, input_data, workflow_id)["workflow_id"])

    def run(self, workflow_name: str, input_data: Any = None, timeout: float = 30.0) -> Run:
        """Start a run and wait for its end."""
        return self.start(workflow_name, input_data).wait(timeout)

    def advance(self, duration: str) -> None:
        """Move the daemon's clock ahead, by ``"48h"`` say: timers, time-outs of waits and retries that are due then come now.

        What follows from them, the next timer say, is due later: advance again. Leases and attempts under way are not touched.
        """
        self.client.advance_clock(duration)

    def close(self) -> None:
        """End what is open, and the workers."""
        try:
            self.client.cancel_workflows(all=True, reason="the test is over")
        finally:
            if self._serving is not None:
                self._serving.stop()
            self.client.close()
            if self._own:
                self.daemon.stop()

    def __enter__(self) -> Kit:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _missing(service: str, handler: str) -> Callable[..., Any]:
    def fail() -> None:
        raise NonRetryableError(
            f"no handler {handler} is registered in this process, and none is stubbed: import it, or stub({service!r}, {handler!r}, ...)",
            code="handler_missing",
        )

    return fail


class _Serving:
    """Workers on an event loop in a thread."""

    def __init__(self, url: str, services: dict[str, dict[str, Callable[..., Any]]]) -> None:
        self._workers = [
            Worker(name, coordinator_endpoint=url, functions=handlers, workflows={}, drain=1.0) for name, handlers in services.items()
        ]
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), name="agnt5-test-workers", daemon=True)
        self._failure: BaseException | None = None
        self._ended = False
        self._thread.start()
        while not all(worker.worker_id for worker in self._workers):
            if self._ended:
                raise RuntimeError(f"a worker did not start: {self._failure}")
            time.sleep(0.005)

    async def _run(self) -> None:
        try:
            await asyncio.gather(*(worker.run() for worker in self._workers))
        except BaseException as why:
            self._failure = why
        finally:
            self._ended = True

    def stop(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._thread.join(10)
