"""The preview of a dry run is that of `log_dry_run`, noted while the run reads."""

from __future__ import annotations

import pytest
from typing_extensions import override

from credsync.adapters.memory import MemoryPlatform
from credsync.cli.preview import PreviewedSource
from credsync.errors import InvalidRecordError, RecordName
from credsync.formatting import certstr, gradestr, iter_preview
from credsync.model import Certificate, Grade, Learner
from credsync.paging import Page, paged_query
from credsync.selection import Selection

CERTIFICATES = [
    Certificate(user=Learner(id=number), course_id="course-v1:X+Y+Z", mode="verified", status="downloadable")
    for number in range(1, 41)
]
GRADES = [Grade(user_id=number, course_id="course-v1:X+Y+Z", percent_grade=0.5) for number in range(1, 41)]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 40])
def test_the_preview_is_that_of_the_library(count: int) -> None:
    """Whatever the page size, the lines are those that the formatting of the library gives."""
    platform = MemoryPlatform()
    platform.add(*CERTIFICATES[:count], *GRADES[: count // 2])
    source = PreviewedSource(platform)
    for pages in (source.certificates(Selection()), source.grades(Selection())):
        assert sum(1 for _ in paged_query(pages, page_size=3)) >= 0
    assert list(source.iter_lines()) == [
        *iter_preview("Certificates", CERTIFICATES[:count], certstr),
        *iter_preview("Grades", GRADES[: count // 2], gradestr),
    ]


def test_only_what_is_shown_is_kept() -> None:
    """However many records pass, no more of them are held than the preview shows."""
    platform = MemoryPlatform()
    platform.add(*GRADES)
    source = PreviewedSource(platform)
    pages = source.grades(Selection())
    for _ in paged_query(pages, page_size=7):
        assert len(pages.first) <= 10  # type: ignore[attr-defined]  # what it holds is the question
    assert pages.count == 40  # type: ignore[attr-defined]  # likewise


def test_a_record_that_cannot_be_built_has_a_line() -> None:
    """A row that is not what it says it is was selected, too, and has a name."""

    class Broken(MemoryPlatform):
        @override
        def grades(self, selection: Selection) -> Broken:  # type: ignore[override]  # the page source is itself
            return self

        def fetch(self, after: object, limit: int) -> Page[Grade]:
            return Page(
                [InvalidRecordError(RecordName("grade", 7, "course-v1:X+Y+Z"), "percent_grade", "x"), GRADES[0]], None
            )

    source = PreviewedSource(Broken())
    source.grades(Selection()).fetch(None, 10)
    assert list(source.iter_lines()) == ["2 Grades:", "\tcourse-v1:X+Y+Z for user 7", "\tcourse-v1:X+Y+Z for user 1"]
