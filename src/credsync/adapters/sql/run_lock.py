"""One run at a time: a lock that the operating system or the database takes back when its holder dies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from zlib import crc32

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from credsync.errors import ConfigurationError

__all__ = ["take_lock"]

LOCK_NAME = "credsync-ledger"


def take_lock(connection: Connection) -> Callable[[], None] | None:
    """Take the lock of the ledger behind a connection, and keep it as long as the connection lives.

    On PostgreSQL and MariaDB it is the server's advisory lock, gone with the connection. SQLite has none, and its file
    must stay open to readers during a run: there, a second file beside it (`….lock`) is held in a transaction that
    may write, of which there is one at a time, and which ends with the process.

    Returns:
        What gives the lock back; None where another process holds it.

    Raises:
        ConfigurationError: If the file of the lock cannot be written.
    """
    if connection.dialect.name == "sqlite":
        return _take_file_lock(_find_file(connection))
    take, give_back = _ADVISORY_LOCKS[connection.dialect.name]
    name = f"{LOCK_NAME}:{connection.engine.url.database}"
    parameters = {"name": name[:64], "number": crc32(name.encode())}

    def release() -> None:
        # a connection that is gone has lost its lock already
        with suppress(SQLAlchemyError), connection.begin():
            connection.execute(text(give_back), parameters)

    with connection.begin():  # the lock is the session's, and outlasts it
        is_taken = bool(connection.execute(text(take), parameters).scalar())
    return release if is_taken else None


_MYSQL_LOCK = ("SELECT GET_LOCK(:name, 0)", "DO RELEASE_LOCK(:name)")

_ADVISORY_LOCKS = {
    "postgresql": ("SELECT pg_try_advisory_lock(:number)", "SELECT pg_advisory_unlock(:number)"),
    "mysql": _MYSQL_LOCK,
    "mariadb": _MYSQL_LOCK,
}


def _find_file(connection: Connection) -> str:
    """Return the file's own path, however it was named and linked to; empty for a database in memory."""
    paths = {name: path for _, name, path in connection.exec_driver_sql("PRAGMA database_list")}
    connection.rollback()
    return paths["main"] or ""


def _take_file_lock(path: str) -> Callable[[], None] | None:
    if not path:
        return lambda: None
    holder = None
    try:
        holder = sqlite3.connect(f"{path}.lock", timeout=0, isolation_level=None, check_same_thread=False)
        # EXCLUSIVE would wait for whoever only looks: of two who begin at the same instant, neither might get it
        holder.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as exc:
        if holder:
            holder.close()
        if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return None
        raise ConfigurationError(f"{path}.lock: the ledger's lock file cannot be written") from exc
    return holder.close
