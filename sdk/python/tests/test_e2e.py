"""The examples, and what must hold when things die, against a real daemon."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import pathlib
import subprocess
import sys
import threading

import pytest
from conftest import EXAMPLES, Daemon

from agnt5 import (
    ApiError,
    Client,
    Conflict,
    FlowDefinition,
    NotFound,
    RetryAfter,
    SyncClient,
    Unreachable,
    WaitTimeout,
    Worker,
    function,
    functions,
    task_step,
)
from agnt5.workflows import wait_signal_step


def example(name: str) -> FlowDefinition:
    """The definition of an example, read in a process of its own."""
    code = f"import {name}, agnt5; print(agnt5.get_registered_workflows()[{name!r}].to_json())"
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=EXAMPLES,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return FlowDefinition.from_json(out.stdout.strip())


def test_sequential(daemon: Daemon) -> None:
    daemon.worker("data_worker.py")
    client = SyncClient(daemon.url)
    run = start(client, "data_pipeline", {"source": "test_data"})
    status = client.wait(run, 60)
    assert status["state"] == "completed" and status["output"] == {"load": 20}, status
    assert status["steps"]["extract"]["output"]["rows"][0]["source"] == "test_data"


def start(client: SyncClient, workflow: str, value: object = None, run: str | None = None) -> str:
    """Start a run as soon as a worker has published its workflow."""
    for _ in range(2000):
        try:
            return str(client.start_workflow(workflow, value, run)["workflow_id"])
        except NotFound:
            threading.Event().wait(0.01)
    raise AssertionError(f"nobody published {workflow}")


def test_parallel(daemon: Daemon) -> None:
    daemon.worker("parallel_worker.py")
    client = SyncClient(daemon.url)
    status = client.wait(start(client, "parallel_processing"), 60)
    assert status["output"] == {"merge_results": "abc"}


def test_the_whole_worker_of_the_docs(daemon: Daemon) -> None:
    """A worker in one file: it publishes its workflow, runs it, and its log is kept with the run."""
    client = SyncClient(daemon.url)
    worker = daemon.worker("hello_worker.py")
    while not client.list_definitions():
        assert worker.poll() is None
        threading.Event().wait(0.01)
    client.start_workflow("hello", {"name": "Ada"}, "hello-1")
    assert client.wait("hello-1", 60)["output"] == {"shout": "HELLO ADA"}
    assert "greeting Ada" in client.get_logs("hello-1", "greet")[0]["text"]


def test_etl(daemon: Daemon) -> None:
    """The window is moved to the next minute by a copy of the definition; the daemon and the worker are killed on the way."""
    client = SyncClient(daemon.url)
    flow = example("nightly_etl")
    timer = next(s for s in flow.steps if s.timer is not None).timer
    assert timer is not None
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    timer.cron_expr = f"{soon.minute} {soon.hour} * * *"
    client.register_workflow("nightly_etl", flow)
    run = client.start_workflow("nightly_etl")["workflow_id"]
    worker = daemon.worker("etl_worker.py")
    for _ in range(2000):
        if client.get_workflow_status(run)["steps"]["clean_data"]["state"] == "completed":
            break
        threading.Event().wait(0.01)
    daemon.kill()
    worker.kill()
    worker.wait()
    daemon.start()
    daemon.worker("etl_worker.py")
    if client.get_workflow_status(run)["steps"]["wait_for_maintenance_window"]["state"] == "waiting":
        client.fire_timer(run, "maintenance")  # as an operator would, who does not want to wait for the minute
    status = client.wait(run, 120)
    assert status["state"] == "completed", status
    report = status["output"]["generate_reports"]
    assert set(report) == {"New York", "Seattle"} and all(1300 < city["days"] < 1462 for city in report.values()), report
    ran = [line.split()[1] for line in (daemon.folder / "etl/ledger").read_text().splitlines()]
    for step in ("extract_database", "extract_api", "extract_files", "merge_extracted_data", "clean_data"):
        assert ran.count(step) == 1, (step, ran)


@pytest.mark.parametrize("answered", ["in time", "after escalation", "never"])
def test_approval(daemon: Daemon, answered: str) -> None:
    client = SyncClient(daemon.url)
    flow = example("document_approval")
    for step in flow.steps:
        if step.signal is not None and answered != "in time" and (step.name == "wait_for_approval" or answered == "never"):
            step.signal.timeout_ms = 50
    client.register_workflow("document_approval", flow)
    daemon.worker("approval_worker.py")
    run = client.start_workflow("document_approval", {"document": "plan"})["workflow_id"]
    if answered == "in time":
        client.signal_workflow(run, "document_approved", {"by": "ada"})
    elif answered == "after escalation":
        client.signal_workflow(run, "escalated_approval", {"by": "bob"})
    status = client.wait(run, 60)
    if answered == "never":
        assert status["state"] == "failed" and status["error"]["code"] == "signal_timeout"
        return
    assert status["state"] == "completed", status
    published = status["output"]["publish_document"]
    assert published["because_of"] == ("wait_for_approval" if answered == "in time" else "wait_escalated_approval")
    assert published["decision"] == {"by": "ada" if answered == "in time" else "bob"}
    assert status["steps"]["escalate_approval"]["state"] == ("skipped" if answered == "in time" else "completed")


@pytest.mark.parametrize(
    "name",
    sorted(
        p.stem for p in EXAMPLES.glob("*.py") if not p.stem.endswith("_worker") and p.stem not in ("conftest", "integration", "testing_definitions")
    ),
)
def test_the_other_files_run(name: str) -> None:
    out = subprocess.run(
        [sys.executable, f"{name}.py"],
        cwd=EXAMPLES,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert out.returncode == 0, out.stderr
    expected = {"validation": "step1", "registration": "'my_workflow', 'custom_name'"}.get(name, "")
    assert expected in out.stdout


def test_the_tests_among_the_examples() -> None:
    """As they stand, by pytest with the plugin: two of definitions, and one that polls a run at http://localhost:8080."""
    out = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "agnt5._pytest", "testing_definitions.py", "integration.py"],
        cwd=EXAMPLES,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert "3 passed" in out.stdout, out.stdout + out.stderr


