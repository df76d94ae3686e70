"""What handlers write to their logs is kept with the run."""

from __future__ import annotations

import logging
import re

import pytest

from agnt5._log import MAX_LOG, AttemptLog, AttemptLogger

ABOUT = {"workflow_id": "r", "step": "s", "attempt": 1}


def test_lines_have_time_level_and_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log = AttemptLog(lambda: None)
    quiet = logging.getLogger("agnt5.test.quiet")
    quiet.setLevel(logging.ERROR)  # what is kept does not depend on it
    logger = AttemptLogger(quiet, ABOUT, log)
    logger.info("row %d of %s", 1, "x")
    logger.warning("100%")
    logger.info("wrong %d", "x")  # never raises
    logger.info("\ud800")
    try:
        raise LookupError("gone")
    except LookupError:
        logger.exception("it failed")
    at, text = log.part() or (-1, "")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
    lines = re.sub(f"(?m)^{stamp}", "@ ", text)
    assert at == 0 and lines.startswith("@ INFO row 1 of x\n@ WARNING 100%\n@ INFO \\ud800\n@ ERROR it failed\nTraceback (most recent call last):\n")
    assert lines.endswith("\nLookupError: gone\n")
    assert [(r.getMessage(), r.filename) for r in caplog.records] == [("[r s #1] it failed", "test_log.py")]


def test_the_last_64_kib_are_kept() -> None:
    written = 0

    def count() -> None:
        nonlocal written
        written += 1

    log = AttemptLog(count)
    for i in range(3000):
        log.write(f"line {i:04}")
    at, text = log.part() or (0, "")
    line = len("2026-11-26T00:00:00.000Z line 0000\n")
    assert written == 3000 and at + len(text) == 3000 * line and MAX_LOG - line < len(text) <= MAX_LOG
    assert text.startswith("20") and text.endswith("line 2999\n")
    log.write("more")
    assert log.taken(at + len(text)) and log.taken(0)
    part = log.part()
    assert part is not None and part[0] == 3000 * line and part[1].endswith(" more\n")
    assert not log.taken(part[0] + len(part[1])) and log.part() is None
    log.write("é" * MAX_LOG)  # one line that is too long: it is cut between its letters
    _, text = log.part() or (0, "")
    assert MAX_LOG - 4 < len(text.encode()) <= MAX_LOG and text.strip("é\n") == ""
