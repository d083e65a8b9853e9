"""What the fields of a record may hold: values in the form that they are kept in, and objections to what cannot be."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

from opaque_keys.edx.keys import CourseKey

__all__ = [
    "EPOCH",
    "MAX_COURSE_KEY_LENGTH",
    "MICROSECOND",
    "Objection",
    "check_course_key",
    "check_fraction",
    "check_text",
    "check_user_id",
    "check_utc",
    "get_micros",
    "to_fraction",
    "to_micros",
    "to_utc",
]

MAX_COURSE_KEY_LENGTH = 255
"""Characters in a course key: the width of `course_id` in the LMS tables and of `CourseRun.key` in the Credentials
service."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MICROSECOND = timedelta(microseconds=1)

Objection: TypeAlias = tuple[str, str] | None
"""What is wrong with a value: the field and the reason."""


def check_course_key(value: object) -> Objection:
    """Object to what is no course key; a text that could not be parsed is shown."""
    if isinstance(value, CourseKey):
        return None
    return "course_id", f"{str(value)[:80]!r} is not a course key of at most {MAX_COURSE_KEY_LENGTH} characters"


def to_fraction(value: float | Decimal | None) -> float | None:
    """Make a float of what database drivers give for one. What is none stays what it is, for the check."""
    try:
        return float(value) if type(value) is int or isinstance(value, Decimal) else value
    except (OverflowError, ValueError):  # too large for a float, or a signalling NaN
        return math.nan


def to_utc(value: datetime | None) -> datetime | None:
    """Express an aware datetime in UTC. What is none stays what it is, for the check that can name the record."""
    if value is None or not isinstance(value, datetime) or value.tzinfo is UTC or value.utcoffset() is None:
        return value
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return value


def to_micros(moment: datetime | None) -> int | None:
    """Return an aware time as whole microseconds since 1970 (UTC): exact, and the same whatever its zone."""
    return None if moment is None else get_micros(moment)


def get_micros(moment: datetime) -> int:
    """Return a time, which is there, as whole microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def check_utc(name: str, value: object) -> Objection:
    """Object to what is no time in UTC; none at all is fine."""
    if value is None or (isinstance(value, datetime) and value.tzinfo is UTC):
        return None
    if not isinstance(value, datetime):
        return name, f"{value!r} is not a datetime"
    return name, f"{value} has no time zone" if value.utcoffset() is None else f"{value} lies outside the years of UTC"


def check_text(name: str, value: object) -> Objection:
    """Object to what is no text."""
    return None if isinstance(value, str) else (name, f"{value!r} is not text")


def check_fraction(value: object) -> Objection:
    """Object to what is no grade from 0 to 1; none at all is fine."""
    if value is None:
        return None
    if not isinstance(value, float):
        return "percent_grade", f"{value!r} is not a number"
    if not math.isfinite(value):
        return "percent_grade", f"{value} is not a finite number"
    return None if 0 <= value <= 1 else ("percent_grade", f"{value} is outside 0 to 1")


def check_user_id(value: object) -> Objection:
    """Object to what is no id, without showing it: it may be a name."""
    is_id = isinstance(value, int) and not isinstance(value, bool)
    return None if is_id else ("user_id", f"a {type(value).__name__} is not a user id")
