"""Looking again at what the ledger has put off: as the source is now, and never what was to be sent before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from credsync.catalog import ProgramIndex
from credsync.errors import InvalidRecordError
from credsync.ledger import Entry, EntryState
from credsync.model import Learner
from credsync.planning import DeferReason, Plan
from credsync.ports import RecordKey
from credsync.recall import Recall
from credsync.updates import CertificateUpdate, GradeUpdate, ProgramAward, ProgramRevocation, UpdateKey
from tests.campus_builders import (
    ADVANCED,
    ELSEWHERE,
    FRESH,
    INTRO,
    NOW,
    OLD,
    OTHER_PROGRAM,
    PROGRAM,
    PROGRAMS,
    Platform,
    Row,
    cert,
    ends_of,
    grade,
    planner_of,
    platform_of,
)

CERTIFICATE = UpdateKey("certificate", 1, INTRO)
GRADE = UpdateKey("grade", 1, INTRO)
AWARD = UpdateKey("program", 1, PROGRAM)


def recall(platform: Platform, *keys: UpdateKey, **changes: Any) -> Plan:
    """Look again at some keys."""
    planner = planner_of(platform, **changes)
    return Recall(planner).plan([Entry(key=key, state=EntryState.DEFERRED) for key in keys])


class TestWhatIsThereNow:
    def test_is_what_is_sent(self) -> None:
        """Certificates, grades and programs are read anew, and planned by the rules that hold for any."""
        platform = platform_of(cert(), cert(run=ADVANCED), grade(percent_grade=0.33))
        plan = recall(platform, CERTIFICATE, GRADE, AWARD)
        assert [(type(update), update.key) for update in plan.updates] == [
            (CertificateUpdate, CERTIFICATE),
            (GradeUpdate, GRADE),
            (ProgramAward, AWARD),
        ]
        assert [update.percent_grade for update in plan.updates if isinstance(update, GradeUpdate)] == [0.33]
        assert plan.tally.read == {"certificate": 1, "grade": 1, "program": 1}

    def test_is_revoked_where_it_was_to_be_awarded(self) -> None:
        """A program that was completed when its award was put off, and is no longer, is told as it is."""
        plan = recall(platform_of(cert(), cert(run=ADVANCED, status="notpassing")), AWARD)
        assert [type(update) for update in plan.updates] == [ProgramRevocation]

    def test_may_still_not_be_enough(self) -> None:
        """What is missing still is put off again, by what is missing now."""
        platform = platform_of(cert(user=Learner(id=1)), cert(2), grade(2), grade(3))
        platform.learners.clear()
        plan = recall(
            platform,
            CERTIFICATE,
            UpdateKey("grade", 2, INTRO),
            UpdateKey("grade", 3, INTRO),
            UpdateKey("program", 2, OTHER_PROGRAM),
        )
        assert dict(plan.deferrals) == {
            CERTIFICATE: DeferReason.LEARNER_NOT_VISIBLE,
            UpdateKey("grade", 3, INTRO): DeferReason.CERTIFICATE_NOT_VISIBLE,
            UpdateKey("grade", 2, INTRO): DeferReason.LEARNER_NOT_VISIBLE,
            UpdateKey("program", 2, OTHER_PROGRAM): DeferReason.LEARNER_NOT_VISIBLE,
        }
        assert (plan.updates, plan.tally.read) == ([], {"certificate": 1, "grade": 2, "program": 1})

    def test_is_put_off_for_a_learner_without_a_name(self) -> None:
        """A learner known by id alone cannot be awarded anything yet."""
        platform = platform_of(cert(run=ELSEWHERE))
        platform.add(Learner(id=1))
        plan = recall(platform, UpdateKey("program", 1, OTHER_PROGRAM))
        assert [reason for _, reason in plan.deferrals] == [DeferReason.LEARNER_NOT_VISIBLE]

    def test_may_be_skipped_by_now(self) -> None:
        """A rule that objects in the meantime ends the waiting."""
        plan = recall(platform_of(cert(status="error"), grade()), GRADE)
        assert ends_of(plan.tally) == [("skipped", "not_interesting")]

    def test_may_be_nothing(self) -> None:
        """What is no longer in the source, or in the catalog, is skipped as gone."""
        gone = [CERTIFICATE, GRADE, UpdateKey("program", 1, "6883080f-0000-4000-8000-00000000000f")]
        plan = recall(Platform(), *gone)
        assert ends_of(plan.tally) == [("skipped", "gone")] * 3
        assert plan.tally.read == {"certificate": 1, "grade": 1, "program": 1}

    def test_is_not_told_of_programs_that_were_withdrawn(self) -> None:
        """A program that was withdrawn since the award was put off is awarded no more."""
        withdrawn = [evolve(program, status="unpublished") for program in PROGRAMS]
        key = UpdateKey("program", 1, OTHER_PROGRAM)
        plan = recall(platform_of(cert(run=ELSEWHERE)), key, index=ProgramIndex(withdrawn))
        assert (ends_of(plan.tally), plan.updates) == ([("skipped", "gone")], [])

    def test_keeps_what_waits_for_a_program_that_this_run_excludes(self) -> None:
        """Another run may not exclude it."""
        key = UpdateKey("program", 1, OTHER_PROGRAM)
        plan = recall(platform_of(cert(run=ELSEWHERE)), key, excluded_programs={OTHER_PROGRAM})
        assert (plan.deferrals, plan.updates) == ([(key, "program_excluded")], [])

    @pytest.mark.parametrize(
        ("since", "state", "is_awaited"),
        [
            (FRESH, EntryState.DEFERRED, True),
            (OLD, EntryState.DEFERRED, False),
            (FRESH, EntryState.DEAD, False),
        ],
    )
    def test_waits_for_a_record_that_may_not_be_visible_yet(
        self, since: datetime, state: EntryState, is_awaited: bool
    ) -> None:
        """What was put off a moment ago may be in a transaction, or not on the replica yet."""
        for key in (CERTIFICATE, GRADE):
            entry = Entry(key=key, state=state, since=since)
            plan = Recall(planner_of(Platform(), settled_before=NOW - timedelta(days=7))).plan([entry])
            assert ends_of(plan.tally) == ([] if is_awaited else [("skipped", "gone")])
            assert plan.deferrals == ([(key, f"{key.kind}_not_visible")] if is_awaited else [])

    @pytest.mark.parametrize("kind", ["certificate", "grade"])
    def test_fails_under_its_own_key_whatever_goes_wrong_with_it(self, kind: str) -> None:
        """A host's row that the database cannot give just now names nobody; its entry stays open all the same."""

        class Gone:
            @property
            def course_id(self) -> str:
                raise ConnectionError("the database went away")

        platform = Platform()
        platform.rows[kind, RecordKey(1, INTRO)] = Gone()
        plan = recall(platform, UpdateKey(kind, 1, INTRO))
        assert [failure.record for failure in plan.tally.failures] == [(kind, 1, INTRO)]

    @pytest.mark.parametrize("kind", ["certificate", "grade"])
    def test_may_be_broken(self, kind: str) -> None:
        """A record that cannot be read fails, is named, and the others go on."""
        platform = platform_of(cert(2), grade(2))
        platform.rows[kind, RecordKey(1, INTRO)] = Row()
        plan = recall(platform, UpdateKey(kind, 1, INTRO), UpdateKey(kind, 2, INTRO))
        assert [failure.record for failure in plan.tally.failures] == [(kind, 1, INTRO)]
        assert [update.user_id for update in plan.updates] == [2]

    def test_may_be_broken_where_a_program_needs_it(self) -> None:
        """The program fails under its own key, so that the ledger keeps it open."""
        platform = platform_of(cert())
        platform.rows["certificate", RecordKey(1, ADVANCED)] = Row(course_id=ADVANCED)
        plan = recall(platform, AWARD)
        (failure,) = plan.tally.failures
        assert failure.record == tuple(AWARD)


