"""Workflow definitions: a graph of steps, checked when it is registered.

A definition is data: what the daemon stores is exactly ``to_json()``.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast, overload

from . import _canonical
from ._keys import in_milliseconds, name_problem
from ._validate import validate
from .errors import Problem, ValidationError
from .schedules import Schedule, register_schedule

__all__ = [
    "CompensateConfig",
    "FlowDefinition",
    "RepeatConfig",
    "RetentionConfig",
    "RetryConfig",
    "SignalConfig",
    "StepType",
    "TimerConfig",
    "ValidationError",
    "WorkflowStep",
    "get_registered_workflows",
    "register_workflow",
    "task_step",
    "wait_signal_step",
    "wait_timer_step",
    "workflow",
    "workflow_step",
]


class StepType(str, enum.Enum):
    """What a step does."""

    TASK = "task"
    """A handler works."""
    WAIT_SIGNAL = "wait_signal"
    """Waits for a signal."""
    WAIT_TIMER = "wait_timer"
    """Waits for a delay, or for the next match of a cron text."""
    WORKFLOW = "workflow"
    """A run of another workflow, its child, works."""

    def __str__(self) -> str:
        return self.value


def _put(out: dict[str, Any], key: str, value: Any) -> None:
    """Put a value unless it is absent or an empty text or list."""
    if value is None or (isinstance(value, (str, list, tuple)) and len(value) == 0):
        return
    out[key] = list(value) if isinstance(value, tuple) else value


@dataclass
class SignalConfig:
    """What a wait_signal step waits for."""

    name: str = ""
    """The signal's name."""
    timeout_ms: int | None = None
    """How long to wait, in milliseconds from when the step became ready. None: for ever."""
    on_timeout: str | None = None
    """The step that starts when the wait times out. None: the run fails then."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        out: dict[str, Any] = {"name": "" if self.name is None else self.name}
        if self.timeout_ms is not None:
            out["timeout_ms"] = self.timeout_ms
        _put(out, "on_timeout", self.on_timeout)
        return out


@dataclass
class TimerConfig:
    """What a wait_timer step waits for: a delay or a cron text, one of them."""

    key: str = ""
    """The timer's address inside its run."""
    delay_ms: int | None = None
    """Milliseconds from when the step became ready."""
    cron_expr: str | None = None
    """Five fields, or @hourly and its like; the next match."""
    max_retries: int | None = None
    """How many failures of the task steps beside it the timer absorbs."""
    time_zone: str | None = None
    """IANA name for cron_expr. None: UTC."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        out: dict[str, Any] = {"key": "" if self.key is None else self.key}
        if self.delay_ms is not None:
            out["delay_ms"] = self.delay_ms
        _put(out, "cron_expr", self.cron_expr)
        _put(out, "time_zone", self.time_zone)
        if self.max_retries is not None:
            out["max_retries"] = self.max_retries
        return out


@dataclass
class RetryConfig:
    """How often a task step is tried, and how long it waits in between. None: 3 attempts, 1 s doubling to at most 60 s."""

    max_attempts: int | None = None
    initial_interval_ms: int | None = None
    backoff_coefficient: float | None = None
    max_interval_ms: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass
class CompensateConfig:
    """What takes back what a task did, when its run fails or is cancelled."""

    handler_name: str = ""
    service_name: str | None = None
    """The service whose workers do it. None: that of the step."""
    timeout_ms: int | None = None
    """Of one attempt, in milliseconds."""
    retry: RetryConfig | dict[str, Any] | None = None
    also_if_started: bool = False
    """Also when the step was attempted and has not completed."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        out: dict[str, Any] = {}
        _put(out, "handler_name", self.handler_name)
        _put(out, "service_name", self.service_name)
        if self.timeout_ms is not None:
            out["timeout_ms"] = self.timeout_ms
        if self.retry is not None:
            out["retry"] = self.retry.to_dict() if isinstance(self.retry, RetryConfig) else self.retry
        if self.also_if_started:
            out["also_if_started"] = self.also_if_started
        return out


