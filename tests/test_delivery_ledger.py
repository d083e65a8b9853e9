"""Delivering a page with a ledger: only what changed, never the older, and what became of the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from credsync.adapters.memory import MemoryLedger
from credsync.delivery import Courier
from credsync.errors import SinkRejectedError, SinkUnavailableError, SourceError
from credsync.ledger import Entry, EntryState, Known, PageRecord
from credsync.planning import DeferReason, Plan
from credsync.report import Tally
from credsync.updates import (
    Deferred,
    Delivered,
    GradeUpdate,
    Outcome,
    ProgramAward,
    ProgramRevocation,
    Rejected,
    Update,
    UpdateKey,
)
from tests.campus_builders import FRESH, INTRO, NOW, OLD, PROGRAM, ScriptedSink, ends_of

GRADE = GradeUpdate(
    user_id=1, username="someone", course_run=INTRO, letter_grade="B", percent_grade=0.85, source_time=FRESH
)
BETTER = evolve(GRADE, percent_grade=0.95)
KEY = GRADE.key


@define
class WatchedLedger(MemoryLedger):
    """A ledger that writes down what it is asked for, and how often it is written."""

    asked: list[Collection[UpdateKey]] = field(factory=list)
    writes: int = 0

    @override
    def record(self, page: PageRecord) -> None:
        """Write a page down, and count it."""
        self.writes += 1
        super().record(page)

    @override
    def look_up(self, asked: Mapping[UpdateKey, Update | None]) -> Known:
        """Look up what is known, and write the question down."""
        self.asked.append(asked)
        return super().look_up(asked)


@define
class Round:
    """A sink, a ledger, and couriers that go from one to the other with a page at a time.

    Attributes:
        tally: Of the last page.
        changes: What the last page changed in the ledger.
    """

    sink: ScriptedSink = field(factory=ScriptedSink)
    ledger: WatchedLedger = field(factory=WatchedLedger)
    tally: Tally = field(factory=Tally)
    changes: Sequence[Entry] = ()

    def go(
        self, *updates: Update, defer: Sequence[UpdateKey] = (), at: datetime = NOW, **changes: Any
    ) -> list[tuple[str, str]]:
        """Deliver a page, write it down, and return how its records ended."""
        courier = Courier(sink=self.sink, ledger=self.ledger, **changes)
        plan = Plan(Tally(), list(updates), [(key, DeferReason.LEARNER_NOT_VISIBLE) for key in defer])
        self.changes, _ = courier.deliver(plan, at)
        self.ledger.record(PageRecord(entries=self.changes, at=at))
        self.tally = plan.tally
        return ends_of(plan.tally)

    @property
    def entry(self) -> Entry:
        """What the ledger knows of the grade."""
        return self.ledger.entries[KEY]


class TestLedger:
    def test_is_asked_once_a_page(self) -> None:
        """One look-up serves updates and deferrals."""
        way = Round()
        other, waiting = evolve(GRADE, user_id=2), UpdateKey("grade", 3, INTRO)
        way.go(GRADE, other, defer=[waiting])
        assert way.ledger.asked == [{GRADE.key: GRADE, other.key: other, waiting: None}]

    def test_is_not_asked_about_nothing(self) -> None:
        """An empty page costs no look-up."""
        way = Round()
        way.go()
        assert way.ledger.asked == []

    def test_that_cannot_be_read_keeps_everything_back(self) -> None:
        """What might be known as delivered is not sent on the chance."""

        class BrokenLedger(MemoryLedger):
            @override
            def look_up(self, asked: Mapping[UpdateKey, Update | None]) -> Known:
                raise SourceError("disk gone")

        sink = ScriptedSink()
        with pytest.raises(SourceError, match="disk gone"):
            Courier(sink=sink, ledger=BrokenLedger()).deliver(Plan(Tally(), [GRADE]), NOW)
        assert sink.batches == []

    def test_remembers_what_was_delivered(self) -> None:
        """The entry holds what tells the next run that there is nothing to send."""
        way = Round()
        assert way.go(GRADE) == [("sent", "")]
        assert way.entry == Entry(key=KEY, state=EntryState.DELIVERED, fingerprint=GRADE.fingerprint, source_time=FRESH)

    def test_keeps_what_did_not_change_from_being_sent(self) -> None:
        """The same payload again is unchanged, costs no request and changes no entry."""
        way = Round()
        way.go(GRADE)
        assert way.go(GRADE) == [("unchanged", "")]
        assert (len(way.sink.batches), way.changes) == (1, [])

    def test_lets_everything_through_that_is_forced(self) -> None:
        """Who forces sends what the ledger knows, too."""
        way = Round()
        way.go(GRADE)
        assert way.go(GRADE, force=True) == [("sent", "")]
        assert way.sink.handed == [GRADE, GRADE]

    def test_lets_another_payload_of_the_same_time_through(self) -> None:
        """A date override changes a certificate, and not its time."""
        way = Round()
        way.go(GRADE)
        assert way.go(BETTER) == [("sent", "")]
        assert way.entry.fingerprint == BETTER.fingerprint

    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("again", [False, True])
    def test_keeps_the_older_back(self, force: bool, again: bool) -> None:
        """What is older than what was delivered is never sent, forced or not, and leaves what is known alone."""
        way = Round()
        way.go(GRADE)
        stale = evolve(BETTER, source_time=FRESH - timedelta(microseconds=1))
        assert way.go(stale, force=force, again=again) == [("skipped", "stale")]
        assert (way.sink.handed, way.entry.source_time) == ([GRADE], FRESH)

    @pytest.mark.parametrize(("delivered", "update"), [(FRESH, None), (None, OLD), (None, None)])
    def test_calls_nothing_older_whose_time_is_unknown(
        self, delivered: datetime | None, update: datetime | None
    ) -> None:
        """Without both times nothing is stale."""
        way = Round()
        way.go(evolve(GRADE, source_time=delivered))
        assert way.go(evolve(BETTER, source_time=update)) == [("sent", "")]

    def test_lets_a_program_go_back_in_time_while_it_is_in_doubt(self) -> None:
        """That is what it does when the newest of its certificates goes; once it is known what arrived, it may not."""
        award = ProgramAward(user_id=1, username="someone", program_uuid=PROGRAM, source_time=FRESH)
        older = evolve(award, source_time=OLD)
        way = Round(ScriptedSink([[Deferred(reason="never met the learner")]]))
        way.go(award)
        assert way.go(older) == [("sent", "")]
        (entry,) = way.changes
        assert (entry.fingerprint, entry.source_time, entry.in_doubt) == (older.fingerprint, OLD, False)
        way.go(evolve(award, visible_date=OLD))
        assert way.go(older) == [("skipped", "stale")]

    def test_moves_on_with_a_time_that_changes_nothing_else(self) -> None:
        """A certificate touched and the same is not sent, and what is older than that touch is stale from now on."""
        award = ProgramAward(user_id=1, username="someone", program_uuid=PROGRAM, source_time=OLD)
        way = Round()
        way.go(award)
        assert way.go(evolve(award, source_time=FRESH)) == [("unchanged", "")]
        assert way.go(evolve(award, source_time=OLD)) == [("skipped", "stale")]

    def test_knows_awards_and_revocations_by_one_key(self) -> None:
        """After a revocation the award is news again, and there is one entry for both."""
        award = ProgramAward(user_id=1, username="someone", program_uuid=PROGRAM)
        revocation = ProgramRevocation(user_id=1, username="someone", program_uuid=PROGRAM)
        way = Round()
        ends = [way.go(update) for update in (award, award, revocation, revocation, award)]
        assert [verdict for ((verdict, _),) in ends] == ["sent", "unchanged", "sent", "unchanged", "sent"]
        assert len(way.ledger.entries) == 1

    def test_holds_one_entry_for_each_key_of_a_page(self) -> None:
        """Two records of one learner and run are one entry, also where one is sent and one put off."""
        way = Round()
        assert way.go(GRADE, defer=[KEY, KEY]) == [
            ("deferred", "learner_not_visible"),
            ("deferred", "learner_not_visible"),
            ("sent", ""),
        ]
        (entry,) = way.changes
        assert (entry.state, entry.fingerprint) == (EntryState.DEFERRED, GRADE.fingerprint)


class TestDoubt:
    def test_is_written_down_before_an_update_goes_out(self) -> None:
        """A run that dies before it hears the answer must not leave the old payload known as what the sink has."""
        way = Round(ScriptedSink([[Delivered()], KeyboardInterrupt()]))
        way.go(GRADE)
        with pytest.raises(KeyboardInterrupt):
            way.go(BETTER)
        assert (way.entry.state, way.entry.fingerprint, way.entry.source_time) == (EntryState.DELIVERED, None, FRESH)
        assert way.go(GRADE) == [("sent", "")]

    def test_is_not_written_down_where_nothing_is_known(self) -> None:
        """What the ledger does not know of, or knows to be unchanged, costs no further write."""
        way = Round()
        for _ in range(2):
            way.go(GRADE, evolve(GRADE, user_id=2))
        assert way.ledger.writes == 2
        way.go(BETTER)
        assert way.ledger.writes == 4

    def test_is_no_business_of_a_rehearsal(self) -> None:
        """A dry run writes nothing down, and tells the same."""
        way = Round()
        way.go(GRADE)
        before = way.entry
        plan = Plan(Tally(), [BETTER])
        Courier(sink=way.sink, ledger=way.ledger, is_rehearsal=True).deliver(plan, NOW)
        assert (ends_of(plan.tally), way.ledger.writes, way.entry) == ([("sent", "")], 1, before)

    @pytest.mark.parametrize("act", [ValueError(), [], SinkUnavailableError("down")])
    def test_stays_where_the_sink_gave_no_answer(self, act: Any) -> None:
        """Whatever the sink holds after an error of its own, the next update is sent."""
        way = Round(ScriptedSink([[Delivered()], act]))
        way.go(GRADE)
        way.go(BETTER)
        assert way.entry.fingerprint is None
        assert way.go(GRADE) == [("sent", "")]


class TestDeadLetters:
    rejection: Sequence[Outcome] = [Rejected(reason="no such run", status=404)]

    def test_are_kept_with_their_reason(self) -> None:
        """A rejected update stays in the ledger, with what was said and when."""
        way = Round(ScriptedSink([self.rejection]))
        assert way.go(GRADE) == [("rejected", "no such run")]
        assert way.entry == Entry(
            key=KEY,
            state=EntryState.DEAD,
            source_time=FRESH,
            in_doubt=True,
            failed_fingerprint=GRADE.fingerprint,
            reason="no such run",
            status=404,
            since=NOW,
            tries=1,
        )

    def test_are_not_sent_again_while_unchanged(self) -> None:
        """The same again gives the same answer, so it is not asked for."""
        way = Round(ScriptedSink([self.rejection]))
        way.go(GRADE)
        assert way.go(GRADE) == [("skipped", "dead_letter")]
        assert (len(way.sink.batches), way.entry.tries) == (1, 1)

    def test_are_sent_once_mended(self) -> None:
        """Another payload may fare better, and then the letter is gone."""
        way = Round(ScriptedSink([self.rejection]))
        way.go(GRADE)
        assert way.go(BETTER) == [("sent", "")]
        assert way.entry == Entry(
            key=KEY, state=EntryState.DELIVERED, fingerprint=BETTER.fingerprint, source_time=FRESH
        )

    @pytest.mark.parametrize("changes", [{"force": True}, {"again": True}])
    def test_are_sent_again_on_request(self, changes: Mapping[str, Any]) -> None:
        """Who forces, or tries the letters again, gets another answer of the sink; it counts one more try."""
        way = Round(ScriptedSink([self.rejection, self.rejection]))
        way.go(GRADE)
        assert way.go(GRADE, at=NOW + timedelta(days=1), **changes) == [("rejected", "no such run")]
        assert (way.entry.tries, way.entry.since) == (2, NOW)

    def test_leave_open_what_the_sink_has(self) -> None:
        """What is refused in the end may have arrived with an earlier try: going back is sent, and ends the letter."""
        way = Round(ScriptedSink([[Delivered()], self.rejection]))
        way.go(GRADE)
        way.go(BETTER)
        assert (way.entry.fingerprint, way.entry.source_time) == (None, FRESH)
        assert way.go(GRADE) == [("sent", "")]
        assert way.entry.state is EntryState.DELIVERED

    def test_of_what_was_given_up_are_told_as_what_they_are(self) -> None:
        """One that is handed over again, and put off again, is given up again: it was sent, and no rule objected."""
        way = Round(ScriptedSink([[Deferred(reason="busy")]] * 2))
        way.go(GRADE)
        for days in (8, 9):
            assert way.go(GRADE, at=NOW + timedelta(days=days), give_up_after=timedelta(days=7)) == [
                ("failed", "given up: busy")
            ]
            way.sink.acts = [[Deferred(reason="busy")]]
        assert (way.entry.state, way.entry.in_doubt, way.entry.tries) == (EntryState.DEAD, True, 3)

    def test_count_no_time_in_which_nothing_could_be_sent(self) -> None:
        """The wait for what is not there yet begins when that is first heard of, not with an outage before it."""
        way = Round(ScriptedSink([SinkUnavailableError("down"), [Deferred(reason="no such run yet")]]))
        way.go(GRADE)
        later = NOW + timedelta(days=8)
        assert way.go(GRADE, at=later, give_up_after=timedelta(days=7)) == [("deferred", "no such run yet")]
        assert way.entry.since == later

    def test_of_a_broken_sink_are_sent_again_as_they_are(self) -> None:
        """Where the sink refused nothing, the same update may well arrive the next time."""
        way = Round(ScriptedSink([ValueError("bug")]))
        assert way.go(GRADE) == [("failed", "the sink raised ValueError")]
        assert (way.entry.state, way.entry.failed_fingerprint) == (EntryState.DEAD, None)
        assert way.go(GRADE) == [("sent", "")]

    def test_that_are_deferred_later_are_letters_no_more(self) -> None:
        """A letter that a forced try could not send is open again: no rejection stands between it and the sink."""
        way = Round(ScriptedSink([self.rejection, SinkUnavailableError("down")]))
        way.go(GRADE)
        assert way.go(GRADE, force=True) == [("deferred", "sink_unavailable")]
        assert (way.entry.state, way.entry.failed_fingerprint, way.entry.status) == (EntryState.DEFERRED, None, None)
        assert way.go(GRADE) == [("sent", "")]


class TestDeferrals:
    def test_are_kept_with_their_reason(self) -> None:
        """What is put off is in the ledger, with why, since when and how often."""
        way = Round()
        way.go(defer=[KEY])
        way.go(defer=[KEY], at=NOW + timedelta(days=1))
        assert way.entry == Entry(key=KEY, state=EntryState.DEFERRED, reason="learner_not_visible", since=NOW, tries=2)

    def test_leave_open_what_the_sink_has(self) -> None:
        """What a sink deferred may have arrived or not: only its time is sure, and whatever comes next is sent."""
        way = Round(ScriptedSink([[Delivered()], [Deferred(reason="busy")]]))
        way.go(GRADE)
        way.go(BETTER)
        assert (way.entry.state, way.entry.fingerprint, way.entry.source_time) == (EntryState.DEFERRED, None, FRESH)
        assert way.go(evolve(GRADE, source_time=OLD)) == [("skipped", "stale")]
        assert way.go(GRADE) == [("sent", "")]

    def test_keep_what_was_delivered_before(self) -> None:
        """What is put off before any sink has seen it leaves the sink with what it has."""
        way = Round()
        way.go(GRADE)
        way.go(defer=[KEY])
        assert (way.entry.state, way.entry.fingerprint) == (EntryState.DEFERRED, GRADE.fingerprint)
        assert way.go(GRADE) == [("unchanged", "")]
        assert way.entry.state is EntryState.DELIVERED

    @pytest.mark.parametrize(
        ("waited", "end"),
        [
            (timedelta(days=7), ("deferred", "learner_not_visible")),
            (timedelta(days=7, microseconds=1), ("failed", "given up: learner_not_visible")),
        ],
    )
    def test_are_given_up_after_a_time(self, waited: timedelta, end: tuple[str, str]) -> None:
        """What never shows up becomes a dead letter once it has waited for longer than the host waits."""
        way = Round()
        way.go(defer=[KEY], give_up_after=timedelta(days=7))
        assert way.go(defer=[KEY], at=NOW + waited, give_up_after=timedelta(days=7)) == [end]
        assert way.entry.state is (EntryState.DEAD if end[0] == "failed" else EntryState.DEFERRED)
        assert (way.entry.since, way.entry.tries) == (NOW, 2)

    def test_that_were_given_up_stay_dead_letters(self) -> None:
        """What is read again after it was given up is skipped, and fails no second run; a retry looks at it."""
        way = Round()
        late = NOW + timedelta(days=8)
        way.go(defer=[KEY], give_up_after=timedelta(days=7))
        way.go(defer=[KEY], at=late, give_up_after=timedelta(days=7))
        assert way.go(defer=[KEY], at=late, give_up_after=timedelta(days=7)) == [("skipped", "dead_letter")]
        again = way.go(defer=[KEY], at=late, give_up_after=timedelta(days=7), again=True)
        assert again == [("failed", "given up: learner_not_visible")]

    def test_beside_the_same_update_keep_what_was_delivered_before(self) -> None:
        """A page may hold a key twice, and one of the two cannot be decided yet: the sink still has what it has."""
        way = Round()
        way.go(GRADE)
        assert way.go(GRADE, defer=[KEY]) == [("deferred", "learner_not_visible"), ("unchanged", "")]
        assert (way.entry.state, way.entry.fingerprint) == (EntryState.DEFERRED, GRADE.fingerprint)
        assert way.entry.source_time == GRADE.source_time

    def test_are_given_up_where_the_sink_keeps_deferring(self) -> None:
        """A learner the service never comes to know is a dead letter some day; it is tried again whenever it comes."""
        busy: list[Outcome] = [Deferred(reason="never met this learner")]
        way = Round(ScriptedSink([busy, busy]))
        way.go(GRADE, give_up_after=timedelta(days=7))
        end = way.go(GRADE, at=NOW + timedelta(days=8), give_up_after=timedelta(days=7))
        assert end == [("failed", "given up: never met this learner")]
        assert way.tally.failures[0].reason == "given up: never met this learner"
        assert way.go(GRADE) == [("sent", "")]

    def test_wait_for_ever_where_nobody_gives_up(self) -> None:
        """Without a limit, waiting is all that happens."""
        way = Round()
        way.go(defer=[KEY])
        assert way.go(defer=[KEY], at=NOW + timedelta(days=9999)) == [("deferred", "learner_not_visible")]

    def test_of_an_unavailable_sink_are_never_given_up(self) -> None:
        """That the service is down is no fault of the record's."""
        down = SinkUnavailableError("down")
        way = Round(ScriptedSink([down, down]))
        way.go(GRADE, give_up_after=timedelta(days=7))
        late = NOW + timedelta(days=9999)
        assert way.go(GRADE, at=late, give_up_after=timedelta(days=7)) == [("deferred", "sink_unavailable")]
        assert (way.entry.state, way.entry.tries) == (EntryState.DEFERRED, 2)

    def test_end_with_the_delivery(self) -> None:
        """Once delivered, nothing of the waiting is left."""
        way = Round()
        way.go(defer=[KEY])
        way.go(GRADE)
        assert way.entry == Entry(key=KEY, state=EntryState.DELIVERED, fingerprint=GRADE.fingerprint, source_time=FRESH)


