"""From updates to outcomes: the newest for each key, only what the ledger does not know as delivered, then the sink."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve, field, frozen

from credsync.errors import SinkRejectedError, SinkUnavailableError, isolated
from credsync.ledger import Entry, EntryState, Known, Ledger, PageRecord
from credsync.planning import Plan
from credsync.ports import CredentialSink
from credsync.report import Tally, Verdict
from credsync.rules import SkipReason
from credsync.updates import (
    INTERRUPTED,
    SINK_UNAVAILABLE,
    Deferred,
    Delivered,
    Outcome,
    Rejected,
    Update,
    UpdateKey,
)

__all__ = ["GIVEN_UP", "INTERRUPTED", "MAX_REASONS", "SINK_UNAVAILABLE", "Courier"]

MAX_REASONS = 50
"""Reasons of rejection and deferral that are counted apart; what a sink says beyond them is counted together."""

COUNTED_CHARACTERS = 160
"""Characters of a reason that is counted; a failure tells it in full."""

GIVEN_UP = "given up: "
"""What the reason of a failure begins with that was deferred for too long."""

NO_FAULT_OF_THE_RECORD = frozenset({SINK_UNAVAILABLE, INTERRUPTED})
"""Reasons of deferral for which a record is never given up."""


@define
class Courier:
    """Takes the updates of a page to the sink, and says what the ledger is to remember of it.

    Attributes:
        sink: Where the updates go.
        ledger: What was delivered before; None forgets.
        force: Send what the ledger knows as delivered, too. What is older than what was delivered is never sent.
        again: Hand dead letters over again, too.
        give_up_after: How long a record may be deferred; None waits for ever.
        is_rehearsal: Nothing really goes to the sink, so nothing is written down on the way.
    """

    sink: CredentialSink
    ledger: Ledger | None = None
    force: bool = False
    again: bool = False
    give_up_after: timedelta | None = None
    is_rehearsal: bool = False
    _reasons: set[str] = field(factory=set, init=False)

    def deliver(self, plan: Plan, at: datetime) -> tuple[list[Entry], SinkUnavailableError | None]:
        """Bring every update and deferral of a plan to its end in the plan's tally.

        Args:
            plan: What is to be done.
            at: The time of the outcomes, aware.

        Returns:
            The ledger entries that change, and the sink's error where it was unavailable: its updates are deferred.

        Raises:
            AdapterError: If the ledger cannot be read or written; nothing was sent.
        """
        updates = _newest_of_each_key(plan)
        known = self._look_up(updates, [key for key, _ in plan.deferrals])
        parcel = _Parcel(self, plan.tally, known.entries, at)
        plan.tally.count_all(known.unchanged, Verdict.UNCHANGED)
        for key in known.unchanged:
            del updates[key]
        if known.entries:
            updates = {key: update for key, update in updates.items() if parcel.is_fresh(key, update)}
        parcel.doubt(updates)
        answers, unavailable = self._hand_over(list(updates.values())) if updates else ([], None)
        if not unavailable and any(map(_was_out_of_reach, answers)):
            waits = [answer.retry_after for answer in answers if isinstance(answer, Deferred) and answer.retry_after]
            unavailable = SinkUnavailableError("the sink became unavailable within a page", max(waits, default=None))
        for (key, update), answer in zip(updates.items(), answers, strict=True):
            parcel.settle(key, update, answer)
        for key, reason in plan.deferrals:
            parcel.put_off(key, reason)
        return list(parcel.changes.values()), unavailable

    def countable(self, reason: str) -> str:
        """Return a reason that may be counted apart: a sink's words are its own, and memory is a page."""
        reason = reason[:COUNTED_CHARACTERS]
        if len(self._reasons) < MAX_REASONS:
            self._reasons.add(reason)
        return reason if reason in self._reasons else "other reasons"

    def is_too_long(self, wait: timedelta) -> bool:
        """Whether a record that has been deferred for so long is to be given up."""
        return self.give_up_after is not None and wait > self.give_up_after

    def _look_up(self, updates: Mapping[UpdateKey, Update], deferred: Sequence[UpdateKey]) -> Known:
        """Ask the ledger about a page, if there is any of both. What is deferred or forced is not compared."""
        if not self.ledger or not (updates or deferred):
            return Known()
        asked = dict.fromkeys(updates) if self.force else updates
        return self.ledger.look_up({**asked, **dict.fromkeys(deferred)})

    def _hand_over(self, updates: Sequence[Update]) -> tuple[Sequence[Outcome | _Broken], SinkUnavailableError | None]:
        """Give a batch to the sink; whatever it does, each update has an answer."""
        answer = isolated(lambda: list(self.sink.deliver(updates)))
        if isinstance(answer, SinkUnavailableError):
            return [Deferred(reason=SINK_UNAVAILABLE)] * len(updates), answer
        if isinstance(answer, SinkRejectedError):
            return [Rejected(reason=answer.message, status=answer.status)] * len(updates), None
        if isinstance(answer, Exception):
            return [_Broken(f"the sink raised {type(answer).__name__}")] * len(updates), None
        if len(answer) != len(updates):
            return [_Broken("the sink did not give one outcome per update")] * len(updates), None
        return [one if isinstance(one, Outcome) else _Broken("the sink gave no outcome") for one in answer], None


