"""One daemon over HTTP: connections that are kept, and answers as Python values."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from . import _json
from ._environ import setting
from ._nodes import Addresses, prefix_of, shown, socket_of
from .errors import Agnt5Error, ApiError, UnknownAnswer, Unreachable, api_error

_UNKNOWN_AUTHORITY = (18, 19, 20, 21)  # OpenSSL's numbers: self-signed, or an issuer that is not there
_TOKEN_EVERY = 1.0  # seconds; how often a token's file is looked at


class AccessToken:
    """The access token that is sent: given, in a file, else that of AGNT5_API_KEY. A file is read again when it may have changed.

    Raises ValueError, and OSError of the file.
    """

    def __init__(self, key: str | None, token_file: str | os.PathLike[str] | None = None) -> None:
        if key and token_file is not None:
            raise ValueError("api_key and token_file: give one of them")
        self._file = token_file
        self._lock = threading.Lock()
        self._text = (key or setting("API_KEY") or None) if token_file is None else _read_token(token_file)
        if self._text:
            _check_token(self._text)
        self._read = time.monotonic()

    def text(self) -> str | None:
        """What is sent now; None: nothing."""
        with self._lock:
            if self._file is not None and time.monotonic() - self._read > _TOKEN_EVERY:
                self._look(self._file)
            return self._text

    def renewed(self, refused: str | None) -> bool:
        """Whether there is another token by now than one that was refused."""
        with self._lock:
            if self._file is not None and self._text == refused:
                self._look(self._file)
            return self._text != refused

    def _look(self, file: str | os.PathLike[str]) -> None:
        self._read = time.monotonic()
        try:
            self._text = _read_token(file)
        except (OSError, ValueError):  # it is being replaced; the token of before may still be good
            pass


def _read_token(file: str | os.PathLike[str]) -> str:
    if os.fspath(file).startswith("agt_"):
        raise ValueError("token_file: what was given is a token and not the name of a file, so it is not repeated here; it goes into api_key")
    with open(file, encoding="utf-8", errors="replace") as opened:
        text = opened.read().strip()
    if not text:
        raise ValueError(f"token_file: {os.fspath(file)} is empty")
    _check_token(text)
    return text


def _check_token(text: str) -> None:
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("api_key: want printable ASCII, without spaces and line breaks")  # which must not stand in the error


def tls_context() -> ssl.SSLContext:
    """What the environment says about https.

    AGNT5_CA_FILE has authorities besides the machine's own, AGNT5_CERT_FILE and AGNT5_KEY_FILE the certificate that a daemon with
    --tls-client-ca asks for.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca := setting("CA_FILE"):
        context.load_verify_locations(ca)
    if cert := setting("CERT_FILE"):
        context.load_cert_chain(cert, setting("KEY_FILE"))
    return context


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except BaseException:
            self.sock.close()
            raise


def given(what: str, value: str) -> str:
    """An id or a name that is put into a request. Raises TypeError when it is no text, ValueError when it can name nothing."""
    if not isinstance(value, str):
        raise TypeError(f"{what}: want a text, not {type(value).__name__}")
    if value in ("", ".", ".."):
        raise ValueError(f"{what} is {value!r}, which names nothing")
    return value


def segment(what: str, value: str) -> str:
    """One part of a path, percent-encoded. Raises as given() does."""
    return urllib.parse.quote(given(what, value), safe="")


def read_answer(url: str, status: int, location: str, raw: bytes, read: Callable[[bytes], Any] = _json.read) -> Any:
    """The JSON of an answer, None when it has none. Raises ApiError for a status that is not 2xx or 304."""
    try:
        value = read(raw) if raw else None
    except ValueError as why:
        if 200 <= status < 300:
            raise UnknownAnswer(status, "unknown_answer", f"what {url} answered cannot be read: {why}") from None
        if b"HTTPS server" in raw:
            raise UnknownAnswer(status, "not_http", f"{url}: the server speaks HTTPS, not HTTP; use https://") from None
        value = None
    if 200 <= status < 300 or status == 304:
        return value
    raise api_error(status, value, url, location)


def request_head(key: str | None, body: bytes | None, headers: dict[str, str] | None) -> dict[str, str]:
    """The headers that every request has, and those of this one."""
    head = {"Accept": "application/json"}
    if body is not None:
        head["Content-Type"] = "application/json"
    if key:
        head["Authorization"] = "Bearer " + key
    return head | (headers or {})


def unreachable(url: str, why: BaseException) -> Unreachable | UnknownAnswer:
    """The exception of a request that got no answer."""
    if isinstance(why, ssl.SSLError) and why.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return UnknownAnswer(0, "not_https", f"{url}: the server speaks HTTP, not HTTPS; use http://")
    advice = ""
    if isinstance(why, ssl.SSLCertVerificationError) and why.verify_code in _UNKNOWN_AUTHORITY:
        advice = "; AGNT5_CA_FILE names the file (PEM) of an authority that this machine does not know"
    elif isinstance(why, ssl.SSLError) and why.reason in ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE"):
        advice = "; the daemon wants a certificate that its --tls-client-ca signed: AGNT5_CERT_FILE and AGNT5_KEY_FILE name the files (PEM)"
    return Unreachable(f"no answer from the daemon at {url}: {why or type(why).__name__}{advice}")


