"""What workers and the daemon say to each other, held to the messages that the Go side is held to (testdata/wire)."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, cast

import pytest

from agnt5 import NonRetryableError, Worker
from agnt5._failure import error_of, outcome_of
from agnt5._http import Connection
from agnt5._wire import joined, poll, polled, success
from agnt5.functions import Context
from agnt5.workflows import FlowDefinition, task_step

FOLDER = pathlib.Path(__file__).parents[3] / "testdata/wire"
MESSAGES: list[dict[str, str]] = json.loads((FOLDER / "messages.json").read_text())


class Wire:
    """A connection that keeps what is sent, and answers what it is told to."""

    url = "http://daemon"

    def __init__(self, answer: Any = None) -> None:
        self.sent: list[bytes] = []
        self.answer = answer

    def call(self, _method: str, _path: str, body: bytes = b"") -> tuple[int, Any]:
        self.sent.append(body)
        return 200, self.answer


def conn(answer: Any = None) -> Connection:
    return cast(Connection, Wire(answer))


def said(message: str) -> list[dict[str, Any]]:
    found = [json.loads(vector["json"]) for vector in MESSAGES if vector["message"] == message]
    assert found
    return found


def grown(value: Any) -> Any:
    """The same answer from a daemon that says more."""
    if isinstance(value, list):
        return [grown(each) for each in value]
    if isinstance(value, dict):
        return {key: grown(each) if key in ("tasks", "results") else each for key, each in value.items()} | {"newer": [None, {"a": 1}, 1.5]}
    return value


def test_answers_are_read() -> None:
    for got in said("registered"):
        for answer in (got, grown(got)):
            session = joined(conn(), (201, answer))
            assert session["worker_id"] == got["worker_id"] and session["lost"] == got["lost"]
    for got in said("polled"):
        for answer in (got, grown(got)):
            page = polled(conn(), (200, answer), [])
            assert [task["token"] for task in page.tasks] == [task["token"] for task in got["tasks"]]
            assert [(r["token"], r["code"]) for r in page.results] == [(r["token"], r["code"]) for r in got["results"]]
            assert page.cancelled == got["cancelled"]
            for task, want in zip(page.tasks, got["tasks"], strict=True):
                ctx = Context(task)
                if "references" in want:
                    asked: list[str] = []
                    ctx._read = lambda _, step, asked=asked: asked.append(step) or {"of": step}  # type: ignore[misc, func-returns-value]
                    names = [*want["dependencies"], *want["references"]]
                    assert list(ctx.dependencies) == names and len(ctx.dependencies) == len(names) and not asked
                    assert all(ctx.dependencies[name] == {"of": name} and ctx.dependencies.get(name) for name in want["references"])
                    assert asked == list(want["references"]) and json.loads(json.dumps(ctx.dependencies)) == {**ctx.dependencies} == ctx.dependencies
                    continue
                assert (ctx.workflow_id, ctx.step_name, ctx.attempt) == (want["workflow_id"], want["step"], want["attempt"])
                assert (ctx.workflow_input, ctx.input, ctx.input_data, ctx.dependencies) == (
                    want["workflow_input"], want.get("input"), want["input_data"], want["dependencies"],
                )  # fmt: skip
                assert (ctx.item, ctx.index, ctx.fate, ctx.output) == (want.get("item"), want.get("index"), want.get("fate"), want.get("output"))
                assert ctx.compensates == ("output" in want) == want["idempotency_key"].endswith("/undo")
                assert {key: ctx.objects[key] for key in ctx.object_keys} == {key: o["state"] for key, o in want["objects"].items()}
    for got in said("beaten"):
        gone: list[str] = []
        worker = Worker("svc", functions={})
        worker._session = {"worker_id": "w"}
        worker._cancel = gone.append
        worker._send_beats(conn(grown(got)), {"t": ""})
        assert gone == got["gone"]


def test_what_is_sent_is_recorded_for_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "machine")
    monkeypatch.setattr("os.getpid", lambda: 7)
    worker = Worker("svc", "1", functions={}, workflows={"w": FlowDefinition([task_step(name="a", service_name="svc", handler_name="h")])})
    worker._handlers = dict.fromkeys(("h", "é"))
    first = worker._registration()
    worker._session = {"worker_id": "w1"}
    worker._open = dict.fromkeys(("t1", "t2"))
    task = next(task for got in said("polled") for task in got["tasks"] if task["objects"])
    ctx = Context(task)
    ctx.objects["k"] = {"n": 1}
    fine = error_of(ValueError("m"))
    final = error_of(NonRetryableError("m é", code="c"))
    fine["stack"] = final["stack"] = "s\n"
    wire = Wire()
    worker._send_beats(cast(Connection, wire), {"t1": "", "t2": ',"details":{"done":3}'})
    sent = [
        ("register", first),
        ("register", worker._registration()),
        ("poll", poll(1, 100, 30_000, [])),
        ("poll", poll(2, 0, 0, [("a", success("a", {"t": "<é&>"}, ctx)), ("b", outcome_of("b", fine)), ("c", outcome_of("c", final))])),
        ("heartbeat", wire.sent[0]),
    ]
    path = FOLDER / "python.jsonl"
    text = "".join(json.dumps({"message": message, "json": body.decode()}) + "\n" for message, body in sent)
    if os.environ.get("AGNT5_UPDATE"):
        path.write_text(text)
    assert path.read_text() == text, (
        "testdata/wire/python.jsonl is not what Python sends; AGNT5_UPDATE=1 writes it anew; then run go test ./internal/wire"
    )
