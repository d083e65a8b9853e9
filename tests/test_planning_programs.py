"""Planning programs: what a page of certificates means for them, and what decides it."""

from __future__ import annotations

import pytest

from credsync.catalog import Course, CourseRun, Program, ProgramIndex
from credsync.model import Learner
from credsync.ports import RecordKey
from credsync.updates import CertificateUpdate, ProgramAward, ProgramRevocation
from tests.campus_builders import (
    ADVANCED,
    ELSEWHERE,
    FRESH,
    INTRO,
    OLD,
    OTHER_PROGRAM,
    PROGRAM,
    Platform,
    Row,
    cert,
    planner_of,
    platform_of,
)


class TestPrograms:
    def test_are_not_spoken_of_unasked(self) -> None:
        """Without the option, a certificate is a certificate."""
        plan = planner_of(Platform(), revoke_program_certs=True).plan_certificates([cert(run=ELSEWHERE)])
        assert [update.key.kind for update in plan.updates] == ["certificate"]

    def test_are_awarded_with_what_the_learner_holds_elsewhere(self) -> None:
        """The certificates that decide, and are not on the page, are looked up."""
        platform = platform_of(cert(run=ADVANCED, modified_date=OLD))
        plan = planner_of(platform, notify_programs=True).plan_certificates([cert()])
        (award,) = (update for update in plan.updates if isinstance(update, ProgramAward))
        assert (award.key, award.source_time, award.visible_date) == (("program", 1, PROGRAM), FRESH, FRESH)
        assert plan.tally.read == {"certificate": 1, "program": 1}

    def test_are_awarded_by_certificates_that_only_the_page_knows(self) -> None:
        """A host's certificates count also while its look-up does not see them."""
        plan = planner_of(Platform(), notify_programs=True).plan_certificates([cert(), cert(run=ADVANCED)])
        assert [type(update) for update in plan.updates] == [CertificateUpdate, CertificateUpdate, ProgramAward]

    def test_that_are_not_completed_are_left_alone(self) -> None:
        """A passing certificate that completes nothing says nothing, and counts as nothing read."""
        plan = planner_of(Platform(), notify_programs=True).plan_certificates([cert()])
        assert (len(plan.updates), plan.tally.read) == (1, {"certificate": 1})

    @pytest.mark.parametrize("revoke", [True, False])
    def test_are_revoked_only_if_wanted(self, revoke: bool) -> None:
        """Losing the one certificate takes the program away, where revocations are switched on."""
        planner = planner_of(Platform(), notify_programs=True, revoke_program_certs=revoke)
        plan = planner.plan_certificates([cert(run=ELSEWHERE, status="notpassing")])
        revocations = [update for update in plan.updates if isinstance(update, ProgramRevocation)]
        assert [update.key for update in revocations] == [("program", 1, OTHER_PROGRAM)] * revoke

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_are_decided_by_the_newest_of_two_certificates_on_a_page(self, order: tuple[int, int]) -> None:
        """Newer wins, in whatever order a page holds two states of one certificate."""
        states = [
            cert(run=ELSEWHERE, status="downloadable", modified_date=OLD),
            cert(run=ELSEWHERE, status="notpassing", modified_date=FRESH),
        ]
        planner = planner_of(Platform(), notify_programs=True, revoke_program_certs=True)
        plan = planner.plan_certificates([states[index] for index in order])
        assert [type(update) for update in plan.updates if update.key.kind == "program"] == [ProgramRevocation]

    @pytest.mark.parametrize(("on_page", "in_store"), [("downloadable", "notpassing"), ("notpassing", "downloadable")])
    @pytest.mark.parametrize("newer", ["page", "store"])
    def test_are_decided_by_the_newer_of_page_and_look_up(self, on_page: str, in_store: str, newer: str) -> None:
        """A page read before a change that the look-up has seen does not bring the old state back, nor vice versa."""
        times = (FRESH, OLD) if newer == "page" else (OLD, FRESH)
        platform = platform_of(cert(run=ELSEWHERE, status=in_store, modified_date=times[1]))
        planner = planner_of(platform, notify_programs=True, revoke_program_certs=True)
        plan = planner.plan_certificates([cert(run=ELSEWHERE, status=on_page, modified_date=times[0])])
        truth = on_page if newer == "page" else in_store
        said = [type(update) for update in plan.updates if update.key.kind == "program"]
        # the page's own certificate says which of the two is asked; what is not asked is not answered
        asked = {"downloadable": ProgramAward, "notpassing": ProgramRevocation}
        assert said == ([asked[truth]] if truth == on_page else [])

    @pytest.mark.parametrize("unknown", ["page", "store"])
    def test_are_decided_by_the_page_where_times_are_unknown(self, unknown: str) -> None:
        """Without a time to tell which is newer, the page counts: it is what changed."""
        times = {"page": FRESH, "store": FRESH, unknown: None}
        platform = platform_of(cert(run=ELSEWHERE, status="notpassing", modified_date=times["store"]))
        plan = planner_of(platform, notify_programs=True).plan_certificates(
            [cert(run=ELSEWHERE, modified_date=times["page"])]
        )
        assert [type(update) for update in plan.updates] == [CertificateUpdate, ProgramAward]

    def test_fail_for_a_certificate_that_is_none(self) -> None:
        """With a broken certificate among those that decide, nothing is known; the program fails, not the page."""
        platform = Platform()
        platform.rows["certificate", RecordKey(1, ADVANCED)] = Row(course_id=ADVANCED)
        plan = planner_of(platform, notify_programs=True).plan_certificates([cert(), cert(2, run=ELSEWHERE)])
        (failure,) = plan.tally.failures
        assert failure.record == ("program", 1, PROGRAM)
        assert failure.reason == f"certificate in {ADVANCED} for user 1: user: a Row has no such attribute"
        assert plan.tally.read == {"certificate": 2, "program": 2}
        assert [update.key.kind for update in plan.updates] == ["certificate", "certificate", "program"]

    def test_named_as_excluded_are_left_alone(self) -> None:
        """A host may keep programs to itself."""
        planner = planner_of(Platform(), notify_programs=True, excluded_programs={OTHER_PROGRAM})
        plan = planner.plan_certificates([cert(run=ELSEWHERE)])
        assert [update.key.kind for update in plan.updates] == ["certificate"]

    def test_that_no_course_makes_up_are_never_completed(self) -> None:
        """A program of nothing but curricula lists runs, and there is nothing to look up or to complete."""
        hollow = Program(uuid=PROGRAM, curriculum_courses=(Course(course_runs=(CourseRun(key=INTRO),)),))
        platform = Platform()
        planner = planner_of(platform, index=ProgramIndex([hollow]), notify_programs=True)
        plan = planner.plan_certificates([cert()])
        assert ([update.key.kind for update in plan.updates], platform.asked) == (["certificate"], [])

    def test_are_not_asked_for_a_certificate_that_is_put_off(self) -> None:
        """Without the learner's name there is nobody to award anything to."""
        platform = Platform()
        plan = planner_of(platform, notify_programs=True).plan_certificates([cert(run=ELSEWHERE, user=Learner(id=1))])
        assert (plan.updates, platform.asked) == ([], [])
