"""Opening databases: a path or a SQLAlchemy URL becomes an engine whose sessions suit what is done with them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from credsync.errors import ConfigurationError

__all__ = ["Database", "close", "describe", "open_database", "open_history", "open_source"]

Database: TypeAlias = str | PathLike[str] | Engine
"""A path, which means a SQLite file; a SQLAlchemy URL; or an engine that the host has, and keeps."""

DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"} | {
    name: f"{name}+pymysql" for name in ("mysql", "mariadb")
}
"""The driver that an extra of credsync brings, for URLs that name none."""

EXTRAS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}

PATIENCE = 5.0
"""Seconds to wait for a SQLite file that is locked: as long as its driver waits by itself."""

GLANCE = 0.01
"""Seconds after which a locked file is tried again."""

_MISSPELT_URL = re.compile(r"\w[\w+]*:/?[^/@]*:[^@]*@")
"""A URL that lacks slashes, and would be quoted with its password as the path of a file."""

READING: dict[str, Sequence[str]] = {
    # also where the file is opened so that SQLite may take back what a killed writer left half done
    "sqlite": ("PRAGMA query_only = ON",),
    "postgresql": (
        "SET timezone = 'UTC'",
        "SET default_transaction_read_only = on",
        # All that is read here is found by an index. Where statistics are old, the planner takes a window for nearly
        # empty, and would scan and sort the table for each page, or go through all learners to join theirs in.
        "SET enable_seqscan = off",
        "SET enable_sort = off",
        "SET enable_hashjoin = off",
        "SET enable_mergejoin = off",
        # What must do so all the same (reflection) is thought to be dear now, and would be compiled first.
        "SET jit = off",
    ),
    "mysql": (
        "SET SESSION TRANSACTION READ ONLY",
        # MariaDB (the comment is its own syntax) turns long IN lists into joins, and reads the whole index for them.
        "SET time_zone = '+00:00' /*M!100500 , in_predicate_conversion_threshold = 0 */",
    ),
}
"""What a session that only reads begins with."""

WRITING: dict[str, Sequence[str]] = {
    # A write-ahead log needs one sync of the disk for a commit where a rollback journal needs several, and lets others
    # read meanwhile. FULL makes that sync part of every commit.
    "sqlite": ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"),
    "postgresql": ("SET timezone = 'UTC'",),
    "mysql": ("SET time_zone = '+00:00'",),
}
"""What a session that writes begins with. A commit is on the disk when it returns, as the servers do it by default."""


def open_source(database: Database) -> Engine:
    """Open a database to read from; reads nothing yet, and never writes.

    Each statement sees what is committed when it starts, and no transaction is held between them. Sessions refuse
    writes, and their time zone is UTC. A host's own engine keeps its sessions as they are, but for the transactions.

    Raises:
        ConfigurationError: If there is no such file, the URL makes no sense, or its driver is not installed.
    """
    return _open_to_read(database, "ro")


def open_history(database: Database) -> Engine:
    """Open a ledger to read from, as a source is opened, but one whose writer was killed can be read.

    What a killed writer leaves half done, SQLite takes back when the file is next opened by someone who may write.

    Raises:
        ConfigurationError: If there is no such file, the URL makes no sense, or its driver is not installed.
    """
    return _open_to_read(database, "rw")


def open_database(database: Database) -> Engine:
    """Open a database to write to; a SQLite file is made with the first write if it is missing.

    Sessions have UTC as their time zone. A host's own engine is taken with its sessions as they are.

    Raises:
        ConfigurationError: If the URL makes no sense, the file's directory is missing, or the driver is not installed.
    """
    if isinstance(database, Engine):
        return _wary(database.execution_options())
    url = _url_of(database)
    if url.get_backend_name() == "sqlite" and url.database and not url.query.get("uri"):
        directory = Path(url.database).parent
        if not directory.is_dir():
            raise ConfigurationError(f"{url.database}: there is no directory {directory}")
    return _create(url, WRITING)


def close(engine: Engine, database: Database) -> None:
    """Close the connections of an engine that was opened here; those of a host's own stay."""
    if not isinstance(database, Engine):
        engine.dispose()


def describe(engine: Engine) -> str:
    """Name a database for a message: its path, or its URL without password and options, which may hold one too."""
    url = engine.url
    if url.get_backend_name() != "sqlite":
        return url.set(query={}).render_as_string(hide_password=True)
    path = url.database or ":memory:"
    return unquote(urlsplit(path).path) if path.startswith("file:") else path


def _url_of(database: str | PathLike[str]) -> URL:
    text = fspath(database)
    if "://" not in text and not _MISSPELT_URL.match(text):
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # not `from exc`: it quotes the URL, and so the password
        raise ConfigurationError("the database URL makes no sense: it looks like dialect://user@host/name") from None
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def _open_to_read(database: Database, sqlite_mode: str) -> Engine:
    if isinstance(database, Engine):
        return _wary(database.execution_options(isolation_level="AUTOCOMMIT"))
    url = _url_of(database)
    if url.get_backend_name() == "sqlite":
        url = _existing(url, sqlite_mode)
    return _create(url, READING, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)


def _existing(url: URL, mode: str) -> URL:
    """Let SQLite itself refuse to make a file that is missing and, in the mode `ro`, to write."""
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("a SQLite database in memory can only be read through the engine that holds it")
    if url.query.get("uri"):
        return url.update_query_dict({"mode": mode})
    path = Path(url.database)
    if not path.is_file():
        raise ConfigurationError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    return url.set(database=path.absolute().as_uri()).update_query_dict({"mode": mode, "uri": "true"})


def _create(url: URL, sessions: dict[str, Sequence[str]], **options: Any) -> Engine:
    name = url.get_backend_name()
    try:
        engine = create_engine(url, hide_parameters=True, **options)
    except NoSuchModuleError as exc:
        raise ConfigurationError(f"SQLAlchemy knows no database {url.drivername!r}") from exc
    except ModuleNotFoundError as exc:
        remedy = f": pip install 'credsync[{EXTRAS[name]}]'" if name in EXTRAS else ""
        raise ConfigurationError(f"the driver {exc.name} of a {name} database is not installed{remedy}") from exc
    statements = sessions.get(engine.dialect.name.replace("mariadb", "mysql"), ())

    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _record: object) -> None:
        try:
            cursor = dbapi_connection.cursor()
            for statement in statements:
                _execute(cursor, statement)
            cursor.close()
            dbapi_connection.commit()
        except BaseException:
            dbapi_connection.close()  # nobody else knows it yet
            raise

    return engine


def _execute(cursor: Any, statement: str) -> None:
    """Execute a statement, again where SQLite says that a file is locked without having waited for it.

    It does so to one of two processes that set up the log of a new file at the same time.
    """
    give_up = monotonic() + PATIENCE
    while True:
        try:
            cursor.execute(statement)
        except sqlite3.OperationalError as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > give_up:
                raise
            sleep(GLANCE)
        else:
            return


def _wary(engine: Engine) -> Engine:
    """Keep parameters out of the errors of this engine; the one that it was made from stays as it is."""
    engine.hide_parameters = True
    return engine
