"""What certificates mean for programs, by table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest

from credsync.awards import ProgramQuestion, is_awarded, iter_questions
from credsync.catalog import Course, CourseRun, Program, ProgramIndex
from credsync.errors import InvalidRecordError
from credsync.model import Certificate
from credsync.ports import RecordKey
from credsync.updates import ProgramAward, ProgramRevocation
from tests.campus_builders import (
    ADVANCED,
    ELSEWHERE,
    FRESH,
    INTRO,
    INTRO_AGAIN,
    OLD,
    PROGRAM,
    PROGRAMS,
    STRAY,
    cert,
    learner,
)

TWO_COURSES = PROGRAMS[0]
"""A program of two courses; the first has two runs, the second one."""

PASSED, FAILED = "downloadable", "notpassing"


def held_of(*certificates: Certificate) -> dict[RecordKey, Certificate | InvalidRecordError]:
    """Return certificates by key."""
    return {RecordKey(held.user_id, str(held.course_id)): held for held in certificates}


def question_of(*, award: bool = True, revoke: bool = True, program: Program = TWO_COURSES) -> ProgramQuestion:
    """Ask about the first learner."""
    return ProgramQuestion(learner=learner(), program=program, may_award=award, may_revoke=revoke)


class TestAnswers:
    @pytest.mark.parametrize(
        ("statuses", "answer"),
        [
            ({INTRO: PASSED, ADVANCED: PASSED}, ProgramAward),
            ({INTRO_AGAIN: PASSED, ADVANCED: PASSED}, ProgramAward),
            ({INTRO: PASSED, INTRO_AGAIN: PASSED, ADVANCED: PASSED}, ProgramAward),
            ({INTRO: FAILED, INTRO_AGAIN: PASSED, ADVANCED: PASSED}, ProgramAward),
            ({INTRO: PASSED, INTRO_AGAIN: FAILED, ADVANCED: PASSED}, ProgramAward),
            ({INTRO: "generating", ADVANCED: PASSED}, ProgramAward),
            ({INTRO: PASSED, ADVANCED: FAILED}, ProgramRevocation),
            ({INTRO: FAILED, INTRO_AGAIN: FAILED, ADVANCED: PASSED}, ProgramRevocation),
            ({INTRO: PASSED, INTRO_AGAIN: PASSED}, ProgramRevocation),
            ({ADVANCED: PASSED}, ProgramRevocation),
            ({}, ProgramRevocation),
        ],
        ids=str,
    )
    def test_follow_from_what_the_learner_holds(self, statuses: Mapping[str, str], answer: type) -> None:
        """A program is completed while each course has a passed run, whichever; losing one of two takes nothing."""
        held = held_of(*(cert(run=run, status=status) for run, status in statuses.items()))
        assert type(question_of().answer(held)) is answer

    @pytest.mark.parametrize("is_completed", [True, False])
    @pytest.mark.parametrize("award", [True, False])
    @pytest.mark.parametrize("revoke", [True, False])
    def test_are_given_only_to_what_was_asked(self, is_completed: bool, award: bool, revoke: bool) -> None:
        """A passing certificate never revokes, and one that is not passing never awards."""
        held = held_of(cert(), cert(run=ADVANCED)) if is_completed else {}
        answer = question_of(award=award, revoke=revoke).answer(held)
        assert (answer is not None) == (award if is_completed else revoke)

    def test_name_learner_program_and_dates(self) -> None:
        """An award is visible once its last course was passed, and as young as the youngest certificate behind it."""
        held = held_of(cert(modified_date=OLD), cert(run=ADVANCED, modified_date=FRESH, date_override=OLD))
        assert question_of().answer(held) == ProgramAward(
            user_id=1, username=learner().username or "", program_uuid=PROGRAM, visible_date=OLD, source_time=FRESH
        )

    def test_name_learner_and_program_of_a_revocation(self) -> None:
        """A revocation is as young as the youngest certificate that decided it, passing or not."""
        held = held_of(cert(modified_date=OLD), cert(run=ADVANCED, status=FAILED, modified_date=FRESH))
        assert question_of().answer(held) == ProgramRevocation(
            user_id=1, username=learner().username or "", program_uuid=PROGRAM, source_time=FRESH
        )

    def test_have_no_time_where_no_certificate_has_one(self) -> None:
        """An unknown time is unknown, not the beginning of all time."""
        answer = question_of().answer(held_of(cert(modified_date=None), cert(run=ADVANCED, modified_date=None)))
        assert isinstance(answer, ProgramAward)
        assert (answer.source_time, answer.visible_date) == (None, None)

    def test_ignore_what_is_held_elsewhere(self) -> None:
        """Another learner's certificates, and those of other course runs, decide nothing."""
        held = held_of(cert(2), cert(2, run=ADVANCED), cert(run=STRAY), cert(run=ADVANCED))
        assert type(question_of().answer(held)) is ProgramRevocation

    def test_are_not_given_on_broken_ground(self) -> None:
        """With one of the certificates unreadable nothing is known, even if the others look like a revocation."""
        broken = InvalidRecordError("row 12", "status", "5 is not text")
        with pytest.raises(InvalidRecordError, match="row 12"):
            question_of().answer({**held_of(cert(status=FAILED)), RecordKey(1, ADVANCED): broken})

    def test_need_the_certificates_of_the_courses_alone(self) -> None:
        """The runs that only a curriculum names do not decide, and are not looked up."""
        program = Program(
            uuid=PROGRAM,
            courses=TWO_COURSES.courses,
            curriculum_courses=(Course(course_runs=(CourseRun(key=STRAY, type="verified"),)),),
        )
        wanted = list(question_of(program=program).certificate_keys())
        assert wanted == [(1, INTRO), (1, INTRO_AGAIN), (1, ADVANCED)]


