"""A run: page after page, what stops it and where, and how little it holds meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from credsync.adapters.memory import MemoryLedger
from credsync.errors import InvalidRecordError, SinkUnavailableError, SourceError
from credsync.model import Certificate, Grade, Learner
from credsync.notify import send_notifications
from credsync.paging import Cursor, Page
from credsync.ports import Host, RecordKey
from credsync.report import KEPT_FAILURES, Report, Stopped
from credsync.updates import Deferred, Delivered, Rejected, Update, UpdateKey
from tests.campus_builders import (
    ADVANCED,
    INTRO,
    OPTIONS,
    Platform,
    ScriptedSink,
    cert,
    grade,
    host_of,
    learner,
    platform_of,
)

CERTS = [cert(user_id) for user_id in range(1, 8)]
GRADES = [grade(user_id) for user_id in range(1, 8)]
KEYS = [UpdateKey("certificate", user_id, INTRO) for user_id in range(1, 8)] + [
    UpdateKey("grade", user_id, INTRO) for user_id in range(1, 8)
]
DOWN = SinkUnavailableError("down for repair", retry_after=30.0)


def campus_host(sink: ScriptedSink) -> Host:
    """Build a host that knows all certificates and grades."""
    return host_of(platform_of(*CERTS, *GRADES), sink)


@define
class FailingSource:
    """A page source whose database goes away, once, before a page is read.

    Attributes:
        records: What it holds.
        fails_at: The record before which it fails; None never does.
        error: What it raises.
    """

    records: list[Any]
    fails_at: int | None = None
    error: Exception = field(factory=lambda: SourceError("the database went away"))

    def fetch(self, after: Cursor | None, limit: int) -> Page[Any]:
        """Return a page, by the number of records before it."""
        start = after if isinstance(after, int) else 0
        if self.fails_at is not None and start >= self.fails_at:
            raise self.error
        end = start + limit
        return Page(self.records[start:end], end if end < len(self.records) else None)


class TestPages:
    def test_come_certificates_first_and_one_batch_each(self) -> None:
        """All certificates, then all grades, in their order, and never more than a page at once."""
        sink = ScriptedSink()
        report = send_notifications(CERTS, GRADES, page_size=3, host=campus_host(sink), options=OPTIONS)
        assert sink.keys_handed == KEYS
        assert [len(batch) for batch in sink.batches] == [3, 3, 1, 3, 3, 1]
        assert (report.status, report.total("sent")) == ("complete", 14)

    def test_are_paused_between(self) -> None:
        """There is a pause between two pages of a walk, and none before the first."""
        pauses: list[tuple[float, int]] = []
        sink = ScriptedSink()
        options = evolve(OPTIONS, sleep=lambda seconds: pauses.append((seconds, len(sink.batches))))
        send_notifications(CERTS, GRADES[:3], delay=0.5, page_size=3, host=campus_host(sink), options=options)
        assert pauses == [(0.5, 1), (0.5, 2)]

    def test_are_not_paused_without_a_delay(self) -> None:
        """No delay, no pause, not even one of no length."""
        options = evolve(OPTIONS, sleep=lambda seconds: pytest.fail("a pause"))
        send_notifications(CERTS, GRADES, page_size=3, host=campus_host(ScriptedSink()), options=options)

    def test_are_reported_one_by_one(self) -> None:
        """After each page comes the account so far, and it adds up each time."""
        reports: list[Report] = []
        options = evolve(OPTIONS, on_progress=reports.append)
        send_notifications(CERTS, GRADES, page_size=5, host=campus_host(ScriptedSink()), options=options)
        assert [report.total("sent") for report in reports] == [5, 7, 12, 14]
        assert [report.unaccounted for report in reports] == [0, 0, 0, 0]

    def test_are_measured_one_by_one(self) -> None:
        """Metrics are told how many records ended how, and how long each step of each page took."""

        class Told:
            records: ClassVar[Counter[tuple[str, str]]] = Counter()
            steps: ClassVar[Counter[str]] = Counter()

            def count(self, kind: str, verdict: str, records: int) -> None:
                self.records[kind, verdict] += records

            def time(self, step: str, seconds: float) -> None:
                assert seconds >= 0
                self.steps[step] += 1

        host = evolve(campus_host(ScriptedSink()), ledger=MemoryLedger())
        options = evolve(OPTIONS, metrics=Told())
        send_notifications(CERTS, [*GRADES[:6], grade(9)], page_size=4, host=host, options=options)
        assert Told.records == {("certificate", "sent"): 7, ("grade", "sent"): 6, ("grade", "deferred"): 1}
        assert Told.steps == {"plan": 5, "deliver": 5, "record": 5}

    def test_may_be_none(self) -> None:
        """Nothing to read is a complete run that did nothing."""
        sink = ScriptedSink()
        report = send_notifications([], iter([]), host=campus_host(sink), options=OPTIONS)
        assert (report.status, report.total(), sink.batches) == ("complete", 0, [])


class TrackedGrade:
    """A host's grade that knows how many of its kind are alive."""

    alive: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.course_id = INTRO
        self.letter_grade = "B"
        self.percent_grade = 0.85
        self.modified = None if user_id % 2 else GRADES[0].modified
        TrackedGrade.alive += 1
        TrackedGrade.most = max(TrackedGrade.most, TrackedGrade.alive)

    def __del__(self) -> None:
        TrackedGrade.alive -= 1


