"""Insert or update many rows at once, on every database that the adapters speak to."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite

__all__ = ["upsert"]


def upsert(connection: Connection, table: Table, rows: list[tuple[object, ...]], added: str = "") -> None:
    """Insert rows, or update those whose primary key is there.

    Hands the rows to the driver as they are: what SQLAlchemy does for each parameter would cost more than the database.

    Args:
        connection: Where to; the transaction is the caller's.
        table: The table.
        rows: A value for every column, in their order, as the driver takes it.
        added: A column whose new value is added to the old one; the others are replaced.
    """
    if not rows:
        return
    statement = _compile(table, connection.dialect, added)
    names = [column.name for column in table.columns]
    are_named = not connection.dialect.positional
    connection.exec_driver_sql(statement, [dict(zip(names, row, strict=True)) for row in rows] if are_named else rows)


@lru_cache(maxsize=64)  # unbounded, it would keep the dialects of all engines there ever were
def _compile(table: Table, dialect: Dialect, added: str) -> str:
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    if dialect.name in ("mysql", "mariadb"):
        replace = mysql.insert(table)
        replace = replace.on_duplicate_key_update(_changes(table, others, replace.inserted, added))
        return str(replace.compile(dialect=dialect))
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect.name](table)
    changed = insert.on_conflict_do_update(index_elements=keys, set_=_changes(table, others, insert.excluded, added))
    return str(changed.compile(dialect=dialect))


def _changes(table: Table, columns: Collection[str], new: Any, added: str) -> dict[str, Any]:
    return {name: table.c[name] + new[name] if name == added else new[name] for name in columns}
