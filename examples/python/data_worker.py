"""The etl-service of the sequential pipeline: each handler is a plain function, its parameters come from the task."""

from agnt5 import Context, Worker, function

import sequential  # noqa: F401  registers data_pipeline, which the worker publishes


@function
def extract_data(source: str = "nowhere") -> dict:
    """``source`` is a key of the workflow's input."""
    return {"rows": [{"source": source, "value": n} for n in range(5)]}


@function("transform_data")
async def double(ctx: Context, rows: list) -> dict:
    """``rows`` is a key of the only dependency's output."""
    ctx.logger.info("transforming %d rows", len(rows))
    return {"rows": [{**row, "value": row["value"] * 2} for row in rows]}


@function()
def load_data(transform: dict) -> int:
    """``transform`` is the dependency of that name."""
    return sum(row["value"] for row in transform["rows"])


if __name__ == "__main__":
    Worker("etl-service").run_sync()
