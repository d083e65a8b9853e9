"""What is typed behind an option is read, or refused in a line that names it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from credsync.cli.inputs import read_course_run, read_program_uuid, read_time, read_user_id


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03-01", datetime(2024, 3, 1, tzinfo=UTC)),
        ("2024-03-01T12:30", datetime(2024, 3, 1, 12, 30, tzinfo=UTC)),
        ("2024-03-01 12:30:05.25", datetime(2024, 3, 1, 12, 30, 5, 250_000, tzinfo=UTC)),
        ("2024-03-01T12:30Z", datetime(2024, 3, 1, 12, 30, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date or a time that names no zone is UTC, wherever the machine is."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert read_time(text) == moment
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_time_keeps_its_zone() -> None:
    """A time that names a zone is the moment it names."""
    assert read_time("2024-03-01T12:30+02:00") == datetime(2024, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize("text", ["yesterday", "", "2024-13-01", "01/02/2024", "2024-02-30"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """What is no time is quoted, with examples of what would be one."""
    with pytest.raises(click.BadParameter, match="is not a time such as 2024-03-01 or") as caught:
        read_time(text)
    assert repr(text) in caught.value.message


def test_course_runs_of_every_kind_are_read() -> None:
    """A course key of today and a legacy one are read as they are written."""
    assert read_course_run("course-v1:X+Y+Z") == "course-v1:X+Y+Z"
    assert read_course_run("X/Y/Z") == "X/Y/Z"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nonsense", "course run 'nonsense': not a course key"),
        ("course-v1:X+Y+Z\x00", r"course run 'course-v1:X+Y+Z\x00': not a course key"),
        ("course-v1:X+Y+" + "Z" * 286, f"course run 'course-v1:X+Y+{'Z' * 26}'…: course_id: 300 characters"),
    ],
)
def test_what_is_no_course_run_is_refused(text: str, complaint: str) -> None:
    """A key that does not parse is quoted, and a long one shortened."""
    with pytest.raises(click.BadParameter) as caught:
        read_course_run(text)
    assert complaint.replace("course_id: ", "") in caught.value.message


def test_a_uuid_is_read_however_it_is_written() -> None:
    """A UUID in capitals or without dashes names the same program."""
    uuid = "6883080f-0000-4000-8000-00000000abcd"
    assert {read_program_uuid(uuid), read_program_uuid(uuid.upper()), read_program_uuid(uuid.replace("-", ""))} == {
        uuid
    }


def test_what_is_no_uuid_is_refused() -> None:
    """What is no UUID is quoted."""
    with pytest.raises(click.BadParameter, match="'6883' is not a UUID"):
        read_program_uuid("6883")


def test_a_user_id_is_read() -> None:
    """Ids up to the largest that a database holds are read."""
    assert [read_user_id(text) for text in ("1", "007", str(2**63 - 1))] == [1, 7, 2**63 - 1]


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "ada", "", str(2**63), "²"])
def test_what_is_no_user_id_is_refused(text: str) -> None:
    """What no database could hold as an id is quoted."""
    with pytest.raises(click.BadParameter, match="is not a user id") as caught:
        read_user_id(text)
    assert repr(text) in caught.value.message
