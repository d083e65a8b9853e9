"""Rows to records: a row that cannot be one becomes the error that names it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

from attrs import frozen
from sqlalchemy import ColumnElement, Row

from credsync.adapters.sql.moments import to_moment
from credsync.adapters.sql.tables import certificates, date_overrides, grades, users
from credsync.errors import InvalidRecordError
from credsync.model import Certificate, Grade, GradeContext, Learner
from credsync.ports import RecordKey

__all__ = ["CERTIFICATES", "GRADES", "RecordKind"]

R = TypeVar("R", Certificate, Grade)


@frozen
class RecordKind(Generic[R]):
    """How the rows of a statement become records.

    Attributes:
        columns: What to select: the id, the learner and the course run, then the rest.
        beside: What a walk selects behind them, from other tables.
        make: Makes a record of its facts.
        read: Reads a row's facts, as `make` takes them.
    """

    columns: tuple[ColumnElement[Any], ...]
    make: Callable[..., R]
    read: Callable[[Sequence[Any]], dict[str, Any]]
    beside: tuple[ColumnElement[Any], ...] = ()

    def records_of(self, rows: Iterable[Row[Any]]) -> list[R | InvalidRecordError]:
        """Make the records of a page; a row that cannot be one is its error.

        One to which a join has found several rows comes once and without them: which of them counts, a look-up says.
        """
        own = len(self.columns)
        found: dict[Any, Sequence[Any]] = {}
        for row in rows:
            found[row[0]] = row[:own] if row[0] in found else row
        return [self._record_of(row) for row in found.values()]

    def by_key(self, rows: Iterable[Row[Any]], keys: Collection[RecordKey]) -> Mapping[RecordKey, R]:
        """Return the records with the wanted keys.

        A row that cannot be a record comes unchecked, as a host's own object does: were it absent, it would be taken
        for one that does not exist.
        """
        wanted: Mapping[tuple[Any, ...], RecordKey] = {key: key for key in keys}
        found = {key: row for row in rows if (key := wanted.get(row[1:3]))}
        return {key: self._checked_or_not(row) for key, row in found.items()}

    def _record_of(self, row: Sequence[Any]) -> R | InvalidRecordError:
        try:
            return self.make(**self.read(row))
        except InvalidRecordError as exc:
            return exc

    def _checked_or_not(self, row: Row[Any]) -> R:
        record = self._record_of(row)
        return cast("R", SimpleNamespace(**self.read(row))) if isinstance(record, InvalidRecordError) else record


def _read_certificate(row: Sequence[Any]) -> dict[str, Any]:
    _, user_id, course_id, mode, status, created, modified, username, override, _ = row
    return {
        "user": Learner(id=user_id, username=username),
        "course_id": course_id,
        "mode": mode,
        "status": status,
        "created_date": to_moment(created),
        "modified_date": to_moment(modified),
        "date_override": to_moment(override),
    }


def _read_grade(row: Sequence[Any]) -> dict[str, Any]:
    _, user_id, course_id, percent, letter, modified, *beside = row
    return {
        "user_id": user_id,
        "course_id": course_id,
        "percent_grade": percent,
        "letter_grade": letter,
        "modified": to_moment(modified),
        "context": _read_context(course_id, *beside) if beside else None,
    }


def _read_context(
    course_id: str, certified: str | None, mode: Any, status: Any, username: Any, *_order: object
) -> GradeContext | None:
    """Read what stands beside a grade. Whatever is odd there is left for a look-up, which can name its record.

    MySQL joins course runs that differ in upper and lower case.
    """
    if certified is None:
        mode = status = None
    elif certified != course_id or not isinstance(mode, str) or not isinstance(status, str):
        return None
    return GradeContext(username=username, mode=mode, status=status)


CERTIFICATES = RecordKind(
    columns=(
        certificates.c.id,
        certificates.c.user_id,
        certificates.c.course_id,
        certificates.c.mode,
        certificates.c.status,
        certificates.c.created_date,
        certificates.c.modified_date,
        users.c.username,
        date_overrides.c.date,
        date_overrides.c.id.label("override_id"),
    ),
    make=Certificate,
    read=_read_certificate,
)
"""Certificates; the columns of the learner and of the override are NULL where there is none."""

GRADES = RecordKind(
    columns=tuple(grades.c),
    make=Grade,
    read=_read_grade,
    beside=(certificates.c.course_id, certificates.c.mode, certificates.c.status, users.c.username),
)
"""Grades; the columns beside them are NULL where there is no certificate, or no learner."""
