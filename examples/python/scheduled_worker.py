"""A worker whose workflow starts every working day at two in the morning in Berlin."""

from agnt5 import FlowDefinition, Worker, function, task_step, workflow


@workflow(schedule={"cron": "0 2 * * MON-FRI", "time_zone": "Europe/Berlin", "input": {"source": "orders"}})
def nightly_report() -> FlowDefinition:
    return FlowDefinition([
        task_step(name="report", service_name="reports", handler_name="report"),
    ])


@function
def report(source: str) -> dict:
    """``source`` is a key of the schedule's input."""
    return {"text": f"the report of {source}"}


if __name__ == "__main__":
    Worker("reports").run_sync()
