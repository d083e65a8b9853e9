"""What a run decides of each record, and what the rules that are shown come to, side by side."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from credsync.cli.tracing import Answer, Step
from credsync.report import Verdict

Decision = tuple[str, str]
"""A verdict and its reason."""

VERDICTS = {Answer.OBJECTED: ("skipped", "failed"), Answer.NOT_YET: ("deferred",)}


def verdicts(caplog: pytest.LogCaptureFixture) -> dict[tuple[str, str, int], Decision]:
    """Return what became of each record of a verbose run, by kind, course run and user id."""
    found = {}
    for record in caplog.records:
        if record.name == "credsync" and isinstance(record.args, tuple) and len(record.args) == 5:
            kind, run, user_id, ending, _ = map(str, record.args)
            reason = record.getMessage().partition(f": {ending}")[2].strip(" ()")
            verdict = next(verdict for verdict in Verdict if ending in (verdict, verdict.foretold))
            found[kind, run, int(user_id)] = (str(verdict), reason)
    return found


def agrees(steps: Sequence[Step], decision: Decision) -> bool:
    """Whether the first objection of the rules, or else the first that waits, is the run's decision."""
    verdict, reason = decision
    for answer, expected in VERDICTS.items():
        for step in steps:
            if step.answer is answer:
                return verdict in expected and step.reason == reason
    return decision == ("sent", "") and all(step.answer is Answer.PASSED for step in steps)


def listen(caplog: pytest.LogCaptureFixture) -> None:
    """Begin to hear the lines of a verbose run."""
    caplog.set_level(logging.INFO, logger="credsync")