class EndlessCampus:
    """Knows everyone, and makes them up as they are asked for."""

    def find_learners(self, user_ids: Collection[int]) -> Mapping[int, Learner]:
        """Find everyone."""
        return {user_id: learner(user_id) for user_id in user_ids}

    def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Certificate]:
        """Find a certificate for everyone."""
        return {key: cert(key.user_id) for key in keys}

    def find_grades(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Grade]:
        """Find a grade for everyone."""
        return {key: grade(key.user_id) for key in keys}


class CountingSink:
    """Takes everything and keeps nothing."""

    def deliver(self, updates: Collection[Update]) -> list[Delivered]:
        """Take everything."""
        return [Delivered()] * len(updates)


class TestMemory:
    @pytest.mark.parametrize("sourced", [iter, list], ids=["generator", "page source"])
    def test_holds_a_page_and_no_more(self, sourced: Callable[[Iterable[int]], Any]) -> None:
        """Of however many records a source gives, no more than a page is alive at any time."""
        campus = EndlessCampus()
        host = evolve(host_of(Platform()), sink=CountingSink(), learners=campus, certificates=campus, grades=campus)
        TrackedGrade.most = TrackedGrade.alive

        @define
        class Made:
            def fetch(self, after: Cursor | None, limit: int) -> Page[TrackedGrade]:
                start = after if isinstance(after, int) else 0
                return Page(
                    [TrackedGrade(n) for n in range(start, start + limit)], None if start >= 9_900 else start + limit
                )

        grades: Any = Made() if sourced is list else (TrackedGrade(user_id) for user_id in range(50_000))
        report = send_notifications([], grades, page_size=100, host=host, options=OPTIONS)
        assert report.total("sent") == (10_000 if sourced is list else 50_000)
        assert (TrackedGrade.most, TrackedGrade.alive) == (100, 0)

    def test_holds_few_of_the_failures_and_counts_them_all(self) -> None:
        """However much fails, the report keeps the first ones in full and the number of all."""
        broken = (InvalidRecordError(f"row {number}", "mode", "none") for number in range(5_000))
        report = send_notifications(broken, [], host=campus_host(ScriptedSink()), options=OPTIONS)  # type: ignore[arg-type]  # what stands in a page for a row that cannot be read
        assert report.total("failed") == 5_000
        assert [failure.record.target for failure in report.failures] == [f"row {n}" for n in range(KEPT_FAILURES)]


