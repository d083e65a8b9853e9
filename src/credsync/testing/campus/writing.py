"""The campus as a SQLite file with the tables of an Open edX database, and its catalog as JSON beside it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from credsync.testing.campus.learning import Campus, Enrolment, certificate_row, date_override_row, grade_row

__all__ = ["SampleSummary", "catalog_path", "write_sample"]

# As Django makes them on SQLite, but for the columns that credsync has no use for, and for letter_grade, which a stock
# table does not let be NULL: hosts have it so, and the rules know of it.
TABLES = """
CREATE TABLE auth_user (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    username varchar(150) NOT NULL UNIQUE
);
CREATE TABLE certificates_generatedcertificate (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id integer NOT NULL REFERENCES auth_user (id) DEFERRABLE INITIALLY DEFERRED,
    course_id varchar(255) NOT NULL,
    mode varchar(32) NOT NULL,
    status varchar(32) NOT NULL,
    created_date datetime NOT NULL,
    modified_date datetime NOT NULL,
    verify_uuid varchar(32) NOT NULL,
    grade varchar(5) NOT NULL
);
CREATE TABLE certificates_certificatedateoverride (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    generated_certificate_id integer NOT NULL UNIQUE
        REFERENCES certificates_generatedcertificate (id) DEFERRABLE INITIALLY DEFERRED,
    date datetime NOT NULL,
    reason text NOT NULL,
    overridden_by_id integer NOT NULL REFERENCES auth_user (id) DEFERRABLE INITIALLY DEFERRED,
    created datetime NOT NULL,
    modified datetime NOT NULL
);
CREATE TABLE grades_persistentcoursegrade (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id integer NOT NULL,
    course_id varchar(255) NOT NULL,
    percent_grade real NOT NULL,
    letter_grade varchar(255) NULL,
    passed_timestamp datetime NULL,
    created datetime NOT NULL,
    modified datetime NOT NULL
);
CREATE TABLE django_site (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    domain varchar(100) NOT NULL UNIQUE
);
CREATE TABLE site_configuration_siteconfiguration (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    site_id integer NOT NULL UNIQUE REFERENCES django_site (id) DEFERRABLE INITIALLY DEFERRED,
    enabled bool NOT NULL,
    site_values text NOT NULL
);
"""

# Made after the rows are in, which is several times faster. There is none on modified_date: a stock database has none.
INDEXES = """
CREATE UNIQUE INDEX certificates_generatedcertificate_user_id_course_id_uniq
    ON certificates_generatedcertificate (user_id, course_id);
CREATE INDEX certificates_generatedcertificate_user_id ON certificates_generatedcertificate (user_id);
CREATE INDEX certificates_generatedcertificate_verify_uuid ON certificates_generatedcertificate (verify_uuid);
CREATE INDEX certificates_certificatedateoverride_overridden_by_id
    ON certificates_certificatedateoverride (overridden_by_id);
CREATE UNIQUE INDEX grades_persistentcoursegrade_course_id_user_id_uniq
    ON grades_persistentcoursegrade (course_id, user_id);
CREATE INDEX grades_persistentcoursegrade_user_id ON grades_persistentcoursegrade (user_id);
CREATE INDEX grades_persistentcoursegrade_passed_timestamp_course_id
    ON grades_persistentcoursegrade (passed_timestamp, course_id);
CREATE INDEX grades_persistentcoursegrade_modified_course_id ON grades_persistentcoursegrade (modified, course_id);
"""

BLOCK = 2_000
"""Enrolments held in memory at a time."""

LEFTOVERS = ("-journal", "-wal", "-shm")
"""What SQLite may keep beside a database; beside a new one it would be taken for that one's, and spoil it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSummary:
    """What was written, and where."""

    database: Path
    catalog: Path
    learners: int
    certificates: int
    date_overrides: int
    grades: int
    programs: int


def catalog_path(path: str | PathLike[str]) -> Path:
    """Say where the catalog of a sample goes.

    Example:
        >>> catalog_path("campus.db").name
        'campus.catalog.json'
    """
    return Path(path).with_suffix(".catalog.json")


