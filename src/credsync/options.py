"""How a run goes, beside what it reads and where it sends."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from attrs import field, frozen

from credsync.errors import ConfigurationError
from credsync.metrics import Metrics, NoMetrics
from credsync.report import Report

__all__ = ["PLAIN_RUN", "RunOptions"]


LONGEST_WAIT = timedelta(days=36_500)
"""The longest that a record may be deferred: a century, so that no clock overflows."""


def _now() -> datetime:
    return datetime.now(UTC)


def _never() -> bool:
    return False


def _ignore(_report: Report) -> None:
    pass


@frozen(kw_only=True)
class RunOptions:
    """How a run goes. The defaults are those of a plain run.

    Attributes:
        dry_run: Decide everything and send nothing; no sink is needed, and a ledger is only read.
        force: Send what the ledger knows as delivered, too.
        resume: Go on with the ledger's last run, which did not complete.
        watermark: Up to where everything will have been seen once the run is complete, aware; the ledger keeps it. None
            for a run that leaves gaps.
        max_failures: Stop once more than this many records were rejected or failed, at the end of their page; None
            never.
        give_up_after: How long a record may be deferred before it becomes a dead letter. A certificate or grade that is
            missing beside a grade older than this is missing for good, and a reason to skip.
        allow_empty_catalog: Take a catalog without programs for true instead of refusing to run.
        excluded_programs: Programs, by UUID, that are neither awarded nor revoked.
        should_stop: Asked before each page; the run ends early, resumable, once it says yes.
        on_progress: Given the report so far after each page.
        metrics: Told of the run's numbers after each page.
        clock: Gives the time, aware.
        sleep: Waits some seconds.

    Raises:
        ConfigurationError: If `max_failures` or `give_up_after` is negative, or the latter beyond `LONGEST_WAIT`.

    Example:
        >>> RunOptions(max_failures=10).dry_run
        False
    """

    dry_run: bool = False
    force: bool = False
    resume: bool = False
    watermark: datetime | None = None
    max_failures: int | None = None
    give_up_after: timedelta = timedelta(days=7)
    allow_empty_catalog: bool = False
    excluded_programs: Collection[str] = ()
    should_stop: Callable[[], bool] = _never
    on_progress: Callable[[Report], None] = _ignore
    metrics: Metrics = field(factory=NoMetrics)
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = field(default=time.sleep)

    def __attrs_post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        if not timedelta(0) <= self.give_up_after <= LONGEST_WAIT:
            raise ConfigurationError(f"give up after {self.give_up_after}: a wait lasts 0 to {LONGEST_WAIT.days} days")
        if self.max_failures is not None and self.max_failures < 0:
            raise ConfigurationError(f"max failures {self.max_failures}: a run may fail 0 times or more")


PLAIN_RUN = RunOptions()
"""A run with nothing special about it."""
