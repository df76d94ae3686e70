"""A server between client and daemon: what a newer daemon, a proxy or something else altogether would answer."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


class Between:
    """Forwards to the daemon and lets ``change`` have each answer; without a daemon ``change`` answers by itself."""

    def __init__(self, daemon_url: str | None, change: Callable[[str, str, Answer | None], Answer]) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append(f"{self.command} {self.path}")
                got: Answer | None = None
                if daemon_url is not None:
                    conn = http.client.HTTPConnection(urllib.parse.urlsplit(daemon_url).netloc, timeout=60)
                    head = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "content-length")}
                    conn.request(self.command, self.path, body or None, head)
                    answer = conn.getresponse()
                    got = (answer.status, {"Content-Type": answer.getheader("Content-Type") or ""}, answer.read())
                    conn.close()
                status, head, raw = change(self.command, self.path, got)
                self.send_response(status)
                for key, value in head.items():
                    if value:
                        self.send_header(key, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *args: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *args: Any) -> None:  # a client that has gone
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Between:
        return self

    def __exit__(self, *args: object) -> None:
        self.server.shutdown()
        self.server.server_close()


PAYLOADS = {"input", "output", "input_data", "workflow_input", "state", "dependencies", "payload", "data", "definition", "details"}


def newer(value: Any) -> Any:
    """The answer of a newer daemon: every object has fields that nobody here knows."""
    if isinstance(value, dict):
        out = {key: item if key in PAYLOADS or key in ("steps", "objects") else newer(item) for key, item in value.items()}
        for key in ("steps", "objects"):  # objects by name
            if isinstance(out.get(key), dict):
                out[key] = {name: newer(item) for name, item in out[key].items()}
        return {"server_time": 1, "zz_new": {"a": [1, {"b": None}]}, **out}
    if isinstance(value, list):
        return [newer(item) for item in value]
    return value


def as_newer(method: str, path: str, got: Answer | None) -> Answer:
    assert got is not None
    status, head, raw = got
    return status, head, json.dumps(newer(json.loads(raw))).encode() if raw and "json" in head["Content-Type"] else raw
