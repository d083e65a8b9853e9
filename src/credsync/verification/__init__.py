"""Whether the service holds what the source says: read back a learner at a time, compared a record at a time.

The truth comes from the planner, as in a run; what the service holds comes from a `CredentialReader`. Both are taken as
they are at that moment, so what changes meanwhile may show as different: then a second look tells.

What this cannot find: what the service holds of learners of whom nothing is expected and whom the selection does not
name, since the service can only be asked about a learner whom one knows; and grades without an awarded and visible
course certificate, which it shows to nobody. These are counted as unreadable, never as right; a repair that brings a
certificate may make its grade readable, so it is worth a second look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from credsync.delivery import Courier
from credsync.errors import AdapterError
from credsync.ledger import RunHeader
from credsync.options import PLAIN_RUN, RunOptions
from credsync.paging import Pageable, iter_pages
from credsync.planning import Planner
from credsync.ports import RecordSource
from credsync.report import Stopped
from credsync.run import close_run
from credsync.selection import Selection
from credsync.verification.comparison import Comparison
from credsync.verification.findings import KEPT_FINDINGS, WRONG, Finding, Standing, Verification
from credsync.verification.rows import CredentialReader

__all__ = ["KEPT_FINDINGS", "WRONG", "CredentialReader", "Finding", "Standing", "Verification", "verify"]

KEPT_LEARNERS = 500
"""Learners whose rows are kept in memory: their next record is mostly near."""


def verify(
    source: RecordSource,
    selection: Selection,
    *,
    planner: Planner,
    reader: CredentialReader,
    repairer: Courier | None = None,
    page_size: int = 100,
    options: RunOptions = PLAIN_RUN,
    on_progress: Callable[[Verification], None] = lambda _so_far: None,
) -> Verification:
    """Compare what a source says with what the service holds, a page at a time; change nothing, or only what is wrong.

    Args:
        source: What the learning platform knows.
        selection: Which of it to compare.
        planner: Decides what the service should hold, as in a run.
        reader: Reads back what it does hold.
        repairer: Sends what is missing or different. Its ledger, if it has one, holds a run open meanwhile. None sends
            nothing. What is extra is never sent: the source has nothing to say about it.
        page_size: Records a page holds, 1 or more.
        options: Whether to stop, and the time.
        on_progress: Given what was found so far after each page.

    Returns:
        What was found. A source or a service that goes away ends it early, with what was found until then.
    """
    comparison = Comparison(
        selection=selection,
        planner=planner,
        credentials=lru_cache(KEPT_LEARNERS)(reader.find_credentials),
        statuses=lru_cache(KEPT_LEARNERS)(reader.find_statuses),
        repairer=repairer,
        options=options,
    )
    stages: list[_Stage] = [
        # Grades first: a certificate that a repair revokes would hide its grade before that is compared.
        ("grades", source.grades(selection), lambda page: comparison.take(planner.plan_grades(page))),
        ("certificates", source.certificates(selection), lambda page: comparison.take(planner.plan_certificates(page))),
    ]
    if selection.user_ids:
        stages.append(("learners", sorted(selection.user_ids), comparison.take_learners))
    ledger = repairer.ledger if repairer else None
    if ledger:
        ledger.begin(RunHeader(scope={"repair": selection.as_dict()}, started=comparison.started, job="repair"))
    stopped: Stopped | None = Stopped(reason="interrupted", stage="grades")
    try:
        stopped = _walk(comparison, stages, page_size, on_progress)
    finally:
        unfinished = close_run(ledger, stopped, options.clock()) if ledger else None
    return comparison.verification(stopped or unfinished)


_Stage: TypeAlias = tuple[str, Pageable[Any], Callable[[Sequence[Any]], str | None]]
"""What is walked, and what compares a page of it: it returns why there is no use in going on, if so."""


def _walk(
    comparison: Comparison, stages: Sequence[_Stage], page_size: int, on_progress: Callable[[Verification], None]
) -> Stopped | None:
    """Compare page after page; return what ended that early."""
    for stage, pages, take in stages:
        try:
            for page in iter_pages(pages, page_size):
                reason = "interrupted" if comparison.options.should_stop() else take(page.records)
                on_progress(comparison.verification(None))
                if reason:
                    return Stopped(reason=reason, stage=stage)
        except AdapterError as exc:
            return Stopped(reason=str(exc), stage=stage)
    return None
