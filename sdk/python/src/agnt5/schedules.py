"""Schedules: workflows that start by the clock. A Worker publishes those of its process."""

from __future__ import annotations

import difflib
import json
from typing import Any, TypedDict

from ._cron import cron_problem, zone_problem
from ._keys import name_problem

__all__ = ["Schedule", "get_registered_schedules", "register_schedule"]


class Schedule(TypedDict, total=False):
    """A schedule, as in docs/schedules.md. It has one of cron, every and at; durations are texts such as ``"15m"``."""

    name: str
    """Default: the workflow's name."""
    workflow: str
    """What it starts. ``@workflow(schedule=...)`` puts the workflow's own name in."""
    version: int
    """Of the workflow. Default: the current one."""
    cron: str | list[str]
    """Five fields, or @hourly and its like."""
    every: str
    """At least a second."""
    every_ms: int
    at: list[str]
    """RFC 3339 times."""
    time_zone: str
    """IANA name. Default: UTC."""
    dst: dict[str, str]
    """What happens where clocks jump: ``{"gap": "first_valid" or "skip", "overlap": "first", "second" or "both"}``."""
    overlap: str
    """While a run has not ended: skip, buffer_one, buffer_all, cancel_running or allow."""
    catch_up: dict[str, Any]
    """What is made up for when nobody was there: ``{"window": "1h", "max": 1}``."""
    jitter: str
    jitter_ms: int
    exclude: list[dict[str, Any]]
    """``{"dates": [...]}`` and ``{"cron": ...}``."""
    start_at: str
    end_at: str
    max_runs: int
    input: Any
    tags: dict[str, str]
    """Of every run that it starts."""
    paused: bool
    """Of a schedule that the worker creates."""
    note: str


_MAX_NAME = 100
_registered: dict[str, Schedule] = {}


def register_schedule(schedule: Schedule | str, workflow: str | None = None) -> None:
    """Register a schedule, or the text of its cron, for a workflow; a Worker publishes it.

    Raises TypeError when it is neither, and ValueError when it is not valid or its name is taken. What this does not find, the daemon
    says when the worker joins.
    """
    if isinstance(schedule, str):
        schedule = {"cron": schedule}
    if not isinstance(schedule, dict):
        raise TypeError(f"schedule: want a dict or the text of a cron, not {type(schedule).__name__}")
    whole: dict[str, Any] = {**({} if workflow is None else {"name": workflow, "workflow": workflow}), **schedule}
    problem = _problem(whole)
    if problem:
        raise ValueError(f'schedule "{whole.get("name", "")}": {problem}')
    if whole["name"] in _registered:
        raise ValueError(f'schedule "{whole["name"]}" is already registered in this process')
    _registered[whole["name"]] = Schedule(**whole)  # type: ignore[typeddict-item]


def _problem(schedule: dict[str, Any]) -> str:
    known = Schedule.__annotations__
    for key in schedule:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            return f'unknown key "{key}"' + (f'; did you mean "{near[0]}"?' if near else "")
    for key in ("name", "workflow"):
        text = schedule.get(key)
        if not isinstance(text, str):
            return f"{key} is missing: want a string"
        problem = name_problem(text)
        if problem:
            return f"{key} {problem}"
    if len(schedule["name"]) > _MAX_NAME:
        return f"name is {len(schedule['name'])} characters long, the limit is {_MAX_NAME}"
    ways = [key for key in ("cron", "every", "every_ms", "at") if schedule.get(key)]
    if len(ways) != 1:
        return "want one of cron, every and at" + (", not " + " and ".join(ways) if ways else "")
    zone = schedule.get("time_zone") or "UTC"
    problem = zone_problem(zone) if isinstance(zone, str) else "time_zone must be a string"
    if problem:
        return problem
    crons = schedule.get("cron") or []
    for text in [crons] if isinstance(crons, str) else crons:
        problem = cron_problem(text) if isinstance(text, str) else "cron must be a string, or a list of them"
        if problem:
            return problem
    tags = schedule.get("tags") or {}
    if not isinstance(tags, dict) or not all(isinstance(name, str) and isinstance(value, str) for name, value in tags.items()):
        return "tags must be a dict of texts"
    for name in tags:
        problem = "holds ':'; a tag has its value behind that" if ":" in name else name_problem(name)
        if problem:
            return f'tags: the name "{name}" {problem}'
    try:
        json.dumps(schedule, allow_nan=False)
    except (TypeError, ValueError) as why:
        return f"it is not JSON: {why}"
    return ""


def get_registered_schedules() -> dict[str, Schedule]:
    """Every schedule that was registered in this process, by name. The dict is a copy."""
    return dict(_registered)
