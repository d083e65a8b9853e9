"""One run: page after page, each decided, delivered and written down before the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import define, evolve, field, frozen

from credsync.delivery import Courier
from credsync.errors import AdapterError, InvalidRecordError, SinkUnavailableError
from credsync.ledger import Entry, EntryState, Ledger, PageRecord, RunHeader, RunState
from credsync.metrics import timed
from credsync.model import CertificateRecord, GradeRecord
from credsync.options import RunOptions
from credsync.paging import Cursor, Page, Pageable, PageSource, iter_pages
from credsync.planning import Plan, Planner
from credsync.recall import Recall
from credsync.report import KEPT_FAILURES, Failure, Report, Stopped, Tally, Verdict

__all__ = ["Run", "close_run"]

PENDING_STAGE = "pending"
"""The stage that looks again at what is deferred, or dead; it comes last, when most of it has come by itself."""

END = "end"
"""Where a run stands whose stages are all done."""

PAGES_AT_ONCE = 50
"""Pages that are written down together at most, where they changed nothing: a commit for each would be most of a run
in which nothing changed."""


@frozen
class _Stage:
    """One walk of a run: what it reads, and what turns a page of it into a plan."""

    name: str
    source: Pageable[Any]
    plan: Callable[[Sequence[Any]], Plan]

    def checkpoint(self, page: Page[Any]) -> Cursor | None:
        """Return where to go on behind a page; what is pending is looked through from its start again."""
        return None if self.name == PENDING_STAGE else page.next


@frozen
class _Wanted:
    """The wanted among the entries that are pending."""

    pending: PageSource[Entry]
    is_wanted: Callable[[Entry], bool]

    def fetch(self, after: Cursor | None, limit: int) -> Page[Entry]:
        page = self.pending.fetch(after, limit)
        wanted = [entry for entry in page.records if isinstance(entry, Entry) and self.is_wanted(entry)]
        return Page(wanted, page.next)


@define
class _Journal:
    """Writes pages down in the ledger. Those that change no entry wait for the next that does, a minute at most.

    A run that is killed before they are written reads them again, and nothing of them was sent.
    """

    ledger: Ledger
    waiting: list[PageRecord] = field(factory=list)

    def record(self, page: PageRecord) -> None:
        """Write a page down, and all that wait before it; or let it wait, too."""
        if self.waiting and _minute(page.at) != _minute(self.waiting[0].at):
            self.write()
        self.waiting.append(page)
        if page.entries or page.resolved or page.failures or len(self.waiting) == PAGES_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write down what waits, as one page: only the last may have changed an entry."""
        pages, self.waiting = self.waiting, []
        read, counts = Counter[str](), Counter[tuple[str, str, str, str]]()
        for page in pages:
            read.update(page.read)
            counts.update(page.counts)
        if pages:
            self.ledger.record(evolve(pages[-1], read=read, counts=counts))


def close_run(ledger: Ledger, stopped: Stopped | None, at: datetime) -> Stopped | None:
    """Close a run in its ledger, and return what went wrong with that.

    Args:
        ledger: The ledger.
        stopped: What ended the run early; None where it is complete.
        at: When it ended, aware.
    """
    status, reason = ("stopped", stopped.reason) if stopped else ("complete", None)
    return _told(lambda: ledger.finish(status, at, reason))


def _told(write: Callable[[], None]) -> Stopped | None:
    """Write the last of a run to its ledger. What the run did is done, so an error here is told and not raised."""
    try:
        write()
    except AdapterError as exc:
        return Stopped(reason=str(exc), stage=END)
    return None


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)


