"""What the report page says: all of it, true, and bounded."""

from __future__ import annotations

import re

import pytest
from attrs import evolve

from credsync.cli.page import render_page
from credsync.ledger import RunHeader
from credsync.report import Stopped, Verdict
from tests.cli.page_reading import BEGIN, EVERYTHING, MINUTE, Counts, Page, failure, past_run


def course_runs(number: int, failed: int = 0) -> Counts:
    """Count records of many course runs: the n-th has sent n, and the last few have failures."""
    sent = {("grade", f"course-v1:X+C{n:04}+R", "sent", ""): n for n in range(1, number + 1)}
    rejected = {
        ("grade", f"course-v1:X+C{n:04}+R", "rejected", "too long"): n for n in range(number - failed + 1, number + 1)
    }
    return sent | rejected


def test_counts_every_verdict() -> None:
    """What was sent, unchanged, skipped, deferred, rejected and failed can be read off at a glance."""
    page = Page.of(past_run(EVERYTHING))
    tiles = [page.row_of(name) for name in ("Read", "Sent", "Unchanged", "Skipped", "Deferred", "Rejected", "Failed")]
    assert [tile.split()[1] for tile in tiles] == ["98", "30", "50", "12", "3", "2", "1"]


def test_counts_by_kind() -> None:
    """Each kind has a row whose numbers are its own, and the last row is their sum."""
    page = Page.of(past_run(EVERYTHING))
    assert page.row_of("Certificates 30").split()[1:] == ["30", "0", "0", "0", "2", "0", "32"]
    assert page.row_of("Grades 0").split()[1:] == ["0", "50", "12", "3", "0", "0", "65"]
    assert page.row_of("All 30").split()[1:] == ["30", "50", "12", "3", "2", "1", "98"]


def test_says_reasons_in_words() -> None:
    """A reason of credsync's own stands there in words, and a sink's as the sink said it."""
    page = Page.of(past_run(EVERYTHING))
    assert page.row_of("No program lists its course run not_in_a_program 0 12 0 12 12.2 %")
    assert page.row_of("no such course run 2 0 0 2 2.0 %")
    assert page.row_of("Given up: the learner's account is not there yet learner_not_visible 0 0 1 1 1.0 %")


def test_bounds_reasons() -> None:
    """Of very many reasons the most frequent are shown, and the rest are summed."""
    counts = {("grade", "course-v1:X+A+1", "rejected", f"reason {n:02}"): 100 - n for n in range(40)}
    page = Page.of(past_run(counts))
    assert "reason 11" in page.row_of("reason 11")
    assert page.row_of("28 other reasons").split()[3] == f"{sum(100 - n for n in range(12, 40)):,}"


def test_balances() -> None:
    """The page proves that everything read found an end."""
    page = Page.of(past_run(EVERYTHING))
    assert page.row_of("Balances") == (
        "Balances: 98 read = 30 sent + 50 unchanged + 12 skipped + 3 deferred + 2 rejected + 1 failed"
    )


@pytest.mark.parametrize("account", ["outcomes", "course runs and programs", "minutes"])
def test_says_what_does_not_balance(account: str) -> None:
    """An account that does not add up is not glossed over."""
    run = past_run(EVERYTHING)
    broken = {
        "outcomes": evolve(run, report=evolve(run.report, counts={("grade", "sent", ""): 97})),
        "course runs and programs": evolve(run, by_target={("grade", "course-v1:X+A+1", "sent", ""): 97}),
        "minutes": evolve(run, timeline={(BEGIN, "sent"): 97}),
    }[account]
    told = Page.of(broken).row_of("Does not balance")
    assert told.startswith(f"Does not balance: 98 records read, but the {account} add up to 97.")


def test_orders_course_runs() -> None:
    """The course runs with most failures come first, then the busiest."""
    page = Page.of(past_run(course_runs(10, failed=2)))
    rows = [row.split()[0] for row in page.texts if row.startswith("course-v1:")]
    assert rows[:4] == [f"course-v1:X+C{n:04}+R" for n in (10, 9, 8, 7)]
    busy_failure = past_run({**course_runs(10), ("grade", "course-v1:X+C0001+R", "failed", "broken"): 1})
    assert next(row for row in Page.of(busy_failure).texts if row.startswith("course-v1:")).startswith(
        "course-v1:X+C0001+R"
    )


def test_says_why_a_course_run_failed() -> None:
    """Beside a course run stands its most frequent failure, even where more records were skipped."""
    counts = {
        ("grade", "course-v1:X+A+1", "skipped", "not_in_a_program"): 90,
        ("grade", "course-v1:X+A+1", "rejected", "too long"): 2,
        ("grade", "course-v1:X+A+1", "rejected", "no such learner"): 5,
    }
    row = Page.of(past_run(counts)).row_of("course-v1:X+A+1")
    assert row.startswith("course-v1:X+A+1 5 rejected: no such learner")


def test_sums_the_other_course_runs() -> None:
    """Of very many course runs some are shown, and the sums of the rest complete them."""
    counts = course_runs(2000, failed=3)
    page = Page.of(past_run(counts))
    numbers = [row.replace(",", "").split() for row in page.texts if "course-v1:" in row or "more course runs" in row]
    assert page.row_of("1,975 more course runs")
    assert sum(int(row[-1]) for row in numbers) == sum(counts.values())


def test_keeps_programs_apart() -> None:
    """Programs have a table of their own."""
    page = Page.of(past_run(EVERYTHING))
    assert page.row_of("6883080f-0000-4000-8000-000000000001").endswith("0 0 0 0 0 1 1")
    assert page.row_of("2 course runs;")


