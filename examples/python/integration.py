"""A run started and polled for its end."""

import asyncio
from agnt5 import Client


async def test_workflow_execution():
    client = Client("http://localhost:8080")
    # Trigger workflow
    result = await client.start_workflow(
        workflow_name="data_pipeline",
        input_data={"source": "test_data"}
    )
    workflow_id = result["workflow_id"]
    # Poll for completion
    while True:
        status = await client.get_workflow_status(workflow_id)
        if status["state"] in ["completed", "failed"]:
            break
        await asyncio.sleep(1)
    assert status["state"] == "completed"
