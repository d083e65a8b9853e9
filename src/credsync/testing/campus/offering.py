"""What the campus offers: sites and their orgs, courses and their runs, and the programs that list the courses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

__all__ = [
    "DAY",
    "DAYS_OPEN",
    "EPOCH",
    "SITES",
    "SITE_CONFIGURATIONS",
    "TEACHING_DAYS",
    "CourseRun",
    "SiteConfigurationRow",
    "SiteRow",
    "iter_course_runs",
    "list_programs",
]

SiteRow = tuple[int, str]
SiteConfigurationRow = tuple[int, int, bool, str]

EPOCH = datetime(2023, 1, 1, tzinfo=UTC)
"""The first day of the campus; all its times count microseconds from here"""

DAYS_OPEN = 731
"""The days of 2023 and 2024."""

DAY = 86_400_000_000
"""Microseconds in a day."""

ORGS = ("CampusX", "ScienceX", "MathX", "ArtsX", "ArchiveX")
SUBJECTS = (("CS", "Computing"), ("BIO", "Biology"), ("ALG", "Algebra"), ("ART", "Drawing"), ("HIS", "History"))

SITES: tuple[SiteRow, ...] = (
    (1, "campus.example.org"),
    (2, "science.example.org"),
    (3, "archive.example.org"),
    (4, "closed.example.org"),
)

SITE_CONFIGURATIONS: tuple[SiteConfigurationRow, ...] = (
    (1, 1, True, json.dumps({"PLATFORM_NAME": "Sample Campus", "course_org_filter": "CampusX"})),
    (2, 2, True, json.dumps({"course_org_filter": ["ScienceX", "MathX", "ArtsX"], "ENABLE_LEARNER_RECORDS": True})),
    (3, 3, True, json.dumps({"course_org_filter": ["ArchiveX"], "ENABLE_LEARNER_RECORDS": False})),
    # Who forgets to look at `enabled` switches the learner records of the largest org off.
    (4, 4, False, json.dumps({"course_org_filter": "CampusX", "ENABLE_LEARNER_RECORDS": False})),
)

# Name and first day. The last one leaves room for the 180 days in which a run's records change.
TERMS = (("1T2023", 8), ("3T2023", 240), ("1T2024", 372), ("3T2024", 545))
TEACHING_DAYS = 120
"""The days from a run's opening to its end."""
REGRADE_AFTER_DAYS = 150

COURSE_TYPES = (
    "verified",
    "verified",
    "professional",
    "verified",
    "credit",
    "verified",
    "no-id-professional",
    "masters",
)

PASS_OR_FAIL = ((0.6, "Pass"),)
LETTERS = ((0.9, "A"), (0.8, "B"), (0.7, "C"), (0.6, "D"))

PROGRAM_TYPES = ("MicroMasters", "Professional Certificate", "XSeries")
PROGRAM_STATUSES = ("active", "active", "active", "retired", "active", "unpublished", "active", "active", "deleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseRun:
    """One run of a course: its key, its type in the catalog (None: not given), and when its records change."""

    key: str
    type: str | None
    opens: int
    regraded: int
    scale: tuple[tuple[float, str], ...]


def iter_course_runs(courses: int) -> Iterator[CourseRun]:
    """Iterate over the runs of all courses, those that most learners take first."""
    for course in range(courses):
        yield from _runs_of(course)


def _runs_of(course: int) -> Iterator[CourseRun]:
    """Iterate over the two to four runs of a course."""
    for position, (term, first_day) in enumerate(TERMS[course % 3 :]):
        # Every second bulk regrade falls on a whole second, which Django writes without a fraction.
        regraded = (first_day + REGRADE_AFTER_DAYS + course % 29) * DAY + 2 * 3_600_000_000 + course % 2 * 517
        yield CourseRun(
            key=_run_key(course, term, legacy=course % 7 == 0 and position == 0),
            type=None if course % 4 == 0 and position == 1 else COURSE_TYPES[course % len(COURSE_TYPES)],
            opens=first_day * DAY,
            regraded=regraded,
            scale=LETTERS if course % 2 else PASS_OR_FAIL,
        )


def _run_key(course: int, term: str, *, legacy: bool) -> str:
    if legacy:
        return f"{_org(course)}/{_number(course)}/{term}"
    return f"course-v1:{_org(course)}+{_number(course)}+{term}"


def _org(course: int) -> str:
    return ORGS[course % len(ORGS)]


def _number(course: int) -> str:
    prefix, _ = SUBJECTS[course % len(SUBJECTS)]
    return f"{prefix}{101 + course}" + (".1x" if course % 3 == 1 else "")


def list_programs(seed: int, courses: int, programs: int) -> list[dict[str, Any]]:
    """List the programs in the catalog's JSON shape; a few of the courses, at least one of several, are in none."""
    listed = max(1, courses - max(1, courses // 8))
    return [_program(seed, number, listed) for number in range(programs)]


def _program(seed: int, number: int, listed: int) -> dict[str, Any]:
    """Build a program of up to four neighbouring courses, which it shares with the programs before and after."""
    first, size = 2 * number, 2 + number % 3
    program = _bare_program(seed, f"{number + 1}", number, sorted({(first + step) % listed for step in range(size)}))
    if number % 5 == 1:
        child = _bare_program(seed, f"{number + 1}, first part", number, [(first + size + 1) % listed])
        program["curricula"] = [
            {"is_active": True, "courses": [_course((first + size) % listed)], "programs": [child]},
        ]
    return program


def _bare_program(seed: int, name: str, number: int, courses: list[int]) -> dict[str, Any]:
    program_type = PROGRAM_TYPES[number % len(PROGRAM_TYPES)]
    return {
        "uuid": str(uuid5(NAMESPACE_URL, f"https://campus.example.org/{seed}/programs/{name}")),
        "title": f"Sample {program_type} {name}",
        "type": program_type,
        "status": PROGRAM_STATUSES[number % len(PROGRAM_STATUSES)],
        "authoring_organizations": [{"key": org} for org in dict.fromkeys(map(_org, courses))],
        "courses": [_course(course) for course in courses],
    }


def _course(course: int) -> dict[str, Any]:
    _, subject = SUBJECTS[course % len(SUBJECTS)]
    return {
        "key": f"{_org(course)}+{_number(course)}",
        "title": f"{subject} {101 + course}",
        "course_runs": [_course_run(run) for run in _runs_of(course)],
    }


def _course_run(run: CourseRun) -> dict[str, Any]:
    described = {
        "key": run.key,
        "status": "published",
        "start": _catalog_time(run.opens),
        "end": _catalog_time(run.opens + TEACHING_DAYS * DAY),
    }
    return described if run.type is None else described | {"type": run.type}


def _catalog_time(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
