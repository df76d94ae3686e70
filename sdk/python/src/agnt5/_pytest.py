"""The pytest plugin of agnt5.testing."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from . import _nodes, functions, schedules, workflows
from .testing import Daemon, Kit

_OTHERS = ("asyncio", "anyio", "trio", "tornado", "twisted")  # marks of plugins that run coroutines


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("agnt5")
    group.addoption(
        "--agnt5-url", default=None, help="daemon that Client() and Client('http://localhost:8080') talk to; without it, one of the test run's own"
    )


class _Default:
    """What the default address stands for while a test runs: a kit that starts when something asks for it."""

    def __init__(self) -> None:
        self.daemon: Daemon | None = None
        self.kit: Kit | None = None
        self._lock = threading.Lock()

    def started(self) -> Daemon:
        if self.daemon is None:
            self.daemon = Daemon()
        return self.daemon

    def url(self) -> str:
        with self._lock:
            if self.kit is None:
                self.kit = Kit(self.started())
                self.kit.serve()
            return self.kit.url

    def close(self) -> None:
        with self._lock:
            if self.kit is not None:
                self.kit.close()
                self.kit = None


@pytest.fixture(scope="session")
def _agnt5_default(request: pytest.FixtureRequest) -> Iterator[_Default]:
    default = _Default()
    yield default
    default.close()
    if default.daemon is not None:
        default.daemon.stop()


@pytest.fixture(autouse=True)
def _agnt5_isolated(request: pytest.FixtureRequest, _agnt5_default: _Default, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it, and the default address is a daemon of the test run's own."""
    monkeypatch.setattr(workflows, "_registered", dict(workflows._registered))
    monkeypatch.setattr(schedules, "_registered", dict(schedules._registered))
    monkeypatch.setattr(functions, "_functions", dict(functions._functions))
    url = request.config.getoption("--agnt5-url")
    monkeypatch.setattr(_nodes, "default_address", (lambda: str(url)) if url else _agnt5_default.url)
    yield
    _agnt5_default.close()


@pytest.fixture
def agnt5_daemon(_agnt5_default: _Default) -> Daemon:
    """The daemon of the test run."""
    return _agnt5_default.started()


@pytest.fixture
def agnt5(agnt5_daemon: Daemon) -> Iterator[Kit]:
    """A Kit: start runs, stub handlers, look at the path that was taken."""
    with Kit(agnt5_daemon) as kit:
        yield kit


@pytest.hookimpl
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Run a test that is a coroutine, unless another plugin does."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or any(pyfuncitem.get_closest_marker(mark) for mark in _OTHERS):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
