"""One record as a line, and the lines of a preview, to the letter."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credsync.formatting import PREVIEW_LENGTH, certstr, gradestr, iter_preview
from credsync.model import Certificate, Grade, Learner, parse_course_key

INTRO = "course-v1:DemoX+Intro+2024"
RUNS = [INTRO, "DemoX/Old/2012", "course-v1:ÉcoleX+Été+2024"]


def preview(records: object) -> list[str]:
    """The lines for records that describe themselves."""
    return list(iter_preview("Certificates", records, str))  # type: ignore[arg-type]  # each test says what it passes


class TestCertstr:
    @pytest.mark.parametrize("run", RUNS)
    def test_names_course_run_and_user_id(self, run: str) -> None:
        """The reference's line, without a name in it."""
        ada = Learner(id=7, username="ada")
        cert = Certificate(user=ada, course_id=run, mode="verified", status="downloadable")
        assert certstr(cert) == f"{run} for user 7"

    @pytest.mark.parametrize("course_id", [INTRO, parse_course_key(INTRO)], ids=["text", "key"])
    def test_takes_a_host_s_own_object(self, course_id: object) -> None:
        """Neither a string nor a key needs converting first."""
        row = SimpleNamespace(user=SimpleNamespace(id=7, username="ada"), course_id=course_id, mode="audit", status="x")
        assert certstr(row) == f"{INTRO} for user 7"


class TestGradestr:
    @pytest.mark.parametrize("run", RUNS)
    def test_names_course_run_and_user_id(self, run: str) -> None:
        """The reference's line."""
        assert gradestr(Grade(user_id=7, course_id=run)) == f"{run} for user 7"

    @pytest.mark.parametrize("course_id", [INTRO, parse_course_key(INTRO)], ids=["text", "key"])
    def test_takes_a_host_s_own_object(self, course_id: object) -> None:
        """Neither a string nor a key needs converting first."""
        row = SimpleNamespace(user_id=7, course_id=course_id, percent_grade=0.5, letter_grade="", modified=None)
        assert gradestr(row) == f"{INTRO} for user 7"


class TestPreview:
    @pytest.mark.parametrize(
        ("records", "lines"),
        [
            ([], ["0 Certificates:"]),
            (["a"], ["1 Certificates:", "\ta"]),
            (["a", "b"], ["2 Certificates:", "\ta", "\tb"]),
            (list("abcdefghij"), ["10 Certificates:", *(f"\t{letter}" for letter in "abcdefghij")]),
            (list("abcdefghijk"), ["11 Certificates:", *(f"\t{letter}" for letter in "abcdefghij"), "(+ 1 more)"]),
            (["a"] * 1000, ["1000 Certificates:", *["\ta"] * 10, "(+ 990 more)"]),
        ],
        ids=lambda value: str(len(value)),
    )
    def test_is_the_reference_s_to_the_letter(self, records: list[str], lines: list[str]) -> None:
        """A count, the first ten behind a tab, and how many more if there are more."""
        assert preview(records) == lines

    def test_names_what_it_counts(self) -> None:
        """The heading is the caller's."""
        assert list(iter_preview("Grades", [Grade(user_id=7, course_id=INTRO)], gradestr)) == [
            "1 Grades:",
            f"\t{INTRO} for user 7",
        ]

    @given(count=st.integers(0, 40))
    def test_a_generator_gives_the_same_lines_as_a_list(self, count: int) -> None:
        """What can be read only once is read only once."""
        assert preview(number for number in range(count)) == preview(list(range(count)))

    def test_describes_only_what_it_shows(self) -> None:
        """A record behind the first ten costs a count, no line."""
        described: list[int] = []

        def describe(number: int) -> str:
            described.append(number)
            return str(number)

        lines = list(iter_preview("Grades", range(1000), describe))
        assert described == list(range(PREVIEW_LENGTH))
        assert len(lines) == PREVIEW_LENGTH + 2

    def test_reads_nothing_before_the_first_line_is_asked_for(self) -> None:
        """A preview that nobody looks at costs nothing."""
        read: list[int] = []

        def records() -> Iterator[int]:
            for number in range(3):
                read.append(number)
                yield number

        lines = iter_preview("Grades", records(), str)
        assert read == []
        assert next(lines) == "3 Grades:"
        assert read == [0, 1, 2]
