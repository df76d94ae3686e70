"""A worker of the browser tests, in a process of its own: worker.py SERVICE FOLDER [CAPACITY]. What its handlers wait for is a file in FOLDER."""

import asyncio
import sys
from pathlib import Path

from agnt5 import Context, NonRetryableError, Worker, function

service, folder = sys.argv[1], Path(sys.argv[2])


@function
async def ok(ctx: Context) -> dict[str, object]:
    return {"step": ctx.step_name, "attempt": ctx.attempt}


@function
async def hold(ctx: Context) -> str:
    """Returns when there is a file FOLDER/RUN.STEP."""
    while not (folder / f"{ctx.workflow_id}.{ctx.step_name}").exists():
        await asyncio.sleep(0.02)
    return "let go"


@function
async def talk(ctx: Context) -> str:
    """Writes a line, waits for a file FOLDER/RUN.STEP, and writes another one."""
    ctx.logger.info("looked up <b>account</b> 17")
    await hold(ctx)
    ctx.logger.warning("paid")
    return "paid"


@function
async def each(ctx: Context) -> object:
    """Gives what it was given, refuses 13, and holds 7 as hold does."""
    if ctx.item == 13:
        raise NonRetryableError("thirteen brings bad luck")
    if ctx.item == 7:
        await hold(ctx)
    return ctx.item


@function
async def flaky(ctx: Context) -> str:
    """Fails the first attempt."""
    if ctx.attempt == 1:
        raise RuntimeError("the bank's line is busy")
    return "second time lucky"


@function
async def broken(ctx: Context) -> str:
    """Fails for good, until there is a file FOLDER/mended."""
    if (folder / "mended").exists():
        return "mended"
    raise NonRetryableError('card refused <img src=x onerror="document.title=1"> by the bank')


@function
async def pace(ctx: Context) -> str:
    """Takes a moment, as work does."""
    await asyncio.sleep(0.05 + 0.01 * len(ctx.step_name))
    return "done"


@function
async def refuse(ctx: Context) -> str:
    ctx.logger.info("refund of 49.90 EUR to card ...4417")
    ctx.logger.warning("the bank answered 402")
    raise NonRetryableError("card refused by the bank")


@function
async def echo(ctx: Context) -> object:
    return ctx.workflow_input


if __name__ == "__main__":
    Worker(service, capacity=int(sys.argv[3]) if len(sys.argv) > 3 else 20).run_sync()
