"""Answers of newer daemons, of proxies and of other servers; ids that name nothing."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import json
import pathlib
import threading

import pytest
from conftest import Daemon
from proxy import Answer, Between, as_newer

from agnt5 import Agnt5Error, ApiError, Client, FlowDefinition, NotFound, SyncClient, UnknownAnswer, Worker, function, functions, task_step
from agnt5.workflows import wait_signal_step, wait_timer_step


@pytest.fixture
def own_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_functions", {})


FLOW = FlowDefinition(
    [
        wait_signal_step("w", signal_name="go"),
        wait_timer_step("t", timer_key="k", delay_ms=3_600_000),
        task_step("a", service_name="svc", handler_name="count", object_keys=["n/1"], dependencies=["w", "t"]),
    ]
)


async def test_fields_of_a_newer_daemon_do_not_matter(daemon: Daemon, own_functions: None) -> None:
    cancelled = asyncio.Event()

    @function
    def count(ctx) -> int:
        ctx.objects["n/1"] = (ctx.objects["n/1"] or 0) + 1
        ctx.heartbeat({"here": 1})
        return int(ctx.objects["n/1"])

    @function
    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with Between(daemon.url, as_newer) as proxy:
        client = Client(proxy.url)
        worker = Worker("svc", coordinator_endpoint=proxy.url, workflows={"forever": FlowDefinition([task_step("a", service_name="svc", handler_name="forever")])})
        serving = asyncio.create_task(worker.run())
        await client.register_workflow("w", FLOW)
        assert (await client.start_workflow("w", {"x": 1}, "r"))["workflow_id"] == "r"
        assert (await client.get_workflow_status("r"))["steps"]["w"]["state"] == "waiting"
        assert {reason["code"] for reason in await client.explain("r")} == {"signal", "timer"}
        await client.signal_workflow("r", "go", 5)
        await client.fire_timer("r", "k")
        assert (await client.wait("r", 60))["output"] == {"a": 1}
        assert [e for e in await client.get_history("r") if e["kind"] == "RunCompleted"]
        await client.start_workflow("forever", None, "f")
        while (await client.get_workflow_status("f"))["steps"]["a"]["state"] != "running":
            await asyncio.sleep(0.01)
        await client.cancel_workflow("f")
        await asyncio.wait_for(cancelled.wait(), 30)
        await client.retry_workflow("f")
        await client.cancel_workflow("f", "again")
        assert len(await client.list_workflows()) == 2
        with pytest.raises(NotFound, match="run_not_found"):
            await client.explain("nope")
        assert not serving.done()
        worker.stop()
        await serving
        await client.delete_workflow("f")
        await client.close()


CALLS = {
    "register_workflow": {"name": "w", "definition": FLOW},
    "start_workflow": {"workflow_name": "w", "workflow_id": "r"},
    "put_schedule": {"name": "n", "definition": {"workflow": "w", "every": "1h"}},
    "get_schedule": {"name": "n"},
    "list_schedules": {},
    "delete_schedule": {"name": "n"},
    "pause_schedule": {"name": "n"},
    "resume_schedule": {"name": "n"},
    "trigger_schedule": {"name": "n"},
    "backfill_schedule": {"name": "n", "start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"},
    "next_times": {"name": "n"},
    "preview_schedule": {"definition": {"workflow": "w", "every": "1h"}},
    "get_ledger": {"name": "n"},
    "explain_schedule": {"name": "n"},
    "start_workflows": {"runs": [{"workflow_name": "w", "workflow_id": "r"}]},
    "get_workflow_status": {"workflow_id": "r"},
    "wait": {"workflow_id": "r"},
    "signal_workflow": {"workflow_id": "r", "signal_name": "go", "signal_id": "s"},
    "cancel_workflow": {"workflow_id": "r"},
    "retry_workflow": {"workflow_id": "r"},
    "tag_workflow": {"workflow_id": "r", "tags": {"team": "data"}},
    "complete_step": {"workflow_id": "r", "step": "s"},
    "fork_workflow": {"workflow_id": "r", "from_step": "s"},
    "plan_fork": {"workflow_id": "r", "from_step": "s"},
    "plan": {"workflow_id": "r", "do": "skip", "step": "s"},
    "skip_step": {"workflow_id": "r", "step": "s"},
    "fail_step": {"workflow_id": "r", "step": "s"},
    "pause_service": {"name": "n"},
    "resume_service": {"name": "n"},
    "get_hold": {},
    "resume_all": {},
    "pause_workflow": {"workflow_id": "r"},
    "resume_workflow": {"workflow_id": "r"},
    "fire_timer": {"workflow_id": "r", "timer_key": "t"},
    "advance_clock": {"advance": "1h"},
    "delete_workflow": {"workflow_id": "r"},
    "list_workflows": {"workflow_name": "w", "state": "running", "id_prefix": "r", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
    "list_workflows_page": {"ended_since": "2026-01-01T00:00:00Z", "error_code": "x", "text": "x", "stuck_for": "1m", "workflow_name": "w", "state": "running", "id_prefix": "r", "cursor": "c"},
    "count_workflows": {"stuck_for": "1h"},
    "cancel_workflows": {"workflow_name": "w", "state": "running", "id_prefix": "r", "since": "2026-01-01T00:00:00Z"},
    "pause_workflows": {"workflow_name": "w", "state": "running", "id_prefix": "r"},
    "resume_workflows": {"workflow_name": "w", "state": "running", "id_prefix": "r"},
    "retry_workflows": {"workflow_name": "w", "state": "failed", "id_prefix": "r", "until": "2026-01-01T00:00:00Z"},
    "delete_workflows": {"workflow_name": "w", "state": "failed", "id_prefix": "r", "until": "2026-01-01T00:00:00Z"},
    "list_definitions": {},
    "get_definition": {"name": "w"},
    "get_graph": {"name": "w"},
    "use_definition": {"name": "w", "version": 1},
    "delete_definition": {"name": "w", "version": 1},
    "list_events": {},
    "follow_events": {"workflow_id": "r"},
    "list_objects": {"prefix": "k"},
    "get_object": {"key": "k"},
    "delete_object": {"key": "k"},
    "list_workers": {},
    "list_services": {},
    "get_service": {"name": "s"},
    "put_service": {"name": "s", "url": "http://127.0.0.1:9", "handlers": ["h"]},
    "delete_service": {"name": "s"},
    "list_tokens": {},
    "create_token": {"name": "n", "scope": "read"},
    "revoke_token": {"name": "n"},
    "get_settings": {},
    "get_version": {},
    "get_history": {"workflow_id": "r"},
    "diff_workflows": {"a": "r", "b": "s"},
    "get_step_output": {"workflow_id": "r", "step": "a"},
    "get_items": {"workflow_id": "r", "step": "a"},
    "get_timeline": {"workflow_id": "r"},
    "explain": {"workflow_id": "r"},
    "get_logs": {"workflow_id": "r", "step": "a"},
}


DOTS_ARE_FINE = {"stuck_for", "ended_since", "error_code", "text", "state", "id_prefix", "since", "until", "start", "end", "cursor", "prefix"}  # filters, not names
NOT_LOOKED_AT = {"definition", "version", "url", "handlers", "advance", "tags"}


def use(client: SyncClient, call: str, **given: object) -> object:
    if call == "follow_events":
        return list(client.follow_events(**given))  # type: ignore[arg-type]
    return getattr(client, call)(**given)


async def use_async(client: Client, call: str, **given: object) -> object:
    if call == "follow_events":
        return [event async for event in client.follow_events(**given)]  # type: ignore[arg-type]
    return await getattr(client, call)(**given)


def says(status: int, head: dict[str, str], raw: bytes):  # type: ignore[no-untyped-def]
    def change(method: str, path: str, got: Answer | None) -> Answer:
        return status, head, raw

    return change


def test_every_call_is_looked_at() -> None:
    """And both clients have the same ones, with the same parameters."""
    for client in (SyncClient, Client):
        public = {name: fn for name, fn in inspect.getmembers(client, inspect.isfunction) if not name.startswith("_") and name != "close"}
        assert set(public) == set(CALLS)
        for name, fn in public.items():
            assert inspect.signature(fn) == inspect.signature(getattr(Client, name)) and fn.__doc__
    assert inspect.iscoroutinefunction(Client.wait) and not inspect.iscoroutinefunction(SyncClient.wait)


@pytest.mark.parametrize("call", [call for call in CALLS if CALLS[call]])
async def test_what_names_nothing_is_refused_before_any_request(call: str) -> None:
    with Between(None, says(200, {}, b"{}")) as proxy, SyncClient(proxy.url) as sync:
        client = Client(proxy.url)
        for name in CALLS[call].keys() - NOT_LOOKED_AT:
            for bad in ("",) if name in DOTS_ARE_FINE or call.startswith(("list", "cancel_workflows", "pause_workflows", "resume_workflows", "retry_workflows", "delete_workflows")) else ("", ".", ".."):
                wrong = CALLS[call] | {name: bad}
                with pytest.raises(ValueError, match=name):
                    use(sync, call, **wrong)
                with pytest.raises(ValueError, match=name):
                    await use_async(client, call, **wrong)
            with pytest.raises(TypeError, match=name):
                use(sync, call, **CALLS[call] | {name: 5})
        assert proxy.asked == []
        await client.close()


@pytest.mark.parametrize("call", ["cancel_workflows", "pause_workflows", "resume_workflows", "retry_workflows", "delete_workflows"])
async def test_many_runs_want_a_filter_or_all(call: str) -> None:
    with Between(None, says(200, {}, b"{}")) as proxy, SyncClient(proxy.url) as sync:
        with pytest.raises(ValueError, match="all=True"):
            use(sync, call)
        with pytest.raises(ValueError, match="all=True"):
            await use_async(Client(proxy.url), call, dry_run=True)
        with pytest.raises(ValueError, match="time zone"):
            use(sync, call, since=datetime.datetime(2026, 1, 1))
        assert proxy.asked == []


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [301, 302, 307, 308, 300, 400, 404, 418, 500])
async def test_only_success_is_success(call: str, status: int) -> None:
    """A proxy that redirects, or a page of another server: an error, and no second request."""
    with Between(None, says(status, {"Location": "http://127.0.0.1:9/elsewhere"}, b"<html>moved</html>")) as proxy, SyncClient(proxy.url) as sync:
        with pytest.raises(ApiError) as caught:
            use(sync, call, **CALLS[call])
        assert caught.value.status == status and isinstance(caught.value, UnknownAnswer)
        if status < 400:
            assert caught.value.code == "redirected" and "http://127.0.0.1:9/elsewhere" in str(caught.value)
        client = Client(proxy.url)
        with pytest.raises(UnknownAnswer):
            await use_async(client, call, **CALLS[call])
        assert len(proxy.asked) == 2
        await client.close()


@pytest.mark.parametrize("call", [call for call in CALLS if not call.startswith(("delete", "follow", "revoke"))])
async def test_answers_that_cannot_be_read_are_errors(call: str) -> None:
    for raw in (b"<html>hello</html>", b"[" * 100_000, b"\xff\xfe\xff", b"[]", b'{"a": 1}', b""):
        if raw == b'{"a": 1}' and CALLS[call] and call in ("cancel_workflow", "retry_workflow", "pause_workflow", "resume_workflow", "pause_service", "resume_service", "complete_step", "skip_step", "fail_step", "fire_timer"):
            continue  # nothing of their answer is read
        if (call == "get_version" and raw == b'{"a": 1}') or (call == "get_step_output" and raw in (b"[]", b'{"a": 1}', b"")):
            continue  # that is an answer
        with Between(None, says(200, {}, raw)) as proxy, SyncClient(proxy.url) as sync:
            with pytest.raises(UnknownAnswer):
                use(sync, call, **CALLS[call])
            client = Client(proxy.url)
            with pytest.raises(UnknownAnswer):
                await use_async(client, call, **CALLS[call])
            await client.close()


ANYTHING = json.dumps({"events": [], "reasons": [], "state": "running", "workflow_id": "r", "version": 1, "definition": {}, "key": "k", "url": "u", "signal_id": "s", "plan": {}, "ends": []}).encode()


def test_every_part_of_a_path_is_encoded() -> None:
    """A slash, a hash or a space in an id never makes another path, and a dot is never left to a proxy to clean away."""
    ids = {"a/b": "a%2Fb", "a#b": "a%23b", "[x]": "%5Bx%5D", "a:b": "a%3Ab", "//": "%2F%2F", "/..": "%2F..", "...": "...", "é %": "%C3%A9%20%25", "a?b&c": "a%3Fb%26c"}
    for text, encoded in ids.items():
        with Between(None, says(200, {}, ANYTHING)) as proxy, SyncClient(proxy.url) as client:
            client.get_workflow_status(text)
            client.get_history(text)
            client.explain(text)
            client.start_workflow(text)
            client.register_workflow(text, FLOW)
            client.get_definition(text)
            client.get_object(text)
            client.delete_object(text)
            client.put_service(text, "http://x", ["h"])
            client.get_service(text)
            client.delete_service(text)
            client.pause_service(text)
            client.resume_service(text)
            client.signal_workflow(text, text)
            client.fire_timer(text, text)
            client.cancel_workflow(text)
            client.retry_workflow(text)
            client.pause_workflow(text)
            client.complete_step(text, text)
            client.skip_step(text, text)
            client.fork_workflow(text, text)
            client.plan_fork(text, text)
            client.plan(text, "fail", text)
            client.fail_step(text, text)
            client.resume_workflow(text)
            client.delete_workflow(text)
            for line in proxy.asked:
                parts = line.split(" ")[1].partition("?")[0].split("/")
                assert parts[1] == "v1" and parts[3] == encoded and len(parts) <= 7, line
                assert set(parts[4:]) <= {"events", "explain", "runs", "signals", "timers", "fire", "cancel", "retry", "pause", "resume", "steps", "complete", "skip", "fail", "fork", encoded}, line


@pytest.mark.parametrize("trouble", ["cut off", "a page of a proxy", "another server's JSON", "too many requests", "no such page", "a redirect"])
async def test_a_worker_outlives_what_a_proxy_answers(daemon: Daemon, own_functions: None, trouble: str) -> None:
    """Polls, outcomes and heartbeats meet it, each several times; nothing is lost and nothing is done twice."""
    ran: list[str] = []
    left = {"tasks": 3, "results": 3, "heartbeat": 2}
    beaten = threading.Event()

    def change(method: str, path: str, got: Answer | None) -> Answer:
        assert got is not None
        if path.endswith("/heartbeat"):
            kind = "heartbeat"
        elif b'"results":[{' in got[2]:
            kind = "results"
        elif b'"tasks":[{' in got[2]:
            kind = "tasks"
        else:
            return got
        if not left[kind]:
            if kind == "heartbeat":
                beaten.set()
            return got
        left[kind] -= 1
        status, head, raw = got
        return {
            "cut off": (status, head, raw[: len(raw) // 2]),
            "a page of a proxy": (502, {}, b"<html>bad gateway</html>"),
            "another server's JSON": (200, {}, b'[{"hello": "world"}]'),
            "too many requests": (429, {}, b"slow down"),
            "no such page": (404, {}, b"<html>no such page</html>"),
            "a redirect": (307, {"Location": "https://elsewhere.example/"}, b""),
        }[trouble]

    @function
    def first(ctx) -> str:
        ran.append(ctx.workflow_id)
        beaten.wait(30)
        return "done"

    with Between(daemon.url, change) as proxy:
        client = Client(daemon.url)
        await client.register_workflow("w", FlowDefinition([task_step("a", service_name="svc", handler_name="first")]))
        worker = Worker("svc", coordinator_endpoint=proxy.url, workflows={}, capacity=4)
        serving = asyncio.create_task(worker.run())
        for n in range(8):
            await client.start_workflow("w", None, f"r{n}")
        for n in range(8):
            assert (await client.wait(f"r{n}", 60))["output"] == {"a": "done"}
        assert sorted(ran) == [f"r{n}" for n in range(8)]
        assert left == {"tasks": 0, "results": 0, "heartbeat": 0}
        assert not serving.done()
        worker.stop()
        await serving
        await client.close()


@pytest.mark.parametrize(
    ("status", "raw", "says_so"),
    [(200, b"{}", "not as agnt5d does"), (200, b"hello", "cannot be read"), (404, b"<html></html>", "not as agnt5d does"), (301, b"", "redirect"), (401, json.dumps({"code": "unauthorized", "detail": "no key"}).encode(), "no key")],
)  # fmt: skip
def test_a_worker_at_a_wrong_address_says_so_in_one_line(own_functions: None, tmp_path: pathlib.Path, status: int, raw: bytes, says_so: str) -> None:
    @function
    def nothing() -> None: ...

    with Between(None, says(status, {"Location": "http://elsewhere/"}, raw)) as proxy:
        with pytest.raises(Agnt5Error, match=says_so) as caught:
            Worker("svc", coordinator_endpoint=proxy.url, workflows={}).run_sync()
        assert "\n" not in str(caught.value) and caught.value.__cause__ is None and len(caught.traceback) <= 3
        assert proxy.asked == ["POST /v1/workers"]


def test_addresses_that_cannot_be_right(own_functions: None) -> None:
    @function
    def nothing() -> None: ...

    with pytest.raises(ValueError, match="leave out /v1"):
        Worker("svc", coordinator_endpoint="http://127.0.0.1:8080/v1/")
    with Between(None, says(200, {}, b"{}")) as proxy:
        with pytest.raises(Agnt5Error, match="use http://"):
            Worker("svc", coordinator_endpoint=proxy.url.replace("http:", "https:"), workflows={}).run_sync()
        with pytest.raises(UnknownAnswer, match="use http://"):
            SyncClient(proxy.url.replace("http:", "https:")).explain("r")
