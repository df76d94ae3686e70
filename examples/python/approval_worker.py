"""The doc-service and the notification-service of the approval, in one process: two workers that share an event loop."""

import asyncio

from agnt5 import Context, Worker, function

import document_approval  # noqa: F401  registers document_approval


@function
def submit_for_review(ctx: Context, priority: str, document: str = "untitled") -> dict:
    """``priority`` stands in the step's input_data, ``document`` in the workflow's input."""
    return {"document": document, "priority": priority, "review": ctx.workflow_id}


@function
def send_review_notifications(document: str) -> list:
    return [f"please review {document}"]


@function
def escalate_to_manager(ctx: Context) -> str:
    return f"nobody answered in time for {ctx.workflow_id}"


@function
def publish_approved_document(ctx: Context) -> dict:
    """One of the two waits was answered; the other was skipped or timed out, and is not among the dependencies."""
    (by,) = ctx.dependencies.items()
    return {"published": True, "because_of": by[0], "decision": by[1]}


async def main() -> None:
    services = {
        "doc-service": [submit_for_review, escalate_to_manager, publish_approved_document],
        "notification-service": [send_review_notifications],
    }
    await asyncio.gather(*(Worker(name, functions={f.__name__: f for f in fns}).run() for name, fns in services.items()))


if __name__ == "__main__":
    asyncio.run(main())
