"""Start, watch and steer runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import random
import secrets
import time
import urllib.parse
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from ._http import Connections, base_url, given, segment
from .errors import ApiError, Unreachable, WaitTimeout
from .workflows import FlowDefinition

T = TypeVar("T")

_ENDED = ("completed", "failed", "cancelled", "quarantined")
BUSY = (502, 503, 504)  # of the daemon, and of a proxy before it
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id() -> str:
    """An id for a run or a signal: a ULID, ascending in time."""
    value = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


class SyncClient:
    """A client for scripts. Thread-safe.

    ``url`` is the daemon's address (default: AGNT5_URL, else http://localhost:8080), ``api_key`` is sent as a bearer token
    (default: AGNT5_API_KEY), ``timeout`` bounds one request and ``patience`` how long a call is sent again while the daemon does
    not answer or is busy, both in seconds. Every call is safe to send again: starts and signals carry an id.

    Errors: ApiError and its kinds NotFound, Conflict, Unauthorized, with the daemon's stable ``code``; Unreachable.
    """

    def __init__(self, url: str | None = None, *, api_key: str | None = None, timeout: float = 30.0, patience: float = 10.0) -> None:
        base = base_url(url)
        self.url = base.geturl()
        self._patience = patience
        self._timeout = timeout
        self._pool = Connections(base, api_key or os.environ.get("AGNT5_API_KEY"), timeout)

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, headers: dict[str, str] | None = None, wait: float = 0
    ) -> Any:
        if body is not None:
            raw = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        until = time.monotonic() + self._patience
        pause = 0.05
        while True:
            try:
                return self._pool.call(method, path, raw, headers, self._timeout + wait)[1]
            except (Unreachable, ApiError) as why:
                if (isinstance(why, ApiError) and why.status not in BUSY) or time.monotonic() + pause > until:
                    raise
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 2.0)

    def register_workflow(self, name: str, definition: FlowDefinition | str) -> dict[str, Any]:
        """Register a definition (or its JSON or YAML text) and make it current: ``{name, version, digest}``."""
        text = definition if isinstance(definition, str) else definition.to_json()
        got: dict[str, Any] = self._call("PUT", f"/v1/workflows/{segment('name', name)}", raw=text.encode())
        return got

    def start_workflow(self, workflow_name: str, input_data: Any = None, workflow_id: str | None = None) -> dict[str, Any]:
        """Start a run; gives its status, with ``workflow_id``.

        With an id of your own, the same id, workflow and input again give the run that exists. Raises NotFound
        (``workflow_not_found``) and Conflict (``run_conflict``).
        """
        body = {"workflow_id": new_id() if workflow_id is None else given("workflow_id", workflow_id), "input_data": input_data}
        got: dict[str, Any] = self._call("POST", f"/v1/workflows/{segment('workflow_name', workflow_name)}/runs", body)
        return got

    def get_workflow_status(self, workflow_id: str, steps: str = "all") -> dict[str, Any]:
        """A run's status: ``state``, ``output``, ``error``, ``steps`` and more. ``steps`` is "all", "open" or "none"."""
        got: dict[str, Any] = self._call("GET", f"/v1/runs/{segment('workflow_id', workflow_id)}?steps={segment('steps', steps)}")
        return got

    def wait(self, workflow_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Wait until the run has ended and give its status. Raises WaitTimeout after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        pause = 0.05
        while True:
            left = 10.0 if until is None else min(10.0, until - time.monotonic())
            try:
                status: dict[str, Any] = self._call(
                    "GET", f"/v1/runs/{segment('workflow_id', workflow_id)}", headers={"Prefer": f"wait={max(int(left + 0.999), 0)}"}, wait=left
                )
                pause = 0.05
                if status["state"] in _ENDED and status.get("completed_at"):
                    return status
            except (Unreachable, ApiError) as why:
                if isinstance(why, ApiError) and why.status not in BUSY:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
            if until is not None and time.monotonic() >= until:
                raise WaitTimeout(f"run {workflow_id!r} has not ended within {timeout} s")

    def signal_workflow(self, workflow_id: str, signal_name: str, payload: Any = None, *, signal_id: str | None = None) -> dict[str, Any]:
        """Send a signal: ``{signal_id, consumed_by?}``. The same ``signal_id`` again is harmless."""
        body = {"payload": payload, "signal_id": new_id() if signal_id is None else given("signal_id", signal_id)}
        got: dict[str, Any] = self._call("POST", f"/v1/runs/{segment('workflow_id', workflow_id)}/signals/{segment('signal_name', signal_name)}", body)
        return got

    def cancel_workflow(self, workflow_id: str, reason: str = "") -> None:
        """End a run. Raises Conflict (``run_finished``)."""
        self._call("POST", f"/v1/runs/{segment('workflow_id', workflow_id)}/cancel", {"reason": reason})

    def retry_workflow(self, workflow_id: str) -> None:
        """Reopen a failed or cancelled run; what was done stays done. Raises Conflict (``run_not_failed``)."""
        self._call("POST", f"/v1/runs/{segment('workflow_id', workflow_id)}/retry", {})

    def fire_timer(self, workflow_id: str, timer_key: str) -> None:
        """Fire a timer now. Raises NotFound (``timer_not_found``) and Conflict (``timer_not_waiting``)."""
        self._call("POST", f"/v1/runs/{segment('workflow_id', workflow_id)}/timers/{segment('timer_key', timer_key)}/fire", {})

    def delete_workflow(self, workflow_id: str) -> None:
        """Delete a finished run and its history. Raises Conflict (``run_open``)."""
        self._call("DELETE", f"/v1/runs/{segment('workflow_id', workflow_id)}")

    def list_workflows(
        self, *, workflow_name: str | None = None, state: str | None = None, id_prefix: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Runs, newest first, at most ``limit`` of them (0: all)."""
        for what, value in {"workflow_name": workflow_name, "state": state, "id_prefix": id_prefix}.items():
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{what}: want a text, not {type(value).__name__}")
            if value == "":
                raise ValueError(f"{what} is empty: give it a value, or leave it out")
        out: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = {
                "workflow": workflow_name,
                "state": state,
                "id_prefix": id_prefix,
                "cursor": cursor,
                "limit": str(min(1000, limit - len(out)) if limit else 1000),
            }
            page = self._call("GET", "/v1/runs?" + urllib.parse.urlencode({k: v for k, v in query.items() if v}))
            out.extend(page["runs"])
            cursor = page.get("next_cursor", "")
            if not cursor or (limit and len(out) >= limit):
                return out

    def get_history(self, workflow_id: str) -> list[dict[str, Any]]:
        """Every event of a run, in order: ``{seq, n, at, kind, step?, attempt?, data?}``."""
        out: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self._call("GET", f"/v1/runs/{segment('workflow_id', workflow_id)}/events?after={after}&limit=1000")
            out.extend(page["events"])
            if not page["events"]:
                return out
            after = page["next_after"]

    def explain(self, workflow_id: str) -> list[dict[str, Any]]:
        """Why a run does not move: ``{step, code, detail, command?}`` for each open step."""
        got: list[dict[str, Any]] = self._call("GET", f"/v1/runs/{segment('workflow_id', workflow_id)}/explain")["reasons"]
        return got


class Client:
    """The same client for asyncio: each method of SyncClient, to be awaited. Calls run in threads of its own."""

    def __init__(self, url: str | None = None, *, api_key: str | None = None, timeout: float = 30.0, patience: float = 10.0) -> None:
        self._sync = SyncClient(url, api_key=api_key, timeout=timeout, patience=patience)
        self._threads = concurrent.futures.ThreadPoolExecutor(128, thread_name_prefix="agnt5-client")
        self.url = self._sync.url

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False)
        self._sync.close()

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def register_workflow(self, name: str, definition: FlowDefinition | str) -> dict[str, Any]:
        """See SyncClient.register_workflow."""
        return await self._run(lambda: self._sync.register_workflow(name, definition))

    async def start_workflow(self, workflow_name: str, input_data: Any = None, workflow_id: str | None = None) -> dict[str, Any]:
        """See SyncClient.start_workflow."""
        return await self._run(lambda: self._sync.start_workflow(workflow_name, input_data, workflow_id))

    async def get_workflow_status(self, workflow_id: str, steps: str = "all") -> dict[str, Any]:
        """See SyncClient.get_workflow_status."""
        return await self._run(lambda: self._sync.get_workflow_status(workflow_id, steps))

    async def wait(self, workflow_id: str, timeout: float | None = None) -> dict[str, Any]:
        """See SyncClient.wait."""
        return await self._run(lambda: self._sync.wait(workflow_id, timeout))

    async def signal_workflow(
        self, workflow_id: str, signal_name: str, payload: Any = None, *, signal_id: str | None = None
    ) -> dict[str, Any]:
        """See SyncClient.signal_workflow."""
        return await self._run(lambda: self._sync.signal_workflow(workflow_id, signal_name, payload, signal_id=signal_id))

    async def cancel_workflow(self, workflow_id: str, reason: str = "") -> None:
        """See SyncClient.cancel_workflow."""
        await self._run(lambda: self._sync.cancel_workflow(workflow_id, reason))

    async def retry_workflow(self, workflow_id: str) -> None:
        """See SyncClient.retry_workflow."""
        await self._run(lambda: self._sync.retry_workflow(workflow_id))

    async def fire_timer(self, workflow_id: str, timer_key: str) -> None:
        """See SyncClient.fire_timer."""
        await self._run(lambda: self._sync.fire_timer(workflow_id, timer_key))

    async def delete_workflow(self, workflow_id: str) -> None:
        """See SyncClient.delete_workflow."""
        await self._run(lambda: self._sync.delete_workflow(workflow_id))

    async def list_workflows(
        self, *, workflow_name: str | None = None, state: str | None = None, id_prefix: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """See SyncClient.list_workflows."""
        return await self._run(
            lambda: self._sync.list_workflows(workflow_name=workflow_name, state=state, id_prefix=id_prefix, limit=limit)
        )

    async def get_history(self, workflow_id: str) -> list[dict[str, Any]]:
        """See SyncClient.get_history."""
        return await self._run(lambda: self._sync.get_history(workflow_id))

    async def explain(self, workflow_id: str) -> list[dict[str, Any]]:
        """See SyncClient.explain."""
        return await self._run(lambda: self._sync.explain(workflow_id))
