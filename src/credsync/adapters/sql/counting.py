"""How many records a selection has: what a run can be measured by before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, TableClause, func, literal, select

from credsync.adapters.sql.conditions import courses, inside, is_among, outside
from credsync.adapters.sql.routes import IS_OVERRIDDEN
from credsync.adapters.sql.tables import certificates, date_overrides, grades
from credsync.selection import Selection

__all__ = ["count_records"]


def count_records(
    connection: Connection, selection: Selection, at_most: int, is_certified: ColumnElement[bool]
) -> Mapping[str, int]:
    """Count the selected records by kind, with a statement or two for each; at `at_most` the counting stops."""
    certificate_modified, modified = certificates.c.modified_date, grades.c.modified
    overridden = certificates.join(date_overrides, IS_OVERRIDDEN)
    certified = certificates.join(grades, is_certified)
    statements = {
        "certificate": _iter_rows(certificates, certificate_modified, overridden, date_overrides.c.modified, selection),
        "grade": _iter_rows(grades, modified, certified, certificate_modified, selection),
    }
    dialect = connection.dialect.name
    return {
        kind: sum(
            _count(connection, rows.where(*_are_selected(kind, selection, dialect)).limit(at_most)) for rows in found
        )
        for kind, found in statements.items()
    }


def _iter_rows(
    table: TableClause,
    modified: ColumnElement[Any],
    beside: FromClause,
    modified_beside: ColumnElement[Any],
    selection: Selection,
) -> Iterator[Select[Any]]:
    """Yield the rows that changed in the window, and those beside which only something else did."""
    one = select(literal(1).label("one"))
    if not selection.has_window:
        yield one.select_from(table)
    else:
        yield one.select_from(table).where(inside(modified, selection))
        yield one.select_from(beside).where(inside(modified_beside, selection), outside(modified, selection))


def _are_selected(kind: str, selection: Selection, dialect: str) -> Iterator[ColumnElement[bool]]:
    table = {"certificate": certificates, "grade": grades}[kind]
    yield from courses(table.c.course_id, selection, dialect)
    if selection.user_ids is not None:
        yield is_among(table.c.user_id, selection.user_ids)


def _count(connection: Connection, rows: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one()
