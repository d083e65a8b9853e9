"""What a ledger says of past runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from credsync.ledger import RunHeader
from credsync.report import Report

__all__ = ["PastRun"]


@frozen(kw_only=True)
class PastRun:
    """One run, as the ledger remembers it: also one that was killed, up to its last durable page.

    Attributes:
        run_id: Names the run.
        destination: Where its updates went.
        header: What it was about.
        status: `complete`, `stopped`, or `resumed` once another run has taken over from it; `running` while it goes
            on, and after it was killed until the next run finds out and calls it `killed`.
        process: Who ran it: process and machine.
        report: What became of everything it read; its end is that of its last page.
        by_target: Records by kind, course run or program, verdict and reason.
        timeline: Records by minute (its first moment, aware) and verdict.
    """

    run_id: int
    destination: str
    header: RunHeader
    status: str
    process: str
    report: Report
    by_target: Mapping[tuple[str, str, str, str], int]
    timeline: Mapping[tuple[datetime, str], int]
