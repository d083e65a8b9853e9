"""The metrics adapters: what a run tells reaches the monitoring systems' own libraries."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry

from credsync.adapters.opentelemetry import OpenTelemetryMetrics
from credsync.adapters.prometheus import PrometheusMetrics


def test_prometheus_collects_records_by_kind_and_verdict_and_the_time_of_steps() -> None:
    """What was counted and timed stands in the registry."""
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    metrics.count("grade", "sent", 100)
    metrics.count("grade", "sent", 20)
    metrics.time("deliver", 0.5)

    assert registry.get_sample_value("credsync_records_total", {"kind": "grade", "verdict": "sent"}) == 120
    assert registry.get_sample_value("credsync_page_seconds_sum", {"step": "deliver"}) == 0.5


def test_opentelemetry_collects_records_by_kind_and_verdict_and_the_time_of_steps() -> None:
    """What was counted and timed reaches a reader of the meter's provider."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    metrics = OpenTelemetryMetrics(provider.get_meter("test"))
    metrics.count("grade", "sent", 100)
    metrics.count("grade", "sent", 20)
    metrics.time("deliver", 0.5)

    points = _points(reader)
    provider.shutdown()
    assert points["credsync.records"].value == 120
    assert points["credsync.records"].attributes == {"kind": "grade", "verdict": "sent"}
    assert points["credsync.page.duration"].sum == 0.5


def _points(reader: Any) -> dict[str, Any]:
    collected = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    return {metric.name: metric.data.data_points[0] for metric in collected}