def test_the_polling_client_at_its_default_url(tmp_path: pathlib.Path) -> None:
    if "AGNT5D_BIN" not in os.environ:
        pytest.skip("AGNT5D_BIN does not say where the daemon is (check.sh builds it)")
    daemon = Daemon(tmp_path, "127.0.0.1:8080")
    try:
        daemon.worker("data_worker.py")
        start(SyncClient(daemon.url), "data_pipeline", None, "warm-up")
        around = {k: v for k, v in os.environ.items() if k != "AGNT5_URL"} | {"PYTHONPATH": os.pathsep.join(sys.path)}
        code = "import asyncio, integration; asyncio.run(integration.test_workflow_execution()); print('held')"
        out = subprocess.run([sys.executable, "-c", code], cwd=EXAMPLES, env=around, capture_output=True, text=True, timeout=60)
        assert "held" in out.stdout, out.stderr
    finally:
        daemon.stop()


COUNTER = """
import os, sys
from agnt5 import Worker, function

@function
def count(ctx):
    for key in ctx.object_keys:
        ctx.objects[key] = (ctx.objects[key] or 0) + 1
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{ctx.workflow_id} {ctx.step_name} {ctx.attempt}\\n")

@function
async def pause(ctx):
    return {"attempt": ctx.attempt, "pid": os.getpid()}

Worker("svc").run_sync()
"""


def test_daemon_and_workers_are_killed_in_turn(daemon: Daemon) -> None:
    """Nothing that was acknowledged is lost, nothing is completed twice, the counter is exact."""
    script = daemon.folder / "counter.py"
    script.write_text(COUNTER)
    ledger = str(daemon.folder / "ledger")
    client = SyncClient(daemon.url, patience=60)
    flow = FlowDefinition(
        [
            task_step("a", service_name="svc", handler_name="pause"),
            task_step("b", service_name="svc", handler_name="count", object_keys=["n"], dependencies=["a"]),
            task_step("c", service_name="svc", handler_name="pause", dependencies=["b"]),
        ]
    )
    client.register_workflow("w", flow)
    workers = [daemon.worker(script, LEDGER=ledger) for _ in range(2)]
    stop = threading.Event()
    started: list[str] = []

    def load(n: int) -> None:
        i = 0
        while not stop.is_set():
            started.append(client.start_workflow("w", {"n": i}, f"r-{n}-{i}")["workflow_id"])
            i += 1

    threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(6):
        stop.wait(0.3)
        if turn % 3 == 2:
            daemon.kill()
            daemon.start()
        else:
            workers[turn % 3].kill()
            workers[turn % 3].wait()
            workers[turn % 3] = daemon.worker(script, LEDGER=ledger)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(started) > 20
    for run in started:
        assert client.wait(run, 120)["state"] == "completed"
    for run in started[:20]:
        done = [e["step"] for e in client.get_history(run) if e["kind"] == "StepCompleted"]
        assert done == ["a", "b", "c"], done
    counter = client.get_object("n")
    runs = [r for r in client.list_workflows(workflow_name="w", limit=0) if r["state"] == "completed"]
    assert counter["state"] == counter["version"] == len(runs) >= len(started)


