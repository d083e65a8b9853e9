"""Rows that change, come and go all through a run: one more run, and the outbox holds the source's truth."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from attrs import define, field
from sqlalchemy import Connection, Engine, create_engine, text

from credsync.adapters.sql import OutboxRow, SqlOutbox
from credsync.testing.campus import Campus, catalog_path, write_sample
from tests.adapters.edx_database import EdxDatabase

NEW_IDS = 10_000_000
"""Where the ids of new rows begin."""

Key: TypeAlias = tuple[str, int, str]
Execute: TypeAlias = Callable[..., None]
"""Runs one statement with its parameters."""


@define
class Mover:
    """Changes a platform's rows, a few in each transaction, as its learners and teachers do.

    Attributes:
        engine: The platform's database.
        changed: Changes so far.
        invisible: Learners who have certificates and grades already, and no row yet.
    """

    engine: Engine
    chance: random.Random = field(factory=lambda: random.Random(7))
    changed: int = 0
    invisible: list[int] = field(factory=list)
    ids: dict[str, int] = field(factory=dict)
    runs: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        """Look around."""
        with self.engine.connect() as connection:
            for table in (CERTIFICATES, GRADES, OVERRIDES):
                self.ids[table] = connection.execute(text(f"SELECT max(id) FROM {table}")).scalar_one()
            self.runs = list(connection.execute(text(f"SELECT DISTINCT course_id FROM {CERTIFICATES}")).scalars())

    def move(self) -> None:
        """Change some rows in one transaction; the learners of the transaction before become visible."""
        acts = [self._grade, self._grade, self._pass_or_fail, self._date, self._drop_grade, self._drop_certificate]
        with self.engine.begin() as connection:
            execute = self._executing(connection)
            self._appear(execute)
            for _ in range(8):
                self.chance.choice(acts)(execute)
            self._arrive(execute)

    def settle(self) -> None:
        """Let the last learners become visible."""
        with self.engine.begin() as connection:
            self._appear(self._executing(connection))

    def _executing(self, connection: Connection) -> Execute:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

        def execute(statement: str, **parameters: object) -> None:
            connection.execute(text(statement), {"now": now, **parameters})
            self.changed += 1

        return execute

    def _appear(self, execute: Execute) -> None:
        for user_id in self.invisible:
            execute("INSERT INTO auth_user VALUES (:id, :name)", id=user_id, name=f"late_learner_{user_id}")
        self.invisible.clear()

    def _any(self, table: str) -> int:
        return self.chance.randint(1, self.ids[table])

    def _grade(self, execute: Execute) -> None:
        execute(
            f"UPDATE {GRADES} SET percent_grade = :percent, letter_grade = :letter, modified = :now WHERE id = :id",
            percent=self.chance.randint(0, 100) / 100,
            letter=self.chance.choice(["A", "B", "", None]),
            id=self._any(GRADES),
        )

    def _pass_or_fail(self, execute: Execute) -> None:
        execute(
            f"UPDATE {CERTIFICATES} SET modified_date = :now, status = :status WHERE id = :id",
            status=self.chance.choice([*INTERESTING, "unavailable", "generating"]),
            id=self._any(CERTIFICATES),
        )

    def _date(self, execute: Execute) -> None:
        date = f"2024-03-{self.chance.randint(1, 28):02} 00:00:00"
        execute(
            f"UPDATE {OVERRIDES} SET date = :date, modified = :now WHERE id = :id", date=date, id=self._any(OVERRIDES)
        )

    def _drop_grade(self, execute: Execute) -> None:
        execute(f"DELETE FROM {GRADES} WHERE id = :id", id=self._any(GRADES))

    def _drop_certificate(self, execute: Execute) -> None:
        gone = self._any(CERTIFICATES)
        execute(f"DELETE FROM {OVERRIDES} WHERE generated_certificate_id = :id", id=gone)
        execute(f"DELETE FROM {CERTIFICATES} WHERE id = :id", id=gone)

    def _arrive(self, execute: Execute) -> None:
        """Let a learner's certificate and grade be visible before the learner is."""
        new = NEW_IDS + self.changed
        run = self.chance.choice(self.runs)
        execute(
            f"INSERT INTO {CERTIFICATES} VALUES (:id, :id, :run, 'verified', 'downloadable', :now, :now, :uuid, '')",
            id=new,
            run=run,
            uuid=f"{new:032x}",
        )
        execute(f"INSERT INTO {GRADES} VALUES (:id, :id, :run, 0.9, 'A', NULL, :now, :now)", id=new, run=run)
        self.invisible.append(new)


