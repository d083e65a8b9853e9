"""The ledger in a database: what it is told it knows, on SQLite, PostgreSQL and MariaDB alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from credsync.adapters.sql import SqlHistory, SqlLedger
from credsync.errors import AdapterError, ConfigurationError
from credsync.ledger import Entry, EntryState, Known, PageRecord, RunHeader, RunState
from credsync.paging import PageSource, iter_pages
from credsync.report import KEPT_FAILURES, Failure, Verdict
from credsync.updates import Update, UpdateKey
from tests.adapters.edx_database import explain, recorded
from tests.campus_builders import FRESH, INTRO, NOW, OLD
from tests.look_ups import answer_to, every_look_up

SCOPE = {"selection": {"user_ids": None}, "notify_programs": False}
HEADER = RunHeader(scope=SCOPE, started=NOW)

DELIVERED, DEFERRED, DEAD = EntryState

LATER = NOW + timedelta(minutes=90)


@pytest.fixture
def opened(database_url: str) -> Iterator[Callable[..., SqlLedger]]:
    """Opens the ledger in a fresh database, any number of times."""
    ledgers: list[SqlLedger] = []

    def open_ledger(destination: str = "") -> SqlLedger:
        ledgers.append(SqlLedger(database_url, destination))
        return ledgers[-1]

    yield open_ledger
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def ledger(opened: Callable[..., SqlLedger]) -> SqlLedger:
    """A ledger with a run that has just begun."""
    ledger = opened()
    ledger.begin(HEADER)
    return ledger


def entry(
    user_id: int = 1, state: EntryState = DELIVERED, run: str = INTRO, kind: str = "grade", **facts: Any
) -> Entry:
    """Build an entry."""
    return Entry(key=UpdateKey(kind, user_id, run), state=state, **facts)


def page(*entries: Entry, **facts: Any) -> PageRecord:
    """Build what a page changes."""
    return PageRecord(entries=entries, **{"at": NOW, **facts})


def find(ledger: SqlLedger, *keys: UpdateKey) -> list[Entry]:
    """Return what is known of keys, in their order; an unknown one is left out."""
    found = ledger.look_up(dict.fromkeys(keys)).entries
    return [found[key] for key in keys if key in found]


def keys_of(source: PageSource[Entry], page_size: int = 2) -> list[tuple[str, int, str]]:
    """Page through entries to the end, and return their keys."""
    return [one.key for page in iter_pages(source, page_size) for one in page.records if isinstance(one, Entry)]


class TestEntries:
    def test_come_back_as_they_went(self, ledger: SqlLedger) -> None:
        """Every field survives, to the microsecond and the last letter."""
        entries = [
            entry(1, fingerprint="0f" * 16, source_time=FRESH + timedelta(microseconds=1)),
            entry(2, DEFERRED, reason="learner_not_visible", since=OLD, tries=3),
            entry(
                2**31 - 1,
                DEAD,
                fingerprint="1",
                source_time=OLD,
                failed_fingerprint="2",
                reason="no such run 🎓 " + "é" * 985,
                status=404,
                since=FRESH,
                tries=1,
            ),
            entry(2**62, DEAD, run="course-v1:" + "X" * 245, kind="certificate", tries=1),
        ]
        ledger.record(page(*entries))
        assert find(ledger, *(one.key for one in entries)) == entries

    def test_are_known_to_who_opens_the_ledger_next(self, ledger: SqlLedger, opened: Callable[..., SqlLedger]) -> None:
        """What is recorded is durable."""
        ledger.record(page(entry()))
        assert find(opened(), entry().key) == [entry()]

    def test_take_the_place_of_earlier_ones(self, ledger: SqlLedger) -> None:
        """A key has one entry, the last."""
        ledger.record(page(entry(1, DEAD, reason="no", status=400, tries=2), entry(2)))
        ledger.record(page(entry(1, fingerprint="new", source_time=FRESH)))
        assert find(ledger, entry(1).key, entry(2).key) == [
            entry(1, fingerprint="new", source_time=FRESH),
            entry(2),
        ]

    def test_are_told_apart_to_the_letter(self, ledger: SqlLedger) -> None:
        """Course runs that differ in an accent or a capital only are two, whatever the database's habit is."""
        runs = ["course-v1:x+y+z", "course-v1:X+y+z", "course-v1:x+y+ž", "course-v1:x+y+Z"]
        entries = [entry(1, run=run, fingerprint=str(number)) for number, run in enumerate(runs)]
        ledger.record(page(*entries, counts={("grade", run, "sent", ""): 1 for run in runs}))
        assert find(ledger, *(one.key for one in entries)) == entries

    def test_of_other_keys_are_left_out(self, ledger: SqlLedger) -> None:
        """Who asks for some keys hears nothing of their learners' other ones."""
        ledger.record(page(entry(1), entry(1, kind="certificate"), entry(1, run="a/b/c"), entry(2)))
        assert find(ledger, entry(1).key, entry(3).key) == [entry(1)]

    def test_nobody_asks_for_are_not_looked_for(self, ledger: SqlLedger) -> None:
        """An empty question has an empty answer."""
        assert ledger.look_up({}) == Known(unchanged=[])

    @every_look_up
    def test_know_an_update_that_is_the_same(
        self, ledger: SqlLedger, entry: Entry, asked: Update | None, is_unchanged: bool
    ) -> None:
        """What the sink has, to the payload and the time, is unchanged; of all else, the entry tells more."""
        ledger.record(page(entry))
        assert ledger.look_up({entry.key: asked}) == answer_to(entry, is_unchanged)

    def test_are_found_however_many_are_asked_for(self, ledger: SqlLedger) -> None:
        """A page may be larger than what a statement takes in parameters: 65,535 on PostgreSQL."""
        ledger.record(page(entry(1), entry(70_000)))
        keys = [entry(user_id).key for user_id in range(70_001)]
        assert ledger.look_up(dict.fromkeys(keys)).entries.keys() == {entry(1).key, entry(70_000).key}

    def test_may_hold_what_a_database_cannot(self, ledger: SqlLedger) -> None:
        """A sink's reason is anybody's text: what no database stores does not stop a run."""
        reason = "NUL \0, half a character \ud83c, " + "and a novel " * 10_000
        failure = {"kind": "grade", "reason": reason}
        ledger.record(
            page(entry(1, DEAD, reason=reason), counts={("grade", INTRO, "rejected", reason): 1}, failures=[failure])
        )
        ledger.finish("stopped", NOW, reason)
        (found,) = find(ledger, entry().key)
        assert found.reason
        assert found.reason.startswith("NUL \N{REPLACEMENT CHARACTER}, half a character ?, and a novel")

    def test_of_destinations_are_apart(self, opened: Callable[..., SqlLedger]) -> None:
        """What one destination has says nothing about another; a name that comes again is the same one."""
        there, here = opened("https://there.example"), opened("https://here.example")
        there.begin(HEADER)
        there.record(page(entry(fingerprint="there"), entry(2, DEAD)))
        there.finish("complete", NOW)
        here.begin(HEADER)
        here.record(page(entry(fingerprint="here")))
        assert find(here, entry().key, entry(2).key) == [entry(fingerprint="here")]
        assert find(opened("https://there.example"), entry().key) == [entry(fingerprint="there")]
        assert keys_of(here.pending(DEAD)) == []
        assert here.forget([entry(2).key]) == 0


