"""`credsync letters` and `credsync forget`, on the ledger of a run that was refused something."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from credsync.adapters.sql import SqlLedger
from tests.cli.ledger_bench import REASON, Bench, credsync


def first_letter(bench: Bench) -> list[str]:
    """Return the options that name the first letter, which is a certificate's."""
    letter = bench.letters("--limit", "1")["letters"][0]
    return ["--kind", letter["kind"], "--user-id", str(letter["user_id"]), "--course-run", letter["target"]]


def test_letters_are_what_was_rejected(finished: Bench) -> None:
    """Each rejected update is a letter, with its reason, status, time and number of tries."""
    document = finished.letters()
    assert document["total"] == len(document["letters"]) > 5
    assert {letter["user_id"] % 5 for letter in document["letters"]} == {0}
    assert {(letter["reason"], letter["status"], letter["tries"]) for letter in document["letters"]} == {
        (REASON, 400, 1)
    }
    assert all(datetime.fromisoformat(letter["since"]).tzinfo for letter in document["letters"])


def test_letters_on_the_screen(finished: Bench) -> None:
    """On the screen each letter is a line, and where not all are shown, that is said."""
    total = finished.letters()["total"]
    lines = credsync("letters", "--ledger", finished.outbox).stdout.splitlines()
    assert len(lines) == total + 3
    assert lines[-1] == f"{total} letters."
    cut = credsync("letters", "--ledger", finished.outbox, "--limit", "2").stdout.splitlines()
    assert [line.split() for line in cut[:3]] == [line.split() for line in lines[:3]]
    assert cut[-1] == f"These are the first 2 of {total} letters; --limit shows more."


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        (["--kind", "grade"], lambda letter: letter["kind"] == "grade"),
        (["--user-id", "5", "10"], lambda letter: letter["user_id"] in (5, 10)),
        (
            ["--user-id", "5", "--kind", "certificate"],
            lambda letter: (letter["user_id"], letter["kind"]) == (5, "certificate"),
        ),
        (["--reason", "NO SUCH"], lambda letter: True),
        (["--reason", "something else"], lambda letter: False),
        (["--state", "deferred"], lambda letter: False),
        (["--program", "6883080f-0000-4000-8000-000000000001"], lambda letter: False),
    ],
)
def test_letters_can_be_filtered(finished: Bench, options: list[str], passes: Any) -> None:
    """A filter leaves the letters that meet it, and no others."""
    everything = finished.letters()["letters"]
    assert finished.letters(*options)["letters"] == [letter for letter in everything if passes(letter)]


def test_letters_of_a_course_run(finished: Bench) -> None:
    """Letters can be had of one course run."""
    everything = finished.letters()["letters"]
    target = everything[0]["target"]
    found = finished.letters("--course-run", target)["letters"]
    assert found == [letter for letter in everything if letter["target"] == target]


def test_letters_that_wait(bench: Bench) -> None:
    """What is deferred is no dead letter, and can be asked for."""
    with closing(sqlite3.connect(bench.outbox)) as connection, connection:
        connection.execute("UPDATE credsync_entries SET state = 'deferred' WHERE state = 'dead' AND kind = 'grade'")
    assert {letter["kind"] for letter in bench.letters()["letters"]} == {"certificate"}
    assert {letter["kind"] for letter in bench.letters("--state", "deferred")["letters"]} == {"grade"}
    assert {letter["state"] for letter in bench.letters("--state", "any")["letters"]} == {"dead", "deferred"}


def test_letters_of_one_destination(bench: Bench) -> None:
    """Where a ledger has several destinations, letters are those of all, or of the one that is named."""
    with closing(SqlLedger(bench.outbox, "elsewhere")):
        pass
    assert bench.letters("--destination", "outbox") == bench.letters()
    assert bench.letters("--destination", "elsewhere")["total"] == 0
    result = credsync("letters", "--ledger", bench.outbox, "--destination", "nowhere", status=2)
    assert result.stderr == "credsync: the ledger has no destination 'nowhere'; it has 'outbox', 'elsewhere'\n"