INTERESTING = ("downloadable", "notpassing")
"""The statuses of certificates whose grades are wanted."""

CERTIFICATES = "certificates_generatedcertificate"
OVERRIDES = "certificates_certificatedateoverride"
GRADES = "grades_persistentcoursegrade"


def notify(source: str, catalog: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start the command."""
    command = [
        sys.executable,
        "-m",
        "credsync",
        "notify",
        source,
        "--catalog",
        str(catalog),
        "--out",
        str(out),
        "--quiet",
    ]
    return subprocess.Popen([*command, *options])


def run_while_rows_move(source: str, catalog: Path, out: Path, page_size: int) -> Mover:
    """Run over everything while rows move, then once more over what may have changed meanwhile."""
    options = ["--auto", "--since", "2000-01-01", "--lag", "60", "--page-size", str(page_size)]
    engine = create_engine(source)
    mover = Mover(engine)
    with notify(source, catalog, out, *options) as process:
        while process.poll() is None:
            mover.move()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
    assert process.returncode == 0
    mover.settle()
    engine.dispose()
    with notify(source, catalog, out, *options) as process:
        pass
    assert process.returncode == 0
    return mover


def rows_of(out: Path) -> Iterator[tuple[Key, OutboxRow]]:
    """Read an outbox, in the order of its rows."""
    with closing(SqlOutbox(out)) as outbox:
        for row in outbox.iter_rows():
            yield (row.kind, row.user_id, row.target), row


def check(source: str, catalog: Path, out: Path) -> None:
    """Hold the outbox against what an outbox would get that knows nothing but the source as it is now."""
    truth = out.with_name("truth.db")
    with notify(source, catalog, truth, "--all", "--no-ledger", "--page-size", "1000") as process:
        pass
    assert process.returncode == 0
    held: dict[Key, OutboxRow] = {}
    for key, row in rows_of(out):
        before = held.get(key)
        assert before is None or not (before.source_time and row.source_time) or before.source_time <= row.source_time
        held[key] = row
    expected = dict(rows_of(truth))
    assert {key for key, row in expected.items() if key not in held or held[key].payload != row.payload} == set()
    wanted = wanted_now(source)
    assert {key for key in held.keys() - expected.keys() if key[1:] in wanted[key[0]]} == set(), "never said"


def wanted_now(source: str) -> dict[str, set[tuple[int, str]]]:
    """Say whose certificates and grades are there, and of interest; an outbox still has what was so once."""
    engine = create_engine(source)
    with engine.connect() as connection:
        certificates = connection.execute(text(f"SELECT user_id, course_id, status FROM {CERTIFICATES}")).all()
        grades = {(row[0], row[1]) for row in connection.execute(text(f"SELECT user_id, course_id FROM {GRADES}"))}
    engine.dispose()
    interesting = {(row[0], row[1]) for row in certificates if row[2] in INTERESTING}
    return {"certificate": {(row[0], row[1]) for row in certificates}, "grade": interesting & grades}


def test_a_hundred_thousand_rows_on_sqlite(tmp_path: Path) -> None:
    """Rows that move all through a run of 100,000 records are neither lost nor sent stale."""
    campus, out = tmp_path / "campus.db", tmp_path / "out.db"
    summary = write_sample(campus, Campus(learners=25_500))
    assert summary.certificates + summary.grades >= 100_000
    source = f"sqlite:///{campus}"
    engine = create_engine(source)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")  # as a database that is read while it is written
    engine.dispose()
    mover = run_while_rows_move(source, catalog_path(campus), out, page_size=500)
    assert mover.changed > 500
    check(source, catalog_path(campus), out)


@pytest.mark.parametrize("server", ["postgresql_url", "mysql_url"])
def test_some_thousand_rows_on_servers(request: pytest.FixtureRequest, tmp_path: Path, server: str) -> None:
    """The same on PostgreSQL and MariaDB."""
    url: str = request.getfixturevalue(server)
    campus = Campus(learners=500)
    write_sample(tmp_path / "campus.db", campus)
    catalog = catalog_path(tmp_path / "campus.db")
    database = EdxDatabase.create(url)
    database.add_campus(campus)
    mover = run_while_rows_move(url, catalog, tmp_path / "out.db", page_size=20)
    assert mover.changed > 200
    check(url, catalog, tmp_path / "out.db")
    database.engine.dispose()
