"""`credsync explain`: it comes to the same end as a run, and says no more than it should."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from credsync.cli.opening import opened_platform
from credsync.cli.tracing import Step, Tracer
from credsync.errors import InvalidRecordError, RecordName
from credsync.notify import notify
from credsync.options import RunOptions
from credsync.paging import iter_pages
from credsync.selection import Selection
from credsync.testing.campus import catalog_path
from tests.cli.ledger_bench import credsync
from tests.cli.trace_reading import agrees, listen, verdicts

RUN = "CampusX/CS101/1T2023"


def execute(campus: Path, statement: str, *values: object) -> None:
    """Change a campus."""
    with closing(sqlite3.connect(campus)) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture(scope="module")
def messy(campus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campus that has something for every rule to object to or to wait for; to be read only."""
    path = tmp_path_factory.mktemp("messy") / campus.name
    shutil.copytree(campus.parent, path.parent, dirs_exist_ok=True)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    execute(path, "UPDATE grades_persistentcoursegrade SET modified = ? WHERE id % 3 = 0", now)
    execute(path, "UPDATE grades_persistentcoursegrade SET letter_grade = NULL WHERE id % 5 = 0")
    execute(path, "UPDATE grades_persistentcoursegrade SET percent_grade = 1.5 WHERE id % 17 = 0")
    execute(path, "UPDATE certificates_generatedcertificate SET modified_date = 'once' WHERE id % 13 = 0")
    execute(path, "DELETE FROM auth_user WHERE id % 7 = 0")
    return path


def name_of(record: Any) -> tuple[str, int]:
    """Return the course run and user id of a record, of one that cannot be built, too."""
    if isinstance(record, InvalidRecordError):
        assert isinstance(record.record, RecordName)
        return record.record.target, int(str(record.record.user_id))
    return str(record.course_id), record.user_id


@pytest.mark.parametrize("domain", [None, "science.example.org"])
def test_every_record_of_a_campus_ends_as_its_rules_say(
    domain: str | None, messy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """For every record of a campus the first objection that is shown is the verdict of a dry run."""
    options = RunOptions(dry_run=True)
    listen(caplog)
    with opened_platform(str(messy), None, domain, allow_empty_catalog=False) as platform:
        report = notify(
            platform.source, Selection(), platform.site, verbose=True, host=platform.host(None), options=options
        )
        tracer = Tracer(platform.planner(options.clock() - options.give_up_after))
        traced: dict[tuple[str, str, int], list[Step]] = {}
        for certificates in iter_pages(platform.source.certificates(Selection()), 100):
            for certificate in certificates.records:
                traced["certificate", *name_of(certificate)] = tracer.trace_certificate(certificate)
        for grades in iter_pages(platform.source.grades(Selection()), 100):
            for grade in grades.records:
                traced["grade", *name_of(grade)] = tracer.trace_grade(grade)
    decided = verdicts(caplog)
    assert traced.keys() == decided.keys()
    assert [key for key, steps in traced.items() if not agrees(steps, decided[key])] == []
    ends = Counter(verdict for verdict, _ in decided.values())
    assert all(ends[verdict] for verdict in ("sent", "skipped", "deferred", "failed"))
    assert report.unaccounted == 0


def explained(campus: Path, user_id: int, run: str, *options: str) -> dict[str, dict[str, Any]]:
    """Return the explanations of a learner's records, by kind."""
    result = credsync("explain", str(campus), "--user-id", str(user_id), "--course-run", run, "--json", *options)
    document = json.loads(result.stdout)
    assert (document["schema_version"], document["user_id"], document["course_run"]) == (1, user_id, run)
    return {record["kind"]: record for record in document["records"]}


def test_the_command_ends_as_a_run_of_that_record(messy: Path) -> None:
    """The verdict that is shown is that of a real run over this very record."""
    with opened_platform(str(messy), None, None, allow_empty_catalog=False) as platform:
        grades = platform.source.grades(Selection()).fetch(None, 100).records
    for run, user_id in map(name_of, grades[::15]):
        shown = explained(messy, user_id, run)
        report = json.loads(
            credsync(
                *("notify", str(messy), "--dry-run", "--json", "--user-ids", str(user_id), "--courses", run),
                status=1 if "failed" in {record["verdict"] for record in shown.values()} else 0,
            ).stdout
        )
        for kind, record in shown.items():
            assert report["kinds"][kind][record["verdict"]] == 1
            assert report["kinds"][kind]["reasons"].get(record["verdict"], {"": 1}) == {record["reason"]: 1}


def test_a_record_that_is_sent_shows_what_goes_out(campus: Path) -> None:
    """What would go out is shown, in the JSON form and in words."""
    certificate = explained(campus, 2, RUN)["certificate"]
    assert certificate["verdict"] == "sent"
    assert certificate["sends"] == {
        "awarded": False,
        "mode": "honor",
        "status": "audit_notpassing",
        "date_override": "2023-05-09T00:00:00+00:00",
        "source_time": "2023-06-08T02:00:00+00:00",
    }
    lines = credsync("explain", str(campus), "--user-id", "2", "--course-run", RUN).stdout.splitlines()
    assert lines[0] == f"certificate in {RUN} for user 2: would be sent"
    assert lines[2].split() == ["rule", "answer", "facts"]
    assert "It would go out with awarded: no, mode: honor, status: audit_notpassing" in lines[7]


def test_a_record_that_is_skipped_shows_which_rule_objects(campus: Path) -> None:
    """The rule that objects is named with the facts it saw, and those behind it are not reached."""
    lines = credsync("explain", str(campus), "--user-id", "2", "--course-run", RUN).stdout.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"grade in {RUN} for user 2: "))
    assert lines[begin].endswith(
        "would be skipped, not_interesting: the certificate's mode or status is of no interest"
    )
    table = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in lines[begin + 3 :] if line}
    assert table["certificate"].startswith("passed")
    assert re.fullmatch(
        "objected: not_interesting +mode: honor, status: audit_notpassing, mode is eligible: yes", table["interest"]
    )
    assert table["program"] == table["grade"] == table["learner"] == "not reached"


