"""What became of the records of each course run or program: the ones with most failures, then the busiest, first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from attrs import define, field

from credsync.cli.page.charts import share_bar
from credsync.cli.page.markup import Markup, element
from credsync.cli.page.tables import VERDICT_HEADINGS, Heading, number_cell, row_heading, section, table
from credsync.cli.page.words import VERDICTS, number, reason_in_words
from credsync.cli.wording import counted
from credsync.history import PastRun
from credsync.report import Verdict

__all__ = ["targets_section"]

MOST_TARGETS = 25
"""Course runs, or programs, that are shown; the rest are summed."""


MOST_LETTERS = 90
"""Of a reason beside a course run."""

FAILURES = (Verdict.REJECTED, Verdict.FAILED)


@define
class _Target:
    """What became of the records of one course run or program."""

    name: str
    by_verdict: Counter[str] = field(factory=Counter)
    by_reason: Counter[tuple[str, str]] = field(factory=Counter)

    @property
    def failed(self) -> int:
        return self.by_verdict[Verdict.REJECTED] + self.by_verdict[Verdict.FAILED]

    @property
    def rank(self) -> tuple[int, int, str]:
        return -self.failed, -self.by_verdict.total(), self.name


def targets_section(run: PastRun, noun: str, kinds: Collection[str]) -> Markup | None:
    """Show what became of records, by what they are about.

    Args:
        run: The run.
        noun: What they are about: a course run or a program.
        kinds: The kinds of records that are about one.
    """
    targets = _targets_of(run, kinds)
    if not targets:
        return None
    id_ = f"by-{noun.lower().replace(' ', '-')}"
    shown, rest = targets[:MOST_TARGETS], targets[MOST_TARGETS:]
    headings = [Heading(noun), *VERDICT_HEADINGS, Heading("Records", "number")]
    rows = element("tbody", (_row(target, _title(target)) for target in shown))
    bodies = [rows]
    if rest:
        name = row_heading(counted(len(rest), f"more {noun.lower()}"), class_="rest")
        bodies.append(element("tbody", _row(_sum_of(rest), name)))
    caption = f"{counted(len(targets), noun.lower())}; those with most failures first, then those with most records."
    return section(f"By {noun.lower()}", table(caption, headings, bodies, f"{id_}-table"), id_=id_)


def _targets_of(run: PastRun, kinds: Collection[str]) -> list[_Target]:
    targets: dict[str, _Target] = {}
    for (kind, name, verdict, reason), records in run.by_target.items():
        if kind in kinds:
            target = targets.setdefault(name, _Target(name))
            target.by_verdict[verdict] += records
            target.by_reason[verdict, reason] += records
    return sorted(targets.values(), key=lambda target: target.rank)


def _sum_of(targets: Iterable[_Target]) -> _Target:
    whole = _Target("")
    for target in targets:
        whole.by_verdict.update(target.by_verdict)
    return whole


def _title(target: _Target) -> Markup:
    name = element("code", target.name, class_="name") if target.name else "unknown"
    return row_heading(name, share_bar(target.by_verdict, "mini"), _mostly(target))


def _mostly(target: _Target) -> Markup | None:
    """Say the most frequent reason why something failed; where nothing did, why something was not sent."""
    for verdicts in (FAILURES, (Verdict.DEFERRED, Verdict.SKIPPED)):
        for (verdict, reason), records in target.by_reason.most_common():
            if verdict in verdicts:
                return element("small", f"{number(records)} {verdict}: {_shortened(reason_in_words(reason))}")
    return None


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1].rstrip()}…"


def _row(target: _Target, title: Markup) -> Markup:
    counts = target.by_verdict
    cells = (number_cell(counts[verdict], "alarm" if verdict in FAILURES else "") for verdict in VERDICTS)
    return element("tr", title, cells, number_cell(counts.total(), "sum"))
