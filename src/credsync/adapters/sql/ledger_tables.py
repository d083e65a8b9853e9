"""The ledger's own tables, and how a file of an older version becomes one of this.

Times are whole microseconds since 1970 (UTC): exact, and the same on every database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, MetaData, String, Table, Text, inspect
from sqlalchemy.dialects import mysql

from credsync.errors import ConfigurationError
from credsync.fields import EPOCH, MICROSECOND

__all__ = [
    "MAX_REASON_LENGTH",
    "READ",
    "counts",
    "destinations",
    "entries",
    "failures",
    "get_datetime",
    "get_text",
    "is_current",
    "is_set_up",
    "migrate",
    "runs",
    "timeline",
    "to_datetime",
    "to_text",
]

MAX_REASON_LENGTH = 191
"""Characters of a reason that is counted: what a key of MariaDB has room for beside a course run."""

MAX_TEXT_LENGTH = 4_000
"""Characters of any other text from outside."""

READ = "read"
"""Stands in the place of a verdict where records are counted as they are read; of all course runs together."""

metadata = MetaData()


def _key_text(length: int) -> String:
    """Text that is compared to the letter, on databases whose default is not to."""
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


_LongText = Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
"""Text of any length in any alphabet, compared to the letter; a selection of many learners makes a long scope."""

_Number = BigInteger().with_variant(Integer(), "sqlite")

schema = Table("credsync_schema", metadata, Column("version", Integer, primary_key=True))

destinations = Table(
    "credsync_destinations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", _key_text(255), nullable=False, unique=True),
)

entries = Table(
    "credsync_entries",
    metadata,
    Column("destination_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", _key_text(16), primary_key=True),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("target", _key_text(255), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("fingerprint", String(32)),
    Column("source_time", BigInteger),
    Column("in_doubt", Boolean, nullable=False),
    Column("failed_fingerprint", String(32)),
    Column("reason", _LongText),
    Column("status", Integer),
    Column("since", BigInteger),
    Column("tries", Integer, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "credsync_entries_pending",
    entries.c.destination_id,
    entries.c.state,
    entries.c.kind,
    entries.c.user_id,
    entries.c.target,
    sqlite_where=entries.c.state != "delivered",
    postgresql_where=entries.c.state != "delivered",
)

runs = Table(
    "credsync_runs",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("destination_id", Integer, nullable=False),
    Column("job", String(16), nullable=False),
    Column("scope", _LongText, nullable=False),
    Column("window_start", BigInteger),
    Column("window_end", BigInteger),
    Column("started", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", _LongText),
    Column("watermark", BigInteger),
    Column("stage", String(16)),
    Column("place", _LongText),
    Column("process", String(255), nullable=False),
    sqlite_autoincrement=True,
)

counts = Table(
    "credsync_counts",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", _key_text(16), primary_key=True),
    Column("target", _key_text(255), primary_key=True),
    Column("verdict", _key_text(16), primary_key=True),
    Column("reason", _key_text(MAX_REASON_LENGTH), primary_key=True),
    Column("records", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

timeline = Table(
    "credsync_timeline",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("verdict", _key_text(16), primary_key=True),
    Column("records", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

failures = Table(
    "credsync_failures",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("run_id", BigInteger, nullable=False, index=True),
    Column("failure", _LongText, nullable=False),
)

Migration: TypeAlias = Callable[[Connection], object]

MIGRATIONS: Sequence[Migration] = (metadata.create_all,)
"""What brings a ledger from each version to the next; version 0 is an empty database."""


def is_current(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether a ledger is of the newest version.

    Raises:
        ConfigurationError: If it is of a newer one than this credsync knows.
    """
    version = _version(connection)
    if version > len(migrations):
        raise ConfigurationError(
            f"the ledger has schema version {version}, this credsync knows versions up to {len(migrations)}:"
            " use a newer credsync"
        )
    return version == len(migrations)


def is_set_up(connection: Connection) -> bool:
    """Whether there is a ledger, of whatever version."""
    return _version(connection) > 0


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a ledger to the newest version, in the transaction of the connection; MariaDB makes tables outside of it.

    Raises:
        ConfigurationError: If the ledger is of a newer version than this credsync knows.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # its driver begins none before it makes tables
    if is_current(connection, migrations):
        return
    for bring_further in migrations[_version(connection) :]:
        bring_further(connection)
    connection.execute(schema.delete())
    connection.execute(schema.insert().values(version=len(migrations)))


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(schema.name):
        return 0
    return connection.execute(schema.select()).scalar() or 0


def to_datetime(micros: int | None) -> datetime | None:
    """Return whole microseconds since 1970 as an aware time in UTC."""
    return None if micros is None else get_datetime(micros)


def get_datetime(micros: int) -> datetime:
    """Return whole microseconds since 1970, which are there, as an aware time in UTC."""
    return EPOCH + micros * MICROSECOND


def to_text(text: str | None, length: int = MAX_TEXT_LENGTH) -> str | None:
    """Return a text from outside as every database keeps it."""
    return None if text is None else get_text(text, length)


def get_text(text: str, length: int = MAX_TEXT_LENGTH) -> str:
    """Return a text, which is there, no longer than that, without NUL (PostgreSQL has none) or half a character."""
    return text[:length].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
