"""What the client can do, sync and async, against a real daemon."""

from __future__ import annotations

import asyncio
import datetime
import json
import pathlib
import re
import threading
import urllib.parse

import pytest
from conftest import ROOT, Daemon
from proxy import Answer, Between

from agnt5 import ApiError, Client, Conflict, FlowDefinition, NotFound, SyncClient, Unauthorized, Unreachable, WaitTimeout, task_step
from agnt5._runs import Filters
from agnt5.workflows import wait_signal_step

WAITS = FlowDefinition([wait_signal_step("w", signal_name="go")])


async def test_waits_use_no_threads(daemon: Daemon) -> None:
    """130 waits and more at once; every other call goes on beside them, and what is cancelled is given back."""
    before = threading.active_count()
    async with Client(daemon.url) as client:
        await client.register_workflow("w", WAITS)
        ids = [f"r{n}" for n in range(150)]
        await asyncio.gather(*(client.start_workflow("w", None, run) for run in ids))
        waits = [asyncio.create_task(client.wait(run)) for run in ids]
        while client._waits < len(ids):
            await asyncio.sleep(0)
        await asyncio.wait_for(client.signal_workflow(ids[0], "go", 1), 30)
        await asyncio.wait_for(client.signal_workflow(ids[-1], "go", 1), 30)
        for wait in (waits[0], waits[-1]):
            assert (await asyncio.wait_for(wait, 30))["state"] == "completed"
        assert threading.active_count() == before
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert client._waits == 0
        with pytest.raises(WaitTimeout):
            await client.wait(ids[1], 0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.wait(ids[1]), 0.05)
        assert (await client.get_workflow_status(ids[1]))["state"] == "running"


def test_one_client_on_one_loop_after_the_other(daemon: Daemon) -> None:
    client = Client(daemon.url)
    for _ in range(3):
        asyncio.run(client.register_workflow("w", WAITS))
        assert len(asyncio.run(client.list_definitions())) == 1


