"""Past runs on the screen, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from attrs import evolve

from credsync.cli.account import show_report
from credsync.cli.screen import Column, Screen, Table
from credsync.history import PastRun
from credsync.report import SCHEMA_VERSION, Verdict

__all__ = ["as_dict", "as_summary", "show_run", "show_runs"]


def as_dict(run: PastRun) -> dict[str, object]:
    """Return the JSON form of a run: its report, and what the ledger knows beside."""
    return {
        "schema_version": SCHEMA_VERSION,
        **as_summary(run),
        **run.report.as_dict(),
        "status": run.status,
        "scope": run.header.scope,
        "by_target": [
            {"kind": kind, "target": target, "verdict": verdict, "reason": reason, "records": records}
            for (kind, target, verdict, reason), records in sorted(run.by_target.items())
        ],
        "by_minute": [
            {"minute": minute.isoformat(), "verdict": verdict, "records": records}
            for (minute, verdict), records in sorted(run.timeline.items())
        ],
    }


def as_summary(run: PastRun) -> dict[str, object]:
    """Return the short JSON form of a run: which it is, how it ended, and its totals."""
    header, report = run.header, run.report
    return {
        "run": run.run_id,
        "job": header.job,
        "status": run.status,
        "destination": run.destination,
        "process": run.process,
        "started": report.started.isoformat(),
        "ended": report.ended.isoformat(),
        "start": header.start and header.start.isoformat(),
        "end": header.end and header.end.isoformat(),
        "watermark": header.watermark and header.watermark.isoformat(),
        "read": sum(report.read.values()),
        "totals": {verdict.value: report.total(verdict) for verdict in Verdict},
    }


def show_run(run: PastRun, screen: Screen) -> None:
    """Show a run as it was shown when it ended, with what it was."""
    for line in _iter_facts(run):
        screen.say(line)
    screen.say()
    report = run.report if run.status == "stopped" else evolve(run.report, stopped=None)
    show_report(report, screen, run.destination)


def _iter_facts(run: PastRun) -> Iterator[str]:
    header = run.header
    yield f"Run {run.run_id} ({header.job}), begun {_time(header.started)}: {_STATUS.get(run.status, run.status)}."
    if header.start or header.end:
        since = _time(header.start) if header.start else "the beginning"
        yield f"Window: from {since} to before {_time(header.end) if header.end else 'now'}."
    if header.watermark:
        yield f"Watermark: {_time(header.watermark)}."


_STATUS: Mapping[str, str] = {
    "complete": "complete",
    "stopped": "stopped early",
    "resumed": "stopped early, and another run went on with it",
    "running": "still going on, or killed; this is what was durable at its last page",
}


def show_runs(runs: Iterable[PastRun], screen: Screen) -> None:
    """Show runs, a line each."""
    columns = [
        Column("run", is_number=True),
        Column("job"),
        Column("begun"),
        Column("status"),
        Column("read", is_number=True),
        *(Column(verdict.value, is_number=True) for verdict in Verdict),
        Column("destination"),
    ]
    rows: list[Sequence[str | int]] = [
        (
            run.run_id,
            run.header.job,
            _time(run.report.started),
            run.status,
            sum(run.report.read.values()),
            *(run.report.total(verdict) for verdict in Verdict),
            run.destination,
        )
        for run in runs
    ]
    if rows:
        screen.show(Table(columns, rows))
    else:
        screen.say("The ledger knows no run yet.")


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
