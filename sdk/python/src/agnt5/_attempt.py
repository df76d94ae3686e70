"""Attempts in a worker's hands, and the watch over those that do not return."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from .functions import Context

_log = logging.getLogger("agnt5.worker")

_SAY_AGAIN = 60.0  # seconds


def about(ctx: Context) -> str:
    return f"run {ctx.workflow_id}, step {ctx.step_name}, attempt {ctx.attempt}"


def some(texts: list[str]) -> str:
    """The first ten."""
    return ", ".join(texts[:10]) + (f" and {len(texts) - 10} more" if len(texts) > 10 else "")


class Attempt:
    """One attempt in this worker's hands, until the daemon has answered for its outcome."""

    __slots__ = ("ctx", "details", "future", "over_since", "returned", "spoke")

    def __init__(self, ctx: Context | None) -> None:
        self.ctx = ctx  # None: the task could not be read
        self.spoke = False
        self.details = ""  # JSON
        self.future: asyncio.Future[Any] | None = None  # of an async handler
        self.over_since = 0.0  # when nobody waited for it any more
        self.returned = False

    def __str__(self) -> str:
        ctx = self.ctx
        return "a task that could not be read" if ctx is None else f"{ctx.handler_name} ({about(ctx)})"

    def end(self) -> None:
        """Cancel an async handler; on the loop."""
        if self.future is not None:
            self.future.cancel()


class Watch:
    """Looks for handlers that do not return although nobody waits for them, and for those that hold the event loop."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._told: set[int] = set()
        self._again = 0.0
        self._asked = 0.0  # when the loop was asked for a sign of life; 0: it gave one
        self._held = False

    def look(self, under_way: list[Attempt], patience: float, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        over = [attempt for attempt in under_way if attempt.over_since and now - attempt.over_since >= patience]
        told = {id(attempt) for attempt in over}
        if over and (not told <= self._told or now >= self._again):
            self._again = now + _SAY_AGAIN
            _log.warning(
                "%d of %d %s are still in handlers whose attempts are over: %s. A handler that is not async cannot be stopped: give what it "
                "waits for a time limit, or look at ctx.is_cancelled.%s",
                len(over),
                self._capacity,
                "places" if any(attempt.future for attempt in over) else "threads",
                some([f"{attempt}, over for {now - attempt.over_since:.0f} s" for attempt in over]),
                " Nothing more is taken until one returns." if len(over) >= self._capacity else "",
            )
        self._told = told
        if self._asked and now - self._asked >= patience and not self._held:
            self._held = True
            _log.warning(
                "the event loop has been held for %.0f s, and no async handler goes on; under way: %s. An async handler must not block: await, use "
                "asyncio.to_thread, or make it a plain function.",
                now - self._asked,
                some([str(attempt) for attempt in under_way if attempt.future]) or "none",
            )
        elif not self._asked:
            self._asked, self._held = now, False
            try:
                loop.call_soon_threadsafe(self._alive)
            except RuntimeError:  # the loop has ended
                pass

    def _alive(self) -> None:
        self._asked = 0.0
