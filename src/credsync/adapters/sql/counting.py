"""How many records a selection has: what a run can be measured by before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, TableClause, func, literal, select

from credsync.adapters.sql.conditions import courses, ends, inside, is_among, outside, starts
from credsync.adapters.sql.tables import certificates, date_overrides, grades
from credsync.selection import Selection

__all__ = ["count_records"]


def count_records(connection: Connection, selection: Selection, at_most: int) -> Mapping[str, int]:
    """Count the selected records by kind, with a statement or two for each; at `at_most` the counting stops."""
    dialect = connection.dialect.name
    return {
        "certificate": sum(_count(connection, rows.limit(at_most)) for rows in _iter_certificates(selection, dialect)),
        "grade": _count(connection, _rows_of(grades, grades.c.modified, selection, dialect).limit(at_most)),
    }


def _iter_certificates(selection: Selection, dialect: str) -> Iterator[Select[Any]]:
    modified, overridden = certificates.c.modified_date, date_overrides.c.modified
    yield _rows_of(certificates, modified, selection, dialect)
    if selection.start is not None or selection.end is not None:
        is_overridden = date_overrides.c.generated_certificate_id == certificates.c.id
        yield (
            select(literal(1).label("one"))
            .select_from(date_overrides.join(certificates, is_overridden))
            .where(
                *_are_selected(certificates, selection, dialect),
                inside(overridden, selection),
                outside(modified, selection),
            )
        )


def _rows_of(table: TableClause, modified: ColumnElement[Any], selection: Selection, dialect: str) -> Select[Any]:
    conditions = [
        *_are_selected(table, selection, dialect),
        *starts(modified, selection),
        *ends(modified, selection),
    ]
    return select(literal(1).label("one")).select_from(table).where(*conditions)


def _are_selected(table: TableClause, selection: Selection, dialect: str) -> Iterator[ColumnElement[bool]]:
    yield from courses(table.c.course_id, selection, dialect)
    if selection.user_ids is not None:
        yield is_among(table.c.user_id, selection.user_ids)


def _count(connection: Connection, rows: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one()
