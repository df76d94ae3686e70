"""An order that is taken back when it cannot be shipped, or when somebody cancels it: the money first, and then the goods."""

from agnt5 import FlowDefinition, task_step, workflow, workflow_step

ONCE = {"max_attempts": 1}


@workflow()
def parcel() -> FlowDefinition:
    """The child. It takes back itself what it did, before its parent hears that it failed."""
    return FlowDefinition([
        task_step(
            name="label",
            service_name="shop",
            handler_name="print_label",
            compensate={"handler_name": "void_label"}
        ),
        task_step(
            name="hand_over",
            service_name="shop",
            handler_name="hand_over",
            dependencies=["label"],
            retry=ONCE
        )
    ])


@workflow()
def order_saga() -> FlowDefinition:
    return FlowDefinition(
        [
            task_step(
                name="reserve",
                service_name="shop",
                handler_name="reserve",
                compensate={"handler_name": "release"}
            ),
            # Nobody may know whether a charge was made whose worker died: it is taken back, too
            task_step(
                name="charge",
                service_name="shop",
                handler_name="charge",
                dependencies=["reserve"],
                compensate={"handler_name": "refund", "also_if_started": True}
            ),
            workflow_step(
                name="ship",
                workflow_name="parcel",
                dependencies=["charge"],
                input={"order": "${ input.order }", "address": "${ input.address }"}
            )
        ],
        # Whatever became of the order
        finally_=[
            task_step(
                name="tell",
                service_name="shop",
                handler_name="tell",
                input={"order": "${ input.order }", "state": "${ fate.state }"}
            )
        ]
    )