@define(kw_only=True)
class Run:
    """One run, from its first page to its report.

    Attributes:
        ledger: Where the run is written down; None for one that leaves no trace.
        recalls: Whether the run looks again at what was deferred before.
    """

    planner: Planner
    courier: Courier
    ledger: Ledger | None
    header: RunHeader
    options: RunOptions
    page_size: int
    pause: Callable[[], None] | None
    recalls: bool = True
    read: Counter[str] = field(factory=Counter)
    counts: Counter[tuple[str, str, str]] = field(factory=Counter)
    failures: list[Failure] = field(factory=list)
    _journal: _Journal | None = field(default=None, init=False)

    def go(self, certs: Pageable[CertificateRecord], grades: Pageable[GradeRecord]) -> Report:
        """Walk certificates, grades, and what was deferred before; report."""
        stages = [
            _Stage("certificates", certs, self.planner.plan_certificates),
            _Stage("grades", grades, self.planner.plan_grades),
        ]
        if self.ledger is None:
            return self._walk_all(stages, RunState(run_id=0))
        return self._walk_with(self.ledger, stages, EntryState.DEFERRED, lambda _entry: True)

    def go_again(self, ledger: Ledger, is_wanted: Callable[[Entry], bool]) -> Report:
        """Walk the dead letters, and report."""
        return self._walk_with(ledger, [], EntryState.DEAD, is_wanted)

    def _walk_with(
        self, ledger: Ledger, stages: Sequence[_Stage], state: EntryState, is_wanted: Callable[[Entry], bool]
    ) -> Report:
        """Walk the stages, then the ledger's entries in a state that earlier runs left, as a run of the ledger."""
        begun = ledger.begin(self.header, resume=self.options.resume)
        self._journal = journal = _Journal(ledger)
        stopped: Stopped | None = Stopped(reason="interrupted", stage=END)
        try:
            waiting = ledger.pending(state, before_run=begun.run_id)
            pending: Pageable[Entry] = _Wanted(waiting, is_wanted) if self.recalls else ()
            recall = Recall(evolve(self.planner, site=None))  # what is pending may be of any site
            report = self._walk_all(_remaining([*stages, _Stage(PENDING_STAGE, pending, recall.plan)], begun), begun)
            unwritten = _told(journal.write)
            stopped = report.stopped or unwritten
        finally:
            unfinished = close_run(ledger, stopped, self.options.clock())
        return evolve(report, stopped=stopped or unfinished)

    def _walk_all(self, stages: Sequence[_Stage], begun: RunState) -> Report:
        following = [stage.name for stage in stages[1:]] + [END]
        for stage, next_stage in zip(stages, following, strict=True):
            after = begun.cursor if begun.stage == stage.name else None
            stopped = self._walk(stage, after, next_stage)
            if stopped:
                return self._report(stopped)
        return self._report()

    def _walk(self, stage: _Stage, after: Cursor | None, next_stage: str) -> Stopped | None:
        """Take a stage page by page to its end, or to what stops it; then say where to go on."""
        place = stage.name, after
        try:
            for page in iter_pages(stage.source, self.page_size, after, self.pause):
                if self.options.should_stop():
                    return Stopped(reason="interrupted", stage=place[0], cursor=place[1])
                behind = (stage.name, stage.checkpoint(page)) if page.next is not None else (next_stage, None)
                unavailable = self._take(stage, page, behind)
                if not unavailable or self._journal:  # what could not be sent is deferred, durably
                    place = behind
                if unavailable:
                    return Stopped(
                        reason=str(unavailable), stage=place[0], cursor=place[1], retry_after=unavailable.retry_after
                    )
                if self._has_failed_too_often():
                    reason = f"more than {self.options.max_failures} records failed"
                    return Stopped(reason=reason, stage=place[0], cursor=place[1])
                del page  # while the next page is read, this one is gone
        except AdapterError as exc:
            return Stopped(reason=str(exc), stage=place[0], cursor=place[1])
        return None

    def _take(self, stage: _Stage, page: Page[Any], behind: tuple[str, Cursor | None]) -> SinkUnavailableError | None:
        """Bring each record of a page to its end, and write that down before going on."""
        metrics = self.options.metrics
        with timed(metrics, "plan"):
            plan = stage.plan(page.records)
        at = self.options.clock()
        with timed(metrics, "deliver"):
            changes, unavailable = self.courier.deliver(plan, at)
        self._count(plan.tally)
        if self._journal:
            settled = _settled(page.records, changes, plan.tally) if stage.name == PENDING_STAGE else []
            with timed(metrics, "record"):
                self._journal.record(
                    PageRecord(
                        entries=[*changes, *(_as_delivered(entry) for entry in settled if _was_delivered(entry))],
                        resolved=[entry.key for entry in settled if not _was_delivered(entry)],
                        read=plan.tally.read,
                        counts=plan.tally.counts,
                        failures=[failure.as_dict() for failure in plan.tally.failures[:KEPT_FAILURES]],
                        checkpoint=behind,
                        at=at,
                    )
                )
        self.options.on_progress(self._report())
        return unavailable

    def _count(self, tally: Tally) -> None:
        self.read.update(tally.read)
        ended: Counter[tuple[str, str]] = Counter()
        for (kind, _, verdict, reason), count in tally.counts.items():
            self.counts[kind, verdict, reason] += count
            ended[kind, verdict] += count
        for (kind, verdict), count in ended.items():
            self.options.metrics.count(kind, verdict, count)
        self.failures += tally.failures[: KEPT_FAILURES - len(self.failures)]

    def _has_failed_too_often(self) -> bool:
        if self.options.max_failures is None:
            return False
        failed = (n for (_, verdict, _), n in self.counts.items() if verdict in (Verdict.REJECTED, Verdict.FAILED))
        return sum(failed) > self.options.max_failures

    def _report(self, stopped: Stopped | None = None) -> Report:
        return Report(
            read=self.read.copy(),
            counts=self.counts.copy(),
            failures=tuple(self.failures),
            stopped=stopped,
            started=self.header.started,
            ended=self.options.clock(),
            dry_run=self.options.dry_run,
        )


def _remaining(stages: Sequence[_Stage], state: RunState) -> list[_Stage]:
    """Return the stages from the one on in which a run stands; at the end, the last may still have to be looked at."""
    names = [stage.name for stage in stages]
    if state.stage is None:
        return list(stages)
    return list(stages[names.index(state.stage) :] if state.stage in names else stages[-1:])


def _settled(entries: Iterable[Entry | InvalidRecordError], changes: Iterable[Entry], tally: Tally) -> list[Entry]:
    """Return the entries that need no further look: neither changed, nor of a record that cannot be read."""
    open_keys: set[tuple[str, int | None, str]] = {change.key for change in changes}
    open_keys |= {failure.record for failure in tally.failures}
    return [entry for entry in entries if isinstance(entry, Entry) and entry.key not in open_keys]


def _was_delivered(entry: Entry) -> bool:
    """Whether the sink has had something; where what it has is in doubt, its time is still known."""
    return entry.fingerprint is not None or entry.source_time is not None


def _as_delivered(entry: Entry) -> Entry:
    """Return what is left of an entry that needs no further look: what was delivered must not be forgotten with it."""
    return Entry(
        key=entry.key,
        state=EntryState.DELIVERED,
        fingerprint=entry.fingerprint,
        source_time=entry.source_time,
        in_doubt=entry.in_doubt,
    )
