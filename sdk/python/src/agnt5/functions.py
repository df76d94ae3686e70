"""Handlers: plain functions whose parameters are filled from the task."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, TypeVar, overload

from ._json import copied, settled
from ._keys import name_problem
from ._log import AttemptLog, AttemptLogger
from .errors import Cancelled, NonRetryableError

F = TypeVar("F", bound=Callable[..., Any])

_functions: dict[str, Handler] = {}
_MISSING: Any = object()


class Objects(MutableMapping[str, Any]):
    """The state of the step's object keys. What is set is committed together with the step's completion; None removes it."""

    def __init__(self, task: dict[str, Any]) -> None:
        self._given: dict[str, Any] = task.get("objects") or {}
        self._values: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key in self._values:
            return self._values[key]
        value = self._given[key]["state"]
        if isinstance(value, (dict, list)):  # it may be changed in place: keep what it was
            value = copied(value)
            self._values[key] = value
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._given:
            raise KeyError(f"object {key!r} is not one of the step's object_keys")
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self[key] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def version(self, key: str) -> int:
        """Counts the writes to the key; 0: none."""
        return int(self._given[key]["version"])

    def fence(self, key: str) -> int:
        """Grows with each grant of the key: hand it to systems that can refuse an older one."""
        return int(self._given[key]["fence"])

    def changed(self) -> dict[str, Any]:
        """What was set, or changed in place."""
        return {k: v for k, v in self._values.items() if v != self._given[k]["state"] or type(v) is not type(self._given[k]["state"])}


_UNREAD: Any = object()


class _Dependencies(dict[str, Any]):
    """Outputs of dependencies, some of which are only referred to: each of those is read when it is looked at, once."""

    def __init__(self, here: dict[str, Any], references: dict[str, Any], read: Callable[[str], Any]) -> None:
        super().__init__(here)
        self._steps = {name: ref["step"] for name, ref in references.items()}
        self._read = read
        for name in references:
            super().__setitem__(name, _UNREAD)

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if value is _UNREAD:
            value = self._read(self._steps[name])
            super().__setitem__(name, value)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def values(self) -> Any:
        return [self[name] for name in self.keys()]

    def items(self) -> Any:
        return [(name, self[name]) for name in self.keys()]

    def copy(self) -> dict[str, Any]:
        return dict(self.items())

    def __eq__(self, other: object) -> bool:
        return dict(self.items()) == other

    __hash__ = None


class Context:
    """What a handler may know of its attempt, as attributes and as items: ``ctx.attempt`` and ``ctx["attempt"]``."""

    workflow_id: str
    """The run's id."""
    workflow_name: str
    step_name: str
    service_name: str
    handler_name: str
    attempt: int
    """Counts every try from 1, lost ones too."""
    idempotency_key: str
    """The same for every attempt of the step."""
    workflow_input: Any
    input: Any
    """What the templates of the step's ``input`` came to; None when it has none."""
    input_data: Any
    """Of the step's definition; None when it gives none."""
    dependencies: dict[str, Any]
    """Output of each completed dependency, by step name. Those that are large together are read from the daemon when they are looked at."""
    errors: dict[str, dict[str, Any]]
    """Why steps failed whose ``on_failure`` names this step, by name: code, message, type, attempt."""
    item: Any
    """Of a step with ``for_each``: the item of the list that this is about."""
    index: int | None
    """Its place in the list, from 0; None when the step goes over no list."""
    round: int | None
    """Which round of a step with ``repeat`` it is, from 0; None when the step does not repeat."""
    previous: Any
    """What the round before gave; None in the first."""
    fate: dict[str, Any] | None
    """Of a step of finally and of a compensation: what becomes of the run, ``{"state", "error"}``. None for any other."""
    compensates: bool
    """This takes back what the step did, whose input, item and keys these are."""
    output: Any
    """Of a compensation: what the step gave; None when it did not complete."""
    object_keys: list[str]
    objects: Objects
    metadata: dict[str, Any]
    """worker_id, lease_expires_at, traceparent, timeout_ms, heartbeat_timeout_ms."""
    logger: logging.LoggerAdapter[logging.Logger]
    """Says with each line which run, step and attempt it is about. The last 64 KiB that an attempt writes are kept with its run, at
    every level: ``agnt5d logs RUN`` shows them."""

    _ITEMS = (
        "workflow_id", "workflow_name", "step_name", "service_name", "handler_name", "attempt", "idempotency_key", "workflow_input",
        "input", "input_data", "dependencies", "errors", "item", "index", "round", "previous", "fate", "compensates", "output",
        "object_keys", "objects", "metadata", "logger",
    )  # fmt: skip

    def __init__(self, task: dict[str, Any], worker_id: str = "", beat: Callable[[Any], None] | None = None, logged: Callable[[], None] | None = None) -> None:
        self._task = task
        self._worker_id = worker_id
        self._beat = beat
        self._logged = logged
        self._log: AttemptLog | None = None
        self._cancelled = False
        self._unsettled = False
        self._read: Callable[[dict[str, Any], str], Any] | None = None
        self.workflow_id = task["workflow_id"]
        self.workflow_name = task["workflow_name"]
        self.step_name = task["step"]
        self.service_name = task["service_name"]
        self.handler_name = task["handler_name"]
        self.attempt = task["attempt"]
        self.idempotency_key = task["idempotency_key"]
        self._fill()

    def _fill(self) -> None:
        task = self._task
        self.workflow_input = task.get("workflow_input")
        self.input = task.get("input")
        self.input_data = task.get("input_data")
        self.dependencies = task.get("dependencies") or {}
        if task.get("references"):
            self.dependencies = _Dependencies(self.dependencies, task["references"], self._output_of)
        self.errors = task.get("errors") or {}
        self.item = task.get("item")
        self.index = task.get("index")
        self.round = task.get("round")
        self.previous = task.get("previous")
        self.fate = task.get("fate")
        self.compensates = "output" in task
        self.output = task.get("output")
        self.object_keys = task.get("object_keys") or []

    def _output_of(self, step: str) -> Any:
        if self._read is None:
            raise RuntimeError(f"the output of {step} is only referred to, and nobody here can read it")
        return self._read(self._task, step)

    def _settle(self) -> None:
        """Convert the integers that take long, in the attempt's own time."""
        if self._unsettled:
            self._unsettled = False
            self._task = settled(self._task)
            self._fill()

    def __getattr__(self, name: str) -> Any:
        # Made when they are asked for: most handlers never do.
        if name == "objects":
            self.objects = Objects(self._task)
            return self.objects
        if name == "metadata":
            known = ("lease_expires_at", "traceparent", "timeout_ms", "heartbeat_timeout_ms")
            self.metadata = {"worker_id": self._worker_id} | {k: self._task[k] for k in known if k in self._task}
            return self.metadata
        if name == "logger":
            about = {"workflow_id": self.workflow_id, "step": self.step_name, "attempt": self.attempt}
            if self._logged is not None:
                self._log = AttemptLog(self._logged)
            self.logger = AttemptLogger(logging.getLogger("agnt5.handlers"), about, self._log)
            return self.logger
        raise AttributeError(name)

    def __getitem__(self, name: str) -> Any:
        if name in self._ITEMS or name == "is_cancelled":
            return getattr(self, name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self._ITEMS or name == "is_cancelled"

    def get(self, name: str, default: Any = None) -> Any:
        """An item, or a default."""
        try:
            return self[name]
        except KeyError:
            return default

    @property
    def is_cancelled(self) -> bool:
        """Nobody waits for this attempt any more: stop, the answer goes nowhere."""
        return self._cancelled

    def heartbeat(self, details: Any = None) -> None:
        """Say that the handler is alive and how far it is; ``details`` (JSON, up to 4 KiB) show in status.

        Raises Cancelled when nobody waits for the attempt any more.
        """
        if self._cancelled:
            raise Cancelled(f"run {self.workflow_id}, step {self.step_name}: nobody waits for this attempt any more")
        if self._beat is not None:
            self._beat(details)


class Handler:
    """A function with what is known of its parameters."""

    def __init__(self, name: str, fn: Callable[..., Any]) -> None:
        self.name = name
        self.fn = fn
        self.is_async = inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)
        self.with_context = False
        self.params: list[tuple[str, bool, bool]] = []  # name, required, positional only
        self.defaults: dict[str, Any] = {}
        self.rest = False  # **kwargs
        for n, p in enumerate(inspect.signature(fn).parameters.values()):
            if n == 0 and p.name == "ctx":
                self.with_context = True
            elif p.kind is inspect.Parameter.VAR_KEYWORD:
                self.rest = True
            elif p.kind is not inspect.Parameter.VAR_POSITIONAL:
                self.defaults[p.name] = p.default
                self.params.append((p.name, p.default is inspect.Parameter.empty, p.kind is inspect.Parameter.POSITIONAL_ONLY))

    def arguments(self, ctx: Context) -> tuple[list[Any], dict[str, Any]]:
        """Fill the parameters, each from the first place that has it.

        The places: of a compensation, output and fate, and a key of the output; of a step of finally, fate; input, which the step's templates came to; of a step over a list, item and index, and a key of the item; input_data; a dependency of that name; a key of the only dependency's output; a key of the workflow's input.
        Raises NonRetryableError that names a parameter found nowhere.
        """
        args: list[Any] = [ctx] if self.with_context else []
        kwargs: dict[str, Any] = {}
        if not self.params and not self.rest:
            return args, kwargs
        places = self.places(ctx)
        for name, required, positional in self.params:
            for place in places:
                if name in place:
                    if positional:
                        args.append(place[name])
                    else:
                        kwargs[name] = place[name]
                    break
            else:
                if required:
                    raise NonRetryableError(
                        f"handler {self.name}: parameter {name!r} is found nowhere: not in input, {'the item, ' if ctx.index is not None else ''}input_data, the dependencies or the workflow's input",
                        code="parameter_missing",
                    )
                if positional:  # the next one must not slip into its place
                    args.append(self.defaults[name])
        if self.rest:
            named = {name for name, _, _ in self.params}
            for place in reversed(places):
                kwargs.update((k, v) for k, v in place.items() if k not in named and not (k == "ctx" and self.with_context))
        return args, kwargs

    @staticmethod
    def places(ctx: Context) -> list[dict[str, Any]]:
        deps = ctx.dependencies
        only = next(iter(deps.values())) if len(deps) == 1 else None
        ending: dict[str, Any] = {} if ctx.fate is None else {"fate": ctx.fate}
        if ctx.compensates:
            ending["output"] = ctx.output
        own = ({"item": ctx.item, "index": ctx.index}, ctx.item) if ctx.index is not None else ()
        return [place for place in (ending, ctx.output, ctx.input, *own, ctx.input_data, deps, only, ctx.workflow_input) if isinstance(place, dict)]


@overload
def function(name: F) -> F: ...
@overload
def function(name: str | None = None) -> Callable[[F], F]: ...
def function(name: Any = None) -> Any:
    """Make a function a handler that every Worker of this process serves, under its own name or the one given.

    ``@function``, ``@function()`` and ``@function("name")`` are the same but for the name. The function may be sync or async. A
    first parameter named ``ctx`` gets the Context; every other is filled from the task. What it returns (JSON) is the step's output.
    """
    if callable(name):
        return function()(name)

    def decorate(fn: F) -> F:
        register_function(name or getattr(fn, "__name__", ""), fn)
        return fn

    return decorate


def register_function(name: str, fn: Callable[..., Any]) -> None:
    """Register a handler. Raises ValueError for a bad name or one that is taken."""
    problem = name_problem(name)
    if problem:
        raise ValueError(f"handler name {problem}")
    if name in _functions:
        raise ValueError(f"handler {name!r} is already registered in this process")
    _functions[name] = Handler(name, fn)


def get_registered_functions() -> dict[str, Callable[..., Any]]:
    """Every handler of this process, by name."""
    return {name: handler.fn for name, handler in _functions.items()}


def handlers() -> dict[str, Handler]:
    """What a Worker serves."""
    return dict(_functions)
