"""The rules of a definition. The codes are those of the daemon; shared vectors hold the two to each other."""

from __future__ import annotations

from typing import Any

from ._cron import cron_problem, zone_problem
from ._keys import (
    _BELONGS,
    _JOINS,
    _MAX_INT,
    _MAX_MS,
    _MAX_VERSION,
    _NOT_A_PLACE,
    _ORDER,
    _PARENT_ENDS,
    _PLACES,
    _TEXTS,
    _WANT_NAME,
    _WANT_TYPE,
    _quote,
    name_problem,
)
from ._order import Graph
from ._reading import _Step
from .errors import Problem


class Validator(Graph):
    """Looks at a definition as JSON says it: {"steps": [...]}."""

    def run(self, raw: Any) -> list[Problem]:
        self.definition(raw)
        self.rules()
        return [p for _, p in sorted(self.problems, key=lambda found: found[0])]

    def rules(self) -> None:
        if not self.main and not self.flawed:
            self.add(-1, "no_steps", "at least one step must be defined")
        for i, s in enumerate(self.steps):
            if s.name and s.name in self.index:
                self.add(i, "name_duplicate", f"{self.ordinal(i)} has the name of {self.ordinal(self.index[s.name])}; step names must be unique")
            elif s.name:
                self.index[s.name] = i
        self.keys: dict[str, str] = {}
        for i, s in enumerate(self.steps):
            self.rules_of(i, s)
        self.order()

    def missing(self, i: int, code: str, detail: str) -> None:
        if not self.steps[i].flawed and not self.steps[i].typeless:
            self.add(i, code, detail)

    def name(self, i: int, what: str, text: str) -> None:
        problem = name_problem(text)
        if problem:
            self.add(i, "name_invalid", f"{what} {problem}")

    def rules_of(self, i: int, s: _Step) -> None:
        if s.name == "":
            self.missing(i, "name_invalid", f"the name is empty; {_WANT_NAME}")
        else:
            self.name(i, "the name", s.name)
        self.dependencies(i, s)
        if s.typeless:
            return
        if s.type not in _BELONGS:
            self.add(i, "type_unknown", f"type {_quote(s.type)} is unknown; {_WANT_TYPE}")
            return
        getattr(self, "rules_of_" + s.type)(i, s)
        self.language(i, s)
        self.last(i, s)
        for key in _ORDER:
            if key not in _BELONGS[s.type] and self.given(s, key):
                self.add(i, "misplaced_key", f"{key} does not belong to a {s.type} step")

    def last(self, i: int, s: _Step) -> None:
        """What steps of finally cannot have, and what a compensation needs."""
        undo = s.fields.get("compensate")
        if undo is not None and s.type == "task":
            if not undo.get("handler_name"):
                self.missing(i, "handler_missing", "compensate needs a handler_name")
            for key in ("service_name", "handler_name"):
                if undo.get(key):
                    self.name(i, f"compensate.{key}", undo[key])
            if undo.get("timeout_ms") == 0:
                self.add(i, "number_out_of_range", "compensate.timeout_ms is 0; it must be at least 1, or left out for no limit")
            else:
                self.count(i, "compensate.timeout_ms", undo.get("timeout_ms"), _MAX_MS)
            self.retry(i, "compensate.retry", undo.get("retry"))
        if i < self.main:
            return
        if s.type == "wait_signal":
            self.add(i, "finally_step", "a step of finally cannot wait for a signal: a run whose fate is decided takes none")
        if (s.fields.get("timer") or {}).get("cron_expr"):
            self.add(i, "finally_step", "a timer of finally has delay_ms: a cron_expr could hold the end of the run up for years")
        if undo is not None:
            self.add(i, "finally_step", "nothing compensates a step of finally")

    def language(self, i: int, s: _Step) -> None:
        """What is about conditions, lists and loops."""
        join = s.fields.get("join")
        if join and join not in _JOINS:
            self.add(i, "join_unknown", f"join {_quote(join)} is unknown; want all, any or settled")
        for key in ("max_items", "max_parallel", "tolerate"):
            if s.fields.get(key) is not None and s.fields.get("for_each") is None:
                self.missing(i, "for_each_missing", f"{key} stands on a step without for_each")
        if s.type != "task":
            return
        target = s.fields.get("on_failure", "")
        if target and target not in self.index:
            self.add(i, "on_failure_unknown", f"on_failure {_quote(target)} names no step of this workflow")
        elif target and not self.together(i, self.index[target]):
            self.add(i, "on_failure_unknown", f"on_failure {_quote(target)} {self.apart(self.index[target])}")
        elif target and target == s.name:
            self.add(i, "on_failure_self", "on_failure names the step itself")
        self.count_from_1(i, "max_items", s.fields.get("max_items"), 100_000)
        self.count_from_1(i, "max_parallel", s.fields.get("max_parallel"), _MAX_INT)
        part = s.fields.get("tolerate")
        if isinstance(part, str):
            self.count(i, "tolerate", int(part[:-1]), 100)
        else:
            self.count(i, "tolerate", part, _MAX_INT)
        repeat = s.fields.get("repeat")
        if repeat is None:
            return
        if not repeat.get("until"):
            self.missing(i, "repeat_open", "repeat needs until: an expression that is true when the last round was enough")
        elif repeat.get("max_rounds") is None:
            self.missing(i, "repeat_open", "repeat needs max_rounds: how many rounds there may be")
        self.count(i, "repeat.interval_ms", repeat.get("interval_ms"), _MAX_MS)
        self.count(i, "repeat.max_interval_ms", repeat.get("max_interval_ms"), _MAX_MS)
        self.count_from_1(i, "repeat.max_rounds", repeat.get("max_rounds"), 1_000_000)
        self.coefficient(i, "repeat.backoff_coefficient", repeat.get("backoff_coefficient"))

    def count_from_1(self, i: int, what: str, n: int | None, most: int) -> None:
        if n == 0:
            self.add(i, "number_out_of_range", f"{what} is 0; it must be at least 1")
        else:
            self.count(i, what, n, most)

    def coefficient(self, i: int, what: str, factor: float | None) -> None:
        if factor is not None and factor < 0:
            self.add(i, "number_negative", f"{what} is negative")
        elif factor is not None and not 1 <= factor < float("inf"):
            self.add(i, "number_out_of_range", f"{what} is {factor}; it must be a number and at least 1")

    @staticmethod
    def given(s: _Step, key: str) -> bool:
        value = s.fields.get(key)
        if key in _TEXTS or key == "object_keys":
            return bool(value)
        return value is not None

    def dependencies(self, i: int, s: _Step) -> None:
        seen: set[str] = set()
        for dep in s.dependencies + s.after:
            at = self.index.get(dep)
            if dep in seen:
                self.add(i, "dependency_repeated", f"{_quote(dep)} appears twice in dependencies and after")
            elif dep == s.name and dep:
                self.add(i, "dependency_self", "the step depends on itself")
            elif at is None:
                self.add(i, "dependency_unknown", f"dependency {_quote(dep)} names no step of this workflow")
            elif not self.together(i, at):
                self.add(i, "dependency_unknown", f"dependency {_quote(dep)} {self.apart(at)}")
            elif at > i:  # order() says whether it is only that, or part of a cycle
                self.later.append((i, at))
            seen.add(dep)

    def rules_of_task(self, i: int, s: _Step) -> None:
        for key, code in (("service_name", "service_missing"), ("handler_name", "handler_missing")):
            text = s.fields.get(key, "")
            if text == "":
                self.missing(i, code, f"a task needs a {key}")
            else:
                self.name(i, key, text)
        seen: set[str] = set()
        for key in s.fields.get("object_keys", []):
            raw = key.encode("utf-8", "replace")
            if key in seen:
                self.add(i, "object_key_repeated", f"object key {_quote(key)} appears twice")
            elif not key:
                self.add(i, "object_key_invalid", "object key is empty; want 1 to 256 bytes of printable UTF-8")
            elif len(raw) > 256:
                self.add(
                    i, "object_key_invalid", f"object key {_quote(key)} is {len(raw)} bytes long; want 1 to 256 bytes of printable UTF-8"
                )
            elif not key.isprintable():
                self.add(
                    i, "object_key_invalid", f"object key {_quote(key)} holds what does not print; want 1 to 256 bytes of printable UTF-8"
                )
            elif key in _PLACES:
                self.add(i, "object_key_invalid", f"object key is {_quote(key)}, {_NOT_A_PLACE}")
            seen.add(key)
        self.rules_of_attempts(i, s)

    def rules_of_workflow(self, i: int, s: _Step) -> None:
        if s.fields.get("workflow_name", "") == "":
            self.missing(i, "workflow_missing", "a workflow step needs a workflow_name")
        else:
            self.name(i, "workflow_name", s.fields["workflow_name"])
        if s.fields.get("workflow_version") == 0:
            self.add(i, "number_out_of_range", "workflow_version is 0; it must be at least 1")
        else:
            self.count(i, "workflow_version", s.fields.get("workflow_version"), _MAX_VERSION)
        end = s.fields.get("on_parent_end")
        if end and end not in _PARENT_ENDS:
            self.add(i, "on_parent_end_unknown", f"on_parent_end {_quote(end)} is unknown; want cancel or abandon")
        self.rules_of_attempts(i, s)

    def rules_of_attempts(self, i: int, s: _Step) -> None:
        for key in ("timeout_ms", "heartbeat_timeout_ms"):
            if s.fields.get(key) == 0:
                self.add(i, "number_out_of_range", f"{key} is 0; it must be at least 1, or left out for no limit")
            else:
                self.count(i, key, s.fields.get(key), _MAX_MS)
        self.retry(i, "retry", s.fields.get("retry"))

    def retry(self, i: int, what: str, retry: dict[str, Any] | None) -> None:
        if retry is None:
            return
        self.count(i, f"{what}.max_attempts", retry.get("max_attempts"), _MAX_INT)
        self.count(i, f"{what}.initial_interval_ms", retry.get("initial_interval_ms"), _MAX_MS)
        self.count(i, f"{what}.max_interval_ms", retry.get("max_interval_ms"), _MAX_MS)
        if retry.get("max_attempts") == 0:
            self.add(i, "number_out_of_range", f"{what}.max_attempts is 0; it must be at least 1")
        self.coefficient(i, f"{what}.backoff_coefficient", retry.get("backoff_coefficient"))

    def rules_of_wait_signal(self, i: int, s: _Step) -> None:
        g = s.fields.get("signal")
        if not g or not g.get("name"):
            self.missing(i, "signal_missing", "a wait_signal step needs a signal name")
        else:
            self.name(i, "signal.name", g["name"])
        if g is None:
            return
        self.count(i, "signal.timeout_ms", g.get("timeout_ms"), _MAX_MS)
        target = g.get("on_timeout", "")
        if not target:
            return
        if g.get("timeout_ms") is None:
            self.missing(i, "on_timeout_without", f"on_timeout {_quote(target)} stands on a wait without timeout_ms: it could never start")
        if target not in self.index:
            self.add(i, "on_timeout_unknown", f"on_timeout {_quote(target)} names no step of this workflow")
        elif not self.together(i, self.index[target]):
            self.add(i, "on_timeout_unknown", f"on_timeout {_quote(target)} {self.apart(self.index[target])}")
        elif target == s.name:
            self.add(i, "on_timeout_self", "on_timeout names the wait itself")

    def rules_of_wait_timer(self, i: int, s: _Step) -> None:
        t = s.fields.get("timer")
        if not t or not t.get("key"):
            self.missing(i, "timer_key_missing", "a wait_timer step needs a timer key")
        else:
            key = t["key"]
            self.name(i, "timer.key", key)
            if key in self.keys:
                self.add(i, "timer_key_duplicate", f"timer key {_quote(key)} is that of step {_quote(self.keys[key])}")
            else:
                self.keys[key] = s.name
        if t is None:
            self.missing(i, "timer_without_time", "a timer needs delay_ms or cron_expr")
            return
        delay, cron, zone = t.get("delay_ms"), t.get("cron_expr", ""), t.get("time_zone", "")
        if delay is None and not cron:
            self.missing(i, "timer_without_time", "a timer needs delay_ms or cron_expr")
        elif delay is not None and cron:
            self.add(i, "timer_with_two_times", "a timer has delay_ms or cron_expr, not both")
        self.count(i, "timer.delay_ms", delay, _MAX_MS)
        self.count(i, "timer.max_retries", t.get("max_retries"), _MAX_INT)
        problem = zone_problem(zone)
        if problem:
            self.add(i, "time_zone_invalid", problem)
        elif zone and not cron:
            self.missing(i, "time_zone_invalid", f"time_zone {_quote(zone)} stands on a timer without cron_expr")
        if cron:
            problem = cron_problem(cron)
            if problem:
                self.add(i, "cron_invalid", problem)


def validate(raw: Any) -> list[Problem]:
    """Report everything that is wrong with a definition; nothing when it is valid."""
    return Validator().run(raw)
