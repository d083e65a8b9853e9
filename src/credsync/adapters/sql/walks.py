"""Keyset walks: the rows of a selection in a total order, each page found by the last key before it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen
from sqlalchemy import BigInteger, ColumnElement, Connection, Row, Select, and_, bindparam, or_, tuple_

from credsync.adapters.sql.conditions import MYSQL, is_one_of

__all__ = ["Key", "Walk"]

Key = Sequence[Any]
"""Where in a walk a row stands: the values that it is ordered by, JSON-able."""

USERS_AT_ONCE = 500
"""Learners in one statement of a walk over the rows of some learners."""

LIMIT = bindparam("limit", type_=BigInteger)


@frozen
class Walk:
    """A way through the rows of a statement. The statements are built once; a page binds its values.

    Attributes:
        order: The names of the columns that order the rows; no two rows agree in all of them.
        first: Finds the first rows.
        onward: Finds the rows behind a key.
        user_ids: In a walk over the rows of some learners, who they are, in order. None for everybody's.
    """

    order: tuple[str, ...]
    first: Select[Any]
    onward: Select[Any]
    user_ids: Sequence[int] | None = None

    @classmethod
    def over(
        cls,
        rows: Select[Any],
        order: Mapping[str, ColumnElement[Any]],
        dialect: str,
        starts: Sequence[ColumnElement[bool]] = (),
    ) -> Walk:
        """Build a walk over everybody's rows.

        Args:
            rows: Selects the rows.
            order: The columns of the order, by the names that they have in a row.
            dialect: The database's.
            starts: Conditions that any row behind a key fulfils anyway. They are not repeated there: SQLite would look
                for each page from the first row that fulfils them.
        """
        rows = rows.order_by(*order.values()).limit(LIMIT)
        return cls(tuple(order), rows.where(*starts), rows.where(_is_behind(order, dialect)))

    @classmethod
    def by_user(
        cls, rows: Select[Any], order: Mapping[str, ColumnElement[Any]], dialect: str, user_ids: Sequence[int]
    ) -> Walk:
        """Build a walk over the rows of some learners, any number of them, in an order that starts with the learner."""
        user_id = next(iter(order.values()))
        walk = cls.over(rows.where(is_one_of(user_id)), order, dialect)
        return cls(walk.order, walk.first, walk.onward, sorted(user_ids))

    @property
    def name(self) -> str:
        """What a cursor calls the walk."""
        return ",".join(self.order)

    def key_of(self, row: Row[Any]) -> Key:
        """Say where a row stands."""
        values = (getattr(row, name) for name in self.order)
        return [value.isoformat() if isinstance(value, datetime) else value for value in values]

    def read(self, connection: Connection, after: Key | None, limit: int) -> Sequence[Row[Any]]:
        """Read up to `limit` rows behind a key; None is the start."""
        if self.user_ids is None:
            return self._read(connection, after, {"limit": limit})
        rows: list[Row[Any]] = []
        for user_ids in self._iter_users(after):
            rows += self._read(connection, after, {"limit": limit - len(rows), "user_ids": user_ids})
            if len(rows) == limit:
                break
        return rows

    def _iter_users(self, after: Key | None) -> Iterator[Sequence[int]]:
        """Yield the learners a few at a time, from the one on whose rows a key leads to."""
        user_ids = self.user_ids or ()
        start = bisect_left(user_ids, after[0]) if after else 0
        for position in range(start, len(user_ids), USERS_AT_ONCE):
            yield user_ids[position : position + USERS_AT_ONCE]

    def _read(self, connection: Connection, after: Key | None, parameters: dict[str, object]) -> Sequence[Row[Any]]:
        if after is None:
            return connection.execute(self.first, parameters).all()
        parameters |= dict(zip(map(_after, self.order), after, strict=True))
        return connection.execute(self.onward, parameters).all()


def _after(name: str) -> str:
    """Name the parameter that holds a column's value in the key before the page."""
    return f"after_{name}"


def _is_behind(order: Mapping[str, ColumnElement[Any]], dialect: str) -> ColumnElement[bool]:
    """Compare rows with a key.

    As row values, which SQLite and PostgreSQL look up in an index. MySQL does so only for the same written out: greater
    in the first column, or equal there and greater in the second, and so on.
    """
    columns = list(order.values())
    values = [bindparam(_after(name), type_=column.type) for name, column in order.items()]
    if dialect not in MYSQL:
        return tuple_(*columns) > tuple_(*values)
    alternatives = []
    for last, (column, value) in enumerate(zip(columns, values, strict=True)):
        equal = [c == v for c, v in zip(columns[:last], values[:last], strict=True)]
        alternatives.append(and_(*equal, column > value))
    return or_(*alternatives)