class TestPages:
    def test_are_durable_as_a_whole_or_not_at_all(self, database_url: str) -> None:
        """When the last statement of a page fails, nothing of the page is there, on the next try all of it."""
        engine = create_engine(database_url)
        with closing(SqlLedger(engine)) as ledger:
            ledger.begin(HEADER)
            whole = page(
                entry(),
                read={"grade": 1},
                counts={("grade", INTRO, "rejected", "no"): 1},
                failures=[Failure(record=entry().key, verdict=Verdict.REJECTED, reason="no").as_dict()],  # type: ignore[arg-type]  # has the same fields
                checkpoint=("grades", [1]),
            )
            with failing(engine, "UPDATE credsync_runs"), pytest.raises(AdapterError):
                ledger.record(whole)
            assert find(ledger, entry().key) == []
            past = history(database_url)
            assert (past.report.total(), past.report.failures, past.timeline) == (0, (), {})
            ledger.record(whole)
            assert find(ledger, entry().key) == [entry()]
            assert history(database_url).report.total("rejected") == 1
        engine.dispose()

    def test_add_up(self, ledger: SqlLedger, database_url: str) -> None:
        """Counts of one kind, run and reason go together, over pages, and by the minute."""
        sent, skipped = ("grade", INTRO, "sent", ""), ("grade", INTRO, "skipped", "x")
        ledger.record(page(read={"grade": 3}, counts={sent: 2, skipped: 1}))
        ledger.record(page(read={"grade": 1}, counts={sent: 1}, at=LATER))
        past = history(database_url)
        assert past.by_target == {sent: 3, skipped: 1}
        assert past.timeline == {(NOW, "sent"): 2, (NOW, "skipped"): 1, (LATER, "sent"): 1}
        assert (past.report.read, past.report.unaccounted) == ({"grade": 4}, 0)

    def test_keep_the_first_failures_only(self, ledger: SqlLedger, database_url: str) -> None:
        """However much fails, the ledger keeps as many failures in full as a report does."""
        failures = [
            {"kind": "grade", "user_id": n, "target": INTRO, "verdict": "failed", "reason": "no", "status": None}
            for n in range(KEPT_FAILURES + 20)
        ]
        for start in range(0, len(failures), 60):
            ledger.record(page(failures=failures[start : start + 60]))
        assert [one.record.user_id for one in history(database_url).report.failures] == list(range(KEPT_FAILURES))

    def test_without_a_checkpoint_leave_it(self, ledger: SqlLedger, opened: Callable[..., SqlLedger]) -> None:
        """What is recorded on the way does not move where the run stands."""
        ledger.record(page(checkpoint=("grades", {"walk": "id", "after": [7, "é"]})))
        ledger.record(page(entry()))
        ledger.close()
        assert opened().begin(HEADER, resume=True) == RunState(
            run_id=2, stage="grades", cursor={"walk": "id", "after": [7, "é"]}
        )

    def test_drop_what_needs_no_further_look(self, ledger: SqlLedger) -> None:
        """A resolved key is known no longer."""
        ledger.record(page(entry(1, DEFERRED), entry(2, DEFERRED)))
        ledger.record(page(resolved=[entry(1).key]))
        assert keys_of(ledger.pending(DEFERRED)) == [entry(2).key]


