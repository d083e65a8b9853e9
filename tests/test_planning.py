"""Planning a page: the rules in their order, what is not there yet, and what is broken."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import field, frozen

from credsync.errors import InvalidRecordError, RecordName
from credsync.model import CertificateStatus, Grade, Learner
from credsync.planning import DeferReason, Plan
from credsync.ports import RecordKey, SiteOrgs
from credsync.report import Tally, Verdict
from credsync.rules import SkipReason
from credsync.updates import CertificateUpdate, GradeUpdate, UpdateKey
from tests.campus_builders import (
    ELSEWHERE,
    FRESH,
    INTRO,
    INTRO_AGAIN,
    OLD,
    OTHER_PROGRAM,
    STRAY,
    Platform,
    Row,
    Switches,
    cert,
    ends_of,
    grade,
    learner,
    planner_of,
    platform_of,
)


class _RowWithoutItsUser:
    """A host's certificate whose learner cannot be had: reading it asks a database, which has none."""

    course_id = "course-v1:DemoX+Intro+2024"
    mode = "verified"
    status = "downloadable"

    @property
    def user(self) -> Learner:
        """Raise what a Django row raises, which is no attribute error."""
        raise LookupError("learner-7 does not exist")


def plan_grade(platform: Platform, one: Grade, **changes: Any) -> Plan:
    """Plan a page of one grade."""
    return planner_of(platform, **changes).plan_grades([one])


@frozen(kw_only=True)
class Situation:
    """A grade, what stands beside it, and what the host says: as it is, nothing objects.

    Attributes:
        is_old: Whether the grade is so old that what is missing is missing for good.
    """

    site: str = "DemoX"
    credentials: bool = True
    learner_records: bool = True
    certificate: dict[str, Any] | None = field(factory=dict)
    run: str = INTRO
    letter: str | None = "B"
    username: str | None = "someone"
    is_old: bool = True

    def plan(self) -> Plan:
        """Plan the grade."""
        platform = Platform()
        platform.add(Learner(id=1, username=self.username))
        if self.certificate is not None:
            platform.add(cert(run=self.run, **self.certificate))
        one = grade(run=self.run, letter_grade=self.letter, modified=OLD if self.is_old else FRESH)
        policy = Switches(credentials=self.credentials, learner_records=self.learner_records)
        return plan_grade(platform, one, site=SiteOrgs(self.site), policy=policy)


OBJECTIONS: dict[SkipReason, dict[str, Any]] = {
    SkipReason.OTHER_SITE: {"site": "OtherX"},
    SkipReason.CREDENTIALS_DISABLED: {"credentials": False},
    SkipReason.LEARNER_RECORDS_DISABLED: {"learner_records": False},
    SkipReason.NO_CERTIFICATE: {"certificate": None},
    SkipReason.NOT_INTERESTING: {"certificate": {"status": "error"}},
    SkipReason.NOT_IN_A_PROGRAM: {"run": STRAY},
    SkipReason.NO_GRADE: {"letter": None},
}
"""What brings about each rule's objection, in the order of the rules."""

EXCLUSIVE = {(SkipReason.NO_CERTIFICATE, SkipReason.NOT_INTERESTING)}
"""Without a certificate, none is uninteresting."""


