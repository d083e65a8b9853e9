"""One record as a line of text, and the lines of a preview."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from credsync.model import CertificateRecord, GradeRecord

__all__ = ["PREVIEW_LENGTH", "certstr", "gradestr", "iter_preview"]

R = TypeVar("R")

PREVIEW_LENGTH = 10
"""Records of a kind that a preview shows in full."""


def certstr(cert: CertificateRecord) -> str:
    """Name a certificate by course run and user id.

    Example:
        >>> from credsync import Certificate, Learner, certstr
        >>> ada = Learner(id=7, username="ada")
        >>> certstr(Certificate(user=ada, course_id="course-v1:X+Y+Z", mode="verified", status="downloadable"))
        'course-v1:X+Y+Z for user 7'
    """
    return f"{cert.course_id} for user {cert.user.id}"


def gradestr(grade: GradeRecord) -> str:
    """Name a grade by course run and user id.

    Example:
        >>> from credsync import Grade, gradestr
        >>> gradestr(Grade(user_id=7, course_id="course-v1:X+Y+Z", percent_grade=0.85))
        'course-v1:X+Y+Z for user 7'
    """
    return f"{grade.course_id} for user {grade.user_id}"


def iter_preview(heading: str, records: Iterable[R], describe: Callable[[R], str]) -> Iterator[str]:
    """Yield the lines of a preview: how many records there are, the first ones, and how many more.

    Goes through all records, holding no more than the first `PREVIEW_LENGTH`.

    Args:
        heading: What the records are, in the plural.
        records: The records; a generator is used up.
        describe: Gives a record's line.
    """
    remaining = iter(records)
    shown = [describe(record) for record in islice(remaining, PREVIEW_LENGTH)]
    more = sum(1 for _ in remaining)
    yield f"{len(shown) + more} {heading}:"
    yield from (f"\t{line}" for line in shown)
    if more:
        yield f"(+ {more} more)"
