"""JSON as the daemon answers it: whatever a payload holds can be read."""

from __future__ import annotations

import json
from typing import Any

_DIGITS = 640  # Python always converts so many at once, whatever its limit is set to


def _integer(text: str) -> int:
    """An integer of any length. Python's own int() refuses more than 4,300 digits, for it is slow with them."""
    if len(text) <= _DIGITS:
        return int(text)
    if text[0] == "-":
        return -_integer(text[1:])
    low = len(text) // 2
    shift: int = 10**low
    return _integer(text[:-low]) * shift + _integer(text[-low:])


class Long:
    """An integer that is too long for int(): read() converts it, read_quickly() leaves that to settled()."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Unsettled(dict[str, Any]):
    """An object that holds a Long somewhere."""


def read(raw: bytes | str) -> Any:
    """Read JSON. Raises ValueError for everything that cannot be read.

    Integers are exact at any length; numbers beyond a float's range are infinite; of a key that appears twice the last one stays.
    """
    value = read_quickly(raw)
    try:
        return settled(value) if isinstance(value, Unsettled) else value
    except RecursionError as why:
        raise ValueError("nested too deep") from why


def read_quickly(raw: bytes | str) -> Any:
    """Read JSON in time that grows with its length only: converting an integer of a million digits takes a second."""
    try:
        try:
            return json.loads(raw)
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise
        except ValueError:  # an integer that is too long for int()
            value = json.loads(raw, parse_int=lambda text: int(text) if len(text) <= _DIGITS else Long(text))
            return Unsettled(value) if isinstance(value, dict) else settled(value)
    except RecursionError as why:
        raise ValueError("nested too deep") from why
    except MemoryError as why:
        raise ValueError("too large for this machine's memory") from why


def settled(value: Any) -> Any:
    """The value with each Long as an int."""
    if isinstance(value, Long):
        return _integer(value.text)
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list, Long)):
                value[key] = settled(item)
        return dict(value) if type(value) is Unsettled else value
    if isinstance(value, list):
        value[:] = map(settled, value)
    return value


def copied(value: Any) -> Any:
    """A copy of a JSON value that may be changed."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def nested_over(value: Any, limit: int) -> bool:
    """Whether lists, tuples and dicts are nested deeper than limit."""
    level = [value]
    for _ in range(limit + 1):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below.append(None)
                below.extend(one.values())
            elif isinstance(one, (list, tuple)):
                below.append(None)
                below.extend(one)
        if not below:
            return False
        level = below
    return True
