"""Which records a run reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from attrs import evolve, field, frozen
from opaque_keys.edx.keys import CourseKey

from credsync.errors import ConfigurationError
from credsync.model import parse_course_key

__all__ = ["Selection"]


def _course_runs(values: Iterable[CourseKey | str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(str(parse_course_key(str(value))) for value in values)


def _user_ids(values: Iterable[int] | None) -> frozenset[int] | None:
    return None if values is None else frozenset(values)


def _orgs(values: Iterable[str] | None) -> frozenset[str] | None:
    return frozenset({values}) if isinstance(values, str) else None if values is None else frozenset(values)


def _to_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    if value.utcoffset() is None:
        raise ConfigurationError(f"the window's bound {value.isoformat()} has no time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError as exc:
        raise ConfigurationError(f"the window's bound {value.isoformat()} lies outside the years of UTC") from exc


@frozen(kw_only=True)
class Selection:
    """Which certificates and grades to read: those that meet every condition given.

    None sets no condition; an empty set selects nothing. Times are a half-open window `[start, end)` over when a record
    last changed, or what decides about it beside: a certificate's date override, a grade's certificate.

    Attributes:
        course_runs: Course runs, as strings once built; course keys are taken too.
        start: The first moment of the window, aware.
        end: The first moment after the window, aware.
        user_ids: Learners, by id.
        orgs: Organisations of the course runs; a string is one of them.

    Raises:
        ConfigurationError: If the window is empty, or a bound has no time zone or no year in UTC.
        InvalidRecordError: If a course run is no course key.

    Example:
        >>> Selection(course_runs=["course-v1:X+Y+Z"], user_ids=[7]).is_everything
        False
    """

    course_runs: frozenset[str] | None = field(default=None, converter=_course_runs)
    start: datetime | None = field(default=None, converter=_to_utc)
    end: datetime | None = field(default=None, converter=_to_utc)
    user_ids: frozenset[int] | None = field(default=None, converter=_user_ids)
    orgs: frozenset[str] | None = field(default=None, converter=_orgs)

    def __attrs_post_init__(self) -> None:
        """Refuse a window in which no moment lies."""
        if self.start and self.end and self.start >= self.end:
            raise ConfigurationError(
                f"the window is empty: it starts at {self.start.isoformat()}, not before its end {self.end.isoformat()}"
            )

    @property
    def is_everything(self) -> bool:
        """Whether nothing is filtered out."""
        return self == Selection()

    @property
    def has_window(self) -> bool:
        """Whether it matters when a record changed."""
        return self.start is not None or self.end is not None

    def without_window(self) -> Selection:
        """Return the selection of the same records, whenever they changed."""
        return evolve(self, start=None, end=None)

    def is_in_window(self, moment: datetime) -> bool:
        """Whether `moment` lies in the window."""
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)

    def as_dict(self) -> Mapping[str, object]:
        """Return a JSON-able form; the same selection gives the same form."""
        return {
            "course_runs": None if self.course_runs is None else sorted(self.course_runs),
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat() if self.end else None,
            "user_ids": None if self.user_ids is None else sorted(self.user_ids),
            "orgs": None if self.orgs is None else sorted(self.orgs),
        }
