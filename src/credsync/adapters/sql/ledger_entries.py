"""What a ledger's table of entries says of keys, and how to ask it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Dialect, Select, UpdateBase, and_, bindparam, or_, select, tuple_

from credsync.adapters.sql.ledger_tables import entries, to_datetime, to_text
from credsync.adapters.sql.upsert import upsert
from credsync.fields import to_micros
from credsync.ledger import Entry, EntryState, Known
from credsync.paging import Cursor, Page
from credsync.updates import Update, UpdateKey

__all__ = ["PendingEntries", "drop_entries", "forget_entries", "keep_entries", "look_up"]

USERS_AT_ONCE = 10_000
"""Learners in one statement; PostgreSQL takes 65,535 parameters, SQLite 32,766."""

_DELIVERED = EntryState.DELIVERED.value

_COLUMNS = (
    entries.c.kind,
    entries.c.user_id,
    entries.c.target,
    entries.c.state,
    entries.c.fingerprint,
    entries.c.source_time,
    entries.c.in_doubt,
    entries.c.failed_fingerprint,
    entries.c.reason,
    entries.c.status,
    entries.c.since,
    entries.c.tries,
)

_FIND = select(*_COLUMNS).where(
    entries.c.destination_id == bindparam("destination_id"),
    entries.c.kind.in_(bindparam("kinds", expanding=True)),
    entries.c.user_id.in_(bindparam("user_ids", expanding=True)),
)

_IS_PENDING = and_(
    entries.c.destination_id == bindparam("at_destination"),
    entries.c.kind == bindparam("of_kind"),
    entries.c.user_id == bindparam("of_user"),
    entries.c.target == bindparam("of_target"),
    entries.c.state != _DELIVERED,
)

_DROP = entries.delete().where(_IS_PENDING)

_SETTLE = (
    entries.update()
    .where(_IS_PENDING, or_(entries.c.fingerprint.is_not(None), entries.c.source_time.is_not(None)))
    .values(state=_DELIVERED, failed_fingerprint=None, reason=None, status=None, since=None, tries=0)
)

_STATES = {state.value: state for state in EntryState}


def look_up(connection: Connection, destination_id: int, asked: Mapping[UpdateKey, Update | None]) -> Known:
    """Return what is known of some keys at a destination.

    Asks by learner, and picks the keys from what comes: a learner has few entries, and a list of numbers is what every
    database looks up best.
    """
    rows = {(row[0], row[1], row[2]): row for row in _iter_rows(connection, destination_id, asked)}
    unchanged: list[UpdateKey] = []
    found: dict[UpdateKey, Entry] = {}
    for key, update in asked.items():
        row = rows.get(key)
        if row is None:
            continue
        if update is not None and _knows(row, update):
            unchanged.append(key)
        else:
            found[key] = _to_entry(key, row)
    return Known(unchanged=unchanged, entries=found)


def _knows(row: Sequence[Any], update: Update) -> bool:
    """Whether the entry of a row knows an update, as `Entry.knows` says; to make the entry would take longer."""
    _, _, _, state, fingerprint, source_time = row[:6]
    return bool(
        state == _DELIVERED and source_time == to_micros(update.source_time) and fingerprint == update.fingerprint
    )


def _iter_rows(connection: Connection, destination_id: int, keys: Collection[UpdateKey]) -> Iterator[Sequence[Any]]:
    user_ids = list({key.user_id for key in keys})
    kinds = list({key.kind for key in keys})
    for start in range(0, len(user_ids), USERS_AT_ONCE):
        some = user_ids[start : start + USERS_AT_ONCE]
        some += some[-1:] * (_round_up(len(some)) - len(some))
        statement, names = _compile_find(connection.dialect, len(kinds), len(some))
        values = (destination_id, *kinds, *some)
        parameters = values if connection.dialect.positional else dict(zip(names, values, strict=True))
        yield from connection.exec_driver_sql(statement, parameters).all()


@lru_cache(maxsize=64)  # unbounded, it would keep the dialects of all engines there ever were
def _compile_find(dialect: Dialect, kinds: int, user_ids: int) -> tuple[str, Sequence[str]]:
    """Compile the search for so many kinds and learners, and name its parameters in their order.

    What SQLAlchemy does for each value of a list would cost more than the database.
    """
    example = {"destination_id": 0, "kinds": [""] * kinds, "user_ids": [0] * user_ids}
    compiled = _FIND.params(example).compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    lists = {"kinds": kinds, "user_ids": user_ids}
    names = (f"{name}_{number}" for name, length in lists.items() for number in range(1, length + 1))
    return str(compiled), ["destination_id", *names]


def _round_up(count: int) -> int:
    """Return the power of two from a number on: so many statements there are at most."""
    return 1 << (count - 1).bit_length()


def keep_entries(connection: Connection, destination_id: int, run_id: int, found: Sequence[Entry], at: int) -> None:
    """Write entries down, each in the place of an earlier one with its key."""
    upsert(connection, entries, [_to_row(entry, destination_id, run_id, at) for entry in found])


def drop_entries(connection: Connection, destination_id: int, keys: Collection[UpdateKey]) -> int:
    """Drop the deferrals and dead letters of some keys, and return how many there were."""
    return _change(connection, _DROP, destination_id, keys)


def forget_entries(connection: Connection, destination_id: int, keys: Collection[UpdateKey]) -> int:
    """Drop the deferrals and dead letters of some keys, but not what was delivered; return how many there were."""
    settled = _change(connection, _SETTLE, destination_id, keys)
    return settled + drop_entries(connection, destination_id, keys)


def _change(connection: Connection, change: UpdateBase, destination_id: int, keys: Collection[UpdateKey]) -> int:
    return sum(
        connection.execute(
            change,
            {"at_destination": destination_id, "of_kind": key.kind, "of_user": key.user_id, "of_target": key.target},
        ).rowcount
        for key in keys
    )


@frozen
class PendingEntries:
    """A page source over the entries in one state, in the order of their keys.

    Attributes:
        read: Runs a statement and returns its rows.
        destination_id: Where they were to go.
        state: The state.
        kind: Only those of one kind of update; None takes all.
        before_run: Only those last tried before this run; None takes all.
    """

    read: Callable[[Select[Any]], Sequence[Any]]
    destination_id: int
    state: EntryState
    kind: str | None
    before_run: int | None

    def fetch(self, after: Cursor | None, limit: int) -> Page[Entry]:
        """Return up to `limit` entries behind `after`."""
        key = tuple_(entries.c.kind, entries.c.user_id, entries.c.target)
        pending = select(*_COLUMNS).where(
            entries.c.destination_id == self.destination_id, entries.c.state == self.state.value
        )
        if self.kind is not None:
            pending = pending.where(entries.c.kind == self.kind)
        if self.before_run is not None:
            pending = pending.where(entries.c.run_id < self.before_run)
        if isinstance(after, list):
            pending = pending.where(key > tuple_(*after))
        rows = self.read(pending.order_by(*key.clauses).limit(limit + 1))
        found = [_to_entry(UpdateKey(row[0], row[1], row[2]), row) for row in rows[:limit]]
        return Page(found, list(found[-1].key) if len(rows) > limit else None)


def _to_entry(key: UpdateKey, row: Sequence[Any]) -> Entry:
    _, _, _, state, fingerprint, source_time, in_doubt, failed_fingerprint, reason, status, since, tries = row
    return Entry(
        key=key,
        state=_STATES[state],
        fingerprint=fingerprint,
        source_time=to_datetime(source_time),
        in_doubt=bool(in_doubt),
        failed_fingerprint=failed_fingerprint,
        reason=reason,
        status=status,
        since=to_datetime(since),
        tries=tries,
    )


def _to_row(entry: Entry, destination_id: int, run_id: int, at: int) -> tuple[object, ...]:
    return (
        destination_id,
        *entry.key,
        entry.state.value,
        entry.fingerprint,
        to_micros(entry.source_time),
        entry.in_doubt,
        entry.failed_fingerprint,
        to_text(entry.reason),
        entry.status,
        to_micros(entry.since),
        entry.tries,
        run_id,
        at,
    )
