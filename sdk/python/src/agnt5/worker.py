"""A worker: serves the handlers of this process for a daemon."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import json
import logging
import math
import os
import random
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from ._attempt import Attempt, Watch, about, some
from ._failure import error_of, message_of, one_line, outcome_of, said
from ._http import AccessToken, Connection, segment
from ._json import nested_over, read_quickly
from ._keys import name_problem
from ._log import as_json
from ._nodes import Addresses
from ._stop import hook, unhook
from ._threads import Threads
from ._wire import items, joined, number, poll, polled, refusal, refused, success, too_much
from .errors import Agnt5Error, ApiError, NonRetryableError, UnknownAnswer, Unreachable
from .functions import Context, Handler, handlers
from .schedules import Schedule, get_registered_schedules
from .workflows import FlowDefinition, get_registered_workflows

_log = logging.getLogger("agnt5.worker")

_BATCH = 1000
_BATCH_BYTES = 8 << 20
_MAX_DETAILS = 4 << 10
_MAX_NESTING = 60  # of heartbeat details; the daemon takes 64 in all
_MOMENT = 0.001
_LOG_MOMENT = 1.0
_DEFAULT_ATTEMPTS = 3
_UNDO = "/undo"


def attempts_of(flow: FlowDefinition) -> dict[str, int]:
    """How many attempts each step has, and the compensation of each."""
    whole = flow.to_dict()

    def of(what: dict[str, Any]) -> int:
        return int((what.get("retry") or {}).get("max_attempts") or _DEFAULT_ATTEMPTS)

    attempts = {}
    for step in whole["steps"] + whole.get("finally", []):
        attempts[step["name"]] = of(step)
        if step.get("compensate"):
            attempts[step["name"] + _UNDO] = of(step["compensate"])
    return attempts


class Worker:
    """Serves every ``@function`` of this process as one service, and publishes every registered workflow and schedule.

    ``service_name`` and ``service_version`` (informational) name the service; ``coordinator_endpoint`` is the daemon's address
    (default: AGNT5_URL, else http://localhost:8080). ``capacity`` bounds the attempts at once (sync handlers run in that many
    threads, async ones on the event loop), ``drain`` is how many seconds a stop waits for them. ``functions``, ``workflows`` and
    ``schedules`` say what to serve and publish instead of all that is registered; with ``workflows``, no other schedules are.

    ``publish="current"`` makes a definition that its name has had current again when the worker joins, as you want for a roll-back; without it
    that changes nothing, and the log has a warning. Workers of two releases that both say it take turns. The same holds for schedules.

    An outcome is kept, and sent again, until the daemon has answered for it. When the daemon restarts the worker comes back to
    its session and goes on.
    """

    def __init__(
        self,
        service_name: str,
        service_version: str = "1.0.0",
        coordinator_endpoint: str | None = None,
        *,
        capacity: int = 100,
        drain: float = 10.0,
        api_key: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        functions: dict[str, Callable[..., Any]] | None = None,
        workflows: dict[str, FlowDefinition] | None = None,
        schedules: list[Schedule] | None = None,
        publish: Literal["current"] | None = None,
    ) -> None:
        problem = name_problem(service_name)
        if problem:
            raise ValueError(f"service_name {problem}")
        if publish not in (None, "current"):
            raise ValueError(f"publish: {publish!r}, want 'current' or None")
        if capacity < 1:
            raise ValueError(f"capacity: {capacity}, want at least 1")
        self.service_name = service_name
        self.service_version = service_version
        self.capacity = capacity
        self._nodes = Addresses(coordinator_endpoint)
        self._key = AccessToken(api_key, token_file)
        self._drain = drain
        self._functions = functions
        self._workflows = workflows
        self._publish = publish
        self._schedules = [] if schedules is None and workflows is not None else schedules
        self._handlers: dict[str, Handler] = {}
        self._lock = threading.Condition()
        self._joining = threading.Lock()
        self._open: dict[str, Attempt] = {}
        self._done: deque[tuple[str, str]] = deque()  # token and outcome, to be sent
        self._generation = 0
        self._session: dict[str, Any] = {}
        self._taking = threading.Event()
        self._waiting = False  # a poll waits for tasks
        self._lost = False  # the daemon does not answer, and that was said
        self._ended = threading.Event()
        self._hurry = threading.Event()  # a second signal came
        self._spoken = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._hooked = False  # stop signals
        self._poller: Connection | None = None
        self._pool: Threads | None = None
        self._log_due = math.inf  # when what handlers wrote to their logs is sent
        self._watch = Watch(capacity)
        self._last_attempts: dict[str, dict[str, int]] = {}  # by workflow and step

    @property
    def worker_id(self) -> str:
        """The session's id; "" before it has joined."""
        return str(self._session.get("worker_id", ""))

    def stop(self) -> None:
        """Make run() end: take no more, finish what is under way, bring the outcomes, leave. Thread-safe."""
        loop, stopped = self._loop, self._stopped
        if loop is not None and stopped is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stopped.set)

    def run_sync(self) -> None:
        """run() for programs without an event loop of their own.

        It exits with 1 when handlers had not returned at the end. Where nobody has set up logging, it does: what the worker and ``ctx.logger`` say goes to standard error from INFO on.
        """
        if not logging.getLogger().handlers:
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        try:
            with asyncio.Runner() as runner:
                drained = self._run_on(runner.get_loop())
                if self._hurry.is_set():  # the interpreter would wait for threads of handlers
                    logging.shutdown()
                    sys.stdout.flush()
                    os._exit(1)
        except Agnt5Error as why:
            raise why.with_traceback(None) from None  # one line says it
        if not drained:
            sys.exit(1)

    def _run_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Run the loop until the worker has ended, whatever the tasks that handlers start do to it. False: handlers had not returned."""
        asyncio.set_event_loop(loop)
        task = loop.create_task(self._serve())
        while not task.done():
            try:
                loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt, RuntimeError) as why:
                if task.done():
                    break
                if isinstance(why, KeyboardInterrupt) and not self._hooked:  # Ctrl-C where signals cannot be hooked
                    self.stop()
                else:
                    _log.error("the worker goes on: something that a handler started would have ended its event loop: %s", message_of(why))
        return task.result()

    async def run(self) -> None:
        """Serve until SIGTERM, SIGINT, SIGHUP or stop(). Raises Agnt5Error when the daemon refuses the worker for good."""
        await self._serve()

    async def _serve(self) -> bool:
        self._handlers = handlers() if self._functions is None else {n: Handler(n, f) for n, f in self._functions.items()}
        if not self._handlers:
            raise ValueError("there is nothing to serve: decorate a function with @function first")
        self._last_attempts = {name: attempts_of(flow) for name, flow in self._published().items()}
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._failure = None
        self._pool = Threads(self.capacity)
        own = concurrent.futures.ThreadPoolExecutor(1, "agnt5-own")  # handlers may have used up the loop's
        self._taking.set()
        self._ended.clear()
        self._hurry.clear()
        self._hooked = hook(self, self._loop)
        threads = [
            threading.Thread(target=self._guard, args=(body,), name=f"agnt5-{body.__name__}", daemon=True)
            for body in (self._pump, self._report, self._heartbeat)
        ]
        try:
            await self._loop.run_in_executor(own, self._join, 0)
            if self._session:  # else it was stopped before it had one
                for thread in threads:
                    thread.start()
                await self._stopped.wait()
        finally:
            self._taking.clear()
            if self._poller is not None:
                self._poller.interrupt()
            self._spoken.set()  # a last question of what is cancelled: the answer that said so may be the one that is not waited for
            drained = await self._drained() if self._failure is None else True
            self._ended.set()
            self._spoken.set()
            with self._lock:
                self._lock.notify_all()
            for thread in threads:
                if thread.is_alive():
                    await self._loop.run_in_executor(own, thread.join, 5.0)
            unhook(self, self._loop)
            self._pool.close()
            await self._loop.run_in_executor(own, self._leave)
            own.shutdown(wait=False)
        if self._failure is not None:
            raise self._failure
        if not drained:
            with self._lock:
                left = ", ".join(str(attempt) for attempt in self._open.values())
            _log.warning("these had not returned, or what they returned did not reach the daemon, and are offered to others: %s", left)
        return drained

    def _signalled(self) -> None:
        if self._stopped is not None and self._stopped.is_set():
            self._hurry.set()
        self.stop()

    async def _drained(self) -> bool:
        """Wait for the handlers that are under way. False: some have not returned."""
        with self._lock:
            left = [str(attempt) for attempt in self._open.values()]
        if left:
            _log.info("stopping; waiting up to %g s (until the next signal) for: %s", self._drain, some(left))
        until = time.monotonic() + self._drain
        while time.monotonic() < until and not self._hurry.is_set():
            with self._lock:
                if not self._open:
                    return True
            await asyncio.sleep(0.01)
        return not self._open

    def _guard(self, body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as why:  # whatever ends a thread ends the worker, and is raised by run()
            if not self._ended.is_set() and self._failure is None:
                self._failure = why
                self.stop()

    def _connection(self, timeout: float = 30.0) -> contextlib.closing[Connection]:
        return contextlib.closing(Connection(self._nodes, self._key, timeout))

    # The session.

    def _join(self, generation: int) -> None:
        """Open the session, or take it up again. Another thread may have done so since ``generation``."""
        pause = 0.05
        with self._joining, self._connection() as conn:
            while self._generation == generation and not self._ended.is_set():
                body = self._registration()
                try:
                    got = joined(conn, conn.call("POST", "/v1/workers", body))
                except (Unreachable, ApiError) as why:
                    if isinstance(why, UnknownAnswer) and why.status < 500 and not self._session:
                        raise Agnt5Error(f"this worker cannot join: {why}") from None  # a wrong address, most likely
                    if refusal(why):
                        raise refused(conn.url, "this worker", why) from None
                    self._gone(why)
                else:
                    first = not self._session
                    with self._lock:
                        self._session = got
                        self._generation += 1
                    self._lost = False
                    self._spoken.set()  # the heartbeat may have a new interval
                    _log.info(
                        "%s %s to the daemon at %s, handlers: %s",
                        self.service_name,
                        "connected" if first else "came back",
                        conn.url,
                        ", ".join(self._handlers),
                    )
                    for other in got.get("not_current") or ():
                        _log.warning(
                            "this worker publishes version %(version)s of workflow %(workflow)s, and new runs get version %(current)s, which is current; "
                            '"agnt5d workflows use %(workflow)s %(version)s" makes the worker\'s current',
                            other,
                        )
                    for left in got.get("not_scheduled") or ():
                        _log.warning(
                            "this worker publishes the schedule %(schedule)s, which stays as it is: %(why)s; "
                            '"agnt5d schedules show %(schedule)s" shows it, and "agnt5d schedules apply FILE" changes it',
                            left,
                        )
                    for token in got.get("lost") or ():
                        self._cancel(token)
                    return
                if self._stopped is not None and self._stopped.is_set() and self._generation == 0:
                    _log.warning("stopped before the daemon at %s was reached", conn.url)
                    return
                self._ended.wait(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, 5.0)

    def _gone(self, why: Exception) -> None:
        """Say that the daemon does not answer, or refuses everything, once until it does again."""
        what = "refuses this worker" if refusal(why) else "does not answer"
        if not self._lost:
            self._lost = True
            _log.warning("the daemon %s; retrying, and keeping outcomes: %s", what, why)
        else:
            _log.debug("the daemon still %s: %s", what, why)

    def _back(self) -> None:
        if self._lost:
            self._lost = False
            _log.info("the daemon at %s answers again", self._nodes.shown)

    def _published(self) -> dict[str, FlowDefinition]:
        return get_registered_workflows() if self._workflows is None else self._workflows

    def _registration(self) -> bytes:
        flows = self._published()
        body: dict[str, Any] = {
            "service_name": self.service_name,
            "service_version": self.service_version,
            "handlers": list(self._handlers),
            "capacity": self.capacity,
            "host": socket.gethostname()[:255],
            "pid": os.getpid(),
            "references": True,
        }
        agenda = list(get_registered_schedules().values()) if self._schedules is None else self._schedules
        if agenda:
            body["schedules"] = agenda
        if self._publish:
            body["publish"] = self._publish
        with self._lock:
            if self._session:
                body["worker_id"] = self._session["worker_id"]
                body["tokens"] = list(self._open)
        text = json.dumps(body)
        if flows:
            published = ",".join(f"{json.dumps(name)}:{flow.to_json()}" for name, flow in flows.items())
            text = text[:-1] + f',"workflows":{{{published}}}}}'
        return text.encode()

    def _at(self) -> tuple[str, int]:
        with self._lock:
            return f"/v1/workers/{segment('worker_id', self._session['worker_id'])}", self._generation

    def _read_output(self, task: dict[str, Any], step: str) -> Any:
        """The output of a step that a task refers to, read by showing its lease token."""
        path = f"/v1/runs/{segment('workflow_id', task['workflow_id'])}/steps/{segment('step', step)}/output"
        with self._connection(60.0) as conn:
            return conn.call("GET", path, headers={"Agnt5-Lease-Token": task["token"]})[1]

    def _leave(self) -> None:
        if not self._session:
            return
        try:
            with self._connection(2.0) as conn:
                conn.call("DELETE", self._at()[0])
        except Agnt5Error as why:
            _log.debug("could not tell the daemon that this worker is leaving: %s", why)

    # Taking tasks, and bringing outcomes with the next poll.

    def _pump(self) -> None:
        """Bring what is done and take what is next, in one call; wait for tasks when nothing is done.

        While that waits, _report brings outcomes.
        """
        wait_ms = int(number(self._session, "max_wait_ms", 30_000))
        with self._connection(wait_ms / 1000 + 15) as conn:
            conn.read = read_quickly
            self._poller = conn
            self._take(conn, wait_ms)

    def _take(self, conn: Connection, wait_ms: int) -> None:
        seq, pause, busy = 1, 0.05, False
        batch: list[tuple[str, str]] = []
        while True:
            room, batch = self._next(batch, busy)
            if not room and not batch:
                if not self._taking.is_set():
                    return
                continue
            path, generation = self._at()
            try:
                got = polled(conn, conn.call("POST", path + "/poll", poll(seq, room, 0 if batch else wait_ms, batch)), batch)
            except (Unreachable, ApiError) as why:
                if not batch and not self._taking.is_set():
                    return
                if isinstance(why, ApiError) and why.code == "worker_not_found":
                    self._join(generation)
                    seq += 1
                    continue
                if batch and too_much(why):
                    seq += 1
                    self._one_by_one(conn, batch, why)
                    batch = []
                    continue
                if refusal(why):
                    raise refused(conn.url, "a poll", why) from None
                self._gone(why)
                if self._ended.wait(pause * random.uniform(0.5, 1)):
                    return
                pause = min(2 * pause, 5.0)
                continue
            finally:
                self._waiting = False
            self._back()
            seq += 1
            pause = 0.05
            busy = bool(batch)
            if batch:
                self._answered(batch, got.results)
                batch = []
            for token in got.cancelled:
                self._cancel(token)
            busy = busy or bool(got.tasks)
            self._start(got.tasks, got.unsettled)

    def _next(self, batch: list[tuple[str, str]], busy: bool) -> tuple[int, list[tuple[str, str]]]:
        """How many tasks to ask for, and which outcomes to bring with that; those that were not taken yet come first."""
        with self._lock:
            if not batch and not self._done and busy and self._open:
                self._lock.wait(_MOMENT)  # quick handlers are done in a moment: one call then does for both
            while not batch and not self._done and len(self._open) >= self.capacity and self._taking.is_set():
                self._lock.wait(1.0)
            if not batch:
                batch = self._drain_done()
            room = max(self.capacity - len(self._open) + len(batch), 0) if self._taking.is_set() else 0
            self._waiting = not batch
            return room, batch

    def _drain_done(self) -> list[tuple[str, str]]:
        """Take outcomes that are done, as many as one call brings."""
        out: list[tuple[str, str]] = []
        size = 0
        while self._done and len(out) < _BATCH and size < _BATCH_BYTES:
            out.append(self._done.popleft())
            size += len(out[-1][1])
        return out

    def _start(self, tasks: list[dict[str, Any]], unsettled: bool) -> None:
        assert self._pool is not None and self._loop is not None
        worker_id = self.worker_id
        on_loop: list[tuple[Attempt, str, Context, Handler]] = []
        for task in tasks:
            token = str(task["token"])
            try:
                ctx = Context(task, worker_id, lambda details, token=token: self._beat(token, details), self._logged)  # type: ignore[misc]
                ctx._unsettled = unsettled
                ctx._read = self._read_output
            except (KeyError, TypeError) as why:
                ctx, unreadable = None, NonRetryableError(f"the task cannot be read: no {said(why)}", code="task_unreadable")
            attempt = Attempt(ctx)
            with self._lock:
                if token in self._open:  # the answer to a poll came twice
                    continue
                self._open[token] = attempt
            handler = self._handlers.get(ctx.handler_name) if ctx is not None else None
            if ctx is None:
                self._finish(token, outcome_of(token, error_of(unreadable)))
            elif handler is None:
                no = NonRetryableError(f"this worker has no handler {self.service_name}/{ctx.handler_name}", code="handler_unknown")
                self._finish(token, outcome_of(token, error_of(no)))
            elif handler.is_async:
                on_loop.append((attempt, token, ctx, handler))
            else:
                try:
                    self._pool.submit(functools.partial(self._run_sync, token, ctx, handler))
                except RuntimeError as why:  # the system gives no more threads
                    self._finish(token, outcome_of(token, error_of(why)))
        if on_loop:
            self._loop.call_soon_threadsafe(self._start_on_loop, on_loop)

    def _start_on_loop(self, attempts: list[tuple[Attempt, str, Context, Handler]]) -> None:
        for attempt, token, ctx, handler in attempts:
            attempt.future = asyncio.ensure_future(self._run_async(token, ctx, handler))

    def _run_sync(self, token: str, ctx: Context, handler: Handler) -> None:
        try:
            ctx._settle()
            args, kwargs = handler.arguments(ctx)
            outcome = success(token, handler.fn(*args, **kwargs), ctx)
        except BaseException as why:
            outcome = self._failed(token, ctx, why)
        self._finish(token, outcome)

    async def _run_async(self, token: str, ctx: Context, handler: Handler) -> None:
        try:
            if ctx._cancelled:
                raise asyncio.CancelledError("cancelled before it began")
            if ctx._unsettled:
                await asyncio.get_running_loop().run_in_executor(None, ctx._settle)
            args, kwargs = handler.arguments(ctx)
            outcome = success(token, await handler.fn(*args, **kwargs), ctx)
        except BaseException as why:
            outcome = self._failed(token, ctx, why)
        self._finish(token, outcome)

    def _failed(self, token: str, ctx: Context, why: BaseException) -> str:
        """The outcome of an attempt that failed; the log says it, with the traceback when it is the step's last."""
        error = error_of(why)
        try:
            if ctx._cancelled:
                _log.debug("%s ended after it was cancelled: %s", about(ctx), one_line(error["message"]))
            elif error.get("retryable", True) and ctx.attempt < self._last_attempts.get(ctx.workflow_name, {}).get(ctx.step_name + (_UNDO if ctx.compensates else ""), 0):
                _log.warning("%s failed and may be tried again: %s", about(ctx), one_line(error["message"]))
            else:
                _log.warning("%s failed: %s\n%s", about(ctx), one_line(error["message"]), error["stack"].rstrip("\n"))
        except Exception:  # a log that somebody has set up
            pass
        return outcome_of(token, error)

    def _cancel(self, token: str) -> None:
        with self._lock:
            attempt = self._open.get(token)
        if attempt is None or attempt.ctx is None:
            return
        attempt.ctx._cancelled = True
        attempt.over_since = attempt.over_since or time.monotonic()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(attempt.end)

    # Bringing outcomes while a poll waits for tasks.

    def _finish(self, token: str, outcome: str) -> None:
        with self._lock:
            attempt = self._open.get(token)
            if attempt is not None:
                attempt.returned = True
                part = self._said(attempt)
                if part is not None:
                    outcome = outcome[:-1] + as_json(part) + "}"
            self._done.append((token, outcome))
            if len(self._done) == 1:
                self._lock.notify_all()

    def _report(self) -> None:
        with self._connection() as conn:
            while self._bring_done(conn):
                pass

    def _bring_done(self, conn: Connection) -> bool:
        """Wait for outcomes that no poll brings, and bring them. False: there is nothing more."""
        with self._lock:
            while not self._ended.is_set() and not (self._done and (self._waiting or not self._taking.is_set())):
                self._lock.wait(1.0)
            batch = self._drain_done()
        pause = 0.05
        while batch and not self._bring(conn, batch):
            if self._ended.wait(pause * random.uniform(0.5, 1)):
                return False
            pause = min(2 * pause, 5.0)
        return bool(batch)

    def _bring(self, conn: Connection, batch: list[tuple[str, str]]) -> bool:
        """Send outcomes once. False: they are not answered for yet."""
        path, generation = self._at()
        try:
            got = polled(conn, conn.call("POST", path + "/poll", poll(0, 0, 0, batch)), batch)
        except (Unreachable, ApiError) as why:
            if isinstance(why, ApiError) and why.code == "worker_not_found":
                self._join(generation)
            elif too_much(why):
                self._one_by_one(conn, batch, why)
                return True
            elif refusal(why):
                raise refused(conn.url, "outcomes", why) from None
            else:
                self._gone(why)
            return False
        self._back()
        self._answered(batch, got.results)
        return True

    def _one_by_one(self, conn: Connection, batch: list[tuple[str, str]], why: Exception) -> None:
        """Bring outcomes that were refused together: the one that is at fault fails its attempt, the others are taken."""
        for token, outcome in batch:
            pause = 0.05
            last = len(batch) == 1  # this very one was refused
            while True:
                if last:
                    _log.error("the daemon refuses the outcome of %s; the attempt fails instead: %s", self._open.get(token), why)
                    failure = NonRetryableError(f"the daemon refused the outcome: {why}", code="outcome_refused")
                    outcome = outcome_of(token, error_of(failure))
                path, generation = self._at()
                try:
                    got = polled(conn, conn.call("POST", path + "/poll", poll(0, 0, 0, [(token, outcome)])), [(token, outcome)])
                except (Unreachable, ApiError) as again:
                    if isinstance(again, ApiError) and again.code == "worker_not_found":
                        self._join(generation)
                        continue
                    if too_much(again):
                        if last:
                            _log.error("the daemon refuses even that; the lease of %s runs out: %s", self._open.get(token), again)
                            self._answered([(token, outcome)], [])
                            break
                        last, why = True, again
                        continue
                    if refusal(again):
                        raise refused(conn.url, "an outcome", again) from None
                    self._gone(again)
                    if self._ended.wait(pause * random.uniform(0.5, 1)):
                        return
                    pause = min(2 * pause, 5.0)
                    continue
                self._back()
                self._answered([(token, outcome)], got.results)
                break

    def _answered(self, batch: list[tuple[str, str]], results: list[dict[str, str]]) -> None:
        for result in results:
            code = result.get("code")
            if code in ("recorded", "duplicate", "run_finished"):
                continue
            attempt = self._open.get(str(result.get("token")))
            if code in ("stale_lease", "conflict"):  # timed out, or the lease was lost
                _log.info("the outcome of %s came too late: %s", attempt or "an attempt", code)
            else:
                _log.warning("the outcome of %s was not accepted: %s", attempt or "an attempt", code)
        with self._lock:
            for token, _ in batch:
                self._open.pop(token, None)
            self._lock.notify_all()

    # Signs of life.

    def _beat(self, token: str, details: Any) -> None:
        text = json.dumps(details, allow_nan=False)  # now: the handler hears what is wrong with it, and may change it afterwards
        if len(text) > _MAX_DETAILS:
            raise ValueError(f"heartbeat details of {len(text)} bytes, the limit is {_MAX_DETAILS}")
        if nested_over(details, _MAX_NESTING):
            raise ValueError(f"heartbeat details are nested over {_MAX_NESTING} deep, the limit")
        with self._lock:
            attempt = self._open.get(token)
            if attempt is not None:
                attempt.spoke, attempt.details = True, text
        self._spoken.set()

    def _logged(self) -> None:
        """A handler wrote to its log: that is sent in a moment."""
        if self._log_due == math.inf:
            self._log_due = time.monotonic() + _LOG_MOMENT
            self._spoken.set()

    def _said(self, attempt: Attempt) -> tuple[int, str] | None:
        """What the attempt wrote to its log and the daemon does not have; None: nothing, or it takes none."""
        log = attempt.ctx._log if attempt.ctx is not None else None
        return log.part() if log is not None and self._session.get("log_bytes") else None

    def _heartbeat(self) -> None:
        last, known, asked = time.monotonic(), 0, False
        conn = Connection(self._nodes, self._key, 10.0)
        try:
            while not self._ended.is_set():
                every = max(number(self._session, "heartbeat_ms", 10_000) / 1000, 0.01)  # a daemon that came back may want another
                if known != self._generation:
                    conn.close()
                    known, conn = self._generation, Connection(self._nodes, self._key, every)
                due = last + every
                self._spoken.wait(max(min(due, self._log_due) - time.monotonic(), 0))
                if self._ended.is_set():
                    return
                self._spoken.clear()
                stopping = not self._taking.is_set()
                everything = time.monotonic() >= due or stopping > asked
                asked = stopping
                logs = time.monotonic() >= self._log_due
                if everything:
                    last = time.monotonic()
                    self._look(max(every, 1.0))
                if logs:
                    self._log_due = math.inf
                beats, parts = self._beats(everything, logs)
                if (beats or everything) and self._send_beats(conn, beats):
                    self._taken(parts)
                elif parts:
                    self._logged()
        finally:
            conn.close()

    def _beats(self, everything: bool, logs: bool) -> tuple[dict[str, str], dict[str, int]]:
        """Which leases to renew: those of handlers that spoke, with what they said, or all of them.

        With ``logs``, what handlers wrote to their logs, and where that ends by token.
        """
        beats: dict[str, str] = {}
        ends: dict[str, int] = {}
        room = _BATCH_BYTES  # the leases of all must not hang on logs
        with self._lock:
            for token, attempt in self._open.items():
                if attempt.spoke:
                    beats[token] = f',"details":{attempt.details}'
                    attempt.spoke = False
                elif everything:
                    beats[token] = ""
                part = self._said(attempt) if logs else None
                if part is not None:
                    text = as_json(part)
                    room -= len(text)
                    if room < 0:
                        self._logged()
                        continue
                    beats[token] = beats.get(token, "") + text
                    ends[token] = part[0] + len(part[1].encode())
        return beats, ends

    def _taken(self, ends: dict[str, int]) -> None:
        """The daemon has logs up to there."""
        for token, end in ends.items():
            attempt = self._open.get(token)
            if attempt is not None and attempt.ctx is not None and attempt.ctx._log is not None and attempt.ctx._log.taken(end):
                self._logged()

    def _send_beats(self, conn: Connection, beats: dict[str, str]) -> bool:
        """Send a heartbeat. False: the daemon has not taken it."""
        path, generation = self._at()
        tokens = ",".join(f'{{"token":{json.dumps(token)}{details}}}' for token, details in beats.items())
        try:
            _, got = conn.call("POST", path + "/heartbeat", f'{{"tokens":[{tokens}]}}'.encode())
        except (Unreachable, ApiError) as why:
            if isinstance(why, ApiError) and why.code == "worker_not_found":
                self._join(generation)
            elif too_much(why) and any(beats.values()):
                _log.warning("a heartbeat was refused, what handlers said is left out: %s", why)
                self._send_beats(conn, dict.fromkeys(beats, ""))
            else:
                self._gone(why)
            return False
        for token in items(got, "gone"):
            self._cancel(token)
        return True

    def _look(self, patience: float) -> None:
        """Say when handlers do not let go."""
        with self._lock:
            under_way = [attempt for attempt in self._open.values() if not attempt.returned]
        if self._loop is not None:
            self._watch.look(under_way, patience, self._loop)
