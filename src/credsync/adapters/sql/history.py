"""Past runs, read from a ledger."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from credsync.adapters.sql.engine import Database, close, describe, open_history
from credsync.adapters.sql.faults import translating
from credsync.adapters.sql.ledger import to_header
from credsync.adapters.sql.ledger_tables import (
    READ,
    counts,
    destinations,
    failures,
    get_datetime,
    is_current,
    is_set_up,
    runs,
    timeline,
)
from credsync.errors import AdapterError, ConfigurationError
from credsync.history import PastRun
from credsync.report import Failure, Report, Stopped

__all__ = ["SqlHistory"]


class SqlHistory:
    """Reads the past runs of a ledger; never writes.

    Args:
        database: The ledger: a path, which means a SQLite file, or a SQLAlchemy URL.

    Raises:
        ConfigurationError: If there is no such ledger; once it is read, also if it is none, or of a newer version.
        AdapterError: If it cannot be reached.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = open_history(database)

    def close(self) -> None:
        """Let go of the database."""
        close(self._engine, self._database)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        name = f"ledger {describe(self._engine)}"
        with translating(name, AdapterError, ConfigurationError), self._engine.connect() as connection:
            is_current(connection)
            yield connection

    def is_set_up(self) -> bool:
        """Whether the database holds a ledger; it may hold other things, or nothing."""
        with self._connected() as connection:
            return is_set_up(connection)

    def iter_runs(self, limit: int = 20) -> Iterator[PastRun]:
        """Yield the last runs, the newest first, each read when it is asked for."""
        with self._connected() as connection:
            newest = select(runs.c.id).order_by(runs.c.id.desc()).limit(limit)
            for run_id in connection.execute(newest).scalars().all():
                yield _read(connection, run_id)

    def list_destinations(self) -> list[str]:
        """Return the names of all destinations that the ledger has sent to, the first one first."""
        with self._connected() as connection:
            return list(connection.execute(select(destinations.c.name).order_by(destinations.c.id)).scalars())

    def get_run(self, run_id: int | None = None) -> PastRun:
        """Return a run.

        Args:
            run_id: Which one; None is the last.

        Raises:
            ConfigurationError: If there is no such run.
        """
        with self._connected() as connection:
            if run_id is None:
                run_id = connection.execute(select(runs.c.id).order_by(runs.c.id.desc()).limit(1)).scalar()
            if run_id is None:
                raise ConfigurationError("the ledger knows no run yet")
            return _read(connection, run_id)


def _read(connection: Connection, run_id: int) -> PastRun:
    row = connection.execute(
        select(runs, destinations.c.name.label("destination"))
        .join(destinations, destinations.c.id == runs.c.destination_id)
        .where(runs.c.id == run_id)
    ).first()
    if row is None:
        raise ConfigurationError(f"the ledger knows no run {run_id}")
    read: dict[str, int] = {}
    by_target: dict[tuple[str, str, str, str], int] = {}
    for _, kind, target, verdict, reason, records in connection.execute(
        select(counts).where(counts.c.run_id == run_id)
    ):
        if verdict == READ:
            read[kind] = records
        else:
            by_target[kind, target, verdict, reason] = records
    by_minute = {
        (datetime.fromtimestamp(minute * 60, UTC), verdict): records
        for _, minute, verdict, records in connection.execute(select(timeline).where(timeline.c.run_id == run_id))
    }
    kept = connection.execute(select(failures.c.failure).where(failures.c.run_id == run_id).order_by(failures.c.id))
    return PastRun(
        run_id=run_id,
        destination=row.destination,
        header=to_header(row),
        status=row.status,
        process=row.process,
        report=_to_report(row, read, by_target, [Failure.from_dict(json.loads(failure)) for failure in kept.scalars()]),
        by_target=by_target,
        timeline=by_minute,
    )


def _to_report(
    row: Any, read: dict[str, int], by_target: dict[tuple[str, str, str, str], int], kept: list[Failure]
) -> Report:
    ended: Counter[tuple[str, str, str]] = Counter()
    for (kind, _, verdict, reason), records in by_target.items():
        ended[kind, verdict, reason] += records
    stopped = None
    if row.status != "complete":
        cursor = json.loads(row.place) if row.place else None
        stopped = Stopped(reason=row.reason or row.status, stage=row.stage or "", cursor=cursor)
    return Report(
        read=read,
        counts=ended,
        failures=tuple(kept),
        stopped=stopped,
        started=get_datetime(row.started),
        ended=get_datetime(row.updated),
    )
