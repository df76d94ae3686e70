"""Every call of the client, once: what SyncClient and Client can do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ._call import Steps, call, filled, items_of, object_of, with_query
from ._http import given, segment
from ._runs import RunCalls
from ._schedule_calls import ScheduleCalls
from .workflows import FlowDefinition


class Calls(RunCalls, ScheduleCalls):
    """What SyncClient and Client can do."""

    # Workflows.

    @call
    def register_workflow(self, name: str, definition: FlowDefinition | str) -> Steps[dict[str, Any]]:
        """Register a definition (or its JSON or YAML text) and make it current: ``{name, version, digest}``."""
        text = definition if isinstance(definition, str) else definition.to_json()
        got = yield from self._ask("PUT", f"/v1/workflows/{segment('name', name)}", raw=text.encode())
        return object_of(got, "version")

    @call
    def list_definitions(self) -> Steps[list[dict[str, Any]]]:
        """Every registered workflow, by name: ``{name, version, digest, ...}`` of the current version."""
        return items_of((yield from self._ask("GET", "/v1/workflows")), "workflows")

    @call
    def get_definition(self, name: str, version: int | None = None) -> Steps[dict[str, Any]]:
        """A registered workflow with its ``definition``; without ``version`` the current one. Raises NotFound (``workflow_not_found``)."""
        query = {} if version is None else {"version": str(int(version))}
        return object_of((yield from self._ask("GET", with_query(f"/v1/workflows/{segment('name', name)}", query))), "definition")

    @call
    def get_graph(self, name: str, version: int | None = None, *, fold: int | None = None) -> Steps[dict[str, Any]]:
        """The graph of a definition, with a place in pixels for each step: ``{nodes, edges, groups, width, height}`` and more.

        With more than ``fold`` steps those that are alike become one node. Raises NotFound (``workflow_not_found``).
        """
        query = {key: str(int(value)) for key, value in (("version", version), ("fold", fold)) if value is not None}
        return object_of((yield from self._ask("GET", with_query(f"/v1/workflows/{segment('name', name)}/graph", query))), "nodes")

    @call
    def use_definition(self, name: str, version: int) -> Steps[dict[str, Any]]:
        """Make a version that a workflow has had current: ``{name, version, digest}``.

        New runs get it, others keep theirs. Raises NotFound (``workflow_not_found``) when there is no such version.
        """
        got = yield from self._ask("PUT", f"/v1/workflows/{segment('name', name)}/current", {"version": int(version)})
        return object_of(got, "version")

    @call
    def delete_definition(self, name: str, version: int | None = None) -> Steps[None]:
        """Delete a version that no run uses and that is not the current one, or without ``version`` the workflow with all of them.

        Raises Conflict (``workflow_in_use``, ``version_current``).
        """
        query = {} if version is None else {"version": str(int(version))}
        yield from self._ask("DELETE", with_query(f"/v1/workflows/{segment('name', name)}", query))

    # Objects, workers, services, the daemon.

    @call
    def list_objects(self, prefix: str | None = None, limit: int = 100) -> Steps[list[dict[str, Any]]]:
        """Object keys by key, with version, fence and holder, at most ``limit`` of them (0: all)."""
        return (yield from self._pages("/v1/objects", {} if prefix is None else {"prefix": filled("prefix", prefix)}, "objects", limit))

    @call
    def get_object(self, key: str) -> Steps[dict[str, Any]]:
        """One object: ``{key, state, version, fence, holder?, queue?}``. Raises NotFound (``object_not_found``)."""
        return object_of((yield from self._ask("GET", f"/v1/objects/{segment('key', key)}")), "key")

    @call
    def delete_object(self, key: str) -> Steps[None]:
        """Remove an object's state."""
        yield from self._ask("DELETE", f"/v1/objects/{segment('key', key)}")

    @call
    def list_workers(self) -> Steps[list[dict[str, Any]]]:
        """The workers' sessions: services, handlers, capacity, and what they work on."""
        return items_of((yield from self._ask("GET", "/v1/workers")), "workers")

    @call
    def list_services(self) -> Steps[list[dict[str, Any]]]:
        """The services: those that workers serve (``kind`` "poll"), those that the daemon sends tasks to ("push"), and those that are paused."""
        return items_of((yield from self._ask("GET", "/v1/services")), "services")

    @call
    def get_service(self, name: str) -> Steps[dict[str, Any]]:
        """One push service. Raises NotFound (``service_not_found``)."""
        return object_of((yield from self._ask("GET", f"/v1/services/{segment('name', name)}")), "url")

    @call
    def put_service(
        self,
        name: str,
        url: str,
        handlers: Iterable[str],
        *,
        capacity: int | None = None,
        timeout_ms: int | None = None,
        secret: str | None = None,
    ) -> Steps[dict[str, Any]]:
        """Set up a push service: its tasks are POSTed to ``url/{handler}``. The answer to the first one shows the ``secret`` of the signature.

        ``capacity`` bounds the requests at once (10), ``timeout_ms`` one of them (60,000).
        """
        body: dict[str, Any] = {"url": url, "handlers": list(handlers)}
        body |= {key: value for key, value in (("capacity", capacity), ("timeout_ms", timeout_ms), ("secret", secret)) if value is not None}
        return object_of((yield from self._ask("PUT", f"/v1/services/{segment('name', name)}", body)), "url")

    @call
    def pause_service(self, name: str, reason: str = "") -> Steps[None]:
        """Pause a service, whoever serves it: nobody gets a task of it until it is resumed. What workers have goes on."""
        object_of((yield from self._ask("POST", f"/v1/services/{segment('name', name)}/pause", {"reason": reason})))

    @call
    def resume_service(self, name: str, reason: str = "") -> Steps[None]:
        """End the pause of a service."""
        object_of((yield from self._ask("POST", f"/v1/services/{segment('name', name)}/resume", {"reason": reason})))

    @call
    def get_hold(self) -> Steps[dict[str, Any]]:
        """Whether the daemon, started with ``--careful``, holds the runs: ``{held, runs, resuming, resumed, per_second}``."""
        return object_of((yield from self._ask("GET", "/v1/hold")), "held")

    @call
    def resume_all(self, per_second: int = 0, reason: str = "") -> Steps[dict[str, Any]]:
        """Let the runs go on that the daemon holds, oldest first, ``per_second`` of them a second (0: as fast as it goes): ``get_hold`` says how far it is.

        Asked again it changes the rate. Runs that are paused themselves stay so. Without a hold it changes nothing.
        """
        return object_of((yield from self._ask("POST", "/v1/hold/resume", {"per_second": int(per_second), "reason": reason})), "held")

    @call
    def delete_service(self, name: str) -> Steps[None]:
        """Remove a push service."""
        yield from self._ask("DELETE", f"/v1/services/{segment('name', name)}")

    @call
    def list_tokens(self) -> Steps[list[dict[str, Any]]]:
        """The access tokens, also those that are not valid any more, without their texts."""
        return items_of((yield from self._ask("GET", "/v1/tokens")), "tokens")

    @call
    def create_token(self, name: str, scope: str, *, ttl_ms: int = 0) -> Steps[dict[str, Any]]:
        """Make an access token; its text is in ``token`` and is given out this once. Raises Conflict (``token_exists``).

        ``scope`` is "read", "operate", "worker", "worker:SERVICE" or "admin"; ``ttl_ms`` is how long it is valid, 0 for ever.
        """
        body = {"name": given("name", name), "scope": given("scope", scope)}
        return object_of((yield from self._ask("POST", "/v1/tokens", body | ({"ttl_ms": ttl_ms} if ttl_ms else {}))), "token")

    @call
    def revoke_token(self, name: str) -> Steps[str | None]:
        """Make an access token worthless, at once. Gives what to do when no admin token is left, else None.

        Raises NotFound (``token_not_found``).
        """
        got = yield from self._ask("DELETE", f"/v1/tokens/{segment('name', name)}")
        return None if got is None else str(object_of(got).get("hint") or "") or None

    @call
    def get_settings(self) -> Steps[dict[str, str]]:
        """What the daemon was told, by flag name. What may hold a secret is ``***``."""
        return {str(k): str(v) for k, v in object_of(object_of((yield from self._ask("GET", "/v1/settings"))).get("settings")).items()}

    @call
    def get_version(self) -> Steps[dict[str, Any]]:
        """What the daemon is: its version and what it was built with."""
        return object_of((yield from self._ask("GET", "/version")))
