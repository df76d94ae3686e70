"""Every call of the client, once. SyncClient and Client only differ in how they send what a call asks for.

A call is a generator: it yields what it wants done (a Request, a Pause, of an event stream the next Line) and gets the answer, or the
error, at that place.
"""

from __future__ import annotations

import datetime
import functools
import json
import random
import secrets
import time
import types
import urllib.parse
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, TypedDict, TypeVar, Unpack, overload

from ._http import given, segment
from ._json import read
from .errors import ApiError, UnknownAnswer, Unreachable, WaitTimeout
from .workflows import FlowDefinition

if TYPE_CHECKING:
    from .client import Client, SyncClient

P = ParamSpec("P")
T = TypeVar("T")

_ENDED = ("completed", "failed", "cancelled", "quarantined")
_BUSY = (502, 503, 504)  # of the daemon, and of a proxy before it
_LONG = 10.0  # seconds that one request of wait() takes at most
_KEPT_ALIVE = 45.0  # seconds: an event stream says something every 15
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Request(NamedTuple):
    """Send this and give the JSON of the answer; of a stream, give nothing: its lines are asked for one by one."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] | None = None
    wait: float = 0.0
    """Seconds that the daemon may take before it answers."""
    stream: bool = False


class Pause(NamedTuple):
    """Wait so many seconds."""

    seconds: float


class Line(NamedTuple):
    """Give the next line of the stream, b"" at its end."""


class Item(NamedTuple):
    """Hand this to whoever reads the stream."""

    value: Any


Wanted = Request | Pause | Line | Item
Steps = Generator[Wanted, Any, T]


class call(Generic[P, T]):
    """A method that is written as a generator: in SyncClient it is a plain one, in Client it is to be awaited."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        @functools.wraps(steps)
        def plain(client: SyncClient, *args: P.args, **kwargs: P.kwargs) -> T:
            return client._run(steps(client, *args, **kwargs))

        @functools.wraps(steps)
        async def awaited(client: Client, *args: P.args, **kwargs: P.kwargs) -> T:
            return await client._run(steps(client, *args, **kwargs))

        self._plain, self._awaited = plain, awaited

    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, client: SyncClient, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type[Calls]) -> Any:
        fn = self._awaited if owner._awaits else self._plain
        return fn if client is None else types.MethodType(fn, client)


class stream(Generic[P]):
    """The same for what is read with ``for``, or ``async for``."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[None]]) -> None:
        @functools.wraps(steps)
        def plain(client: SyncClient, *args: P.args, **kwargs: P.kwargs) -> Generator[dict[str, Any], None, None]:
            return client._follow(steps(client, *args, **kwargs))

        @functools.wraps(steps)
        def awaited(client: Client, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[dict[str, Any], None]:
            return client._follow(steps(client, *args, **kwargs))

        self._plain, self._awaited = plain, awaited

    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, client: SyncClient, owner: type) -> Callable[P, Generator[dict[str, Any], None, None]]: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, AsyncGenerator[dict[str, Any], None]]: ...
    def __get__(self, client: Any, owner: type[Calls]) -> Any:
        fn = self._awaited if owner._awaits else self._plain
        return fn if client is None else types.MethodType(fn, client)


def new_id() -> str:
    """An id for a run or a signal: a ULID, ascending in time."""
    value = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def _instant(what: str, value: Any) -> str:
    """A time as the daemon reads it."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise ValueError(f"{what}: {value} has no time zone; datetime.now(timezone.utc) has")
        return value.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _filter(what, value)


def _filter(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what}: want a text, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{what} is empty: give it a value, or leave it out")
    return value


_Instant = datetime.datetime | str | None


def _later(given: Mapping[str, Any]) -> dict[str, Any]:
    """When the first steps of a run start, as a start says it."""
    out: dict[str, Any] = {}
    if given.get("start_at") is not None:
        out["start_at"] = _instant("start_at", given["start_at"])
    delay = given.get("delay")
    if isinstance(delay, datetime.timedelta):
        out["delay_ms"] = round(delay.total_seconds() * 1000)
    elif delay is not None:
        out["delay"] = _filter("delay", delay)
    return out


