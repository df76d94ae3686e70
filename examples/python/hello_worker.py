"""A whole worker: a workflow, its handlers, and the loop that serves them. Run it beside a daemon."""

import logging

from agnt5 import Context, FlowDefinition, Worker, function, task_step, workflow


@workflow()
def hello() -> FlowDefinition:
    return FlowDefinition([
        task_step(name="greet", service_name="greeter", handler_name="greet"),
        task_step(name="shout", service_name="greeter", handler_name="shout", dependencies=["greet"]),
    ])


@function
def greet(ctx: Context, name: str = "world") -> dict:
    """``name`` is a key of the workflow's input."""
    ctx.logger.info("greeting %s", name)
    return {"text": f"hello {name}"}


@function
def shout(text: str) -> str:
    """``text`` is a key of what greet returned."""
    return text.upper()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    Worker("greeter").run_sync()
