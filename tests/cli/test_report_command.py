"""`credsync report`, on ledgers that runs have written."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from credsync.cli.past_runs import count_letters
from credsync.report import Report
from tests.cli.ledger_bench import REASON, Bench, ClosedSink, credsync

NOON = datetime(2024, 5, 20, 12, tzinfo=UTC)


def test_report_shows_the_last_run(bench: Bench) -> None:
    """Without a number, the report is that of the last run; with one, of that run."""
    bench.run()
    last, first = (credsync("report", *run, "--ledger", bench.outbox).stdout for run in ([], ["1"]))
    assert last.startswith("Run 2 (notify), begun ")
    assert first.startswith("Run 1 (notify), begun ")
    assert "unchanged" in last
    assert "Window: from 2023-01-01 00:00:00 UTC on." in last
    assert "Watermark: 2023-01-01 00:00:00 UTC." in last


def test_report_says_what_notify_said(bench: Bench) -> None:
    """The report of a past run is the one at its end."""
    report = bench.run()
    document = json.loads(credsync("report", "--ledger", bench.outbox, "--json").stdout)
    assert document["kinds"] == report.as_dict()["kinds"]
    assert document["kinds"]["certificate"]["skipped"] > 0


def test_report_tells_all_that_the_ledger_knows(finished: Bench) -> None:
    """In JSON, a report holds every count by course run and by minute, which add up to what was read."""
    document = json.loads(credsync("report", "--ledger", finished.outbox, "--json").stdout)
    accounts = document["by_target"], document["by_minute"], [{"records": sum(document["totals"].values())}]
    assert {sum(count["records"] for count in account) for account in accounts} == {document["read"]}
    assert {failure["reason"] for failure in document["failures"]} == {REASON}
    assert document["watermark"] == document["start"] == "2023-01-01T00:00:00+00:00"


def test_report_writes_a_page(finished: Bench, tmp_path: Path) -> None:
    """With `--html` the page is written, standard output stays empty, and a second page replaces the first."""
    page = tmp_path / "report.html"
    for _ in range(2):
        assert credsync("report", "--ledger", finished.outbox, "--html", str(page)).stdout == ""
    assert page.read_text().startswith("<!doctype html>")
    assert page.read_text().count("<h1") == 1
    assert "no such course run &lt;here&gt; &amp; now" in page.read_text()


def test_report_says_that_it_cannot_write(finished: Bench, tmp_path: Path) -> None:
    """A page that cannot be written is wrong use, told in a line."""
    result = credsync("report", "--ledger", finished.outbox, "--html", str(tmp_path / "no" / "page.html"), status=2)
    assert result.stderr.startswith("credsync: --html ")
    assert result.stderr.endswith("page.html: No such file or directory\n")


def test_report_lists_runs(bench: Bench) -> None:
    """The list has a line for each of the last runs, the newest first."""
    bench.run()
    lines = credsync("report", "--ledger", bench.outbox, "--list").stdout.splitlines()
    assert [line.split()[:1] for line in lines] == [["run"], ["2"], ["1"], [], ["All"]]
    assert lines[-1] == f"All went to {bench.outbox}."
    assert len(credsync("report", "--ledger", bench.outbox, "--list", "--limit", "1").stdout.splitlines()) == 4
    document = json.loads(credsync("report", "--ledger", bench.outbox, "--list", "--json").stdout)
    assert [(run["run"], run["status"]) for run in document["runs"]] == [(2, "complete"), (1, "complete")]
    credsync("retry", bench.campus, "--out", bench.outbox)
    assert "notify" in credsync("report", "--ledger", bench.outbox, "--list").stdout  # where there are other jobs


def test_report_shows_how_to_go_on(bench: Bench) -> None:
    """A run that a sink has stopped is shown with what stopped it."""
    bench.run(ClosedSink())
    assert "stopped early" in credsync("report", "--ledger", bench.outbox).stdout.splitlines()[0]
    assert "the sink is down" in credsync("report", "--ledger", bench.outbox).stdout


def test_report_says_where_the_letters_are(bench: Bench) -> None:
    """What was rejected waits to be seen to."""
    number = bench.letters()["total"]
    last = credsync("report", "--ledger", bench.outbox).stdout.splitlines()[-1]
    assert last == f"{number} dead letters: credsync letters says why, credsync retry sends anew."


def test_what_is_wrong_in_the_source_is_no_letter() -> None:
    """What was given up is."""
    counts = {("grade", "failed", "invalid modified"): 4, ("grade", "failed", "given up: grade_not_visible"): 2}
    report = Report(read={"grade": 7}, counts={**counts, ("grade", "rejected", "x"): 1}, started=NOON, ended=NOON)
    assert count_letters(report) == 3


def test_a_page_takes_the_place_of_a_page_only(bench: Bench) -> None:
    """A slip of the hand must not cost the ledger."""
    before = Path(bench.outbox).read_bytes()
    result = credsync("report", "--ledger", bench.outbox, "--html", bench.outbox, status=2)
    assert "it is there, and no page of this command: name another file" in result.stderr
    assert Path(bench.outbox).read_bytes() == before
    for _ in range(2):
        credsync("report", "--ledger", bench.outbox, "--html", str(bench.directory / "page.html"))


@pytest.mark.parametrize(("status", "told"), [("running", "still going on, or killed;"), ("killed", ": killed;")])
def test_report_shows_a_run_that_was_killed(bench: Bench, status: str, told: str) -> None:
    """A run that never ended is shown up to its last page, and is not said to have been stopped."""
    with closing(sqlite3.connect(bench.outbox)) as connection, connection:
        connection.execute("UPDATE credsync_runs SET status = ?", (status,))
    shown = credsync("report", "--ledger", bench.outbox).stdout
    assert told in shown.splitlines()[0]
    assert "Stopped early" not in shown
    assert "rejected" in shown


def test_an_unknown_run(finished: Bench) -> None:
    """A run that the ledger does not know is an error."""
    result = credsync("report", "9", "--ledger", finished.outbox, status=2)
    assert result.stderr == "credsync: the ledger knows no run 9\n"