async def test_the_whole_api_is_covered(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    """Each route of the daemon's own document, but for those that are for workers, probes and browsers."""

    def pass_on(method: str, path: str, got: Answer | None) -> Answer:
        assert got is not None
        return got

    with Between(daemon.url, pass_on) as proxy:
        client = Client(proxy.url)
        await client.register_workflow("w", WAITS)
        await client.register_workflow("w", FlowDefinition([wait_signal_step("w", signal_name="go", timeout_ms=100_000), *WAITS.steps[1:]]))
        assert [d["name"] for d in await client.list_definitions()] == ["w"]
        assert "timeout_ms" not in json.dumps(await client.get_definition("w", 1)) and "timeout_ms" in json.dumps(await client.get_definition("w"))
        assert (await client.use_definition("w", 1))["version"] == 1 and "timeout_ms" not in json.dumps(await client.get_definition("w"))
        with pytest.raises(NotFound, match="workflow_not_found"):
            await client.use_definition("w", 7)
        await client.register_workflow("gone", WAITS)
        with pytest.raises(Conflict, match="version_current"):
            await client.delete_definition("w", 1)
        await client.delete_definition("w", 2)
        await client.delete_definition("gone")
        assert [(d["name"], d["versions"]) for d in await client.list_definitions()] == [("w", 1)]
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
        later = before + datetime.timedelta(hours=1)
        for n in range(5):
            await client.start_workflow("w", None, f"r{n}")
        assert len(await client.list_workflows(since=before, until=later)) == 5
        assert await client.list_workflows(until=before) == [] and await client.list_workflows(since=later.isoformat()) == []
        page = await client.list_workflows_page(limit=2)
        again = await client.list_workflows_page(page["next_cursor"], limit=3)
        assert [r["workflow_id"] for r in (*page["runs"], *again["runs"])] == ["r4", "r3", "r2", "r1", "r0"]
        assert (await client.start_workflow("w", None, "t0", tags={"team": "data", "env": "prod"}))["tags"] == {"team": "data", "env": "prod"}
        assert (await client.start_workflows([{"workflow_name": "w", "workflow_id": "t1", "tags": {"team": "data"}}]))[0]["created"]
        assert await client.tag_workflow("t1", {"seen": "yes", "team": None}) == {"seen": "yes"}
        assert await client.tag_workflow("t1", {"team": "data", "seen": None}) == {"team": "data"}
        assert [r["workflow_id"] for r in await client.list_workflows(tags={"team": "data"})] == ["t1", "t0"]
        assert [r["workflow_id"] for r in await client.list_workflows(tags={"team": "data", "env": "prod"})] == ["t0"]
        assert await client.cancel_workflows(tags={"team": "data"}) == {"matched": 2, "done": 2}
        assert await client.delete_workflows(tags={"team": "data", "env": "prod"}) == {"matched": 1, "done": 1}
        assert await client.delete_workflows(tags={"team": "data"}) == {"matched": 1, "done": 1}
        for bad in ({}, {"team": 1}, ["team"]):
            with pytest.raises((TypeError, ValueError), match="tags"):
                await client.list_workflows(tags=bad)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="tags"):
            await client.start_workflow("w", None, "t2", tags={"team": None})  # type: ignore[dict-item]
        assert await client.cancel_workflows(id_prefix="r", dry_run=True) == {"matched": 5, "done": 0}
        assert await client.cancel_workflows(id_prefix="r1", reason="enough") == {"matched": 1, "done": 1}
        assert await client.retry_workflows(state="cancelled", reason="try again") == {"matched": 1, "done": 1}
        assert [e["data"].get("reason") for e in await client.get_history("r1") if e["kind"] == "RunReopened"] == ["try again"]
        assert await client.pause_workflows(id_prefix="r1", reason="a feast") == {"matched": 1, "done": 1}
        assert await client.pause_workflows(id_prefix="r", dry_run=True) == {"matched": 4, "done": 0}
        assert [r["workflow_id"] for r in await client.list_workflows(paused=True)] == ["r1"]
        assert len((await client.list_workflows_page(paused=False))["runs"]) == 4
        assert await client.resume_workflows(all=True) == {"matched": 1, "done": 1}
        with pytest.raises(TypeError, match="paused"):
            await client.list_workflows(paused="yes")  # type: ignore[arg-type]
        assert await client.resume_all(5, "all is well") == await client.get_hold() == {"held": False, "runs": 0, "resuming": False, "resumed": 0, "per_second": 0}
        assert await client.cancel_workflows(all=True) == {"matched": 5, "done": 5}
        assert await client.retry_workflows(all=True, dry_run=True) == {"matched": 5, "done": 0}
        assert await client.delete_workflows(id_prefix="r4") == {"matched": 1, "done": 1}
        await client.retry_workflow("r0")
        assert (await client.explain("r0"))[0]["code"] == "signal"
        planned = await client.plan("r3", "retry")
        assert planned["was"] == "cancelled" and planned["state"] == "running" and planned["reopened"]
        await client.retry_workflow("r3", "it was not meant")
        assert [e["data"]["reason"] for e in await client.get_history("r3") if e["kind"] == "RunReopened"] == ["it was not meant"]
        with pytest.raises(NotFound, match="step_not_found"):
            await client.skip_step("r3", "nobody")
        with pytest.raises(NotFound, match="step_not_found"):
            await client.plan("r3", "skip", "nobody")
        with pytest.raises(ValueError, match="want complete"):
            await client.plan("r3", "mend", "w")
        planned = await client.plan("r3", "complete", "w", output={"a": 1})
        assert planned["state"] == "completed" and planned["ends"] == [{"step": "w", "was": "waiting", "state": "completed"}]
        await client.complete_step("r3", "w", {"a": 1}, "by hand")
        assert (await client.get_workflow_status("r3"))["steps"]["w"]["output"] == {"a": 1}
        with pytest.raises(Conflict, match=r"step_not_open|run_finished"):
            await client.fail_step("r3", "w")
        planned = await client.plan_fork("r3", "w", set={"w": 2})
        assert planned["plan"] == {"kept": [], "set": ["w"], "runs_again": [], "may_repeat": [], "why": {}} and not planned["created"]
        forked = await client.fork_workflow("r3", "w", set={"w": 2}, input_data={"n": 3}, fork_id="f3")
        assert forked["created"] and forked["workflow_id"] == "f3"
        assert not (await client.fork_workflow("r3", "w", set={"w": 2}, input_data={"n": 3}, fork_id="f3"))["created"]
        forked_run = await client.get_workflow_status("f3")
        assert forked_run["output"] == {"w": 2} and forked_run["input"] == {"n": 3} and forked_run["forked_from"] == {"workflow_id": "r3", "step": "w"}
        with pytest.raises(Conflict, match="run_open"):
            await client.fork_workflow("r0", "w")
        await client.delete_workflow("f3")
        await client.pause_workflow("r0", "to count")
        assert (await client.get_workflow_status("r0"))["paused"] and (await client.explain("r0"))[0]["code"] == "paused"
        await client.resume_workflow("r0")
        assert "paused" not in await client.get_workflow_status("r0")
        with pytest.raises(Conflict, match="run_finished"):
            await client.pause_workflow("r1")
        await client.signal_workflow("r0", "go")
        await client.wait("r0", 30)
        await client.delete_workflow("r0")
        assert (await client.list_events(limit=5))["next_after"] and (await client.list_events())["events"]
        assert await client.get_history("r1")
        assert await client.list_objects() == []
        with pytest.raises(NotFound, match="object_not_found"):
            await client.get_object("k")
        await client.delete_object("k")
        assert (await client.put_service("pay", "http://127.0.0.1:9/tasks", ["charge"], capacity=2, timeout_ms=500))["secret"]
        assert (await client.get_service("pay"))["capacity"] == 2 and len(await client.list_services()) == 1
        await client.delete_service("pay")
        nightly = {"workflow": "w", "cron": ["0 2 * * *"], "time_zone": "Europe/Berlin"}
        assert (await client.put_schedule("nightly", nightly))["revision"] == 1
        assert (await client.put_schedule("nightly", "workflow: w\nevery: 1h\n", revision=1))["revision"] == 2
        with pytest.raises(Conflict, match="schedule_changed"):
            await client.put_schedule("nightly", nightly, revision=1)
        assert (await client.get_schedule("nightly"))["definition"]["every_ms"] == 3_600_000
        assert [s["name"] for s in await client.list_schedules()] == ["nightly"]
        assert len(await client.next_times("nightly", 3)) == 3 and len(await client.preview_schedule(nightly, 5)) == 5
        assert (await client.pause_schedule("nightly", "a feast"))["state"] == "paused"
        assert (await client.explain_schedule("nightly"))[0]["code"] == "paused"
        assert (await client.resume_schedule("nightly", catch_up=True))["state"] == "active"
        triggered = await client.trigger_schedule("nightly", input_data={"day": 1})
        assert triggered["outcome"] == "triggered" and [row["run_id"] for row in await client.get_ledger("nightly")] == [triggered["run_id"]]
        assert (await client.backfill_schedule("nightly", before - datetime.timedelta(hours=2), before, dry_run=True))["times"] == 2
        await client.cancel_workflow(triggered["run_id"])
        await client.delete_schedule("nightly")
        assert isinstance(await client.list_workers(), list) and "version" in await client.get_version()
        await client.pause_service("nobody", "a feast")
        assert [(s["kind"], s["paused"]["reason"]) for s in await client.list_services() if s["name"] == "nobody"] == [("poll", "a feast")]
        await client.resume_service("nobody")
        assert not [s for s in await client.list_services() if s["name"] == "nobody"]
        with pytest.raises(NotFound, match="timer_not_found"):
            await client.fire_timer("r1", "t")
        with pytest.raises(NotFound, match="no_test_clock"):
            await client.advance_clock("1h")
        assert (await client.get_graph("w"))["nodes"] and (await client.count_workflows())["states"]
        assert isinstance(await client.get_timeline("r1"), list) and await client.get_logs("r1") == []
        assert "differs" in await client.diff_workflows("r1", "r2")
        for step_of in (client.get_step_output("r1", "w"), client.get_logs("r1", "no")):
            with pytest.raises(ApiError):
                await step_of
        assert (await client.get_settings())["listen"]
        assert [(a["workflow_id"], a["created"]) for a in await client.start_workflows([{"workflow_name": "w", "workflow_id": "many"}])] == [("many", True)]
        token = (await client.create_token("root", "admin", ttl_ms=3_600_000))["token"]
        with pytest.raises(Unauthorized, match="no access token"):
            await client.list_tokens()
        await client.close()
        kept = tmp_path / "token"
        kept.write_text(token + "\n")
        client = Client(proxy.url, token_file=kept)
        assert [t["name"] for t in await client.list_tokens()] == ["root"]
        hint = await client.revoke_token("root")
        assert hint is not None and "no admin token is left" in hint
        asked = set(proxy.asked)
        await client.close()
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    not_for_clients = {
        "POST /v1/workers", "POST /v1/workers/{id}/poll", "GET /v1/workers/{id}/stream", "POST /v1/workers/{id}/heartbeat", "DELETE /v1/workers/{id}",  # Worker does
        "GET /", "GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json", "GET /errors/{code}", "GET /v1/journal", "POST /v1/backups", "GET /v1/compaction", "POST /v1/compaction", "GET /schema/workflow.json",
        "GET /v1/session", "POST /v1/session", "DELETE /v1/session",
    }  # fmt: skip
    seen = set()
    for line in asked:
        method, path = line.split(" ")
        for route in routes:
            if route.startswith(method + " ") and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.split(" ")[1]), urllib.parse.urlsplit(path).path):
                seen.add(route)
    assert routes - seen - not_for_clients == set()


