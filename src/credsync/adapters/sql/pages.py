"""A page source over walks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define, field
from sqlalchemy import Connection, Engine, Row

from credsync.adapters.sql.engine import describe
from credsync.adapters.sql.faults import translating
from credsync.adapters.sql.rows import RecordKind
from credsync.adapters.sql.walks import Key, Walk
from credsync.errors import ConfigurationError, SourceError
from credsync.model import Certificate, Grade
from credsync.paging import Cursor, Page

__all__ = ["SqlPages"]

R = TypeVar("R", Certificate, Grade)


@define
class SqlPages(Generic[R]):
    """The rows of some walks as pages of records; no row may be in two of them.

    A cursor names the walk and the key of the last row, so that it is good for going on after a restart, too.

    Attributes:
        engine: The database.
        kind: What the rows become.
        plan: Says which walks there are; asked once, when the first page is.
    """

    engine: Engine
    kind: RecordKind[R]
    plan: Callable[[Connection], Sequence[Walk]]
    _walks: Sequence[Walk] | None = field(default=None, init=False)

    def fetch(self, after: Cursor | None, limit: int) -> Page[R]:
        """Return up to `limit` records behind `after`, with a statement for each walk that has a part in them.

        Raises:
            SourceError: If the database cannot be read, or the cursor is of another selection or other indexes.
        """
        name = describe(self.engine)
        try:
            with translating(name, partial(SourceError, cursor=after)), self.engine.connect() as connection:
                if self._walks is None:
                    self._walks = self.plan(connection)
                found = _read(connection, *_locate(self._walks, after), limit + 1)
        except ConfigurationError as exc:
            raise SourceError(str(exc), after) from exc
        following = _cursor(*found[limit - 1]) if len(found) > limit else None
        return Page(self.kind.records_of(row for _, row in found[:limit]), following)


def _read(connection: Connection, walks: Sequence[Walk], after: Key | None, limit: int) -> list[tuple[Walk, Row[Any]]]:
    """Read rows from the first walk behind a key, and from the others as far as there is room."""
    found: list[tuple[Walk, Row[Any]]] = []
    for walk in walks:
        found += [(walk, row) for row in walk.read(connection, after, limit - len(found))]
        if len(found) == limit:
            break
        after = None
    return found


def _cursor(walk: Walk, row: Row[Any]) -> Cursor:
    return {"walk": walk.name, "after": walk.key_of(row)}


def _locate(walks: Sequence[Walk], cursor: Cursor | None) -> tuple[Sequence[Walk], Key | None]:
    """Return the walks that are still to go, and where to go on in the first of them."""
    if cursor is None:
        return walks, None
    if isinstance(cursor, Mapping):
        for position, walk in enumerate(walks):
            if walk.name == cursor.get("walk"):
                return walks[position:], cursor["after"]
    raise ConfigurationError(
        f"the cursor {cursor!r} is of another selection, or other indexes: start from the beginning"
    )
