"""A database table as the sink: every delivery becomes a row, for whoever carries it on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import field, frozen
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, String, Table, Text, select

from credsync.adapters.sql.engine import Database, close, describe, open_database
from credsync.adapters.sql.faults import translating
from credsync.adapters.sql.layout import look_at
from credsync.adapters.sql.moments import Moment, to_moment
from credsync.errors import ConfigurationError, InvalidRecordError, SinkUnavailableError
from credsync.updates import Delivered, Outcome, Rejected, Update
from credsync.wire import encode_update

__all__ = ["OUTBOX", "OutboxRow", "SqlOutbox"]

OUTBOX = Table(
    "credsync_outbox",
    MetaData(),
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("target", String(255), nullable=False),
    Column("payload", Text, nullable=False),
    Column("source_time", Moment),
    Column("state", String(16), nullable=False),
    Column("created", Moment, nullable=False),
    sqlite_autoincrement=True,
)
Index("credsync_outbox_key", OUTBOX.c.kind, OUTBOX.c.user_id, OUTBOX.c.target)

PENDING = "pending"
"""The state that a row begins in. What takes it further is up to who reads it."""

ROWS_AT_ONCE = 1000
"""Rows that reading the outbox holds at a time."""


@frozen(kw_only=True)
class OutboxRow:
    """One delivery.

    Attributes:
        id: Later deliveries have higher ones.
        kind: `certificate`, `grade` or `program`.
        user_id: The learner's id.
        target: The course run, or the program's UUID.
        payload: What the Credentials API would be sent; it holds the username, so no `repr` shows it.
        source_time: When the record last changed, aware; None where unknown.
        state: `pending`, as long as nobody else changes it.
        created: When the row was written, aware.
    """

    id: int
    kind: str
    user_id: int
    target: str
    payload: dict[str, Any] = field(repr=False)
    source_time: datetime | None
    state: str
    created: datetime


class SqlOutbox:
    """A `CredentialSink` that writes each update into the table `credsync_outbox`, which is made if it is missing.

    The table keeps history: a key that is delivered again gets another row, and the last one says how things stand.

    | column | content |
    | --- | --- |
    | `id` | counted up; later deliveries have higher ones |
    | `kind` | `certificate`, `grade` or `program` |
    | `user_id` | the learner's id |
    | `target` | the course run, or the program's UUID |
    | `payload` | JSON text: what the Credentials API would be sent, username included |
    | `source_time` | when the record last changed, UTC; NULL where unknown |
    | `state` | `pending`; whoever carries rows on may write another |
    | `created` | when the row was written, UTC |

    A batch is one transaction, on the disk before `deliver` returns. (In SQLite that takes one sync of the disk: the
    file is set to a write-ahead log, with full synchronisation.)

    Args:
        database: A path, which means a SQLite file; a SQLAlchemy URL; or an engine, which the caller keeps and closes.
        clock: Tells the time.

    Attributes:
        engine: The database, as it was opened.

    Raises:
        ConfigurationError: If the URL makes no sense, the file's directory is missing, or the driver is not installed.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.engine = open_database(database)
        self._name = describe(self.engine)
        self._database = database
        self._clock = clock
        self._is_ready = False

    def check(self) -> None:
        """Make sure that the outbox can be written to, and make its table if it is missing.

        Raises:
            ConfigurationError: If it is no database, can never be written to, or holds another table of that name.
            SinkUnavailableError: If it cannot be written to now.
        """
        with (
            translating(self._name, SinkUnavailableError, lasting=ConfigurationError),
            self.engine.begin() as connection,
        ):
            self._make_ready(connection)

    def close(self) -> None:
        """Close all connections; the outbox may be used again. A caller's own engine stays as it is."""
        close(self.engine, self._database)

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Write a batch, and return one outcome per update: rejected is what the Credentials API could not be sent.

        Raises:
            SinkUnavailableError: If the batch cannot be written; nothing of it is.
        """
        created = self._clock()
        rows: list[dict[str, object]] = []
        outcomes: list[Outcome] = []
        for update in updates:
            try:
                rows.append(_row_of(update, created))
            except InvalidRecordError as exc:
                outcomes.append(Rejected(reason=f"{exc.field}: {exc.reason}"))
            else:
                outcomes.append(Delivered())
        if rows:
            self._write(rows)
        return outcomes

    def iter_rows(self, after: int = 0) -> Iterator[OutboxRow]:
        """Yield the rows in the order of their delivery, a thousand at a time.

        Args:
            after: The id of the last row to leave out.

        Raises:
            SinkUnavailableError: If the outbox cannot be read.
        """
        following = select(OUTBOX).order_by(OUTBOX.c.id).limit(ROWS_AT_ONCE)
        while True:
            with translating(self._name, SinkUnavailableError), self.engine.connect() as connection:
                rows = connection.execute(following.where(OUTBOX.c.id > after)).all()
            for row in rows:
                after = row.id
                yield _read(row._asdict())
            if len(rows) < ROWS_AT_ONCE:
                return

    def _write(self, rows: Sequence[dict[str, object]]) -> None:
        with translating(self._name, SinkUnavailableError), self.engine.begin() as connection:
            if not self._is_ready:
                self._make_ready(connection)
            connection.execute(OUTBOX.insert(), rows)

    def _make_ready(self, connection: Connection) -> None:
        OUTBOX.create(connection, checkfirst=True)
        look_at(connection, self._name, OUTBOX)
        self._is_ready = True


def _row_of(update: Update, created: datetime) -> dict[str, object]:
    return {
        **update.key._asdict(),
        "payload": json.dumps(encode_update(update)),
        "source_time": update.source_time,
        "state": PENDING,
        "created": created,
    }


def _read(row: dict[str, Any]) -> OutboxRow:
    times = {name: to_moment(row[name]) for name in ("source_time", "created")}
    return OutboxRow(**{**row, **times, "payload": json.loads(row["payload"])})
