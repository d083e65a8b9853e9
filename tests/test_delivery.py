"""Delivering a page: the newest for each key, only what the ledger does not have, and an end for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from credsync.delivery import MAX_REASONS, Courier
from credsync.errors import SinkRejectedError, SinkUnavailableError
from credsync.planning import Plan
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
)
from tests.campus_builders import FRESH, INTRO, NOW, OLD, PROGRAM, ScriptedSink, ends_of

GRADE = GradeUpdate(
    user_id=1, username="someone", course_run=INTRO, letter_grade="B", percent_grade=0.85, source_time=FRESH
)


def deliver(sink: ScriptedSink, *updates: Update) -> Tally:
    """Deliver a page without a ledger."""
    plan = Plan(Tally(), list(updates))
    Courier(sink=sink).deliver(plan, NOW)
    return plan.tally


class TestSink:
    def test_is_handed_a_page_at_once_and_in_order(self) -> None:
        """A batch is a page."""
        page = [evolve(GRADE, user_id=user_id) for user_id in (3, 1, 2)]
        sink = ScriptedSink()
        assert ends_of(deliver(sink, *page)) == [("sent", "")] * 3
        assert sink.batches == [page]

    def test_is_left_alone_where_nothing_is_to_be_sent(self) -> None:
        """No update, no call."""
        sink = ScriptedSink()
        deliver(sink)
        assert sink.batches == []

    def test_says_what_became_of_each(self) -> None:
        """Each update ends as the outcome in its place says."""
        sink = ScriptedSink([[Delivered(), Rejected(reason="no such run", status=404), Deferred(reason="busy")]])
        tally = deliver(sink, *(evolve(GRADE, user_id=user_id) for user_id in (1, 2, 3)))
        assert tally.counts == {
            ("grade", INTRO, "sent", ""): 1,
            ("grade", INTRO, "rejected", "no such run"): 1,
            ("grade", INTRO, "deferred", "busy"): 1,
        }
        assert [(failure.record, failure.reason, failure.status) for failure in tally.failures] == [
            (("grade", 2, INTRO), "no such run", 404)
        ]

    @pytest.mark.parametrize(
        ("act", "reason"),
        [
            (ValueError("someone's name"), "the sink raised ValueError"),
            ([], "the sink did not give one outcome per update"),
            ([Delivered()], "the sink did not give one outcome per update"),
            ([Delivered()] * 3, "the sink did not give one outcome per update"),
            (lambda updates: None, "the sink raised TypeError"),
            ([None, True], "the sink gave no outcome"),
            (lambda updates: (1 / 0 for _ in updates), "the sink raised ZeroDivisionError"),
        ],
        ids=["raises", "none", "too few", "too many", "no list", "no outcomes", "raises late"],
    )
    def test_that_breaks_its_promise_fails_its_batch(self, act: Any, reason: str) -> None:
        """Whatever a host's sink does, each update has an end, and what an exception says goes no further."""
        tally = deliver(ScriptedSink([act]), GRADE, evolve(GRADE, user_id=2))
        assert ends_of(tally) == [("failed", reason)] * 2
        assert [(failure.record, failure.reason) for failure in tally.failures] == [
            (("grade", user_id, INTRO), reason) for user_id in (1, 2)
        ]

    def test_may_give_its_outcomes_one_by_one(self) -> None:
        """Outcomes count as well where they come from a generator."""
        sink = ScriptedSink([lambda updates: (Delivered() for _ in updates)])  # type: ignore[list-item,return-value]  # more than the port promises to take
        assert ends_of(deliver(sink, GRADE)) == [("sent", "")]

    def test_may_refuse_a_whole_batch(self) -> None:
        """A rejection that is raised is one for each update of the batch."""
        tally = deliver(ScriptedSink([SinkRejectedError("closed", status=403)]), GRADE, evolve(GRADE, user_id=2))
        assert ends_of(tally) == [("rejected", "closed")] * 2
        assert [failure.status for failure in tally.failures] == [403, 403]

    def test_may_be_unavailable(self) -> None:
        """What could not be sent is deferred, and the sink's error is handed back."""
        error = SinkUnavailableError("throttled", retry_after=59.0)
        plan = Plan(Tally(), [GRADE, evolve(GRADE, user_id=2)])
        _, unavailable = Courier(sink=ScriptedSink([error])).deliver(plan, NOW)
        assert unavailable is error
        assert ends_of(plan.tally) == [("deferred", "sink_unavailable")] * 2

    def test_cannot_hold_back_an_interruption(self) -> None:
        """Ctrl-C is not the sink's error."""
        with pytest.raises(KeyboardInterrupt):
            deliver(ScriptedSink([KeyboardInterrupt()]), GRADE)

    def test_has_few_reasons_of_its_own(self) -> None:
        """A sink that words each answer differently fills neither memory nor report; the failures keep its words."""
        many = [evolve(GRADE, user_id=user_id) for user_id in range(MAX_REASONS + 10)]
        words: list[Outcome] = [Rejected(reason=f"no {update.user_id}") for update in many]
        deferrals: list[Outcome] = [Deferred(reason=f"no {update.user_id}") for update in many]
        courier = Courier(sink=ScriptedSink([words, deferrals]))
        first, second = Plan(Tally(), list(many)), Plan(Tally(), list(many))
        courier.deliver(first, NOW)
        courier.deliver(second, NOW)
        for plan, verdict in ((first, "rejected"), (second, "deferred")):
            assert len(plan.tally.counts) == MAX_REASONS + 1
            assert plan.tally.counts["grade", INTRO, verdict, "other reasons"] == 10
            assert plan.tally.counts["grade", INTRO, verdict, "no 0"] == 1
        assert [failure.reason for failure in first.tally.failures] == [f"no {update.user_id}" for update in many]


