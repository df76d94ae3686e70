"""The shop of the order saga. What it does stands in a SQLite file, as it would at a bank or a carrier: under the key of the step, so that what is
asked for twice is done once. Kill this program and the daemon while it takes an order back, start them again, and look at the file.

    python saga_worker.py
    agnt5d start order_saga --input '{"order": "books", "price": 12, "address": "the moon"}' --wait
    sqlite3 /tmp/agnt5-shop.db 'select what, subject from done'
"""

import logging
import os
import pathlib
import sqlite3
import tempfile
import time

from agnt5 import Context, NonRetryableError, Worker, function

import order_saga  # noqa: F401  registers parcel and order_saga

FILE = pathlib.Path(os.environ.get("AGNT5_SHOP_FILE") or pathlib.Path(tempfile.gettempdir(), "agnt5-shop.db"))
SLOW = float(os.environ.get("AGNT5_SHOP_SLOW") or 0)  # seconds that a refund takes: time to kill something


def once(ctx: Context, what: str, subject: str) -> None:
    """Do it, unless that was done: the key is the same however often the step is tried."""
    with sqlite3.connect(FILE, timeout=30) as db:
        db.execute("create table if not exists done (key text primary key, what text, subject text)")
        db.execute("insert or ignore into done values (?, ?, ?)", (ctx.idempotency_key, what, subject))


@function
def reserve(ctx: Context, order: str) -> str:
    once(ctx, "reserve", order)
    return "shelf 7"


@function
def release(ctx: Context, output: str) -> None:
    """``output`` is what reserve returned."""
    once(ctx, "release", output)


@function
def charge(ctx: Context, order: str, price: int) -> dict:
    once(ctx, "charge", f"{price} for {order}")
    return {"receipt": f"receipt of {order}"}


@function
def refund(ctx: Context, price: int, receipt: str | None = None) -> None:
    """``receipt`` is a key of what charge returned; it is missing when nobody knows whether the charge was made."""
    once(ctx, "refund", f"{price}, {receipt}")
    time.sleep(SLOW)


@function
def print_label(ctx: Context, address: str) -> str:
    once(ctx, "label", address)
    return f"label to {address}"


@function
def void_label(ctx: Context, output: str) -> None:
    once(ctx, "void", output)


@function
def hand_over(ctx: Context, address: str) -> str:
    if address == "the moon":
        raise NonRetryableError("no van goes there", code="no_van")
    once(ctx, "hand over", address)
    return "on its way"


@function
def tell(ctx: Context, order: str, state: str) -> None:
    once(ctx, "tell", f"{order} {state}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    Worker("shop").run_sync()
