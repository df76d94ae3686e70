"""JSON as definitions are written: one form for one meaning, number text as it was given."""

from __future__ import annotations

import json
import math
from typing import Any


class Number(float):
    """A JSON number that is no plain integer. It is a float that remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> Number:
        self = super().__new__(cls, text)
        self.text = text
        return self


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a key that appears twice can be seen."""


def _integer(text: str) -> Any:
    try:
        value = int(text)
    except ValueError:  # longer than int() takes
        return Number(text)
    return value if str(value) == text else Number(text)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def read(text: str) -> Any:
    """Read JSON. Objects come as Pairs, numbers that are no plain integers as Number. Raises ValueError."""
    value = json.loads(
        text,
        object_pairs_hook=Pairs,
        parse_float=Number,
        parse_int=_integer,
        parse_constant=_constant,
    )
    return value


def plain(value: Any) -> Any:
    """Turn Pairs into dicts; of a key that appears twice the last one stays."""
    if isinstance(value, Pairs):
        return {key: plain(item) for key, item in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=True)


def write(value: Any) -> str:
    """Canonical JSON: compact, keys sorted, ASCII. Raises TypeError or ValueError for what JSON cannot say."""
    out: list[str] = []
    _write(value, out, 0)
    return "".join(out)


_MAX_DEPTH = 1000


def _write(value: Any, out: list[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    if value is None:
        out.append("null")
    elif value is True:
        out.append("true")
    elif value is False:
        out.append("false")
    elif isinstance(value, str):
        out.append(_text(value))
    elif isinstance(value, Number):
        out.append(value.text)
    elif isinstance(value, int):
        out.append(int.__repr__(value))
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not JSON")
        out.append(float.__repr__(value))
    elif isinstance(value, (Pairs, dict)):
        items = list(value) if isinstance(value, Pairs) else list(value.items())
        for key, _ in items:
            if not isinstance(key, str):
                raise TypeError(f"a key must be a string, not {key!r}")
        out.append("{")
        for n, (key, item) in enumerate(sorted(items, key=lambda pair: pair[0])):
            if n:
                out.append(",")
            out.append(_text(key))
            out.append(":")
            _write(item, out, depth + 1)
        out.append("}")
    elif isinstance(value, (list, tuple)):
        out.append("[")
        for n, item in enumerate(value):
            if n:
                out.append(",")
            _write(item, out, depth + 1)
        out.append("]")
    else:
        raise TypeError(f"{type(value).__name__} is not JSON")
