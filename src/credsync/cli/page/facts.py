"""The small print of a run: its first failures in full, and what it was about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from credsync.cli.page.charts import swatch
from credsync.cli.page.markup import Child, Markup, element, fragment
from credsync.cli.page.tables import Heading, row_heading, section, table
from credsync.cli.page.words import number, reason_in_words
from credsync.cli.redaction import hide_passwords
from credsync.cli.wording import counted, moment
from credsync.history import PastRun
from credsync.report import Failure, Report, Verdict

__all__ = ["facts_section", "failures_section"]

MOST_ITEMS = 20
"""Items of a filter that are shown; the rest are counted."""

FILTERS: Mapping[str, str] = {
    "course_runs": "Course runs",
    "user_ids": "Learners",
    "orgs": "Organisations",
    "site": "Site's organisations",
    "notify_programs": "Programs awarded",
    "revoke_program_certs": "Programs revoked",
}


def failures_section(report: Report) -> Markup | None:
    """Show the failures that the report keeps in full."""
    failed = report.total(Verdict.REJECTED) + report.total(Verdict.FAILED)
    if not report.failures:
        return None
    shown = len(report.failures)
    caption = (
        f"All {counted(failed, 'record')} that were rejected or failed."
        if shown >= failed
        else f"The first {number(shown)} of {number(failed)} records that were rejected or failed."
    )
    headings = [
        Heading("Outcome"),
        Heading("Record"),
        Heading("Learner", "number"),
        Heading("Status", "number"),
        Heading("Reason"),
    ]
    rows = element("tbody", (_failure_row(failure) for failure in report.failures))
    return section("Failures in full", table(caption, headings, [rows], "failures-table"), id_="failures")


def _failure_row(failure: Failure) -> Markup:
    kind, user_id, target = failure.record
    return element(
        "tr",
        element("td", swatch(failure.verdict), failure.verdict.capitalize(), class_="outcome"),
        row_heading(f"{kind} ", element("code", target, class_="name") if target else "of an unknown course run"),
        element("td", "unknown" if user_id is None else user_id, class_="number"),
        element("td", "–" if failure.status is None else failure.status, class_="number"),
        element("td", reason_in_words(failure.reason), class_="reason"),
    )


def facts_section(run: PastRun) -> Markup:
    """Show what the run was about."""
    facts = [
        element("div", element("dt", name), element("dd", value))
        for name, value in _iter_facts(run)
        if value is not None
    ]
    return section("About this run", element("dl", facts, class_="facts"), id_="about")


def _iter_facts(run: PastRun) -> Iterator[tuple[str, Child]]:
    head, report = run.header, run.report
    yield "Destination", hide_passwords(run.destination) or None
    yield "Begun", _time(report.started)
    yield "Last page", _time(report.ended)
    yield "Process", run.process or None
    yield "Window", _window(head.start, head.end)
    yield from _iter_filters(head.scope)
    if head.watermark:
        verb = "has been" if run.status == "complete" else "will have been"
        yield "Watermark", fragment(_time(head.watermark), f": up to there everything {verb} seen")
    if report.stopped and report.stopped.stage:
        yield "To go on with", report.stopped.stage
    if report.dry_run:
        yield "Dry run", "nothing was sent"


def _iter_filters(scope: Mapping[str, object]) -> Iterator[tuple[str, Child]]:
    selection = scope.get("selection")
    given: dict[str, object] = {**scope, **(selection if isinstance(selection, Mapping) else {})}
    for name, value in given.items():
        if name not in ("selection", "start", "end"):
            yield FILTERS.get(name, name.replace("_", " ").capitalize()), _filter(value)


def _filter(value: object) -> Child:
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _items([str(item) for item in value])
    return hide_passwords(str(value))


def _items(items: Sequence[str]) -> Child:
    if not items:
        return "none"
    shown = ", ".join(items[:MOST_ITEMS])
    rest = len(items) - MOST_ITEMS
    return shown if rest <= 0 else f"{shown} and {number(rest)} more"


def _window(start: datetime | None, end: datetime | None) -> Child:
    if start is None and end is None:
        return "all times"
    since = fragment("from ", _time(start)) if start else "from the beginning"
    until = fragment("to before ", _time(end)) if end else "to the end"
    return fragment(since, " ", until)


def _time(value: datetime) -> Markup:
    return element("time", moment(value), datetime=value.isoformat())
