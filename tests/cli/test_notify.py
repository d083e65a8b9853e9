"""`credsync notify` from end to end: from a sample campus to an outbox."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from credsync.adapters.sql import SqlOutbox, SqlSites, SqlSource
from credsync.cli.catalog_file import read_catalog
from credsync.formatting import certstr, gradestr, iter_preview
from credsync.model import Certificate, Grade
from credsync.paging import paged_query
from credsync.selection import Selection
from credsync.testing.campus import catalog_path
from tests.cli.ledger_bench import credsync


def reported(campus: Path, *options: str, status: int = 0) -> dict[str, Any]:
    """Return the JSON report of a dry run."""
    document: dict[str, Any] = json.loads(
        credsync("notify", str(campus), "--dry-run", "--json", *options, status=status).stdout
    )
    return document


def selected(campus: Path, selection: Selection) -> tuple[list[Certificate], list[Grade]]:
    """Return what a selection selects."""
    with closing(SqlSource(campus)) as source:
        certificates = [cert for _, cert in paged_query(source.certificates(selection))]
        return certificates, [grade for _, grade in paged_query(source.grades(selection))]


def counted(campus: Path, selection: Selection) -> dict[str, int]:
    """Return how many records of each kind a selection selects."""
    certificates, grades = selected(campus, selection)
    return {kind: count for kind, count in (("certificate", len(certificates)), ("grade", len(grades))) if count}


def read(report: Mapping[str, Any]) -> dict[str, int]:
    """Return how many records of each kind a run read."""
    return {kind: of_kind["read"] for kind, of_kind in report["kinds"].items()}


def test_everything_goes_to_the_outbox(campus: Path, tmp_path: Path) -> None:
    """What the report counts as sent lies in the outbox, and the report says so."""
    out = tmp_path / "outbox.db"
    result = credsync("notify", str(campus), "--all", "--out", str(out))
    with closing(SqlOutbox(out)) as outbox:
        kinds = Counter(row.kind for row in outbox.iter_rows())
    assert kinds["certificate"] == counted(campus, Selection())["certificate"]
    assert kinds["grade"] > 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith(f": {kinds.total()} sent to {out}")
    assert lines[3].split()[:3] == ["certificates", str(kinds["certificate"]), str(kinds["certificate"])]
    assert result.stderr == f"credsync: programs from {catalog_path(campus)}\n"


def test_a_dry_run_previews_and_sends_nothing(campus: Path, tmp_path: Path) -> None:
    """A dry run shows the preview to the letter, then what would be sent and skipped; it makes no outbox."""
    out = tmp_path / "outbox.db"
    lines = credsync("notify", str(campus), "--all", "--dry-run", "--out", str(out)).stdout.splitlines()
    certificates, grades = selected(campus, Selection())
    preview = [*iter_preview("Certificates", certificates, certstr), *iter_preview("Grades", grades, gradestr)]
    assert lines[0] == "Dry run, nothing is sent. These are selected:"
    assert lines[1 : len(preview) + 2] == [*preview, ""]
    assert lines[len(preview) + 2].endswith(" would be sent")
    assert any("skipped  not_in_a_program" in line for line in lines)
    assert not out.exists()


def test_a_dry_run_counts_what_a_run_sends(campus: Path, tmp_path: Path) -> None:
    """A dry run applies the rules of the real run: the two reports differ in nothing but their times and their kind."""
    dry = reported(campus, "--all", "--notify-programs")
    wet = json.loads(
        credsync("notify", str(campus), "--all", "--notify-programs", "--out", str(tmp_path / "o.db"), "--json").stdout
    )
    assert dry["kinds"] == wet["kinds"]
    assert dry["kinds"]["program"]["sent"] > 0
    assert (dry["dry_run"], wet["dry_run"]) == (True, False)


def test_json_is_alone_on_standard_output(campus: Path) -> None:
    """With --json standard output is one document, the preview and all else is on standard error."""
    result = credsync("notify", str(campus), "--all", "--dry-run", "--json")
    document = json.loads(result.stdout)
    assert document["schema_version"] == 1
    assert document["read"] == sum(read(document).values()) > 0
    assert "Certificates:" in result.stderr


def test_a_quiet_run_says_nothing(campus: Path, tmp_path: Path) -> None:
    """With --quiet the exit status is all; JSON that was asked for comes all the same."""
    quiet = credsync("notify", str(campus), "--all", "--quiet", "--verbose", "--out", str(tmp_path / "o.db"))
    assert (quiet.stdout, quiet.stderr) == ("", "")
    asked = credsync("notify", str(campus), "--all", "--dry-run", "--quiet", "--json")
    assert json.loads(asked.stdout)["dry_run"]
    assert asked.stderr == ""


def test_a_verbose_run_says_what_becomes_of_each(campus: Path) -> None:
    """With --verbose each record has a line on standard error, by course run and id, and never by name."""
    result = credsync("notify", str(campus), "--all", "--dry-run", "--verbose")
    read_in_all = sum(counted(campus, Selection()).values())
    lines = [line for line in result.stderr.splitlines() if " for user " in line]
    assert len(lines) == read_in_all
    assert any(line.endswith(": would be skipped (not_in_a_program)") for line in lines)
    assert not re.search(r"learner_\d", result.output)


RUNS = ["CampusX/CS101/1T2023", "course-v1:ScienceX+BIO102.1x+3T2023"]
START, END = datetime(2023, 6, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "selection"),
    [
        (["--courses", *RUNS], Selection(course_runs=RUNS)),
        (["--user_ids", "1", "2", "3"], Selection(user_ids=[1, 2, 3])),
        (["--orgs", "ScienceX,MathX"], Selection(orgs=["ScienceX", "MathX"])),
        (["--site", "science.example.org"], Selection(orgs=["ScienceX", "MathX", "ArtsX"])),
        (["--site", "campus.example.org"], Selection(orgs=["CampusX"])),
        (["--start-date", "2023-06-01"], Selection(start=START)),
        (["--end_date", "2024-01-01T01:00+01:00"], Selection(end=END)),
        (["--start_date", "2023-06-01", "--end-date", "2024-01-01"], Selection(start=START, end=END)),
        (["--user-ids", "1,2,3", "--orgs", "CampusX"], Selection(user_ids=[1, 2, 3], orgs=["CampusX"])),
        (["--all"], Selection()),
    ],
)
def test_filters_select(options: list[str], selection: Selection, campus: Path) -> None:
    """Each filter, under either of its names, selects what it says."""
    found = counted(campus, selection)
    assert found
    assert read(reported(campus, *options)) == found


def test_programs_select_their_course_runs(campus: Path) -> None:
    """--program_uuids reads the runs of these programs, beside those that --courses names."""
    program = read_catalog(catalog_path(campus)).programs()[0]
    runs = {run.key for run in program.iter_course_runs()}
    report = reported(campus, "--program_uuids", program.uuid.upper(), "--courses", "course-v1:MathX+ALG108.1x+1T2024")
    assert read(report) == counted(campus, Selection(course_runs=runs | {"course-v1:MathX+ALG108.1x+1T2024"}))


def test_a_program_without_course_runs_reads_nothing(campus: Path, tmp_path: Path) -> None:
    """A program that lists no run reads nothing at all, instead of everything."""
    catalog = tmp_path / "programs.json"
    uuid = "6883080f-0000-4000-8000-000000000001"
    catalog.write_text(json.dumps([{"uuid": uuid}]))
    assert reported(campus, "--program-uuids", uuid, "--catalog", str(catalog))["read"] == 0


def test_the_site_says_whether_learner_records_are_on(campus: Path) -> None:
    """A site that has learner records switched off sends no grade of its organisations, whichever site is asked for."""
    for options in (["--site", "archive.example.org"], ["--orgs", "ArchiveX"]):
        grades = reported(campus, *options)["kinds"]["grade"]
        assert grades["reasons"] == {"skipped": {"learner_records_disabled": grades["read"]}}
    with closing(SqlSource(campus)) as source:
        assert SqlSites(source.engine).get_policy().is_learner_records_enabled_for_org("CampusX")


def test_programs_are_told_on_demand(campus: Path) -> None:
    """Awards come with --notify-programs, revocations with both options."""
    plain = reported(campus, "--all")
    awards = reported(campus, "--all", "--notify_programs")
    both = reported(campus, "--all", "--notify_programs", "--revoke_program_certs")
    assert "program" not in plain["kinds"]
    assert both["kinds"]["program"]["sent"] > awards["kinds"]["program"]["sent"] > 0


def test_the_page_size_changes_nothing_but_the_pages(campus: Path) -> None:
    """One record at a time comes to the same as all at once."""
    assert reported(campus, "--all", "--page_size", "1")["kinds"] == reported(campus, "--all")["kinds"]


def test_an_empty_catalog_is_taken_on_demand(campus: Path, tmp_path: Path) -> None:
    """With --allow-empty-catalog a catalog without programs is true: no grade is in a program."""
    catalog = tmp_path / "programs.json"
    catalog.write_text("[]")
    options = ["--all", "--catalog", str(catalog), "--orgs", "CampusX"]
    refused = credsync("notify", str(campus), "--dry-run", *options, status=2)
    assert refused.stderr == f"credsync: {catalog}: the catalog is empty; if that is true, say --allow-empty-catalog\n"
    grades = reported(campus, *options, "--allow-empty-catalog")["kinds"]["grade"]
    assert grades["sent"] == 0
    assert grades["reasons"]["skipped"]["not_in_a_program"] > 0


def spoil(campus: Path, statement: str) -> None:
    """Change the campus."""
    with closing(sqlite3.connect(campus)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1.2", "percent_grade: 1.2 is outside 0 to 1"),
        ("-0.1", "percent_grade: -0.1 is outside 0 to 1"),
        ("9e999", "percent_grade: inf is not a finite number"),
        ("'abc'", "percent_grade: 'abc' is not a number"),
    ],
)
def test_a_bad_percentage_fails_alone(value: str, reason: str, own_campus: Path) -> None:
    """A grade that is no grade is a failure that names it; the rest of the run goes on, and the status is 1."""
    before = reported(own_campus, "--all")
    spoil(own_campus, f"UPDATE grades_persistentcoursegrade SET percent_grade = {value} WHERE user_id = 3")
    after = reported(own_campus, "--all", status=1)
    assert after["read"] == before["read"]
    assert after["kinds"]["certificate"] == before["kinds"]["certificate"]
    failures = after["failures"]
    assert len(failures) == after["kinds"]["grade"]["failed"] > 0
    assert {(failure["user_id"], failure["reason"]) for failure in failures} == {(3, reason)}


@pytest.mark.parametrize("key", ["nonsense", "course-v1:X+Y+Z\x00", "course-v1:X+Y+" + "Z" * 286])
def test_a_bad_course_run_fails_alone(key: str, own_campus: Path) -> None:
    """A course run that is none, holds a NUL or is too long fails with its records' names."""
    with closing(sqlite3.connect(own_campus)) as connection, connection:
        connection.execute("UPDATE certificates_generatedcertificate SET course_id = ? WHERE id = 2", [key])
    result = credsync("notify", str(own_campus), "--all", "--dry-run", status=1)
    last = result.stdout.splitlines()[-1]
    assert last.startswith("certificate  2        ")
    assert "failed: course_id: " in last
    assert "\x00" not in last


