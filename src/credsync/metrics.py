"""Hooks for counters and timings of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

__all__ = ["Metrics", "NoMetrics", "timed"]


class Metrics(Protocol):
    """Told of a run's numbers after each page. What it does with them must be quick, and must not raise."""

    def count(self, kind: str, verdict: str, records: int) -> None:
        """Take in how many records of a kind ended in one way."""
        ...

    def time(self, step: str, seconds: float) -> None:
        """Take in how long a page took in one step: `plan` (with its look-ups), `deliver` or `record`."""
        ...


class NoMetrics:
    """Metrics that nobody wants.

    Example:
        >>> NoMetrics().count("grade", "sent", 100)
    """

    def count(self, kind: str, verdict: str, records: int) -> None:
        """Let it go."""

    def time(self, step: str, seconds: float) -> None:
        """Let it go."""


@contextmanager
def timed(metrics: Metrics, step: str) -> Iterator[None]:
    """Time a step, also one that fails."""
    begun = perf_counter()
    try:
        yield
    finally:
        metrics.time(step, perf_counter() - begun)
