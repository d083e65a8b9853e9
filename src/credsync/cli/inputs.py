"""What is typed behind an option, read: times, course runs, ids. What cannot be read is the option's error."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import click

from credsync.errors import InvalidRecordError
from credsync.model import parse_course_key

__all__ = ["LARGEST_ID", "read_course_run", "read_org", "read_program_uuid", "read_time", "read_user_id"]

LARGEST_ID = 2**63 - 1
"""The largest integer that the databases hold."""


def read_time(text: str) -> datetime:
    """Read a time in ISO 8601; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time such as 2024-03-01 or 2024-03-01T12:30+02:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_course_run(text: str) -> str:
    """Read a course run's key."""
    try:
        return str(parse_course_key(text))
    except InvalidRecordError as exc:
        raise click.BadParameter(f"{exc.record}: {exc.reason}") from exc


def read_program_uuid(text: str) -> str:
    """Read a program's UUID, however it is written, to lower case with dashes, as programs have it."""
    try:
        return str(UUID(text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a UUID") from None


def read_user_id(text: str) -> int:
    """Read a learner's id."""
    if not text.isdecimal() or not 0 < int(text) <= LARGEST_ID:
        raise click.BadParameter(f"{text!r} is not a user id, which is a whole number from 1 to {LARGEST_ID}")
    return int(text)


def read_org(text: str) -> str:
    """Read an organisation's key, which may be anything."""
    return text
