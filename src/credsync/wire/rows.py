"""The service's rows, as it echoes a post or reads one back, held against the updates that made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from operator import eq
from typing import Any, TypeGuard

from credsync.updates import Update
from credsync.wire.bodies import encode_update

__all__ = ["find_differences", "is_row", "target_of"]


def is_row(row: object) -> TypeGuard[dict[str, object]]:
    """Whether an answer says whose grade or credential it is, and in what."""
    return isinstance(row, dict) and "username" in row and ("course_run" in row or "credential" in row)


def target_of(row: Mapping[str, Any]) -> str | None:
    """Return what a row that is read back is about: a course run, or a program by its UUID; None where it is neither.

    Example:
        >>> target_of({"username": "ada", "credential": {"type": "course-run", "course_run_key": "course-v1:X+Y+Z"}})
        'course-v1:X+Y+Z'
    """
    about = row.get("course_run") or row.get("credential")
    if not isinstance(about, Mapping):
        return None
    return about.get("key") or about.get("course_run_key") or about.get("program_uuid")


def find_differences(update: Update, row: Mapping[str, object]) -> tuple[str, ...]:
    """Name the fields in which a row of the service differs from what the update would store.

    Serves for the row that a post echoes as for one that is read back. A field that the row lacks does not differ; nor
    does the mode of a credential, which is that of the run's first one, nor the attributes, which nothing acts upon.

    Args:
        update: The truth.
        row: A grade or a credential, as the service writes it. Its times are to the second.

    Raises:
        InvalidRecordError: If the service could not hold what the update says.

    Example:
        >>> from credsync.updates import GradeUpdate
        >>> grade = GradeUpdate(
        ...     user_id=7, username="ada", course_run="course-v1:X+Y+Z", letter_grade="B", percent_grade=0.85
        ... )
        >>> find_differences(grade, {"username": "ada", "letter_grade": "C", "percent_grade": "0.8500"})
        ('letter_grade',)
    """
    wanted = encode_update(update)
    return tuple(
        field
        for field, is_same in COMPARISONS.items()
        if field in wanted and field in row and not is_same(wanted[field], row[field])
    )


def _is_same_number(wanted: str, stored: object) -> bool:
    try:
        return Decimal(str(stored)) == Decimal(wanted)
    except InvalidOperation:
        return False


def _is_same_second(wanted: str | None, stored: Any) -> bool:
    if wanted is None or stored is None:
        return wanted is stored
    try:
        gap = datetime.fromisoformat(wanted) - datetime.fromisoformat(stored)
    except (TypeError, ValueError):
        return False
    return abs(gap) < timedelta(seconds=1)  # microseconds are stored, and never echoed


def _is_same_override(wanted: Mapping[str, str] | None, stored: Any) -> bool:
    wanted_date = None if wanted is None else wanted["date"]
    return _is_same_second(wanted_date, stored.get("date") if isinstance(stored, dict) else stored)


def _is_same_credential(wanted: Mapping[str, str], stored: object) -> bool:
    names = wanted.keys() & {"course_run_key", "program_uuid"}
    return isinstance(stored, dict) and all(stored.get(name) == wanted[name] for name in names)


COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "username": eq,
    "course_run": eq,
    "letter_grade": eq,
    "percent_grade": _is_same_number,
    "verified": eq,
    "lms_last_updated_at": _is_same_second,
    "credential": _is_same_credential,
    "status": eq,
    "date_override": _is_same_override,
}
"""The fields of a row that must be what was sent, and when they are the same."""
