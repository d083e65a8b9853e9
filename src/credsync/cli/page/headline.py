"""How a run ended, in a word and a sentence."""

from __future__ import annotations

from attrs import frozen

from credsync.cli.past_runs import count_letters
from credsync.cli.wording import counted
from credsync.history import PastRun
from credsync.report import Verdict

__all__ = ["Headline", "headline_of"]

SAFE = "What it did up to there is durable"


@frozen
class Headline:
    """The first thing to know of a run.

    Attributes:
        tone: `good`, `failing`, `paused` or `stopped`.
        title: How it ended.
        advice: What that means, and what to do; empty where nothing is to be done.
    """

    tone: str
    title: str
    advice: str = ""


def headline_of(run: PastRun) -> Headline:
    """Say how a run ended."""
    failed = run.report.total(Verdict.REJECTED) + run.report.total(Verdict.FAILED)
    failures = f", with {counted(failed, 'failure')}" if failed else ""
    if run.status == "complete":
        return Headline("failing" if failed else "good", f"Complete{failures}", _what_is_left(run, failed))
    if run.status == "resumed":
        return Headline("paused", f"Stopped early, and resumed{failures}", "Another run went on from there.")
    go_on = "; --resume goes on from there." if run.header.job == "notify" else "."
    if run.status == "killed":
        return Headline("stopped", f"Killed{failures}", f"Its process ended without a word. {SAFE}.")
    if run.status == "running":
        return Headline("paused", f"Not finished{failures}", f"It is still going on, or was killed. {SAFE}{go_on}")
    stopped = run.report.stopped
    if stopped is None or stopped.reason == "interrupted":
        return Headline("paused", f"Interrupted{failures}", f"{SAFE}{go_on}")
    reason = stopped.reason[:1].upper() + stopped.reason[1:]
    return Headline("stopped", f"Stopped early{failures}", f"{reason.rstrip('.')}. {SAFE}{go_on}")


def _what_is_left(run: PastRun, failed: int) -> str:
    deferred = run.report.total(Verdict.DEFERRED)
    advice = []
    letters = count_letters(run.report)
    if letters:
        advice.append(
            "What was rejected or given up needs a hand: credsync letters lists it, credsync retry sends it anew."
        )
    if failed > letters:
        advice.append("What is wrong in the source is to be mended there: it is read again when it has changed.")
    if deferred:
        advice.append(f"{deferred:,} deferred: the next run looks again.")
    return " ".join(advice)