class TestStops:
    @given(page_size=st.integers(1, 8), fails_at=st.integers(0, 20))
    def test_of_the_sink_lose_nothing(self, page_size: int, fails_at: int) -> None:
        """A run that an outage stopped says where to go on; going on from there sends the rest, and nothing twice."""
        sink = ScriptedSink([*([lambda updates: [Delivered()] * len(updates)] * fails_at), DOWN])
        host = campus_host(sink)
        report = send_notifications(CERTS, GRADES, page_size=page_size, host=host, options=OPTIONS)
        assert report.unaccounted == 0
        if report.stopped:
            assert (report.stopped.reason, report.stopped.retry_after) == ("down for repair (try again in 30 s)", 30.0)
            certs, grades = rest_of(report.stopped)
            again = send_notifications(certs, grades, page_size=page_size, host=host, options=OPTIONS)
            assert again.status == "complete"
        assert sorted(update.key for update in sink.taken.history) == KEYS

    def test_of_the_sink_name_the_start_of_the_page(self) -> None:
        """Without a ledger, the page that could not be sent is read again: its first record is the place to go on."""
        sink = ScriptedSink([[Delivered()] * 3, DOWN])
        report = send_notifications(CERTS, GRADES, page_size=3, host=campus_host(sink), options=OPTIONS)
        assert report.stopped == Stopped(
            reason="down for repair (try again in 30 s)", stage="certificates", cursor=3, retry_after=30.0
        )
        assert (report.total("sent"), report.total("deferred", reason="sink_unavailable")) == (3, 3)

    @given(page_size=st.integers(1, 8), fails_at=st.integers(0, 7), walk=st.sampled_from(["certificates", "grades"]))
    def test_of_the_source_lose_nothing(self, page_size: int, fails_at: int, walk: str) -> None:
        """What was read before a source failed is sent; the report says from where the rest is to be sent."""
        sink = ScriptedSink()
        host = campus_host(sink)
        certs, grades = [FailingSource([*records], fails_at if walk == name else None) for name, records in WALKS]
        report = send_notifications(certs, grades, page_size=page_size, host=host, options=OPTIONS)
        if report.stopped:
            assert report.stopped.reason == "the database went away"
            again = send_notifications(*rest_of(report.stopped), page_size=page_size, host=host, options=OPTIONS)
            assert again.status == "complete"
        assert (sink.keys_handed, report.unaccounted) == (KEYS, 0)

    def test_of_a_generator_keep_what_it_gave(self) -> None:
        """Half a page that a generator gave before it broke is sent, and counted in the place to go on."""

        def give_some() -> Iterator[Certificate]:
            yield from CERTS[:4]
            raise OSError("connection reset by someone")

        sink = ScriptedSink()
        report = send_notifications(give_some(), GRADES, page_size=3, host=campus_host(sink), options=OPTIONS)
        assert report.stopped == Stopped(
            reason="the source failed with OSError behind 4", stage="certificates", cursor=4
        )
        assert sink.keys_handed == KEYS[:4]

    @pytest.mark.parametrize("port", ["learners", "certificates", "grades"])
    def test_of_a_look_up_name_the_page(self, port: str) -> None:
        """Where a look-up cannot be made, its page is not decided, and read again the next time."""

        @define
        class Unreachable(Platform):
            @override
            def find_learners(self, user_ids: Collection[int]) -> Mapping[int, Learner]:
                raise SourceError("no connection")

            @override
            def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Certificate]:
                raise SourceError("no connection")

            @override
            def find_grades(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Grade]:
                raise SourceError("no connection")

        sink = ScriptedSink()
        unreachable: dict[str, Any] = {port: Unreachable()}
        host = evolve(campus_host(sink), **unreachable)
        pages = [*GRADES[:3], *(evolve(one, letter_grade=None) for one in GRADES[3:])]
        report = send_notifications([], pages, page_size=3, host=host, options=OPTIONS)
        done = 3 if port == "grades" else 0
        assert report.stopped == Stopped(reason="no connection", stage="grades", cursor=done or None)
        assert (report.total(), report.unaccounted, len(sink.handed)) == (done, 0, done)

    @pytest.mark.parametrize(
        ("max_failures", "batches", "status"),
        [(0, 1, "stopped"), (1, 1, "stopped"), (2, 2, "stopped"), (7, 7, "complete"), (None, 7, "complete")],
    )
    def test_come_once_too_much_failed(self, max_failures: int | None, batches: int, status: str) -> None:
        """A run stops at the end of the page that broke the limit, and never short of it."""
        sink = ScriptedSink([[Rejected(reason="no"), Rejected(reason="no")], [Rejected(reason="no"), Delivered()]])
        options = evolve(OPTIONS, max_failures=max_failures)
        report = send_notifications(CERTS, GRADES[:6], page_size=2, host=campus_host(sink), options=options)
        assert (len(sink.batches), report.status) == (batches, status)
        if report.stopped:
            place = ("certificates", 2 * batches)
            assert (report.stopped.stage, report.stopped.cursor) == place
            assert report.stopped.reason == f"more than {max_failures} records failed"

    def test_count_broken_records_as_failures(self) -> None:
        """A record that is none counts towards the limit like one that the sink refused; one put off does not."""
        records: list[Any] = [InvalidRecordError("row 1", "mode", "none"), CERTS[0]]
        sink = ScriptedSink([[Deferred(reason="busy")]])
        options = evolve(OPTIONS, max_failures=0)
        report = send_notifications(records, GRADES, page_size=3, host=campus_host(sink), options=options)
        assert report.stopped == Stopped(reason="more than 0 records failed", stage="grades")
        options = evolve(OPTIONS, max_failures=1)
        assert send_notifications(records, [], host=campus_host(sink), options=options).stopped is None

    @pytest.mark.parametrize(
        ("pages", "stage", "cursor"),
        [
            (0, "certificates", None),
            (1, "certificates", 5),
            (2, "grades", None),
            (3, "grades", 5),
        ],
    )
    def test_come_when_they_are_asked_for(self, pages: int, stage: str, cursor: int | None) -> None:
        """Who asks to stop gets the report so far after the page in hand, and the place to go on."""
        sink = ScriptedSink()
        options = evolve(OPTIONS, should_stop=lambda: len(sink.batches) >= pages)
        report = send_notifications(CERTS, GRADES, page_size=5, host=campus_host(sink), options=options)
        assert report.stopped == Stopped(reason="interrupted", stage=stage, cursor=cursor)
        assert (len(sink.batches), report.total("sent"), report.unaccounted) == (pages, len(sink.handed), 0)

    def test_do_not_come_of_a_sink_that_merely_breaks(self) -> None:
        """An error that says nothing of the service's health is that batch's own, and the next one is tried."""
        sink = ScriptedSink([ValueError("bug")])
        report = send_notifications(CERTS, GRADES, page_size=5, host=campus_host(sink), options=OPTIONS)
        assert (report.status, report.total("failed"), report.total("sent")) == ("complete", 5, 9)

    def test_of_an_interruption_go_all_the_way(self) -> None:
        """Ctrl-C in the middle of a delivery is not swallowed."""
        with pytest.raises(KeyboardInterrupt):
            send_notifications(CERTS, [], host=campus_host(ScriptedSink([KeyboardInterrupt()])), options=OPTIONS)

    def test_come_of_programs_that_cannot_be_looked_up(self) -> None:
        """A page whose programs cannot be decided is sent in no part."""

        @define
        class Unreachable(Platform):
            @override
            def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Certificate]:
                raise SourceError("no connection")

        sink = ScriptedSink()
        host = evolve(campus_host(sink), certificates=Unreachable())
        report = send_notifications([cert(run=ADVANCED)], [], notify_programs=True, host=host, options=OPTIONS)
        assert report.stopped == Stopped(reason="no connection", stage="certificates")
        assert (sink.batches, report.total()) == ([], 0)


WALKS = (("certificates", CERTS), ("grades", GRADES))


def rest_of(stopped: Stopped) -> tuple[list[Certificate], list[Grade]]:
    """Return what is left to send behind a stop."""
    start = stopped.cursor if isinstance(stopped.cursor, int) else 0
    if stopped.stage == "certificates":
        return CERTS[start:], GRADES
    return [], GRADES[start:] if stopped.stage == "grades" else []
