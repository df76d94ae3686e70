"""One daemon over HTTP, for asyncio: no threads, and a call that is cancelled gives everything back at once."""

from __future__ import annotations

import asyncio
import http.client
import io
import ssl
from typing import Any

from ._http import AccessToken, read_answer, request_head, tls_context, unreachable
from ._nodes import Addresses, prefix_of, shown, socket_of
from .errors import Agnt5Error, ApiError

_MAX_HEAD = 64 << 10
_MAX_LINE = 64 << 20  # of an event stream: an event with its payloads
_IDLE = 64  # connections that are kept

_BROKEN = (OSError, EOFError, http.client.HTTPException, asyncio.LimitOverrunError)


class AsyncConnection:
    """One connection at a time, on one event loop."""

    def __init__(self, nodes: Addresses, key: AccessToken, timeout: float) -> None:
        self._nodes = nodes
        self._base = nodes.current
        self._key = key
        self._timeout = timeout
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._left = -1  # bytes of the stream's chunk that are not read yet; -1: it has no chunks
        self._rest = b""

    @property
    def url(self) -> str:
        return shown(self._base)

    async def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, timeout: float | None = None
    ) -> tuple[int, Any]:
        """As Connection.call."""
        try:
            return await self._call(method, path, body, headers, timeout)
        except Agnt5Error as why:
            if self._nodes.failed(self._base, why):
                self.close()
            raise

    async def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None, timeout: float | None) -> tuple[int, Any]:
        fresh = self._writer is None
        while True:
            token = self._key.text()
            try:
                async with asyncio.timeout(timeout or self._timeout):
                    head = await self._send(method, path, body, headers, token)
                    raw = await self._body(head)
                if head.status != 401 or not self._key.renewed(token):
                    break
                if head.closes:
                    self.close()
            except TimeoutError as why:
                self.close()
                raise unreachable(self.url, why) from why
            except _BROKEN as why:
                self.close()
                if fresh or isinstance(why, ssl.SSLError):
                    raise unreachable(self.url, why) from why
                fresh = True  # the daemon had closed a connection that was kept: ask once more
            except BaseException:  # cancelled: what is under way on it belongs to nobody
                self.close()
                raise
        if head.closes:
            self.close()
        return head.status, read_answer(self.url, head.status, head.headers.get("Location", ""), raw)

    async def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None, token: str | None) -> _Head:
        if self._writer is None:
            self._base = self._nodes.current
            if where := socket_of(self._base):
                self._reader, self._writer = await asyncio.open_unix_connection(where, limit=_MAX_LINE)
            else:
                secure = tls_context() if self._base.scheme == "https" else None
                port = self._base.port or (443 if secure else 80)
                self._reader, self._writer = await asyncio.open_connection(self._base.hostname, port, ssl=secure, limit=_MAX_LINE)
        assert self._reader is not None
        head = request_head(token, body, headers) | {"Host": self._base.netloc.rpartition("@")[2]}
        if body is not None or method in ("POST", "PUT"):
            head["Content-Length"] = str(len(body or b""))
        text = f"{method} {prefix_of(self._base)}{path} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in head.items()) + "\r\n"
        self._writer.write(text.encode("latin-1") + (body or b""))
        await self._writer.drain()
        while True:
            got = _Head(method, await self._reader.readuntil(b"\r\n\r\n"))
            if got.status >= 200:
                return got

    async def _body(self, head: _Head) -> bytes:
        assert self._reader is not None
        if head.empty:
            return b""
        if head.chunked:
            out = []
            while size := _size(await self._reader.readuntil(b"\r\n")):
                out.append(await self._reader.readexactly(size))
                await self._reader.readexactly(2)
            while await self._reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return b"".join(out)
        if head.length is not None:
            return await self._reader.readexactly(head.length)
        return await self._reader.read()

    async def open_stream(self, path: str, headers: dict[str, str], timeout: float) -> int:
        """As Connection.open_stream."""
        self._stream_timeout = timeout
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self.close()
                    token = self._key.text()
                    head = await self._send("GET", path, None, headers, token)
                    if head.status != 401 or not self._key.renewed(token):
                        break
                if head.status != 200:
                    read_answer(self.url, head.status, head.headers.get("Location", ""), await self._body(head))
        except _BROKEN as why:
            gone = unreachable(self.url, why)
            self._nodes.failed(self._base, gone)
            raise gone from why
        except ApiError as why:
            self._nodes.failed(self._base, why)
            raise
        self._left, self._rest = (0 if head.chunked else -1), b""
        return head.status

    async def line(self) -> bytes:
        """As Connection.line."""
        try:
            async with asyncio.timeout(self._stream_timeout):
                while b"\n" not in self._rest:
                    more = await self._more()
                    if not more:
                        out, self._rest = self._rest, b""
                        return out
                    self._rest += more
        except _BROKEN as why:
            raise unreachable(self.url, why) from why
        out, _, self._rest = self._rest.partition(b"\n")
        return out + b"\n"

    async def _more(self) -> bytes:
        """Some bytes of the stream, b"" at its end."""
        assert self._reader is not None
        if self._left < 0:
            return await self._reader.read(1 << 16)
        if self._left == 0:
            self._left = _size(await self._reader.readuntil(b"\r\n"))
            if self._left == 0:
                return b""
        got = await self._reader.read(min(self._left, 1 << 16))
        if not got:
            raise EOFError("the stream broke off")
        self._left -= len(got)
        if self._left == 0:
            await self._reader.readexactly(2)
        return got

    def close(self) -> None:
        """Give the socket back; nothing is waited for."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._reader = self._writer = None


class _Head:
    """Status line and headers of an answer."""

    def __init__(self, method: str, raw: bytes) -> None:
        if len(raw) > _MAX_HEAD:
            raise http.client.HTTPException("the answer's headers are too long")
        first, _, rest = raw.partition(b"\r\n")
        parts = first.split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
            raise http.client.BadStatusLine(repr(first[:100]))
        self.status = int(parts[1])
        self.headers = http.client.parse_headers(io.BytesIO(rest))
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        length = self.headers.get("Content-Length", "")
        self.length = int(length) if length.isdigit() else None
        self.empty = self.status in (204, 304) or method == "HEAD"
        bounded = self.empty or self.chunked or self.length is not None
        self.closes = not bounded or parts[0] == b"HTTP/1.0" or self.headers.get("Connection", "").lower() == "close"


def _size(line: bytes) -> int:
    """Of a chunk."""
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise http.client.HTTPException("the answer's chunks cannot be read") from None


class AsyncConnections:
    """Connections that tasks share, each used by one at a time. They belong to the loop that runs when they are made."""

    def __init__(self, nodes: Addresses, key: AccessToken, timeout: float) -> None:
        self._args = (nodes, key, timeout)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[AsyncConnection] = []

    async def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, timeout: float | None = None
    ) -> tuple[int, Any]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a client that outlived its loop
            self._loop, self._idle = loop, []
        conn = self._idle.pop() if self._idle else AsyncConnection(*self._args)
        try:
            return await conn.call(method, path, body, headers, timeout)
        finally:
            if loop is self._loop and len(self._idle) < _IDLE:
                self._idle.append(conn)
            else:
                conn.close()

    def stream(self) -> AsyncConnection:
        """A connection for a stream; who reads it closes it."""
        return AsyncConnection(*self._args)

    def close(self) -> None:
        for conn in self._idle:
            conn.close()
        self._idle.clear()
