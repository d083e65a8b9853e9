"""What became of everything a run read: the tally kept while it goes on, and the report at its end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum

from attrs import define, field, frozen
from typing_extensions import override

from credsync.errors import (
    AdapterError,
    CredsyncError,
    InvalidRecordError,
    NotificationError,
    RecordName,
    SinkRejectedError,
)
from credsync.paging import Cursor

__all__ = ["KEPT_FAILURES", "SCHEMA_VERSION", "Failure", "Report", "Stopped", "Tally", "Verdict"]

logger = logging.getLogger("credsync")

SCHEMA_VERSION = 1
"""Of a report's JSON form; it grows when a field changes its meaning or goes."""

KEPT_FAILURES = 100
"""Failures that a report keeps in full; the rest is counted."""


class Verdict(StrEnum):
    """How a record ended; each ends in exactly one way."""

    SENT = "sent"
    """The sink has it."""

    UNCHANGED = "unchanged"
    """The sink had it before."""

    SKIPPED = "skipped"
    """A rule objected."""

    REJECTED = "rejected"
    """The sink refused it for good."""

    DEFERRED = "deferred"
    """It did not arrive, and may later."""

    FAILED = "failed"
    """It could not be made into an update, or was given up."""

    @property
    def foretold(self) -> str:
        """The verdict of a rehearsal, in which nothing is really sent."""
        return "would fail" if self is Verdict.FAILED else f"would be {self}"


@frozen(kw_only=True)
class Failure:
    """A record that was rejected or failed.

    Attributes:
        record: The record's name.
        verdict: `rejected` or `failed`.
        reason: Why, without personal data.
        status: The sink's own status; None where it has none.
    """

    record: RecordName
    verdict: Verdict
    reason: str
    status: int | None = None

    @override
    def __str__(self) -> str:
        return f"{self.record}: {self.verdict}: {self.reason}"

    def as_dict(self) -> dict[str, object]:
        """Return a JSON-able form."""
        return {
            **self.record._asdict(),
            "verdict": str(self.verdict),
            "reason": self.reason,
            "status": self.status,
        }

    @classmethod
    def from_dict(cls, failure: Mapping[str, object]) -> Failure:
        """Read the JSON form back."""
        user_id, status = failure["user_id"], failure["status"]
        return cls(
            record=RecordName(
                str(failure["kind"]), None if user_id is None else int(str(user_id)), str(failure["target"])
            ),
            verdict=Verdict(str(failure["verdict"])),
            reason=str(failure["reason"]),
            status=None if status is None else int(str(status)),
        )

    def as_error(self) -> CredsyncError:
        """Return the error that `Report.raise_for_failures` raises for it."""
        if self.verdict is Verdict.REJECTED:
            return SinkRejectedError(str(self), self.status)
        return InvalidRecordError(self.record, "record", self.reason)


@frozen(kw_only=True)
class Stopped:
    """Why a run ended early. What was done is done; what was not can be done by going on.

    Attributes:
        reason: What stopped it.
        stage: The stage to go on with: `certificates`, `grades`, `pending` or `end`.
        cursor: Where in that stage to go on; None is its start.
        retry_after: Seconds the sink asked to wait, None where it did not say.
    """

    reason: str
    stage: str
    cursor: Cursor | None = None
    retry_after: float | None = None

    def as_dict(self) -> dict[str, object]:
        """Return a JSON-able form."""
        return {
            "reason": self.reason,
            "stage": self.stage,
            "cursor": self.cursor,
            "retry_after": self.retry_after,
        }


@define
class Tally:
    """Counts as records are read and as each finds its end; the two are counted apart, so that one proves the other.

    Attributes:
        read: Records by kind.
        counts: Records by kind, course run or program, verdict and reason.
        failures: What was rejected or failed.
        verbose: Log each verdict, by course run and user id.
        is_rehearsal: Whether nothing is really sent, so that no line of the log says so.
    """

    verbose: bool = False
    is_rehearsal: bool = False
    read: Counter[str] = field(factory=Counter)
    counts: Counter[tuple[str, str, str, str]] = field(factory=Counter)
    failures: list[Failure] = field(factory=list)

    def count(self, kind: str, user_id: int | None, target: str, verdict: Verdict, reason: str = "") -> None:
        """Count one record's end."""
        self.counts[kind, target, verdict, reason] += 1
        if self.verbose:
            ending = verdict.foretold if self.is_rehearsal else verdict
            logger.info("%s in %s for user %s: %s%s", kind, target, user_id, ending, reason and f" ({reason})")

    def count_all(self, keys: Collection[tuple[str, int, str]], verdict: Verdict) -> None:
        """Count the end of some records that ended in the same way."""
        if self.verbose:
            for key in keys:
                self.count(*key, verdict)
        else:
            for (kind, target), records in Counter((kind, target) for kind, _, target in keys).items():
                self.counts[kind, target, verdict, ""] += records

    def fail(
        self,
        record: tuple[str, int | None, str],
        verdict: Verdict,
        reason: str,
        status: int | None = None,
        detail: str | None = None,
    ) -> None:
        """Count one record that was rejected or failed, and keep it.

        Args:
            record: The record's name.
            verdict: `rejected` or `failed`.
            reason: What is counted: one of few.
            status: The sink's own status.
            detail: The reason in full; None where it is the reason.
        """
        self.count(*record, verdict, reason)
        self.failures.append(
            Failure(record=RecordName(*record), verdict=verdict, reason=detail or reason, status=status)
        )

    def extend(self, other: Tally) -> None:
        """Take another tally's counts and failures in."""
        self.read.update(other.read)
        self.counts.update(other.counts)
        self.failures += other.failures