@dataclass
class RepeatConfig:
    """A step that runs again and again until an expression is true of what it gave."""

    until: str = ""
    """An expression, with output and round besides the usual names."""
    max_rounds: int | None = None
    """How many rounds there may be, at most."""
    interval_ms: int | None = None
    """Between two rounds, in milliseconds. None: no wait."""
    backoff_coefficient: float | None = None
    """How much longer each interval is than the one before. None: 1."""
    max_interval_ms: int | None = None
    """The longest interval. None: no limit."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {key: value for key, value in vars(self).items() if value is not None and value != ""}


@dataclass
class RetentionConfig:
    """How long runs are kept after their end, in milliseconds. None: as long as the daemon keeps runs; 0: for ever."""

    completed_ms: int | None = None
    failed_ms: int | None = None
    cancelled_ms: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass
class WorkflowStep:
    """One step. The helpers task_step, wait_signal_step, wait_timer_step and workflow_step make them."""

    name: str
    step_type: StepType | str = StepType.TASK
    service_name: str | None = None
    handler_name: str | None = None
    dependencies: list[str] | None = None
    """Names of the steps that must be settled before this one starts; they stand earlier in the definition."""
    object_keys: list[str] | None = None
    """Objects that the step touches; one step at a time holds a key."""
    input_data: Any = None
    """Any JSON; None is no input, {} is kept."""
    signal: SignalConfig | dict[str, Any] | None = None
    timer: TimerConfig | dict[str, Any] | None = None
    timeout_ms: int | None = None
    """Of one attempt, in milliseconds."""
    heartbeat_timeout_ms: int | None = None
    """How long a handler may be silent, in milliseconds."""
    retry: RetryConfig | dict[str, Any] | None = None
    description: str | None = None
    """What the step is for."""
    after: list[str] | None = None
    """Names of steps to wait for whose outputs are not wanted."""
    join: str | None = None
    """What must have become of the dependencies: all, any or settled."""
    when: str | None = None
    """An expression that says whether the step starts; else it is skipped."""
    on_failure: str | None = None
    """The step that starts when this one has failed for good; None: the run fails."""
    for_each: str | list[Any] | None = None
    """One run of the step for each item: an expression that gives a list, or a list."""
    max_items: int | None = None
    """How many items there may be; None: 10,000."""
    max_parallel: int | None = None
    """How many items are open at a time; None: all."""
    tolerate: int | str | None = None
    """How many items may fail for good: a number, or a percentage such as 10%."""
    repeat: RepeatConfig | dict[str, Any] | None = None
    """The step runs again until it is so."""
    input: dict[str, Any] | None = None
    """Values that are worked out when the step starts: in their texts ``${ EXPRESSION }`` is replaced."""
    workflow_name: str | None = None
    """Of a workflow step: the workflow of which its child is a run."""
    workflow_version: int | None = None
    """The version of that workflow; None: the one that is current when the child starts."""
    on_parent_end: str | None = None
    """What becomes of a child that is open when its step ends otherwise: cancel (also None) or abandon."""
    compensate: CompensateConfig | dict[str, Any] | None = None
    """What takes back what the step did, when its run fails or is cancelled."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: empty fields are left out, zeros that were given stay."""
        out: dict[str, Any] = {"name": "" if self.name is None else self.name}
        kind = self.step_type.value if isinstance(self.step_type, StepType) else self.step_type
        if kind is not None and kind != StepType.TASK.value:
            out["type"] = kind
        for key in ("service_name", "handler_name", "dependencies", "object_keys", "description", "after", "when", "on_failure", "workflow_name"):
            _put(out, key, getattr(self, key))
        if self.on_parent_end != "cancel":
            _put(out, "on_parent_end", self.on_parent_end)
        if self.join != "all":
            _put(out, "join", self.join)
        for key in ("input_data", "timeout_ms", "heartbeat_timeout_ms", "for_each", "max_items", "max_parallel", "tolerate", "input", "workflow_version"):
            value = getattr(self, key)
            if value is not None and (key == "input_data" or value != ""):
                out[key] = value
        for key in ("compensate", "repeat", "retry", "signal", "timer"):
            value = getattr(self, key)
            if value is not None:
                out[key] = value.to_dict() if hasattr(value, "to_dict") else value
        return out


