"""Runs that are killed with SIGKILL, at any instant: nothing is lost, and little is sent twice."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from attrs import frozen

from credsync.adapters.sql import OutboxRow, SqlHistory, SqlOutbox
from credsync.testing.campus import Campus, catalog_path, write_sample
from credsync.updates import UpdateKey

PAGE_SIZE = 5

KILLER = Path(__file__).with_name("killed_runs.py")

CHANGES = """
UPDATE grades_persistentcoursegrade SET percent_grade = 1 - percent_grade, modified = '2031-01-01 00:00:00'
    WHERE id % 3 = 0;
UPDATE certificates_generatedcertificate
    SET status = CASE status WHEN 'downloadable' THEN 'notpassing' ELSE 'downloadable' END,
        modified_date = '2031-01-01 00:00:00'
    WHERE id % 3 = 0;
UPDATE certificates_certificatedateoverride SET date = '2030-01-01 00:00:00' WHERE id % 2 = 0;
"""


@frozen
class Campuses:
    """A campus, and the same at a later time.

    Attributes:
        sooner: The one.
        later: The other.
    """

    sooner: Path
    later: Path

    def job(self, out: str, *options: str) -> list[list[str]]:
        """Return the runs of a job: one over each, into an outbox."""
        usual = ["--all", "--notify-programs", "--revoke-program-certs", "--quiet", "--page-size", str(PAGE_SIZE)]
        return [[str(campus), "--out", out, *usual, *options] for campus in (self.sooner, self.later)]


@pytest.fixture(scope="module")
def campuses(tmp_path_factory: pytest.TempPathFactory) -> Campuses:
    """Two small campuses: some hundred records, some dozen pages."""
    sooner, later = (tmp_path_factory.mktemp(name) / "campus.db" for name in ("sooner", "later"))
    write_sample(sooner, Campus(learners=60))
    shutil.copy(sooner, later)
    shutil.copy(catalog_path(sooner), catalog_path(later))
    with closing(sqlite3.connect(later)) as connection:
        connection.executescript(CHANGES)
    return Campuses(sooner, later)


def carry_out(jobs: Sequence[Sequence[Sequence[str]]], kills: int, seed: int) -> list[int]:
    """Do the first job undisturbed and kill the runs of the others; return how many were killed in each."""
    order = json.dumps({"jobs": jobs, "kills": kills, "seed": seed})
    done = subprocess.run([sys.executable, KILLER], input=order, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    killed: list[int] = json.loads(done.stdout)
    assert sum(killed) >= kills
    return killed


def rows_of(out: str) -> list[OutboxRow]:
    """Read an outbox, in the order of its rows."""
    with closing(SqlOutbox(out)) as outbox:
        return list(outbox.iter_rows())


def key_of(row: OutboxRow) -> UpdateKey:
    """Return what a row is about."""
    return UpdateKey(row.kind, row.user_id, row.target)


def state_of(rows: Sequence[OutboxRow]) -> dict[UpdateKey, object]:
    """Return how things stand: the payload of the last row of each key."""
    return {key_of(row): row.payload for row in rows}


def sent_in(ledger: str) -> Counter[str]:
    """Return how many updates of each kind all runs say they sent, but for those whose account another took over."""
    sent: Counter[str] = Counter()
    with closing(SqlHistory(ledger)) as history:
        for run in history.iter_runs(limit=10_000):
            assert run.status in ("complete", "resumed")
            assert run.report.unaccounted == 0
            if run.status == "complete":
                sent.update({kind: run.report.total("sent", kind) for kind in run.report.kinds})
    return sent


def check(out: str, ledger: str, undisturbed: str, killed: int) -> None:
    """Compare what became of a job with the same job undisturbed."""
    rows, expected = rows_of(out), rows_of(undisturbed)
    assert state_of(rows) == state_of(expected), "the final states differ"
    assert sent_in(ledger) == sent_in(undisturbed), "the accounts differ"
    batches = Counter(row.created for row in expected)
    repeated = Counter(row.created for row in _repeats(rows))
    assert len(rows) - len(expected) == repeated.total()
    assert len(repeated) <= killed, "a page was sent twice without a kill"
    assert repeated.total() <= killed * max(batches.values()), "more than one page was sent twice for a kill"


def _repeats(rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    """Find the rows that say again what the last row of their key said; times never go back."""
    last: dict[UpdateKey, OutboxRow] = {}
    repeats = []
    for row in rows:
        before = last.get(key_of(row))
        if before is not None:
            assert not (row.source_time and before.source_time) or row.source_time >= before.source_time, "stale"
            if row.payload == before.payload:
                repeats.append(row)
        last[key_of(row)] = row
    return repeats


def test_two_hundred_kills_lose_nothing_on_sqlite(campuses: Campuses, tmp_path: Path) -> None:
    """However often runs are killed: once they are complete, the outbox stands as if nothing had happened."""
    outs = [str(tmp_path / f"{number}.db") for number in range(200)]
    ledgers = [out if number % 2 == 0 else str(tmp_path / f"{number}-ledger.db") for number, out in enumerate(outs)]
    jobs = [campuses.job(out, "--ledger", ledger) for out, ledger in zip(outs, ledgers, strict=True)]
    killed = carry_out(jobs, kills=200, seed=1)
    for number in range(1, len(killed)):
        check(outs[number], ledgers[number], outs[0], killed[number])


@pytest.mark.parametrize("server", ["postgresql_url", "mysql_url"])
def test_kills_lose_nothing_on_servers(
    campuses: Campuses, tmp_path: Path, request: pytest.FixtureRequest, server: str
) -> None:
    """The same with outbox and ledger on PostgreSQL and MariaDB, whose locks outlive a killed client for a moment."""
    url: str = request.getfixturevalue(server)
    undisturbed = str(tmp_path / "undisturbed.db")
    _, killed = carry_out([campuses.job(undisturbed), campuses.job(url)], kills=10, seed=2)
    check(url, url, undisturbed, killed)


def test_kills_of_the_command_itself_lose_nothing(campuses: Campuses, tmp_path: Path) -> None:
    """The command as an operator starts it, killed in mid-run and gone on with by one more option."""
    undisturbed, out = str(tmp_path / "undisturbed.db"), str(tmp_path / "out.db")
    jobs = [campuses.job(undisturbed), campuses.job(out)]
    carry_out(jobs[:1], kills=0, seed=0)
    killed = 0
    for run in jobs[1]:
        before = count_rows(out)
        for number, grown in enumerate((20, 45, 70)):
            killed += kill_behind(out, before + grown, [*run, "--resume"] if number else run)
        assert subprocess.run([*COMMAND, *run, "--resume"], check=False).returncode == 0
    assert killed == 6
    check(out, out, undisturbed, killed)


COMMAND = [sys.executable, "-m", "credsync", "notify"]


def kill_behind(out: str, rows: int, run: Sequence[str]) -> bool:
    """Start the command, kill it once an outbox has so many rows, and say whether it still lived then."""
    with subprocess.Popen([*COMMAND, *run]) as process:
        while process.poll() is None and count_rows(out) < rows:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
        process.kill()
    return process.returncode == -signal.SIGKILL


def count_rows(out: str) -> int:
    """Count the rows of an outbox that may not be there yet."""
    with closing(sqlite3.connect(out)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM credsync_outbox").fetchone()[0])
        except sqlite3.OperationalError:
            return 0