def write_sample(
    path: str | PathLike[str],
    campus: Campus,
    *,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> SampleSummary:
    """Write a campus as a SQLite database and its catalog, which comes to lie beside it.

    Both appear when they are complete: until then they are in a directory of their own, beside PATH, which goes again
    whatever happens but a kill. Memory is a block of rows, however many there are.

    Args:
        path: The database file to make; its directory exists.
        campus: What goes in.
        overwrite: Whether files that are there already may be replaced.
        on_progress: Called with the user ids done and the user ids in all, after every few thousand rows.

    Returns:
        The paths and the number of rows by table.

    Raises:
        FileExistsError: If the database or the catalog is there already and may not be replaced.
        FileNotFoundError: If the directory is not there.
        OSError: If the directory cannot be written to.
        sqlite3.Error: If SQLite cannot go on: the disk is full, say.
    """
    database, catalog = Path(path), catalog_path(path)
    _refuse_unfit_paths(database, catalog, overwrite=overwrite)
    programs = campus.catalog()
    with TemporaryDirectory(prefix=f".{database.name}.", dir=database.parent) as workshop:
        new_database, new_catalog = Path(workshop, "database"), Path(workshop, "catalog")
        new_catalog.write_text(json.dumps(programs, indent=1) + "\n", encoding="utf-8")
        counts = _write_database(new_database, campus, on_progress or _nobody_watches)
        for leftover in LEFTOVERS:
            database.with_name(database.name + leftover).unlink(missing_ok=True)
        # The database last: where it is, the sample is whole.
        new_catalog.replace(catalog)
        new_database.replace(database)
    return SampleSummary(database=database, catalog=catalog, programs=len(programs), **counts)


def _refuse_unfit_paths(database: Path, catalog: Path, *, overwrite: bool) -> None:
    """Refuse before the work rather than after it."""
    if not database.parent.is_dir():
        raise FileNotFoundError(f"{database.parent} is not a directory")
    for path in (database, catalog):
        if path.is_dir():
            raise FileExistsError(f"{path} is a directory")
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists already")


def _nobody_watches(_done: int, _all: int) -> None:
    """Stand in for a caller who does not ask for progress."""


def _write_database(path: Path, campus: Campus, on_progress: Callable[[int, int], None]) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        # Nothing to roll back to: a file that is not finished is thrown away.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.executescript(TABLES)
        counts = _insert_rows(connection, campus, on_progress)
        connection.executescript(INDEXES)
        connection.commit()
    return counts


def _insert_rows(
    connection: sqlite3.Connection, campus: Campus, on_progress: Callable[[int, int], None]
) -> dict[str, int]:
    _insert(connection, "django_site", 2, campus.sites())
    _insert(connection, "site_configuration_siteconfiguration", 4, campus.site_configurations())
    counts = {"learners": _insert(connection, "auth_user", 2, campus.iter_learners())}
    counts |= {"certificates": 0, "date_overrides": 0, "grades": 0}
    for block in _iter_blocks(campus.iter_enrolments()):
        certificates = filter(None, map(certificate_row, block))
        counts["certificates"] += _insert(connection, "certificates_generatedcertificate", 9, certificates)
        date_overrides = filter(None, map(date_override_row, block))
        counts["date_overrides"] += _insert(connection, "certificates_certificatedateoverride", 7, date_overrides)
        counts["grades"] += _insert(connection, "grades_persistentcoursegrade", 8, map(grade_row, block))
        on_progress(block[-1].user_id, campus.last_user_id)
    return counts


def _iter_blocks(enrolments: Iterator[Enrolment]) -> Iterator[list[Enrolment]]:
    while block := list(islice(enrolments, BLOCK)):
        yield block


def _insert(connection: sqlite3.Connection, table: str, columns: int, rows: Iterable[tuple[Any, ...]]) -> int:
    """Insert rows into all columns of a table and count them."""
    marks = ", ".join("?" * columns)
    return connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows).rowcount
