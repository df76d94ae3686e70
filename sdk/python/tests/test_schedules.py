"""Schedules, as they are registered."""

from __future__ import annotations

from typing import Any

import pytest

from agnt5 import FlowDefinition, get_registered_schedules, register_schedule, schedules, task_step, workflow, workflows


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflows, "_registered", {})
    monkeypatch.setattr(schedules, "_registered", {})


def test_a_workflow_has_its_schedules() -> None:
    @workflow(schedule="@daily")
    def daily() -> FlowDefinition:
        return FlowDefinition([task_step("a", service_name="s", handler_name="h")])

    @workflow("other", schedule=[{"name": "one", "every": "1h"}, {"name": "two", "workflow": "daily", "at": ["2026-12-24T18:00:00+01:00"]}])
    def named() -> FlowDefinition:
        return FlowDefinition([task_step("a", service_name="s", handler_name="h")])

    register_schedule({"name": "three", "workflow": "elsewhere", "cron": ["0 2 * * *", "0 4 * * *"], "time_zone": "Europe/Berlin"})
    assert get_registered_schedules() == {
        "daily": {"name": "daily", "workflow": "daily", "cron": "@daily"},
        "one": {"name": "one", "workflow": "other", "every": "1h"},
        "two": {"name": "two", "workflow": "daily", "at": ["2026-12-24T18:00:00+01:00"]},
        "three": {"name": "three", "workflow": "elsewhere", "cron": ["0 2 * * *", "0 4 * * *"], "time_zone": "Europe/Berlin"},
    }
    with pytest.raises(ValueError, match="already registered"):
        register_schedule("@daily", "daily")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "one of cron, every and at"),
        ({"cron": "@daily", "every": "1h"}, "not cron and every"),
        ({"corn": "@daily"}, 'did you mean "cron"'),
        ({"cron": "0 0 30 2 *"}, "never fires"),
        ({"cron": ["@daily", 7]}, "cron must be"),
        ({"cron": "@daily", "time_zone": "Mars"}, "IANA"),
        ({"every": "1h", "name": "a b"}, "name "),
        ({"every": "1h", "name": "x" * 101}, "the limit is 100"),
        ({"every": "1h", "workflow": None}, "workflow is missing"),
        ({"every": "1h", "input": {1, 2}}, "not JSON"),
        ({"every": "1h", "tags": ["team"]}, "tags must be"),
        ({"every": "1h", "tags": {"team": 1}}, "tags must be"),
        ({"every": "1h", "tags": {"a:b": "x"}}, "holds ':'"),
        ({"every": "1h", "tags": {"": "x"}}, "is empty"),
    ],
)
def test_what_is_wrong_is_said_at_once(given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        register_schedule(given, "w")


def test_a_schedule_is_a_dict_or_a_text() -> None:
    with pytest.raises(TypeError, match="not int"):
        register_schedule(7, "w")  # type: ignore[arg-type]
