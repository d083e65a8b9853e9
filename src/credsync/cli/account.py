"""A run's report on the screen: what became of everything, why, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from credsync.cli.progress import per_second
from credsync.cli.screen import Cell, Column, Screen, Table
from credsync.cli.wording import counted, explain_reason, plural
from credsync.report import Failure, Report, Verdict

__all__ = ["show_report"]

SHOWN_FAILURES = 10
"""Failures on the screen; the JSON form has all that the report keeps."""

STYLES = {Verdict.SENT: "green", Verdict.DEFERRED: "yellow", Verdict.REJECTED: "red", Verdict.FAILED: "red"}


def show_report(report: Report, screen: Screen, destination: str = "") -> None:
    """Show a report.

    Args:
        report: The report.
        screen: Where to show it.
        destination: Names where the updates went.
    """
    screen.say(_headline(report, destination), "bold")
    screen.say()
    screen.show(_verdict_table(report))
    for table in (_reason_table(report), _failure_table(report.failures[:SHOWN_FAILURES])):
        if table.rows:
            screen.say()
            screen.show(table)
    for line, style in _iter_closing(report):
        screen.say()
        screen.say(line, style)


def _headline(report: Report, destination: str) -> str:
    seconds = (report.ended - report.started).total_seconds()
    read = (
        f"{counted(sum(report.read.values()), 'record')} read in {seconds:,.1f} s ({per_second(report):,.0f} a second)"
    )
    sent = report.total(Verdict.SENT)
    return f"{read}: {sent:,} would be sent" if report.dry_run else f"{read}: {sent:,} sent to {destination}"


def _verdict_table(report: Report) -> Table:
    columns = [Column("records"), Column("read", is_number=True)]
    for verdict in Verdict:
        heading = "to send" if report.dry_run and verdict is Verdict.SENT else str(verdict)
        columns.append(Column(heading, STYLES.get(verdict, ""), is_number=True))
    rows: list[Sequence[Cell]] = [
        (plural(kind), report.read[kind], *(report.total(verdict, kind) for verdict in Verdict))
        for kind in report.kinds
    ]
    rows.append(("total", sum(report.read.values()), *(report.total(verdict) for verdict in Verdict)))
    return Table(columns, rows, has_total=True)


def _reason_table(report: Report) -> Table:
    """Tabulate why records were not sent, the most frequent reasons of each kind and verdict first."""
    rows = [
        (count, plural(kind), str(verdict), str(reason), explain_reason(reason))
        for kind in report.kinds
        for verdict in Verdict
        for reason, count in report.reasons(verdict, kind).most_common()
        if reason
    ]
    return Table(
        [
            Column("count", is_number=True),
            Column("records"),
            Column("outcome"),
            Column("reason", "bold"),
            Column("meaning"),
        ],
        rows,
    )


def _failure_table(failures: Sequence[Failure]) -> Table:
    rows = [
        (
            failure.record.kind,
            "unknown" if failure.record.user_id is None else str(failure.record.user_id),
            failure.record.target or "unknown",
            f"{failure.verdict}: {failure.reason}" + (f" (status {failure.status})" if failure.status else ""),
        )
        for failure in failures
    ]
    return Table([Column("failure"), Column("user id"), Column("course run"), Column("why", "red")], rows)


def _iter_closing(report: Report) -> Iterator[tuple[str, str]]:
    """Yield what there is to be done about a report, each with its style."""
    failed = report.total(Verdict.REJECTED) + report.total(Verdict.FAILED)
    if failed > SHOWN_FAILURES:
        yield f"These are the first {SHOWN_FAILURES} of {counted(failed, 'failure')}; --json tells more.", ""
    if deferred := report.total(Verdict.DEFERRED):
        what_next = "" if report.stopped else ": a later run with this ledger looks at them again"
        yield f"{deferred:,} deferred, and not lost{what_next}.", "yellow"
    if report.stopped:
        wait = f" in {report.stopped.retry_after:,.0f} s" if report.stopped.retry_after else ""
        yield f"Stopped early, in {report.stopped.stage}: {report.stopped.reason}.", "bold red"
        again = f"To go on, run the same command again{wait}: nothing is lost."
        yield f"{again} A run of notify skips what is done with --resume.", ""
    if report.unaccounted:
        yield f"{report.unaccounted:,} records are unaccounted for. That is a bug in credsync: please report it.", "red"
