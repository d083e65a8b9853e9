"""Past runs, read from a ledger: what they say is what the runs themselves said."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from credsync.adapters.sql import SqlHistory, SqlLedger
from credsync.errors import ConfigurationError, SinkUnavailableError
from credsync.history import PastRun
from credsync.ledger import RunHeader
from credsync.notify import notify
from credsync.options import RunOptions
from credsync.report import Report
from credsync.selection import Selection
from credsync.updates import Deferred, Delivered, Outcome, Rejected, Update
from tests.campus_builders import (
    FRESH,
    NOW,
    OLD,
    STRAY,
    Platform,
    ScriptedSink,
    cert,
    grade,
    host_of,
    platform_of,
)

LONG = "no such run, says a service that likes to talk: " + "blah " * 190


def answer(updates: list[Update]) -> list[Outcome]:
    """Answer as differently as a sink may."""
    answers: list[Outcome] = [Delivered(), Rejected(reason=LONG, status=400), Deferred(reason="busy 🎓"), Delivered()]
    return [answers[update.user_id % len(answers)] for update in updates]


def campus() -> Platform:
    """Build a campus that leads to most ends there are."""
    platform = platform_of(
        *(
            cert(user_id, status=status)
            for user_id in range(1, 12)
            for status in ["downloadable", "error"][: user_id % 3]
        ),
        *(grade(user_id) for user_id in range(1, 20)),
        *(grade(user_id, STRAY, modified=OLD) for user_id in range(5)),
    )
    del platform.learners[7]
    return platform


@define
class Job:
    """Runs of one campus over one ledger, on a clock that ticks.

    Attributes:
        url: Where the ledger is.
        sink: Where the updates go.
        now: The time.
    """

    url: str
    sink: ScriptedSink = field(factory=ScriptedSink)
    now: datetime = NOW

    def run(self, acts: Any, **options: Any) -> Report:
        """Run over everything, with a sink that does as told."""
        self.sink.acts = list(acts)
        platform = campus()
        with closing(SqlLedger(self.url, "https://there.example")) as ledger:
            return notify(
                platform,
                Selection(),
                page_size=5,
                host=host_of(platform, self.sink, ledger),
                options=RunOptions(clock=self.tick, watermark=FRESH, **options),
            )

    def tick(self) -> datetime:
        """Let twenty seconds go by."""
        self.now += timedelta(seconds=20)
        return self.now

    def past(self, run_id: int | None = None) -> PastRun:
        """Read a run."""
        with closing(SqlHistory(self.url)) as history:
            return history.get_run(run_id)


def told(report: Report) -> Any:
    """Return what a report says, but for when it was written, and how long to wait now."""
    stopped = report.stopped and evolve(report.stopped, retry_after=None)
    return evolve(report, ended=NOW, stopped=stopped).as_dict()


@pytest.fixture
def job(database_url: str) -> Job:
    """A job with a ledger of its own."""
    return Job(database_url)


class TestPastRun:
    def test_says_what_the_run_said(self, job: Job) -> None:
        """The report of a run that is over equals the run's own, and so does that of one that stopped."""
        complete = job.run([answer] * 99)
        assert told(job.past().report) == told(complete)
        assert job.past().report.counts == complete.counts
        assert len(complete.reasons("rejected")) == 1
        stopped = job.run([answer, answer, SinkUnavailableError("down", retry_after=5.0)], force=True)
        assert told(job.past().report) == told(stopped)
        assert (job.past().status, job.past().report.status) == ("stopped", "stopped")
        assert told(job.past(1).report) == told(complete)

    def test_of_a_run_that_was_resumed_tells_of_all(self, job: Job) -> None:
        """The account of a run and of its resumption is one: together they read everything."""
        first = job.run([answer, SinkUnavailableError("down")])
        second = job.run([answer] * 99, resume=True)
        past = job.past()
        assert (past.status, job.past(1).status) == ("complete", "resumed")
        assert past.report.read == {kind: first.read[kind] + second.read[kind] for kind in second.read}
        assert past.report.total() == first.total() + second.total()
        assert past.report.unaccounted == 0
        assert past.report.started == first.started

    def test_says_what_it_was_about(self, job: Job) -> None:
        """Who ran what, where to, and how far it reaches."""
        job.run([])
        past = job.past()
        assert (past.run_id, past.destination, past.status) == (1, "https://there.example", "complete")
        assert past.header == RunHeader(scope=past.header.scope, started=past.report.started, watermark=FRESH)
        assert past.header.scope["selection"] == Selection().as_dict()
        assert past.process.startswith("process ")

    def test_counts_by_course_run_and_by_the_minute(self, job: Job) -> None:
        """Both counts add up to what was read; each minute is one of the run's own."""
        job.run([answer] * 99)
        past = job.past()
        assert sum(past.by_target.values()) == sum(past.timeline.values()) == past.report.total()
        minutes = sorted({minute for minute, _ in past.timeline})
        assert len(minutes) > 1
        assert all(minute.second == 0 for minute in minutes)
        assert past.report.started - timedelta(minutes=1) < minutes[0]
        assert minutes[-1] <= past.report.ended

    def test_that_was_interrupted_stands_where_it_was_durable(self, job: Job) -> None:
        """A run that ended in mid-page is still there, up to the page before."""
        with pytest.raises(KeyboardInterrupt):
            job.run([answer, answer, KeyboardInterrupt()])
        report = job.past().report
        assert (report.status, report.unaccounted) == ("stopped", 0)
        assert 0 < report.total() < 30


class TestHistory:
    def test_lists_the_last_runs_first(self, job: Job) -> None:
        """Of many runs, the newest come first, and no more than are wanted."""
        for _ in range(4):
            job.run([])
        with closing(SqlHistory(job.url)) as history:
            assert [run.run_id for run in history.iter_runs(limit=3)] == [4, 3, 2]
            assert history.list_destinations() == ["https://there.example"]

    def test_knows_no_run_that_was_not(self, job: Job) -> None:
        """A run that is not there is told by its number; before the first there is none."""
        SqlLedger(job.url).close()
        with pytest.raises(ConfigurationError, match="the ledger knows no run yet"):
            job.past()
        job.run([])
        with pytest.raises(ConfigurationError, match="the ledger knows no run 5"):
            job.past(5)

    def test_of_a_database_that_is_no_ledger(self, database_url: str, tmp_path: Path) -> None:
        """A database without a ledger is told apart, and none is made in it."""
        if database_url.startswith("sqlite"):
            Path(database_url.removeprefix("sqlite:///")).touch()
        with pytest.raises(ConfigurationError, match=r"it has no table (\w+\.)?credsync_runs"):
            Job(database_url).past()
        with pytest.raises(ConfigurationError, match="no such file"):
            SqlHistory(tmp_path / "missing.db")

    def test_can_be_read_while_a_run_goes_on(self, job: Job) -> None:
        """Who looks on holds nobody up, and sees a run up to its last page."""
        seen: list[PastRun] = []
        report = job.run([answer] * 99, on_progress=lambda _report: seen.append(job.past()))
        assert {run.status for run in seen} == {"running"}
        assert [run.report.total() for run in seen] == sorted(run.report.total() for run in seen)
        assert seen[-1].report.total() == report.total()
