"""A selection as SQL: conditions that hold to the letter, whatever a database thinks of upper and lower case."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, UnaryExpression, and_, bindparam, cast, false, func, or_
from sqlalchemy.sql.operators import custom_op

from credsync.selection import Selection

__all__ = [
    "MOST_PARAMETERS",
    "MYSQL",
    "courses",
    "ends",
    "inside",
    "is_among",
    "is_one_of",
    "outside",
    "starts",
    "unindexed",
]

Condition = ColumnElement[bool]

MYSQL = frozenset({"mysql", "mariadb"})
"""The names that SQLAlchemy has for one dialect."""

MOST_PARAMETERS = 10_000
"""Values that are passed as parameters; SQLite takes 32,766 in a statement. More than these are written into it."""

PREFIXES = ("course-v1:{}+", "{}/", "ccx-v1:{}+")
"""How the keys of an organisation's course runs begin."""

SEPARATORS = frozenset("+/")
"""What no organisation has in its name."""


def is_among(expression: ColumnElement[Any], values: Collection[Any]) -> Condition:
    """Compare with any number of values."""
    among = bindparam(
        None,
        sorted(values),
        expanding=True,
        literal_execute=len(values) > MOST_PARAMETERS,
        type_=expression.type,
        unique=True,
    )
    return expression.in_(among)


def is_one_of(user_id: ColumnElement[Any]) -> Condition:
    """Compare with learners who come as the parameter `user_ids`, so that the statement is built once."""
    return user_id.in_(bindparam("user_ids", expanding=True, type_=user_id.type))


def unindexed(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return a column's value so that SQLite uses no index for it; a plus sign before it does that, and nothing else.

    A condition that only filters a walk must not lead the planner from the walk's index to another, whose rows it would
    have to sort for every page. The sessions of PostgreSQL do not sort, and MySQL is told which index to follow.
    """
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type) if dialect == "sqlite" else column


def courses(course_id: ColumnElement[str], selection: Selection, dialect: str) -> Iterator[Condition]:
    """Yield the conditions on the course run: that it is selected, and that its organisation is."""
    # MySQL takes A for a, and á too, unless it compares bytes.
    exact: ColumnElement[Any] = unindexed(course_id, dialect)
    is_binary = dialect in MYSQL
    if is_binary:
        exact = cast(course_id, LargeBinary)

    def values(texts: Iterable[str]) -> list[Any]:
        return [text.encode() for text in texts] if is_binary else list(texts)

    if selection.course_runs is not None:
        yield is_among(exact, values(selection.course_runs))
    if selection.orgs is not None:
        prefixes = sorted(values(_iter_prefixes(selection.orgs)), key=len)
        beginnings = {length: func.substr(exact, 1, length, type_=exact.type) for length in map(len, prefixes)}
        yield or_(false(), *(is_among(beginnings[length], list(group)) for length, group in groupby(prefixes, key=len)))


def _iter_prefixes(orgs: Iterable[str]) -> Iterator[str]:
    """Yield what the keys of some organisations' course runs begin with."""
    for org in orgs:
        if not SEPARATORS.intersection(org):  # else a course would go for an organisation
            yield from (prefix.format(org) for prefix in PREFIXES)


def starts(column: ColumnElement[datetime], selection: Selection) -> list[Condition]:
    """Hold a time to the window's start, if it has one."""
    return [] if selection.start is None else [column >= selection.start]


def ends(column: ColumnElement[datetime], selection: Selection) -> list[Condition]:
    """Hold a time to the window's end, if it has one."""
    return [] if selection.end is None else [column < selection.end]


def inside(column: ColumnElement[datetime], selection: Selection) -> Condition:
    """Hold a time to the window, which has a start or an end."""
    return and_(*starts(column, selection), *ends(column, selection))


def outside(column: ColumnElement[datetime], selection: Selection) -> Condition:
    """Hold a time to what is not in the window; no time at all is not."""
    before = [] if selection.start is None else [column < selection.start]
    behind = [] if selection.end is None else [column >= selection.end]
    return or_(column.is_(None), *before, *behind)
