"""Runs to make pages of, and pages read as a browser reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from attrs import define, field
from typing_extensions import override

from credsync.cli.page import render_page
from credsync.cli.page.markup import VOID
from credsync.errors import RecordName
from credsync.history import PastRun
from credsync.ledger import RunHeader
from credsync.report import Failure, Report, Stopped, Verdict

__all__ = ["BEGIN", "EVERYTHING", "MINUTE", "Counts", "Page", "failure", "past_run"]

BEGIN = datetime(2024, 5, 20, 12, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

Counts = Mapping[tuple[str, str, str, str], int]


def past_run(
    counts: Counts | None = None,
    timeline: Mapping[tuple[datetime, str], int] | None = None,
    failures: Sequence[Failure] = (),
    stopped: Stopped | None = None,
    **facts: Any,
) -> PastRun:
    """Build a run from its counts; unless told otherwise, it went to its end within its first minute."""
    counts = counts or {}
    read: Counter[str] = Counter()
    ended: Counter[tuple[str, str, str]] = Counter()
    first_minute: Counter[tuple[datetime, str]] = Counter()
    for (kind, _, verdict, reason), records in counts.items():
        read[kind] += records
        ended[kind, verdict, reason] += records
        first_minute[BEGIN, verdict] += records
    report = Report(
        read=read, counts=ended, failures=tuple(failures), stopped=stopped, started=BEGIN, ended=BEGIN + MINUTE
    )
    defaults: dict[str, Any] = {
        "run_id": 7,
        "destination": "outbox.db",
        "header": RunHeader(scope={}, started=BEGIN),
        "status": "complete",
        "process": "process 1 on worker",
        "report": report,
        "by_target": counts,
        "timeline": first_minute if timeline is None else timeline,
    }
    return PastRun(**(defaults | facts))


@define
class Page(HTMLParser):
    """A page as a browser understands it.

    Attributes:
        starts: Every element, with its attributes.
        texts: What there is to read, by table row, list item or paragraph.
        unbalanced: End tags that end something else.
    """

    starts: list[tuple[str, dict[str, str | None]]] = field(factory=list)
    texts: list[str] = field(factory=list)
    unbalanced: list[str] = field(factory=list)
    _open: list[str] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, run: PastRun) -> Page:
        """Read the page of a run."""
        page = cls()
        page.feed(render_page(run))
        page.close()
        return page

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.starts.append((tag, dict(attrs)))
        if tag in {"tr", "li", "p", "div", "h1", "h2", "caption", "figcaption", "body"}:
            self.texts.append("")
        if tag not in VOID:
            self._open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    @override
    def handle_data(self, data: str) -> None:
        if self.texts and "svg" not in self._open:
            self.texts[-1] = " ".join(f"{self.texts[-1]} {data}".split())

    @property
    def left_open(self) -> list[str]:
        """Elements that never end."""
        return self._open

    def attributes(self, name: str) -> Iterator[str]:
        """Yield the values of an attribute, wherever it stands."""
        for _, attributes in self.starts:
            if name in attributes:
                yield attributes[name] or ""

    def row_of(self, text: str) -> str:
        """Return the row that begins with a text."""
        return next(row for row in self.texts if row.startswith(text))


def failure(user_id: int | None = 5, reason: str = "too long") -> Failure:
    """Build a failure."""
    return Failure(
        record=RecordName("grade", user_id, "course-v1:X+A+1"), verdict=Verdict.REJECTED, reason=reason, status=400
    )


EVERYTHING = {
    ("certificate", "course-v1:X+A+1", "sent", ""): 30,
    ("certificate", "course-v1:X+A+1", "rejected", "no such course run"): 2,
    ("grade", "course-v1:X+A+1", "unchanged", ""): 50,
    ("grade", "course-v1:X+B+1", "skipped", "not_in_a_program"): 12,
    ("grade", "course-v1:X+B+1", "deferred", "learner_not_visible"): 3,
    ("program", "6883080f-0000-4000-8000-000000000001", "failed", "given up: learner_not_visible"): 1,
}
"""Every kind, and every verdict."""
