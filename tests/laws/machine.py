"""A machine for Hypothesis: the campus changes, runs come, are killed, refused and cut off, and the laws hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeAlias

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from credsync.catalog import ProgramIndex
from credsync.ledger import Entry, EntryState
from credsync.notify import notify, retry_letters
from credsync.options import RunOptions
from credsync.paging import iter_pages
from credsync.ports import Host
from credsync.report import Report, Verdict
from credsync.selection import Selection
from credsync.updates import Outcome, UpdateKey
from tests.campus_builders import PROGRAMS
from tests.laws.campus import LAG, MINUTE, PATIENCE, UPDATE_KEYS, USERS, Campus, Change, changes
from tests.laws.fate import Fate, Killed, Upset, refusals, upsets
from tests.laws.watch import LedgerUnderTest, WatchedLedger, WatchedSink

Disturbance: TypeAlias = tuple[Sequence[Upset], Mapping[UpdateKey, Outcome], Sequence[Change]]
"""What goes wrong in a run, what its sink refuses, and how the source changes meanwhile."""

QUIET: Disturbance = ((), {}, ())

disturbances: st.SearchStrategy[Disturbance] = st.one_of(
    st.just(QUIET),
    st.tuples(
        st.lists(upsets, max_size=3),
        st.dictionaries(st.sampled_from(UPDATE_KEYS), refusals, max_size=6),
        st.lists(changes, min_size=1, max_size=3),
    ),
)
many_changes = st.lists(changes, max_size=8)
page_sizes = st.integers(1, 5)


@frozen
class Job:
    """What a run is asked for; to resume it, the same is asked again."""

    selection: Selection
    with_programs: bool
    watermark: datetime | None = None


class LawMachine(RuleBasedStateMachine):
    """All that may happen. A subclass says which ledger is tested."""

    def __init__(self) -> None:
        super().__init__()
        self.campus = Campus()
        self.sink = WatchedSink(self.campus)
        self.ledger = WatchedLedger(self.open_ledger(), self.sink)
        self.scopes: dict[bool, Mapping[str, object]] = {}
        self.unfinished: Job | None = None

    def open_ledger(self) -> LedgerUnderTest:
        """Open an empty ledger."""
        raise NotImplementedError

    def reopen_ledger(self, ledger: LedgerUnderTest) -> LedgerUnderTest:
        """Open a ledger again whose process is gone."""
        raise NotImplementedError

    @rule(changes=many_changes)
    def change(self, changes: Sequence[Change]) -> None:
        """Something happens."""
        for change in changes:
            self.campus.change(change)

    @rule()
    def wait(self) -> None:
        """Time goes by."""
        self.campus.now += PATIENCE + MINUTE

    @rule(
        changes=many_changes,
        window=st.sampled_from(["auto", "auto", "auto", "all", "minutes", "learners"]),
        with_programs=st.sampled_from([True, True, True, False]),
        force=st.sampled_from([False, False, False, True]),
        page_size=page_sizes,
        disturbance=disturbances,
    )
    def run(
        self,
        changes: Sequence[Change],
        window: str,
        with_programs: bool,
        force: bool,
        page_size: int,
        disturbance: Disturbance,
    ) -> None:
        """Start a run over what has changed."""
        self.change(changes)
        self.campus.now += MINUTE
        job = self._job(window, with_programs)
        self._drive(job, page_size, disturbance, force=force)
        if job.watermark:
            self.scopes[with_programs] = self.ledger.scope

    def _job(self, window: str, with_programs: bool) -> Job:
        if window == "all":
            return Job(Selection(), with_programs, watermark=self.campus.now - LAG)
        if window == "auto":
            scope = self.scopes.get(with_programs)
            reached = self.ledger.ledger.find_watermark(scope) if scope else None
            return Job(Selection(start=reached), with_programs, watermark=self.campus.now - LAG)
        if window == "minutes":
            return Job(Selection(start=self.campus.now - 5 * MINUTE, end=self.campus.now), with_programs)
        return Job(Selection(user_ids=USERS[:2]), with_programs)

    @precondition(lambda self: self.unfinished)
    @rule(changes=many_changes, page_size=page_sizes, disturbance=disturbances)
    def resume(self, changes: Sequence[Change], page_size: int, disturbance: Disturbance) -> None:
        """Go on with the last run, which did not complete."""
        assert self.unfinished
        self.change(changes)
        self.campus.now += MINUTE
        self._drive(self.unfinished, page_size, disturbance, resume=True)

    @precondition(lambda self: self.ledger.status)
    @rule(page_size=page_sizes, disturbance=disturbances)
    def retry(self, page_size: int, disturbance: Disturbance) -> None:
        """Send the dead letters again."""
        self.campus.now += MINUTE
        with self._disturbed(disturbance):
            self._check_account(retry_letters(host=self._host(), page_size=page_size, options=self._options()))

    @rule(page_size=page_sizes)
    def rehearse(self, page_size: int) -> None:
        """A dry run changes nothing."""
        before, handed = self._entries(), len(self.sink.holds.history)
        report = notify(
            self.campus, Selection(), page_size=page_size, host=self._host(), options=self._options(dry_run=True)
        )
        assert report.unaccounted == 0
        assert (self._entries(), len(self.sink.holds.history)) == (before, handed)

    @override
    def teardown(self) -> None:
        """After one quiet run over everything, and one over the letters, the sink holds the truth; then all is said."""
        self.campus.change(("catch_up",))
        self._settle()
        truth = self.campus.truth()
        for key, update in truth.items():
            held = self.sink.holds.state.get(key)
            assert held, "the sink lacks the truth"
            assert held.fingerprint == update.fingerprint, "the sink does not hold the truth"
        for key, kind in self.campus.program_truth().items():
            assert isinstance(self.sink.holds.state.get(key), kind), "the sink does not hold the truth"
        assert self._pending(EntryState.DEAD) <= self.campus.unknown(), "what was delivered is still a letter"
        handed = len(self.sink.holds.history)
        self._settle()
        assert len(self.sink.holds.history) == handed, "nothing had changed, and something was sent"

    def _settle(self) -> None:
        self.campus.now += MINUTE
        report = self._drive(Job(Selection(), with_programs=True), 5, QUIET)
        letters = retry_letters(host=self._host(), options=self._options())
        assert report
        assert (report.status, letters.status) == ("complete", "complete")

    @invariant()
    def the_ledger_keeps_to_the_truth(self) -> None:
        """What the ledger knows as delivered the sink holds; what was written down as delivered the ledger knows."""
        known = {key: entry.fingerprint for key, entry in self._entries().items() if entry.fingerprint}
        held = {key: update.fingerprint for key, update in self.sink.holds.state.items()}
        assert known.items() <= held.items(), "the ledger knows what the sink does not hold"
        assert self.sink.known.items() <= known.items(), "the ledger forgot a delivery"

    def _drive(
        self, job: Job, page_size: int, disturbance: Disturbance, *, force: bool = False, resume: bool = False
    ) -> Report | None:
        """Run a job, and return its report; None if it was killed."""
        report = None
        watermark = self.campus.now - LAG if job.watermark else None
        options = self._options(force=force, resume=resume, watermark=watermark)
        with self._disturbed(disturbance, may_repeat=force):
            report = notify(
                self.campus,
                job.selection,
                page_size=page_size,
                notify_programs=job.with_programs,
                revoke_program_certs=job.with_programs,
                host=self._host(),
                options=options,
            )
            self._check_account(report)
        self.unfinished = None if self.ledger.status == "complete" else job
        if job.watermark and self.ledger.status == "complete":
            self._check_gaps(began=job.watermark + LAG)
        if self.ledger.status == "complete" and disturbance[:2] == QUIET[:2]:
            assert self._pending(EntryState.DEFERRED) <= self.campus.unknown(), "what could be known is still deferred"
        return report

    @contextmanager
    def _disturbed(self, disturbance: Disturbance, *, may_repeat: bool = False) -> Iterator[None]:
        """Let things go wrong; what they leave behind is a ledger that another process opens."""
        upsets, refusals, changes = disturbance
        coming = iter(changes)

        def change() -> None:
            for one in coming:
                self.campus.change(one)
                return

        self.campus.fate = Fate(upsets, refusals, change)
        self.sink.may_repeat = may_repeat
        self.ledger.status = "new"
        try:
            yield
        except Killed:
            self.sink.cut_off()
        finally:
            self.campus.fate = Fate()
        if self.ledger.status == "running":
            self.ledger.ledger = self.reopen_ledger(self.ledger.ledger)

    def _check_account(self, report: Report) -> None:
        """Everything read has found one end, and what counts as sent is what the sink called delivered."""
        assert report.unaccounted == 0
        assert report.total(Verdict.SENT) == self.sink.accepted

    def _check_gaps(self, began: datetime) -> None:
        """All that was there when the run began, or the run that it resumes, has arrived, or is pending."""
        entries = self._entries()
        for key, update in self.campus.truth().items():
            if self.campus.written[key] < began and key not in self.campus.unwindowed:
                held, entry = self.sink.holds.state.get(key), entries.get(key)
                is_pending = entry and entry.state is not EntryState.DELIVERED
                assert is_pending or (held and held.fingerprint == update.fingerprint), "the window has a gap"

    def _entries(self) -> Mapping[UpdateKey, Entry]:
        return self.ledger.ledger.look_up(dict.fromkeys(UPDATE_KEYS)).entries

    def _pending(self, state: EntryState) -> set[UpdateKey]:
        pages = iter_pages(self.ledger.ledger.pending(state), 5)
        return {entry.key for page in pages for entry in page.records if isinstance(entry, Entry)}

    def _options(self, **options: object) -> RunOptions:
        return RunOptions(clock=self.campus.clock, **options)  # type: ignore[arg-type]

    def _host(self) -> Host:
        campus = self.campus
        return Host(
            catalog=ProgramIndex(PROGRAMS),
            sink=self.sink,
            learners=campus,
            certificates=campus,
            grades=campus,
            ledger=self.ledger,
        )