class TestLookUps:
    def test_search_by_learner_however_young_the_ledger(self, postgresql_url: str) -> None:
        """PostgreSQL would read all entries for each page until it has statistics; nobody else makes them here."""
        engine = create_engine(postgresql_url)
        with closing(SqlLedger(engine)) as ledger:
            ledger.begin(HEADER)
            for number in range(16):
                ledger.record(page(*(entry(user_id) for user_id in range(number * 300, number * 300 + 300))))
            with recorded(engine) as statements:
                find(ledger, *(entry(user_id).key for user_id in range(0, 4800, 1000)))
            plan = "\n".join(explain(engine, statements[-1]))
        engine.dispose()
        assert re.search(r"Index Cond: .*user_id = ANY", plan), plan


class TestPending:
    @pytest.fixture
    def ledger(self, ledger: SqlLedger) -> SqlLedger:
        """A ledger with two runs' worth of entries in all states."""
        ledger.record(page(*(entry(user_id, DEFERRED) for user_id in (5, 3, 4))))
        ledger.record(page(entry(1), entry(2, DEAD), entry(1, DEFERRED, kind="certificate")))
        ledger.finish("complete", NOW)
        ledger.begin(HEADER)
        ledger.record(page(entry(4, DEFERRED, tries=2), entry(9, DEFERRED)))
        return ledger

    @pytest.mark.parametrize("page_size", [1, 2, 100])
    def test_comes_in_pages_each_entry_once(self, ledger: SqlLedger, page_size: int) -> None:
        """Pages of any size give all entries in a state, in the order of their keys."""
        users = [("certificate", 1), ("grade", 3), ("grade", 4), ("grade", 5), ("grade", 9)]
        assert keys_of(ledger.pending(DEFERRED), page_size) == [(kind, user_id, INTRO) for kind, user_id in users]
        assert keys_of(ledger.pending(DEAD), page_size) == [entry(2).key]

    def test_may_be_of_one_kind(self, ledger: SqlLedger) -> None:
        """Who wants certificates gets no grades."""
        assert keys_of(ledger.pending(DEFERRED, "certificate")) == [("certificate", 1, INTRO)]
        assert keys_of(ledger.pending(DEAD, "certificate")) == []

    def test_may_be_of_earlier_runs(self, ledger: SqlLedger) -> None:
        """What this very run has tried is left for the next."""
        assert keys_of(ledger.pending(DEFERRED, before_run=2)) == [
            ("certificate", 1, INTRO),
            ("grade", 3, INTRO),
            ("grade", 5, INTRO),
        ]

    def test_may_change_while_it_is_read(self, ledger: SqlLedger) -> None:
        """An entry that leaves the state behind the cursor moves no other one out of the walk."""
        seen = []
        for found in iter_pages(ledger.pending(DEFERRED), 1):
            keys = [one.key for one in found.records if isinstance(one, Entry)]
            seen += keys
            ledger.record(page(*(Entry(key=key, state=DELIVERED) for key in keys)))
        assert len(seen) == 5
        assert keys_of(ledger.pending(DEFERRED)) == []

    def test_can_be_forgotten_on_purpose(self, ledger: SqlLedger) -> None:
        """A letter that is dropped is gone, and what was delivered before it is not."""
        delivered = entry(3, fingerprint="f", source_time=OLD)
        ledger.record(page(evolve(delivered, state=DEAD, failed_fingerprint="g", reason="no", tries=1)))
        assert ledger.forget([entry(2).key, entry(3).key, entry(1).key, entry(7).key]) == 2
        assert keys_of(ledger.pending(DEAD)) == []
        assert find(ledger, *(entry(user_id).key for user_id in (1, 2, 3))) == [
            entry(1),
            delivered,
        ]