class TestQuestions:
    @pytest.mark.parametrize(
        ("statuses", "revoke", "asked"),
        [
            ([PASSED], False, (True, False)),
            ([PASSED], True, (True, False)),
            ([FAILED], False, None),
            ([FAILED], True, (False, True)),
            ([PASSED, FAILED], False, (True, False)),
            ([PASSED, FAILED], True, (True, True)),
            ([FAILED, PASSED], True, (True, True)),
            (["generating"], True, (True, False)),
            (["a-status-of-tomorrow"], True, (False, True)),
        ],
    )
    def test_are_raised_by_what_changed(
        self, statuses: list[str], revoke: bool, asked: tuple[bool, bool] | None
    ) -> None:
        """A passing certificate may award, another may revoke if wanted; a learner twice on a page asks once."""
        certificates = [cert(run=run, status=status) for run, status in zip([INTRO, ADVANCED], statuses, strict=False)]
        questions = list(iter_questions(certificates, ProgramIndex(PROGRAMS), revoke=revoke))
        assert [(one.may_award, one.may_revoke) for one in questions] == ([] if asked is None else [asked])

    def test_are_raised_for_each_learner_and_program(self) -> None:
        """Two learners are two questions, and so is a run that two programs list."""
        shared = Program(uuid="6883080f-0000-4000-8000-000000000009", courses=TWO_COURSES.courses)
        index = ProgramIndex([*PROGRAMS, shared])
        questions = iter_questions([cert(1), cert(2), cert(1, run=ELSEWHERE), cert(1, run=STRAY)], index, revoke=True)
        assert {(one.learner.id, one.program.uuid[-1]) for one in questions} == {
            (1, "1"),
            (1, "9"),
            (2, "1"),
            (2, "9"),
            (1, "2"),
        }

    @pytest.mark.parametrize(
        ("status", "excluded", "is_asked"),
        [
            ("active", (), True),
            ("retired", (), True),
            ("unpublished", (), False),
            ("deleted", (), False),
            ("active", {PROGRAM}, False),
            ("retired", [PROGRAM], False),
            ("active", {"6883080f-0000-4000-8000-000000000009"}, True),
        ],
    )
    def test_are_not_raised_for_programs_nothing_is_said_of(
        self, status: str, excluded: Collection[str], is_asked: bool
    ) -> None:
        """Only an active or retired program can be earned or lost, and none that the host excludes."""
        program = Program(uuid=PROGRAM, status=status, courses=TWO_COURSES.courses)
        questions = iter_questions(
            [cert(), cert(2, status=FAILED)], ProgramIndex([program]), revoke=True, excluded=excluded
        )
        assert len(list(questions)) == (2 if is_asked else 0)
        assert is_awarded(program, excluded) == is_asked

    def test_keep_the_newest_of_several_dates(self) -> None:
        """The earliest certificate of a course dates it, the latest course dates the award."""
        held = held_of(
            cert(modified_date=FRESH),
            cert(run=INTRO_AGAIN, modified_date=OLD),
            cert(run=ADVANCED, modified_date=OLD + timedelta(days=1)),
        )
        answer = question_of().answer(held)
        assert isinstance(answer, ProgramAward)
        assert (answer.visible_date, answer.source_time) == (OLD + timedelta(days=1), FRESH)
