"""A run with a ledger: only what changed is sent, nothing is lost, and what was put off is looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta

import pytest
from attrs import evolve

from credsync.errors import SinkUnavailableError
from credsync.ledger import RunHeader
from credsync.notify import send_notifications
from credsync.ports import RecordKey
from credsync.run import PAGES_AT_ONCE
from credsync.selection import Selection
from credsync.updates import CertificateUpdate, Deferred, Delivered, GradeUpdate, Outcome, Rejected, Update, UpdateKey
from tests.campus_builders import (
    ADVANCED,
    ELSEWHERE,
    FRESH,
    INTRO,
    INTRO_AGAIN,
    NOW,
    OLD,
    OPTIONS,
    OTHER_PROGRAM,
    PROGRAM,
    Row,
    cert,
    grade,
    host_of,
)
from tests.ledger_campus import USERS, Campus, everything

DOWN = SinkUnavailableError("down")
CERTIFICATE, GRADE = UpdateKey("certificate", 1, INTRO), UpdateKey("grade", 1, INTRO)


class TestChanges:
    def test_are_all_that_is_sent(self) -> None:
        """A second run over the same records sends nothing; one over a few changes sends these."""
        campus = Campus.of(*everything())
        assert campus.run(page_size=3).total("sent") == 14
        again = campus.run(page_size=3)
        assert (again.total("unchanged"), again.total(), len(campus.sink.handed)) == (14, 14, 14)
        campus.platform.add(grade(2, percent_grade=0.9, modified=NOW), cert(3, status="notpassing"))
        assert campus.run(page_size=3).total("sent") == 2
        assert campus.sink.keys_handed[14:] == [("certificate", 3, INTRO), ("grade", 2, INTRO)]

    def test_are_not_waited_for_by_who_forces(self) -> None:
        """Forcing sends it all the same."""
        campus = Campus.of(*everything())
        campus.run()
        assert campus.run(force=True).total("sent") == 14

    def test_to_the_older_are_never_sent(self) -> None:
        """A source that lags behind what was delivered does not bring it back, not even by force."""
        campus = Campus.of(cert(), grade())
        campus.run()
        campus.platform.add(grade(percent_grade=0.1, modified=OLD))
        for force in (False, True):
            assert campus.run(force=force).reasons("skipped") == {"stale": 1}
        assert [one.percent_grade for one in campus.sink.handed if isinstance(one, GradeUpdate)] == [0.85]

    def test_that_were_rejected_wait_for_a_change(self) -> None:
        """A dead letter costs no further request until its record is mended."""
        campus = Campus.of(cert(), acts=[[Rejected(reason="no such run")]])
        assert campus.run().total("rejected") == 1
        assert campus.run().reasons("skipped") == {"dead_letter": 1}
        campus.platform.add(cert(mode="honor"))
        assert campus.run().total("sent") == 1
        assert campus.states == {CERTIFICATE: "delivered"}


class TestPagesWithoutChanges:
    def test_are_written_down_together(self) -> None:
        """A run in which nothing changed writes its account once, for all of its pages."""
        campus = Campus.of(*everything())
        campus.run()
        campus.ledger.pages.clear()
        report = campus.run(page_size=1)
        (page,) = campus.ledger.pages
        assert report.total("unchanged") == sum(page.counts.values()) == 14
        assert (page.read, page.checkpoint) == ({"certificate": 7, "grade": 7}, ("end", None))

    def test_come_with_the_first_that_has_any(self) -> None:
        """What changed is durable at once, and with it the pages before; the account is none the worse."""
        campus = Campus.of(*everything())
        campus.run()
        campus.ledger.pages.clear()
        campus.platform.add(cert(3, status="notpassing"))
        campus.run(page_size=1)
        changed, rest = (page for page in campus.ledger.pages if page.checkpoint)
        assert (len(changed.entries), changed.read, changed.checkpoint) == (
            1,
            {"certificate": 3},
            ("certificates", [3, INTRO]),
        )
        assert (len(rest.entries), rest.read) == (0, {"certificate": 4, "grade": 7})

    def test_do_not_wait_into_another_minute(self) -> None:
        """An account that is looked at meanwhile, or a run that is killed, is a minute behind at most."""
        campus = Campus.of(*everything())
        campus.run()
        campus.ledger.pages.clear()
        campus.run(page_size=2, on_progress=lambda _report: campus.pass_time(timedelta(seconds=20)))
        assert [sum(page.read.values()) for page in campus.ledger.pages] == [6, 5, 3]

    def test_are_so_many_at_most(self) -> None:
        """However long nothing changes, only so many pages are read again after a kill."""
        campus = Campus.of(*(cert(user_id) for user_id in range(PAGES_AT_ONCE + 3)))
        campus.run()
        campus.ledger.pages.clear()
        campus.run(page_size=1)
        assert [page.read["certificate"] for page in campus.ledger.pages] == [PAGES_AT_ONCE, 3]

    def test_are_read_again_by_a_run_that_resumes_a_killed_one(self) -> None:
        """They are counted once all the same: what was not written down did not happen."""
        campus = Campus.of(*everything())
        campus.run()
        campus.ledger.dies_at, campus.ledger.death = campus.ledger.writes, KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            campus.run(page_size=1)
        assert campus.run(page_size=1, resume=True).read == {"certificate": 7, "grade": 7}


class TestDoubt:
    def test_about_an_award_outlasts_the_certificate_that_made_it_newest(self) -> None:
        """Whether the award arrived is unknown; once its newest certificate is gone, it is no news of old."""

        def defer_programs(updates: Sequence[Update]) -> list[Outcome]:
            return [Deferred(reason="busy") if update.key.kind == "program" else Delivered() for update in updates]

        campus = Campus.of(
            cert(run=INTRO), cert(run=INTRO_AGAIN, modified_date=OLD), cert(run=ADVANCED, modified_date=OLD)
        )
        campus.sink.acts = [defer_programs]
        assert campus.run(notify_programs=True).reasons("deferred") == {"busy": 1}
        del campus.platform.certificates_by_key[RecordKey(1, INTRO)]
        assert campus.run(notify_programs=True).total("sent", "program") == 1
        assert campus.sink.keys_handed[-1] == ("program", 1, PROGRAM)


class TestDeferrals:
    def test_are_looked_at_again_whatever_is_selected(self) -> None:
        """What was not there yet is looked at by the next run, though that reads something else."""
        campus = Campus.of(cert(2), grade(1))
        assert campus.run().reasons("deferred") == {"certificate_not_visible": 1}
        campus.platform.add(cert(1))
        report = campus.run(Selection(user_ids=[2]))
        assert (report.total("sent"), report.total("unchanged"), report.unaccounted) == (1, 1, 0)
        assert campus.sink.keys_handed[-1] == GRADE
        assert campus.run(Selection(user_ids=[2])).total() == 1

    def test_are_looked_at_again_whatever_the_site(self) -> None:
        """The site of the next run is not the site of what was put off in an earlier one."""
        campus = Campus.of(grade())
        campus.run()
        campus.platform.add(cert())
        assert campus.run(Selection(user_ids=[]), site_config="OtherX").total("sent") == 1

    def test_are_sent_as_the_record_is_now(self) -> None:
        """Not what was to be sent goes out, but what the source says when it does."""
        campus = Campus.of(cert(), acts=[[Deferred(reason="busy")]])
        campus.run()
        campus.platform.add(cert(status="notpassing", modified_date=NOW))
        campus.run(Selection(user_ids=[]))
        assert [one.status for one in campus.sink.handed if isinstance(one, CertificateUpdate)] == [
            "downloadable",
            "notpassing",
        ]

    def test_are_not_looked_at_twice_in_one_run(self) -> None:
        """What this very run has put off, or met again, waits for the next one."""
        campus = Campus.of(grade())
        for tries in (1, 2):
            assert campus.run().total() == 1
            assert campus.ledger.entries[GRADE].tries == tries

    @pytest.mark.parametrize("page_size", [1, 3, 100])
    def test_are_all_looked_at_though_they_go_meanwhile(self, page_size: int) -> None:
        """Entries that leave the list while it is paged through do not hide others."""
        campus = Campus.of(*(grade(user_id) for user_id in USERS))
        campus.run()
        campus.platform.add(*(cert(user_id) for user_id in USERS))
        report = campus.run(Selection(user_ids=[]), page_size=page_size)
        assert (report.total("sent"), set(campus.states.values())) == (7, {"delivered"})

    def test_are_dropped_where_there_is_nothing_left_to_send(self) -> None:
        """A record that is gone, or that a rule now objects to, is waited for no more."""
        campus = Campus.of(cert(3), grade(1), grade(2))
        campus.run()
        del campus.platform.grades_by_key[RecordKey(1, INTRO)]
        campus.platform.add(cert(2, status="error"))
        assert campus.run(Selection(user_ids=[])).reasons("skipped") == {"not_interesting": 1}
        campus.clock.now = NOW + timedelta(days=8)
        assert campus.run(Selection(user_ids=[])).reasons("skipped") == {"gone": 1}
        assert campus.states == {("certificate", 3, INTRO): "delivered"}

    def test_that_are_dropped_leave_what_was_delivered(self) -> None:
        """With the deferral of a change the ledger does not forget what it knows, and keeps the older back still."""
        campus = Campus.of(cert(), grade(), acts=[[Delivered()], [Delivered()], [Deferred(reason="busy")]])
        campus.run()
        campus.platform.add(grade(percent_grade=0.95, modified=NOW))
        campus.run()
        campus.platform.add(grade(percent_grade=0.1, modified=OLD))
        campus.run(Selection(user_ids=[]))
        assert campus.states == {CERTIFICATE: "delivered", GRADE: "delivered"}
        assert campus.run().reasons("skipped") == {"stale": 1}

    def test_stay_where_the_record_cannot_be_read(self) -> None:
        """A record that is broken now may be mended, so it is waited for."""
        campus = Campus.of(cert(), grade(), acts=[[Delivered()], [Deferred(reason="busy")]])
        campus.run()
        campus.platform.rows["grade", RecordKey(1, INTRO)] = Row()
        assert campus.run(Selection(user_ids=[])).total("failed") == 1
        assert campus.states[GRADE] == "deferred"

    def test_of_programs_stay_where_a_certificate_cannot_be_read(self) -> None:
        """A program whose certificates are unreadable is undecided, not decided."""
        campus = Campus.of(cert(), cert(run=ADVANCED), acts=[[Delivered(), Delivered(), Deferred(reason="unknown")]])
        campus.run(notify_programs=True)
        campus.platform.rows["certificate", RecordKey(1, ADVANCED)] = Row(course_id=ADVANCED)
        assert campus.run(Selection(user_ids=[])).total("failed", "program") == 1
        assert campus.states[UpdateKey("program", 1, PROGRAM)] == "deferred"

    def test_are_given_up_after_a_time(self) -> None:
        """What never arrives becomes a dead letter once it has waited for too long, and rests then."""
        campus = Campus.of(cert(), acts=[[Deferred(reason="never met this learner")]] * 3)
        campus.run(give_up_after=timedelta(days=3))
        for days, end in ((3, "deferred"), (4, "failed")):
            campus.clock.now = NOW + timedelta(days=days)
            assert campus.run(Selection(user_ids=[]), give_up_after=timedelta(days=3)).total(end) == 1
        assert campus.states == {CERTIFICATE: "dead"}
        assert campus.run(Selection(user_ids=[])).total() == 0

    def test_become_skips_once_it_is_too_late(self) -> None:
        """A certificate that is missing beside an old grade is missing for good: a reason to skip, not to give up."""
        campus = Campus.of(grade())
        campus.run(give_up_after=timedelta(days=3))
        campus.clock.now = NOW + timedelta(days=4)
        report = campus.run(Selection(user_ids=[]), give_up_after=timedelta(days=3))
        assert (report.reasons("skipped"), campus.states) == ({"no_certificate": 1}, {})

    def test_of_an_outage_are_never_given_up(self) -> None:
        """However long the service is down, the record waits, and is sent when it is back."""
        campus = Campus.of(cert(), acts=[DOWN, DOWN])
        campus.run(give_up_after=timedelta(days=3))
        campus.clock.now = NOW + timedelta(days=400)
        assert campus.run(Selection(user_ids=[]), give_up_after=timedelta(days=3)).total("deferred") == 1
        assert campus.run(Selection(user_ids=[]), give_up_after=timedelta(days=3)).total("sent") == 1


class TestWatermarks:
    def test_move_with_complete_runs(self) -> None:
        """Up to where everything was seen is what a complete run says, and no other."""
        campus = Campus.of(cert(), acts=[DOWN])
        campus.run(watermark=OLD)
        assert campus.ledger.watermark is None
        campus.run(watermark=FRESH)
        assert campus.ledger.watermark == FRESH
        campus.run()
        assert campus.ledger.watermark == FRESH

    def test_of_a_resumed_run_are_those_it_began_with(self) -> None:
        """What changed between the start of a run and its resumption may lie behind its cursor: the start counts."""
        campus = Campus.of(cert(), acts=[DOWN])
        campus.run(watermark=OLD)
        campus.run(watermark=FRESH, resume=True)
        assert campus.ledger.watermark == OLD


class TestDryRun:
    def test_leaves_no_trace(self) -> None:
        """Nothing is sent and nothing is written down, and yet what is unchanged, stale or a dead letter is told."""
        campus = Campus.of(*everything(), grade(9), acts=[[Rejected(reason="no"), *[Delivered()] * 6]])
        campus.run()
        campus.platform.add(grade(2, percent_grade=0.9), grade(3, percent_grade=0.9, modified=OLD))
        before, batches = deepcopy(campus.ledger), len(campus.sink.batches)
        report = campus.run(dry_run=True)
        assert (campus.ledger, len(campus.sink.batches)) == (before, batches)
        assert report.dry_run
        assert (report.total("sent"), report.total("unchanged"), report.total("deferred")) == (1, 11, 1)
        assert report.reasons("skipped") == {"stale": 1, "dead_letter": 1}

    def test_needs_neither_sink_nor_a_free_ledger(self) -> None:
        """It may be made while a run goes on, by who has no credentials for the service."""
        campus = Campus.of(cert())
        campus.ledger.begin(RunHeader(scope={}, started=NOW))
        host = evolve(host_of(campus.platform, ledger=campus.ledger), sink=None)
        report = send_notifications([cert()], [], host=host, options=evolve(OPTIONS, dry_run=True))
        assert (report.total("sent"), campus.ledger.status) == (1, "running")


class TestPrograms:
    def test_are_news_only_when_they_change(self) -> None:
        """Awards and revocations of one program share a key: one follows the other, and neither is repeated."""
        campus = Campus.of(cert(run=ELSEWHERE))
        host = host_of(campus.platform, campus.sink, campus.ledger)
        said = []
        for status in ("downloadable", "downloadable", "notpassing", "notpassing", "downloadable"):
            campus.platform.add(cert(run=ELSEWHERE, status=status))
            certs = campus.platform.certificates(Selection())
            report = send_notifications(
                certs, [], notify_programs=True, revoke_program_certs=True, host=host, options=OPTIONS
            )
            said.append(report.total("sent", "program"))
        assert said == [1, 0, 1, 0, 1]
        assert campus.states[UpdateKey("program", 1, OTHER_PROGRAM)] == "delivered"
