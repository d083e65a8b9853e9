"""Metrics for Prometheus."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

__all__ = ["PrometheusMetrics"]


class PrometheusMetrics:
    """Keeps `credsync_records_total` (by kind and verdict) and `credsync_page_seconds` (by step) in a registry.

    Args:
        registry: Where the metrics are collected from; a registry takes them once.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        labels = ["kind", "verdict"]
        self._records = Counter("credsync_records", "Records that found their end", labels, registry=registry)
        self._seconds = Histogram("credsync_page_seconds", "Time a page took in a step", ["step"], registry=registry)

    def count(self, kind: str, verdict: str, records: int) -> None:
        """Add to the counter."""
        self._records.labels(kind, verdict).inc(records)

    def time(self, step: str, seconds: float) -> None:
        """Add to the histogram."""
        self._seconds.labels(step).observe(seconds)
