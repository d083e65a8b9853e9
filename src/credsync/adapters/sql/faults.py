"""What a database's error means, in words that are safe to show.

Only words of our own, names of tables and columns, and what a server says about a refused connection: an error's own
text may hold the statement, and its parameters hold usernames.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from credsync.errors import AdapterError, CredsyncError

__all__ = ["Fault", "diagnose", "translating"]


class Fault(NamedTuple):
    """What is wrong with a database.

    Attributes:
        reason: What it is, to follow the database's name.
        is_lasting: Whether it is the wrong database, or wrongly set up, so that trying again is no use.
    """

    reason: str
    is_lasting: bool = False


LOST = Fault("the connection was lost")
UNREACHABLE = Fault("the server cannot be reached")
LOCKED = Fault("it is locked by another process")
FULL = Fault("the disk is full")
READ_ONLY = Fault("it is read-only", is_lasting=True)
HALF_DONE = Fault("its writer was killed: to set that right, it must once be opened by who may write", is_lasting=True)
DENIED = Fault("the permission is lacking", is_lasting=True)
REFUSED = Fault("the server refused the user or the password", is_lasting=True)
NO_DATABASE = Fault("the server has no such database", is_lasting=True)
DAMAGED = Fault("the file is damaged")
NO_TABLE = Fault("a table is missing", is_lasting=True)
NO_COLUMN = Fault("a column is missing", is_lasting=True)
BUSY = Fault("the server is too busy, or going down")

FAULTS: dict[int | str, Fault] = {
    # SQLite's primary result codes, and an extended one where it says more
    sqlite3.SQLITE_PERM: DENIED,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_READONLY_ROLLBACK: HALF_DONE,
    sqlite3.SQLITE_IOERR: Fault("reading or writing its file failed"),
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CANTOPEN: Fault("the file cannot be opened", is_lasting=True),
    sqlite3.SQLITE_NOTADB: Fault("it is not a SQLite database", is_lasting=True),
    # PostgreSQL's SQLSTATE
    "08000": LOST,
    "08003": LOST,
    "08006": LOST,
    "25006": READ_ONLY,
    "28000": REFUSED,
    "28P01": REFUSED,
    "3D000": NO_DATABASE,
    "40P01": LOCKED,
    "42501": DENIED,
    "42703": NO_COLUMN,
    "42P01": NO_TABLE,
    "53100": FULL,
    "53300": BUSY,
    "55P03": LOCKED,
    "57P01": LOST,
    "57P02": LOST,
    "57P03": BUSY,
    # the error numbers of MySQL and MariaDB: below 2000 the server's, from there on the client's
    1021: FULL,
    1040: BUSY,
    1044: DENIED,
    1045: REFUSED,
    1049: NO_DATABASE,
    1053: BUSY,
    1054: NO_COLUMN,
    1114: FULL,
    1142: DENIED,
    1143: DENIED,
    1146: NO_TABLE,
    1205: LOCKED,
    1213: LOCKED,
    1290: READ_ONLY,
    1698: REFUSED,
    1792: READ_ONLY,
    1836: READ_ONLY,
    1927: LOST,
    2002: UNREACHABLE,
    2003: UNREACHABLE,
    2005: UNREACHABLE,
    2006: LOST,
    2013: LOST,
}

MISSING = re.compile(
    r"no such (?P<sqlite>table|column): (?P<sqlite_name>[\w.]+)"
    r"|(?P<postgresql>relation|column) \"?(?P<postgresql_name>[\w.]+)\"? does not exist"
    r"|(?P<mysql>Table) '(?P<mysql_name>[\w.]+)' doesn't exist"
    r"|(?P<mysql_column>Unknown column) '(?P<mysql_column_name>[\w.]+)'"
)

REFUSAL = re.compile(r"FATAL:\s+(.+)")
LASTING_REFUSAL = re.compile("authentication|pg_hba|does not exist")
"""Why PostgreSQL lets nobody in: an error about a connection that was never made has no SQLSTATE."""


def diagnose(error: SQLAlchemyError) -> Fault:
    """Say what is wrong, by the driver's error code."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    if cause is None:
        return Fault(f"it failed with {type(error).__name__}")
    code = _code_of(cause)
    fault = _missing(cause) or (FAULTS.get(code) if code else None)
    if fault:
        return fault
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return LOST
    if code is None and isinstance(error, OperationalError):
        return _refused_connection(str(cause))
    return Fault(f"it failed with {type(cause).__name__} {code or ''}".rstrip())


def _code_of(cause: BaseException) -> int | str | None:
    """Find the driver's code: an attribute of sqlite3's and psycopg's errors, the first argument of those for MySQL."""
    if isinstance(cause, sqlite3.Error):
        code: int = getattr(cause, "sqlite_errorcode", 0)
        return code if code in FAULTS else code & 0xFF
    if cause.args and isinstance(cause.args[0], int):
        return cause.args[0]
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _missing(cause: BaseException) -> Fault | None:
    """Name the table or column that is missing."""
    match = MISSING.search(str(cause))
    if match is None:
        return None
    kind, name = (text for text in match.groups() if text is not None)
    what = "column" if kind.lower().endswith("column") else "table"
    return Fault(f"it has no {what} {name}", is_lasting=True)


def _refused_connection(text: str) -> Fault:
    refusal = REFUSAL.search(text)
    if refusal is None:
        return UNREACHABLE
    return Fault(f"the server refused the connection: {refusal[1]}", bool(LASTING_REFUSAL.search(refusal[1])))


@contextmanager
def translating(
    name: str,
    error: Callable[[str], CredsyncError] = AdapterError,
    lasting: Callable[[str], CredsyncError] | None = None,
) -> Iterator[None]:
    """Turn what SQLAlchemy raises into an error of ours, in one line without statement or parameters.

    Args:
        name: Names the database in the message.
        error: Makes the error to raise.
        lasting: Makes the one to raise where trying again is no use; None means `error`.
    """
    try:
        yield
    except SQLAlchemyError as exc:
        fault = diagnose(exc)
        make = lasting if lasting and fault.is_lasting else error
        raise make(f"{name}: {fault.reason}") from exc
