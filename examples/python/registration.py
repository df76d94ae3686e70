"""Registering with the decorator."""

from agnt5.workflows import FlowDefinition, task_step
from agnt5 import workflow
from agnt5.workflows import get_registered_workflows


@workflow()
def my_workflow() -> FlowDefinition:
    return FlowDefinition([task_step("any_one_step", service_name="service", handler_name="handler1")])


@workflow("custom_name")
def workflow_with_custom_name() -> FlowDefinition:
    return FlowDefinition([task_step("any_one_step", service_name="service", handler_name="handler1")])


# Inspect registered workflows
workflows = get_registered_workflows()
print(f"Registered workflows: {list(workflows.keys())}")
