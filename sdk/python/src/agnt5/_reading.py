"""Reading a definition: keys that nobody knows, values of a wrong type, and texts that mean numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._canonical import Number, Pairs, write
from ._keys import (
    _EVERY,
    _GROUPS,
    _MAX_INPUT,
    _MAX_INT,
    _MAX_MS,
    _MAX_NESTING,
    _MAX_STEPS,
    _ORDER,
    _TEMPLATES,
    _TEXTS,
    _WANT_DURATION,
    _WANT_TYPE,
    _WHOLE,
    _cut,
    _depth,
    _duration,
    _kind,
    _pairs,
    _quote,
    _repeated,
)
from .errors import Problem


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


class Reading:
    """Reads a definition as JSON says it, and keeps the problems in the order in which they come."""

    def __init__(self) -> None:
        self.problems: list[tuple[int, Problem]] = []
        self.steps: list[_Step] = []  # those of finally last
        self.main = 0  # how many are not of finally
        self.at = -1
        self.index: dict[str, int] = {}  # of steps, by name
        self.later: list[tuple[int, int]] = []  # dependencies on a step that stands later
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

    def count(self, i: int, what: str, n: int | None, most: int) -> None:
        if n is None:
            return
        if n < 0:
            self.add(i, "number_negative", f"{what} is negative")
        elif n > most:
            self.add(i, "number_out_of_range", f"{what} is {n}; it must be at most {most}")
