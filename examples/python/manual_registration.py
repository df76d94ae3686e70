"""Registering by hand."""

from agnt5.workflows import FlowDefinition, task_step
from agnt5.workflows import register_workflow


def create_workflow_definition() -> FlowDefinition:
    return FlowDefinition([
        task_step("step1", service_name="service", handler_name="handler1"),
        task_step("step2", service_name="service", handler_name="handler2",
            dependencies=["step1"])
    ])


# Manual registration
register_workflow("manual_workflow", create_workflow_definition())
