"""What a comparison found: how each record stands, and the account of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from credsync.report import Report, Stopped
from credsync.updates import UpdateKey

__all__ = ["KEPT_FINDINGS", "REPAIRABLE", "WRONG", "Finding", "Standing", "Verification"]

SCHEMA_VERSION = 1
"""Of the JSON form; it grows when a field changes its meaning or goes."""

KEPT_FINDINGS = 1000
"""Findings that are kept in full; the rest is counted."""


class Standing(StrEnum):
    """How what the service holds stands to what the source says."""

    RIGHT = "right"
    """The service holds it."""

    MISSING = "missing"
    """It does not."""

    DIFFERENT = "different"
    """It holds something else."""

    EXTRA = "extra"
    """It shows what the source knows nothing of, or says otherwise about."""

    UNREADABLE = "unreadable"
    """It does not say."""

    IMPOSSIBLE = "impossible"
    """It could not hold what the source says."""


WRONG = frozenset({Standing.MISSING, Standing.DIFFERENT, Standing.EXTRA, Standing.IMPOSSIBLE})
"""What is to be done something about."""

REPAIRABLE = frozenset({Standing.MISSING, Standing.DIFFERENT})
"""What sending it again may cure."""


@frozen(kw_only=True)
class Finding:
    """How one record stands.

    Attributes:
        key: What it is about.
        standing: How it stands.
        reason: What is known of it: the fields that differ, or why nothing can be read. It holds no personal data.
    """

    key: UpdateKey
    standing: Standing
    reason: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return a JSON-able form."""
        return {**self.key._asdict(), "standing": str(self.standing), "reason": self.reason}


@frozen(kw_only=True)
class Verification:
    """What a comparison found.

    Attributes:
        read: Records read from the source, by kind.
        standings: Records by kind and standing. With what the rules kept back they add up to what was read, but for
            what is extra.
        findings: The first `KEPT_FINDINGS` that are wrong, in full.
        kept_back: Records by kind, verdict and reason of which the service need hold nothing: a rule objects, they are
            not what they say, or they cannot be decided yet.
        unreadable: Why something could not be read, how often.
        repair: What became of what was sent to repair it; None where nothing was.
        stopped: Why it ended early; None where it went to its end.
        started: When it began.
        ended: When it ended.
    """

    read: Mapping[str, int]
    standings: Mapping[tuple[str, Standing], int]
    findings: Sequence[Finding]
    kept_back: Mapping[tuple[str, str, str], int]
    unreadable: Mapping[str, int]
    repair: Report | None
    stopped: Stopped | None
    started: datetime
    ended: datetime

    def total(self, standing: Standing, kind: str | None = None) -> int:
        """Count the records that stand in some way; None takes all kinds."""
        return sum(n for (of_kind, of), n in self.standings.items() if of is standing and kind in (None, of_kind))

    @property
    def is_right(self) -> bool:
        """Whether nothing was found wrong. What cannot be read is neither right nor wrong."""
        return not any(self.total(standing) for standing in WRONG)

    @property
    def unaccounted(self) -> int:
        """Records read less records that found an end: 0, or the account is wrong."""
        compared = sum(self.standings.values()) - self.total(Standing.EXTRA)
        return sum(self.read.values()) - sum(self.kept_back.values()) - compared

    def as_dict(self) -> dict[str, object]:
        """Return a JSON-able form."""
        kinds = sorted({*self.read, *(kind for kind, _ in self.standings)})
        return {
            "schema_version": SCHEMA_VERSION,
            "is_right": self.is_right,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat(),
            "kinds": {
                kind: {
                    "read": self.read.get(kind, 0),
                    **{str(standing): self.total(standing, kind) for standing in Standing},
                    "kept_back": sum(n for (of_kind, _, _), n in self.kept_back.items() if of_kind == kind),
                }
                for kind in kinds
            },
            "unreadable": dict(self.unreadable),
            "findings": [finding.as_dict() for finding in self.findings],
            "repair": self.repair and self.repair.as_dict(),
            "stopped": self.stopped and self.stopped.as_dict(),
        }