class TestNewest:
    times = st.sampled_from([OLD, FRESH, NOW])

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
    def test_of_one_key_wins_in_whatever_order(self, order: Sequence[int]) -> None:
        """Only the newest update for a key goes out; the others are superseded, by no fault of their own."""
        states: list[Update] = [evolve(GRADE, source_time=time) for time in (OLD, FRESH, NOW)]
        sink = ScriptedSink()
        tally = deliver(sink, *(states[index] for index in order))
        assert sink.handed == [states[2]]
        assert ends_of(tally) == [("sent", ""), ("skipped", "superseded"), ("skipped", "superseded")]

    @pytest.mark.parametrize("times", [(FRESH, FRESH), (None, FRESH), (FRESH, None), (None, None)])
    def test_is_the_last_where_times_do_not_tell(self, times: tuple[datetime | None, datetime | None]) -> None:
        """Of two that cannot be told apart by time, the one that was read later counts."""
        first, last = (
            evolve(GRADE, source_time=time, letter_grade=letter) for time, letter in zip(times, "AB", strict=True)
        )
        sink = ScriptedSink()
        deliver(sink, first, last)
        assert sink.handed == [last]

    def test_is_sought_among_awards_and_revocations_together(self) -> None:
        """An award and a revocation of one program are two words on one thing."""
        award = ProgramAward(user_id=1, username="someone", program_uuid=PROGRAM, source_time=OLD)
        revocation = ProgramRevocation(user_id=1, username="someone", program_uuid=PROGRAM, source_time=FRESH)
        sink = ScriptedSink()
        deliver(sink, revocation, award)
        assert sink.handed == [revocation]

    @given(page=st.lists(st.tuples(st.integers(1, 3), times), max_size=12))
    def test_is_one_for_each_key(self, page: Sequence[tuple[int, datetime]]) -> None:
        """A batch never holds two updates for one key, and the one it holds is none of the older ones."""
        sink = ScriptedSink()
        tally = deliver(sink, *(evolve(GRADE, user_id=user_id, source_time=time) for user_id, time in page))
        newest = {user_id: max(time for one, time in page if one == user_id) for user_id, _ in page}
        assert {update.user_id: update.source_time for update in sink.handed} == newest
        assert len(sink.handed) == len(newest)
        assert tally.counts.total() == len(page)
