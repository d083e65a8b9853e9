"""Past runs on the screen, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC

from attrs import evolve

from credsync.cli.account import show_report
from credsync.cli.screen import Column, Screen, Table
from credsync.cli.wording import counted, moment
from credsync.delivery import GIVEN_UP
from credsync.history import PastRun
from credsync.report import SCHEMA_VERSION, Report, Verdict

__all__ = ["as_dict", "as_summary", "count_letters", "show_run", "show_runs"]


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
    if letters := count_letters(report):
        screen.say()
        screen.say(f"{counted(letters, 'dead letter')}: credsync letters says why, credsync retry sends anew.")


def count_letters(report: Report) -> int:
    """Count what became a dead letter: what was rejected, or given up. What is wrong in the source becomes none."""
    failed = report.reasons(Verdict.FAILED)
    return report.total(Verdict.REJECTED) + sum(n for reason, n in failed.items() if reason.startswith(GIVEN_UP))


def _iter_facts(run: PastRun) -> Iterator[str]:
    header = run.header
    yield f"Run {run.run_id} ({header.job}), begun {moment(header.started)}: {_STATUS.get(run.status, run.status)}."
    if header.start or header.end:
        since = moment(header.start) if header.start else "the beginning"
        yield f"Window: from {since} {f'to before {moment(header.end)}' if header.end else 'on'}."
    if header.watermark and run.status == "complete":
        yield f"Watermark: {moment(header.watermark)}."


_STATUS: Mapping[str, str] = {
    "complete": "complete",
    "stopped": "stopped early",
    "resumed": "stopped early, and another run went on with it",
    "killed": "killed; this is what was durable at its last page",
    "running": "still going on, or killed; this is what was durable at its last page",
}


def show_runs(runs: Iterable[PastRun], screen: Screen) -> None:
    """Show runs, a line each; what is the same for all of them is said once."""
    runs = list(runs)
    if not runs:
        screen.say("The ledger knows no run yet.")
        return
    jobs, places = {run.header.job for run in runs}, {run.destination for run in runs}
    columns = [
        Column("run", is_number=True),
        Column("begun (UTC)"),
        Column("status"),
        Column("read", is_number=True),
        *(Column(verdict.value, is_number=True) for verdict in Verdict),
        *([Column("job")] if len(jobs) > 1 else []),
        *([Column("destination")] if len(places) > 1 else []),
    ]
    rows: list[Sequence[str | int]] = [
        (
            run.run_id,
            f"{run.report.started.astimezone(UTC):%Y-%m-%d %H:%M}",
            run.status,
            sum(run.report.read.values()),
            *(run.report.total(verdict) for verdict in Verdict),
            *([run.header.job] if len(jobs) > 1 else []),
            *([run.destination] if len(places) > 1 else []),
        )
        for run in runs
    ]
    screen.show(Table(columns, rows))
    if len(places) == 1:
        screen.say()
        screen.say(f"All went to {places.pop()}.")