class TestGradeRules:
    def test_send_a_grade_to_which_nothing_objects(self) -> None:
        """The situation that all other tests here spoil is one in which the grade is sent."""
        plan = Situation().plan()
        assert ends_of(plan.tally) == []
        assert plan.updates == [
            GradeUpdate(
                user_id=1, username="someone", course_run=INTRO, letter_grade="B", percent_grade=0.85, source_time=OLD
            )
        ]

    @pytest.mark.parametrize("reason", OBJECTIONS)
    def test_object_one_by_one(self, reason: SkipReason) -> None:
        """Each rule that objects alone is the reason to skip."""
        plan = Situation(**OBJECTIONS[reason]).plan()
        assert ends_of(plan.tally) == [(Verdict.SKIPPED, reason)]
        assert (plan.updates, plan.deferrals) == ([], [])

    @pytest.mark.parametrize(
        ("earlier", "later"), [pair for pair in combinations(OBJECTIONS, 2) if pair not in EXCLUSIVE]
    )
    def test_object_in_their_order(self, earlier: SkipReason, later: SkipReason) -> None:
        """Where two rules object, the earlier one is the reason."""
        plan = Situation(**{**OBJECTIONS[later], **OBJECTIONS[earlier]}).plan()
        assert ends_of(plan.tally) == [(Verdict.SKIPPED, earlier)]

    @pytest.mark.parametrize("reason", OBJECTIONS)
    def test_object_also_where_the_learner_is_missing(self, reason: SkipReason) -> None:
        """A grade that no rule would send is not put off for its learner."""
        plan = Situation(username=None, **OBJECTIONS[reason]).plan()
        assert (ends_of(plan.tally), plan.deferrals) == ([(Verdict.SKIPPED, reason)], [])

    @pytest.mark.parametrize("mode", ["verified", "honor", "a-mode-of-tomorrow"])
    def test_let_modes_pass_that_the_host_finds_eligible(self, mode: str) -> None:
        """A mode the platform has invented since counts like any that can earn a certificate."""
        assert Situation(certificate={"mode": mode}).plan().updates

    def test_find_an_audit_certificate_uninteresting(self) -> None:
        """An audit cannot earn a certificate."""
        assert ends_of(Situation(certificate={"mode": "audit"}).plan().tally) == [("skipped", "not_interesting")]

    @pytest.mark.parametrize(("mode", "is_sent"), [("honor", False), ("audit", False), ("verified", True)])
    def test_follow_a_host_that_finds_no_mode_eligible(self, mode: str, is_sent: bool) -> None:
        """What the host calls ineligible is skipped, unless the mode is relevant whatever the host says."""
        platform = platform_of(cert(mode=mode))
        assert bool(plan_grade(platform, grade(), policy=Switches(eligible=False)).updates) == is_sent

    def test_follow_a_host_that_finds_audits_eligible(self) -> None:
        """The host's word on eligibility counts in both directions."""
        assert plan_grade(platform_of(cert(mode="audit")), grade(), policy=Switches(eligible=True)).updates

    @pytest.mark.parametrize("status", [*CertificateStatus, "a-status-of-tomorrow"])
    def test_want_two_statuses(self, status: str) -> None:
        """Grades beside a downloadable or a not passing certificate are sent, others skipped, unknown ones too."""
        plan = Situation(certificate={"status": status}).plan()
        expected = [] if status in {"downloadable", "notpassing"} else [("skipped", "not_interesting")]
        assert ends_of(plan.tally) == expected

    def test_ask_the_host_once_about_a_course_run_and_a_mode(self) -> None:
        """The host's answers hold for a run: a page later nothing is asked again."""
        policy = Switches()
        platform = platform_of(*(cert(user_id, mode="honor") for user_id in range(4)))
        planner = planner_of(platform, policy=policy)
        for user_ids in ((0, 1), (2, 3)):
            assert len(planner.plan_grades([grade(user_id) for user_id in user_ids]).updates) == 2
        assert policy.asked == ["DemoX", "honor"]

    @pytest.mark.parametrize(("orgs", "is_sent"), [("DemoX", True), (["DemoX", "ThirdX"], True), (["ThirdX"], False)])
    def test_keep_to_the_site(self, orgs: str | list[str], is_sent: bool) -> None:
        """A course run belongs to a site that has its organisation, however many others it has."""
        plan = plan_grade(platform_of(cert()), grade(), site=SiteOrgs(orgs))
        assert bool(plan.updates) == is_sent

    def test_know_the_organisation_of_a_legacy_key(self) -> None:
        """The old form of a course key has an organisation too."""
        old_style = "DemoX/Intro/2012"
        plan = plan_grade(platform_of(cert(run=old_style)), grade(run=old_style), site=SiteOrgs("DemoX"))
        assert ends_of(plan.tally) == [("skipped", "not_in_a_program")]


class TestNotThereYet:
    @pytest.mark.parametrize(
        ("missing", "reason"),
        [
            ({"certificate": None}, DeferReason.CERTIFICATE_NOT_VISIBLE),
            ({"letter": None}, DeferReason.GRADE_NOT_VISIBLE),
            ({"username": None}, DeferReason.LEARNER_NOT_VISIBLE),
        ],
    )
    def test_puts_a_fresh_grade_off(self, missing: dict[str, Any], reason: DeferReason) -> None:
        """Beside a grade that has only just changed, a missing row may still show up: unknown is not "no"."""
        plan = Situation(is_old=False, **missing).plan()
        assert (ends_of(plan.tally), plan.updates) == ([], [])
        assert plan.deferrals == [(UpdateKey("grade", 1, INTRO), reason)]

    def test_puts_a_grade_off_whose_learner_has_no_row(self) -> None:
        """A learner who is not found is like one whose name is not known."""
        platform = platform_of(cert())
        platform.learners.clear()
        plan = plan_grade(platform, grade(modified=OLD))
        assert plan.deferrals == [(UpdateKey("grade", 1, INTRO), DeferReason.LEARNER_NOT_VISIBLE)]

    def test_puts_a_certificate_off_whose_learner_is_not_visible(self) -> None:
        """A certificate cannot be sent without the name that the service knows its learner by."""
        plan = planner_of(Platform()).plan_certificates([cert(user=Learner(id=1))])
        assert plan.deferrals == [(UpdateKey("certificate", 1, INTRO), DeferReason.LEARNER_NOT_VISIBLE)]
        assert (ends_of(plan.tally), plan.updates) == ([], [])

    def test_skips_for_a_rule_that_needs_nothing_missing(self) -> None:
        """A course run in no program is reason enough, certificate or not."""
        plan = Situation(certificate=None, run=STRAY, is_old=False).plan()
        assert ends_of(plan.tally) == [("skipped", "not_in_a_program")]

    @pytest.mark.parametrize(
        ("changes", "modified"),
        [({}, None), ({"settled_before": None}, OLD), ({"settled_before": OLD}, OLD)],
        ids=["time unknown", "waits for all", "at the border"],
    )
    def test_waits_where_nothing_says_that_it_is_too_late(self, changes: dict[str, Any], modified: Any) -> None:
        """Only a grade that is known to be older than the border has waited long enough."""
        plan = plan_grade(Platform(), grade(modified=modified), **changes)
        assert [reason for _, reason in plan.deferrals] == [DeferReason.CERTIFICATE_NOT_VISIBLE]


