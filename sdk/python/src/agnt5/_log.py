"""What a handler writes to its log, until the daemon has it."""

from __future__ import annotations

import datetime
import json
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

MAX_LOG = 64 << 10
"""Bytes that are kept of what one attempt writes: the last ones."""

_LINES = logging.Formatter("%(levelname)s %(message)s")


class AttemptLog:
    """Holds what an attempt wrote and the daemon does not have yet. Thread-safe."""

    def __init__(self, written: Callable[[], None]) -> None:
        self._written = written
        self._lock = threading.Lock()
        self._at = 0  # bytes that were written before the text
        self._text = bytearray()

    def write(self, line: str) -> None:
        """Add a line, which gets its time in front."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            self._text += f"{now} {line}\n".encode(errors="backslashreplace")
            over = len(self._text) - MAX_LOG
            if over > 0:
                self._drop(over + _partial(self._text[over:]))
        self._written()

    def _drop(self, n: int) -> None:
        self._at += n
        del self._text[:n]

    def part(self) -> tuple[int, str] | None:
        """What was not taken over, and how many bytes came before. The same comes again, with what follows, until taken()."""
        with self._lock:
            return (self._at, self._text.decode()) if self._text else None

    def taken(self, end: int) -> bool:
        """The daemon has the bytes up to ``end``. True: there are more."""
        with self._lock:
            self._drop(min(max(end - self._at, 0), len(self._text)))
            return bool(self._text)


def _partial(text: bytearray) -> int:
    """How much of a text that was cut in front is the rest of a line, or of a letter when there is only one line."""
    end = text.find(b"\n") + 1
    if 0 < end < len(text):
        return end
    n = 0
    while n < len(text) and text[n] & 0xC0 == 0x80:
        n += 1
    return n


def as_json(part: tuple[int, str]) -> str:
    """A part as a field of a heartbeat or an outcome."""
    return f',"log":{{"at":{part[0]},"text":{json.dumps(part[1])}}}'


class AttemptLogger(logging.LoggerAdapter[logging.Logger]):
    """Says with each line which run, step and attempt it is about, and keeps the line with the run, whatever the level of the logger."""

    def __init__(self, logger: logging.Logger, about: dict[str, Any], log: AttemptLog | None) -> None:
        super().__init__(logger, about)
        self._log_of = log

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        about = self.extra or {}
        return f"[{about['workflow_id']} {about['step']} #{about['attempt']}] {msg}", kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if self._log_of is not None:
            try:
                self._log_of.write(_line(level, msg, args, kwargs.get("exc_info")))
            except Exception:  # of a message that does not fit its arguments; the logger says so
                pass
        super().log(level, msg, *args, **kwargs | {"stacklevel": kwargs.get("stacklevel", 1) + 1})


def _line(level: int, msg: object, args: tuple[object, ...], exc_info: Any) -> str:
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif exc_info and not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    return _LINES.format(logging.LogRecord("", level, "", 0, msg, args, exc_info or None))