class Filters(TypedDict, total=False):
    """Which runs are meant. What is left out, or None, means any."""

    workflow_name: str | None
    state: str | None
    """running, completed, failed, cancelled or quarantined; or several, with commas between."""
    id_prefix: str | None
    since: _Instant
    """Of the start. A time is a datetime with a time zone, or RFC 3339 text; ``until`` and ``ended_until`` are exclusive."""
    until: _Instant
    ended_since: _Instant
    """Of the end: only runs that have ended."""
    ended_until: _Instant
    error_code: str | None
    text: str | None
    """In the error of a failed run."""
    stuck_for: str | None
    """``"10m"``: open runs that nothing has moved for so long, and nothing will by itself."""
    include: str | None
    """``"signals"``: with ``stuck_for`` also those that wait for a signal. ``"reason"``, of a list: each failed or open run tells why."""


def _filters(given: Filters) -> dict[str, str]:
    """Filters as a query has them."""
    out = {}
    for key, value in given.items():
        if key not in Filters.__annotations__:
            raise TypeError(f"there is no filter {key}; want {', '.join(Filters.__annotations__)}")
        if value is not None:
            out[key.removesuffix("_name")] = _instant(key, value) if key.endswith(("since", "until")) else _filter(key, value)
    return out


def _sorted(sort: str | None) -> dict[str, str]:
    return {} if sort is None else {"sort": _filter("sort", sort)}


def _query(path: str, query: dict[str, str]) -> str:
    return path + "?" + urllib.parse.urlencode(query) if query else path


def _run(workflow_id: str, rest: str = "") -> str:
    return f"/v1/runs/{segment('workflow_id', workflow_id)}{rest}"


def _schedule(name: str, rest: str = "") -> str:
    return f"/v1/schedules/{segment('name', name)}{rest}"


def _revision(revision: int | None) -> dict[str, str] | None:
    return None if revision is None else {"If-Match": str(int(revision))}


def _object(got: Any, *keys: str) -> dict[str, Any]:
    """The answer as an object that has these keys. Raises UnknownAnswer."""
    if not isinstance(got, dict) or any(key not in got for key in keys):
        raise UnknownAnswer(200, "unknown_answer", "the answer is not agnt5d's: is that the daemon's address?")
    return got


def _items(got: Any, key: str) -> list[dict[str, Any]]:
    items = _object(got, key)[key]
    if not isinstance(items, list):
        raise UnknownAnswer(200, "unknown_answer", "the answer is not agnt5d's: is that the daemon's address?")
    return items


