"""What a cron text and a time zone may say. The daemon works out when they fire; here it is only whether they do."""

from __future__ import annotations

import calendar
import re
import zoneinfo

_DESCRIPTORS = {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
_ITEM = re.compile(r"(\*|\?|([0-9]{1,2}|[A-Za-z]{3})(-([0-9]{1,2}|[A-Za-z]{3}))?)(/([0-9]{1,2}))?", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}", re.ASCII)
_NOT_ZONES = {"Local", "Factory", "localtime", "posixrules"}
_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if n}
_DAYS = {name: n for n, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_WANT = "want five fields (minute hour day-of-month month day-of-week)"
_MAX_TEXT = 1024

# name, lowest, highest, names
_FIELDS: list[tuple[int, int, dict[str, int]]] = [
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
]


def zone_problem(name: str) -> str | None:
    """Say what is wrong with a time zone; None when nothing is. "" is UTC."""
    if name == "" or name == "UTC":
        return None
    wrong = f'time_zone "{name}": unknown; want an IANA name such as Europe/Berlin'
    if not _ZONE.fullmatch(name) or name in _NOT_ZONES or name.startswith(("right/", "posix/")):
        return wrong
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return wrong if zoneinfo.available_timezones() else None  # no zone data here: the daemon knows
    return None


def cron_problem(text: str) -> str | None:
    """Say what is wrong with a cron text; None when nothing is."""
    if len(text.encode()) > _MAX_TEXT:
        return f"cron text is {len(text.encode())} bytes long, the limit is {_MAX_TEXT}"
    try:
        _check(text)
    except ValueError as why:
        return f'cron "{text}": {why}'
    return None


def _check(text: str) -> None:
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ValueError("want five fields, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually")
        return
    if "=" in text:
        raise ValueError("a zone prefix is not accepted; set time_zone")
    fields = text.split()
    if len(fields) == 6:
        raise ValueError(_WANT + ", it has 6; a seconds field is not accepted")
    if len(fields) != 5:
        raise ValueError(f"{_WANT}, it has {len(fields)}")
    sets = [_values(field, *rule) for field, rule in zip(fields, _FIELDS)]
    days, months = sets[2], sets[3]
    restricted = not fields[4].startswith(("*", "?")) and not fields[2].startswith(("*", "?"))
    if not restricted and sets[4] and not any(day <= _longest(month) for day in days for month in months):
        raise ValueError("never fires: no such day")


def _longest(month: int) -> int:
    return 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31


def _values(field: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    out: set[int] = set()
    for part in field.split(","):
        match = _ITEM.fullmatch(part)
        if not match:
            raise ValueError(f'cannot read "{field}"; want *, N, N-M, each with /STEP or without, or a list of these')
        first, last = low, high
        if match[1] not in ("*", "?"):
            first = _number(match[2], names)
            last = _number(match[4], names) if match[4] else (high if match[5] else first)
        if first < low:
            raise ValueError(f"beginning of range ({first}) below minimum ({low}): {part}")
        if last > high:
            raise ValueError(f"end of range ({last}) above maximum ({high}): {part}")
        if first > last:
            raise ValueError(f"beginning of range ({first}) beyond end of range ({last}): {part}")
        step = int(match[6]) if match[6] else 1
        if step == 0:
            raise ValueError(f"step of range should be a positive number: {part}")
        out.update(range(first, last + 1, step))
    return out


def _number(text: str, names: dict[str, int]) -> int:
    if text.isdigit():
        return int(text)
    value = names.get(text.lower())
    if value is None:
        raise ValueError(f"cannot read {text}")
    return value