@define
class _Parcel:
    """One page's updates on their way: what the ledger knew of them, and what it is to remember.

    Attributes:
        courier: How it is done.
        tally: Where each update and deferral finds its end.
        known: What the ledger knew before.
        at: The time of the outcomes.
        changes: What the ledger is to remember.
        doubted: What it knows now of the updates that are handed over: that the sink may hold them, or not.
    """

    courier: Courier
    tally: Tally
    known: Mapping[UpdateKey, Entry]
    at: datetime
    changes: dict[UpdateKey, Entry] = field(factory=dict)
    doubted: dict[UpdateKey, Entry] = field(factory=dict)

    def is_fresh(self, key: UpdateKey, update: Update) -> bool:
        """Whether an update would change anything; if not, it finds its end here."""
        entry = self.known.get(key)
        if entry is None:
            return True
        if _is_older(update, entry):
            self.tally.count(*key, Verdict.SKIPPED, SkipReason.STALE)
            return False
        if self.courier.force:
            return True
        fingerprint = update.fingerprint
        if fingerprint == entry.fingerprint:
            self.tally.count(*key, Verdict.UNCHANGED)
            if entry.state is not EntryState.DELIVERED or update.source_time != entry.source_time:
                self.changes[key] = _delivered(key, update)
            return False
        if fingerprint == entry.failed_fingerprint and not self.courier.again:
            self.tally.count(*key, Verdict.SKIPPED, SkipReason.DEAD_LETTER)
            return False
        return True

    def doubt(self, keys: Collection[UpdateKey]) -> None:
        """Write down, before updates go out, that the sink may soon hold something else than the ledger knows.

        Otherwise, a run that dies before it hears the answer leaves the old payload known as delivered; if the record
        then changes back to it, nothing would be sent, and the sink would keep the new one for good.
        """
        entries = (self.known[key] for key in keys if key in self.known)
        doubted = [evolve(entry, fingerprint=None) for entry in entries if entry.fingerprint]
        self.doubted = {entry.key: entry for entry in doubted}
        if doubted and self.courier.ledger and not self.courier.is_rehearsal:
            self.courier.ledger.record(PageRecord(entries=doubted, at=self.at))

    def settle(self, key: UpdateKey, update: Update, answer: Outcome | _Broken) -> None:
        """Bring one update that was handed over to its end."""
        if isinstance(answer, Delivered):
            self.tally.count(*key, Verdict.SENT)
            if self.courier.ledger:
                self.changes[key] = _delivered(key, update)
        elif isinstance(answer, Deferred):
            self._presume(key, update)
            self.put_off(key, answer.reason)
        elif isinstance(answer, Rejected):
            self._presume(key, update)  # it was refused in the end, and may have arrived with an earlier try
            reason = self.courier.countable(answer.reason)
            self.tally.fail(key, Verdict.REJECTED, reason, answer.status, detail=answer.reason)
            self.changes[key] = self._dead(key, answer.reason, answer.status, update.fingerprint)
        else:
            self._presume(key, update)
            self.tally.fail(key, Verdict.FAILED, answer.reason)
            self.changes[key] = self._dead(key, answer.reason)

    def _presume(self, key: UpdateKey, update: Update) -> None:
        """Take it that an update whose fate nobody knows has arrived: nothing older than it is to follow."""
        entry = self._entry(key)
        time = max(filter(None, (entry.source_time, update.source_time)), default=None)
        self.doubted[key] = evolve(entry, fingerprint=None, source_time=time, in_doubt=True)

    def put_off(self, key: UpdateKey, reason: str) -> None:
        """Defer a record, or give it up if that has gone on for too long."""
        entry = self._entry(key)
        is_its_fault = reason not in NO_FAULT_OF_THE_RECORD
        # while nothing could be sent at all, nobody knew what was to be waited for
        begins = is_its_fault and entry.reason in NO_FAULT_OF_THE_RECORD
        since = self.at if begins or entry.since is None else entry.since
        countable = self.courier.countable(reason)
        is_given_up = is_its_fault and self.courier.is_too_long(self.at - since)
        rests = entry.state is EntryState.DEAD and key not in self.doubted
        if is_given_up and rests and not self.courier.again:
            self.tally.count(*key, Verdict.SKIPPED, SkipReason.DEAD_LETTER)
        elif is_given_up:
            self.tally.fail(key, Verdict.FAILED, f"{GIVEN_UP}{countable}", detail=f"{GIVEN_UP}{reason}")
            self.changes[key] = self._dead(key, reason)
        else:
            self.tally.count(*key, Verdict.DEFERRED, countable)
            self.changes[key] = evolve(
                entry,
                state=EntryState.DEFERRED,
                failed_fingerprint=None,
                reason=reason,
                status=None,
                since=since,
                tries=entry.tries + 1,
            )

    def _entry(self, key: UpdateKey) -> Entry:
        """Return what is known so far; another record of the page may share the key."""
        known = self.doubted.get(key) or self.known.get(key)
        return self.changes.get(key) or known or Entry(key=key, state=EntryState.DEFERRED)

    def _dead(self, key: UpdateKey, reason: str, status: int | None = None, failed: str | None = None) -> Entry:
        entry = self._entry(key)
        return evolve(
            entry,
            state=EntryState.DEAD,
            failed_fingerprint=failed,
            reason=reason,
            status=status,
            since=entry.since or self.at,
            tries=entry.tries + 1,
        )


