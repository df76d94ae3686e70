"""Start, watch and steer runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Any, TypeVar

from ._aio import AsyncConnections
from ._call import Item, Line, Pause, Request, Steps, new_id
from ._calls import Calls
from ._http import AccessToken, Connections
from ._nodes import Addresses
from .errors import Agnt5Error

__all__ = ["Client", "SyncClient", "new_id"]

T = TypeVar("T")


class SyncClient(Calls):
    """A client for scripts. Thread-safe.

    ``url`` is the daemon's address (default: AGNT5_URL, else http://localhost:8080), ``api_key`` is an access token,
    ``token_file`` a file that holds one and is read again when it changes (default: AGNT5_API_KEY), ``timeout`` bounds one request and ``patience`` how long a call is sent again while the daemon does
    not answer or is busy, both in seconds. Every call is safe to send again: starts and signals carry an id.

    Errors: ApiError and its kinds NotFound, Conflict, Unauthorized, with the daemon's stable ``code``, and UnknownAnswer;
    Unreachable. An id or name that is empty, "." or ".." is a ValueError before anything is sent.
    """

    _awaits = False
    _many_waits = float("inf")  # each has a thread anyway

    def __init__(self, url: str | None = None, *, api_key: str | None = None, token_file: str | os.PathLike[str] | None = None, timeout: float = 30.0, patience: float = 10.0) -> None:
        nodes = Addresses(url)
        self.url = nodes.shown
        self._patience = patience
        self._timeout = timeout
        self._pool = Connections(nodes, AccessToken(api_key, token_file), timeout)

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _run(self, steps: Steps[T]) -> T:
        try:
            wanted = next(steps)
            while True:
                got: Any = None
                try:
                    if isinstance(wanted, Request):
                        method, path, body, headers, wait, _ = wanted
                        got = self._pool.call(method, path, body, headers, self._timeout + wait)[1]
                    elif isinstance(wanted, Pause):
                        time.sleep(wanted.seconds)
                except Agnt5Error as why:
                    wanted = steps.throw(why)
                else:
                    wanted = steps.send(got)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            steps.close()

    def _follow(self, steps: Steps[None]) -> Generator[dict[str, Any], None, None]:
        conn = self._pool.stream()
        try:
            wanted = next(steps)
            while True:
                got: Any = None
                try:
                    if isinstance(wanted, Request):
                        got = conn.open_stream(wanted.path, wanted.headers or {}, wanted.wait)
                    elif isinstance(wanted, Line):
                        got = conn.line()
                    elif isinstance(wanted, Pause):
                        time.sleep(wanted.seconds)
                except Agnt5Error as why:
                    wanted = steps.throw(why)
                    continue
                if isinstance(wanted, Item):
                    yield wanted.value
                wanted = steps.send(got)
        except StopIteration:
            return
        finally:
            steps.close()
            conn.close()


class Client(Calls):
    """The same client for asyncio: each method of SyncClient, to be awaited. It uses no threads; a call that is cancelled ends at once."""

    _awaits = True
    _many_waits = 100

    def __init__(self, url: str | None = None, *, api_key: str | None = None, token_file: str | os.PathLike[str] | None = None, timeout: float = 30.0, patience: float = 10.0) -> None:
        nodes = Addresses(url)
        self.url = nodes.shown
        self._patience = patience
        self._timeout = timeout
        self._pool = AsyncConnections(nodes, AccessToken(api_key, token_file), timeout)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        self._pool.close()
        await asyncio.sleep(0)  # the loop closes them

    async def _run(self, steps: Steps[T]) -> T:
        try:
            wanted = next(steps)
            while True:
                got: Any = None
                try:
                    if isinstance(wanted, Request):
                        method, path, body, headers, wait, _ = wanted
                        got = (await self._pool.call(method, path, body, headers, self._timeout + wait))[1]
                    elif isinstance(wanted, Pause):
                        await asyncio.sleep(wanted.seconds)
                except Agnt5Error as why:
                    wanted = steps.throw(why)
                else:
                    wanted = steps.send(got)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            steps.close()

    async def _follow(self, steps: Steps[None]) -> AsyncGenerator[dict[str, Any], None]:
        conn = self._pool.stream()
        try:
            wanted = next(steps)
            while True:
                got: Any = None
                try:
                    if isinstance(wanted, Request):
                        got = await conn.open_stream(wanted.path, wanted.headers or {}, wanted.wait)
                    elif isinstance(wanted, Line):
                        got = await conn.line()
                    elif isinstance(wanted, Pause):
                        await asyncio.sleep(wanted.seconds)
                except Agnt5Error as why:
                    wanted = steps.throw(why)
                    continue
                if isinstance(wanted, Item):
                    yield wanted.value
                wanted = steps.send(got)
        except StopIteration:
            return
        finally:
            steps.close()
            conn.close()
