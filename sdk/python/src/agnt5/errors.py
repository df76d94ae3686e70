"""What can go wrong, as exceptions."""

from __future__ import annotations

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


class RetryAfter(Exception):
    """Raise it in a handler to fail this attempt; the next one comes no earlier than ``seconds`` from now."""

    def __init__(self, seconds: float, *args: Any) -> None:
        super().__init__(*(args or (f"try again in {seconds} s",)))
        self.seconds = seconds


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


class NotFound(ApiError):
    """There is no such thing (404, 410)."""


class Conflict(ApiError):
    """It stands against what is there (409)."""


class Unauthorized(ApiError):
    """The credentials are missing or not enough (401, 403, 421)."""


def api_error(status: int, body: Any) -> ApiError:
    """Make the exception of a problem+json answer."""
    if not isinstance(body, dict) or "code" not in body:
        return ApiError(status, "unknown_answer", f"the server answered {status}, not as agnt5d does")
    kind = ApiError
    if status in (404, 410):
        kind = NotFound
    elif status == 409:
        kind = Conflict
    elif status in (401, 403, 421):
        kind = Unauthorized
    return kind(status, str(body["code"]), str(body.get("detail") or body.get("title")), body.get("errors"))
