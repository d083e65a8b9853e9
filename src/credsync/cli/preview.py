"""The preview of a dry run: how many records of each kind are selected, and the first of them, noted as pages go by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Generic, TypeVar

from attrs import define, field

from credsync.errors import InvalidRecordError, RecordName
from credsync.formatting import PREVIEW_LENGTH, certstr, gradestr, iter_preview
from credsync.model import CertificateRecord, GradeRecord
from credsync.paging import Cursor, Page, PageSource
from credsync.ports import RecordSource
from credsync.selection import Selection

__all__ = ["PreviewedSource"]

R = TypeVar("R")


@define
class _Noted(Generic[R]):
    """A page source that notes what passes: one walk for the run and its preview, and in memory what that shows."""

    source: PageSource[R]
    first: list[R | InvalidRecordError] = field(factory=list)
    count: int = 0

    def fetch(self, after: Cursor | None, limit: int) -> Page[R]:
        page = self.source.fetch(after, limit)
        self.first += page.records[: PREVIEW_LENGTH - len(self.first)]
        self.count += len(page.records)
        return page

    def iter_lines(self, heading: str, describe: Callable[[R], str]) -> Iterator[str]:
        more = repeat(self.first[-1], self.count - len(self.first)) if self.first else ()
        return iter_preview(heading, chain(self.first, more), lambda record: _describe(record, describe))


def _describe(record: R | InvalidRecordError, describe: Callable[[R], str]) -> str:
    """Give a record's line; one that is not what it says it is has a name, too."""
    if not isinstance(record, InvalidRecordError):
        return describe(record)
    name = record.record
    return f"{name.target} for user {name.user_id}" if isinstance(name, RecordName) else name


@define
class PreviewedSource:
    """A record source that notes what a run reads of it."""

    source: RecordSource
    _certificates: _Noted[CertificateRecord] | None = field(default=None, init=False)
    _grades: _Noted[GradeRecord] | None = field(default=None, init=False)

    def certificates(self, selection: Selection) -> PageSource[CertificateRecord]:
        """Return the selected certificates."""
        self._certificates = _Noted(self.source.certificates(selection))
        return self._certificates

    def grades(self, selection: Selection) -> PageSource[GradeRecord]:
        """Return the selected grades."""
        self._grades = _Noted(self.source.grades(selection))
        return self._grades

    def iter_lines(self) -> Iterator[str]:
        """Yield the lines of the preview of what was read."""
        if self._certificates:
            yield from self._certificates.iter_lines("Certificates", certstr)
        if self._grades:
            yield from self._grades.iter_lines("Grades", gradestr)
