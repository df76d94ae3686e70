"""The keys of a definition: which belong to which type of step, their limits, and how values of JSON are named in problems."""

from __future__ import annotations

import re
from typing import Any

from ._canonical import Number, Pairs

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
