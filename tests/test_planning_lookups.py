"""How little planning a page asks for: nothing that is not needed, and each kind of thing once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from credsync.model import CertificateStatus, Grade, GradeContext
from credsync.planning import Plan
from credsync.ports import RecordKey, SiteOrgs
from credsync.updates import GradeUpdate
from tests.campus_builders import (
    ADVANCED,
    ELSEWHERE,
    FRESH,
    INTRO,
    OLD,
    STRAY,
    Platform,
    Switches,
    cert,
    ends_of,
    grade,
    learner,
    planner_of,
    platform_of,
)


def plan_grade(platform: Platform, one: Grade, **changes: Any) -> Plan:
    """Plan a page of one grade."""
    return planner_of(platform, **changes).plan_grades([one])


def context_of(one: Grade, platform: Platform) -> GradeContext:
    """Say what a source may read beside a grade."""
    name = platform.learners.get(one.user_id)
    beside = platform.certificates_by_key.get(RecordKey(one.user_id, str(one.course_id)))
    return GradeContext(
        username=name.username if name else None,
        mode=beside.mode if beside else None,
        status=beside.status if beside else None,
    )


class TestLookups:
    @pytest.mark.parametrize(
        "changes",
        [
            {"site": SiteOrgs("OtherX")},
            {"policy": Switches(credentials=False)},
            {"policy": Switches(learner_records=False)},
        ],
    )
    def test_are_not_made_where_the_course_run_decides(self, changes: dict[str, Any]) -> None:
        """What can be told from the course run alone is told without a question."""
        platform = platform_of(cert())
        assert len(ends_of(plan_grade(platform, grade(), **changes).tally)) == 1
        assert platform.asked == []

    def test_are_not_made_for_an_empty_page(self) -> None:
        """No records, no questions."""
        platform = platform_of(cert())
        planner = planner_of(platform, notify_programs=True)
        planner.plan_grades([])
        planner.plan_certificates([])
        assert platform.asked == []

    @pytest.mark.parametrize("status", ["error", "deleted"])
    def test_stop_at_the_first_that_decides(self, status: str) -> None:
        """Where certificates already say no, neither learners nor grades are asked for."""
        platform = platform_of(cert(status=status))
        plan_grade(platform, grade(letter_grade=None))
        assert platform.kinds_asked == ["certificates"]

    def test_of_certificates_are_not_made_for_certificates(self) -> None:
        """A page of certificates brings all that it needs, unless programs are spoken of."""
        platform = platform_of(cert())
        planner_of(platform, revoke_program_certs=True).plan_certificates([cert()])
        assert platform.asked == []

    def test_are_not_made_where_no_program_is_in_question(self) -> None:
        """A certificate for a run in no program asks nothing about programs."""
        platform = platform_of(cert(run=STRAY))
        planner_of(platform, notify_programs=True).plan_certificates([cert(run=STRAY)])
        assert platform.asked == []

    def test_want_each_learner_and_key_that_matters_and_no_other(self) -> None:
        """One question per kind serves the page: it names what is needed, each once."""
        platform = platform_of(cert(1), cert(1, run=ADVANCED), cert(2, status="error"))
        planner_of(platform).plan_grades([grade(1), grade(1, run=ADVANCED, letter_grade=None), grade(2), grade(2)])
        assert [(kind, set(wanted)) for kind, wanted in platform.asked] == [
            ("certificates", {(1, INTRO), (1, ADVANCED), (2, INTRO)}),
            ("learners", {1}),
            ("grades", {(1, ADVANCED)}),
        ]

    records = st.lists(
        st.builds(
            grade,
            user_id=st.integers(1, 30),
            run=st.sampled_from([INTRO, ADVANCED, STRAY, ELSEWHERE]),
            letter_grade=st.sampled_from(["A", None]),
            modified=st.sampled_from([OLD, FRESH, None]),
        ),
        max_size=60,
    )

    @given(page=records, users=st.sets(st.integers(1, 30)))
    def test_are_one_for_each_kind_however_long_the_page(self, page: Sequence[Grade], users: set[int]) -> None:
        """A page costs a constant number of look-ups, and each of its records comes to one end."""
        known = [cert(user_id, run=run) for user_id in users for run in (INTRO, ADVANCED, STRAY)]
        platform = platform_of(*known)
        plan = planner_of(platform).plan_grades(page)
        assert len(platform.kinds_asked) == len(set(platform.kinds_asked))
        assert plan.tally.read.total() == len(page)
        assert plan.tally.counts.total() + len(plan.updates) + len(plan.deferrals) == len(page)

    @given(page=records, status=st.sampled_from(["downloadable", "error"]))
    def test_are_not_made_for_grades_that_come_with_their_context(self, page: Sequence[Grade], status: str) -> None:
        """What a source has read along leads to the same ends as what is looked up."""
        grades = list({(one.user_id, one.course_id): one for one in page}.values())
        platform = Platform()
        platform.add(*grades, *(learner(user_id) for user_id in range(1, 20)))
        platform.add(*(cert(user_id, run, status=status) for user_id in range(10, 30) for run in (INTRO, STRAY)))
        plan = planner_of(platform).plan_grades(grades)
        platform.asked.clear()
        known = planner_of(platform).plan_grades([evolve(one, context=context_of(one, platform)) for one in grades])
        assert (known.tally, known.updates, known.deferrals) == (plan.tally, plan.updates, plan.deferrals)
        assert set(platform.kinds_asked) <= {"grades"}

    def test_complete_a_grade_that_comes_with_its_context(self) -> None:
        """What stands beside a grade says nothing of what the grade itself lacks."""
        platform = platform_of(cert(), grade(percent_grade=0.9, letter_grade="A"))
        part = grade(percent_grade=0.5, letter_grade=None)
        plan = plan_grade(platform, evolve(part, context=context_of(part, platform)))
        assert [update.percent_grade for update in plan.updates if isinstance(update, GradeUpdate)] == [0.9]

    @given(statuses=st.lists(st.sampled_from(CertificateStatus), max_size=40))
    def test_are_one_for_all_programs_of_a_page(self, statuses: Sequence[str]) -> None:
        """All program questions of a page are decided by one look-up."""
        platform = Platform()
        planner = planner_of(platform, notify_programs=True, revoke_program_certs=True)
        planner.plan_certificates([cert(user_id, status=status) for user_id, status in enumerate(statuses)])
        assert platform.kinds_asked == ["certificates"] * bool(statuses)
