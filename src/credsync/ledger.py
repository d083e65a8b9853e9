"""The ledger port: what was delivered before, and where a run stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from attrs import field, frozen

from credsync.paging import Cursor, PageSource
from credsync.updates import Update, UpdateKey

__all__ = ["Entry", "EntryState", "Known", "Ledger", "PageRecord", "RunHeader", "RunState"]


class EntryState(StrEnum):
    """How the last try for a key ended."""

    DELIVERED = "delivered"
    """The sink has it."""

    DEFERRED = "deferred"
    """Something was not there yet: the next run looks at it again."""

    DEAD = "dead"
    """A dead letter: rejected, or given up."""


@frozen(kw_only=True)
class Entry:
    """What the ledger knows of one key.

    Attributes:
        key: What it is about.
        state: How the last try ended.
        fingerprint: Of what the sink holds; None where that is not known: before the first delivery, and from when
            something else is sent until the sink says that it was delivered.
        source_time: Of what was last delivered, or may have been; None before the first delivery, or where unknown.
        in_doubt: Whether what was handed over last may have arrived, or not.
        failed_fingerprint: Of what was rejected; None unless the entry is a dead letter of the sink's.
        reason: Why it is deferred or dead; None once delivered.
        status: The sink's own status of a rejection; None where it has none.
        since: When the first of the tries in a row that did not arrive was made; None once delivered.
        tries: How many tries in a row did not arrive.
    """

    key: UpdateKey
    state: EntryState
    fingerprint: str | None = None
    source_time: datetime | None = None
    in_doubt: bool = False
    failed_fingerprint: str | None = None
    reason: str | None = None
    status: int | None = None
    since: datetime | None = None
    tries: int = 0

    def knows(self, update: Update) -> bool:
        """Whether the sink has just this update: the same payload, of the same time."""
        return (
            self.state is EntryState.DELIVERED
            and self.fingerprint == update.fingerprint
            and self.source_time == update.source_time
        )


@frozen(kw_only=True)
class Known:
    """What a ledger knows of some keys.

    Attributes:
        unchanged: The keys whose entry knows the update that was asked about, in the order in which they were asked.
        entries: The entries of all other keys that are known.
    """

    unchanged: Sequence[UpdateKey] = ()
    entries: Mapping[UpdateKey, Entry] = field(factory=dict)


@frozen(kw_only=True)
class RunHeader:
    """What a run is about.

    Attributes:
        scope: What is read and how it is decided, JSON-able and without the window: runs of one scope continue each
            other.
        start: The window's start, aware; None reads from the beginning.
        end: The window's end, aware; None reads to the end.
        started: When the run began, aware.
        watermark: Up to where everything will have been seen once the run is complete; None where the run leaves gaps.
        job: `notify`; `retry` for a run over dead letters, or `grade` for a single one, which nothing resumes.
    """

    scope: Mapping[str, object]
    start: datetime | None = None
    end: datetime | None = None
    started: datetime
    watermark: datetime | None = None
    job: str = "notify"


@frozen(kw_only=True)
class RunState:
    """Where a run stands.

    Attributes:
        run_id: Names the run.
        stage: The stage to go on with; None for the first.
        cursor: Where in that stage to go on; None is its start.
    """

    run_id: int
    stage: str | None = None
    cursor: Cursor | None = None


@frozen(kw_only=True)
class PageRecord:
    """All that one page changes in the ledger. It is durable as a whole, or not at all.

    Attributes:
        entries: The keys whose entry changed, each once.
        resolved: Keys that need no further look: their deferral or dead letter goes.
        read: Records read, by kind: counted when the page came in.
        counts: Records by kind, course run (or program), outcome and reason: counted as each found its end.
        failures: Failures in full, JSON-able, for the run's report.
        checkpoint: The stage and the cursor to go on with; None leaves the run's checkpoint where it is.
        at: When the outcomes came in, aware.
    """

    entries: Sequence[Entry] = ()
    resolved: Collection[UpdateKey] = ()
    read: Mapping[str, int] = field(factory=dict)
    counts: Mapping[tuple[str, str, str, str], int] = field(factory=dict)
    failures: Sequence[Mapping[str, object]] = ()
    checkpoint: tuple[str, Cursor | None] | None = None
    at: datetime


class Ledger(Protocol):
    """Remembers, durably, what became of every key; one run at a time."""

    def begin(self, header: RunHeader, *, resume: bool = False) -> RunState:
        """Take the ledger's lock and open a run; the lock goes with the process that holds it.

        Args:
            header: What the run is about.
            resume: Go on where the last run stands, which did not complete, and take over its account.

        Raises:
            ConfigurationError: If another run holds the ledger, or there is nothing to resume, or it had another scope.
            AdapterError: If the ledger cannot be read or written.
        """
        ...

    def finish(self, status: str, at: datetime, reason: str | None = None) -> None:
        """Close the run and give the lock back.

        Args:
            status: `complete` or `stopped`.
            at: When it ended, aware.
            reason: What stopped it; None where it is complete.

        Raises:
            AdapterError: If the ledger cannot be written.
        """
        ...

    def look_up(self, asked: Mapping[UpdateKey, Update | None]) -> Known:
        """Return what is known of some keys, in one look-up.

        Most of what a run meets is unchanged. So the ledger compares, and builds no entry where it finds nothing new.

        Args:
            asked: For each key the update in hand, to be compared with its entry (`Entry.knows`). None asks for the
                entry as it is.

        Raises:
            AdapterError: If the ledger cannot be read.
        """
        ...

    def record(self, page: PageRecord) -> None:
        """Write down what became of a page; durable before it returns.

        Raises:
            AdapterError: If the ledger cannot be written.
        """
        ...

    def pending(
        self, state: EntryState, kind: str | None = None, *, before_run: int | None = None
    ) -> PageSource[Entry]:
        """Return the entries that are deferred or dead.

        Args:
            state: Deferred or dead.
            kind: Of this kind of update; None is every kind.
            before_run: Only those last tried before this run; None takes all.

        Raises:
            AdapterError: If the ledger cannot be read.
        """
        ...
