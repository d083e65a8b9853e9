"""Which walks lead through a selection, so that no page needs a sort or a scan of the table.

- Some learners' rows: by learner, whatever the window. There are indexes on the learner, and few rows.
- Everybody's, where an index has them in order of time: along it. What changes meanwhile comes again further on.
- Everybody's, where none has: by primary key, with the window as a filter.
- With a window, certificates that did not change but whose date override did: by the override's primary key.
- With a window, grades that did not change but whose certificate did, since it decides about them: as the certificates.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, TableClause, and_, func, literal_column, or_, select

from credsync.adapters.sql.conditions import MYSQL, courses, ends, inside, outside, starts, unindexed
from credsync.adapters.sql.layout import Layout
from credsync.adapters.sql.rows import CERTIFICATES, GRADES
from credsync.adapters.sql.tables import certificates, date_overrides, grades, users
from credsync.adapters.sql.walks import Walk
from credsync.selection import Selection

__all__ = ["CERTIFICATE_ROWS", "IS_OVERRIDDEN", "certificate_walks", "grade_walks", "is_certified"]

IS_OVERRIDDEN = date_overrides.c.generated_certificate_id == certificates.c.id
IS_CERTIFIED_LEARNER = users.c.id == certificates.c.user_id
IS_GRADED_LEARNER = users.c.id == grades.c.user_id

CERTIFICATE_ROWS = select(*CERTIFICATES.columns).select_from(
    certificates.outerjoin(users, IS_CERTIFIED_LEARNER).outerjoin(date_overrides, IS_OVERRIDDEN)
)
OVERRIDDEN_ROWS = select(*CERTIFICATES.columns).select_from(
    date_overrides.join(certificates, IS_OVERRIDDEN).outerjoin(users, IS_CERTIFIED_LEARNER)
)
GRADE_ROWS = select(*GRADES.columns, *GRADES.beside)


def is_certified(layout: Layout, certified: Layout) -> ColumnElement[bool]:
    """Join grades and certificates; databases refuse to compare texts whose columns have collations of their own."""
    course_id: ColumnElement[str] = certificates.c.course_id
    if layout.collation and certified.collation and layout.collation != certified.collation:
        if layout.character_set != certified.character_set:
            course_id = func.convert(course_id.op("USING")(literal_column(str(layout.character_set))))
        course_id = course_id.collate(layout.collation)
    return and_(grades.c.user_id == certificates.c.user_id, grades.c.course_id == course_id)


def certificate_walks(selection: Selection, layout: Layout, overrides: Layout, dialect: str) -> list[Walk]:
    """Plan the walks through the selected certificates.

    Args:
        selection: Which ones.
        layout: Of the certificates.
        overrides: Of the date overrides.
        dialect: The database's.
    """
    is_selected = list(courses(certificates.c.course_id, selection, dialect))
    rows = CERTIFICATE_ROWS.where(*is_selected)
    modified, overridden = certificates.c.modified_date, date_overrides.c.modified
    if selection.user_ids is not None:
        if selection.has_window:
            rows = rows.where(or_(inside(modified, selection), inside(overridden, selection)))
        return _user_walks(rows, certificates, selection, dialect)
    walks = [_walk_for_all(rows, certificates, modified, selection, layout, dialect)]
    if selection.has_window:
        only_overridden = OVERRIDDEN_ROWS.where(
            *is_selected, inside(unindexed(overridden, dialect), selection), outside(modified, selection)
        )
        pinned = _follow_primary_key(only_overridden, date_overrides, overrides, dialect)
        walks.append(Walk.over(pinned, {"override_id": date_overrides.c.id}, dialect))
    return walks


def grade_walks(selection: Selection, layout: Layout, certified: Layout, dialect: str) -> list[Walk]:
    """Plan the walks through the selected grades.

    Args:
        selection: Which ones.
        layout: Of the grades.
        certified: Of the certificates.
        dialect: The database's.
    """
    modified, certificate_modified = grades.c.modified, certificates.c.modified_date
    join = is_certified(layout, certified)
    grades_first = grades.outerjoin(certificates, join).outerjoin(users, IS_GRADED_LEARNER)
    rows = GRADE_ROWS.select_from(grades_first).where(*courses(grades.c.course_id, selection, dialect))
    if selection.user_ids is not None:
        if selection.has_window:
            rows = rows.where(or_(inside(modified, selection), inside(certificate_modified, selection)))
        return _user_walks(rows, grades, selection, dialect)
    walks = [_walk_for_all(rows, grades, modified, selection, layout, dialect)]
    if selection.has_window:
        certificates_first = certificates.join(grades, join).outerjoin(users, IS_GRADED_LEARNER)
        only_certificate = GRADE_ROWS.select_from(certificates_first).where(
            *courses(certificates.c.course_id, selection, dialect), outside(unindexed(modified, dialect), selection)
        )
        walks.append(
            _walk_for_all(
                only_certificate, certificates, certificate_modified, selection, certified, dialect, "certificate_"
            )
        )
    return walks


def _user_walks(rows: Select[Any], table: TableClause, selection: Selection, dialect: str) -> list[Walk]:
    order = {"user_id": table.c.user_id, "id": table.c.id}
    return [Walk.by_user(rows, order, dialect, list(selection.user_ids or ()))]


def _walk_for_all(
    rows: Select[Any],
    table: TableClause,
    modified: ColumnElement[Any],
    selection: Selection,
    layout: Layout,
    dialect: str,
    prefix: str = "",
) -> Walk:
    """Plan a walk along a table; the rows of another go by a prefix before the names of its columns."""
    names = layout.time_index.columns if layout.time_index else ()
    order = {f"{prefix}{name}": table.c[name] for name in (*names, "id")}
    if prefix:
        rows = rows.add_columns(*(column.label(name) for name, column in order.items()))
    if layout.time_index is None:
        when = unindexed(modified, dialect)
        rows = rows.where(*starts(when, selection), *ends(when, selection))
        return Walk.over(_follow_primary_key(rows, table, layout, dialect), order, dialect)
    rows = _follow(rows.where(*ends(modified, selection)), table, layout.time_index.name, dialect)
    return Walk.over(rows, order, dialect, starts(modified, selection))


def _follow_primary_key(rows: Select[Any], table: TableClause, layout: Layout, dialect: str) -> Select[Any]:
    return _follow(rows, table, "PRIMARY", dialect) if layout.has_primary_key else rows


def _follow(rows: Select[Any], table: TableClause, index: str, dialect: str) -> Select[Any]:
    """Tell MySQL which index to follow; for a large page it would rather sort the table."""
    return rows.with_hint(table, f"FORCE INDEX (`{index}`)", dialect) if dialect in MYSQL else rows