class Calls:
    """What SyncClient and Client can do."""

    _awaits: bool
    _patience: float
    _waits = 0  # that are under way
    _many_waits: float
    """From so many on they do not keep a connection each, but ask now and then."""

    def _ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, headers: dict[str, str] | None = None, wait: float = 0.0
    ) -> Steps[Any]:
        """One request, sent again while the daemon does not answer or is busy."""
        if body is not None:
            raw = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        until = time.monotonic() + self._patience
        pause = 0.05
        while True:
            try:
                return (yield Request(method, path, raw, headers, wait))
            except (Unreachable, ApiError) as why:
                if (isinstance(why, ApiError) and why.status not in _BUSY) or time.monotonic() + pause > until:
                    raise
            yield Pause(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 2.0)

    # Workflows.

    @call
    def register_workflow(self, name: str, definition: FlowDefinition | str) -> Steps[dict[str, Any]]:
        """Register a definition (or its JSON or YAML text) and make it current: ``{name, version, digest}``."""
        text = definition if isinstance(definition, str) else definition.to_json()
        got = yield from self._ask("PUT", f"/v1/workflows/{segment('name', name)}", raw=text.encode())
        return _object(got, "version")

    @call
    def list_definitions(self) -> Steps[list[dict[str, Any]]]:
        """Every registered workflow, by name: ``{name, version, digest, ...}`` of the current version."""
        return _items((yield from self._ask("GET", "/v1/workflows")), "workflows")

    @call
    def get_definition(self, name: str, version: int | None = None) -> Steps[dict[str, Any]]:
        """A registered workflow with its ``definition``; without ``version`` the current one. Raises NotFound (``workflow_not_found``)."""
        query = {} if version is None else {"version": str(int(version))}
        return _object((yield from self._ask("GET", _query(f"/v1/workflows/{segment('name', name)}", query))), "definition")

    @call
    def get_graph(self, name: str, version: int | None = None, *, fold: int | None = None) -> Steps[dict[str, Any]]:
        """The graph of a definition, with a place in pixels for each step: ``{nodes, edges, groups, width, height}`` and more.

        With more than ``fold`` steps those that are alike become one node. Raises NotFound (``workflow_not_found``).
        """
        query = {key: str(int(value)) for key, value in (("version", version), ("fold", fold)) if value is not None}
        return _object((yield from self._ask("GET", _query(f"/v1/workflows/{segment('name', name)}/graph", query))), "nodes")

    @call
    def use_definition(self, name: str, version: int) -> Steps[dict[str, Any]]:
        """Make a version that a workflow has had current: ``{name, version, digest}``.

        New runs get it, others keep theirs. Raises NotFound (``workflow_not_found``) when there is no such version.
        """
        got = yield from self._ask("PUT", f"/v1/workflows/{segment('name', name)}/current", {"version": int(version)})
        return _object(got, "version")

    @call
    def delete_definition(self, name: str, version: int | None = None) -> Steps[None]:
        """Delete a version that no run uses and that is not the current one, or without ``version`` the workflow with all of them.

        Raises Conflict (``workflow_in_use``, ``version_current``).
        """
        query = {} if version is None else {"version": str(int(version))}
        yield from self._ask("DELETE", _query(f"/v1/workflows/{segment('name', name)}", query))

    # One run.

    @call
    def start_workflow(
        self,
        workflow_name: str,
        input_data: Any = None,
        workflow_id: str | None = None,
        *,
        version: int | None = None,
        signal: Mapping[str, Any] | None = None,
        start_at: _Instant = None,
        delay: datetime.timedelta | str | None = None,
    ) -> Steps[dict[str, Any]]:
        """Start a run; gives its status, with ``workflow_id``.

        With an id of your own, the same id, workflow and input again give the run that exists. Raises NotFound
        (``workflow_not_found``) and Conflict (``run_conflict``). ``version`` starts that version of the workflow instead of the current one.
        ``signal``, ``{"name": ..., "payload": ..., "signal_id": ...}``, is delivered together with the start, or to the run of that id when
        it exists; then Conflict (``run_finished``) says that it has ended. ``start_at``, a datetime with a zone or a text (RFC 3339), or
        ``delay``, a timedelta or a text such as "5m", lets its first steps wait; the run is there at once.
        """
        body = {"workflow_id": new_id() if workflow_id is None else given("workflow_id", workflow_id), "input_data": input_data}
        if version is not None:
            body["version"] = int(version)
        if signal is not None:
            body["signal"] = {"signal_id": new_id(), **signal}
        body |= _later({"start_at": start_at, "delay": delay})
        got = yield from self._ask("POST", f"/v1/workflows/{segment('workflow_name', workflow_name)}/runs", body)
        return _object(got, "workflow_id", "state")

    @call
    def start_workflows(self, runs: Iterable[Mapping[str, Any]]) -> Steps[list[dict[str, Any]]]:
        """Start up to 1,000 runs at once: ``{"workflow_name": ..., "input_data": ..., "workflow_id": ..., "version": ..., "signal": ...,
        "start_at": ..., "delay": ...}`` each.

        Gives an answer for each, in their order: ``workflow_id`` and ``created``, or ``error``. Those that can be started are.
        """
        if isinstance(runs, str):
            raise ValueError("runs: want a list of starts, not a text")
        if not isinstance(runs, Iterable):
            raise TypeError(f"runs: want a list of starts, not {type(runs).__name__}")
        starts = []
        for run in runs:
            start = {"workflow_id": new_id()} | {key: value for key, value in run.items() if value is not None}
            given("workflow_name", start.get("workflow_name", ""))
            given("workflow_id", start["workflow_id"])
            if start.get("signal") is not None:
                start["signal"] = {"signal_id": new_id(), **start["signal"]}
            starts.append({key: value for key, value in start.items() if key != "delay"} | _later(start))
        body = {"runs": starts}
        got = _object((yield from self._ask("POST", "/v1/runs/batch", body)), "runs")
        return list(got["runs"])

    @call
    def get_workflow_status(self, workflow_id: str, steps: str = "all", *, at: int | None = None) -> Steps[dict[str, Any]]:
        """A run's status: ``state``, ``output``, ``error``, ``steps`` and more. ``steps`` is "all", "open" or "none".

        With ``at`` it is as it was after the run's last event at or before that sequence; ``as_of`` says which event that is.
        """
        query = {"steps": _filter("steps", steps)} | ({} if at is None else {"at": str(int(at))})
        return _object((yield from self._ask("GET", _query(_run(workflow_id), query))), "state")

    @call
    def wait(self, workflow_id: str, timeout: float | None = None) -> Steps[dict[str, Any]]:
        """Wait until the run has ended and give its status. Raises WaitTimeout after ``timeout`` seconds."""
        path = _run(workflow_id)
        until = None if timeout is None else time.monotonic() + timeout
        pause = 0.05
        self._waits += 1
        try:
            while True:
                long = self._waits <= self._many_waits
                left = _LONG if until is None else min(_LONG, max(until - time.monotonic(), 0))
                prefer = {"Prefer": f"wait={int(left + 0.999)}"} if long else None
                try:
                    status = _object((yield from self._ask("GET", path, headers=prefer, wait=left if long else 0)), "state")
                    if status["state"] in _ENDED and status.get("completed_at"):
                        return status
                    failed = False
                except (Unreachable, ApiError) as why:
                    if isinstance(why, ApiError) and why.status not in _BUSY:
                        raise
                    failed = True
                if until is not None and time.monotonic() >= until:
                    raise WaitTimeout(f"run {workflow_id!r} has not ended within {timeout} s")
                if long and not failed:
                    pause = 0.05
                    continue
                yield Pause(pause if until is None else min(pause, max(until - time.monotonic(), 0)))
                pause = min(2 * pause, 2.0 if failed else max(1.0, self._waits / 200))
        finally:
            self._waits -= 1

    @call
    def signal_workflow(
        self, workflow_id: str, signal_name: str, payload: Any = None, *, signal_id: str | None = None
    ) -> Steps[dict[str, Any]]:
        """Send a signal: ``{signal_id, consumed_by?}``. The same ``signal_id`` again is harmless."""
        path = _run(workflow_id, f"/signals/{segment('signal_name', signal_name)}")
        body = {"payload": payload, "signal_id": new_id() if signal_id is None else given("signal_id", signal_id)}
        return _object((yield from self._ask("POST", path, body)), "signal_id")

    @call
    def cancel_workflow(self, workflow_id: str, reason: str = "") -> Steps[None]:
        """End a run. Raises Conflict (``run_finished``)."""
        _object((yield from self._ask("POST", _run(workflow_id, "/cancel"), {"reason": reason})))

    @call
    def retry_workflow(self, workflow_id: str) -> Steps[None]:
        """Reopen a failed or cancelled run; what was done stays done. Raises Conflict (``run_not_failed``)."""
        _object((yield from self._ask("POST", _run(workflow_id, "/retry"), {})))

    @call
    def fire_timer(self, workflow_id: str, timer_key: str) -> Steps[None]:
        """Fire a timer now. Raises NotFound (``timer_not_found``) and Conflict (``timer_not_waiting``)."""
        _object((yield from self._ask("POST", _run(workflow_id, f"/timers/{segment('timer_key', timer_key)}/fire"), {})))

    @call
    def advance_clock(self, advance: str) -> Steps[str]:
        """Move the clock of a daemon under test (``serve --test-clock``) ahead, by ``"48h"`` say, and get its time. Raises NotFound (``no_test_clock``)."""
        return str(_object((yield from self._ask("POST", "/v1/test-clock", {"advance": advance})), "now")["now"])

    @call
    def delete_workflow(self, workflow_id: str) -> Steps[None]:
        """Delete a finished run and its history. Raises Conflict (``run_open``)."""
        yield from self._ask("DELETE", _run(workflow_id))

    @call
    def explain(self, workflow_id: str) -> Steps[list[dict[str, Any]]]:
        """Why a run does not move: ``{step, code, detail, command?}`` for each open step."""
        return _items((yield from self._ask("GET", _run(workflow_id, "/explain"))), "reasons")

    @call
    def get_logs(self, workflow_id: str, step: str | None = None) -> Steps[list[dict[str, Any]]]:
        """What the handlers of a run wrote to their logs, of one step or of all: ``{step, attempt, from, to, text}`` for each attempt.

        The text is the last 64 KiB that the attempt wrote; ``from`` says how many bytes came before. Raises NotFound
        (``run_not_found``, ``step_not_found``).
        """
        path = _run(workflow_id, "/logs") if step is None else _run(workflow_id, f"/steps/{segment('step', step)}/logs")
        out: list[dict[str, Any]] = []
        query: dict[str, str] = {}
        while True:
            page = yield from self._ask("GET", _query(path, query))
            out.extend(_items(page, "logs"))
            if not page.get("next_cursor"):
                return out
            query["cursor"] = page["next_cursor"]

    # Many runs.

    @call
    def list_workflows(
        self,
        *,
        sort: str | None = None,
        limit: int = 100,
        **filters: Unpack[Filters],
    ) -> Steps[list[dict[str, Any]]]:
        """Runs (not definitions: list_definitions), newest first, at most ``limit`` of them (0: all).

        Filters has the filters. ``sort="end"`` gives the newest end first, of runs that have ended. With ``include="reason"`` each failed or open
        run has a ``reason`` ``{step, code, detail}``.
        """
        return (yield from self._pages("/v1/runs", _filters(filters) | _sorted(sort), "runs", limit))

    @call
    def list_workflows_page(
        self,
        cursor: str | None = None,
        *,
        sort: str | None = None,
        limit: int = 100,
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """One page of list_workflows: ``{runs, next_cursor?}``, at most ``limit`` (up to 1,000) of them.

        The ``next_cursor`` of a page, given as ``cursor`` with the same filters, gets the next; there is none after the last.
        """
        query = _filters(filters) | _sorted(sort) | {"limit": str(limit)}
        if cursor is not None:
            query["cursor"] = _filter("cursor", cursor)
        return _object((yield from self._ask("GET", _query("/v1/runs", query))), "runs")

    @call
    def count_workflows(self, *, stuck_for: str = "10m") -> Steps[dict[str, Any]]:
        """How many runs there are: ``{states, total, stuck}``; ``stuck`` counts running ones that nothing has moved for ``stuck_for`` or will by itself."""
        return _object((yield from self._ask("GET", _query("/v1/run-counts", {"stuck_for": _filter("stuck_for", stuck_for)}))), "states")

    def _pages(self, path: str, query: dict[str, str], key: str, limit: int) -> Steps[list[dict[str, Any]]]:
        out: list[dict[str, Any]] = []
        while True:
            query["limit"] = str(min(1000, limit - len(out)) if limit else 1000)
            page = yield from self._ask("GET", _query(path, query))
            out.extend(_items(page, key))
            cursor = page.get("next_cursor")
            if not cursor or (limit and len(out) >= limit):
                return out
            query["cursor"] = cursor

    def _many(self, what: str, filters: dict[str, str], all: bool, dry_run: bool, **more: str) -> Steps[dict[str, Any]]:
        if not filters and not all:
            raise ValueError("give a filter, or all=True for every run")
        body: dict[str, Any] = filters | {key: value for key, value in more.items() if value}
        if all and not filters:
            body["all"] = True
        if dry_run:
            body["dry_run"] = True
        return _object((yield from self._ask("POST", f"/v1/runs/{what}", body, wait=300.0)), "matched", "done")

    @call
    def cancel_workflows(
        self,
        *,
        all: bool = False,
        dry_run: bool = False,
        reason: str = "",
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """Cancel every open run that the filters name: ``{matched, done}``. Without a filter it wants ``all=True``.

        With ``dry_run`` it only counts.
        """
        return (yield from self._many("cancel", _filters(filters), all, dry_run, reason=reason))

    @call
    def retry_workflows(
        self,
        *,
        all: bool = False,
        dry_run: bool = False,
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """Reopen every failed or cancelled run that the filters name: ``{matched, done}``. Without a filter it wants ``all=True``."""
        return (yield from self._many("retry", _filters(filters), all, dry_run))

    @call
    def delete_workflows(
        self,
        *,
        all: bool = False,
        dry_run: bool = False,
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """Delete every finished run that the filters name, and its history: ``{matched, done}``. Without a filter it wants ``all=True``."""
        return (yield from self._many("delete", _filters(filters), all, dry_run))

    # Events.

    @call
    def get_history(self, workflow_id: str) -> Steps[list[dict[str, Any]]]:
        """Every event of a run, in order: ``{seq, n, at, kind, step?, attempt?, data?}``."""
        out: list[dict[str, Any]] = []
        path, query = _run(workflow_id, "/events"), {"limit": "1000"}
        while True:
            page = yield from self._ask("GET", _query(path, query))
            events = _items(page, "events")
            out.extend(events)
            cursor = page.get("next_cursor")
            if not events or not cursor or cursor == query.get("cursor"):
                return out
            query["cursor"] = cursor

    @call
    def diff_workflows(self, a: str, b: str, *, all_steps: bool = False) -> Steps[dict[str, Any]]:
        """What is different between two runs: ``{a, b, differs, divergence?, steps, definition}``.

        ``divergence`` is where they first did not do the same; there is none when they did.
        """
        for what, run in (("a", a), ("b", b)):
            segment(what, run)
        query = {"a": a, "b": b} | ({"steps": "all"} if all_steps else {})
        return _object((yield from self._ask("GET", _query("/v1/diff", query))), "differs")

    @call
    def get_step_output(self, workflow_id: str, step: str) -> Steps[Any]:
        """The output of a completed step, or of an item such as ``fetch[3]``. Raises NotFound (``step_not_found``) and Conflict (``step_not_completed``)."""
        return (yield from self._ask("GET", _run(workflow_id, f"/steps/{segment('step', step)}/output")))

    @call
    def get_items(self, workflow_id: str, step: str, *, state: str | None = None, limit: int = 0) -> Steps[list[dict[str, Any]]]:
        """The items of a step with ``for_each``, in the order of the list: ``{index, name, state, attempt, since, output?, error?}``.

        With ``state`` only those in that state (``pending`` ones wait for their turn); ``limit`` bounds how many, 0: all.
        """
        segment("step", step)  # it must name something
        query = {"steps": "none", "items": step} | ({"state": state} if state else {})
        out: list[dict[str, Any]] = []
        while True:
            query["limit"] = str(min(1000, limit - len(out)) if limit else 1000)
            page = _object((yield from self._ask("GET", _query(_run(workflow_id, ""), query))), "items")["items"]
            out.extend(_items(page, "items"))
            cursor = page.get("next_cursor")
            if not cursor or (limit and len(out) >= limit):
                return out
            query["cursor"] = cursor

    @call
    def get_timeline(self, workflow_id: str, *, at: int | None = None) -> Steps[list[dict[str, Any]]]:
        """When each step of a run was attempted or waited: ``{seq, step, kind, attempt?, scheduled_at, started_at?, ended_at?, worker?, outcome?}``.

        With ``at`` it is as it was after the run's last event at or before that sequence.
        """
        return (yield from self._pages(_run(workflow_id, "/timeline"), {} if at is None else {"at": str(int(at))}, "attempts", 0))

    @call
    def list_events(self, after: int = 0, limit: int = 100, *, cursor: str | None = None) -> Steps[dict[str, Any]]:
        """Events of all runs in journal order: ``{events, next_cursor, next_after}``, at most ``limit`` (up to 1,000).

        They begin behind ``cursor``, the ``next_cursor`` of the page before; without one behind the sequence ``after``.
        """
        begin = {"after": str(int(after))} if cursor is None else {"cursor": _filter("cursor", cursor)}
        return _object((yield from self._ask("GET", _query("/v1/events", {**begin, "limit": str(int(limit))}))), "events")

    @stream
    def follow_events(self, workflow_id: str | None = None, *, after: int = 0) -> Steps[None]:
        """Events as they come, of one run until it has ended, or of all runs for ever; those after the sequence ``after``.

        Read them with ``for``, or ``async for``. A stream that breaks off is taken up again where it was.
        """
        path = "/v1/events" if workflow_id is None else _run(workflow_id, "/events")
        until, pause = time.monotonic() + self._patience, 0.05
        last = str(int(after))  # a sequence to begin with, then the id of the last event
        while True:
            ended = False
            try:
                head = {"Accept": "text/event-stream", "Last-Event-ID": last}
                if (yield Request("GET", path, None, head, _KEPT_ALIVE, True)) == 204:
                    return  # a run that has ended, and everything was given
                data: list[bytes] = []
                came = last
                while line := (yield Line()):
                    until, pause = time.monotonic() + self._patience, 0.05
                    line = line.rstrip(b"\r\n")
                    if line.startswith(b"data:"):
                        data.append(line[5:].removeprefix(b" "))
                    elif line.startswith(b"id:"):
                        came = line[3:].decode().strip()
                    elif not line and data:
                        event, data = read(b"\n".join(data)), []
                        if isinstance(event, dict) and isinstance(event.get("seq"), int):
                            yield Item(event)
                            last = came
                ended = True  # by the daemon: asked again, it says whether there is more
            except (Unreachable, ApiError) as why:
                if (isinstance(why, ApiError) and why.status not in _BUSY) or time.monotonic() + pause > until:
                    raise
            if not ended or pause > 0.05:
                yield Pause(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 2.0)

    # Objects, workers, services, the daemon.

    @call
    def list_objects(self, prefix: str | None = None, limit: int = 100) -> Steps[list[dict[str, Any]]]:
        """Object keys by key, with version, fence and holder, at most ``limit`` of them (0: all)."""
        return (yield from self._pages("/v1/objects", {} if prefix is None else {"prefix": _filter("prefix", prefix)}, "objects", limit))

    @call
    def get_object(self, key: str) -> Steps[dict[str, Any]]:
        """One object: ``{key, state, version, fence, holder?, queue?}``. Raises NotFound (``object_not_found``)."""
        return _object((yield from self._ask("GET", f"/v1/objects/{segment('key', key)}")), "key")

    @call
    def delete_object(self, key: str) -> Steps[None]:
        """Remove an object's state."""
        yield from self._ask("DELETE", f"/v1/objects/{segment('key', key)}")

    @call
    def list_workers(self) -> Steps[list[dict[str, Any]]]:
        """The workers' sessions: services, handlers, capacity, and what they work on."""
        return _items((yield from self._ask("GET", "/v1/workers")), "workers")

    @call
    def list_services(self) -> Steps[list[dict[str, Any]]]:
        """The push services: web services that the daemon sends tasks to."""
        return _items((yield from self._ask("GET", "/v1/services")), "services")

    @call
    def get_service(self, name: str) -> Steps[dict[str, Any]]:
        """One push service. Raises NotFound (``service_not_found``)."""
        return _object((yield from self._ask("GET", f"/v1/services/{segment('name', name)}")), "url")

    @call
    def put_service(
        self,
        name: str,
        url: str,
        handlers: Iterable[str],
        *,
        capacity: int | None = None,
        timeout_ms: int | None = None,
        secret: str | None = None,
    ) -> Steps[dict[str, Any]]:
        """Set up a push service: its tasks are POSTed to ``url/{handler}``. The answer to the first one shows the ``secret`` of the signature.

        ``capacity`` bounds the requests at once (10), ``timeout_ms`` one of them (60,000).
        """
        body: dict[str, Any] = {"url": url, "handlers": list(handlers)}
        body |= {key: value for key, value in (("capacity", capacity), ("timeout_ms", timeout_ms), ("secret", secret)) if value is not None}
        return _object((yield from self._ask("PUT", f"/v1/services/{segment('name', name)}", body)), "url")

    @call
    def delete_service(self, name: str) -> Steps[None]:
        """Remove a push service."""
        yield from self._ask("DELETE", f"/v1/services/{segment('name', name)}")

    # Schedules.

    @call
    def put_schedule(self, name: str, definition: dict[str, Any] | str, *, revision: int | None = None) -> Steps[dict[str, Any]]:
        """Make a definition, a dict or its JSON or YAML text, the schedule of that name; gives the schedule.

        With ``revision`` only when the schedule has that one. Raises Conflict (``schedule_changed``).
        """
        text = definition if isinstance(definition, str) else json.dumps(definition, allow_nan=False)
        got = yield from self._ask("PUT", _schedule(name), raw=text.encode(), headers=_revision(revision))
        return _object(got, "revision")

    @call
    def get_schedule(self, name: str) -> Steps[dict[str, Any]]:
        """One schedule: ``{state, revision, definition, next?, last?, missed_7d, running, ...}``. Raises NotFound (``schedule_not_found``)."""
        return _object((yield from self._ask("GET", _schedule(name))), "revision")

    @call
    def list_schedules(self, limit: int = 100) -> Steps[list[dict[str, Any]]]:
        """Schedules by name, at most ``limit`` of them (0: all)."""
        return (yield from self._pages("/v1/schedules", {}, "schedules", limit))

    @call
    def delete_schedule(self, name: str, *, revision: int | None = None) -> Steps[None]:
        """End a schedule; its runs go on, and its ledger is kept for a while."""
        yield from self._ask("DELETE", _schedule(name), headers=_revision(revision))

    @call
    def pause_schedule(self, name: str, note: str = "") -> Steps[dict[str, Any]]:
        """Pause a schedule: its due times are noted, and start nothing."""
        return _object((yield from self._ask("POST", _schedule(name, "/pause"), {"note": note})), "revision")

    @call
    def resume_schedule(self, name: str, note: str = "", *, catch_up: bool = False) -> Steps[dict[str, Any]]:
        """Let a paused schedule go on from now; with ``catch_up`` also the newest of the times that the pause took."""
        return _object((yield from self._ask("POST", _schedule(name, "/resume"), {"note": note, "catch_up": catch_up})), "revision")

    @call
    def trigger_schedule(self, name: str, *, input_data: Any = None, overlap: str | None = None) -> Steps[dict[str, Any]]:
        """Start a run of a schedule now: ``{outcome, run_id?, ...}``. Without ``input_data`` it gets the schedule's input."""
        body = {key: value for key, value in (("input", input_data), ("overlap", overlap)) if value is not None}
        return _object((yield from self._ask("POST", _schedule(name, "/trigger"), body)), "outcome")

    @call
    def backfill_schedule(
        self, name: str, start: datetime.datetime | str, end: datetime.datetime | str, *, overlap: str | None = None, dry_run: bool = False
    ) -> Steps[dict[str, Any]]:
        """Start a run for each time of a period that is over, at most 10,000: ``{times, ...}``. With ``dry_run`` it lists them.

        ``overlap`` is "buffer_all" (one after the other) or "allow" (ten at once). Raises Conflict (``backfill_running``).
        """
        body: dict[str, Any] = {"from": _instant("start", start), "to": _instant("end", end), "dry_run": dry_run}
        if overlap is not None:
            body["overlap"] = overlap
        return _object((yield from self._ask("POST", _schedule(name, "/backfill"), body)), "times")

    @call
    def next_times(self, name: str, n: int = 20) -> Steps[list[dict[str, Any]]]:
        """The next due times of a schedule: ``{nominal_at, due_at, local, excluded?, note?}``."""
        return _items((yield from self._ask("GET", _query(_schedule(name, "/next"), {"n": str(int(n))}))), "times")

    @call
    def preview_schedule(self, definition: dict[str, Any] | str, n: int = 20) -> Steps[list[dict[str, Any]]]:
        """The due times that a definition would have, without keeping it."""
        text = definition if isinstance(definition, str) else json.dumps(definition, allow_nan=False)
        return _items((yield from self._ask("POST", _query("/v1/schedules/preview", {"n": str(int(n))}), raw=text.encode())), "times")

    @call
    def get_ledger(
        self, name: str, *, outcome: str | None = None, since: datetime.datetime | str | None = None, limit: int = 100
    ) -> Steps[list[dict[str, Any]]]:
        """What became of the due times of a schedule, the newest first, at most ``limit`` rows (0: all).

        A row has ``nominal_at``, ``local``, ``outcome``, ``run_id``, ``detail`` and more.
        """
        query = {} if outcome is None else {"outcome": _filter("outcome", outcome)}
        if since is not None:
            query["since"] = _instant("since", since)
        return (yield from self._pages(_schedule(name, "/ledger"), query, "rows", limit))

    @call
    def explain_schedule(self, name: str) -> Steps[list[dict[str, Any]]]:
        """Why a schedule does not fire, or did not: ``{code, detail, help?}``; empty when nothing stands in its way."""
        return _items((yield from self._ask("GET", _schedule(name, "/explain"))), "reasons")

    @call
    def list_tokens(self) -> Steps[list[dict[str, Any]]]:
        """The access tokens, also those that are not valid any more, without their texts."""
        return _items((yield from self._ask("GET", "/v1/tokens")), "tokens")

    @call
    def create_token(self, name: str, scope: str, *, ttl_ms: int = 0) -> Steps[dict[str, Any]]:
        """Make an access token; its text is in ``token`` and is given out this once. Raises Conflict (``token_exists``).

        ``scope`` is "read", "operate", "worker", "worker:SERVICE" or "admin"; ``ttl_ms`` is how long it is valid, 0 for ever.
        """
        body = {"name": given("name", name), "scope": given("scope", scope)}
        return _object((yield from self._ask("POST", "/v1/tokens", body | ({"ttl_ms": ttl_ms} if ttl_ms else {}))), "token")

    @call
    def revoke_token(self, name: str) -> Steps[str | None]:
        """Make an access token worthless, at once. Gives what to do when no admin token is left, else None.

        Raises NotFound (``token_not_found``).
        """
        got = yield from self._ask("DELETE", f"/v1/tokens/{segment('name', name)}")
        return None if got is None else str(_object(got).get("hint") or "") or None

    @call
    def get_settings(self) -> Steps[dict[str, str]]:
        """What the daemon was told, by flag name. What may hold a secret is ``***``."""
        return {str(k): str(v) for k, v in _object(_object((yield from self._ask("GET", "/v1/settings"))).get("settings")).items()}

    @call
    def get_version(self) -> Steps[dict[str, Any]]:
        """What the daemon is: its version and what it was built with."""
        return _object((yield from self._ask("GET", "/version")))