@dataclass
class FlowDefinition:
    """A workflow: its steps, in an order in which each stands after those it depends on."""

    steps: list[WorkflowStep] = field(default_factory=list)
    description: str | None = None
    """What the workflow is for."""
    timeout_ms: int | None = None
    """Of a run, in milliseconds from its start or latest retry; None: no limit."""
    output: Any = None
    """What a run gives: a template, such as ``"${ steps.a.output }"``. None: the outputs of the steps that nothing depends on."""
    retention: RetentionConfig | dict[str, Any] | None = None
    """How long runs are kept after their end; None: as long as the daemon keeps runs."""
    finally_: list[WorkflowStep] = field(default_factory=list)
    """Steps that run when the fate of a run is decided, whatever it is. In JSON: ``finally``."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as Python values: ``{"steps": [...]}``."""
        out: dict[str, Any] = {"steps": _as_dicts(self.steps)}
        _put(out, "finally", _as_dicts(self.finally_))
        _put(out, "description", self.description)
        if self.timeout_ms is not None:
            out["timeout_ms"] = self.timeout_ms
        if self.output is not None and self.output != "":
            out["output"] = self.output
        if self.retention is not None:
            out["retention"] = self.retention.to_dict() if isinstance(self.retention, RetentionConfig) else self.retention
        return out

    def to_json(self) -> str:
        """Canonical JSON: compact, keys sorted, ASCII. What the daemon stores and digests.

        Raises ValueError or TypeError when input_data is not JSON.
        """
        return _canonical.write(self.to_dict())

    def validate(self) -> list[Problem]:
        """Everything that is wrong with it; an empty list when nothing is."""
        return validate(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> FlowDefinition:
        """Read a definition. Raises ValidationError with every problem."""
        if len(text.encode("utf-8", "surrogatepass")) > 32 << 20:
            raise ValidationError("", [Problem("definition_too_large", "", "the definition is over 32 MiB")])
        try:
            raw = _canonical.read(text)
        except (ValueError, RecursionError) as why:
            raise ValidationError("", [Problem("invalid_json", "", f"the definition is not JSON: {why}")]) from None
        if nested_over(raw, 67):
            raise ValidationError("", [Problem("invalid_json", "", "the definition is nested over 67 deep, the limit")])
        problems = validate(raw)
        if problems:
            raise ValidationError("", problems)
        return cls.from_dict(_canonical.plain(raw))

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> FlowDefinition:
        """Make a definition of its JSON form. Raises ValidationError with every problem."""
        problems = validate(value)
        if problems:
            raise ValidationError("", problems)
        whole = in_milliseconds({k: v for k, v in value.items() if v is not None and k not in ("steps", "finally", "$schema")})
        retention = whole.pop("retention", None)
        return cls(
            [_step(raw) for raw in value["steps"]],
            finally_=[_step(raw) for raw in value.get("finally") or []],
            retention=None if retention is None else RetentionConfig(**_present(retention)),
            **whole,
        )


def _as_dicts(steps: Any) -> Any:
    if isinstance(steps, (list, tuple)):
        return [s.to_dict() if hasattr(s, "to_dict") else s for s in steps]
    return steps


def _step(raw: dict[str, Any]) -> WorkflowStep:
    """Make a step of its JSON form, which is valid."""
    known = in_milliseconds({k: v for k, v in raw.items() if v is not None})
    kind = StepType(known.pop("type", "task"))
    configs: dict[str, Any] = {"signal": SignalConfig, "timer": TimerConfig, "retry": RetryConfig, "repeat": RepeatConfig, "compensate": CompensateConfig}
    for key, config in configs.items():
        if key in known:
            known[key] = config(**_present(known[key]))
    undo = known.get("compensate")
    if undo is not None and undo.retry is not None:
        undo.retry = RetryConfig(**_present(undo.retry))
    return WorkflowStep(step_type=kind, **known)


def _present(group: dict[str, Any]) -> dict[str, Any]:
    given = {k: 0 if isinstance(v, _canonical.Number) and v.text.lstrip("-0") == "" else v for k, v in group.items() if v is not None}
    return in_milliseconds(given)


def nested_over(value: Any, limit: int) -> bool:
    """Whether a JSON value is nested deeper than limit."""
    level = [value]
    for _ in range(limit + 1):
        below: list[Any] = []
        for one in level:
            if isinstance(one, _canonical.Pairs):
                below.append(None)
                below.extend(item for _, item in one)
            elif isinstance(one, list):
                below.append(None)
                below.extend(one)
        if not below:
            return False
        level = below
    return True


Step = TypeVar("Step", bound=Callable[..., "WorkflowStep"])


def _said_at_registration(*needed: str) -> Callable[[Step], Step]:
    """Type checkers ask for these parameters; at run time one that is missing is said at registration, with all else that is wrong."""

    def decorate(helper: Step) -> Step:
        @functools.wraps(helper)
        def make(name: str, **given: Any) -> WorkflowStep:
            return helper(name, **dict.fromkeys(needed) | given)

        return cast(Step, make)

    return decorate


@_said_at_registration("service_name", "handler_name")
def task_step(
    name: str,
    *,
    service_name: str,
    handler_name: str,
    dependencies: list[str] | None = None,
    input_data: Any = None,
    object_keys: list[str] | None = None,
    timeout_ms: int | None = None,
    heartbeat_timeout_ms: int | None = None,
    retry: RetryConfig | dict[str, Any] | None = None,
    description: str | None = None,
    after: list[str] | None = None,
    join: str | None = None,
    when: str | None = None,
    on_failure: str | None = None,
    for_each: str | list[Any] | None = None,
    max_items: int | None = None,
    max_parallel: int | None = None,
    tolerate: int | str | None = None,
    repeat: RepeatConfig | dict[str, Any] | None = None,
    input: dict[str, Any] | None = None,
    compensate: CompensateConfig | dict[str, Any] | None = None,
) -> WorkflowStep:
    """A step that a handler of a service does. What is wrong with it is said at registration."""
    return WorkflowStep(
        name=name,
        service_name=service_name,
        handler_name=handler_name,
        dependencies=dependencies,
        input_data=input_data,
        object_keys=object_keys,
        timeout_ms=timeout_ms,
        heartbeat_timeout_ms=heartbeat_timeout_ms,
        retry=retry,
        description=description,
        after=after,
        join=join,
        when=when,
        on_failure=on_failure,
        for_each=for_each,
        max_items=max_items,
        max_parallel=max_parallel,
        tolerate=tolerate,
        repeat=repeat,
        input=input,
        compensate=compensate,
    )


@_said_at_registration("workflow_name")
def workflow_step(
    name: str,
    *,
    workflow_name: str,
    workflow_version: int | None = None,
    dependencies: list[str] | None = None,
    input_data: Any = None,
    input: dict[str, Any] | None = None,
    on_parent_end: str | None = None,
    timeout_ms: int | None = None,
    retry: RetryConfig | dict[str, Any] | None = None,
    description: str | None = None,
    after: list[str] | None = None,
    join: str | None = None,
    when: str | None = None,
    on_failure: str | None = None,
    for_each: str | list[Any] | None = None,
    max_items: int | None = None,
    max_parallel: int | None = None,
    tolerate: int | str | None = None,
    repeat: RepeatConfig | dict[str, Any] | None = None,
) -> WorkflowStep:
    """A step that starts a run of another workflow, its child, and ends as that run does. One attempt, unless retry says otherwise."""
    return WorkflowStep(
        name=name,
        step_type=StepType.WORKFLOW,
        workflow_name=workflow_name,
        workflow_version=workflow_version,
        dependencies=dependencies,
        input_data=input_data,
        input=input,
        on_parent_end=on_parent_end,
        timeout_ms=timeout_ms,
        retry=retry,
        description=description,
        after=after,
        join=join,
        when=when,
        on_failure=on_failure,
        for_each=for_each,
        max_items=max_items,
        max_parallel=max_parallel,
        tolerate=tolerate,
        repeat=repeat,
    )


@_said_at_registration("signal_name")
def wait_signal_step(
    name: str,
    *,
    signal_name: str,
    dependencies: list[str] | None = None,
    timeout_ms: int | None = None,
    on_timeout: str | None = None,
    description: str | None = None,
    after: list[str] | None = None,
    join: str | None = None,
    when: str | None = None,
) -> WorkflowStep:
    """A step that waits for a signal; its output is the signal's payload."""
    return WorkflowStep(
        name=name,
        step_type=StepType.WAIT_SIGNAL,
        dependencies=dependencies,
        signal=SignalConfig(name=signal_name or "", timeout_ms=timeout_ms, on_timeout=on_timeout),
        description=description,
        after=after,
        join=join,
        when=when,
    )


@_said_at_registration("timer_key")
def wait_timer_step(
    name: str,
    *,
    timer_key: str,
    delay_ms: int | None = None,
    cron_expr: str | None = None,
    dependencies: list[str] | None = None,
    max_retries: int | None = None,
    time_zone: str | None = None,
    description: str | None = None,
    after: list[str] | None = None,
    join: str | None = None,
    when: str | None = None,
) -> WorkflowStep:
    """A step that waits for a delay, or for the next match of a cron text; its output is ``{"fired_at": ...}``."""
    return WorkflowStep(
        name=name,
        step_type=StepType.WAIT_TIMER,
        dependencies=dependencies,
        timer=TimerConfig(key=timer_key or "", delay_ms=delay_ms, cron_expr=cron_expr, max_retries=max_retries, time_zone=time_zone),
        description=description,
        after=after,
        join=join,
        when=when,
    )


_registered: dict[str, FlowDefinition] = {}

Factory = TypeVar("Factory", bound=Callable[[], FlowDefinition])


def register_workflow(name: str, definition: FlowDefinition) -> None:
    """Register a definition under a name; a Worker publishes it.

    Raises TypeError when it is no FlowDefinition, ValidationError (a ValueError) with every problem when it is not valid, and
    ValueError when the name is taken.
    """
    if not isinstance(definition, FlowDefinition):
        raise TypeError(f'workflow "{name}": want a FlowDefinition, not {type(definition).__name__}')
    problem = name_problem(name) if isinstance(name, str) else f"must be a string, not {type(name).__name__}"
    problems = definition.validate()
    if problem:
        problems = [Problem("name_invalid", "", f"workflow name {problem}"), *problems]
    if problems:
        raise ValidationError(str(name), problems)
    if name in _registered:
        raise ValueError(f'workflow "{name}" is already registered in this process')
    _registered[name] = definition


def get_registered_workflows() -> dict[str, FlowDefinition]:
    """Every workflow that was registered in this process, by name. The dict is a copy."""
    return dict(_registered)


@overload
def workflow(name: Factory) -> Factory: ...
@overload
def workflow(name: str | None = None, *, schedule: Schedule | str | list[Schedule] | None = None) -> Callable[[Factory], Factory]: ...
def workflow(name: Any = None, *, schedule: Schedule | str | list[Schedule] | None = None) -> Any:
    """Register what a factory returns, under the function's name or the one given. The factory runs at once.

    ``@workflow``, ``@workflow()`` and ``@workflow("name")`` are the same but for the name. ``schedule`` starts the workflow by the
    clock: a Schedule, several in a list, each with a name, or the text of a cron. Unless it has a name, a schedule has the workflow's.
    It is no part of the definition.
    """
    if callable(name):
        return workflow()(name)

    def decorate(factory: Factory) -> Factory:
        own = name or getattr(factory, "__name__", "")
        register_workflow(own, factory())
        for one in schedule if isinstance(schedule, list) else () if schedule is None else (schedule,):
            register_schedule(one, own)
        return factory

    return decorate