class Connection:
    """One connection at a time; for one thread."""

    def __init__(self, nodes: Addresses, key: AccessToken, timeout: float) -> None:
        self._nodes = nodes
        self._base = nodes.current
        self._key = key
        self._timeout = timeout
        self._conn: http.client.HTTPConnection | None = None
        self._answer: http.client.HTTPResponse | None = None  # of a stream
        self._interrupted = False
        self.read: Callable[[bytes], Any] = _json.read

    @property
    def url(self) -> str:
        return shown(self._base)

    def _open(self) -> http.client.HTTPConnection:
        self._base = self._nodes.current
        if where := socket_of(self._base):
            return UnixConnection(where, self._timeout)
        host = self._base.hostname or ""
        if self._base.scheme == "https":
            return http.client.HTTPSConnection(host, self._base.port or 443, timeout=self._timeout, context=tls_context())
        return http.client.HTTPConnection(host, self._base.port or 80, timeout=self._timeout)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, timeout: float | None = None
    ) -> tuple[int, Any]:
        """Send a request; gives the status and the JSON answer, None when there is none. Redirects are not followed.

        A connection that was kept and is gone is opened anew once. Raises Unreachable, UnknownAnswer, and ApiError for every
        status that is not 2xx (304 apart). A request whose access token is refused is sent again when its file has another one. After
        a node that is away, or that waits for the journal, the next call asks another one.
        """
        try:
            return self._call(method, path, body, headers, timeout)
        except Agnt5Error as why:
            if self._nodes.failed(self._base, why):
                self.close()
            raise

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None, timeout: float | None) -> tuple[int, Any]:
        token = self._key.text()
        head = request_head(token, body, headers)
        fresh = self._conn is None
        while True:
            try:
                if self._conn is None:
                    self._conn = self._open()
                conn = self._conn
                if conn.sock is not None:
                    conn.sock.settimeout(timeout or self._timeout)
                else:
                    conn.timeout = timeout or self._timeout
                conn.request(method, prefix_of(self._base) + path, body, head)
                answer = conn.getresponse()
                raw = answer.read()
                if answer.status != 401 or not self._key.renewed(token):
                    break
                token = self._key.text()
                head = request_head(token, body, headers)
                if answer.will_close:
                    self.close()
            except (OSError, http.client.HTTPException) as why:
                self.close()
                if fresh or self._interrupted or isinstance(why, (TimeoutError, ssl.SSLError)):
                    raise unreachable(self.url, why) from why
                fresh = True  # the daemon had closed a connection that was kept: ask once more
        if answer.will_close:
            self.close()
        return answer.status, read_answer(self.url, answer.status, answer.getheader("Location") or "", raw, self.read)

    def open_stream(self, path: str, headers: dict[str, str], timeout: float) -> int:
        """Ask for a stream, whose lines are then read with line(). Raises as call() does."""
        token = self._key.text()
        try:
            while True:
                self.close()
                self._conn = conn = self._open()
                conn.timeout = timeout
                conn.request("GET", prefix_of(self._base) + path, None, request_head(token, None, headers))
                self._answer = answer = conn.getresponse()
                if answer.status != 401 or not self._key.renewed(token):
                    break
                token = self._key.text()
            if answer.status != 200:
                read_answer(self.url, answer.status, answer.getheader("Location") or "", answer.read())
            return answer.status
        except (OSError, http.client.HTTPException) as why:
            gone = unreachable(self.url, why)
            self._nodes.failed(self._base, gone)
            raise gone from why
        except ApiError as why:
            self._nodes.failed(self._base, why)
            raise

    def line(self) -> bytes:
        """The next line of a stream, b"" at its end."""
        assert self._answer is not None
        try:
            return self._answer.readline()
        except (OSError, http.client.HTTPException) as why:
            raise unreachable(self.url, why) from why

    def interrupt(self) -> None:
        """End a call that another thread waits in; the next error is not tried again."""
        self._interrupted = True
        conn = self._conn
        sock = conn.sock if conn is not None else None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        if self._conn is not None:
            self._conn.close()
            self._conn = None


class Connections:
    """Connections that threads share, each used by one at a time."""

    def __init__(self, nodes: Addresses, key: AccessToken, timeout: float) -> None:
        self._args = (nodes, key, timeout)
        self._lock = threading.Lock()
        self._idle: list[Connection] = []

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, timeout: float | None = None
    ) -> tuple[int, Any]:
        with self._lock:
            conn = self._idle.pop() if self._idle else Connection(*self._args)
        try:
            return conn.call(method, path, body, headers, timeout)
        finally:
            with self._lock:
                self._idle.append(conn)

    def stream(self) -> Connection:
        """A connection for a stream; who reads it closes it."""
        return Connection(*self._args)

    def close(self) -> None:
        with self._lock:
            for conn in self._idle:
                conn.close()
            self._idle.clear()
