"""The campus, the sink and the ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from credsync.adapters.memory import MemoryLedger, MemoryPlatform, MemorySink
from credsync.errors import ConfigurationError
from credsync.ledger import Entry, EntryState, PageRecord, RunHeader, RunState
from credsync.model import Certificate, Grade
from credsync.paging import PageSource, iter_pages
from credsync.ports import RecordKey
from credsync.selection import Selection
from credsync.updates import CertificateUpdate, Delivered, Update, UpdateKey
from tests.campus_builders import ADVANCED, ELSEWHERE, FRESH, INTRO, NOW, OLD, cert, grade, learner
from tests.look_ups import answer_to, every_look_up

DAY = timedelta(days=1)


def items_of(source: PageSource[Any], page_size: int = 2) -> list[Any]:
    """Page through a source to its end."""
    return [record for page in iter_pages(source, page_size) for record in page.records]


class TestPlatform:
    def test_finds_what_was_added_and_nothing_else(self) -> None:
        """A key that nothing is known of is absent."""
        platform = MemoryPlatform()
        platform.add(learner(1), cert(1), grade(2))
        key, other = RecordKey(1, INTRO), RecordKey(2, INTRO)
        assert platform.find_learners([1, 2]) == {1: learner(1)}
        assert platform.find_certificates({key, other}) == {key: cert(1)}
        assert platform.find_grades({key, other}) == {other: grade(2)}

    def test_keeps_the_last_of_what_shares_a_key(self) -> None:
        """A learner has one certificate and one grade for a course run."""
        platform = MemoryPlatform()
        platform.add(cert(), cert(status="error"), grade(), grade(percent_grade=0.1))
        assert items_of(platform.certificates(Selection())) == [cert(status="error")]
        assert items_of(platform.grades(Selection())) == [grade(percent_grade=0.1)]

    @given(users=st.sets(st.integers(1, 20)), page_size=st.integers(1, 9))
    def test_gives_each_record_once_in_the_order_of_its_key(self, users: set[int], page_size: int) -> None:
        """Pages of any size give everything, each once, and none is longer than it may be."""
        platform = MemoryPlatform()
        platform.add(*(cert(user_id) for user_id in users))
        pages = list(iter_pages(platform.certificates(Selection()), page_size))
        assert [one.user_id for page in pages for one in page.records if isinstance(one, Certificate)] == sorted(users)
        assert all(len(page.records) <= page_size for page in pages)
        assert all(page.records for page in pages[1:])

    def test_may_change_while_it_is_read(self) -> None:
        """What comes and goes does not move what was there all the time out of a walk."""
        platform = MemoryPlatform()
        platform.add(*(grade(user_id) for user_id in (10, 20, 30, 40)))
        pages = iter_pages(platform.grades(Selection()), 2)
        seen = [one.user_id for one in next(pages).records if isinstance(one, Grade)]
        platform.add(grade(5), grade(35))
        del platform.grades_by_key[RecordKey(20, INTRO)]
        seen += [one.user_id for page in pages for one in page.records if isinstance(one, Grade)]
        assert seen == [10, 20, 30, 35, 40]

    @pytest.mark.parametrize(
        ("selection", "users"),
        [
            (Selection(), [1, 2, 3, 4]),
            (Selection(course_runs=[ADVANCED]), [2]),
            (Selection(course_runs=[INTRO, ELSEWHERE]), [1, 3, 4]),
            (Selection(user_ids=[1, 2]), [1, 2]),
            (Selection(user_ids=[]), []),
            (Selection(orgs="OtherX"), [3]),
            (Selection(orgs=["DemoX"], user_ids=[2, 3]), [2]),
            (Selection(start=FRESH), [1, 2]),
            (Selection(start=FRESH, end=FRESH + DAY), [1, 2]),
            (Selection(end=FRESH), [3]),
            (Selection(start=OLD, end=FRESH), [3]),
            (Selection(start=FRESH - DAY, end=FRESH), []),
        ],
    )
    def test_selects(self, selection: Selection, users: Sequence[int]) -> None:
        """Every condition counts, windows are half-open, and a record without a time lies in no window."""
        platform = MemoryPlatform()
        facts: list[tuple[int, str, datetime | None]] = [
            (1, INTRO, FRESH),
            (2, ADVANCED, FRESH),
            (3, ELSEWHERE, OLD),
            (4, INTRO, None),
        ]
        for user_id, run, time in facts:
            platform.add(cert(user_id, run, modified_date=time), grade(user_id, run, modified=time))
        assert [one.user_id for one in items_of(platform.certificates(selection))] == users
        assert [one.user_id for one in items_of(platform.grades(selection))] == users


class TestSink:
    def test_keeps_what_it_is_given(self) -> None:
        """All updates in their order, and the last for each key; each is delivered."""
        first = CertificateUpdate(user_id=1, username="", course_run=INTRO, mode="verified", status="error")
        second = evolve(first, status="downloadable")
        sink = MemorySink()
        assert sink.deliver([first]) == [Delivered()]
        assert sink.deliver([second, evolve(first, user_id=2)]) == [Delivered(), Delivered()]
        assert sink.history == [first, second, evolve(first, user_id=2)]
        assert sink.state[first.key] == second


HEADER = RunHeader(scope={"all": True}, start=OLD, end=NOW, started=NOW, watermark=NOW)
KEY, OTHER = UpdateKey("grade", 1, INTRO), UpdateKey("certificate", 2, INTRO)


def deferred(key: UpdateKey) -> Entry:
    """Build an entry that waits."""
    return Entry(key=key, state=EntryState.DEFERRED)


def page_of(*entries: Entry, **changes: Any) -> PageRecord:
    """Build what a page changes."""
    return PageRecord(entries=entries, at=NOW, **changes)


class TestLedger:
    def test_remembers_entries_until_they_are_resolved(self) -> None:
        """What was written down is found, by key, until it needs no further look."""
        ledger = MemoryLedger()
        ledger.begin(HEADER)
        ledger.record(page_of(deferred(KEY), deferred(OTHER)))
        assert ledger.look_up(dict.fromkeys([KEY, UpdateKey("grade", 9, INTRO)])).entries == {KEY: deferred(KEY)}
        ledger.record(page_of(Entry(key=OTHER, state=EntryState.DELIVERED), resolved=[KEY, UpdateKey("grade", 9, "x")]))
        delivered = Entry(key=OTHER, state=EntryState.DELIVERED)
        assert ledger.look_up(dict.fromkeys([KEY, OTHER])).entries == {OTHER: delivered}

    @every_look_up
    def test_knows_an_update_that_is_the_same(self, entry: Entry, asked: Update | None, is_unchanged: bool) -> None:
        """It compares as a durable one does."""
        ledger = MemoryLedger(entries={entry.key: entry})
        assert ledger.look_up({entry.key: asked}) == answer_to(entry, is_unchanged)

    def test_lists_what_is_pending(self) -> None:
        """By state, and by kind where that is asked for, in pages."""
        ledger = MemoryLedger()
        dead = Entry(key=UpdateKey("grade", 3, INTRO), state=EntryState.DEAD)
        ledger.record(page_of(deferred(KEY), deferred(OTHER), dead))
        assert items_of(ledger.pending(EntryState.DEFERRED), 1) == [deferred(OTHER), deferred(KEY)]
        assert items_of(ledger.pending(EntryState.DEFERRED, "grade")) == [deferred(KEY)]
        assert items_of(ledger.pending(EntryState.DEAD)) == [dead]

    def test_lists_what_earlier_runs_left(self) -> None:
        """What a run has tried itself is not what it has still to try; a resumption is a run of its own in that."""
        ledger = MemoryLedger()
        first = ledger.begin(HEADER)
        ledger.record(page_of(deferred(KEY)))
        assert items_of(ledger.pending(EntryState.DEFERRED, before_run=first.run_id)) == []
        ledger.finish("stopped", NOW)
        second = ledger.begin(HEADER, resume=True)
        ledger.record(page_of(deferred(OTHER)))
        assert items_of(ledger.pending(EntryState.DEFERRED, before_run=second.run_id)) == [deferred(KEY)]

    def test_holds_the_place_of_a_run(self) -> None:
        """The checkpoint of the last page that has one is where a resumption begins; a new run begins at the start."""
        ledger = MemoryLedger()
        assert (ledger.begin(HEADER).stage, ledger.run.cursor) == (None, None)
        ledger.record(page_of(checkpoint=("grades", [7, INTRO])))
        ledger.record(page_of(checkpoint=None))
        ledger.finish("stopped", NOW)
        begun = ledger.begin(HEADER, resume=True)
        assert (begun.stage, begun.cursor) == ("grades", [7, INTRO])
        ledger.finish("stopped", NOW)
        begun = ledger.begin(HEADER)
        assert (begun.stage, begun.cursor) == (None, None)

    def test_lets_one_run_in_at_a_time(self) -> None:
        """A second one is told so, until the first is closed."""
        ledger = MemoryLedger()
        ledger.begin(HEADER)
        with pytest.raises(ConfigurationError, match="another run holds the ledger"):
            ledger.begin(HEADER)
        ledger.finish("complete", NOW)
        assert isinstance(ledger.begin(HEADER), RunState)

    @pytest.mark.parametrize(
        "other",
        [
            evolve(HEADER, scope={"all": False}),
            evolve(HEADER, start=FRESH),
            evolve(HEADER, end=None),
        ],
    )
    def test_refuses_to_resume_another_selection(self, other: RunHeader) -> None:
        """Scope and window are the run's; when the resumption began, and how far it would see, are not."""
        ledger = MemoryLedger()
        ledger.begin(HEADER)
        ledger.finish("stopped", NOW)
        with pytest.raises(ConfigurationError, match="another selection"):
            ledger.begin(other, resume=True)
        assert ledger.begin(evolve(HEADER, started=NOW + DAY, watermark=None), resume=True).run_id == 2

    def test_refuses_to_resume_nothing(self) -> None:
        """There must have been a run, and it must not have completed."""
        ledger = MemoryLedger()
        with pytest.raises(ConfigurationError, match="no run to resume"):
            ledger.begin(HEADER, resume=True)
        ledger.begin(HEADER)
        ledger.finish("complete", NOW)
        with pytest.raises(ConfigurationError, match="no run to resume"):
            ledger.begin(HEADER, resume=True)

    @pytest.mark.parametrize(
        ("status", "watermark", "expected"),
        [("complete", NOW, NOW), ("stopped", NOW, None), ("complete", None, None)],
    )
    def test_moves_the_watermark_with_a_complete_run(
        self, status: str, watermark: datetime | None, expected: datetime | None
    ) -> None:
        """Only a run that saw everything says so."""
        ledger = MemoryLedger()
        ledger.begin(evolve(HEADER, watermark=watermark))
        ledger.finish(status, NOW)
        assert (ledger.watermark, ledger.status) == (expected, status)

    def test_keeps_the_watermark_that_a_later_run_leaves_alone(self) -> None:
        """A run that leaves gaps says nothing about how far everything was seen."""
        ledger = MemoryLedger()
        for header in (HEADER, evolve(HEADER, watermark=None)):
            ledger.begin(header)
            ledger.finish("complete", NOW)
        assert ledger.watermark == NOW

    def test_knows_a_watermark_for_each_scope(self) -> None:
        """What was seen of one selection says nothing about another, and a scope is the same however it is written."""
        ledger = MemoryLedger()
        for scope, watermark in (({"a": 1, "b": 2}, OLD), ({"a": 2}, NOW)):
            ledger.begin(evolve(HEADER, scope=scope, watermark=watermark))
            ledger.finish("complete", NOW)
        assert ledger.find_watermark({"b": 2, "a": 1}) == OLD
        assert ledger.find_watermark({"a": 2}) == NOW
        assert ledger.find_watermark({"a": 3}) is None

    def test_resumes_behind_a_retry_of_letters(self) -> None:
        """A run over letters in between is nothing to go on with, and takes nothing away from the run that is."""
        ledger = MemoryLedger()
        ledger.begin(HEADER)
        ledger.record(page_of(checkpoint=("grades", [7, INTRO])))
        ledger.finish("stopped", NOW)
        ledger.begin(evolve(HEADER, scope={"letters": True}, job="retry"))
        ledger.record(page_of(checkpoint=("pending", None)))
        ledger.finish("complete", NOW)
        begun = ledger.begin(HEADER, resume=True)
        assert (begun.run_id, begun.stage, begun.cursor) == (3, "grades", [7, INTRO])