@pytest.mark.parametrize("run", ["r", None])
async def test_events_as_they_come(daemon: Daemon, run: str | None) -> None:
    """Streams that break off go on where they were; the daemon is killed in the middle."""
    client, sync = Client(daemon.url), SyncClient(daemon.url)
    flow = FlowDefinition([wait_signal_step("a", signal_name="go"), wait_signal_step("b", signal_name="go", dependencies=["a"])])
    await client.register_workflow("w", flow)
    await client.start_workflow("w", None, "r")
    got: list[dict] = []
    by_sync: list[dict] = []

    def read() -> None:
        for event in sync.follow_events(run):
            by_sync.append(event)
            if event["kind"] == "RunCompleted":
                break

    thread = threading.Thread(target=read)
    thread.start()
    async for event in client.follow_events(run):
        got.append(event)
        if event["kind"] == "RunStarted":
            await client.signal_workflow("r", "go", "x" * 200_000)
        elif event["kind"] == "StepCompleted" and event["step"] == "a":
            daemon.kill()
            daemon.start()
            await client.signal_workflow("r", "go", "é\r\n\u2028")
        elif event["kind"] == "RunCompleted":
            break
    await asyncio.get_running_loop().run_in_executor(None, thread.join)
    assert [e["seq"] for e in got] == sorted({e["seq"] for e in got}) and [e["seq"] for e in by_sync] == [e["seq"] for e in got]
    if run:
        assert got == await client.get_history(run)
        assert [e async for e in client.follow_events(run)] == got == list(sync.follow_events(run))  # it ends by itself
        assert [e async for e in client.follow_events(run, after=got[-2]["seq"])] == got[-1:]
    with pytest.raises(NotFound):
        [e async for e in client.follow_events("nope")]
    daemon.kill()
    with pytest.raises(Unreachable):
        [e async for e in Client(daemon.url, patience=0).follow_events(run)]
    daemon.start()
    await client.close()


