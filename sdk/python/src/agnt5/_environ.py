"""A client's settings in the environment."""

from __future__ import annotations

import logging
import os

_log = logging.getLogger("agnt5")
_said: set[str] = set()  # settings of which it was said that they are misnamed


def setting(name: str) -> str | None:
    """AGNT5_ and the name. AGNT5D_, which the daemon's own settings begin with, is taken for it where that is not set, with a warning."""
    if value := os.environ.get("AGNT5_" + name):
        return value
    value = os.environ.get("AGNT5D_" + name) or None
    if value and name not in _said:
        _said.add(name)
        _log.warning("AGNT5D_%s is taken for AGNT5_%s: AGNT5D_ is for settings of the daemon", name, name)
    return value
