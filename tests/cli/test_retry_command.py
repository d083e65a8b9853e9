"""`credsync retry`: from the source as it is now, to where it did not arrive."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from credsync.adapters.sql import SqlOutbox
from credsync.cli.ledgers import destination_name
from tests.cli.ledger_bench import Bench, credsync


def test_retry_sends_from_the_source_as_it_is(bench: Bench) -> None:
    """A retry reads the source anew: what arrives is the grade of today, and its letter goes."""
    letter = next(letter for letter in bench.letters("--kind", "grade")["letters"])
    with closing(sqlite3.connect(bench.campus)) as connection, connection:
        connection.execute(
            "UPDATE grades_persistentcoursegrade SET percent_grade = 0.4242, letter_grade = 'Z'"
            " WHERE user_id = ? AND course_id = ?",
            (letter["user_id"], letter["target"]),
        )
    credsync("retry", bench.campus, "--out", bench.outbox, "--kind", "grade")
    with closing(SqlOutbox(bench.outbox)) as outbox:
        rows = [row for row in outbox.iter_rows() if (row.user_id, row.target) == (letter["user_id"], letter["target"])]
    assert rows[-1].payload["letter_grade"] == "Z"
    assert {letter["kind"] for letter in bench.letters()["letters"]} == {"certificate"}


def test_retry_sends_what_is_asked_for(bench: Bench) -> None:
    """A retry sends the letters that pass the filters, once, and leaves the others."""
    wanted = bench.letters("--user-id", "5")["letters"]
    others = bench.letters("--user-id", "10", "15", "20", "25", "30")
    before = bench.sent()
    result = credsync("retry", bench.campus, "--out", bench.outbox, "--user-id", "5", "--json")
    assert json.loads(result.stdout)["read"] == len(wanted) > 0
    assert sorted(bench.sent()[len(before) :]) == sorted(
        (letter["kind"], letter["user_id"], letter["target"]) for letter in wanted
    )
    assert bench.letters() == others


def test_retry_is_a_run_of_the_ledger(bench: Bench) -> None:
    """A retry has a report like any run, and nothing is left for a second one."""
    credsync("retry", bench.campus, "--out", bench.outbox)
    assert credsync("report", "--ledger", bench.outbox).stdout.startswith("Run 2 (retry), begun ")
    again = credsync("retry", bench.campus, "--out", bench.outbox, "--json")
    assert json.loads(again.stdout)["read"] == 0


def test_retry_keeps_to_the_letters_of_its_outbox(bench: Bench, tmp_path: Path) -> None:
    """Letters of one outbox are not sent to another."""
    result = credsync("retry", bench.campus, "--out", str(tmp_path / "other.db"), "--ledger", bench.outbox, status=2)
    assert result.stderr.startswith("credsync: the ledger has no destination 'sqlite:")


def test_retry_never_writes_to_the_source(bench: Bench) -> None:
    """The source as the ledger is refused before anything is written."""
    before = Path(bench.campus).read_bytes()
    result = credsync("retry", bench.campus, "--out", bench.outbox, "--ledger", bench.campus, status=2)
    assert "--ledger is the source itself" in result.stderr
    assert Path(bench.campus).read_bytes() == before


def test_an_outbox_has_one_name_for_its_ledger() -> None:
    """An outbox has one name, whoever asks, and without a password; beside its ledger, its place is no part of it."""
    url = "postgresql://ops:hunter2@db:5433/outbox?sslpassword=swordfish"
    assert destination_name("outbox.db", "outbox.db") == destination_name("/x/box.db", "/x/box.db") == "outbox"
    assert destination_name("ledger.db", "outbox.db") == f"sqlite:{Path('outbox.db').resolve()}"
    assert destination_name("ledger.db", url) == "postgresql:db:5433:outbox"
