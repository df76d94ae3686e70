"""What is said of an exception. Nothing here raises, whatever the exception does."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

from .errors import NonRetryableError, RetryAfter, milliseconds

# What is kept of each text, in bytes; the daemon cuts at the same sizes.
MAX_CODE = 128
MAX_TYPE = 256
MAX_MESSAGE = 16 << 10
MAX_STACK = 64 << 10
CUT = "...(cut)"
_FRAMES = 100  # of a stack, the innermost ones


def cut(text: str, limit: int) -> str:
    """The text's first ``limit`` bytes of UTF-8, the mark included."""
    raw = text[: limit + 1].encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - len(CUT)].decode("utf-8", "ignore") + CUT


def cut_front(text: str, limit: int) -> str:
    """The text's last ``limit`` bytes of UTF-8: of a stack the end counts."""
    raw = text[-limit - 1 :].encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode()
    return CUT + raw[len(CUT) - limit :].decode("utf-8", "ignore")


def _text(ask: Callable[[], Any], otherwise: str = "") -> str:
    """What a call gives if it is a text. The call may run code of others: it may raise anything."""
    try:
        got = ask()
        return str.__str__(got) if isinstance(got, str) else otherwise
    except BaseException:
        return otherwise


def said(why: BaseException) -> str:
    """The exception's own text, cut."""
    return cut(_text(lambda: str(why), "<no text>"), MAX_MESSAGE)


def kind_of(why: BaseException) -> str:
    """The exception's type, with its module."""
    kind = type(why)
    name = _text(lambda: kind.__qualname__, "Exception")
    module = _text(lambda: kind.__module__)
    return cut(name if module in ("", "builtins") else f"{module}.{name}", MAX_TYPE)


def message_of(why: BaseException) -> str:
    """Type and text in one line, as the last line of a traceback has them; of our own kinds the text alone."""
    text = said(why)
    if type(why) in (NonRetryableError, RetryAfter) and text:
        return text
    name = kind_of(why).rpartition(".")[2]
    return cut(f"{name}: {text}" if text else name, MAX_MESSAGE)


def stack_of(why: BaseException) -> str:
    """The traceback, its innermost frames."""
    full = _text(lambda: "".join(traceback.format_exception(type(why), why, why.__traceback__, limit=-_FRAMES)))
    if full and len(full) < MAX_STACK:
        return cut_front(full, MAX_STACK)
    # Something in the chain cannot be shown, or its texts are so long that the frames would be cut.
    frames = _text(lambda: "".join(traceback.format_tb(why.__traceback__, limit=-_FRAMES)))
    frames = cut_front(frames, MAX_STACK - MAX_MESSAGE - 100)
    return f"Traceback (most recent call last):\n{frames}{message_of(why)}\n"


def error_of(why: BaseException) -> dict[str, Any]:
    """The ``error`` of an outcome."""
    try:
        return _error_of(why)
    except BaseException:  # no memory left, say
        return {"code": "handler_error", "type": "", "message": "the handler failed", "stack": ""}


def _error_of(why: BaseException) -> dict[str, Any]:
    code = "" if isinstance(why, SystemExit) else _text(lambda: getattr(why, "code", ""))  # that one's is a process's
    error: dict[str, Any] = {
        "message": message_of(why),
        "type": kind_of(why),
        "stack": stack_of(why),
        "code": cut(code, MAX_CODE) or ("not_retryable" if isinstance(why, NonRetryableError) else "handler_error"),
    }
    if isinstance(why, NonRetryableError):
        error["retryable"] = False
    if isinstance(why, RetryAfter):
        try:
            error["retry_after_ms"] = milliseconds(why.seconds)
        except BaseException:  # it was changed after it was made: the attempt fails as any other
            pass
    return error


def outcome_of(token: str, error: dict[str, Any]) -> str:
    """The outcome of an attempt that failed, as JSON."""
    return json.dumps({"token": token, "status": "failed", "error": error})


def one_line(text: str) -> str:
    """A text for the log: what breaks a line or cannot be seen is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut(text, 1000))
