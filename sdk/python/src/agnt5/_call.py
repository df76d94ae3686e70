"""What a call of the client is made of. SyncClient and Client only differ in how they send what a call asks for.

A call is a generator: it yields what it wants done (a Request, a Pause, of an event stream the next Line) and gets the answer, or the
error, at that place.
"""

from __future__ import annotations

import datetime
import functools
import json
import random
import secrets
import time
import types
import urllib.parse
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar, overload

from .errors import ApiError, UnknownAnswer, Unreachable

if TYPE_CHECKING:
    from .client import Client, SyncClient

P = ParamSpec("P")
T = TypeVar("T")

BUSY = (502, 503, 504)  # of the daemon, and of a proxy before it
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Request(NamedTuple):
    """Send this and give the JSON of the answer; of a stream, give nothing: its lines are asked for one by one."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] | None = None
    wait: float = 0.0
    """Seconds that the daemon may take before it answers."""
    stream: bool = False


class Pause(NamedTuple):
    """Wait so many seconds."""

    seconds: float


class Line(NamedTuple):
    """Give the next line of the stream, b"" at its end."""


class Item(NamedTuple):
    """Hand this to whoever reads the stream."""

    value: Any


Wanted = Request | Pause | Line | Item
Steps = Generator[Wanted, Any, T]


class call(Generic[P, T]):
    """A method that is written as a generator: in SyncClient it is a plain one, in Client it is to be awaited."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        @functools.wraps(steps)
        def plain(client: SyncClient, *args: P.args, **kwargs: P.kwargs) -> T:
            return client._run(steps(client, *args, **kwargs))

        @functools.wraps(steps)
        async def awaited(client: Client, *args: P.args, **kwargs: P.kwargs) -> T:
            return await client._run(steps(client, *args, **kwargs))

        self._plain, self._awaited = plain, awaited

    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, client: SyncClient, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type[Caller]) -> Any:
        fn = self._awaited if owner._awaits else self._plain
        return fn if client is None else types.MethodType(fn, client)


class stream(Generic[P]):
    """The same for what is read with ``for``, or ``async for``."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[None]]) -> None:
        @functools.wraps(steps)
        def plain(client: SyncClient, *args: P.args, **kwargs: P.kwargs) -> Generator[dict[str, Any], None, None]:
            return client._follow(steps(client, *args, **kwargs))

        @functools.wraps(steps)
        def awaited(client: Client, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[dict[str, Any], None]:
            return client._follow(steps(client, *args, **kwargs))

        self._plain, self._awaited = plain, awaited

    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, client: SyncClient, owner: type) -> Callable[P, Generator[dict[str, Any], None, None]]: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, AsyncGenerator[dict[str, Any], None]]: ...
    def __get__(self, client: Any, owner: type[Caller]) -> Any:
        fn = self._awaited if owner._awaits else self._plain
        return fn if client is None else types.MethodType(fn, client)


def new_id() -> str:
    """An id for a run or a signal: a ULID, ascending in time."""
    value = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def instant(what: str, value: Any) -> str:
    """A time as the daemon reads it."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise ValueError(f"{what}: {value} has no time zone; datetime.now(timezone.utc) has")
        return value.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return filled(what, value)


def filled(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what}: want a text, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{what} is empty: give it a value, or leave it out")
    return value


Instant = datetime.datetime | str | None


def with_query(path: str, query: Mapping[str, str | bool | list[str]]) -> str:
    texts = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
    return path + "?" + urllib.parse.urlencode(texts, doseq=True) if texts else path


def object_of(got: Any, *keys: str) -> dict[str, Any]:
    """The answer as an object that has these keys. Raises UnknownAnswer."""
    if not isinstance(got, dict) or any(key not in got for key in keys):
        raise UnknownAnswer(200, "unknown_answer", "the answer is not agnt5d's: is that the daemon's address?")
    return got


def items_of(got: Any, key: str) -> list[dict[str, Any]]:
    items = object_of(got, key)[key]
    if not isinstance(items, list):
        raise UnknownAnswer(200, "unknown_answer", "the answer is not agnt5d's: is that the daemon's address?")
    return items


class Caller:
    """What all calls need of a client."""

    _awaits: bool
    _patience: float

    def _ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, headers: dict[str, str] | None = None, wait: float = 0.0
    ) -> Steps[Any]:
        """One request, sent again while the daemon does not answer or is busy."""
        if body is not None:
            raw = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        until = time.monotonic() + self._patience
        pause = 0.05
        while True:
            try:
                return (yield Request(method, path, raw, headers, wait))
            except (Unreachable, ApiError) as why:
                if (isinstance(why, ApiError) and why.status not in BUSY) or time.monotonic() + pause > until:
                    raise
            yield Pause(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 2.0)

    def _pages(self, path: str, query: dict[str, Any], key: str, limit: int) -> Steps[list[dict[str, Any]]]:
        out: list[dict[str, Any]] = []
        while True:
            query["limit"] = str(min(1000, limit - len(out)) if limit else 1000)
            page = yield from self._ask("GET", with_query(path, query))
            out.extend(items_of(page, key))
            cursor = page.get("next_cursor")
            if not cursor or (limit and len(out) >= limit):
                return out
            query["cursor"] = cursor