class TestLookups:
    def test_are_not_made_for_what_nothing_waits_for(self) -> None:
        """Without entries nothing is asked."""
        platform = Platform()
        assert recall(platform).tally.read == {}
        assert platform.asked == []

    def test_are_not_made_for_certificates_of_a_program_that_is_gone(self) -> None:
        """Where every program is gone, no certificate decides anything."""
        platform = Platform()
        recall(platform, UpdateKey("program", 1, "6883080f-0000-4000-8000-00000000000f"))
        assert platform.kinds_asked == ["learners"]

    @pytest.mark.parametrize("count", [1, 40])
    def test_are_as_many_for_a_long_page_as_for_a_short_one(self, count: int) -> None:
        """A page of entries costs a constant number of questions."""
        users = range(1, count + 1)
        platform = platform_of(*(cert(user_id, run=run) for user_id in users for run in (INTRO, ADVANCED)))
        platform.add(*(grade(user_id) for user_id in users))
        keys = [UpdateKey(kind, user_id, INTRO) for kind in ("certificate", "grade") for user_id in users]
        plan = recall(platform, *keys, *(UpdateKey("program", user_id, PROGRAM) for user_id in users))
        assert len(plan.updates) == 3 * count
        assert platform.kinds_asked == [
            "certificates",  # those that wait
            "grades",  # those that wait
            "certificates",  # beside the grades
            "learners",  # of the grades
            "learners",  # of the programs
            "certificates",  # that decide the programs
        ]

    def test_pass_over_what_is_no_entry(self) -> None:
        """An entry that the ledger itself cannot read is not this page's business."""
        broken = InvalidRecordError("entry 12", "state", "unknown")
        assert Recall(planner_of(Platform())).plan([broken]).tally.read == {}
