"""Threads for sync handlers."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

_log = logging.getLogger("agnt5.worker")


class Threads:
    """Threads for sync handlers: as many as are busy at once, at most a limit. A queue that costs little is the point."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._made = 0

    def submit(self, call: Callable[[], None]) -> None:
        """Run it in a thread. Raises RuntimeError when there is no thread at all, and the system gives none."""
        with self._lock:
            more = self._idle <= self._queue.qsize() and self._made < self._limit
            self._made += more
        if more:
            try:
                threading.Thread(target=self._body, name="agnt5-handler", daemon=True).start()
            except RuntimeError:
                with self._lock:
                    self._made -= 1
                    if not self._made:
                        raise
        self._queue.put(call)

    def _body(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                call = self._queue.get()
            finally:
                with self._lock:
                    self._idle -= 1
            if call is None:
                return
            try:
                call()
            except BaseException:  # something was thrown into this thread from outside, between two attempts
                _log.exception("a thread of handlers goes on after")

    def close(self) -> None:
        for _ in range(self._made):
            self._queue.put(None)
