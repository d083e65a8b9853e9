"""A run's report on the screen."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve

from credsync.cli.account import show_report
from credsync.cli.exits import ExitStatus
from credsync.cli.screen import Screen
from credsync.errors import RecordName
from credsync.report import Failure, Report, Stopped, Verdict

BEGUN = datetime(2024, 3, 1, tzinfo=UTC)

REPORT = Report(
    read={"certificate": 3, "grade": 5},
    counts=Counter(
        {
            ("certificate", "sent", ""): 3,
            ("grade", "sent", ""): 1,
            ("grade", "skipped", "no_certificate"): 1,
            ("grade", "skipped", "not_in_a_program"): 2,
            ("grade", "rejected", "no such course run"): 1,
        }
    ),
    failures=(
        Failure(
            record=RecordName("grade", 7, "course-v1:X+Y+Z"),
            verdict=Verdict.REJECTED,
            reason="no such course run",
            status=400,
        ),
    ),
    started=BEGUN,
    ended=BEGUN + timedelta(seconds=2),
)


def shown(**changes: Any) -> list[str]:
    """Return the lines of the report, with some changes."""
    file = io.StringIO()
    show_report(evolve(REPORT, **changes), Screen(file), "outbox.db")
    return file.getvalue().splitlines()


def test_a_report_is_shown_in_full() -> None:
    """The report says how many, how fast and where to; what became of each kind; why; and what failed."""
    assert shown() == [
        "8 records read in 2.0 s (4 a second): 4 sent to outbox.db",
        "",
        "records       read  sent  unchanged  skipped  rejected  deferred  failed",
        "certificates     3     3          0        0         0         0       0",
        "grades           5     1          0        3         1         0       0",
        "total            8     4          0        3         1         0       0",
        "",
        "count  records  outcome   reason              meaning",
        "    2  grades   skipped   not_in_a_program    no program lists its course run",
        "    1  grades   skipped   no_certificate      the learner has no certificate in its course run",
        "    1  grades   rejected  no such course run",
        "",
        "failure  user id  course run       why",
        "grade    7        course-v1:X+Y+Z  rejected: no such course run (status 400)",
    ]


def test_a_dry_run_says_what_would_be() -> None:
    """A dry run has sent nothing, and its report says so."""
    lines = shown(dry_run=True)
    assert lines[0].endswith(": 4 would be sent")
    assert "to send" in lines[2]
    assert not any("outbox" in line for line in lines)


def test_a_stopped_run_says_where_and_how_to_go_on() -> None:
    """A run that ended early says where, why, and what to do."""
    lines = shown(stopped=Stopped(reason="the sink is down", stage="grades", cursor={"id": 7}, retry_after=59.4))
    assert lines[-3] == "Stopped early, in grades: the sink is down."
    again = "To go on, run the same command again in 59 s: nothing is lost."
    assert lines[-1] == f"{again} A run of notify skips what is done with --resume."


def test_deferred_records_say_that_they_wait() -> None:
    """Records that wait for something are worth another run."""
    waiting = {("grade", "deferred", "learner_not_visible"): 5, ("certificate", "sent", ""): 3}
    assert shown(counts=waiting, failures=())[-1].startswith("5 deferred, and not lost:")


def test_the_first_failures_stand_for_all() -> None:
    """Of many failures the first are shown, and how many there are."""
    failures = REPORT.failures * 12
    lines = shown(failures=failures, counts={("grade", "rejected", "no such course run"): 30}, read={"grade": 30})
    assert sum("rejected: no such course run" in line for line in lines) == 10
    assert lines[-1] == "These are the first 10 of 30 failures; --json tells more."


def test_a_failure_that_has_no_name_is_shown() -> None:
    """A record that does not even say whose it is has a line."""
    nameless = Failure(record=RecordName("grade", None, ""), verdict=Verdict.FAILED, reason="user_id: x")
    assert shown(failures=[nameless])[-1] == "grade    unknown  unknown     failed: user_id: x"


def test_what_is_unaccounted_for_is_a_bug() -> None:
    """A report whose sums disagree says so."""
    assert shown(read={"certificate": 3, "grade": 6})[-1].startswith("1 records are unaccounted for.")


def test_an_empty_report_is_a_report() -> None:
    """A run that found nothing has nothing to divide by."""
    lines = shown(read={}, counts={}, failures=(), ended=BEGUN)
    assert lines[0] == "0 records read in 0.0 s (0 a second): 0 sent to outbox.db"
    assert len(lines) == 4


def test_the_exit_status_tells_how_it_went() -> None:
    """All well is 0, failures are 1, a stop is 3 whatever failed; records that wait are no failures."""
    well = evolve(REPORT, counts={("grade", "deferred", "x"): 5, ("certificate", "sent", ""): 3})
    stopped = Stopped(reason="interrupted", stage="grades")
    assert ExitStatus.of(well) == 0
    assert ExitStatus.of(REPORT) == 1
    assert ExitStatus.of(evolve(REPORT, counts={("grade", "failed", "x"): 5})) == 1
    assert ExitStatus.of(evolve(well, stopped=stopped)) == ExitStatus.of(evolve(REPORT, stopped=stopped)) == 3