def test_a_learner_who_is_not_there_is_waited_for(own_campus: Path) -> None:
    """Grades whose learner is missing are deferred, which is no failure."""
    spoil(own_campus, "DELETE FROM auth_user")
    result = credsync("notify", str(own_campus), "--all", "--dry-run")
    assert "learner_not_visible" in result.stdout
    assert "deferred, and not lost:" in result.stdout.splitlines()[-1]


def test_too_many_failures_stop_the_run(own_campus: Path) -> None:
    """With --max-failures a run stops at the end of the page, to be gone on with."""
    spoil(own_campus, "UPDATE grades_persistentcoursegrade SET percent_grade = 7")
    stopped = reported(own_campus, "--all", "--max-failures", "5", "--page-size", "10", status=3)
    assert stopped["stopped"]["reason"] == "more than 5 records failed"
    assert 5 < stopped["kinds"]["grade"]["failed"] <= 15
    assert reported(own_campus, "--all", "--max-failures", "100000", status=1)["stopped"] is None


def test_a_table_that_goes_away_stops_the_run(own_campus: Path, tmp_path: Path) -> None:
    """A database that fails in mid-run stops it, resumable; what was sent before is in the outbox."""
    out = tmp_path / "outbox.db"
    spoil(own_campus, "CREATE VIEW other AS SELECT * FROM grades_persistentcoursegrade")
    spoil(own_campus, "ALTER TABLE grades_persistentcoursegrade RENAME TO gone")
    spoil(own_campus, "DROP VIEW other")
    spoil(
        own_campus,
        "CREATE VIEW grades_persistentcoursegrade AS SELECT id, user_id, course_id, percent_grade, letter_grade,"
        " CASE WHEN id % 50 = 49 THEN abs(-9223372036854775808) ELSE modified END AS modified FROM gone",
    )
    result = credsync("notify", str(own_campus), "--all", "--out", str(out), status=3)
    assert "Stopped early, in grades: " in result.stdout
    with closing(SqlOutbox(out)) as outbox:
        assert Counter(row.kind for row in outbox.iter_rows())["certificate"] > 0
