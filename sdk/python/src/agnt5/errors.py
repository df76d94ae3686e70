"""What can go wrong, as exceptions."""

from __future__ import annotations

import datetime
import math
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong with a workflow definition."""

    code: str
    """Stable; the daemon answers the same ones."""
    step: str
    """The step's name, "" when the problem is about the whole or the step has none."""
    detail: str
    """One sentence."""


class ValidationError(ValueError):
    """A workflow definition is not valid. ``problems`` is every problem at once."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        self.workflow = name
        self.problems = problems
        text = "; ".join(f'step "{p.step}": {p.detail} ({p.code})' if p.step else f"{p.detail} ({p.code})" for p in problems)
        super().__init__(f'workflow "{name}": {text}' if name else text)


class NonRetryableError(Exception):
    """Raise it in a handler to fail the step for good: no retry can mend this."""

    def __init__(self, *args: Any, code: str = "") -> None:
        super().__init__(*args)
        self.code = code


_MOST_SECONDS = 10 * 365 * 86400


def milliseconds(seconds: float | datetime.timedelta) -> int:
    """Seconds of a RetryAfter as whole milliseconds. Raises TypeError and ValueError."""
    if isinstance(seconds, datetime.timedelta):
        seconds = seconds.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"RetryAfter: want seconds as a number or a timedelta, not {type(seconds).__name__}")
    if isinstance(seconds, float) and not math.isfinite(seconds):
        raise ValueError(f"RetryAfter: {seconds} is not a number of seconds; to fail for good raise NonRetryableError")
    if seconds > _MOST_SECONDS:
        raise ValueError("RetryAfter: want at most ten years; to fail for good raise NonRetryableError")
    return max(int(seconds * 1000), 0)


class RetryAfter(Exception):
    """Raise it in a handler to fail this attempt; the next one comes no earlier than ``seconds`` from now.

    ``seconds`` is a number or a timedelta, at most ten years; below 0 is 0. Raises TypeError and ValueError for anything else.
    """

    def __init__(self, seconds: float | datetime.timedelta, *args: Any) -> None:
        self.seconds = milliseconds(seconds) / 1000
        super().__init__(*(args or (f"try again in {self.seconds:g} s",)))


class Cancelled(Exception):
    """Nobody waits for this attempt any more: its run was cancelled, or its lease is lost."""


class Agnt5Error(Exception):
    """Base of what the client and the worker raise."""


class Unreachable(Agnt5Error):
    """The daemon did not answer. Whether a write was recorded is unknown; the same call with the same id gets its answer."""


class WaitTimeout(Agnt5Error):
    """The run had not ended in the time that was given."""


class ApiError(Agnt5Error):
    """The daemon answered an error."""

    def __init__(self, status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(f"{detail} ({code})")
        self.status = status
        """HTTP status."""
        self.code = code
        """Stable code, such as ``run_not_found``."""
        self.detail = detail
        self.errors = errors or []
        """Every problem of a definition that was refused."""


class UnknownAnswer(ApiError):
    """What answered is not agnt5d, or what it answered cannot be read: another server, a proxy, a redirect.

    ``status`` is 0 when there was no answer that has one. Whether a write was recorded is unknown.
    """


class NotFound(ApiError):
    """There is no such thing (404, 410)."""


class Conflict(ApiError):
    """It stands against what is there (409)."""


class Unauthorized(ApiError):
    """The credentials are missing or not enough (401, 403, 421)."""


def api_error(status: int, body: Any, url: str = "the server", location: str = "") -> ApiError:
    """Make the exception of an answer that is no success."""
    if 300 <= status < 400:
        return UnknownAnswer(status, "redirected", f"{url} answered {status}, a redirect to {location or 'nowhere'}: give that address instead")
    if not isinstance(body, dict) or not isinstance(body.get("code"), str):
        return UnknownAnswer(status, "unknown_answer", f"{url} answered {status}, not as agnt5d does: is that the daemon's address?")
    kind = ApiError
    if status in (404, 410):
        kind = NotFound
    elif status == 409:
        kind = Conflict
    elif status in (401, 403, 421):
        kind = Unauthorized
    errors = body.get("errors")
    return kind(status, body["code"], str(body.get("detail") or body.get("title") or ""), errors if isinstance(errors, list) else None)
