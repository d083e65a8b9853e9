"""Metrics for OpenTelemetry."""

from __future__ import annotations

from opentelemetry.metrics import Meter, get_meter

__all__ = ["OpenTelemetryMetrics"]


class OpenTelemetryMetrics:
    """Records `credsync.records` (by kind and verdict) and `credsync.page.duration` (seconds, by step) with a meter.

    Args:
        meter: Where the instruments come from; None takes the global provider's meter for `credsync`.
    """

    def __init__(self, meter: Meter | None = None) -> None:
        meter = meter or get_meter("credsync")
        self._records = meter.create_counter("credsync.records", description="Records that found their end")
        self._seconds = meter.create_histogram("credsync.page.duration", "s", "Time a page took in a step")

    def count(self, kind: str, verdict: str, records: int) -> None:
        """Add to the counter."""
        self._records.add(records, {"kind": kind, "verdict": verdict})

    def time(self, step: str, seconds: float) -> None:
        """Add to the histogram."""
        self._seconds.record(seconds, {"step": step})