@frozen(kw_only=True)
class Report:
    """What a run did with everything it read.

    Attributes:
        read: Records read, by kind: `certificate`, `grade`, and `program` for the awards and revocations that
            certificates led to.
        counts: Records by kind, verdict and reason; they add up to `read`.
        failures: The first `KEPT_FAILURES` that were rejected or failed, in full.
        stopped: Why the run ended early; None where it went to its end.
        started: When it began.
        ended: When it ended.
        dry_run: Whether nothing was sent.

    Example:
        >>> from credsync import Host, Program, ProgramIndex, per_update, send_notifications
        >>> from credsync.adapters.memory import MemoryPlatform
        >>> catalog = ProgramIndex([Program(uuid="6883080f-0000-4000-8000-000000000001")])
        >>> platform = MemoryPlatform()
        >>> host = Host(
        ...     catalog=catalog, sink=per_update(print), learners=platform, certificates=platform, grades=platform
        ... )
        >>> send_notifications([], [], host=host).total()
        0
    """

    read: Mapping[str, int]
    counts: Mapping[tuple[str, str, str], int]
    failures: tuple[Failure, ...] = ()
    stopped: Stopped | None = None
    started: datetime
    ended: datetime
    dry_run: bool = False

    def total(self, verdict: Verdict | str | None = None, kind: str | None = None, reason: str | None = None) -> int:
        """Count the records that ended in some way; None takes all."""
        return sum(
            count
            for (of_kind, of_verdict, of_reason), count in self.counts.items()
            if verdict in (None, of_verdict) and kind in (None, of_kind) and reason in (None, of_reason)
        )

    def reasons(self, verdict: Verdict | str, kind: str | None = None) -> Counter[str]:
        """Count the records that ended in one way, by reason, the most frequent first."""
        found: Counter[str] = Counter()
        for (of_kind, of_verdict, reason), count in self.counts.items():
            if of_verdict == verdict and kind in (None, of_kind):
                found[reason] += count
        return Counter(dict(found.most_common()))

    @property
    def status(self) -> str:
        """`complete`, or `stopped` where the run ended early."""
        return "stopped" if self.stopped else "complete"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of records that were read."""
        return tuple(self.read)

    @property
    def unaccounted(self) -> int:
        """Records read less records that found an end: 0, or the account is wrong."""
        return sum(self.read.values()) - self.total()

    @property
    def has_failures(self) -> bool:
        """Whether anything was rejected or failed."""
        return bool(self.total(Verdict.REJECTED) or self.total(Verdict.FAILED))

    def raise_for_failures(self) -> None:
        """Do nothing after a run that went to its end and in which nothing was rejected or failed.

        Raises:
            NotificationError: If anything failed or the run stopped early. It groups one error for each failure kept in
                full, and one for the stop.
        """
        errors = [failure.as_error() for failure in self.failures]
        if self.stopped:
            errors.append(AdapterError(f"stopped in {self.stopped.stage}: {self.stopped.reason}"))
        if errors:
            failed = self.total(Verdict.REJECTED) + self.total(Verdict.FAILED)
            raise NotificationError(f"{failed} of {sum(self.read.values())} records failed", errors)

    def as_dict(self) -> dict[str, object]:
        """Return a JSON-able form, of schema version `SCHEMA_VERSION`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            "dry_run": self.dry_run,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat(),
            "read": sum(self.read.values()),
            "kinds": {kind: self._kind_as_dict(kind) for kind in self.kinds},
            "failures": [failure.as_dict() for failure in self.failures],
            "stopped": self.stopped and self.stopped.as_dict(),
        }

    def _kind_as_dict(self, kind: str) -> dict[str, object]:
        verdicts = {str(verdict): self.total(verdict, kind) for verdict in Verdict}
        reasons = {str(verdict): self.reasons(verdict, kind) for verdict in Verdict}
        return {
            "read": self.read[kind],
            **verdicts,
            "reasons": {
                verdict: {str(reason): count for reason, count in found.items()}
                for verdict, found in reasons.items()
                if any(found)
            },
        }