def test_the_ledger_may_be_named_by_the_environment(finished: Bench) -> None:
    """Without --ledger, CREDSYNC_LEDGER says where the ledger is."""
    assert (
        credsync("report", CREDSYNC_LEDGER=finished.outbox).stdout
        == credsync("report", "--ledger", finished.outbox).stdout
    )


@pytest.mark.parametrize("command", ["report", "letters", "forget"])
def test_a_ledger_is_not_made_by_looking(command: str, tmp_path: Path) -> None:
    """A ledger that is not there is an error, and is still not there afterwards."""
    options = ["--kind", "grade", "--user-id", "5", "--course-run", "a/b/c"] if command == "forget" else []
    result = credsync(command, "--ledger", str(tmp_path / "ledger.db"), *options, status=2)
    assert result.stderr == f"credsync: {tmp_path}/ledger.db: no such file\n"
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_no_ledger(finished: Bench) -> None:
    """A database without a ledger is told from one with it."""
    result = credsync("letters", "--ledger", finished.campus, status=2)
    assert "it has no table credsync_destinations" in result.stderr


def test_forget_drops_one_letter(bench: Bench) -> None:
    """Forgetting drops the letter that is named and says so; the others stay. A second time, there is none."""
    before = bench.letters()["letters"]
    named = first_letter(bench)
    result = credsync("forget", "--ledger", bench.outbox, *named)
    assert result.stdout == f"dropped certificate in {named[5]} for user {named[3]}: dead: {REASON}\n"
    assert bench.letters()["letters"] == before[1:]
    again = credsync("forget", "--ledger", bench.outbox, *named, status=2)
    assert again.stderr == "credsync: there is no such letter\n"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--kind", "grade"],
        ["--user-id", "5"],
        ["--all-matching", "--yes"],
        ["--kind", "grade", "--user-id", "5,10"],
    ],
)
def test_forget_wants_to_know_which(bench: Bench, options: list[str]) -> None:
    """Without all of a letter's name nothing is dropped, and neither is everything there is."""
    before = bench.letters()
    credsync("forget", "--ledger", bench.outbox, *options, status=2)
    assert bench.letters() == before


def test_forget_tells_programs_what_it_dropped(bench: Bench) -> None:
    """With --json, each letter comes as `credsync letters --json` has it."""
    letters = bench.letters("--user-id", "5")["letters"]
    options = ("--user-id", "5", "--all-matching", "--yes", "--json")
    dropped = json.loads(credsync("forget", "--ledger", bench.outbox, *options).stdout)
    assert dropped == {"schema_version": 1, "dropped": letters}
    assert letters
    assert bench.letters("--user-id", "5")["total"] == 0


def test_forget_several_only_with_yes(bench: Bench) -> None:
    """Several letters are dropped at once only if that is meant."""
    number = bench.letters("--kind", "grade")["total"]
    asked = credsync("forget", "--ledger", bench.outbox, "--kind", "grade", "--all-matching", status=2)
    assert asked.stderr == f"credsync: this drops {number} letters of {bench.outbox}: say --yes, too\n"
    result = credsync("forget", "--ledger", bench.outbox, "--kind", "grade", "--all-matching", "--yes")
    assert len(result.stdout.splitlines()) == number > 1
    assert {letter["kind"] for letter in bench.letters()["letters"]} == {"certificate"}


def test_forget_does_not_guess_the_destination(bench: Bench) -> None:
    """A letter that is in two destinations is dropped from the one that is named, and not without a name."""
    with closing(SqlLedger(bench.outbox, "elsewhere")):
        pass
    with closing(sqlite3.connect(bench.outbox)) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(credsync_entries)")][1:]
        listed = ", ".join(columns)
        connection.execute(
            f"INSERT INTO credsync_entries SELECT 2, {listed} FROM credsync_entries WHERE state = 'dead'"
        )
    named = first_letter(bench)
    result = credsync("forget", "--ledger", bench.outbox, *named, status=2)
    assert "'outbox', 'elsewhere'" in result.stderr
    number = bench.letters("--destination", "outbox")["total"]
    credsync("forget", "--ledger", bench.outbox, *named, "--destination", "elsewhere")
    assert bench.letters("--destination", "outbox")["total"] == number
    assert bench.letters("--destination", "elsewhere")["total"] == number - 1
