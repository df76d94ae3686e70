"""What is wrong is said at registration."""

from agnt5.workflows import register_workflow, FlowDefinition, task_step


# This will raise ValueError: Missing dependencies


try:
    invalid_flow = FlowDefinition([
        task_step("step2", service_name="svc", handler_name="h2",
            dependencies=["step1"]), # step1 doesn't exist
        task_step("step3", service_name="svc", handler_name="h3",
            dependencies=["step2"])
    ])
    register_workflow("invalid", invalid_flow)
except ValueError as e:
    print(f"Validation error: {e}")