outcomes = st.sampled_from([Delivered(), Rejected(reason="no"), Deferred(reason="later"), None])
acts = st.one_of(
    st.lists(outcomes, max_size=8),
    st.sampled_from([ValueError(), SinkUnavailableError("down"), SinkRejectedError("closed")]),
)
batches = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([OLD, FRESH, NOW])), max_size=8)


class TestAccount:
    @given(pages=st.lists(st.tuples(batches, st.sets(st.integers(1, 4)), acts), max_size=4), force=st.booleans())
    def test_adds_up_whatever_comes(
        self, pages: Sequence[tuple[Sequence[tuple[int, datetime]], Collection[int], Any]], force: bool
    ) -> None:
        """Each update and deferral of a page ends exactly once, and no sink is handed what is older than it took."""
        way = Round(ScriptedSink([act for *_, act in pages]))
        for page, deferred, _ in pages:
            updates = [evolve(GRADE, user_id=user_id, source_time=time) for user_id, time in page]
            way.go(*updates, defer=[UpdateKey("grade", user_id, INTRO) for user_id in deferred], force=force)
            assert way.tally.counts.total() == len(page) + len(deferred)
            assert len({entry.key for entry in way.changes}) == len(way.changes)
        newest: dict[UpdateKey, datetime] = {}
        for update in way.sink.taken.history:
            assert update.source_time is not None
            assert update.source_time >= newest.get(update.key, update.source_time)
            newest[update.key] = update.source_time
