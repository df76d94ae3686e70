"""The calls about schedules."""

from __future__ import annotations

import datetime
import json
from typing import Any

from ._call import Caller, Steps, call, filled, instant, items_of, object_of, with_query
from ._http import segment


def _schedule(name: str, rest: str = "") -> str:
    return f"/v1/schedules/{segment('name', name)}{rest}"


def _revision(revision: int | None) -> dict[str, str] | None:
    return None if revision is None else {"If-Match": str(int(revision))}


class ScheduleCalls(Caller):
    """What a client can do with schedules."""

    @call
    def put_schedule(self, name: str, definition: dict[str, Any] | str, *, revision: int | None = None) -> Steps[dict[str, Any]]:
        """Make a definition, a dict or its JSON or YAML text, the schedule of that name; gives the schedule.

        With ``revision`` only when the schedule has that one. Raises Conflict (``schedule_changed``).
        """
        text = definition if isinstance(definition, str) else json.dumps(definition, allow_nan=False)
        got = yield from self._ask("PUT", _schedule(name), raw=text.encode(), headers=_revision(revision))
        return object_of(got, "revision")

    @call
    def get_schedule(self, name: str) -> Steps[dict[str, Any]]:
        """One schedule: ``{state, revision, definition, next?, last?, missed_7d, running, ...}``. Raises NotFound (``schedule_not_found``)."""
        return object_of((yield from self._ask("GET", _schedule(name))), "revision")

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
        return object_of((yield from self._ask("POST", _schedule(name, "/pause"), {"note": note})), "revision")

    @call
    def resume_schedule(self, name: str, note: str = "", *, catch_up: bool = False) -> Steps[dict[str, Any]]:
        """Let a paused schedule go on from now; with ``catch_up`` also the newest of the times that the pause took."""
        return object_of((yield from self._ask("POST", _schedule(name, "/resume"), {"note": note, "catch_up": catch_up})), "revision")

    @call
    def trigger_schedule(self, name: str, *, input_data: Any = None, overlap: str | None = None) -> Steps[dict[str, Any]]:
        """Start a run of a schedule now: ``{outcome, run_id?, ...}``. Without ``input_data`` it gets the schedule's input."""
        body = {key: value for key, value in (("input", input_data), ("overlap", overlap)) if value is not None}
        return object_of((yield from self._ask("POST", _schedule(name, "/trigger"), body)), "outcome")

    @call
    def backfill_schedule(
        self, name: str, start: datetime.datetime | str, end: datetime.datetime | str, *, overlap: str | None = None, dry_run: bool = False
    ) -> Steps[dict[str, Any]]:
        """Start a run for each time of a period that is over, at most 10,000: ``{times, ...}``. With ``dry_run`` it lists them.

        ``overlap`` is "buffer_all" (one after the other) or "allow" (ten at once). Raises Conflict (``backfill_running``).
        """
        body: dict[str, Any] = {"from": instant("start", start), "to": instant("end", end), "dry_run": dry_run}
        if overlap is not None:
            body["overlap"] = overlap
        return object_of((yield from self._ask("POST", _schedule(name, "/backfill"), body)), "times")

    @call
    def next_times(self, name: str, n: int = 20) -> Steps[list[dict[str, Any]]]:
        """The next due times of a schedule: ``{nominal_at, due_at, local, excluded?, note?}``."""
        return items_of((yield from self._ask("GET", with_query(_schedule(name, "/next"), {"n": str(int(n))}))), "times")

    @call
    def preview_schedule(self, definition: dict[str, Any] | str, n: int = 20) -> Steps[list[dict[str, Any]]]:
        """The due times that a definition would have, without keeping it."""
        text = definition if isinstance(definition, str) else json.dumps(definition, allow_nan=False)
        return items_of((yield from self._ask("POST", with_query("/v1/schedules/preview", {"n": str(int(n))}), raw=text.encode())), "times")

    @call
    def get_ledger(
        self, name: str, *, outcome: str | None = None, since: datetime.datetime | str | None = None, limit: int = 100
    ) -> Steps[list[dict[str, Any]]]:
        """What became of the due times of a schedule, the newest first, at most ``limit`` rows (0: all).

        A row has ``nominal_at``, ``local``, ``outcome``, ``run_id``, ``detail`` and more.
        """
        query = {} if outcome is None else {"outcome": filled("outcome", outcome)}
        if since is not None:
            query["since"] = instant("since", since)
        return (yield from self._pages(_schedule(name, "/ledger"), query, "rows", limit))

    @call
    def explain_schedule(self, name: str) -> Steps[list[dict[str, Any]]]:
        """Why a schedule does not fire, or did not: ``{code, detail, help?}``; empty when nothing stands in its way."""
        return items_of((yield from self._ask("GET", _schedule(name, "/explain"))), "reasons")
