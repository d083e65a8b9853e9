"""Times as the service reads and writes them: aware, UTC, and to the second in every answer."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["OutOfRangeError", "format_moment", "parse_moment"]


class OutOfRangeError(ValueError):
    """A time that leaves the calendar when it is converted to UTC."""


def parse_moment(text: str) -> datetime:
    """Read any ISO 8601 form; one without a zone is UTC, nanoseconds are cut.

    Raises:
        ValueError: If the text is no such time. A lower-case `z` is none.
        OutOfRangeError: If it is one, but not within the years 1 to 9999 of UTC.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise OutOfRangeError(text) from exc


def format_moment(moment: datetime) -> str:
    """Write a time as the service echoes it: whole seconds, and the year without leading zeros."""
    return f"{moment.year}-{moment:%m-%dT%H:%M:%S}Z"