def test_stays_small() -> None:
    """The page of a run over three days and thousands of course runs is no larger than a picture."""
    timeline = {(BEGIN + n * MINUTE, verdict): 9 for n in range(3 * 1440) for verdict in map(str, Verdict)}
    failures = [failure(n, "x" * 500) for n in range(100)]
    assert len(render_page(past_run(course_runs(5000, failed=999), timeline, failures))) < 400_000


def test_shows_failures_in_full() -> None:
    """A failure names its record and the whole reason, and the page says how many more there are."""
    counts = {("grade", "course-v1:X+A+1", "rejected", "too long"): 250}
    page = Page.of(past_run(counts, failures=[failure(5, "too long: " + "x" * 300), failure(None)]))
    assert page.row_of("The first 2 of 250 records that were rejected or failed.")
    assert "Rejected grade course-v1:X+A+1 5 400 too long: " + "x" * 300 in page.texts
    assert "Rejected grade course-v1:X+A+1 unknown 400 too long" in page.texts


@pytest.mark.parametrize(
    ("reason", "advice", "other"),
    [
        ("given up: grade_not_visible", "rejected or given up needs a hand", "wrong in the source"),
        ("invalid modified", "wrong in the source is to be mended there", "given up needs a hand"),
    ],
)
def test_says_what_is_to_be_done_about_failures(reason: str, advice: str, other: str) -> None:
    """A letter waits for what was given up; what is wrong in the source has none."""
    texts = " ".join(Page.of(past_run({("grade", "course-v1:X+Y+Z", "failed", reason): 1})).texts)
    assert (advice in texts, other in texts) == (True, False)


@pytest.mark.parametrize(
    ("status", "stopped", "headline"),
    [
        ("complete", None, "Complete, with 1 failure"),
        ("stopped", Stopped(reason="the sink is down", stage="grades"), "Stopped early, with 1 failure"),
        ("stopped", Stopped(reason="interrupted", stage="grades"), "Interrupted, with 1 failure"),
        ("resumed", Stopped(reason="resumed", stage="grades"), "Stopped early, and resumed, with 1 failure"),
        ("killed", Stopped(reason="killed", stage="grades"), "Killed, with 1 failure"),
        ("running", Stopped(reason="running", stage="grades"), "Not finished, with 1 failure"),
    ],
)
def test_says_how_a_run_ended(status: str, stopped: Stopped | None, headline: str) -> None:
    """The headline is how the run ended."""
    run = past_run({("grade", "course-v1:X+A+1", "failed", "broken"): 1}, status=status, stopped=stopped)
    assert headline in Page.of(run).texts


def test_says_what_stopped_a_run() -> None:
    """What stopped a run stands below the headline, with what can be done about it."""
    run = past_run(status="stopped", stopped=Stopped(reason="the sink is down", stage="grades"))
    assert "The sink is down. What it did up to there is durable; --resume goes on from there." in Page.of(run).texts
    retried = evolve(run, header=RunHeader(scope={}, started=BEGIN, job="retry"))
    assert "The sink is down. What it did up to there is durable." in Page.of(retried).texts


def test_says_what_a_run_was_about() -> None:
    """Selection, window and watermark stand on the page; a filter of very many items is cut."""
    scope = {
        "selection": {"course_runs": None, "user_ids": list(range(500)), "orgs": ["DemoX", "OtherX"], "start": None},
        "site": None,
        "notify_programs": True,
    }
    header = RunHeader(scope=scope, start=BEGIN - 60 * MINUTE, started=BEGIN, watermark=BEGIN - 5 * MINUTE)
    page = Page.of(past_run(header=header))
    assert page.row_of("Organisations") == "Organisations DemoX, OtherX"
    assert page.row_of("Learners").endswith("17, 18, 19 and 480 more")
    assert page.row_of("Course runs") == "Course runs all"
    assert page.row_of("Programs awarded") == "Programs awarded yes"
    assert page.row_of("Window") == "Window from 2024-05-20 11:30:00 UTC to the end"
    assert page.row_of("Watermark").startswith("Watermark 2024-05-20 12:25:00 UTC")


def test_stacks_a_bar_from_the_best_to_the_gravest() -> None:
    """The parts of a bar stand on each other, without gap or overlap, each as high as its share of the scale."""
    column = re.findall(r"<g>(.*?)</g>", render_page(past_run(EVERYTHING)))[0]
    parts = re.findall(r'y="(.*?)%" width=".*?%" height="(.*?)%" fill="url\(#fill-(\w+)\)"', column)
    assert [(verdict, float(height)) for _, height, verdict in parts] == [
        ("sent", 30), ("unchanged", 50), ("skipped", 12), ("deferred", 3), ("rejected", 2), ("failed", 1)
    ]  # fmt: skip
    assert [float(top) for top, _, _ in parts] == [70, 20, 8, 5, 3, 2]


def test_draws_trouble_apart_where_it_is_small() -> None:
    """Where failures are too few to be seen among the rest, they are drawn once more, and only then."""
    few = {("grade", "course-v1:X+A+1", "sent", ""): 1000, ("grade", "course-v1:X+A+1", "failed", "broken"): 1}
    many = {("grade", "course-v1:X+A+1", "sent", ""): 10, ("grade", "course-v1:X+A+1", "failed", "broken"): 9}
    assert "Deferred, rejected and failed alone" in Page.of(past_run(few)).texts
    assert "Deferred, rejected and failed alone" not in Page.of(past_run(many)).texts


def test_an_empty_run_has_a_page() -> None:
    """A run that read nothing says so, and has neither charts nor tables."""
    page = Page.of(past_run())
    assert "Nothing was read." in page.texts
    assert {"table", "figure"}.isdisjoint(tag for tag, _ in page.starts)
