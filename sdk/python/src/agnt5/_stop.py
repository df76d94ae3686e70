"""Signals that stop the workers of this process, and what a process that a handler forks has of them: nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any, Protocol


class Stoppable(Protocol):
    """A worker."""

    def _signalled(self) -> None: ...


_STOP_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]

_running: set[Stoppable] = set()
_hooked: dict[int, Any] = {}  # what the stop signals did before


def hook(worker: Stoppable, loop: asyncio.AbstractEventLoop) -> bool:
    """Let the signals stop a worker, too. False: they cannot be hooked here. What is ignored (by nohup, say) stays so."""
    _running.add(worker)
    for sig in _STOP_SIGNALS:
        try:
            was = signal.getsignal(sig)
            if was == signal.SIG_IGN:
                continue
            loop.add_signal_handler(sig, _stop_all)
            _hooked.setdefault(sig, was)
        except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, or a system without them
            return False
    return True


def unhook(worker: Stoppable, loop: asyncio.AbstractEventLoop) -> None:
    """The worker has ended; after the last one the signals do what they did before."""
    _running.discard(worker)
    if _running:
        return
    for sig in list(_hooked):
        try:
            loop.remove_signal_handler(sig)
            del _hooked[sig]
        except (NotImplementedError, RuntimeError, ValueError):
            return


def _stop_all() -> None:
    for worker in list(_running):
        worker._signalled()


_mask = threading.local()  # of the signals of a thread that forks


def _before_fork() -> None:
    """A signal that comes to the new process before it has its own handlers waits until it has."""
    if _hooked:
        _mask.was = signal.pthread_sigmask(signal.SIG_BLOCK, list(_hooked))


def _after_fork_here() -> None:
    was = vars(_mask).pop("was", None)
    if was is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, was)


def _after_fork_in_child() -> None:
    """A process that a handler forks is none of the worker: a signal to it must not wake the worker's loop."""
    try:
        if _hooked:
            signal.set_wakeup_fd(-1)
        for sig, was in _hooked.items():
            signal.signal(sig, was if was is not None else signal.SIG_DFL)
    except ValueError:  # not the main thread of the child
        pass
    _running.clear()
    _hooked.clear()
    _after_fork_here()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_here, after_in_child=_after_fork_in_child)
