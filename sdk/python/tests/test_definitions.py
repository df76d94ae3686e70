"""Definitions, held to the daemon's own vectors."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import pathlib
from typing import Any

import pytest

from agnt5 import Worker, _keys, register_function, workflows
from agnt5._cron import cron_problem, zone_problem
from agnt5.workflows import (
    CompensateConfig,
    FlowDefinition,
    RepeatConfig,
    RetryConfig,
    SignalConfig,
    StepType,
    TimerConfig,
    ValidationError,
    WorkflowStep,
    get_registered_workflows,
    register_workflow,
    task_step,
    wait_signal_step,
    wait_timer_step,
    workflow,
)

ROOT = pathlib.Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "testdata/flow/vectors.json").read_text())
JSON_ONLY = ".yaml"


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflows, "_registered", {})


@pytest.mark.parametrize("case", [c for c in VECTORS["valid"] if not c["file"].endswith(JSON_ONLY)], ids=lambda c: c["file"])
def test_canonical_form(case: dict) -> None:
    flow = FlowDefinition.from_json(case["input"])
    assert flow.to_json() == case["canonical"]
    assert FlowDefinition.from_json(flow.to_json()).to_json() == case["canonical"]


@pytest.mark.parametrize("case", [c for c in VECTORS["invalid"] if not c["file"].endswith(JSON_ONLY)], ids=lambda c: c["file"])
def test_invalid(case: dict) -> None:
    with pytest.raises(ValidationError) as caught:
        FlowDefinition.from_json(case["input"])
    got = sorted((p.code, p.step) for p in caught.value.problems)
    assert got == sorted((code, step) for code, step in case["problems"])


def test_the_keys_are_those_of_the_daemon() -> None:
    assert {key["path"] for key in VECTORS["keys"] if key.get("of") == "definition" and "." not in key["path"]} == _keys._WHOLE
    inner = {tuple(key["path"].split(".")) for key in VECTORS["keys"] if key.get("of") == "definition" and "." in key["path"]}
    assert inner == {("retention", key) for key in _keys._GROUPS["retention"]}
    kinds: dict[str, list[str]] = {key: [] for key in _keys._EVERY}
    for kind, keys in _keys._BELONGS.items():
        for key in keys:
            for path in [key] + [f"{key}.{inner}" for inner in _keys._GROUPS.get(key, {})]:
                kinds.setdefault(path, []).append(kind)
    here = {path: ", ".join(kind) for path, kind in kinds.items()}
    assert here == {key["path"]: key.get("steps", "") for key in VECTORS["keys"] if "of" not in key}
    durations = {key["path"].rpartition(".")[2].removesuffix("_ms") for key in VECTORS["keys"] if key["type"] == "milliseconds"}
    assert durations == _keys._DURATIONS


@pytest.mark.parametrize("case", VECTORS["cron"], ids=lambda c: f"{c['expr']} {c['zone']}")
def test_cron(case: dict) -> None:
    refused = cron_problem(case["expr"]) is not None or zone_problem(case["zone"]) is not None
    assert refused == case.get("refused", False)


def test_the_go_side_reads_what_python_writes() -> None:
    """Every combination of fields goes out as the rules say; the shared file is checked by the Go tests as well."""
    out = []
    fields = {
        "dependencies": [None, [], ["z"]],
        "object_keys": [None, [], ["k"]],
        "input_data": [None, {}, [], 0, "", {"b": 1.5, "a": "é\u2028"}],
        "timeout_ms": [None, 1],
        "retry": [None, RetryConfig(max_attempts=1)],
    }
    for values in itertools.product(*fields.values()):
        step = task_step("a", service_name="s", handler_name="h", **dict(zip(fields, values)))
        d = step.to_dict()
        assert ("dependencies" in d) == bool(step.dependencies)
        assert ("object_keys" in d) == bool(step.object_keys)
        assert ("input_data" in d) == (step.input_data is not None)
        assert "type" not in d and "signal" not in d and "timer" not in d
        out.append(FlowDefinition([task_step("z", service_name="s", handler_name="h"), step]))
    for timeout, target in itertools.product([None, 0, 5], [None, "", "z"]):
        d = wait_signal_step("a", signal_name="g", timeout_ms=timeout, on_timeout=target).to_dict()["signal"]
        assert d["name"] == "g" and ("timeout_ms" in d) == (timeout is not None) and ("on_timeout" in d) == bool(target)
        if timeout is not None or not target:
            out.append(
                FlowDefinition(
                    [
                        task_step("z", service_name="s", handler_name="h"),
                        wait_signal_step("a", signal_name="g", timeout_ms=timeout, on_timeout=target),
                    ]
                )
            )
    for delay, cron, retries, zone in itertools.product([None, 0, 5], [None, "", "0 3 * * *"], [None, 0, 3], [None, "Europe/Berlin"]):
        d = wait_timer_step("a", timer_key="t", delay_ms=delay, cron_expr=cron, max_retries=retries, time_zone=zone).to_dict()["timer"]
        assert (
            d["key"] == "t"
            and ("delay_ms" in d) == (delay is not None)
            and ("cron_expr" in d) == bool(cron)
            and ("max_retries" in d) == (retries is not None)
        )
        if (delay is None) == bool(cron) and (not zone or cron):
            out.append(
                FlowDefinition([wait_timer_step("a", timer_key="t", delay_ms=delay, cron_expr=cron, max_retries=retries, time_zone=zone)])
            )
    language: dict[str, list[Any]] = {
        "join": ["all", "any"],
        "when": ["", "input.go"],
        "on_failure": ["", "z"],
        "for_each": ["", [], [{"b": 1, "a": 2}], "input.list"],
        "tolerate": [None, 0, "10%"],
        "repeat": [None, RepeatConfig("output.done", 3, interval_ms=0, backoff_coefficient=1.5)],
    }
    for values in itertools.product(*language.values()):
        given = dict(zip(language, values))
        if given["tolerate"] is None or given["for_each"] not in (None, ""):
            step = task_step("a", service_name="s", handler_name="h", after=["y"], input={"x": "${ input.x }"}, description="d", **given)
            d = step.to_dict()
            assert ("join" in d) == (step.join in ("any", "settled")) and ("when" in d) == bool(step.when)
            assert ("for_each" in d) == (step.for_each not in (None, "")) and ("tolerate" in d) == (step.tolerate is not None)
            steps = [task_step("y", service_name="s", handler_name="h"), step, task_step("z", service_name="s", handler_name="h")]
            out.append(FlowDefinition(steps, description="", timeout_ms=1, output={"y": "${ steps.y.output }"}))
    undos: list[Any] = [
        None,
        CompensateConfig("undo"),
        CompensateConfig("undo", service_name="t", timeout_ms=1, retry=RetryConfig(max_attempts=2), also_if_started=True),
        {"handler_name": "undo"},
    ]
    for undo, last in itertools.product(undos, [[], [task_step("f", service_name="s", handler_name="h", when='fate.state == "failed"')]]):
        step = task_step("a", service_name="s", handler_name="h", compensate=undo)
        assert ("compensate" in step.to_dict()) == (undo is not None)
        out.append(FlowDefinition([step], finally_=last))
        assert ("finally" in out[-1].to_dict()) == bool(last)
    for flow in out:
        assert flow.validate() == []
        assert FlowDefinition.from_json(flow.to_json()).to_json() == flow.to_json()
        assert json.loads(flow.to_json()) == flow.to_dict()
    path = ROOT / "testdata/flow/python.jsonl"
    text = "".join(flow.to_json() + "\n" for flow in out)
    if os.environ.get("AGNT5_UPDATE"):
        path.write_text(text)
    assert path.read_text() == text, (
        "testdata/flow/python.jsonl is not what Python writes; AGNT5_UPDATE=1 writes it anew; then run go test ./flow"
    )


def test_names_that_are_always_written() -> None:
    assert WorkflowStep("").to_dict() == {"name": ""}
    assert SignalConfig().to_dict() == {"name": ""} and TimerConfig().to_dict() == {"key": ""}
    assert WorkflowStep("a", step_type=StepType.WAIT_SIGNAL).to_dict() == {"name": "a", "type": "wait_signal"}


def test_helpers_take_keywords_only() -> None:
    with pytest.raises(TypeError):
        task_step("a", "service", "handler")  # type: ignore[misc]


def test_registration() -> None:
    @workflow
    def bare() -> FlowDefinition:
        return FlowDefinition([task_step("a", service_name="s", handler_name="h")])

    @workflow()
    def called() -> FlowDefinition:
        return bare()

    @workflow("other")
    def named() -> FlowDefinition:
        return bare()

    assert list(get_registered_workflows()) == ["bare", "called", "other"]
    assert isinstance(bare(), FlowDefinition)
    with pytest.raises(ValueError, match="already registered"):
        register_workflow("bare", bare())
    with pytest.raises(TypeError, match="FlowDefinition"):
        register_workflow("x", {"steps": []})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name_invalid"):
        register_workflow("a b", bare())
    get_registered_workflows().clear()
    assert len(get_registered_workflows()) == 3


def test_every_problem_at_once() -> None:
    bad = FlowDefinition(
        [
            task_step("step2", service_name="svc", dependencies=["step1"]),
            WorkflowStep("w", step_type="odd"),
            task_step("x", service_name="s", handler_name="h", input_data={1, 2}, timeout_ms=1.5),
        ]
    )  # type: ignore[arg-type]
    with pytest.raises(ValueError) as caught:
        register_workflow("bad", bad)
    assert isinstance(caught.value, ValidationError)
    assert {p.code for p in caught.value.problems} == {
        "dependency_unknown",
        "handler_missing",
        "type_unknown",
        "input_data_invalid",
        "wrong_type",
    }
    assert "step1" in str(caught.value) and '"bad"' in str(caught.value)


def test_what_a_helper_needs_is_known_to_type_checkers_and_said_at_registration() -> None:
    for helper, needed in ((task_step, {"service_name", "handler_name"}), (wait_signal_step, {"signal_name"}), (wait_timer_step, {"timer_key"})):
        params = inspect.signature(helper).parameters
        assert needed == {name for name, p in params.items() if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
        assert FlowDefinition([helper("a")]).validate()  # type: ignore[call-arg]


@pytest.mark.parametrize("name", [".", ".."])
def test_a_place_in_a_path_names_nothing(name: str) -> None:
    flow = FlowDefinition(
        [
            task_step(name, service_name=name, handler_name=name, object_keys=[name]),
            wait_signal_step("w", signal_name=name),
            wait_timer_step("t", timer_key=name, delay_ms=1),
        ]
    )
    problems = flow.validate()
    assert len(problems) == 6 and all("a place in a path" in p.detail for p in problems), problems
    assert {p.code for p in problems} == {"name_invalid", "object_key_invalid"}
    with pytest.raises(ValueError, match="a place in a path"):
        register_workflow(name, FlowDefinition([task_step("a", service_name="s", handler_name="h")]))
    with pytest.raises(ValueError, match="a place in a path"):
        Worker(name)
    with pytest.raises(ValueError, match="a place in a path"):
        register_function(name, print)
