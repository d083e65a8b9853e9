"""What a database offers: whether a table has its columns, and which index a walk in order of time can follow."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Inspector, TableClause, func, inspect, select
from sqlalchemy import column as column_of
from sqlalchemy import table as table_of
from sqlalchemy.exc import SAWarning

from credsync.adapters.sql.conditions import MYSQL
from credsync.errors import ConfigurationError

__all__ = ["Layout", "TimeIndex", "look_at"]

_columns = table_of(
    "columns",
    *map(column_of, ("table_schema", "table_name", "column_name", "collation_name", "character_set_name")),
    schema="information_schema",
)

_SCHEMAS = {"postgresql": func.current_schema(), **dict.fromkeys(MYSQL, func.database())}
"""What the tables are in, by the dialects of databases whose columns may each be compared in a way of their own."""


@frozen
class TimeIndex:
    """An index that gives a table's rows in order of time.

    Attributes:
        name: Its name.
        columns: Its columns, the one of the time first.
    """

    name: str
    columns: tuple[str, ...]


@frozen
class Layout:
    """What is known of a table.

    Attributes:
        time_index: An index that carries a walk in order of time, if there is one.
        has_primary_key: Whether `id` is the primary key; a view has none.
        collation: How its course runs are compared; None where that is the database's own way, or there is but one.
        character_set: What they are written in; None where all tables of a database are written in the same.
    """

    time_index: TimeIndex | None
    has_primary_key: bool
    collation: str | None = None
    character_set: str | None = None


def look_at(connection: Connection, name: str, table: TableClause, time_column: str | None = None) -> Layout:
    """Look at a table, its columns and its indexes.

    Args:
        connection: To the database.
        name: Names the database in an error.
        table: What is expected.
        time_column: When a row last changed; None looks for no index.

    Raises:
        ConfigurationError: If the table or some of its columns are missing.
    """
    with warnings.catch_warnings():
        # about indexes and types that reflection does not understand, none of which is needed here
        warnings.simplefilter("ignore", SAWarning)
        inspector = inspect(connection)
        nullable = _check_columns(inspector, name, table)
        primary_key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        indexes = inspector.get_indexes(table.name) if time_column else []
    sortable = {column.name for column in table.columns if not nullable[column.name]}
    found = [
        TimeIndex(str(index["name"]), columns)
        for index in indexes
        if (columns := _columns_in_order(index)) and columns[0] == time_column and sortable.issuperset(columns)
    ]
    collation, character_set = _find_collation(connection, table)
    return Layout(
        time_index=min(found, key=lambda index: len(index.columns), default=None),
        has_primary_key=primary_key == ["id"],
        collation=collation,
        character_set=character_set,
    )


def _find_collation(connection: Connection, table: TableClause) -> tuple[str | None, str | None]:
    """Return how a table's course runs are compared, and what they are written in.

    Reflection leaves that out where it is the table's own way.
    """
    if connection.dialect.name not in _SCHEMAS:
        return None, None
    found = connection.execute(
        select(_columns.c.collation_name, _columns.c.character_set_name).where(
            _columns.c.table_schema == _SCHEMAS[connection.dialect.name],
            _columns.c.table_name == table.name,
            _columns.c.column_name == "course_id",
        )
    ).first()
    return (None, None) if found is None else (found[0], found[1])


def _check_columns(inspector: Inspector, name: str, table: TableClause) -> Mapping[str, bool]:
    """Return which of the table's columns may be NULL."""
    if not inspector.has_table(table.name):
        raise ConfigurationError(f"{name}: it has no table {table.name}; an Open edX database has one")
    nullable = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
    missing = [column.name for column in table.columns if column.name not in nullable]
    if missing:
        raise ConfigurationError(f"{name}: its table {table.name} lacks {', '.join(missing)}")
    return nullable


def _columns_in_order(index: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns whose order an index carries; none where it holds a part of the rows or values only."""
    options: Mapping[str, object] = index.get("dialect_options", {})
    is_partial = any(option.endswith(("_where", "_length")) for option in options)
    columns: Sequence[str | None] = index["column_names"]
    if is_partial or index.get("column_sorting") or None in columns:
        return ()
    return tuple(column for column in columns if column is not None)
