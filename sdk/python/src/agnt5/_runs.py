"""The calls about runs and their events."""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack, cast

from ._call import (
    BUSY,
    Caller,
    Instant,
    Item,
    Line,
    Pause,
    Request,
    Steps,
    call,
    filled,
    instant,
    items_of,
    new_id,
    object_of,
    stream,
    with_query,
)
from ._http import given, segment
from ._json import read
from .errors import ApiError, Unreachable, WaitTimeout

_ENDED = ("completed", "failed", "cancelled", "quarantined")
_LONG = 10.0  # seconds that one request of wait() takes at most
_KEPT_ALIVE = 45.0  # seconds: an event stream says something every 15


def _fork(from_step: str, set: Mapping[str, Any] | None, input_data: Any, version: int | None) -> dict[str, Any]:
    """How a run is forked, as a request says it."""
    body: dict[str, Any] = {"from": given("from_step", from_step)}
    if set:
        body["set"] = dict(set)
    if input_data is not ...:
        body["input_data"] = input_data
    if version is not None:
        body["version"] = int(version)
    return body


def _later(given: Mapping[str, Any]) -> dict[str, Any]:
    """When the first steps of a run start, as a start says it."""
    out: dict[str, Any] = {}
    if given.get("start_at") is not None:
        out["start_at"] = instant("start_at", given["start_at"])
    delay = given.get("delay")
    if isinstance(delay, datetime.timedelta):
        out["delay_ms"] = round(delay.total_seconds() * 1000)
    elif delay is not None:
        out["delay"] = filled("delay", delay)
    return out


class Filters(TypedDict, total=False):
    """Which runs are meant. What is left out, or None, means any."""

    workflow_name: str | None
    state: str | None
    """running, finishing, completed, failed, cancelled or quarantined; or several, with commas between."""
    id_prefix: str | None
    parent: str | None
    """The id of a run: its children."""
    paused: bool | None
    """True: open runs that are paused themselves; False: open runs that are not."""
    tags: Mapping[str, str] | None
    """A run has all of them, with these values."""
    since: Instant
    """Of the start. A time is a datetime with a time zone, or RFC 3339 text; ``until`` and ``ended_until`` are exclusive."""
    until: Instant
    ended_since: Instant
    """Of the end: only runs that have ended."""
    ended_until: Instant
    error_code: str | None
    text: str | None
    """In the error of a failed run."""
    stuck_for: str | None
    """``"10m"``: open runs that nothing has moved for so long, and nothing will by itself."""
    include: str | None
    """``"signals"``: with ``stuck_for`` also those that wait for a signal. ``"reason"``, of a list: each failed or open run tells why."""


def _tags(tags: Mapping[str, Any], *, gone: bool = False) -> dict[str, Any]:
    """Tags as a start has them. gone: None is a value, too."""
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags: want a mapping of names to texts, not {type(tags).__name__}")
    for name, value in tags.items():
        if not isinstance(name, str) or not (isinstance(value, str) or (gone and value is None)):
            raise TypeError(f"tags: {name!r}: want texts, not {type(value).__name__}")
    return dict(tags)


def _filters(given: Filters) -> dict[str, Any]:
    """Filters as a query has them."""
    out: dict[str, Any] = {}
    for key, value in given.items():
        if key not in Filters.__annotations__:
            raise TypeError(f"there is no filter {key}; want {', '.join(Filters.__annotations__)}")
        if key == "tags" and value is not None:
            out["tag"] = [f"{name}:{text}" for name, text in _tags(cast(Mapping[str, Any], value)).items()]
            if not out["tag"]:
                raise ValueError("tags is empty: give one, or leave it out")
        elif key == "paused" and value is not None:
            if not isinstance(value, bool):
                raise TypeError(f"paused: want True or False, not {value!r}")
            out["paused"] = value
        elif value is not None:
            out[key.removesuffix("_name")] = instant(key, value) if key.endswith(("since", "until")) else filled(key, value)
    return out


def _with_children(children: bool) -> dict[str, str]:
    return {"children": "true"} if children else {}


