"""An Open edX database for tests, on SQLite, PostgreSQL or MariaDB, with the indexes of a stock platform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import frozen
from sqlalchemy import Engine, create_engine, event, inspect, text

from credsync.testing.campus import Campus

TIME = {"sqlite": "datetime", "postgresql": "timestamp with time zone", "mysql": "datetime(6)"}
COUNTED = {
    "sqlite": "integer NOT NULL PRIMARY KEY AUTOINCREMENT",
    "postgresql": "bigint NOT NULL PRIMARY KEY",
    "mysql": "bigint NOT NULL PRIMARY KEY",
}

SESSION = {
    "sqlite": "PRAGMA synchronous = OFF",
    "postgresql": "SET timezone = 'UTC'",  # so that times without a zone are UTC
    "mysql": "SET time_zone = '+00:00'",
}

TABLES = """
CREATE TABLE auth_user (id {counted}, username varchar(150) NOT NULL UNIQUE);
CREATE TABLE certificates_generatedcertificate (
    id {counted}, user_id integer NOT NULL, course_id varchar(255) NOT NULL, mode varchar(32) NOT NULL,
    status varchar(32) NOT NULL, created_date {time} NOT NULL, modified_date {time} NOT NULL,
    verify_uuid varchar(32) NOT NULL, grade varchar(5) NOT NULL
);
CREATE UNIQUE INDEX certificates_user_course ON certificates_generatedcertificate (user_id, course_id);
CREATE INDEX certificates_user ON certificates_generatedcertificate (user_id);
CREATE TABLE certificates_certificatedateoverride (
    id {counted}, generated_certificate_id integer NOT NULL UNIQUE, date {time} NOT NULL, reason text NOT NULL,
    overridden_by_id integer NOT NULL, created {time} NOT NULL, modified {time} NOT NULL
);
CREATE TABLE grades_persistentcoursegrade (
    id {counted}, user_id integer NOT NULL, course_id varchar(255) NOT NULL, percent_grade double precision NOT NULL,
    letter_grade varchar(255) NULL, passed_timestamp {time} NULL, created {time} NOT NULL, modified {time} NOT NULL
);
CREATE UNIQUE INDEX grades_course_user ON grades_persistentcoursegrade (course_id, user_id);
CREATE INDEX grades_user ON grades_persistentcoursegrade (user_id);
CREATE INDEX grades_passed_course ON grades_persistentcoursegrade (passed_timestamp, course_id);
CREATE INDEX grades_modified_course ON grades_persistentcoursegrade (modified, course_id);
CREATE TABLE django_site (id {counted}, domain varchar(100) NOT NULL UNIQUE);
CREATE TABLE site_configuration_siteconfiguration (
    id {counted}, site_id integer NOT NULL UNIQUE, enabled boolean NOT NULL, site_values text NULL
)
"""

CERTIFICATE_INDEX = "CREATE INDEX certificates_modified ON certificates_generatedcertificate (modified_date)"
"""The index that a stock database lacks."""

COLUMNS = {
    "auth_user": 2,
    "certificates_generatedcertificate": 9,
    "certificates_certificatedateoverride": 7,
    "grades_persistentcoursegrade": 8,
    "django_site": 2,
    "site_configuration_siteconfiguration": 4,
}

RUN = "course-v1:TestX+Intro+2024"
OTHER_RUN = "course-v1:OtherX+Intro+2024"
BASE = "2024-03-01 12:00:00"


@frozen
class EdxDatabase:
    """A database with the tables of a platform, for a test to fill. Times are text, as Django has them in SQLite."""

    url: str
    engine: Engine

    @classmethod
    def create(cls, url: str, *, tables: str = TABLES) -> EdxDatabase:
        """Make the tables in an empty database."""
        engine = create_engine(url)
        dialect = engine.dialect.name
        event.listen(engine, "connect", lambda connection, _: connection.cursor().execute(SESSION[dialect]))
        with engine.begin() as connection:
            for statement in tables.split(";"):
                connection.execute(text(statement.format(time=TIME[dialect], counted=COUNTED[dialect])))
        return cls(url, engine)

    @property
    def dialect(self) -> str:
        """What kind of database it is."""
        return self.engine.dialect.name

    def execute(self, statement: str, **parameters: object) -> None:
        """Run one statement and commit."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)

    def clear(self) -> None:
        """Take out all rows, and the index that a test may have added."""
        with self.engine.begin() as connection:
            for table in COLUMNS:
                connection.execute(text(f"DELETE FROM {table}"))
            indexes = inspect(connection).get_indexes("certificates_generatedcertificate")
            if "certificates_modified" in {index["name"] for index in indexes}:
                table = " ON certificates_generatedcertificate" if self.dialect == "mysql" else ""
                connection.execute(text(f"DROP INDEX certificates_modified{table}"))

    def insert(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        """Insert whole rows."""
        names = [f"c{position}" for position in range(COLUMNS[table])]
        values = ", ".join(f":{name}" for name in names)
        parameters = [dict(zip(names, row, strict=True)) for row in rows]
        if parameters:
            with self.engine.begin() as connection:
                connection.execute(text(f"INSERT INTO {table} VALUES ({values})"), parameters)

    def add_learner(self, id: int, username: str | None = None) -> None:  # noqa: A002  # the column's name
        """Add a learner."""
        self.insert("auth_user", [(id, username or f"learner_{id}")])

    def add_certificate(
        self,
        id: int,  # noqa: A002  # the column's name
        user_id: int,
        course_id: str = RUN,
        mode: str = "verified",
        status: str = "downloadable",
        modified: str = BASE,
    ) -> None:
        """Add a certificate."""
        row = (id, user_id, course_id, mode, status, BASE, modified, f"{id:032x}", "0.9")
        self.insert("certificates_generatedcertificate", [row])

    def add_override(self, id: int, certificate_id: int, date: str = BASE, modified: str = BASE) -> None:  # noqa: A002
        """Add a date override."""
        self.insert("certificates_certificatedateoverride", [(id, certificate_id, date, "", 1, BASE, modified)])

    def add_grade(
        self,
        id: int,  # noqa: A002  # the column's name
        user_id: int,
        course_id: str = RUN,
        percent: object = 0.9,
        letter: str | None = "A",
        modified: str = BASE,
    ) -> None:
        """Add a grade."""
        self.insert("grades_persistentcoursegrade", [(id, user_id, course_id, percent, letter, None, BASE, modified)])

    def add_site(self, id: int, domain: str, values: str | None, *, enabled: bool = True) -> None:  # noqa: A002
        """Add a site with its configuration."""
        self.insert("django_site", [(id, domain)])
        self.insert("site_configuration_siteconfiguration", [(id, id, enabled, values)])

    def add_campus(self, campus: Campus) -> None:
        """Add a whole campus."""
        self.insert("auth_user", campus.iter_learners())
        self.insert("certificates_generatedcertificate", campus.iter_certificates())
        self.insert("certificates_certificatedateoverride", campus.iter_date_overrides())
        self.insert("grades_persistentcoursegrade", campus.iter_grades())
        self.insert("django_site", campus.sites())
        self.insert("site_configuration_siteconfiguration", campus.site_configurations())


@frozen
class Statement:
    """A statement as the driver got it."""

    text: str
    parameters: Any


@contextmanager
def recorded(engine: Engine) -> Iterator[list[Statement]]:
    """Record the statements that an engine runs."""
    statements: list[Statement] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        statements.append(Statement(statement, parameters))

    event.listen(engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", record)


def explain(engine: Engine, statement: Statement) -> list[str]:
    """Ask how the database runs a statement, in a session like the one that ran it."""
    prefix = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{prefix} {statement.text}", statement.parameters).all()
    return [" ".join(str(value) for value in row) for row in rows]
