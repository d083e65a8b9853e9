"""An Open edX database as a source: records by the page, and the look-ups beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, TableClause, select

from credsync.adapters.sql.conditions import MOST_PARAMETERS, is_one_of
from credsync.adapters.sql.counting import count_records
from credsync.adapters.sql.engine import Database, close, describe, open_source
from credsync.adapters.sql.faults import translating
from credsync.adapters.sql.layout import Layout, look_at
from credsync.adapters.sql.pages import SqlPages
from credsync.adapters.sql.routes import CERTIFICATE_ROWS, certificate_walks, grade_walks, is_certified
from credsync.adapters.sql.rows import CERTIFICATES, GRADES
from credsync.adapters.sql.tables import LEARNING_TABLES, certificates, date_overrides, grades, users
from credsync.adapters.sql.walks import Walk
from credsync.errors import ConfigurationError, SourceError
from credsync.model import Certificate, Grade, Learner
from credsync.ports import RecordKey
from credsync.selection import Selection

__all__ = ["SqlSource"]

LEARNERS = select(*users.c).where(is_one_of(users.c.id))
CERTIFICATES_OF_LEARNERS = CERTIFICATE_ROWS.where(is_one_of(certificates.c.user_id))
GRADES_OF_LEARNERS = select(*GRADES.columns).where(is_one_of(grades.c.user_id))
"""All rows of some learners: more than are looked for, but few.

With the course runs as a condition, too, planners go by an index on these, to everybody's rows in them.
"""

MODIFIED = {certificates.name: "modified_date", grades.name: "modified"}
"""The columns that say when a row last changed, by table."""


class SqlSource:
    """The certificates, grades and learners of an Open edX database: `RecordSource` and all three look-ups.

    Reads the tables of a stock platform (`certificates_generatedcertificate`, `grades_persistentcoursegrade` and what
    goes with them), on SQLite, PostgreSQL, MySQL or MariaDB, and never writes; a read replica will do. Each page is as
    the database is then, and costs the same however deep it lies.

    Args:
        database: A path, which means a SQLite file; a SQLAlchemy URL; or an engine, which the caller keeps and closes.

    Attributes:
        engine: The database, as it was opened.

    Raises:
        ConfigurationError: If there is no such file, the URL makes no sense, or its driver is not installed.
    """

    def __init__(self, database: Database) -> None:
        self.engine: Engine = open_source(database)
        self._name = describe(self.engine)
        self._database = database
        self._layouts: dict[str, Layout] = {}

    def check(self) -> None:
        """Make sure that the database has what a run reads. Without it, the first page finds out.

        Raises:
            ConfigurationError: If it is no database, or lacks a table, a column or a permission.
            SourceError: If it cannot be read now.
        """
        with translating(self._name, SourceError, lasting=ConfigurationError), self.engine.connect() as connection:
            for table in LEARNING_TABLES:
                self._layout(connection, table)
                connection.execute(select(*table.c).limit(0))

    def close(self) -> None:
        """Close all connections; the source may be used again. A caller's own engine stays as it is."""
        close(self.engine, self._database)

    def certificates(self, selection: Selection) -> SqlPages[Certificate]:
        """Return the selected certificates, and those whose date override changed in the window; reads nothing yet."""

        def plan(connection: Connection) -> Sequence[Walk]:
            layout = self._layout(connection, certificates)
            overrides = self._layout(connection, date_overrides)
            return certificate_walks(selection, layout, overrides, connection.dialect.name)

        return SqlPages(self.engine, CERTIFICATES, plan if _selects_any(selection) else _nowhere)

    def grades(self, selection: Selection) -> SqlPages[Grade]:
        """Return the selected grades, and those whose certificate changed in the window; reads nothing yet."""

        def plan(connection: Connection) -> Sequence[Walk]:
            layout, certified = self._layout(connection, grades), self._layout(connection, certificates)
            return grade_walks(selection, layout, certified, connection.dialect.name)

        return SqlPages(self.engine, GRADES, plan if _selects_any(selection) else _nowhere)

    def time_indexes(self) -> Mapping[str, str | None]:
        """Name the index along which everybody's records are walked in order of time, by table; None has none.

        Raises:
            ConfigurationError: If a table is not what it should be.
            SourceError: If the database cannot be read now.
        """
        with translating(self._name, SourceError, lasting=ConfigurationError), self.engine.connect() as connection:
            found = {table.name: self._layout(connection, table).time_index for table in (certificates, grades)}
        return {name: None if index is None else index.name for name, index in found.items()}

    def count(self, selection: Selection, at_most: int = 1_000_000) -> Mapping[str, int]:
        """Count the selected records by kind, as far as `at_most`: more than that are not told apart.

        It is a scan of an index, or of the table where none has the window, so it is for once a run.

        Raises:
            SourceError: If they cannot be counted.
        """
        if not _selects_any(selection):
            return {"certificate": 0, "grade": 0}
        with translating(self._name, SourceError), self.engine.connect() as connection:
            join = is_certified(self._layout(connection, grades), self._layout(connection, certificates))
            return count_records(connection, selection, at_most, join)

    def find_learners(self, user_ids: Collection[int]) -> Mapping[int, Learner]:
        """Return the learners by id; one that is not visible is absent.

        Raises:
            SourceError: If the learners cannot be read.
        """
        return {row[0]: Learner(id=row[0], username=row[1]) for row in self._read(LEARNERS, user_ids)}

    def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Certificate]:
        """Return the certificates by key; one that is not visible is absent.

        Raises:
            SourceError: If the certificates cannot be read.
        """
        return CERTIFICATES.by_key(self._read(CERTIFICATES_OF_LEARNERS, {user_id for user_id, _ in keys}), keys)

    def find_grades(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Grade]:
        """Return the grades by key; one that is not visible is absent.

        Raises:
            SourceError: If the grades cannot be read.
        """
        return GRADES.by_key(self._read(GRADES_OF_LEARNERS, {user_id for user_id, _ in keys}), keys)

    def _read(self, rows: Select[Any], user_ids: Collection[int]) -> Sequence[Any]:
        """Read the rows of some learners with one statement, unless they are more than it takes parameters."""
        if not user_ids:
            return []
        ordered = sorted(user_ids)
        parts = [ordered[start : start + MOST_PARAMETERS] for start in range(0, len(ordered), MOST_PARAMETERS)]
        with translating(self._name, SourceError), self.engine.connect() as connection:
            return [row for part in parts for row in connection.execute(rows, {"user_ids": part}).all()]

    def _layout(self, connection: Connection, table: TableClause) -> Layout:
        """Look at a table, once."""
        layout = self._layouts.get(table.name)
        if layout is None:
            layout = self._layouts[table.name] = look_at(connection, self._name, table, MODIFIED.get(table.name))
        return layout


def _selects_any(selection: Selection) -> bool:
    return all(chosen is None or chosen for chosen in (selection.course_runs, selection.user_ids, selection.orgs))


def _nowhere(_connection: Connection) -> Sequence[Walk]:
    """Plan the walk through nothing."""
    return []
