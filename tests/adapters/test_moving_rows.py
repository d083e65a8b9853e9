"""Rows that change while a run goes on: one more run brings the outbox to the truth, and nothing stale on the way."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from credsync import Host, Program, ProgramIndex, Report, RunOptions, Selection, notify
from credsync.adapters.sql import SqlOutbox, SqlSource
from credsync.adapters.sql.ledger import SqlLedger
from credsync.testing.campus import Campus, catalog_path, write_sample

RECORDS = 100_000

LAG = timedelta(minutes=5)

MOVER = """
import random, sqlite3, sys, time
from datetime import UTC, datetime
chance = random.Random(2024)
database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
def now(): return datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
grades = [row[0] for row in database.execute("SELECT id FROM grades_persistentcoursegrade")]
certs = [row[0] for row in database.execute("SELECT id FROM certificates_generatedcertificate")]
moved = 0
print("moving", flush=True)
while True:
    database.execute("BEGIN IMMEDIATE")
    for _ in range(20):
        one, kind = chance.choice(grades), chance.random()
        if kind < 0.5:
            percent = chance.randrange(10_000) / 10_000
            database.execute("UPDATE grades_persistentcoursegrade SET percent_grade = ?, letter_grade = 'C',"
                             " modified = ? WHERE id = ?", (percent, now(), one))
        elif kind < 0.8:
            database.execute("UPDATE certificates_generatedcertificate SET status = ?, modified_date = ?"
                             " WHERE id = ? AND status IN ('downloadable', 'notpassing')",
                             (chance.choice(["downloadable", "notpassing"]), now(), chance.choice(certs)))
        elif kind < 0.9:
            database.execute("DELETE FROM grades_persistentcoursegrade WHERE id = ?", (one,))
        else:
            database.execute("INSERT OR IGNORE INTO grades_persistentcoursegrade"
                             " (user_id, course_id, percent_grade, letter_grade, created, modified)"
                             " SELECT c.user_id, c.course_id, 0.75, 'B', ?, ?"
                             " FROM certificates_generatedcertificate c WHERE c.id = ?",
                             (now(), now(), chance.choice(certs)))
        moved += 1
    database.execute("COMMIT")
    print(moved, flush=True)
    time.sleep(0.02)
"""


def test_moving_rows_are_neither_lost_nor_sent_stale(tmp_path: Path) -> None:
    """Whatever another process changes, inserts and deletes meanwhile, the next run has the outbox tell the truth.

    Certificates only move between statuses whose grades are wanted: one that moves into them from outside brings the
    certificate into the window, not the grade beside it.
    """
    campus, out = tmp_path / "campus.db", tmp_path / "outbox.db"
    write_sample(campus, Campus(learners=round(RECORDS / 3.96)))
    with closing(sqlite3.connect(campus)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    begun = datetime.now(UTC)
    with moving(campus) as moved:
        first = run(campus, out, Selection())
    assert first.status == "complete"
    assert moved() > 1_000
    second = run(campus, out, Selection(start=begun - LAG))
    assert second.status == "complete"
    holds, wanted = held(out), truth(campus, tmp_path / "truth.db")
    assert {key: holds.get(key) for key in wanted} == wanted
    assert not {key for key in holds.keys() - wanted.keys() if is_there(campus, key)}  # nobody is told of deleted rows
    assert second.total("sent") > 0
    assert not list(iter_stale(out))


@contextmanager
def moving(campus: Path) -> Iterator[Moved]:
    """Change rows from another process as long as the block lasts."""
    process = subprocess.Popen([sys.executable, "-c", MOVER, str(campus)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    moved = Moved()
    try:
        process.stdout.readline()
        yield moved
    finally:
        process.kill()
        moved.lines = process.communicate()[0].split()


class Moved:
    """How many rows have been moved; known when the mover has ended."""

    lines: list[str]

    def __call__(self) -> int:
        """Return the number."""
        return int(self.lines[-1])


def run(campus: Path, out: Path, selection: Selection) -> Report:
    """Bring a selection to an outbox, with its ledger."""
    programs = [Program.from_dict(program) for program in json.loads(catalog_path(campus).read_text("utf-8"))]
    with (
        closing(SqlSource(campus)) as source,
        closing(SqlOutbox(out)) as outbox,
        closing(SqlLedger(str(out))) as ledger,
    ):
        host = Host(
            catalog=ProgramIndex(programs),
            sink=outbox,
            learners=source,
            certificates=source,
            grades=source,
            ledger=ledger,
        )
        return notify(source, selection, host=host, options=RunOptions(force=False))


def truth(campus: Path, out: Path) -> dict[tuple[str, int, str], str]:
    """Return what an undisturbed run, without a past, says of the source as it is now."""
    report = run(campus, out, Selection())
    assert report.unaccounted == 0
    return held(out)


def held(out: Path) -> dict[tuple[str, int, str], str]:
    """Return the last payload for each key."""
    with closing(sqlite3.connect(out)) as database:
        rows = database.execute("SELECT kind, user_id, target, payload FROM credsync_outbox ORDER BY id")
        return {(kind, user_id, target): payload for kind, user_id, target, payload in rows}


def is_there(campus: Path, key: tuple[str, int, str]) -> bool:
    """Whether the record of a key is still in the source."""
    kind, user_id, course_id = key
    table = {"certificate": "certificates_generatedcertificate", "grade": "grades_persistentcoursegrade"}[kind]
    with closing(sqlite3.connect(campus)) as database:
        rows = database.execute(f"SELECT 1 FROM {table} WHERE user_id = ? AND course_id = ?", (user_id, course_id))
        return rows.fetchone() is not None


def iter_stale(out: Path) -> Iterator[tuple[str, int, str]]:
    """Yield each key for which something older followed something newer."""
    newest: dict[tuple[str, int, str], str] = {}
    with closing(sqlite3.connect(out)) as database:
        for *key, time in database.execute(
            "SELECT kind, user_id, target, source_time FROM credsync_outbox ORDER BY id"
        ):
            kind, user_id, target = key
            if time < newest.get((kind, user_id, target), ""):
                yield kind, user_id, target
            newest[kind, user_id, target] = time
