"""Metrics: a run tells its numbers."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import define, field

from credsync import Certificate, Host, Learner, ProgramIndex, RunOptions, send_notifications
from credsync.adapters.memory import MemoryPlatform, MemorySink
from credsync.metrics import timed


@define
class RecordedMetrics:
    """Metrics that keep what they are told."""

    records: Counter[tuple[str, str]] = field(factory=Counter)
    steps: list[str] = field(factory=list)

    def count(self, kind: str, verdict: str, records: int) -> None:
        """Keep a count."""
        self.records[kind, verdict] += records

    def time(self, step: str, seconds: float) -> None:
        """Keep a step that took some time."""
        assert seconds >= 0
        self.steps.append(step)


def test_a_run_tells_what_became_of_its_records_and_how_long_each_step_of_a_page_took() -> None:
    """Counts add up over pages, and each page is timed step by step."""
    metrics = RecordedMetrics()
    platform = MemoryPlatform()
    host = Host(catalog=ProgramIndex([]), sink=MemorySink(), learners=platform, certificates=platform, grades=platform)
    certs = [
        Certificate(
            user=Learner(id=number, username=f"learner-{number}"),
            course_id="course-v1:DemoX+Intro+2024",
            mode="verified",
            status="downloadable",
        )
        for number in range(3)
    ]

    send_notifications(certs, [], page_size=2, host=host, options=RunOptions(metrics=metrics, allow_empty_catalog=True))

    assert metrics.records == {("certificate", "sent"): 3}
    assert metrics.steps == ["plan", "deliver"] * 3  # two pages of certificates, and the empty one of no grades


def test_a_step_that_fails_is_timed_too() -> None:
    """A step's time is told before its error goes on."""
    metrics = RecordedMetrics()
    with pytest.raises(ZeroDivisionError), timed(metrics, "plan"):
        raise ZeroDivisionError
    assert metrics.steps == ["plan"]