def test_another_site_objects(campus: Path) -> None:
    """With --site a record of another site's organisation is one that the site rule objects to."""
    for record in explained(campus, 2, RUN, "--site", "science.example.org").values():
        assert (record["verdict"], record["reason"]) == ("skipped", "other_site")
        site = next(step for step in record["steps"] if step["answer"] == "objected")
        assert site["facts"] == {"org": "CampusX", "site_has_org": False}


def test_a_record_that_is_not_there_is_said(campus: Path) -> None:
    """Of a learner without a record there is nothing to explain: that is said, and the status is 1."""
    result = credsync("explain", str(campus), "--user-id", "999999", "--course-run", RUN, status=1)
    assert result.stdout == f"There is no certificate and no grade in {RUN} for user 999999.\n"
    empty = credsync("explain", str(campus), "--user-id", "999999", "--course-run", RUN, "--json", status=1)
    assert json.loads(empty.stdout)["records"] == []


def test_a_record_that_is_missing_beside_another_is_said(own_campus: Path) -> None:
    """Where only one of the two records is there, the other one is said to be missing."""
    execute(own_campus, "DELETE FROM certificates_generatedcertificate WHERE user_id = 2")
    lines = credsync("explain", str(own_campus), "--user-id", "2", "--course-run", RUN).stdout.splitlines()
    assert lines[0].startswith(f"grade in {RUN} for user 2: would be skipped, no_certificate")
    assert lines[-1] == f"There is no certificate in {RUN} for user 2."


def test_no_username_is_shown(campus: Path) -> None:
    """Neither form of an explanation holds the learner's name."""
    for options in ([], ["--json"]):
        result = credsync("explain", str(campus), "--user-id", "2", "--course-run", RUN, *options)
        assert not re.search(r"learner_\d", result.output)


def test_nothing_is_written(own_campus: Path) -> None:
    """An explanation leaves the database as it was, and nothing beside it."""
    before = {path: path.read_bytes() for path in own_campus.parent.iterdir()}
    credsync("explain", str(own_campus), "--user-id", "2", "--course-run", RUN)
    assert {path: path.read_bytes() for path in own_campus.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--course-run", RUN], "Missing option '--user-id'."),
        (["--user-id", "2"], "Missing option '--course-run'."),
        (["--user-id", "x", "--course-run", RUN], "Invalid value for '--user-id': 'x' is not a user id, which"),
        (["--user-id", "2", "--course-run", "x"], "Invalid value for '--course-run': course run 'x': not a course key"),
        (["--user-id", "2", "--course-run", RUN, "--site", "no.org"], "there is no site no.org with"),
        (["--user-id", "2", "--course-run", RUN, "--catalog", "none.json"], "none.json: the catalog cannot be read"),
    ],
)
def test_bad_input_is_one_line(options: list[str], complaint: str, campus: Path) -> None:
    """Wrong use is one line that names what is wrong."""
    result = credsync("explain", str(campus), *options, status=2)
    assert result.stderr.startswith(f"credsync: {complaint}")
    assert len(result.stderr.splitlines()) == 1


def test_the_catalog_that_was_found_is_named(campus: Path) -> None:
    """A catalog that nobody named is said on standard error; one that was named is not."""
    options = ("explain", str(campus), "--user-id", "2", "--course-run", RUN)
    assert credsync(*options).stderr == f"credsync: programs from {catalog_path(campus)}\n"
    assert credsync(*options, "--catalog", str(catalog_path(campus))).stderr == ""
