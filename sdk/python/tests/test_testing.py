"""The test kit, as a project would use it: pytest in a process of its own, with the plugin."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from agnt5 import NonRetryableError
from agnt5.testing import call_handler, find_daemon, make_context


def run_pytest(folder: pathlib.Path, text: str, *flags: str, **env: str) -> str:
    (folder / "test_it.py").write_text(textwrap.dedent(text))
    around = {k: v for k, v in os.environ.items() if k != "AGNT5_URL"} | {"PYTHONPATH": os.pathsep.join(sys.path)} | env
    out = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "agnt5._pytest", *flags],
        cwd=folder, env=around, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return out.stdout + out.stderr


APPROVAL = """
    import asyncio
    import pytest
    from agnt5 import *
    from agnt5 import testing

    tried = []

    @function
    def write(ctx, topic):
        tried.append(ctx.attempt)
        return {"text": f"about {topic}"}

    @workflow()
    def approval() -> FlowDefinition:
        return FlowDefinition([
            task_step("write", service_name="docs", handler_name="write", retry={"initial_interval_ms": 1}),
            wait_signal_step("approved", signal_name="ok", timeout_ms=3_600_000, dependencies=["write"], on_timeout="escalate"),
            task_step("escalate", service_name="mail", handler_name="send"),
            wait_timer_step("night", timer_key="night", cron_expr="0 3 * * *", dependencies=["approved"]),
            task_step("publish", service_name="web", handler_name="publish", dependencies=["night"], object_keys=["page"]),
        ])
