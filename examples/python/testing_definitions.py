"""Tests of definitions."""

from agnt5 import workflow
import pytest
from agnt5.workflows import FlowDefinition, task_step, get_registered_workflows


def test_workflow_definition():
    # Test workflow structure
    flow = FlowDefinition([
        task_step("extract", service_name="etl", handler_name="extract"),
        task_step("transform", service_name="etl", handler_name="transform",
            dependencies=["extract"])
    ])
    # Verify serialization
    flow_dict = flow.to_dict()
    assert len(flow_dict["steps"]) == 2
    assert flow_dict["steps"][1]["dependencies"] == ["extract"]


def test_workflow_registration():
    @workflow()
    def test_workflow() -> FlowDefinition:
        return FlowDefinition([
            task_step("test_step", service_name="test", handler_name="test")
        ])
    # Verify registration
    workflows = get_registered_workflows()
    assert "test_workflow" in workflows