@pytest.mark.parametrize("how", ["chunks", "until the end", "continue first", "closes"])
async def test_answers_in_every_form(tmp_path: pathlib.Path, how: str) -> None:
    """What proxies make of an answer."""
    body = b'{"version": "x", "long": "' + b"y" * 100_000 + b'"}'
    head = {
        "chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(b"%x;a=b\r\n%s\r\n" % (len(p), p) for p in (body[:10], body[10:])) + b"0\r\nTrailer: 1\r\n\r\n",
        "until the end": b"HTTP/1.0 200 OK\r\n\r\n" + body,
        "continue first": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nCONTENT-LENGTH: %d\r\n\r\n" % len(body) + body,
        "closes": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body,
    }[how]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(head)
            await writer.drain()
            if how in ("until the end", "closes"):
                break
        writer.close()

    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(quiet, "127.0.0.1", 0)
    async with server:
        client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for _ in range(3):
            assert (await client.get_version())["version"] == "x"
        await client.close()


async def test_no_answer_is_unreachable() -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n\r\n")
        writer.close()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    for answer in (nothing, nonsense, silence):
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", patience=0, timeout=0.2)
            with pytest.raises(Unreachable):
                await client.get_version()
            await client.close()
    for bad in ("a\r\nX: y", "é", "a\n"):
        with pytest.raises(ValueError, match="line break"):
            Client("http://127.0.0.1:9", api_key=bad)


