"""Going on from earlier runs: automatic windows, resuming, and what is refused before anything is made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from credsync.testing.campus import Campus, write_sample
from tests.cli.ledger_bench import credsync

LONG_AGO = "2000-01-01"


@define
class Nights:
    """A campus, and automatic runs over it, night after night.

    Attributes:
        directory: Where its files are.
    """

    directory: Path
    outbox: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Name the outbox, whose database has the ledger."""
        self.outbox = str(self.directory / "outbox.db")

    def run(self, *options: str, status: int = 0) -> dict[str, Any]:
        """Run once, and return the report as JSON."""
        result = credsync("notify", self.campus, "--out", self.outbox, "--json", *options, status=status)
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    def last(self) -> dict[str, Any]:
        """Return what the ledger says of the last run."""
        document: dict[str, Any] = json.loads(credsync("report", "--ledger", self.outbox, "--json").stdout)
        return document

    @property
    def campus(self) -> str:
        """The source's database."""
        return str(self.directory / "campus.db")

    def touch(self, place: int, moment: datetime) -> None:
        """Change the grade in some place of their order at some time."""
        text = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
        with closing(sqlite3.connect(self.campus)) as database, database:
            ids = database.execute("SELECT id FROM grades_persistentcoursegrade ORDER BY id").fetchall()
            database.execute("UPDATE grades_persistentcoursegrade SET modified = ? WHERE id = ?", (text, *ids[place]))


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    """A campus that no run has seen."""
    nights = Nights(tmp_path)
    write_sample(nights.campus, Campus(learners=30))
    return nights


@pytest.mark.parametrize(
    "options", [["--all"], ["--all", "--dry-run"], ["--auto"], ["--auto", "--dry-run"], ["--all", "--resume"]]
)
def test_a_ledger_that_cannot_be_used_is_not_taken_for_none(options: Sequence[str], nights: Nights) -> None:
    """A dry run must not promise what the run will be refused."""
    nights.run("--all")
    with closing(sqlite3.connect(nights.outbox)) as ledger, ledger:
        ledger.execute("UPDATE credsync_schema SET version = 99")
    result = credsync("notify", nights.campus, "--out", nights.outbox, *options, status=2)
    assert "the ledger has schema version 99" in result.stderr


def test_a_quiet_run_says_why_it_stopped(nights: Nights) -> None:
    """A mail from cron that is empty helps nobody."""
    nights.run("--all")
    with closing(sqlite3.connect(nights.outbox)) as ledger, ledger:
        ledger.execute("CREATE TRIGGER full BEFORE INSERT ON credsync_counts BEGIN SELECT RAISE(FAIL, 'x'); END")
    quiet = credsync("notify", nights.campus, "--out", nights.outbox, "--all", "--force", "--quiet", status=3)
    assert quiet.stdout == ""
    assert quiet.stderr.startswith("credsync: stopped early, in certificates: ledger ")


class TestAutomaticWindows:
    def test_begin_where_the_first_run_is_told_to(self, nights: Nights) -> None:
        """The first has no run to go on from: `--since` says where it begins, and the next goes by the ledger."""
        first = nights.run("--auto", "--since", LONG_AGO)
        assert first["read"] > 100
        assert nights.last()["start"] == "2000-01-01T00:00:00+00:00"
        assert nights.run("--auto")["read"] == 0

    def test_are_told(self, nights: Nights) -> None:
        """Nobody need guess what a run has read."""
        first = credsync("notify", nights.campus, "--out", nights.outbox, "--auto", "--since", LONG_AGO)
        assert "credsync: reading what changed from 2000-01-01 00:00:00 UTC on" in first.stderr

    def test_begin_at_the_start_of_the_last_complete_run_less_the_lag(self, nights: Nights) -> None:
        """So what became visible late, or changed while that run went on, is read."""
        before = datetime.now(UTC)
        nights.run("--auto", "--since", LONG_AGO, "--lag", "90")
        after = datetime.now(UTC)
        nights.run("--auto")
        begins = datetime.fromisoformat(nights.last()["start"])
        assert before - timedelta(seconds=90) <= begins <= after - timedelta(seconds=90)

    def test_read_what_changed_since(self, nights: Nights) -> None:
        """Only what changed is read, and what the overlap brings a second time is not sent again."""
        nights.run("--auto", "--since", LONG_AGO)
        nights.touch(1, datetime.now(UTC))
        nights.touch(2, datetime.now(UTC) - timedelta(days=1))
        assert nights.run("--auto")["read"] == 1
        again = nights.run("--auto")
        assert (again["read"], again["kinds"]["grade"]["sent"]) == (1, 0)

    def test_leave_no_gap_where_a_run_stopped(self, nights: Nights) -> None:
        """A run that did not complete moves no watermark: the next begins where it began."""
        nights.run("--auto", "--since", LONG_AGO)
        began = nights.last()["watermark"]
        with closing(sqlite3.connect(nights.outbox)) as ledger, ledger:
            ledger.execute("UPDATE credsync_runs SET status = 'stopped' WHERE id = 1")
        assert nights.run("--auto", "--since", LONG_AGO)["read"] > 100
        assert nights.last()["watermark"] > began

    def test_belong_to_their_filters(self, nights: Nights) -> None:
        """What one selection has seen says nothing about another."""
        nights.run("--auto", "--since", LONG_AGO, "--orgs", "CampusX")
        line = credsync("notify", nights.campus, "--out", nights.outbox, "--auto", status=2).stderr
        assert "--auto has no complete run with these filters to go on from: --since TIME says" in line
        assert nights.run("--auto", "--orgs", "CampusX")["read"] == 0

    def test_are_resumed_as_they_were(self, nights: Nights) -> None:
        """An automatic run that stopped goes on with its own window, however much later."""
        nights.run("--auto", "--since", LONG_AGO)
        nights.touch(1, datetime.now(UTC))
        with closing(sqlite3.connect(nights.outbox)) as ledger, ledger:
            ledger.execute("UPDATE credsync_runs SET status = 'stopped', stage = 'grades', place = 'null' WHERE id = 1")
        resumed = nights.run("--auto", "--resume")
        assert nights.last()["start"] == "2000-01-01T00:00:00+00:00"
        assert resumed["status"] == "complete"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--auto"], "--auto has no complete run with these filters to go on from: --since TIME says where"),
        (["--all", "--resume"], "there is no run to resume"),
        (["--auto", "--all", "--since", LONG_AGO], "--auto reads what changed, --all what there is: leave one"),
        (["--auto", "--start-date", LONG_AGO], "--auto finds its window itself: leave out --start-date and"),
        (["--auto", "--since", "2999-01-01"], "--since has yet to come: what changes until then would never be read"),
        (["--all", "--since", LONG_AGO], "--since says nothing without --auto"),
        (["--auto", "--no-ledger"], "--auto and --resume need the ledger: leave out --no-ledger"),
        (["--all", "--resume", "--dry-run"], "--resume goes on with a run, and a dry run is none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_gone_on_with_makes_nothing(options: Sequence[str], line: str, nights: Nights) -> None:
    """A refusal is one line, and leaves neither an outbox nor a ledger behind."""
    before = set(nights.directory.iterdir())
    result = credsync("notify", nights.campus, "--out", nights.outbox, *options, status=2)
    assert result.stderr.splitlines()[-1].removeprefix("credsync: ").startswith(line)
    assert set(nights.directory.iterdir()) == before
