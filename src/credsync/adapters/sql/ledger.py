"""The ledger in a database: what was delivered, what was not, and where each run stands."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select
from sqlalchemy.exc import IntegrityError

from credsync.adapters.sql.engine import Database, close, describe, open_database
from credsync.adapters.sql.faults import translating
from credsync.adapters.sql.ledger_entries import (
    PendingEntries,
    drop_entries,
    forget_entries,
    keep_entries,
    look_up,
)
from credsync.adapters.sql.ledger_tables import (
    MAX_REASON_LENGTH,
    READ,
    counts,
    destinations,
    entries,
    failures,
    get_datetime,
    get_text,
    is_current,
    migrate,
    runs,
    timeline,
    to_datetime,
    to_text,
)
from credsync.adapters.sql.run_lock import take_lock
from credsync.adapters.sql.upsert import upsert
from credsync.errors import AdapterError, ConfigurationError, CredsyncError
from credsync.fields import get_micros, to_micros
from credsync.ledger import EntryState, Known, PageRecord, RunHeader, RunState
from credsync.report import KEPT_FAILURES
from credsync.updates import Update, UpdateKey

__all__ = ["SqlLedger"]


LOCK_GLANCE = 0.05
"""Seconds after which a held lock is looked at again."""

_ANALYZED_AFTER = frozenset({0, *(4**power for power in range(2, 16))})
"""Pages of a run after which PostgreSQL is to look at the entries: 0, 16, 64, 256 and so on."""

_MOVE_ON = (
    runs.update()
    .where(runs.c.id == bindparam("of_run"))
    .values(updated=bindparam("at"), stage=bindparam("to_stage"), place=bindparam("to_place"))
)

_CALL_KILLED = runs.update().where(runs.c.status == "running").values(status="killed")
"""Whoever holds the lock knows that no run goes on: one that has not ended was killed."""


class SqlLedger:
    """A durable `Ledger` on SQLite, PostgreSQL, MySQL or MariaDB.

    Holds one connection; a run's lock goes with it. A new ledger is made where there is none, an older one is brought
    to the newest version, and a newer one is refused.

    Args:
        database: A path, which means a SQLite file, a SQLAlchemy URL, or an engine.
        destination: Where the updates go: what one destination has says nothing about another.
        wait: Seconds to wait for a run that holds the ledger before it is told. A few suit a host that sends single
            grades from several processes, and a server that has yet to notice that a holder died.
        sleep: Waits some seconds.

    Raises:
        ConfigurationError: If the database is no ledger and cannot become one, or is of a newer version.
        AdapterError: If it cannot be reached.
    """

    def __init__(
        self,
        database: Database,
        destination: str = "",
        *,
        wait: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._wait = wait
        self._sleep = sleep
        self._engine = open_database(database)
        self._give_back: Callable[[], None] | None = None
        self._run_id = 0
        self._pages = 0
        with self._translating(ConfigurationError):
            self._connection = self._engine.connect()
            try:
                self._bring_up_to_date()
                self._destination_id = _find_destination(self._connection, destination)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Let go of the connection, and of the lock with it."""
        self._release()
        self._connection.close()
        close(self._engine, self._database)

    def begin(self, header: RunHeader, *, resume: bool = False) -> RunState:
        """Take the ledger's lock and open a run, or go on with the last one."""
        with self._translating(ConfigurationError):
            self._give_back = self._take_lock()
            if self._give_back is None:
                raise ConfigurationError(f"another run holds the ledger: {self._describe_holder()}")
            try:
                with self._connection.begin():
                    self._connection.execute(_CALL_KILLED)
                    state = self._resume(header) if resume else RunState(run_id=self._open_run(header, {}))
                self._pages = 0
                self._make_statistics()
            except BaseException:
                self._release()
                raise
        self._run_id = state.run_id
        return state

    def finish(self, status: str, at: datetime, reason: str | None = None) -> None:
        """Close the run and give the lock back."""
        try:
            with self._translating(), self._connection.begin():
                self._update_run(status=status, updated=to_micros(at), reason=to_text(reason))
        finally:
            self._release()

    def look_up(self, asked: Mapping[UpdateKey, Update | None]) -> Known:
        """Return what is known of some keys."""
        with self._translating(), self._connection.begin():
            return look_up(self._connection, self._destination_id, asked)

    def record(self, page: PageRecord) -> None:
        """Write down what became of a page, in one transaction."""
        at = get_micros(page.at)
        with self._translating(), self._connection.begin():
            keep_entries(self._connection, self._destination_id, self._run_id, page.entries, at)
            drop_entries(self._connection, self._destination_id, page.resolved)
            self._count(page, at)
            if page.checkpoint is not None:
                stage, cursor = page.checkpoint
                place = {"of_run": self._run_id, "at": at, "to_stage": stage, "to_place": json.dumps(cursor)}
                self._connection.execute(_MOVE_ON, place)
        self._pages += 1
        with self._translating():
            self._make_statistics()

    def pending(self, state: EntryState, kind: str | None = None, *, before_run: int | None = None) -> PendingEntries:
        """Return the entries that are deferred or dead, in the order of their keys."""
        return PendingEntries(self._read, self._destination_id, state, kind, before_run)

    def forget(self, keys: Collection[UpdateKey]) -> int:
        """Drop the deferrals and dead letters of some keys, on purpose, and return how many were known.

        What was delivered for a key is not forgotten with them, so that nothing older can overwrite it later.
        """
        with self._translating(), self._connection.begin():
            return forget_entries(self._connection, self._destination_id, keys)

    def find_watermark(self, scope: Mapping[str, object]) -> datetime | None:
        """Return up to where everything of a scope was seen by runs that completed; None before the first such run."""
        newest = select(func.max(runs.c.watermark)).where(
            runs.c.destination_id == self._destination_id,
            runs.c.scope == _to_json(scope),
            runs.c.status == "complete",
        )
        with self._translating(), self._connection.begin():
            return to_datetime(self._connection.execute(newest).scalar())

    def find_resumable(self) -> RunHeader | None:
        """Return what the last run is about if it did not complete, None if it did or there is none."""
        with self._translating(), self._connection.begin():
            row = self._last_run()
        return to_header(row) if row is not None and row.status != "complete" else None

    def _translating(self, lasting: type[CredsyncError] = AdapterError) -> AbstractContextManager[None]:
        """Translate errors; what cannot be mended by trying again is an error of its own only before a run begins."""
        return translating(f"ledger {describe(self._engine)}", AdapterError, lasting)

    def _take_lock(self) -> Callable[[], None] | None:
        """Take the ledger's lock as soon as nobody else holds it, if that comes about in time."""
        waited = 0.0
        while (give_back := take_lock(self._connection)) is None and waited < self._wait:
            self._sleep(LOCK_GLANCE)
            waited += LOCK_GLANCE
        return give_back

    def _bring_up_to_date(self) -> None:
        with self._connection.begin():
            if is_current(self._connection):
                return
        give_back = take_lock(self._connection)
        if give_back is None:
            raise ConfigurationError(
                "the ledger is not set up yet, and another process holds it: try again when it is done"
            )
        try:
            with self._connection.begin():
                migrate(self._connection)
        finally:
            give_back()

    def _make_statistics(self) -> None:
        """Let PostgreSQL see how large the ledger has grown, now and then.

        It sees by itself a minute later, or never where nobody lets it. Until then it takes the entries for a few, and
        reads them all for each page.
        """
        if self._connection.dialect.name == "postgresql" and self._pages in _ANALYZED_AFTER:
            with self._connection.begin():
                self._connection.exec_driver_sql(f"ANALYZE {entries.name}")

    def _read(self, statement: Select[Any]) -> Sequence[Any]:
        with self._translating(), self._connection.begin():
            return self._connection.execute(statement).all()

    def _describe_holder(self) -> str:
        """Name the run that holds the ledger; it may go to another destination."""
        newest = select(runs).where(runs.c.status == "running").order_by(runs.c.id.desc()).limit(1)
        with self._connection.begin():
            row = self._connection.execute(newest).first()
        if row is None:
            return "it is just beginning"
        return f"run {row.id} of {row.process}, begun {get_datetime(row.started):%Y-%m-%d %H:%M:%S} UTC"

    def _release(self) -> None:
        if self._give_back:
            self._give_back()
            self._give_back = None

    def _last_run(self) -> Any:
        last = select(runs).where(runs.c.destination_id == self._destination_id, runs.c.job == "notify")
        return self._connection.execute(last.order_by(runs.c.id.desc()).limit(1)).first()

    def _open_run(self, header: RunHeader, values: Mapping[str, object]) -> int:
        started = to_micros(header.started)
        result = self._connection.execute(
            runs.insert().values(
                {
                    "destination_id": self._destination_id,
                    "job": header.job,
                    "scope": _to_json(header.scope),
                    "window_start": to_micros(header.start),
                    "window_end": to_micros(header.end),
                    "started": started,
                    "updated": started,
                    "status": "running",
                    "watermark": to_micros(header.watermark),
                    "process": _describe_process(),
                    **values,
                }
            )
        )
        return int(result.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted, so it has a key

    def _resume(self, header: RunHeader) -> RunState:
        """Go on where the last run stands, as a run of its own that takes over its account."""
        last = self._last_run()
        if last is None:
            raise ConfigurationError("there is no run to resume")
        if last.status == "complete":
            raise ConfigurationError(f"run {last.id} is complete: there is nothing to resume")
        wanted = (_to_json(header.scope), to_micros(header.start), to_micros(header.end))
        if (last.scope, last.window_start, last.window_end) != wanted:
            raise ConfigurationError(
                f"run {last.id} had another selection: {_describe_scope(to_header(last))};"
                " resume it with the same options"
            )
        begun = {"started": last.started, "watermark": last.watermark, "stage": last.stage, "place": last.place}
        run_id = self._open_run(header, begun)
        for table in (counts, timeline, failures):
            columns = [column for column in table.columns if column.name not in ("id", "run_id")]
            account = select(literal(run_id), *columns).where(table.c.run_id == last.id)
            self._connection.execute(table.insert().from_select(["run_id", *(c.name for c in columns)], account))
        self._connection.execute(runs.update().where(runs.c.id == last.id).values(status="resumed"))
        return RunState(run_id=run_id, stage=last.stage, cursor=json.loads(last.place) if last.place else None)

    def _update_run(self, **values: object) -> None:
        self._connection.execute(runs.update().where(runs.c.id == self._run_id).values(values))

    def _count(self, page: PageRecord, at: int) -> None:
        """Add a page's counts to the run's: by course run and reason, and by the minute."""
        found = [
            (self._run_id, kind, target, verdict, reason and get_text(reason, MAX_REASON_LENGTH), records)
            for (kind, target, verdict, reason), records in page.counts.items()
        ]
        read = [(self._run_id, kind, "", READ, "", records) for kind, records in page.read.items()]
        upsert(self._connection, counts, [*found, *read], added="records")
        by_verdict = Counter[str]()
        for (_, _, verdict, _), records in page.counts.items():
            by_verdict[verdict] += records
        minute = at // 60_000_000
        upsert(
            self._connection,
            timeline,
            [(self._run_id, minute, verdict, records) for verdict, records in by_verdict.items()],
            added="records",
        )
        if page.failures:
            self._keep_failures(page.failures)

    def _keep_failures(self, found: Sequence[Mapping[str, object]]) -> None:
        kept = self._connection.execute(
            select(func.count()).select_from(failures).where(failures.c.run_id == self._run_id)
        ).scalar_one()
        rows = [{"run_id": self._run_id, "failure": json.dumps(failure)} for failure in found[: KEPT_FAILURES - kept]]
        if rows:
            self._connection.execute(failures.insert(), rows)


def _find_destination(connection: Connection, name: str) -> int:
    """Return the number of a destination, a new one where it is not known."""
    by_name = select(destinations.c.id).where(destinations.c.name == name)
    with connection.begin():
        known = connection.execute(by_name).scalar()
    if known is None:
        with suppress(IntegrityError), connection.begin():  # another process may have been faster
            connection.execute(destinations.insert().values(name=name))
        with connection.begin():
            known = connection.execute(by_name).scalar_one()
    return int(known)


def to_header(row: Any) -> RunHeader:
    """Return what a run is about."""
    return RunHeader(
        scope=json.loads(row.scope),
        start=to_datetime(row.window_start),
        end=to_datetime(row.window_end),
        started=get_datetime(row.started),
        watermark=to_datetime(row.watermark),
        job=row.job,
    )


def _to_json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _describe_scope(header: RunHeader) -> str:
    """Say what a run read and how, as its options would."""
    facts = dict(header.scope)
    selection = facts.pop("selection", None)
    window = {"start": header.start, "end": header.end}
    facts = {**(selection if isinstance(selection, dict) else {}), **facts, **window}
    return "; ".join(_describe_fact(name, value) for name, value in facts.items() if value) or "everything"


def _describe_fact(name: str, value: object) -> str:
    name = name.replace("_", " ")
    if value is True:
        return name
    return f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"


def _describe_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"[:255]
