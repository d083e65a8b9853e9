"""What stands between a run and the rest of the world, and looks at everything that goes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import define, field

from credsync.adapters.memory import MemorySink
from credsync.ledger import Entry, EntryState, Known, Ledger, PageRecord, RunHeader, RunState
from credsync.paging import PageSource
from credsync.updates import (
    CertificateUpdate,
    Deferred,
    Delivered,
    GradeUpdate,
    Outcome,
    Update,
    UpdateKey,
)
from tests.laws.campus import Campus
from tests.laws.fate import LATE


class LedgerUnderTest(Ledger, Protocol):
    """A ledger that also says how far its runs have come."""

    def find_watermark(self, scope: Mapping[str, object]) -> datetime | None:
        """Return up to where everything of a scope was seen by runs that completed; None before the first."""


@define
class WatchedSink:
    """A sink that keeps what arrives, answers as fate has it, and sees to it that the laws are kept.

    Attributes:
        campus: The source.
        holds: What has arrived.
        known: Fingerprints of what the ledger must know as delivered: the sink said so, and that was written down.
        newest: The source time of what the ledger must know as delivered. A campus that shows its past can only be seen
            through as far as that is known.
        answered: What the sink has said to a batch that is not written down yet: the fingerprint it holds of each key.
        announced: Keys of which the ledger gave up what it knew, because something else is about to be sent.
        accepted: Updates of this run that it called delivered.
        may_repeat: Whether this run may send what is known.
    """

    campus: Campus
    holds: MemorySink = field(factory=MemorySink)
    known: dict[UpdateKey, str] = field(factory=dict)
    newest: dict[UpdateKey, datetime] = field(factory=dict)
    answered: dict[UpdateKey, str] = field(factory=dict)
    announced: set[UpdateKey] = field(factory=set)
    accepted: int = 0
    may_repeat: bool = False

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Take a batch, as far as fate allows."""
        fate = self.campus.fate
        assert len({update.key for update in updates}) == len(updates), "two updates for one key are in flight"
        for update in updates:
            self._check(update)
        self.announced.clear()
        for update in updates:
            self.known.pop(update.key, None)
        answers = [(update, fate.refusals.get(update.key, Delivered())) for update in updates]
        arriving = [update for update, answer in answers if answer in (Delivered(), Deferred(reason=LATE))]
        fate.meet("sending")
        self.holds.deliver(arriving[: len(arriving) // 2])
        fate.meet("half sent")
        self.holds.deliver(arriving[len(arriving) // 2 :])
        fate.meet("sent")
        for update, answer in answers:
            if isinstance(answer, Delivered):
                self.accepted += 1
                self.answered[update.key] = update.fingerprint
        return [answer for _, answer in answers]

    def _check(self, update: Update) -> None:
        if isinstance(update, CertificateUpdate | GradeUpdate):
            assert update in self.campus.ever, "what is sent never was in the source"
            held = self.holds.state.get(update.key)
            newest = self.newest.get(update.key) if update.key in self.campus.blurred else held and held.source_time
            if newest and update.source_time:
                assert update.source_time >= newest, "what is sent is older than what was delivered"
        if not self.may_repeat:
            assert self.known.get(update.key) != update.fingerprint, "what is sent is known as delivered"

    def write_down(self, page: PageRecord) -> None:
        """Take note that the last answers are written down: from now on the ledger must know them."""
        self.known.update(self.answered)
        for entry in page.entries:
            if entry.key in self.answered and entry.source_time:
                self.newest[entry.key] = entry.source_time
        self.answered.clear()
        self.announced = {entry.key for entry in page.entries if entry.fingerprint is None and entry.key in self.known}

    def cut_off(self) -> None:
        """Take note that the process is gone: what it was about to send it did not."""
        for key in self.announced:
            self.known.pop(key)


@define
class WatchedLedger:
    """The ledger that is tested, as far as fate allows.

    Attributes:
        ledger: The ledger that is tested.
        sink: The sink.
        scope: The scope of the last run.
        status: How the last run ended; `running` while it goes on, and after it was killed.
    """

    ledger: LedgerUnderTest
    sink: WatchedSink
    scope: Mapping[str, object] = field(factory=dict)
    status: str = ""

    def begin(self, header: RunHeader, *, resume: bool = False) -> RunState:
        """Begin a run."""
        begun = self.ledger.begin(header, resume=resume)
        self.scope, self.status = header.scope, "running"
        self.sink.accepted = 0
        self.sink.answered.clear()
        self.sink.announced.clear()
        return begun

    def finish(self, status: str, at: datetime, reason: str | None = None) -> None:
        """Finish a run."""
        self.sink.campus.fate.meet("finishing")
        self.ledger.finish(status, at, reason)
        self.status = status
        self.sink.campus.fate.meet("finished")

    def look_up(self, asked: Mapping[UpdateKey, Update | None]) -> Known:
        """Look up what is known."""
        self.sink.campus.fate.meet("entries")
        return self.ledger.look_up(asked)

    def record(self, page: PageRecord) -> None:
        """Write a page down."""
        self.sink.campus.fate.meet("writing")
        self.ledger.record(page)
        self.sink.write_down(page)
        self.sink.campus.fate.meet("written")

    def pending(
        self, state: EntryState, kind: str | None = None, *, before_run: int | None = None
    ) -> PageSource[Entry]:
        """Return what is pending."""
        return self.ledger.pending(state, kind, before_run=before_run)
