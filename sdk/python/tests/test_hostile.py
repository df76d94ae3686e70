"""Nothing that a payload, an exception or a handler does can kill a worker, or hang a step or a slot."""

from __future__ import annotations

import asyncio
import datetime
import json
import threading
import urllib.request

import pytest
from conftest import Daemon
from proxy import Answer, Between

from agnt5 import Client, FlowDefinition, NonRetryableError, RetryAfter, SyncClient, Worker, function, functions, task_step
from agnt5._json import read
from agnt5.workflows import wait_signal_step

ONCE = {"max_attempts": 1}


@pytest.fixture
def own_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_functions", {})


def post(url: str, body: str) -> None:
    """A request whose body is written by hand."""
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})) as answer:
        answer.read()


async def run_each(daemon: Daemon, given: object = None, *, capacity: int = 4) -> dict[str, dict]:
    """One run of each registered handler, one attempt each, by one worker; then the worker stops by itself, with nothing left."""
    client = Client(daemon.url)
    worker = Worker("svc", coordinator_endpoint=daemon.url, workflows={}, capacity=capacity)
    serving = asyncio.create_task(worker.run())
    names = list(functions.get_registered_functions())
    for name in names:
        await client.register_workflow(name, FlowDefinition([task_step("a", service_name="svc", handler_name=name, retry=ONCE)]))
        await client.start_workflow(name, given, name)
    waits = asyncio.gather(*(client.wait(name, 60) for name in names))
    await asyncio.wait([waits, serving], return_when=asyncio.FIRST_COMPLETED)
    assert not serving.done(), f"the worker has ended: {serving.exception()}"
    got = dict(zip(names, await waits))
    worker.stop()
    await asyncio.wait_for(serving, 60)
    assert not worker._open
    await client.close()
    return got


class BadStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class ExitStr(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class BadRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


class OddText(str):
    def __getitem__(self, key: object) -> str:
        raise RuntimeError("not to be cut")


class OddStr(Exception):
    def __str__(self) -> str:
        return OddText("odd")


class BadCode(Exception):
    @property
    def code(self) -> str:
        raise RuntimeError("no code")


class Late(RetryAfter):
    def __init__(self) -> None:
        super().__init__(1)
        self.seconds = float("nan")


class BadItems(dict):
    def items(self):  # type: ignore[no-untyped-def]
        raise RuntimeError("no items")


async def test_exceptions_of_every_kind(daemon: Daemon, own_functions: None) -> None:
    """Each makes an outcome, and says what can be said."""

    def raising(why: BaseException) -> None:
        def sync() -> None:
            raise why

        async def on_loop() -> None:
            raise why

        name = type(why).__name__ + str(len(functions.get_registered_functions()))
        functions.register_function("sync_" + name, sync)
        functions.register_function("async_" + name, on_loop)
        expected["sync_" + name] = expected["async_" + name] = why

    expected: dict[str, BaseException] = {}
    chained = ValueError("outer")
    chained.__cause__ = ExitStr()
    long = LookupError("x" * (1 << 20) + "é" * (1 << 20))
    for why in (
        BadStr(), ExitStr(), OddStr(), BadCode("text"), Late(), chained, long, KeyError(BadRepr()), KeyError("missing"), SystemExit(3), SystemExit("text"),
        KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError("mine"), BaseExceptionGroup("many", [BadStr()] * 50), MemoryError(), RecursionError("deep"),
        StopIteration(1), NonRetryableError("never", code="c" * 9000), Exception("\ud800 \0 \x1b[31m"), Exception(),
    ):  # fmt: skip
        raising(why)
    got = await run_each(daemon)
    for name, why in expected.items():
        error = got[name]["error"]
        assert got[name]["state"] == "failed" and error["code"] != "outcome_refused", (name, error)
        step = got[name]["steps"]["a"]["error"]
        sizes = {key: len(step.get(key, "").encode()) for key in ("code", "type", "message", "stack")}
        assert sizes["code"] <= 128 and sizes["type"] <= 256 and sizes["message"] <= 16 << 10 and sizes["stack"] <= 64 << 10, (name, sizes)
        if not isinstance(why, (StopIteration, NonRetryableError)):
            assert error["code"] == "handler_error" and type(why).__name__ in error["message"], (name, error)
        if isinstance(why, (BadStr, ExitStr, LookupError)) and why is not long and not isinstance(why, KeyError):
            assert error["message"] == f"{type(why).__name__}: <no text>"
        assert "in sync" in step["stack"] or "in on_loop" in step["stack"], (name, step["stack"])
    errors = {type(why).__name__: got[name]["error"] for name, why in expected.items()}
    assert errors["OddStr"]["message"] == "OddStr: odd"
    assert errors["LookupError"]["message"].endswith("...(cut)")
    assert errors["KeyError"]["message"] == "KeyError: 'missing'"
    assert errors["NonRetryableError"]["message"] == "never" and errors["NonRetryableError"]["code"] == "c" * 120 + "...(cut)"


@pytest.mark.parametrize("seconds", [float("inf"), float("-inf"), float("nan"), 1e30, 10**400, "5", None, True])
def test_retry_after_wants_usable_seconds(seconds: object) -> None:
    with pytest.raises((TypeError, ValueError), match="RetryAfter: "):
        RetryAfter(seconds)  # type: ignore[arg-type]


async def test_retry_after_at_run_time(daemon: Daemon, own_functions: None) -> None:
    tried: list[int] = []

    @function
    def later(ctx) -> str:
        tried.append(ctx.attempt)
        if ctx.attempt == 1:
            raise RetryAfter(float("inf"))  # a failure as any other
        if ctx.attempt == 2:
            raise RetryAfter(datetime.timedelta(milliseconds=5))
        return "done"

    client = Client(daemon.url)
    worker = Worker("svc", coordinator_endpoint=daemon.url, workflows={})
    serving = asyncio.create_task(worker.run())
    await client.register_workflow(
        "w", FlowDefinition([task_step("a", service_name="svc", handler_name="later", retry={"initial_interval_ms": 1})])
    )
    await client.start_workflow("w", None, "r")
    assert (await client.wait("r", 60))["output"] == {"a": "done"} and tried == [1, 2, 3]
    first = next(e for e in await client.get_history("r") if e["kind"] == "AttemptFailed")
    assert "RetryAfter: inf" in json.dumps(first)
    worker.stop()
    await serving
    await client.close()


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


async def test_results_of_every_kind(daemon: Daemon, own_functions: None) -> None:
    """What is not JSON, or more than the daemon takes, fails its step with a code; the others go on."""
    circle: list[object] = []
    circle.append(circle)
    fine = {"surrogate": "\ud800", "deep": nested(60), "number": 2**200, "keys": {1: 2}, "deepest": nested(61)}
    wrong = {
        "nan": float("nan"), "infinite": {"a": [float("inf")]}, "circle": circle, "very_deep": nested(100_000), "long_number": 10**5000,
        "object": object(), "items": BadItems(a=1), "bytes": b"x", "generator": (i for i in ()), "tuple_key": {(1, 2): 3},
    }  # fmt: skip
    refused = {"deep64": nested(64), "deep65": nested(65), "deep900": nested(900), "large": "x" * (2 << 20)}

    def returning(name: str, value: object) -> None:
        functions.register_function(name, lambda: value)

    for cases in (fine, wrong, refused):
        for name, value in cases.items():
            returning(name, value)

    @function
    async def yields():  # type: ignore[no-untyped-def]
        yield 1

    @function
    def breaks_its_context(ctx) -> None:
        ctx.objects = 5
        ctx._task = None

    got = await run_each(daemon)
    for name in fine:
        assert got[name]["state"] == "completed", (name, got[name]["error"])
    for name in (*wrong, "yields", "breaks_its_context"):
        assert got[name]["error"]["code"] == "output_invalid", (name, got[name]["error"])
    for name in refused:
        assert got[name]["state"] == "failed" and "limit" in got[name]["error"]["message"], (name, got[name]["error"])


async def test_heartbeats_of_one_handler_cost_no_other(daemon: Daemon, own_functions: None) -> None:
    """Details that the daemon would refuse are refused in the handler; else a whole heartbeat, and with it every lease, is lost."""
    heard: list[str] = []
    stop = threading.Event()

    @function
    def deep(ctx) -> None:
        for details in (nested(65), nested(1000), nested(100_000), 10**5000, float("nan"), {1, 2}, BadItems(a=1)):
            try:
                ctx.heartbeat(details)
            except Exception as why:
                heard.append(type(why).__name__)
        ctx.heartbeat(nested(60))
        ctx.heartbeat("\ud800")
        stop.wait(5)  # longer than a lease

    @function
    def quiet() -> None:
        stop.wait(5)

    got = await run_each(daemon)
    assert len(heard) == 7
    for name in ("deep", "quiet"):
        assert got[name]["state"] == "completed" and got[name]["steps"]["a"]["attempt"] == 1, got[name]


DIGITS = "1" * 4301
PAYLOADS = {
    "integer": DIGITS, "negative": "-" + DIGITS, "in_a_list": f'{{"a": [{DIGITS}]}}', "a_million_digits": "7" * 500_000, "float": "1e400",
    "fraction": "0." + DIGITS, "surrogate": r'{"a": "\ud800", "\udfff": 1}', "twice": '{"a": 1, "a": 2}', "deep": "[" * 60 + "]" * 60,
    "null_byte": r'"\u0000"', "empty_key": '{"": 1}', "many": "[" + "[]," * 100_000 + "1]",
}  # fmt: skip

ECHO = """
import agnt5
@agnt5.function
def size(ctx):
    assert ctx.objects["k"] is None or ctx.objects["k"] == ctx.objects["k"]
    return repr(type(ctx.dependencies["w"]))
@agnt5.function
async def look(ctx, a=None):
    ctx.heartbeat()
    return ctx["workflow_input"] == ctx["workflow_input"]
agnt5.Worker("svc", workflows={}).run_sync()
"""


def test_payloads_of_every_kind(daemon: Daemon) -> None:
    """Each is read by a worker and by every call of a client; nobody dies, and the runs beside it go on."""
    script = daemon.folder / "echo.py"
    script.write_text(ECHO)
    client = SyncClient(daemon.url)
    client.register_workflow(
        "w",
        FlowDefinition(
            [
                wait_signal_step("w", signal_name="go"),
                task_step("size", service_name="svc", handler_name="size", dependencies=["w"], object_keys=["k"], retry=ONCE),
                task_step("look", service_name="svc", handler_name="look", dependencies=["w"], retry=ONCE),
            ]
        ),
    )
    for name, payload in PAYLOADS.items():
        post(f"{daemon.url}/v1/workflows/w/runs", f'{{"workflow_id": "{name}", "input_data": {payload}}}')
        post(f"{daemon.url}/v1/runs/{name}/signals/go", f'{{"payload": {payload}}}')
    post(f"{daemon.url}/v1/workflows/w/runs", '{"workflow_id": "beside"}')
    client.signal_workflow("beside", "go", 1)
    worker = daemon.worker(script)
    for name in [*PAYLOADS, "beside"]:
        status = client.wait(name, 60)
        assert status["state"] == "completed" and status["steps"]["size"]["attempt"] == 1, (name, status.get("error"), status["steps"]["size"]["attempt"])
        assert client.get_workflow_status(name) == status
        assert len(client.get_history(name)) >= 6
    assert len(client.list_workflows()) == len(PAYLOADS) + 1
    assert worker.poll() is None
    assert client.get_workflow_status("integer")["input"] == (10**4301 - 1) // 9
    assert client.get_workflow_status("negative")["input"] == -((10**4301 - 1) // 9)


def test_long_numbers_are_exact() -> None:
    for digits in (1, 639, 640, 641, 4300, 4301, 10_000):
        text = "9" * digits
        assert read(text) == 10**digits - 1 and read("-" + text) == 1 - 10**digits
    with pytest.raises(ValueError):
        read("[" * 200_000)
    with pytest.raises(ValueError):
        read(DIGITS + "x")
    with pytest.raises(ValueError):
        read(b"\xff\xff")
    flow = f'{{"steps":[{{"handler_name":"h","input_data":{DIGITS},"name":"a","service_name":"s"}}]}}'
    assert FlowDefinition.from_json(flow).to_json() == flow


EXITS = """
import asyncio, sys, agnt5
async def leave():
    sys.exit(7)
@agnt5.function
async def in_a_task():
    await asyncio.gather(leave(), asyncio.sleep(30))
@agnt5.function
async def in_a_task_left_behind():
    asyncio.ensure_future(leave())
    await asyncio.sleep(0.05)
    return "done"
@agnt5.function
async def interrupts():
    async def interrupt():
        raise KeyboardInterrupt
    await asyncio.wait_for(interrupt(), 5)
@agnt5.function
async def stops_the_loop():
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    return "done"
@agnt5.function
def no_more_threads():
    return "done"
agnt5.Worker("svc", workflows={}).run_sync()
"""


def test_handlers_that_try_to_end_the_process(daemon: Daemon) -> None:
    script = daemon.folder / "exits.py"
    script.write_text(EXITS)
    client = SyncClient(daemon.url)
    worker = daemon.worker(script)
    for name in ("in_a_task", "in_a_task_left_behind", "interrupts", "stops_the_loop", "no_more_threads"):
        client.register_workflow(name, FlowDefinition([task_step("a", service_name="svc", handler_name=name, retry=ONCE)]))
        client.start_workflow(name, None, name)
    got = {name: client.wait(name, 60) for name in ("in_a_task", "in_a_task_left_behind", "interrupts", "stops_the_loop", "no_more_threads")}
    assert got["in_a_task"]["error"]["message"] == "SystemExit: 7"
    assert got["interrupts"]["error"]["message"] == "KeyboardInterrupt"
    for name in ("in_a_task_left_behind", "stops_the_loop", "no_more_threads"):
        assert got[name]["output"] == {"a": "done"}, got[name]
    assert worker.poll() is None


def test_the_code_says_whether_an_attempt_may_be_tried_again() -> None:
    """Without a code of its own a failure that is not to be retried is told from one that may be."""
    from agnt5._failure import error_of

    assert error_of(ValueError("x"))["code"] == "handler_error"
    assert error_of(NonRetryableError("x"))["code"] == "not_retryable"
    assert error_of(NonRetryableError("x", code="mine"))["code"] == "mine"


async def test_a_cancel_while_the_worker_stops_is_heard(daemon: Daemon, own_functions: None) -> None:
    """The answer that says so is lost: the worker asks once more when it takes nothing new, and does not wait for its next heartbeat."""
    waiting, told = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def change(method: str, path: str, got: Answer | None) -> Answer:
        assert got is not None
        status, head, raw = got
        body = json.loads(raw) if raw else {}
        if "heartbeat_ms" in body:
            body["heartbeat_ms"] = 3_600_000
        if path.endswith("/poll") and body.pop("cancelled", None):
            loop.call_soon_threadsafe(told.set)
        return status, head, json.dumps(body).encode() if raw else raw

    @function
    async def forever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    with Between(daemon.url, change) as between:
        client = Client(daemon.url)
        worker = Worker("svc", coordinator_endpoint=between.url, workflows={})
        serving = asyncio.create_task(worker.run())
        await client.register_workflow("w", FlowDefinition([task_step("a", service_name="svc", handler_name="forever")]))
        await client.start_workflow("w", None, "w")
        await waiting.wait()
        await client.cancel_workflow("w", "enough")
        await told.wait()
        worker.stop()
        await serving
        assert not worker._open, "the handler never heard of it"
        await client.close()