@frozen
class _Broken:
    """The sink kept none of its promises for an update."""

    reason: str


def _was_out_of_reach(answer: Outcome | _Broken) -> bool:
    """Whether an update did not arrive for the sink's sake: what comes next would not arrive either."""
    return isinstance(answer, Deferred) and answer.reason == SINK_UNAVAILABLE


def _is_older(update: Update, entry: Entry) -> bool:
    """Whether something newer was delivered before, or may have been.

    A program's time goes back when the newest of its certificates goes. So while it is in doubt what has arrived, what
    the certificates say now is the newest.
    """
    if entry.in_doubt and entry.key.kind == "program":
        return False
    return bool(update.source_time and entry.source_time and update.source_time < entry.source_time)


def _newest_of_each_key(plan: Plan) -> dict[UpdateKey, Update]:
    """Return a plan's updates by key, only the newest of those that share one; the others are superseded."""
    newest: dict[UpdateKey, Update] = {}
    for update in plan.updates:
        key = update.key
        earlier = newest.setdefault(key, update)
        if earlier is not update:
            plan.tally.count(*key, Verdict.SKIPPED, SkipReason.SUPERSEDED)
            if not (update.source_time and earlier.source_time and update.source_time < earlier.source_time):
                newest[key] = update
    return newest


def _delivered(key: UpdateKey, update: Update) -> Entry:
    return Entry(
        key=key,
        state=EntryState.DELIVERED,
        fingerprint=update.fingerprint,
        source_time=update.source_time,
    )
