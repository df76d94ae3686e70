"""The addresses of a daemon, which may have several nodes: one of them has the journal, and the others wait for it."""

from __future__ import annotations

import os
import sys
import threading
import urllib.parse

from ._environ import setting
from .errors import Agnt5Error, ApiError, Unreachable

DEFAULT_URL = "http://localhost:8080"


def default_address() -> str:
    """Where the default address leads. agnt5.testing puts a daemon of its own there."""
    return DEFAULT_URL


def _read(text: str) -> urllib.parse.SplitResult:
    if text == DEFAULT_URL:
        text = default_address()
    if text.startswith("unix:"):
        socket_path = text.removeprefix("unix:").removeprefix("//")
        if not socket_path:
            raise ValueError('daemon address "unix:": want unix: and the path of its socket')
        size, most = len(os.fsencode(socket_path)), 107 if sys.platform == "linux" else 103
        if size > most:
            raise ValueError(f"daemon address {text!r}: the path of a unix socket has at most {most} bytes here, and this one has {size}; choose a shorter one")
        return urllib.parse.SplitResult("unix", "localhost", socket_path, "", "")
    if "://" not in text:
        text = "http://" + text
    parts = urllib.parse.urlsplit(text)  # which drops line breaks
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("the daemon's address has a password, a query or a fragment, which is not repeated here: an access token goes into AGNT5_API_KEY or a file")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise ValueError(f"daemon address {text!r}: want one like {DEFAULT_URL}")
    if parts.path.rstrip("/").endswith("/v1"):
        raise ValueError(f"daemon address {text!r}: leave out /v1")
    return parts


def socket_of(base: urllib.parse.SplitResult) -> str | None:
    """The path of the unix socket that an address leads to."""
    return base.path if base.scheme == "unix" else None


def prefix_of(base: urllib.parse.SplitResult) -> str:
    """What stands before the path of every request."""
    return "" if base.scheme == "unix" else base.path.rstrip("/")


def shown(base: urllib.parse.SplitResult) -> str:
    """The address as people know it."""
    return "unix:" + base.path if base.scheme == "unix" else base.geturl()


class Addresses:
    """The addresses of all nodes, of which one is asked first. For all threads.

    ``url`` has them between commas; None is AGNT5_URL, else DEFAULT_URL. Raises ValueError.
    """

    def __init__(self, url: str | None) -> None:
        text = url or setting("URL") or DEFAULT_URL
        pieces = [piece.strip() for piece in text.split(",")]
        self._all = [_read(piece) for piece in pieces if piece] or [_read(text)]
        self._at = 0
        self._lock = threading.Lock()

    @property
    def current(self) -> urllib.parse.SplitResult:
        """The node to ask."""
        return self._all[self._at]

    @property
    def shown(self) -> str:
        """All of them, as people know them."""
        return ",".join(shown(node) for node in self._all)

    def failed(self, node: urllib.parse.SplitResult, why: Agnt5Error) -> bool:
        """Go on to the next node after a failure, if that one may have the answer. Whether there is another one."""
        if len(self._all) == 1 or not (isinstance(why, Unreachable) or (isinstance(why, ApiError) and why.code in ("standby", "shutting_down"))):
            return False
        with self._lock:
            if self._all[self._at] is node:  # else somebody has gone on already
                self._at = (self._at + 1) % len(self._all)
        return True