def test_errors_of_a_definition_are_listed(daemon: Daemon) -> None:
    with pytest.raises(ApiError) as caught:
        SyncClient(daemon.url).register_workflow("w", FlowDefinition([task_step("a", service_name="s"), task_step("a", service_name="s", handler_name="h")]))  # type: ignore[call-arg]
    assert len(caught.value.errors) >= 2


def test_a_run_is_looked_at_closely(daemon: Daemon) -> None:
    with SyncClient(daemon.url) as client:
        client.register_workflow("w", FlowDefinition([wait_signal_step("a", signal_name="go"), wait_signal_step("b", signal_name="stay", dependencies=["a"])]))
        for run, payload in ("one", {"n": 1}), ("two", {"n": 2}):
            client.start_workflow("w", None, run)
            client.signal_workflow(run, "go", payload)
        first = client.get_history("one")[0]
        then = client.get_workflow_status("one", at=first["seq"])
        assert then["steps"]["a"]["state"] == "pending" and then["as_of"] == {"seq": first["seq"], "n": 1, "at": first["at"]}
        assert client.get_workflow_status("one")["steps"]["a"]["state"] == "completed"
        assert client.get_step_output("one", "a") == {"n": 1}
        with pytest.raises(Conflict, match="step_not_completed"):
            client.get_step_output("one", "b")
        with pytest.raises(NotFound, match="step_not_found"):
            client.get_step_output("one", "c")
        assert [(span["step"], span.get("outcome")) for span in client.get_timeline("one")] == [("a", "completed"), ("b", None)]
        assert client.get_timeline("one", at=first["seq"]) == []
        differs = client.diff_workflows("one", "two")
        assert differs["divergence"]["signal"] == "go" and [step["step"] for step in differs["steps"]] == ["a"]
        assert client.diff_workflows("one", "one", all_steps=True)["steps"][0]["differs"] == []
        graph = client.get_graph("w", 1)
        assert [node["name"] for node in graph["nodes"]] == ["a", "b"] and graph["edges"][0]["to"] == 1
        assert client.count_workflows()["states"]["running"] == 2
        assert {run["reason"]["step"] for run in client.list_workflows(include="reason")} == {"b"}
        assert client.list_workflows(error_code="gone") == client.list_workflows(ended_since="2026-01-01T00:00:00Z") == []
        assert client.cancel_workflows(stuck_for="1h", include="signals", dry_run=True) == {"matched": 0, "done": 0}