class TestRuns:
    def test_have_numbers_that_grow(self, opened: Callable[..., SqlLedger]) -> None:
        """Each run, whatever becomes of it, has a number of its own, and starts at the beginning."""
        ledger = opened()
        for number, status in enumerate(["complete", "stopped", "complete"], start=1):
            assert ledger.begin(HEADER) == RunState(run_id=number)
            ledger.record(page(checkpoint=("grades", [1])))
            ledger.finish(status, NOW)

    @pytest.mark.parametrize("was_killed", [False, True])
    def test_that_did_not_complete_are_resumed(self, opened: Callable[..., SqlLedger], was_killed: bool) -> None:
        """A run goes on where the last one stands, whether that stopped or was killed."""
        ledger = opened()
        ledger.begin(HEADER)
        ledger.record(page(checkpoint=("certificates", [3])))
        if not was_killed:
            ledger.finish("stopped", NOW, "interrupted")
        ledger.close()
        assert opened().begin(HEADER, resume=True) == RunState(run_id=2, stage="certificates", cursor=[3])

    def test_that_are_resumed_take_over_the_account(self, opened: Callable[..., SqlLedger], database_url: str) -> None:
        """The last of a chain of runs tells of all that they did, and the ones before are marked as resumed."""
        ledger = opened()
        failure = Failure(record=entry().key, verdict=Verdict.FAILED, reason="no").as_dict()  # type: ignore[arg-type]  # has the same fields
        for number in range(3):
            ledger.begin(evolve(HEADER, started=NOW + number * timedelta(hours=1)), resume=number > 0)
            ledger.record(page(read={"grade": 2}, counts={("grade", INTRO, "failed", "no"): 2}, failures=[failure]))
            ledger.finish("complete" if number == 2 else "stopped", LATER)
        runs = runs_of(database_url)
        assert [run.status for run in runs] == ["resumed", "resumed", "complete"]
        assert (runs[2].report.started, runs[2].report.ended) == (NOW, LATER)
        assert (runs[2].report.read, runs[2].report.total("failed")) == ({"grade": 6}, 6)
        assert (len(runs[2].report.failures), runs[2].timeline) == (3, {(NOW, "failed"): 6})

    def test_cannot_be_resumed_where_there_is_none(self, opened: Callable[..., SqlLedger]) -> None:
        """Neither before the first nor after a complete one is anything left to go on with."""
        ledger = opened()
        with pytest.raises(ConfigurationError, match="there is no run to resume"):
            ledger.begin(HEADER, resume=True)
        ledger.begin(HEADER)
        ledger.finish("complete", NOW)
        with pytest.raises(ConfigurationError, match="run 1 is complete"):
            ledger.begin(HEADER, resume=True)
        assert ledger.begin(HEADER) == RunState(run_id=2)

    @pytest.mark.parametrize(
        "changes",
        [{"scope": SCOPE}, {"start": FRESH}, {"end": NOW}],
        ids=["another scope", "another start", "another end"],
    )
    def test_are_not_resumed_for_another_selection(
        self, opened: Callable[..., SqlLedger], changes: dict[str, Any]
    ) -> None:
        """To go on with a run means to go on with the same; the refusal says what that was and leaves it resumable."""
        ledger = opened()
        selection = {"course_runs": None, "orgs": ["DemoX", "OtherX"]}
        same = evolve(HEADER, scope={"selection": selection, "notify_programs": True}, start=OLD)
        ledger.begin(same)
        ledger.finish("stopped", NOW)
        with pytest.raises(ConfigurationError, match="run 1 had another selection") as caught:
            ledger.begin(evolve(same, **changes), resume=True)
        assert f"another selection: orgs DemoX, OtherX; notify programs; start {OLD}; resume it" in str(caught.value)
        assert ledger.begin(same, resume=True).run_id == 2
        ledger.finish("complete", NOW)

    def test_count_together_what_begins_alike(self, opened: Callable[..., SqlLedger], database_url: str) -> None:
        """A key has room for the beginning of a reason: two that differ further on are one to the account."""
        ledger = opened()
        ledger.begin(HEADER)
        reasons = {("grade", INTRO, "deferred", "x" * 200 + end): 2 for end in "ab"}
        ledger.record(page(read={"grade": 4}, counts=reasons))
        with closing(SqlHistory(database_url)) as history:
            assert history.get_run().by_target == {("grade", INTRO, "deferred", "x" * 191): 4}

    def test_that_read_everything_say_so(self, opened: Callable[..., SqlLedger]) -> None:
        """A run without filters has none to tell of."""
        ledger = opened()
        ledger.begin(HEADER)
        ledger.finish("stopped", NOW)
        with pytest.raises(ConfigurationError, match="another selection: everything; resume it"):
            ledger.begin(evolve(HEADER, start=OLD), resume=True)

    def test_over_letters_are_nothing_to_resume(self, opened: Callable[..., SqlLedger]) -> None:
        """A retry between a run that stopped and its resumption changes nothing."""
        ledger = opened()
        ledger.begin(HEADER)
        ledger.record(page(checkpoint=("grades", [7])))
        ledger.finish("stopped", NOW)
        ledger.begin(evolve(HEADER, job="retry"))
        ledger.record(page(checkpoint=("end", None)))
        ledger.finish("complete", NOW)
        assert ledger.find_resumable() == HEADER
        assert ledger.begin(HEADER, resume=True) == RunState(run_id=3, stage="grades", cursor=[7])

    def test_say_whether_they_can_be_resumed(self, opened: Callable[..., SqlLedger]) -> None:
        """Who wants to go on with a run finds out what it was about."""
        ledger = opened()
        assert ledger.find_resumable() is None
        header = evolve(HEADER, start=OLD, end=NOW, watermark=FRESH)
        ledger.begin(header)
        assert ledger.find_resumable() == header
        ledger.finish("complete", NOW)
        assert ledger.find_resumable() is None

    def test_of_a_scope_reach_a_watermark(self, opened: Callable[..., SqlLedger]) -> None:
        """The latest watermark of complete runs of the same scope counts, to the letter, at the same destination."""
        ledger = opened()
        other = {**SCOPE, "selection": {"orgs": ["demox"]}}
        upper = {**SCOPE, "selection": {"orgs": ["DemoX"]}}

        def run(scope: Any, watermark: datetime | None, status: str, at: SqlLedger = ledger) -> None:
            at.begin(RunHeader(scope=scope, started=NOW, watermark=watermark))
            at.finish(status, NOW)

        assert ledger.find_watermark(SCOPE) is None
        for watermark, status in [(OLD, "complete"), (FRESH, "complete"), (OLD, "complete"), (NOW, "stopped")]:
            run(SCOPE, watermark, status)
        run(SCOPE, None, "complete")
        run(other, NOW, "complete")
        run(SCOPE, LATER, "complete", at=opened("elsewhere"))
        assert (ledger.find_watermark(SCOPE), ledger.find_watermark(other)) == (FRESH, NOW)
        assert ledger.find_watermark(upper) is None

    def test_that_are_resumed_keep_their_watermark(self, opened: Callable[..., SqlLedger]) -> None:
        """What changed since the run began may lie behind its cursor, so its beginning counts."""
        ledger = opened()
        ledger.begin(evolve(HEADER, watermark=OLD))
        ledger.finish("stopped", NOW)
        ledger.begin(evolve(HEADER, watermark=LATER), resume=True)
        ledger.finish("complete", LATER)
        assert ledger.find_watermark(SCOPE) == OLD

    def test_may_select_very_many(self, ledger: SqlLedger, opened: Callable[..., SqlLedger]) -> None:
        """A selection of a hundred thousand learners is remembered like any other."""
        scope = {"user_ids": list(range(100_000))}
        ledger.finish("complete", NOW)
        ledger.begin(RunHeader(scope=scope, started=NOW, watermark=FRESH))
        ledger.finish("complete", NOW)
        assert opened().find_watermark(scope) == FRESH


def history(url: str) -> Any:
    """Read the last run."""
    return runs_of(url)[-1]


def runs_of(url: str) -> Sequence[Any]:
    """Read all runs, the first one first."""
    with closing(SqlHistory(url)) as past:
        return [*past.iter_runs()][::-1]


@contextmanager
def failing(engine: Engine, beginning: str) -> Iterator[None]:
    """Let the statements of an engine fail that begin in some way."""

    def fail(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith(beginning):
            raise OperationalError(statement, {}, ConnectionError("the line is cut"))

    event.listen(engine, "before_cursor_execute", fail)
    yield
    event.remove(engine, "before_cursor_execute", fail)
