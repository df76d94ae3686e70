"""Durable workflows: the Python client and worker of agnt5d.

Definitions stand in ``agnt5.workflows``; handlers are functions with ``@function``; ``Worker`` serves them, ``Client`` starts and
steers runs.
"""

from .client import Client, SyncClient
from .errors import (
    Agnt5Error,
    ApiError,
    Cancelled,
    Conflict,
    NonRetryableError,
    NotFound,
    Problem,
    RetryAfter,
    Unauthorized,
    UnknownAnswer,
    Unreachable,
    ValidationError,
    WaitTimeout,
)
from .functions import Context, Objects, function, get_registered_functions, register_function
from .schedules import Schedule, get_registered_schedules, register_schedule
from .worker import Worker
from .workflows import (
    CompensateConfig,
    FlowDefinition,
    RepeatConfig,
    RetentionConfig,
    RetryConfig,
    SignalConfig,
    StepType,
    TimerConfig,
    WorkflowStep,
    get_registered_workflows,
    register_workflow,
    task_step,
    wait_signal_step,
    wait_timer_step,
    workflow,
    workflow_step,
)

__version__ = "0.1.0"

__all__ = [
    "Agnt5Error",
    "ApiError",
    "Cancelled",
    "Client",
    "CompensateConfig",
    "Conflict",
    "Context",
    "FlowDefinition",
    "NonRetryableError",
    "NotFound",
    "Objects",
    "Problem",
    "RepeatConfig",
    "RetentionConfig",
    "RetryAfter",
    "RetryConfig",
    "Schedule",
    "SignalConfig",
    "StepType",
    "SyncClient",
    "TimerConfig",
    "Unauthorized",
    "UnknownAnswer",
    "Unreachable",
    "ValidationError",
    "WaitTimeout",
    "Worker",
    "WorkflowStep",
    "function",
    "get_registered_functions",
    "get_registered_schedules",
    "get_registered_workflows",
    "register_function",
    "register_schedule",
    "register_workflow",
    "task_step",
    "wait_signal_step",
    "wait_timer_step",
    "workflow",
    "workflow_step",
]
