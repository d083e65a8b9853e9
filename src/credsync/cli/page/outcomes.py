"""What became of everything: at a glance, why, when, and by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from credsync.cli.page.bins import bin_timeline
from credsync.cli.page.charts import share_bar, swatch, time_chart
from credsync.cli.page.headline import Headline, headline_of
from credsync.cli.page.markup import Markup, element, fragment
from credsync.cli.page.tables import VERDICT_HEADINGS, Heading, number_cell, row_heading, section, table
from credsync.cli.page.words import (
    MEANINGS,
    VERDICTS,
    duration,
    number,
    reason_in_words,
    share,
)
from credsync.cli.redaction import hide_passwords
from credsync.cli.wording import counted, moment, plural
from credsync.delivery import GIVEN_UP
from credsync.history import PastRun
from credsync.report import Report, Verdict

__all__ = ["header", "kinds_section", "outcomes_section", "reasons_section", "timeline_section"]

MOST_REASONS = 12
"""Reasons of a verdict that are shown; the rest are summed."""

ICONS: Mapping[str, str] = {
    "good": "M6.5 12.5 L10.5 16.5 L17.5 8",
    "failing": "M12 6 V13.5 M12 17.4 V17.5",
    "paused": "M9.5 8 V16 M14.5 8 V16",
    "stopped": "M8 8 L16 16 M16 8 L8 16",
}


def header(run: PastRun) -> Markup:
    """Say which run it is, how it ended, and when."""
    headline = headline_of(run)
    return element(
        "header",
        element("p", element("b", "credsync"), f" {run.header.job}, run {run.run_id}", class_="eyebrow"),
        element("h1", _icon(headline), element("span", headline.title), class_=headline.tone),
        element("p", headline.advice, class_="advice") if headline.advice else None,
        element(
            "p",
            element("span", "to ", element("b", hide_passwords(run.destination) or "its only destination")),
            element("span", _time(run)),
            class_="when",
        ),
    )


def _icon(headline: Headline) -> Markup:
    disc = element("circle", cx=12, cy=12, r=12)
    sign = element("path", d=ICONS[headline.tone])
    return element("svg", disc, sign, viewBox="0 0 24 24", class_="icon", aria_hidden="true", focusable="false")


def _time(run: PastRun) -> Markup:
    started = run.report.started
    return element("time", moment(started), datetime=started.isoformat())


def outcomes_section(run: PastRun) -> Markup:
    """Show how many records were read and how each ended, and whether that adds up."""
    report = run.report
    read = sum(report.read.values())
    totals: dict[str, int] = {verdict: report.total(verdict) for verdict in VERDICTS}
    tiles = [_tile("read", None, read, f"in {duration(report.ended - report.started)}")]
    tiles += [_tile(verdict, verdict, totals[verdict], share(totals[verdict], read)) for verdict in VERDICTS]
    words = ", ".join(f"{number(total)} {verdict}" for verdict, total in totals.items())
    return section(
        element("span", "Outcome", class_="unseen"),
        element("dl", tiles, class_="tiles"),
        share_bar(totals, "share", f"{number(read)} records read: {words}") if read else None,
        _balance(run, read),
        id_="outcome",
    )


def _tile(name: str, verdict: Verdict | None, total: int, below: str) -> Markup:
    meaning = MEANINGS[verdict] if verdict else "from the source"
    return element(
        "div",
        element("dt", verdict and swatch(verdict), name.capitalize()),
        element("dd", number(total), class_="total"),
        element("dd", below, class_="below"),
        element("dd", meaning, class_="meaning"),
        class_=f"tile {'' if total else 'zero'} {'' if verdict else 'all'}".strip(),
    )


def _balance(run: PastRun, read: int) -> Markup:
    """Say whether all accounts of the run agree: what was read, how it ended, by course run, and over time."""
    ended = run.report.total()
    accounts = {"outcomes": ended, "course runs and programs": sum(run.by_target.values())}
    if run.timeline:
        accounts["minutes"] = sum(run.timeline.values())
    wrong = [f"the {name} add up to {number(total)}" for name, total in accounts.items() if total != read]
    if wrong:
        text = (
            f"Does not balance: {counted(read, 'record')} read, but {', '.join(wrong)}. This is a fault of credsync's."
        )
        return element("p", text, class_="balance bad")
    if not read:
        return element("p", "Nothing was read.", class_="balance")
    parts = [f"{number(total)} {verdict}" for verdict in VERDICTS if (total := run.report.total(verdict))]
    return element("p", element("b", "Balances: "), f"{number(read)} read = {' + '.join(parts)}", class_="balance")


def reasons_section(run: PastRun) -> Markup | None:
    """Show why records did not go out, the gravest first."""
    grave_first = [verdict for verdict in reversed(VERDICTS) if any(run.report.reasons(verdict))]
    if not grave_first:
        return None
    kinds = run.report.kinds
    headings = [
        Heading("Reason"),
        *(Heading(plural(kind).capitalize(), "number of-kind") for kind in kinds if len(kinds) > 1),
        Heading("Records", "number"),
        Heading("Of all read", "number"),
    ]
    bodies = (_reasons_of(run.report, verdict, kinds, len(headings)) for verdict in grave_first)
    return section(
        "Why not sent",
        table("Why records were not sent, by outcome and reason.", headings, bodies, "why-not-table"),
        id_="why-not",
    )


def _reasons_of(report: Report, verdict: Verdict, kinds: Sequence[str], width: int) -> Markup:
    reasons = list(report.reasons(verdict).items())
    shown, rest = reasons[:MOST_REASONS], reasons[MOST_REASONS:]
    rows = [_reason_row(report, verdict, reason, kinds) for reason, _ in shown]
    if rest:
        unshown = {reason for reason, _ in rest}
        name = row_heading(counted(len(rest), "other reason"), class_="rest")
        rows.append(_counted(report, verdict, unshown, kinds, name))
    title = element("th", swatch(verdict), verdict.capitalize(), colspan=width, scope="rowgroup", class_="group")
    return element("tbody", element("tr", title), rows)


def _reason_row(report: Report, verdict: Verdict, reason: str, kinds: Sequence[str]) -> Markup:
    words = reason_in_words(reason)
    slug = reason.removeprefix(GIVEN_UP)
    name = words if words == reason else fragment(words[:1].upper() + words[1:], " ", element("code", slug))
    return _counted(report, verdict, {reason}, kinds, row_heading(name))


def _counted(report: Report, verdict: Verdict, reasons: set[str], kinds: Sequence[str], name: Markup) -> Markup:
    by_kind = {kind: sum(report.reasons(verdict, kind)[reason] for reason in reasons) for kind in kinds}
    total = sum(by_kind.values())
    cells = [number_cell(by_kind[kind], "of-kind") for kind in kinds] if len(kinds) > 1 else []
    part = element("td", share(total, sum(report.read.values())), class_="number")
    return element("tr", name, cells, number_cell(total, "sum"), part)


def timeline_section(run: PastRun) -> Markup | None:
    """Show when records ended how, as a chart and in numbers."""
    bins = bin_timeline(run.timeline)
    if not bins:
        return None
    width = duration(bins[0].end - bins[0].start)
    each = {"1 min": "minute", "1 h": "hour", "1 d": "day"}.get(width, width)
    busiest = max(bins, key=lambda one: one.total)
    caption = f"Records per {each}, by outcome, in UTC. At most {number(busiest.total)}, from {moment(busiest.start)}."
    seen = [verdict for verdict in VERDICTS if any(one.counts.get(verdict) for one in bins)]
    legend = element("ul", (element("li", swatch(verdict), verdict) for verdict in seen), class_="legend")
    figure = element(
        "figure",
        element("figcaption", caption),
        legend,
        time_chart(bins, caption),
    )
    headings = [Heading("From"), *VERDICT_HEADINGS, Heading("Records", "number")]
    rows = (
        element(
            "tr",
            row_heading(moment(one.start)),
            (number_cell(one.counts.get(verdict, 0)) for verdict in VERDICTS),
            number_cell(one.total, "sum"),
        )
        for one in bins
        if one.total
    )
    numbers = element(
        "details",
        element("summary", "The same in numbers"),
        table(
            f"Records per {each}; where there were none, left out.", headings, [element("tbody", rows)], "time-table"
        ),
    )
    return section("Over time", figure, numbers, id_="time")


def kinds_section(run: PastRun) -> Markup | None:
    """Show what became of each kind of record."""
    report = run.report
    if not report.kinds:
        return None
    headings = [Heading("Kind"), *VERDICT_HEADINGS, Heading("Read", "number")]
    rows = (
        element(
            "tr",
            row_heading(plural(kind).capitalize()),
            (number_cell(report.total(verdict, kind)) for verdict in VERDICTS),
            number_cell(report.read[kind], "sum"),
        )
        for kind in report.kinds
    )
    foot = element(
        "tfoot",
        element(
            "tr",
            row_heading("All"),
            (number_cell(report.total(verdict)) for verdict in VERDICTS),
            number_cell(sum(report.read.values()), "sum"),
        ),
    )
    return section(
        "By kind",
        table("What became of each kind of record.", headings, [element("tbody", rows)], "kinds-table", foot),
        id_="kinds",
    )
