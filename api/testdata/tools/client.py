"""Starts, signals and reads a run with the client that openapi-generator makes."""

import sys

import generated
from generated.api import daemon_api, runs_api
from generated.exceptions import NotFoundException

client = generated.ApiClient(generated.Configuration(host=sys.argv[1]))
runs = runs_api.RunsApi(client)
run = runs.start_run("approval", start_body=generated.StartBody(input_data={"n": 1}, workflow_id="python[1]"))
assert run.state == "running" and run.input == {"n": 1}, run
runs.signal_run(run.workflow_id, "go", signal_body=generated.SignalBody(payload=[True]))
run = runs.get_run(run.workflow_id, prefer="wait=60")
assert run.state == "completed" and run.steps["approved"].output == [True], run
assert bytes(daemon_api.DaemonApi(client).journal_copy())[16:20] != b"", "the journal is not text"
try:
    runs.get_run("nope")
except NotFoundException as why:
    assert "run_not_found" in why.body
else:
    raise AssertionError("there is no run nope")
print("openapi-generator: ok")
