"""What a worker and the daemon say to each other. Answers are read leniently: fields that a newer daemon adds do not matter."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ._failure import said
from ._http import Connection
from ._json import Unsettled
from .errors import Agnt5Error, ApiError, NonRetryableError, UnknownAnswer
from .functions import Context

_MAX_OUTCOME = 30 << 20  # bytes that are worth sending at all


def joined(conn: Connection, answer: tuple[int, Any]) -> dict[str, Any]:
    """The session that a registration opened. Fields that a newer daemon adds do not matter."""
    status, got = answer
    if not isinstance(got, dict) or not isinstance(got.get("worker_id"), str) or got["worker_id"] in ("", ".", ".."):
        raise UnknownAnswer(status, "unknown_answer", f"{conn.url} answered {status}, not as agnt5d does: is that the daemon's address?")
    return got


class Polled(NamedTuple):
    """What a poll brought."""

    tasks: list[dict[str, Any]]
    results: list[dict[str, Any]]
    cancelled: list[str]
    unsettled: bool
    """Some task holds integers that take long to convert."""


def polled(conn: Connection, answer: tuple[int, Any], batch: list[tuple[str, str]]) -> Polled:
    """Read the answer to a poll. Fields that a newer daemon adds do not matter."""
    status, got = answer
    if status == 204 and not batch:
        got = {}
    if not isinstance(got, dict) or (batch and not isinstance(got.get("results"), list)):
        raise UnknownAnswer(status, "unknown_answer", f"{conn.url} answered a poll with {status}, not as agnt5d does")
    return Polled(
        [task for task in items(got, "tasks") if isinstance(task, dict) and task.get("token")],
        [result for result in items(got, "results") if isinstance(result, dict)],
        [token for token in items(got, "cancelled") if isinstance(token, str)],
        isinstance(got, Unsettled),
    )


def items(got: Any, key: str) -> list[Any]:
    value = got.get(key) if isinstance(got, dict) else None
    return value if isinstance(value, list) else []


def number(got: dict[str, Any], key: str, default: int) -> float:
    value = got.get(key)
    return value if isinstance(value, (int, float)) and 0 < value < 1e9 else default


def refusal(why: Exception) -> bool:
    """Whether the daemon itself has said no, so that asking again gives the same. What cannot be read is no refusal."""
    return isinstance(why, ApiError) and not isinstance(why, UnknownAnswer) and why.status < 500 and why.status not in (408, 429)


def refused(url: str, what: str, why: Exception) -> Agnt5Error:
    """The exception of a worker that the daemon does not take."""
    hint = "; a worker's access token is that of api_key, token_file or AGNT5_API_KEY" if isinstance(why, ApiError) and why.status == 401 else ""
    return Agnt5Error(f"the daemon at {url} refuses {what}: {why}{hint}")


def too_much(why: Exception) -> bool:
    """Whether it is what was sent that is not taken; 413 may come from a proxy, too."""
    return isinstance(why, ApiError) and (why.status == 413 or (refusal(why) and why.status in (400, 409, 415, 422)))


def poll(seq: int, room: int, wait_ms: int, batch: list[tuple[str, str]]) -> bytes:
    head = f'{{"seq":{seq},"max":{room},"wait_ms":{wait_ms}' if room else '{"max":0,"wait_ms":0'
    if batch:
        head += ',"outcomes":[' + ",".join(outcome for _, outcome in batch) + "]"
    return (head + "}").encode()


def success(token: str, output: Any, ctx: Context) -> str:
    try:
        text = f'{{"token":{json.dumps(token)},"status":"completed","output":{json.dumps(output, allow_nan=False)}'
        if "objects" in ctx.__dict__:
            changed = ctx.objects.changed()
            if changed:
                text += f',"objects":{json.dumps(changed, allow_nan=False)}'
    except MemoryError:
        raise
    except Exception as why:  # values of other types may raise what they like when they are looked at
        raise NonRetryableError(f"what the handler returned or set is not JSON: {said(why)}", code="output_invalid") from why
    if len(text) > _MAX_OUTCOME:
        raise NonRetryableError(
            f"the handler's output and object state are {len(text)} bytes, no daemon takes more than {_MAX_OUTCOME}",
            code="outcome_too_large",
        )
    return text + "}"
