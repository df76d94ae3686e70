"""The rules of a definition. The codes are those of the daemon; shared vectors hold the two to each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._canonical import Number, Pairs, write
from ._cron import cron_problem, zone_problem
from .errors import Problem

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_WANT_NAME = "want 1 to 128 of letters, digits, _ : . -"
_PLACES = (".", "..")
_NOT_A_PLACE = "which means a place in a path and so can name nothing"
_WANT_TYPE = "want task, wait_signal, wait_timer or workflow"
_MAX_MS = 9223372036854
_MAX_INT = 2**63 - 1
_MAX_VERSION = 2**32 - 1
_MAX_STEPS = 100_000
_MAX_INPUT = 1 << 20
_MAX_NESTING = 64

_TEXTS = {"name", "service_name", "handler_name", "description", "when", "join", "on_failure", "workflow_name", "on_parent_end"}
_EVERY = {"name", "type", "dependencies", "after", "join", "when", "description"}
_WHOLE = {"steps", "finally", "description", "timeout_ms", "output", "retention"}
_TEMPLATES = {"input": "an object", "for_each": "a list, or an expression as a string"}
_JOINS = ("all", "any", "settled")
_PARENT_ENDS = ("cancel", "abandon")
_BELONGS = {
    "task": {
        "service_name",
        "handler_name",
        "object_keys",
        "input_data",
        "input",
        "on_failure",
        "compensate",
        "for_each",
        "max_items",
        "max_parallel",
        "tolerate",
        "repeat",
        "timeout_ms",
        "heartbeat_timeout_ms",
        "retry",
    },
    "wait_signal": {"signal"},
    "wait_timer": {"timer"},
    "workflow": {
        "workflow_name",
        "workflow_version",
        "on_parent_end",
        "input_data",
        "input",
        "on_failure",
        "for_each",
        "max_items",
        "max_parallel",
        "tolerate",
        "repeat",
        "timeout_ms",
        "retry",
    },
}
_GROUPS: dict[str, dict[str, type]] = {
    "retention": {"completed_ms": int, "failed_ms": int, "cancelled_ms": int},
    "retry": {"max_attempts": int, "initial_interval_ms": int, "max_interval_ms": int, "backoff_coefficient": float},
    "compensate": {"service_name": str, "handler_name": str, "timeout_ms": int, "retry": dict, "also_if_started": bool},
    "repeat": {"until": str, "interval_ms": int, "backoff_coefficient": float, "max_interval_ms": int, "max_rounds": int},
    "signal": {"name": str, "timeout_ms": int, "on_timeout": str},
    "timer": {"key": str, "delay_ms": int, "cron_expr": str, "time_zone": str, "max_retries": int},
}
_ORDER = sorted(set().union(*_BELONGS.values()))


_DURATION = re.compile(r"([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?", re.ASCII)
_UNITS = (7 * 24 * 3600_000, 24 * 3600_000, 3600_000, 60_000, 1000, 1)
_WANT_DURATION = "want whole numbers with the units w, d, h, m, s and ms, the largest first, such as 30s or 1h30m"


def _duration(text: str) -> int | None:
    """Give the milliseconds of a duration such as 1h30m; None when it is none."""
    if text == "0":
        return 0
    found = _DURATION.fullmatch(text)
    if text == "" or found is None:
        return None
    return sum(int(part.rstrip("wdhms")) * unit for part, unit in zip(found.groups(), _UNITS) if part)


_DURATIONS = {"timeout", "heartbeat_timeout", "initial_interval", "interval", "max_interval", "delay", "completed", "failed", "cancelled"}


def in_milliseconds(fields: dict[str, Any]) -> dict[str, Any]:
    """Give valid fields with every duration as text (timeout: 30s) as milliseconds (timeout_ms: 30000)."""
    return {f"{k}_ms" if k in _DURATIONS else k: _duration(str(v)) if k in _DURATIONS else v for k, v in fields.items()}


def _cut(text: str, limit: int) -> str:
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore") + "…"


def _quote(text: str) -> str:
    return '"' + _cut(text, 64).replace("\\", "\\\\").replace('"', '\\"') + '"'


def name_problem(name: str) -> str | None:
    """Say what is wrong with a name; the text goes on after what the name is for."""
    if name == "":
        return f"is empty; {_WANT_NAME}"
    if len(name.encode("utf-8", "replace")) > 128:
        return f"{_quote(name)} is {len(name.encode('utf-8', 'replace'))} bytes long; {_WANT_NAME}"
    if not _NAME.fullmatch(name):
        bad = next(c for c in name if not _NAME.fullmatch(c))
        return f"{_quote(name)} holds {bad!r}; {_WANT_NAME}"
    if name in _PLACES:
        return f"is {_quote(name)}, {_NOT_A_PLACE}"
    return None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return f"the number {value.text if isinstance(value, Number) else value}"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, (Pairs, dict)):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a {type(value).__name__}"


def _pairs(value: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(value, Pairs):
        return list(value)
    if isinstance(value, dict):
        return list(value.items())
    return None


def _repeated(value: Any) -> str | None:
    """The first key that appears twice in one object, anywhere inside."""
    if isinstance(value, Pairs):
        seen = set()
        for key, _ in value:
            if key in seen:
                return key
            seen.add(key)
        children: Any = [item for _, item in value]
    elif isinstance(value, dict):
        children = value.values()
    elif isinstance(value, (list, tuple)):
        children = value
    else:
        return None
    for item in children:
        inner = _repeated(item)
        if inner is not None:
            return inner
    return None


def _depth(value: Any, at: int = 0) -> int:
    if at > _MAX_NESTING + 8:
        return at
    if isinstance(value, (Pairs, dict)):
        items = [i for _, i in value] if isinstance(value, Pairs) else list(value.values())
    elif isinstance(value, (list, tuple)):
        items = list(value)
    else:
        return at
    return max([at + 1] + [_depth(i, at + 1) for i in items])


class _Step:
    """A step as far as it could be read."""

    def __init__(self) -> None:
        self.name = ""
        self.type = "task"
        self.fields: dict[str, Any] = {}
        self.dependencies: list[str] = []
        self.after: list[str] = []
        self.flawed = False  # something could not be read: what is missing is not reported, too
        self.typeless = False  # its type could not be read


class Validator:
    """Looks at a definition as JSON says it: {"steps": [...]}."""

    def __init__(self) -> None:
        self.problems: list[tuple[int, Problem]] = []
        self.steps: list[_Step] = []  # those of finally last
        self.main = 0  # how many are not of finally
        self.at = -1
        self.flawed = False

    def add(self, at: int, code: str, detail: str) -> None:
        name = self.steps[at].name if 0 <= at < len(self.steps) else ""
        if at >= 0 and name == "":
            detail = f"{self.ordinal(at)}: {detail}"
        self.problems.append((at, Problem(code, _cut(name, 128), detail)))

    def ordinal(self, at: int) -> str:
        return f"step {at + 1}" if at < self.main else f"step {at - self.main + 1} of finally"

    def together(self, i: int, other: int) -> bool:
        """Whether two steps are both of finally, or neither."""
        return (i >= self.main) == (other >= self.main)

    def apart(self, at: int) -> str:
        """Why a step cannot lead to one that is not together with it."""
        if at >= self.main:
            return "names a step of finally, and those come when all others are over"
        return "names a step outside of finally: all of those are over by then, and expressions say what became of them"

    def run(self, raw: Any) -> list[Problem]:
        self.definition(raw)
        self.rules()
        return [p for _, p in sorted(self.problems, key=lambda found: found[0])]

    # Reading.

    def flaw(self) -> None:
        if self.at < 0:
            self.flawed = True
        else:
            self.steps[self.at].flawed = True

    def wrong(self, what: str, want: str, value: Any) -> None:
        self.add(self.at, "wrong_type", f"{what} must be {want}, not {_kind(value)}")
        self.flaw()

    def object(self, value: Any, what: str, known: set[str]) -> dict[str, Any] | None:
        pairs = _pairs(value)
        if pairs is None:
            self.wrong(what, "an object", value)
            return None
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                self.add(self.at, "key_duplicate", f'{what} has the key "{key}" twice')
                break
        for key in keys:
            if key not in known and f"{key}_ms" not in known:
                self.add(self.at, "unknown_key", f'{what} has an unknown key "{key}"')
        return dict(pairs)

    def durations(self, fields: dict[str, Any], known: Iterable[str], prefix: str) -> dict[str, Any]:
        """Give the fields with every duration as text (timeout: 30s) as milliseconds (timeout_ms: 30000)."""
        out = {key: item for key, item in fields.items() if f"{key}_ms" not in known}
        for key, item in fields.items():
            long = f"{key}_ms"
            if long not in known or item is None:
                continue
            if fields.get(long) is not None:
                self.add(self.at, "duration_twice", f"{prefix}{key} and {prefix}{long} are two ways to say one thing: keep one of them")
                self.flaw()
                continue
            if item == 0 and type(item) is int:  # the one number that needs no unit
                out[long] = 0
                continue
            if not isinstance(item, str):
                self.wrong(f"{prefix}{key}", "a duration such as 30s", item)
                continue
            n = _duration(item)
            if n is None:
                self.add(self.at, "duration_invalid", f"{prefix}{key} {_quote(item)} is not a duration; {_WANT_DURATION}")
                self.flaw()
            else:
                out[long] = n
        return out

    def definition(self, raw: Any) -> None:
        fields = self.object(raw, "the definition", _WHOLE | {"$schema"})
        if fields is None:
            return
        self.whole(self.durations(fields, _WHOLE, ""))
        schema = fields.get("$schema")
        if schema is not None and not isinstance(schema, str):
            self.wrong("$schema", "a string", schema)
        steps: list[Any] = []
        if "steps" in fields:
            steps += self.listed("steps", fields["steps"])
        self.main = len(steps)
        if fields.get("finally") is not None:
            steps += self.listed("finally", fields["finally"])
        for value in steps:
            step = _Step()
            for key, item in _pairs(value) or []:
                if key == "name" and isinstance(item, str):
                    step.name = item
                    break
            self.steps.append(step)
        for i, value in enumerate(steps):
            self.at = i
            self.step(self.steps[i], value)
        self.at = -1

    def listed(self, key: str, steps: Any) -> list[Any]:
        if isinstance(steps, (Pairs, dict)) or not isinstance(steps, (list, tuple)):
            self.wrong(key, "a list", steps)
            return []
        if len(steps) > _MAX_STEPS:
            self.add(-1, "definition_too_large", f"{len(steps)} steps, the limit is {_MAX_STEPS}")
            self.flawed = True
            return []
        return list(steps)

    def whole(self, fields: dict[str, Any]) -> None:
        """What stands beside the steps."""
        text = fields.get("description")
        if text is not None and not isinstance(text, str):
            self.wrong("description", "a string", text)
        got: dict[str, Any] = {}
        if fields.get("timeout_ms") is not None:
            self.number(got, "timeout_ms", "timeout_ms", fields["timeout_ms"])
        if got.get("timeout_ms") == 0:
            self.add(-1, "number_out_of_range", "timeout_ms is 0; it must be at least 1, or left out for no limit")
        else:
            self.count(-1, "timeout_ms", got.get("timeout_ms"), _MAX_MS)
        if fields.get("output") is not None:
            self.kept("output", fields["output"], "template_invalid")
        if fields.get("retention") is not None:
            for key, n in self.group(fields["retention"], "retention", _GROUPS["retention"]).items():
                self.count(-1, f"retention.{key}", n, _MAX_MS)

    def template(self, s: _Step, key: str, item: Any) -> None:
        if isinstance(item, str) and item == "":
            return
        is_object = isinstance(item, (Pairs, dict))
        fits = is_object if key == "input" else isinstance(item, str) or (isinstance(item, (list, tuple)) and not is_object)
        if not fits:
            self.wrong(key, _TEMPLATES[key], item)
        elif self.kept(key, item, "template_invalid"):
            s.fields[key] = item

    def tolerance(self, s: _Step, item: Any) -> None:
        if not isinstance(item, str):
            if isinstance(item, bool) or not isinstance(item, int):
                self.wrong("tolerate", "a whole number or a percentage such as 10%", item)
            else:
                self.number(s.fields, "tolerate", "tolerate", item)
        elif re.fullmatch(r"(0|[1-9][0-9]*)%", item, re.ASCII):
            s.fields["tolerate"] = item
        elif item:
            self.wrong("tolerate", "a whole number or a percentage such as 10%", item)

    def step(self, s: _Step, value: Any) -> None:
        known = _EVERY | set(_ORDER)
        fields = self.object(value, "the step", known)
        if fields is None:
            s.typeless = True
            return
        for key, item in self.durations(fields, known, "").items():
            if item is None or key not in known:
                continue
            if key in _TEXTS:
                if isinstance(item, str):
                    s.fields[key] = item
                else:
                    self.wrong(key, "a string", item)
            elif key == "type":
                self.step_type(s, item)
            elif key in ("dependencies", "after", "object_keys"):
                got = self.texts(key, item)
                if key == "object_keys":
                    s.fields[key] = got
                else:
                    setattr(s, key, got)
            elif key in _TEMPLATES:
                self.template(s, key, item)
            elif key == "tolerate":
                self.tolerance(s, item)
            elif key == "input_data":
                self.input(s, item)
            elif key in ("timeout_ms", "heartbeat_timeout_ms", "max_items", "max_parallel", "workflow_version"):
                self.number(s.fields, key, key, item)
            else:
                s.fields[key] = self.group(item, key, _GROUPS[key])

    def step_type(self, s: _Step, item: Any) -> None:
        if not isinstance(item, str):
            self.wrong("type", "a string", item)
            s.typeless = True
        elif item == "":
            self.add(self.at, "type_unknown", f"type is empty; {_WANT_TYPE}")
            s.typeless = True
        else:
            s.type = str(item)

    def texts(self, key: str, item: Any) -> list[str]:
        if isinstance(item, (Pairs, dict)) or not isinstance(item, (list, tuple)) or any(not isinstance(one, str) for one in item):
            self.wrong(key, "a list of strings", item)
            return []
        return [str(one) for one in item]

    def input(self, s: _Step, item: Any) -> None:
        s.fields["input_data"] = item
        self.kept("input_data", item, "input_data_invalid")

    def kept(self, key: str, item: Any, code: str) -> bool:
        """Whether a value can be kept as JSON; what is wrong with it is reported."""
        twice = _repeated(item)
        if twice is not None:
            self.add(self.at, "key_duplicate", f'{key} is ambiguous: the key "{twice}" appears twice')
            return False
        try:
            text = write(item)
        except (TypeError, ValueError) as why:
            self.add(self.at, code, f"{key} cannot be written as JSON: {why}")
            return True
        if len(text) > _MAX_INPUT:
            self.add(self.at, code, f"{key} is {len(text)} bytes in canonical form, the limit is {_MAX_INPUT}")
        elif _depth(item) > _MAX_NESTING:
            self.add(self.at, code, f"{key} is nested over {_MAX_NESTING} deep")
        return True

    def number(self, into: dict[str, Any], key: str, what: str, item: Any) -> None:
        if isinstance(item, bool) or not isinstance(item, int):
            if isinstance(item, Number) and re.fullmatch(r"-0+", item.text):
                into[key] = 0
                return
            self.wrong(what, "a whole number", item)
        elif not -(2**63) <= item <= _MAX_INT:
            self.add(self.at, "number_out_of_range", f"{what} is out of range: {item}")
            self.flaw()
        else:
            into[key] = item

    def group(self, value: Any, what: str, known: dict[str, type]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        fields = self.object(value, what, set(known)) or {}
        for key, item in self.durations(fields, known, f"{what}.").items():
            want = known.get(key)
            if item is None or want is None:
                continue
            if want is int:
                self.number(out, key, f"{what}.{key}", item)
            elif want is str:
                if isinstance(item, str):
                    out[key] = item
                else:
                    self.wrong(f"{what}.{key}", "a string", item)
            elif want is bool:
                if isinstance(item, bool):
                    out[key] = item
                else:
                    self.wrong(f"{what}.{key}", "true or false", item)
            elif want is dict:
                out[key] = self.group(item, f"{what}.{key}", _GROUPS[key])
            elif isinstance(item, bool) or not isinstance(item, (int, float)):
                self.wrong(f"{what}.{key}", "a number", item)
            else:
                out[key] = item
        return out

    # Rules.

    def rules(self) -> None:
        if not self.main and not self.flawed:
            self.add(-1, "no_steps", "at least one step must be defined")
        self.index: dict[str, int] = {}
        for i, s in enumerate(self.steps):
            if s.name and s.name in self.index:
                self.add(i, "name_duplicate", f"{self.ordinal(i)} has the name of {self.ordinal(self.index[s.name])}; step names must be unique")
            elif s.name:
                self.index[s.name] = i
        self.keys: dict[str, str] = {}
        self.later: list[tuple[int, int]] = []
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

    def count(self, i: int, what: str, n: int | None, most: int) -> None:
        if n is None:
            return
        if n < 0:
            self.add(i, "number_negative", f"{what} is negative")
        elif n > most:
            self.add(i, "number_out_of_range", f"{what} is {n}; it must be at most {most}")

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

    def order(self) -> None:
        """Find steps that could never start, and waits whose on_timeout leads back to them."""
        n = len(self.steps)
        deps: list[list[int]] = [[] for _ in range(n)]
        jump: dict[int, int] = {}
        for i, s in enumerate(self.steps):
            deps[i] = [self.index[d] for d in s.dependencies + s.after if self.index.get(d, i) < i and self.together(i, self.index[d])]
            target = self.branch(s)
            if target and self.index.get(target, i) != i and self.together(i, self.index[target]):
                jump[i] = self.index[target]
        for w, e in jump.items():
            dead = ("on_timeout_dead", "on_failure_dead")
            if e > w and self.over_another(deps, e, w) and not any(at == e and p.code in dead for at, p in self.problems):
                key = self.branch_key(self.steps[w])
                self.add(
                    e,
                    f"{key}_dead",
                    f"{key} of {_quote(self.steps[w].name)} names this step, which depends on a step that depends on that one: it could never start",
                )
        if self.later or any(e < w for w, e in jump.items()):
            self.cycles(deps, jump)

    @staticmethod
    def branch_key(s: _Step) -> str:
        return "on_timeout" if s.fields.get("signal") is not None else "on_failure"

    def branch(self, s: _Step) -> str:
        """The step that on_timeout or on_failure names; "": none."""
        if self.branch_key(s) == "on_timeout":
            return str(s.fields["signal"].get("on_timeout", ""))
        return str(s.fields.get("on_failure", ""))

    @staticmethod
    def over_another(deps: list[list[int]], e: int, w: int) -> bool:
        """Whether e depends on some step that depends on w."""
        todo, seen = [d for d in deps[e] if d != w], set()
        while todo:
            at = todo.pop()
            if at in seen or at < w:
                continue
            seen.add(at)
            if w in deps[at]:
                return True
            todo.extend(deps[at])
        return False

    def cycles(self, deps: list[list[int]], jump: dict[int, int]) -> None:
        after: list[list[int]] = [[] for _ in deps]
        for i, before in enumerate(deps):
            for d in before:
                after[d].append(i)
        for w, e in jump.items():
            after[w].append(e)
        for i, d in self.later:
            after[d].append(i)
        told: set[int] = set()
        for i, d in self.later:
            if d not in self.reach(after, i):
                dep = _quote(self.steps[d].name)
                self.add(i, "dependency_later", f"dependency {dep} is defined later; a step must stand after what it depends on")
            elif i not in told:
                told |= self.knot(after, i)
                self.add(i, "cycle", f"steps wait for each other: {self.around(after, i, d)}; each starts after the next")
        for w in sorted(jump):
            e = jump[w]
            if w in told or w not in self.reach(after, e):
                continue
            told |= self.knot(after, w)
            way = self.around(after, e, w)
            key = self.branch_key(self.steps[w])
            self.add(w, "cycle", f"{key} {_quote(self.steps[e].name)} leads back to this step: {way}; each starts after the next")

    def knot(self, after: list[list[int]], at: int) -> set[int]:
        """All steps that follow from this one and lead to it."""
        before: list[list[int]] = [[] for _ in after]
        for i, following in enumerate(after):
            for d in following:
                before[d].append(i)
        return self.reach(after, at) & self.reach(before, at)

    def around(self, after: list[list[int]], start: int, end: int) -> str:
        """Name a shortest cycle on which start comes directly after end."""
        came = {start: start}
        queue = [start]
        for at in queue:
            for n in after[at]:
                if n not in came:
                    came[n] = at
                    queue.append(n)
        names = [self.steps[start].name, self.steps[end].name]
        while end != start:
            end = came[end]
            names.append(self.steps[end].name)
        shown = 6
        if len(names) > 2 * shown:
            names[shown:-shown] = [f"({len(names) - 2 * shown} more)"]
        return " -> ".join(names)

    @staticmethod
    def reach(after: list[list[int]], start: int) -> set[int]:
        todo, seen = [start], set()
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo.extend(after[at])
        return seen


def validate(raw: Any) -> list[Problem]:
    """Report everything that is wrong with a definition; nothing when it is valid."""
    return Validator().run(raw)
