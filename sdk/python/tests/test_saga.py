"""The order saga of the examples: daemon and worker are killed while it takes an order back."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import pytest
from conftest import Daemon
from test_e2e import start

from agnt5 import SyncClient


class Shop:
    """What the shop has done."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.file = daemon, daemon.folder / "shop.db"

    def open(self, slow: int = 0) -> None:
        self.worker = self.daemon.worker("saga_worker.py", AGNT5_SHOP_FILE=str(self.file), AGNT5_SHOP_SLOW=str(slow))

    def done(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.file, timeout=30)) as db:
            try:
                return [f"{what} {subject}" for what, subject in db.execute("select what, subject from done order by rowid")]
            except sqlite3.OperationalError:  # nothing yet
                return []

    def until(self, entry: str) -> None:
        for _ in range(6000):
            if entry in self.done():
                return
            threading.Event().wait(0.01)
        raise AssertionError(f"{entry} was not done: {self.done()}")


@pytest.fixture
def shop(daemon: Daemon) -> Shop:
    return Shop(daemon)


def test_killed_while_it_takes_back(daemon: Daemon, shop: Shop) -> None:
    """The refund is made, and nobody has heard of that: it is asked for again, and all is taken back once, in order."""
    shop.open(slow=600)
    client = SyncClient(daemon.url)
    run = start(client, "order_saga", {"order": "books", "price": 12, "address": "the moon"}, "o1")
    shop.until("refund 12, receipt of books")
    shop.worker.kill()
    shop.worker.wait()
    daemon.kill()
    daemon.start()
    assert client.get_workflow_status(run)["state"] == "finishing"
    shop.open()
    status = client.wait(run, 60)
    assert status["state"] == "failed" and status["error"]["step"] == "ship" and status["error"]["code"] == "child_failed", status
    assert status["compensation"] == {"total": 2, "done": 2, "failed": []}, status
    assert shop.done() == [
        "reserve books",
        "charge 12 for books",
        "label the moon",
        "void label to the moon",
        "refund 12, receipt of books",
        "release shelf 7",
        "tell books failed",
    ]
    completed = [e["step"] for e in client.get_history(run) if e["kind"] == "StepCompleted"]
    assert completed == ["reserve", "charge", "charge/undo", "reserve/undo", "tell"]


def test_shipped(daemon: Daemon, shop: Shop) -> None:
    """An order that is shipped is not taken back."""
    shop.open()
    client = SyncClient(daemon.url)
    status = client.wait(start(client, "order_saga", {"order": "books", "price": 12, "address": "Main Street 1"}), 60)
    assert status["state"] == "completed" and status["output"] == {"ship": {"hand_over": "on its way"}}, status
    assert shop.done() == ["reserve books", "charge 12 for books", "label Main Street 1", "hand over Main Street 1", "tell books completed"]
