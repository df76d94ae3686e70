"""A definition and its serialization."""

from agnt5.workflows import task_step
from agnt5.workflows import FlowDefinition

# Create definition
flow = FlowDefinition([
    task_step("step1", service_name="svc", handler_name="h1"),
    task_step("step2", service_name="svc", handler_name="h2", dependencies=["step1"])
])
# Serialize to dictionary
flow_dict = flow.to_dict()
# Serialize to JSON string
flow_json = flow.to_json()