class TestIncompleteGrades:
    stored = grade(percent_grade=0.5, letter_grade="C", modified=OLD)

    @pytest.mark.parametrize(
        "incomplete", [grade(letter_grade=None), grade(percent_grade=None), grade(modified=None)], ids=repr
    )
    def test_take_all_three_from_the_look_up(self, incomplete: Grade) -> None:
        """Letter, percentage and time belong together: one that is missing makes the others worthless."""
        plan = plan_grade(platform_of(cert(), self.stored), incomplete)
        (update,) = plan.updates
        assert isinstance(update, GradeUpdate)
        assert (update.percent_grade, update.letter_grade, update.source_time) == (0.5, "C", OLD)

    def test_are_sent_with_what_the_look_up_lacks(self) -> None:
        """A grade that is not passing has no letter, in the store as on the page."""
        plan = plan_grade(platform_of(cert(), grade(letter_grade=None)), grade(letter_grade=None))
        (update,) = plan.updates
        assert isinstance(update, GradeUpdate)
        assert (update.percent_grade, update.letter_grade) == (0.85, None)

    def test_are_no_grades_without_a_percentage(self) -> None:
        """What the look-up finds must say at least how much was reached."""
        plan = plan_grade(platform_of(cert(), grade(percent_grade=None)), grade(letter_grade=None))
        assert ends_of(plan.tally) == [("skipped", "no_grade")]

    def test_are_no_business_of_complete_ones(self) -> None:
        """A complete grade goes out as it came, whatever the look-up would say, and an empty letter is complete."""
        platform = platform_of(cert(), self.stored)
        plan = plan_grade(platform, grade(letter_grade="", percent_grade=0.0))
        (update,) = plan.updates
        assert isinstance(update, GradeUpdate)
        assert (update.percent_grade, update.letter_grade, update.source_time) == (0.0, "", FRESH)
        assert "grades" not in platform.kinds_asked