def test_the_filters_are_those_of_the_api() -> None:
    api = json.loads((ROOT / "docs" / "openapi.json").read_text())
    known = {p["name"] for p in api["paths"]["/v1/runs"]["get"]["parameters"] if p["in"] == "query"}
    assert {name.removesuffix("_name") for name in Filters.__annotations__} == known - {"limit", "cursor", "sort", "children", "tag"} | {"tags"}
    client = SyncClient("http://127.0.0.1:9", patience=0)
    with pytest.raises(TypeError, match="there is no filter workflow; want workflow_name, "):
        client.list_workflows(workflow="w")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="state is empty"):
        client.cancel_workflows(state="")
    with pytest.raises(TypeError, match="error_code: want a text, not int"):
        client.list_workflows(error_code=5)  # type: ignore[arg-type]


async def test_many_runs_start_at_once_and_one_brings_its_signal(daemon: Daemon) -> None:
    waits = FlowDefinition([wait_signal_step("a", signal_name="go")])
    async with Client(daemon.url) as client:
        await client.register_workflow("w", waits)
        started = await client.start_workflow("w", None, "one", signal={"name": "go", "payload": {"x": 1}})
        assert started["state"] == "completed" and started["output"] == {"a": {"x": 1}}
        with pytest.raises(Conflict, match="run_finished"):
            await client.start_workflow("w", None, "one", signal={"name": "go"})
        signal = {"name": "go", "payload": 2}
        got = await client.start_workflows(
            [
                {"workflow_name": "w", "workflow_id": "two", "signal": signal},
                {"workflow_name": "w", "workflow_id": None},
                {"workflow_name": "nothing", "workflow_id": "x"},
                {"workflow_name": "w", "workflow_id": "one", "input_data": 5},
            ]
        )
        assert [run.get("error", {}).get("code") for run in got] == [None, None, "workflow_not_found", "run_conflict"]
        assert got[0] == {"workflow_id": "two", "created": True} and got[1]["created"] and got[1]["workflow_id"]
        assert (await client.get_workflow_status("two"))["output"] == {"a": 2}
        with pytest.raises(ValueError, match="workflow_id"):
            await client.start_workflows([{"workflow_name": "w", "workflow_id": ".."}])
        for n, later in enumerate(({"delay": "1h"}, {"delay": datetime.timedelta(hours=1)}, {"start_at": datetime.datetime(2999, 1, 1, tzinfo=datetime.UTC)})):
            waits = await client.start_workflow("w", None, f"later{n}", **later)
            assert waits["start_at"] and waits["steps"]["a"]["state"] == "pending"
            assert (await client.start_workflows([{"workflow_name": "w", "workflow_id": f"many{n}"} | later]))[0]["created"]
            assert (await client.get_workflow_status(f"many{n}"))["start_at"]
        with pytest.raises(ValueError, match="no time zone"):
            await client.start_workflow("w", start_at=datetime.datetime(2999, 1, 1))


def test_a_setting_with_the_daemons_prefix(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is taken where the right name is not set, and said once."""
    monkeypatch.delenv("AGNT5_URL", raising=False)
    monkeypatch.setenv("AGNT5D_URL", daemon.url)
    for _ in range(2):
        assert SyncClient().list_definitions() is not None
    assert [r.getMessage() for r in caplog.records if "AGNT5D_URL" in r.getMessage()] == [
        "AGNT5D_URL is taken for AGNT5_URL: AGNT5D_ is for settings of the daemon"
    ]
    monkeypatch.setenv("AGNT5_URL", "http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        SyncClient(patience=0).list_definitions()