"""


def test_a_project_tests_its_workflow(tmp_path: pathlib.Path) -> None:
    said = run_pytest(
        tmp_path,
        APPROVAL
        + """
    def test_two_days_pass(agnt5):
        agnt5.stub("mail", "send", returns="sent")
        agnt5.stub("web", "publish", returns="out")
        run = agnt5.start("approval", {"topic": "bees"}).wait_for("approved", "waiting")
        agnt5.advance("1h")
        run.wait_for("escalate", "completed")
        agnt5.advance("1d")
        run.wait()

    def test_published(agnt5):
        sent = agnt5.stub("mail", "send", returns="sent")
        published = agnt5.stub("web", "publish", does=lambda ctx, night: night)
        run = agnt5.start("approval", {"topic": "bees"}).wait_for("approved", "waiting")
        run.signal("ok", {"by": "ada"}).fire("night")
        run.wait().assert_completed().assert_path("write", "approved", "night", "publish").assert_skipped("escalate")
        assert run.output["publish"]["fired_at"] and sent.calls == [] and published.calls[0].workflow_input == {"topic": "bees"}
        assert run.step("approved")["output"] == {"by": "ada"} and run.error is None

    def test_second_attempt(agnt5):
        agnt5.stub("web", "publish", returns=None)
        written = agnt5.stub("docs", "write", raises=[OSError("disk"), None], returns="text")
        agnt5.stub("mail", "send")
        run = agnt5.start("approval", {"topic": "bees"}).signal("ok").fire("night").wait()
        run.assert_completed().assert_attempts("write", 2)
        assert [ctx.attempt for ctx in written.calls] == [1, 2]

    def test_failure(agnt5):
        agnt5.stub("docs", "write", raises=NonRetryableError("no", code="no_topic"))
        agnt5.run("approval", {"topic": "bees"}).assert_failed("write", "no_topic")

    def test_what_nobody_serves_is_said(agnt5):
        run = agnt5.start("approval", {"topic": "bees"}).signal("ok").fire("night").wait()
        run.assert_failed("publish", "handler_missing")
        assert "stub('web', 'publish', ...)" in run.error["message"]

    def test_assertions_say_what_was(agnt5):
        run = agnt5.start("approval", {"topic": "bees"})
        with pytest.raises(AssertionError, match='signal "ok"'):
            run.wait(0.2)
        with pytest.raises(AssertionError, match="is running"):
            run.assert_completed()
        with pytest.raises(AssertionError, match="not \\\\['publish'\\\\]"):
            run.assert_path("publish")
        with pytest.raises(AssertionError, match="no step 'nope'; it has"):
            run.step("nope")
        with pytest.raises(RuntimeError, match="before the first run"):
            agnt5.stub("web", "publish")
        run.cancel("enough").wait()
        assert run.state == "cancelled"

    def test_for_this_test_only(agnt5):
        @function
        def here():
            return 1
        agnt5.register("local", FlowDefinition([task_step("a", service_name="x", handler_name="here")]))
        assert agnt5.run("local").output == {"a": 1}

    def test_what_a_test_registers_is_forgotten():
        assert "here" not in get_registered_functions() and list(get_registered_workflows()) == ["approval"]

    def test_the_daemon_is_killed(agnt5, agnt5_daemon):
        agnt5.stub("web", "publish", returns="here")
        run = agnt5.start("approval", {"topic": "bees"}).wait_for("approved", "waiting")
        agnt5_daemon.kill()
        agnt5_daemon.start()
        run.signal("ok").fire("night").wait().assert_completed()

    async def test_a_coroutine_at_the_default_address(tmp_path):
        for client in (Client(), Client("http://localhost:8080")):
            got = await client.start_workflow("approval", {"topic": "bees"})
            await client.signal_workflow(got["workflow_id"], "ok")
            while (await client.get_workflow_status(got["workflow_id"]))["steps"]["night"]["state"] != "waiting":
                await asyncio.sleep(0.01)
            await client.close()
        assert tried and tmp_path.is_dir()

    def test_without_the_fixture():
        with testing.Kit() as kit:
            kit.stub("web", "publish")
            kit.start("approval", {"topic": "bees"}).signal("ok").fire("night").wait().assert_completed()
            folder = kit.daemon.folder
        assert not folder.exists()
    """,
    )
    assert "11 passed" in said, said


def test_another_daemon_can_be_named(tmp_path: pathlib.Path) -> None:
    for flags, env in ((["--agnt5-url", "http://127.0.0.1:9"], {}), ([], {"AGNT5_URL": "http://127.0.0.1:9"})):
        said = run_pytest(
            tmp_path,
            """
            import agnt5
            def test_it():
                assert agnt5.Client().url == "http://127.0.0.1:9"
                assert agnt5.Client("http://127.0.0.1:8080").url == "http://127.0.0.1:8080"
            """,
            *flags,
            **env,
        )
        assert "1 passed" in said, said


def test_where_the_daemon_is(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGNT5D_BIN", "/named")
    assert find_daemon() == "/named"
    monkeypatch.delenv("AGNT5D_BIN")
    fake = tmp_path / "agnt5d"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_daemon() == str(fake)
    said = run_pytest(tmp_path, "def test_it(agnt5_daemon): ...", AGNT5D_BIN=str(fake))
    assert "agnt5d did not start" in said


def test_handlers_are_called_directly() -> None:
    async def add(ctx, rows: list, item: str = "cup") -> dict:
        ctx.heartbeat({"rows": len(rows)})
        cart = ctx.objects["cart"] or []
        ctx.objects["cart"] = [*cart, item]
        return {"n": len(rows), "key": ctx.idempotency_key, "attempt": ctx.attempt}

    got = call_handler(add, dependencies={"load": {"rows": (1, 2)}}, objects={"cart": ["pot"]}, attempt=2)
    assert got.output == {"n": 2, "key": "test-run/step", "attempt": 2}
    assert got.objects == {"cart": ["pot", "cup"]} and got.heartbeats == [{"rows": 2}]
    filled = call_handler(add, input={"rows": [1], "item": "jug"}, input_data={"rows": []}, objects={"cart": []})
    assert filled.output["n"] == 1 and filled.objects == {"cart": ["jug"]}
    with pytest.raises(NonRetryableError, match="'rows' is found nowhere"):
        call_handler(add)
    with pytest.raises(TypeError):
        call_handler(lambda: object())
    with pytest.raises(KeyError, match="no handler"):
        call_handler("nothing_of_that_name")
    assert make_context(workflow_input={"a": 1}).workflow_input == {"a": 1}


def test_items_rounds_and_branches_are_called_directly() -> None:
    def item(ctx, item, index, rows) -> list:
        return [item, index, rows, ctx.step_name, ctx.idempotency_key]

    assert call_handler(item, item={"rows": 4}, index=0).output == [{"rows": 4}, 0, 4, "step[0]", "test-run/step[0]"]
    assert call_handler(lambda item: item, item=None, index=2).output is None

    def look(ctx) -> list:
        return [ctx.round, ctx.previous, ctx.idempotency_key]

    assert call_handler(look).output == [None, None, "test-run/step"]
    assert call_handler(look, round=0).output == [0, None, "test-run/step"]
    assert call_handler(look, round=2, previous={"done": False}).output == [2, {"done": False}, "test-run/step/r3"]
    assert call_handler(lambda ctx: ctx.errors["load"]["code"], errors={"load": {"code": "handler_error"}}).output == "handler_error"
    with pytest.raises(ValueError, match="give index"):
        call_handler(item, item=1)
    with pytest.raises(ValueError, match="give round"):
        call_handler(look, previous=1)