def test_scheduled(daemon: Daemon) -> None:
    daemon.worker("scheduled_worker.py")
    client = SyncClient(daemon.url)
    while not _has(client, "nightly_report"):
        pass
    run = client.trigger_schedule("nightly_report")["run_id"]
    assert client.wait(run, 60)["output"] == {"report": {"text": "the report of orders"}}
    assert client.next_times("nightly_report", 1)[0]["local"][11:19] == "02:00:00"


SCHEDULED = '''
import agnt5
from agnt5 import FlowDefinition, Worker, function, task_step, workflow

@workflow(schedule=[{"name": "often", "every": "1s", "input": {"n": 7}}, {"name": "taken", "cron": "@daily"}])
def ticks() -> FlowDefinition:
    return FlowDefinition([task_step("a", service_name="svc", handler_name="tick")])

@workflow(schedule="0 2 * * MON-FRI")
def nightly() -> FlowDefinition:
    return FlowDefinition([task_step("a", service_name="svc", handler_name="tick")])

@function
def tick(n: int) -> int:
    return n

Worker("svc").run_sync()
'''


def test_a_worker_publishes_its_schedules(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    client = SyncClient(daemon.url)
    client.put_schedule("taken", {"workflow": "other", "every": "1h"})
    script = tmp_path / "scheduled.py"
    script.write_text(SCHEDULED)
    worker = daemon.worker(script)
    while not (rows := [row for row in client.get_ledger("often") if row["outcome"] == "fired"] if _has(client, "often") else []):
        pass
    assert client.wait(rows[-1]["run_id"], 60)["output"] == {"a": 7}
    nightly = client.get_schedule("nightly")
    assert nightly["owner"] == "worker:svc" and nightly["definition"]["cron"] == ["0 2 * * MON-FRI"] and nightly["definition"]["workflow"] == "nightly"
    assert client.get_schedule("taken")["owner"] == "api"
    assert "schedule" not in client.get_definition("nightly")["definition"]
    worker.terminate()
    assert worker.wait(60) == 0
    assert "publishes the schedule taken, which stays as it is: it belongs to api" in (daemon.folder / "worker.log").read_text()


def _has(client: SyncClient, schedule: str) -> bool:
    try:
        client.get_schedule(schedule)
    except NotFound:
        return False
    return True


@pytest.fixture
def own_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_functions", {})


async def serve(daemon: Daemon, **options: object) -> tuple[Worker, asyncio.Task[None], Client]:
    worker = Worker("svc", coordinator_endpoint=daemon.url, workflows={}, **options)  # type: ignore[arg-type]
    return worker, asyncio.create_task(worker.run()), Client(daemon.url)


async def test_handlers_in_all_their_forms(daemon: Daemon, own_functions: None) -> None:
    @function
    def bare(a: int, b: int = 7) -> int:
        return a + b

    @function("named")
    async def other(ctx, **rest: object) -> dict:
        assert ctx["workflow_id"] == ctx.workflow_id and ctx.attempt == 1 and "attempt" in ctx and ctx.get("nothing") is None
        assert ctx.step_name == "two" and ctx.metadata["worker_id"] and ctx.idempotency_key == f"{ctx.workflow_id}/two"
        ctx.logger.info("here")
        ctx.heartbeat({"half": "way"})
        return rest

    @function()
    def broken() -> None:
        raise LookupError("no such customer")

    @function
    def odd() -> object:
        return {1, 2}

    @function
    def needs(missing: str) -> None: ...

    worker, task, client = await serve(daemon)
    steps = {"one": ("bare", None), "two": ("named", {"x": 1}), "three": ("broken", None), "four": ("odd", None), "five": ("needs", None)}
    for name, (handler, given) in steps.items():
        await client.register_workflow(
            name,
            FlowDefinition(
                [
                    task_step(
                        name,
                        service_name="svc",
                        handler_name=handler,
                        input_data=given,
                        retry={"max_attempts": 2, "initial_interval_ms": 1},
                    )
                ]
            ),
        )
    got = {name: await client.wait((await client.start_workflow(name, {"a": 5, "x": 2, "y": 3}))["workflow_id"], 60) for name in steps}
    assert got["one"]["output"] == {"one": 12}
    assert got["two"]["output"] == {"two": {"a": 5, "x": 1, "y": 3}}
    failed = got["three"]["steps"]["three"]["error"]
    assert (
        failed["type"] == "LookupError"
        and failed["message"] == "LookupError: no such customer"
        and "in broken" in failed["stack"]
        and got["three"]["steps"]["three"]["attempt"] == 2
    )
    assert got["four"]["error"]["code"] == "output_invalid" and got["four"]["error"]["attempt"] == 1
    assert got["five"]["error"]["code"] == "parameter_missing" and "'missing'" in got["five"]["error"]["message"]
    worker.stop()
    await task
    assert await client.list_workflows(state="failed") and len(await client.list_workflows()) == 5
    await client.close()


async def test_large_outputs_are_read_when_they_are_looked_at(daemon: Daemon, own_functions: None) -> None:
    @function()
    def big() -> str:
        return "x" * 900_000

    @function()
    async def join(ctx, b3: str) -> dict:
        return {"b3": len(b3), "all": sum(len(out) for out in ctx.dependencies.values())}

    worker, task, client = await serve(daemon)
    names = [f"b{n}" for n in range(20)]
    steps = [task_step(name, service_name="svc", handler_name="big") for name in names]
    await client.register_workflow("w", FlowDefinition([*steps, task_step("end", service_name="svc", handler_name="join", dependencies=names)]))
    got = await client.wait((await client.start_workflow("w"))["workflow_id"], 60)
    assert got["output"] == {"end": {"b3": 900_000, "all": 18_000_000}}, got["error"]
    worker.stop()
    await task
    await client.close()


async def test_object_state_cancel_and_drain(daemon: Daemon, own_functions: None) -> None:
    waiting, let_go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @function
    def add(ctx, item: str) -> None:
        assert ctx.objects.version("cart") >= 0 and ctx.objects.fence("cart") > 0
        cart = ctx.objects["cart"]
        if cart is None:
            ctx.objects["cart"] = [item]
        else:
            cart.append(item)  # changed in place
        with pytest.raises(KeyError):
            ctx.objects["other"] = 1

    @function
    def long(ctx) -> str:
        loop.call_soon_threadsafe(waiting.set)
        let_go.wait(30)
        return "cancelled" if ctx.is_cancelled else "done"

    @function
    async def forever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    worker, task, client = await serve(daemon)
    await client.register_workflow("add", FlowDefinition([task_step("a", service_name="svc", handler_name="add", object_keys=["cart"])]))
    for item in ("cup", "pot"):
        assert (await client.wait((await client.start_workflow("add", {"item": item}))["workflow_id"], 60))["state"] == "completed"
    assert (await client.get_object("cart"))["state"] == ["cup", "pot"]

    await client.register_workflow("forever", FlowDefinition([task_step("a", service_name="svc", handler_name="forever")]))
    await client.start_workflow("forever", None, "f")
    await waiting.wait()
    await client.cancel_workflow("f", "enough")
    while worker._open:  # the handler was cancelled on the loop, and its answer gave the lease back
        await asyncio.sleep(0.01)

    waiting.clear()
    await client.register_workflow("long", FlowDefinition([task_step("a", service_name="svc", handler_name="long")]))
    await client.start_workflow("long", None, "l")
    await waiting.wait()
    worker.stop()  # it waits for what is under way
    let_go.set()
    await task
    assert (await client.get_workflow_status("l"))["output"] == {"a": "done"}
    await client.close()


async def test_what_one_handler_does_wrong_costs_no_other(daemon: Daemon, own_functions: None) -> None:
    """Outcomes that are too large, heartbeats that are no JSON: the handler hears of it, and the others go on."""
    heard: dict[str, object] = {}
    hold = threading.Event()

    @function
    def large() -> str:
        return "x" * (31 << 20)

    @function
    def over() -> str:  # over the payload limit, and under what a poll may bring
        return "x" * (2 << 20)

    @function
    def beats(ctx) -> None:
        for name, details in {"nan": float("nan"), "long": "x" * 5000, "set": {1}}.items():
            try:
                ctx.heartbeat(details)
            except (TypeError, ValueError) as why:
                heard[name] = why
        live = {"done": 1}
        ctx.heartbeat(live)
        live["set"] = {1}  # type: ignore[assignment]

    @function
    def quiet() -> str:
        hold.wait(5)  # longer than a lease
        return "done"

    @function
    def later(ctx) -> int:
        if ctx.attempt == 1:
            raise RetryAfter(0.3)
        return int(ctx.attempt)

    @function
    def placed(a: int = 1, b: int = 2, /) -> list[int]:
        return [a, b]

    @function
    def rest(ctx, **kw: object) -> dict:
        return kw

    worker, task, client = await serve(daemon)
    names = ["quiet", "large", "over", "beats", "later", "placed", "rest"]
    for name in names:
        await client.register_workflow(name, FlowDefinition([task_step("a", service_name="svc", handler_name=name)]))
        await client.start_workflow(name, {"b": 5, "ctx": 6}, name)
    got = {name: await client.wait(name, 60) for name in names if name != "quiet"}
    assert got["large"]["error"]["code"] == "outcome_too_large"
    assert got["over"]["state"] == "failed" and "limit" in got["over"]["error"]["message"]
    assert set(heard) == {"nan", "long", "set"} and got["beats"]["state"] == "completed"
    assert got["later"]["output"] == {"a": 2}
    assert got["placed"]["output"] == {"a": [1, 5]}
    assert got["rest"]["output"] == {"a": {"b": 5}}
    quiet_run = await client.wait("quiet", 60)
    assert quiet_run["output"] == {"a": "done"} and quiet_run["steps"]["a"]["attempt"] == 1
    worker.stop()
    await task
    worker.stop()  # again, after the end: nothing to do
    await client.close()


async def test_a_daemon_that_comes_back_with_a_shorter_lease(daemon: Daemon, own_functions: None) -> None:
    daemon.kill()
    daemon.command = [*daemon.command, "--lease", "20s"]
    daemon.start()
    begun, hold = threading.Event(), threading.Event()

    @function
    def long() -> str:
        begun.set()
        hold.wait(30)
        return "done"

    worker, task, client = await serve(daemon)
    await client.register_workflow("w", FlowDefinition([task_step("a", service_name="svc", handler_name="long")]))
    await client.start_workflow("w", None, "r")
    await asyncio.get_running_loop().run_in_executor(None, begun.wait)
    daemon.kill()
    daemon.command = [*daemon.command, "--lease", "2s"]
    daemon.start()
    while worker._generation < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(4.5)  # two leases, and less than one of the old heartbeats
    hold.set()
    run = await client.wait("r", 60)
    assert run["output"] == {"a": "done"} and run["steps"]["a"]["attempt"] == 1
    worker.stop()
    await task
    await client.close()


async def test_errors_are_clear(daemon: Daemon, own_functions: None) -> None:
    client = Client(daemon.url)
    with pytest.raises(NotFound) as none:
        await client.get_workflow_status("nope")
    assert none.value.code == "run_not_found" and none.value.status == 404
    flow = FlowDefinition([wait_signal_step("w", signal_name="go")])
    await client.register_workflow("w", flow)
    await client.start_workflow("w", 1, "r")
    with pytest.raises(Conflict, match="run_conflict"):
        await client.start_workflow("w", 2, "r")
    with pytest.raises(WaitTimeout):
        await client.wait("r", 0.05)
    with pytest.raises(ApiError, match="no_steps"):
        await client.register_workflow("x", "steps: []")
    assert (await client.explain("r"))[0]["code"] == "signal"
    await client.signal_workflow("r", "go", {"a": 1})
    assert (await client.wait("r"))["output"] == {"w": {"a": 1}}
    with pytest.raises(ValueError, match="http://"):
        Client("ftp://x")
    with pytest.raises(Unreachable):
        SyncClient("http://127.0.0.1:9", patience=0).get_workflow_status("r")
    with pytest.raises(ValueError, match="nothing to serve"):
        await Worker("svc", coordinator_endpoint=daemon.url).run()

    @function("a b".replace(" ", "_"))
    def fine() -> None: ...

    with pytest.raises(ValueError, match="already registered"):
        function("a_b")(fine)
    await client.close()
    assert json.loads(flow.to_json()) == flow.to_dict()


async def test_logs_of_a_run(daemon: Daemon, own_functions: None) -> None:
    wrote, let = asyncio.Event(), asyncio.Event()

    @function
    async def slow(ctx) -> None:
        ctx.logger.info("begin %s", "é" * 3)
        wrote.set()
        await let.wait()
        ctx.logger.info("end")

    @function
    def bad(ctx) -> None:
        ctx.logger.warning("attempt %d", ctx.attempt)
        raise LookupError("no such customer")

    worker, task, client = await serve(daemon)
    steps = [
        task_step("a", service_name="svc", handler_name="slow"),
        task_step("b", service_name="svc", handler_name="bad", retry={"max_attempts": 2, "initial_interval_ms": 1}, dependencies=["a"]),
    ]
    await client.register_workflow("w", FlowDefinition(steps))
    run = (await client.start_workflow("w"))["workflow_id"]
    await wrote.wait()
    while not (logs := await client.get_logs(run, "a")):  # it comes while the handler works
        await asyncio.sleep(0.01)
    assert [(x["step"], x["attempt"], x["from"]) for x in logs] == [("a", 1, 0)] and logs[0]["text"].endswith("Z INFO begin ééé\n")
    let.set()
    assert (await client.wait(run, 60))["state"] == "failed"
    logs = await client.get_logs(run)
    assert [(x["step"], x["attempt"], x["text"].split("Z ", 1)[1].count("\n")) for x in logs] == [("a", 1, 2), ("b", 1, 1), ("b", 2, 1)]
    assert logs[0]["text"].count("begin") == 1 and logs[0]["text"].endswith(" INFO end\n") and logs[2]["text"].endswith(" WARNING attempt 2\n")
    assert logs[0]["to"] == len(logs[0]["text"].encode())
    with pytest.raises(NotFound, match="step_not_found"):
        await client.get_logs(run, "c")
    worker.stop()
    await task
    await client.close()


async def test_a_run_of_an_old_version(daemon: Daemon) -> None:
    client = Client(daemon.url)
    for name in ("one", "two"):
        await client.register_workflow("w", FlowDefinition([wait_signal_step(name, signal_name="go")]))
    assert (await client.start_workflow("w", None, "r1", version=1))["version"] == 1
    assert (await client.start_workflow("w", None, "r2"))["version"] == 2
    with pytest.raises(Conflict, match="version"):
        await client.start_workflow("w", None, "r1", version=2)
    with pytest.raises(NotFound, match="version 3"):
        await client.start_workflow("w", version=3)
    await client.close()


async def test_a_roll_back(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    """A worker with an older definition says so, and what to do; with publish="current" it is what new runs get."""
    new, old = (FlowDefinition([wait_signal_step(name, signal_name="go")]) for name in ("new", "old"))
    async with Client(daemon.url) as client:
        for flow in (old, new):
            await client.register_workflow("rel", flow)
        for publish, current in ((None, 2), ("current", 1)):
            caplog.clear()
            worker = Worker("svc", coordinator_endpoint=daemon.url, functions={"h": lambda: 1}, workflows={"rel": old}, publish=publish)
            running = asyncio.create_task(worker.run())
            while not await client.list_workers():
                await asyncio.sleep(0.01)
            assert (await client.start_workflow("rel", None, f"r{current}"))["version"] == current
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert ("agnt5d workflows use rel 1" in caplog.text) == (publish is None)
            while await client.list_workers():
                await asyncio.sleep(0.01)
    with pytest.raises(ValueError, match="publish: 'newest'"):
        Worker("svc", publish="newest")  # type: ignore[arg-type]