class TestBrokenRecords:
    def test_fail_each_on_its_own(self) -> None:
        """A record that is none costs itself, is named, and the others of its page go on."""
        broken = InvalidRecordError(RecordName("grade", 5, INTRO), "percent_grade", "7.0 is outside 0 to 1")
        nameless = InvalidRecordError("row 12", "course_id", "not a course key")
        plan = planner_of(platform_of(cert())).plan_grades([broken, Row(user_id=6), nameless, grade()])  # type: ignore[list-item]  # what a host may hand over
        assert len(plan.updates) == 1
        assert plan.tally.read == {"grade": 4}
        assert [str(failure) for failure in plan.tally.failures] == [
            f"grade in {INTRO} for user 5: failed: percent_grade: 7.0 is outside 0 to 1",
            f"grade in {INTRO} for user 6: failed: percent_grade: a Row has no such attribute",
            "grade in row 12 for user unknown: failed: course_id: not a course key",
        ]
        assert ends_of(plan.tally) == [
            ("failed", "invalid course_id"),
            ("failed", "invalid percent_grade"),
            ("failed", "invalid percent_grade"),
        ]

    def test_fail_as_certificates_too(self) -> None:
        """A host's certificate without a learner is no certificate."""
        plan = planner_of(Platform()).plan_certificates([Row(), cert(2)])  # type: ignore[list-item]  # what a host may hand over
        assert [update.user_id for update in plan.updates] == [2]
        assert [str(failure) for failure in plan.tally.failures] == [
            f"certificate in {INTRO} for user 1: failed: user: a Row has no such attribute"
        ]

    def test_fail_whatever_reading_them_raises(self) -> None:
        """A host's row whose learner cannot be had costs itself, and what it raises is told without its words."""
        plan = planner_of(Platform()).plan_certificates([_RowWithoutItsUser(), cert(2)])
        assert [update.user_id for update in plan.updates] == [2]
        (failure,) = plan.tally.failures
        assert failure.reason == "record: reading it raised LookupError"

    @pytest.mark.parametrize(
        ("kind", "row", "reason"),
        [
            ("certificate", Row(), "user: a Row has no such attribute"),
            ("grade", Row(), "percent_grade: a Row has no such attribute"),
            ("certificate", InvalidRecordError("row 12", "mode", "5 is not text"), "row 12: mode: 5 is not text"),
            ("grade", InvalidRecordError("row 12", "modified", "no time"), "row 12: modified: no time"),
        ],
    )
    def test_fail_the_grade_that_needs_them(self, kind: str, row: object, reason: str) -> None:
        """It is the grade that fails when what is looked up for it is broken, and it is named by its own key."""
        platform = platform_of(cert())
        platform.rows[kind, RecordKey(1, INTRO)] = row
        plan = plan_grade(platform, grade(letter_grade=None))
        (failure,) = plan.tally.failures
        assert failure.record == ("grade", 1, INTRO)
        assert failure.reason.endswith(reason)
        assert (plan.updates, plan.deferrals) == ([], [])

    @pytest.mark.parametrize(("mode", "ends"), [("verified", []), (5, [("failed", "invalid mode")])])
    def test_do_not_fail_a_grade_that_needs_nothing_of_what_is_broken(
        self, mode: object, ends: list[tuple[str, str]]
    ) -> None:
        """A grade asks a certificate for its mode and status; a date that is none is its own affair."""
        platform = platform_of(cert())
        broken = SimpleNamespace(user=learner(), course_id=INTRO, mode=mode, status="downloadable", modified_date="?")
        platform.rows["certificate", RecordKey(1, INTRO)] = broken
        plan = plan_grade(platform, grade())
        assert (ends_of(plan.tally), len(plan.updates)) == (ends, 1 - len(ends))


class TestCertificates:
    @pytest.mark.parametrize("status", [*CertificateStatus, "a-status-of-tomorrow"])
    def test_are_sent_whatever_the_status(self, status: str) -> None:
        """Every change of a certificate is the service's business, also that it is gone."""
        plan = planner_of(Platform()).plan_certificates([cert(status=status)])
        assert [update.status for update in plan.updates if isinstance(update, CertificateUpdate)] == [status]

    def test_are_sent_with_all_that_the_service_stores(self) -> None:
        """The update says what the certificate says."""
        plan = planner_of(Platform()).plan_certificates([cert(mode="honor", date_override=OLD)])
        assert plan.updates == [
            CertificateUpdate(
                user_id=1,
                username=learner().username or "",
                course_run=INTRO,
                mode="honor",
                status="downloadable",
                date_override=OLD,
                source_time=FRESH,
            )
        ]

    def test_are_sent_whatever_the_rules_for_grades_say(self) -> None:
        """Switches, modes and programs are the grades' business."""
        policy = Switches(credentials=False, learner_records=False, eligible=False)
        plan = planner_of(Platform(), policy=policy).plan_certificates([cert(run=STRAY, mode="audit")])
        assert len(plan.updates) == 1

    def test_of_other_sites_are_skipped(self) -> None:
        """The site filter is the one rule for certificates, and it keeps programs out of it as well."""
        planner = planner_of(Platform(), site=SiteOrgs("OtherX"), notify_programs=True)
        plan = planner.plan_certificates([cert(1), cert(2, run=ELSEWHERE)])
        assert ends_of(plan.tally) == [("skipped", "other_site")]
        assert [update.key for update in plan.updates] == [("certificate", 2, ELSEWHERE), ("program", 2, OTHER_PROGRAM)]


class TestPlan:
    def test_takes_another_plan_in(self) -> None:
        """Nothing of a plan is lost when it becomes part of another."""
        fill: list[Callable[[Plan], None]] = [
            lambda plan: plan.fail("grade", InvalidRecordError("row 1", "mode", "none")),
            lambda plan: plan.skip("grade", 1, INTRO_AGAIN, SkipReason.GONE),
            lambda plan: plan.defer("grade", 1, INTRO, DeferReason.LEARNER_NOT_VISIBLE),
            lambda plan: plan.updates.append(GradeUpdate(
                user_id=1, username="", course_run=INTRO, letter_grade="", percent_grade=0.0
            )),
            lambda plan: plan.tally.read.update({"grade": 4}),
        ]  # fmt: skip
        whole, part, plan = (Plan(Tally()) for _ in range(3))
        for act in fill:
            act(part)
        for _ in range(2):
            plan.extend(part)
            for act in fill:
                act(whole)
        assert plan == whole
