"""A daemon with several nodes: whoever waits for the journal is passed over, and so is whoever is away."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agnt5 import ApiError, Client, SyncClient, Unreachable


class Node(http.server.ThreadingHTTPServer):
    """A node that answers as it is told to."""

    def __init__(self, active: bool) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.active = active
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        node: Any = self.server
        node.asked += 1
        body = json.dumps({"workers": []} if node.active else {"code": "standby", "title": "waits", "detail": "the node a has the journal", "status": 503, "type": "/errors/standby"})
        self.send_response(200 if node.active else 503)
        self.send_header("Content-Type", "application/json" if node.active else "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    all_of_them = [Node(False), Node(True)]
    for node in all_of_them:
        threading.Thread(target=node.serve_forever, daemon=True).start()
    yield all_of_them
    for node in all_of_them:
        node.shutdown()
        node.server_close()


def test_the_active_node_is_found_and_kept(nodes: list[Node]) -> None:
    with SyncClient(f"http://127.0.0.1:1, {nodes[0].url},{nodes[1].url}") as c:
        assert c.list_workers() == []
        assert c.list_workers() == []
        assert (nodes[0].asked, nodes[1].asked) == (1, 2)
        nodes[0].active, nodes[1].active = True, False
        assert c.list_workers() == []
        assert nodes[0].asked == 2


async def test_the_same_without_threads(nodes: list[Node]) -> None:
    async with Client(f"http://127.0.0.1:1,{nodes[0].url},{nodes[1].url}") as c:
        assert await c.list_workers() == []
        nodes[0].active, nodes[1].active = True, False
        assert await c.list_workers() == []


def test_when_no_node_is_active_the_last_answer_is_told(nodes: list[Node]) -> None:
    nodes[1].active = False
    with SyncClient(f"{nodes[0].url},{nodes[1].url}", patience=0.2) as c, pytest.raises(ApiError) as refused:
        c.list_workers()
    assert refused.value.code == "standby"
    with SyncClient("http://127.0.0.1:1,http://127.0.0.1:2", patience=0.1) as c, pytest.raises(Unreachable):
        c.list_workers()


def test_each_address_is_checked() -> None:
    with pytest.raises(ValueError, match="want one like"):
        SyncClient("http://a:1,ftp://b")
    assert SyncClient("a:1, b:2,").url == "http://a:1,http://b:2"