def _sorted(sort: str | None) -> dict[str, str]:
    return {} if sort is None else {"sort": filled("sort", sort)}


def _run(workflow_id: str, rest: str = "") -> str:
    return f"/v1/runs/{segment('workflow_id', workflow_id)}{rest}"


class RunCalls(Caller):
    """What a client can do with runs."""

    _waits = 0  # that are under way
    _many_waits: float
    """From so many on they do not keep a connection each, but ask now and then."""

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
        start_at: Instant = None,
        delay: datetime.timedelta | str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Steps[dict[str, Any]]:
        """Start a run; gives its status, with ``workflow_id``.

        With an id of your own, the same id, workflow and input again give the run that exists. Raises NotFound
        (``workflow_not_found``) and Conflict (``run_conflict``). ``version`` starts that version of the workflow instead of the current one.
        ``signal``, ``{"name": ..., "payload": ..., "signal_id": ...}``, is delivered together with the start, or to the run of that id when
        it exists; then Conflict (``run_finished``) says that it has ended. ``start_at``, a datetime with a zone or a text (RFC 3339), or
        ``delay``, a timedelta or a text such as "5m", lets its first steps wait; the run is there at once. ``tags``
        are names and values by which lists find the run; one that exists keeps those that it has.
        """
        body = {"workflow_id": new_id() if workflow_id is None else given("workflow_id", workflow_id), "input_data": input_data}
        if version is not None:
            body["version"] = int(version)
        if signal is not None:
            body["signal"] = {"signal_id": new_id(), **signal}
        if tags:
            body["tags"] = _tags(tags)
        body |= _later({"start_at": start_at, "delay": delay})
        got = yield from self._ask("POST", f"/v1/workflows/{segment('workflow_name', workflow_name)}/runs", body)
        return object_of(got, "workflow_id", "state")

    @call
    def start_workflows(self, runs: Iterable[Mapping[str, Any]]) -> Steps[list[dict[str, Any]]]:
        """Start up to 1,000 runs at once: ``{"workflow_name": ..., "input_data": ..., "workflow_id": ..., "version": ..., "signal": ...,
        "start_at": ..., "delay": ..., "tags": ...}`` each.

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
            if start.get("tags") is not None:
                start["tags"] = _tags(start["tags"])
            starts.append({key: value for key, value in start.items() if key != "delay"} | _later(start))
        body = {"runs": starts}
        got = object_of((yield from self._ask("POST", "/v1/runs/batch", body)), "runs")
        return list(got["runs"])

    @call
    def get_workflow_status(self, workflow_id: str, steps: str = "all", *, at: int | None = None) -> Steps[dict[str, Any]]:
        """A run's status: ``state``, ``output``, ``error``, ``steps`` and more. ``steps`` is "all", "open" or "none".

        With ``at`` it is as it was after the run's last event at or before that sequence; ``as_of`` says which event that is.
        """
        query = {"steps": filled("steps", steps)} | ({} if at is None else {"at": str(int(at))})
        return object_of((yield from self._ask("GET", with_query(_run(workflow_id), query))), "state")

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
                    status = object_of((yield from self._ask("GET", path, headers=prefer, wait=left if long else 0)), "state")
                    if status["state"] in _ENDED and status.get("completed_at"):
                        return status
                    failed = False
                except (Unreachable, ApiError) as why:
                    if isinstance(why, ApiError) and why.status not in BUSY:
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
        return object_of((yield from self._ask("POST", path, body)), "signal_id")

    @call
    def cancel_workflow(self, workflow_id: str, reason: str = "", *, force: bool = False) -> Steps[None]:
        """End a run. Raises Conflict (``run_finished``, ``run_finishing``).

        One with compensations or finally steps left to do is finishing until they are done; ``force`` ends it at once.
        """
        body: dict[str, Any] = {"reason": reason} | ({"force": True} if force else {})
        object_of((yield from self._ask("POST", _run(workflow_id, "/cancel"), body)))

    @call
    def tag_workflow(self, workflow_id: str, tags: Mapping[str, str | None]) -> Steps[dict[str, str]]:
        """Give a run tags, or those that it has other values; None takes one away. The run may have ended. Gives all its tags.

        Raises Conflict (``too_many_tags``).
        """
        got = yield from self._ask("PATCH", _run(workflow_id), {"tags": _tags(tags, gone=True)})
        return {str(name): str(value) for name, value in object_of(object_of(got, "tags")["tags"]).items()}

    @call
    def retry_workflow(self, workflow_id: str, reason: str = "") -> Steps[None]:
        """Reopen a failed or cancelled run; what was done stays done. Raises Conflict (``run_not_failed``; ``parent_decides``: a child
        is retried with its parent)."""
        object_of((yield from self._ask("POST", _run(workflow_id, "/retry"), {"reason": reason} if reason else {})))

    @call
    def plan(self, workflow_id: str, do: str, step: str | None = None, *, output: Any = None, force: bool = False, reason: str = "") -> Steps[dict[str, Any]]:
        """Say what ending a step by hand, a retry or a cancel would do to a run now, and do nothing.

        ``do`` is ``complete``, ``skip`` or ``fail`` of ``step`` (or of an item, such as ``fetch[3]``), or ``retry`` or ``cancel`` of the run.
        Gives ``state``, ``ends``, ``starts``, ``compensates``, ``finally``, ``may_repeat`` and more, and raises what the deed would raise. A
        ``reason`` is only checked.
        """
        body: dict[str, Any] = {"plan": True} | ({"reason": reason} if reason else {})
        if given("do", do) in ("complete", "skip", "fail"):
            path = _run(workflow_id, f"/steps/{segment('step', step or '')}/{do}")
            if do == "complete":
                body["output"] = output
        elif do in ("retry", "cancel"):
            if step is not None:
                raise ValueError(f"step: a {do} is of the run, not of a step")
            path = _run(workflow_id, f"/{do}")
            if force:
                body["force"] = True
        else:
            raise ValueError(f"do: {do!r}; want complete, skip, fail, retry or cancel")
        return object_of((yield from self._ask("POST", path, body)), "state", "ends")

    @call
    def pause_workflow(self, workflow_id: str, reason: str = "") -> Steps[None]:
        """Pause a run: no task of it is handed out, and no time of it comes, until it is resumed. Raises Conflict (``run_finished``)."""
        object_of((yield from self._ask("POST", _run(workflow_id, "/pause"), {"reason": reason})))

    @call
    def resume_workflow(self, workflow_id: str, reason: str = "") -> Steps[None]:
        """End the pause of a run: what is overdue comes at once. Raises Conflict (``run_finished``)."""
        object_of((yield from self._ask("POST", _run(workflow_id, "/resume"), {"reason": reason})))

    @call
    def complete_step(self, workflow_id: str, step: str, output: Any = None, reason: str = "") -> Steps[None]:
        """Complete a step by hand: one that is open, or whose failure nothing caught; then a failed run goes on.

        Raises NotFound (``step_not_found``) and Conflict (``step_not_open``, ``run_finished``).
        """
        body = {"output": output, "reason": reason}
        object_of((yield from self._ask("POST", _run(workflow_id, f"/steps/{segment('step', step)}/complete"), body)))

    @call
    def skip_step(self, workflow_id: str, step: str, reason: str = "") -> Steps[None]:
        """Skip a step by hand, under the rules of ``complete_step``."""
        object_of((yield from self._ask("POST", _run(workflow_id, f"/steps/{segment('step', step)}/skip"), {"reason": reason})))

    @call
    def fail_step(self, workflow_id: str, step: str, reason: str = "") -> Steps[None]:
        """Fail an open step for good by hand. Raises Conflict (``step_not_open``, ``run_finished``)."""
        object_of((yield from self._ask("POST", _run(workflow_id, f"/steps/{segment('step', step)}/fail"), {"reason": reason})))

    @call
    def fork_workflow(
        self,
        workflow_id: str,
        from_step: str,
        *,
        set: Mapping[str, Any] | None = None,
        input_data: Any = ...,
        version: int | None = None,
        fork_id: str | None = None,
        reason: str = "",
    ) -> Steps[dict[str, Any]]:
        """Start a new run from a step of one that has ended; gives ``workflow_id``, ``created`` and ``plan``.

        ``from_step`` and everything after it run again. ``set`` gives outputs of steps that count as completed, by name. ``input_data``
        and ``version`` are those of the run when they are left out. The same fork with the same ``fork_id`` gives the run that exists.
        Raises NotFound (``step_not_found``) and Conflict (``run_open``, ``run_conflict``).
        """
        own = new_id() if fork_id is None else given("fork_id", fork_id)
        body = _fork(from_step, set, input_data, version) | {"workflow_id": own} | ({"reason": reason} if reason else {})
        return object_of((yield from self._ask("POST", _run(workflow_id, "/fork"), body)), "workflow_id")

    @call
    def plan_fork(
        self,
        workflow_id: str,
        from_step: str,
        *,
        set: Mapping[str, Any] | None = None,
        input_data: Any = ...,
        version: int | None = None,
    ) -> Steps[dict[str, Any]]:
        """Say what ``fork_workflow`` would do, and do nothing: ``kept``, ``set``, ``runs_again``, ``may_repeat`` and ``why`` in ``plan``."""
        body = _fork(from_step, set, input_data, version) | {"plan": True}
        return object_of((yield from self._ask("POST", _run(workflow_id, "/fork"), body)), "plan")

    @call
    def fire_timer(self, workflow_id: str, timer_key: str) -> Steps[None]:
        """Fire a timer now. Raises NotFound (``timer_not_found``) and Conflict (``timer_not_waiting``)."""
        object_of((yield from self._ask("POST", _run(workflow_id, f"/timers/{segment('timer_key', timer_key)}/fire"), {})))

    @call
    def advance_clock(self, advance: str) -> Steps[str]:
        """Move the clock of a daemon under test (``serve --test-clock``) ahead, by ``"48h"`` say, and get its time. Raises NotFound (``no_test_clock``)."""
        return str(object_of((yield from self._ask("POST", "/v1/test-clock", {"advance": advance})), "now")["now"])

    @call
    def delete_workflow(self, workflow_id: str) -> Steps[None]:
        """Delete a finished run and its history. Raises Conflict (``run_open``)."""
        yield from self._ask("DELETE", _run(workflow_id))

    @call
    def explain(self, workflow_id: str) -> Steps[list[dict[str, Any]]]:
        """Why a run does not move: ``{step, code, detail, command?}`` for each open step."""
        return items_of((yield from self._ask("GET", _run(workflow_id, "/explain"))), "reasons")

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
            page = yield from self._ask("GET", with_query(path, query))
            out.extend(items_of(page, "logs"))
            if not page.get("next_cursor"):
                return out
            query["cursor"] = page["next_cursor"]

    # Many runs.

    @call
    def list_workflows(
        self,
        *,
        sort: str | None = None,
        children: bool = False,
        limit: int = 100,
        **filters: Unpack[Filters],
    ) -> Steps[list[dict[str, Any]]]:
        """Runs (not definitions: list_definitions), newest first, at most ``limit`` of them (0: all).

        Filters has the filters. ``sort="end"`` gives the newest end first, of runs that have ended. With ``include="reason"`` each failed or open
        run has a ``reason`` ``{step, code, detail}``. Children of other runs are there with ``children=True``, or when ``parent`` or ``id_prefix`` asks for them.
        """
        return (yield from self._pages("/v1/runs", _filters(filters) | _sorted(sort) | _with_children(children), "runs", limit))

    @call
    def list_workflows_page(
        self,
        cursor: str | None = None,
        *,
        sort: str | None = None,
        children: bool = False,
        limit: int = 100,
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """One page of list_workflows: ``{runs, next_cursor?}``, at most ``limit`` (up to 1,000) of them.

        The ``next_cursor`` of a page, given as ``cursor`` with the same filters, gets the next; there is none after the last.
        """
        query = _filters(filters) | _sorted(sort) | _with_children(children) | {"limit": str(limit)}
        if cursor is not None:
            query["cursor"] = filled("cursor", cursor)
        return object_of((yield from self._ask("GET", with_query("/v1/runs", query))), "runs")

    @call
    def count_workflows(self, *, stuck_for: str = "10m") -> Steps[dict[str, Any]]:
        """How many runs there are: ``{states, total, stuck}``; ``stuck`` counts running ones that nothing has moved for ``stuck_for`` or will by itself."""
        return object_of((yield from self._ask("GET", with_query("/v1/run-counts", {"stuck_for": filled("stuck_for", stuck_for)}))), "states")

    def _many(self, what: str, filters: dict[str, Any], all: bool, dry_run: bool, **more: str) -> Steps[dict[str, Any]]:
        if not filters and not all:
            raise ValueError("give a filter, or all=True for every run")
        body: dict[str, Any] = filters | {key: value for key, value in more.items() if value}
        if all and not filters:
            body["all"] = True
        if dry_run:
            body["dry_run"] = True
        return object_of((yield from self._ask("POST", f"/v1/runs/{what}", body, wait=300.0)), "matched", "done")

    @call
    def cancel_workflows(
        self,
        *,
        all: bool = False,
        dry_run: bool = False,
        reason: str = "",
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """Cancel every open run that the filters name: ``{matched, done, refused?, refusals?}``. Without a filter it wants ``all=True``.

        With ``dry_run`` it only counts.
        """
        return (yield from self._many("cancel", _filters(filters), all, dry_run, reason=reason))

    @call
    def pause_workflows(
        self,
        *,
        all: bool = False,
        dry_run: bool = False,
        reason: str = "",
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """Pause every open run that the filters name and that is not paused: ``{matched, done, refused?, refusals?}``. Without a filter it wants ``all=True``."""
        return (yield from self._many("pause", _filters(filters), all, dry_run, reason=reason))

    @call
    def resume_workflows(
        self,
        *,
        all: bool = False,
        dry_run: bool = False,
        reason: str = "",
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """End the pause of every paused run that the filters name: ``{matched, done, refused?, refusals?}``. Without a filter it wants ``all=True``."""
        return (yield from self._many("resume", _filters(filters), all, dry_run, reason=reason))

    @call
    def retry_workflows(
        self,
        *,
        all: bool = False,
        dry_run: bool = False,
        reason: str = "",
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """Reopen every failed or cancelled run that the filters name: ``{matched, done, refused?, refusals?}``. Without a filter it wants ``all=True``."""
        return (yield from self._many("retry", _filters(filters), all, dry_run, reason=reason))

    @call
    def delete_workflows(
        self,
        *,
        all: bool = False,
        dry_run: bool = False,
        **filters: Unpack[Filters],
    ) -> Steps[dict[str, Any]]:
        """Delete every finished run that the filters name, and its history: ``{matched, done, refused?, refusals?}``. Without a filter it wants ``all=True``."""
        return (yield from self._many("delete", _filters(filters), all, dry_run))

    # Events.

    @call
    def get_history(self, workflow_id: str) -> Steps[list[dict[str, Any]]]:
        """Every event of a run, in order: ``{seq, n, at, kind, step?, attempt?, data?}``."""
        out: list[dict[str, Any]] = []
        path, query = _run(workflow_id, "/events"), {"limit": "1000"}
        while True:
            page = yield from self._ask("GET", with_query(path, query))
            events = items_of(page, "events")
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
        return object_of((yield from self._ask("GET", with_query("/v1/diff", query))), "differs")

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
            page = object_of((yield from self._ask("GET", with_query(_run(workflow_id, ""), query))), "items")["items"]
            out.extend(items_of(page, "items"))
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
        begin = {"after": str(int(after))} if cursor is None else {"cursor": filled("cursor", cursor)}
        return object_of((yield from self._ask("GET", with_query("/v1/events", {**begin, "limit": str(int(limit))}))), "events")

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
                if (isinstance(why, ApiError) and why.status not in BUSY) or time.monotonic() + pause > until:
                    raise
            if not ended or pause > 0.05:
                yield Pause(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 2.0)
