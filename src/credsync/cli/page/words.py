"""How the page says things: verdicts, numbers and times, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from credsync.cli.wording import explain_reason
from credsync.delivery import GIVEN_UP
from credsync.report import Verdict

__all__ = ["MEANINGS", "VERDICTS", "duration", "number", "reason_in_words", "share"]

VERDICTS = (Verdict.SENT, Verdict.UNCHANGED, Verdict.SKIPPED, Verdict.DEFERRED, Verdict.REJECTED, Verdict.FAILED)
"""All verdicts, the best first."""

MEANINGS: Mapping[Verdict, str] = {
    Verdict.SENT: "it arrived",
    Verdict.UNCHANGED: "it was there before",
    Verdict.SKIPPED: "a rule objected",
    Verdict.REJECTED: "refused for good",
    Verdict.DEFERRED: "not yet; tried again",
    Verdict.FAILED: "broken or given up",
}


def reason_in_words(reason: str) -> str:
    """Say a reason in words; what a sink says stays as it is.

    Example:
        >>> reason_in_words("stale"), reason_in_words("given up: grade_not_visible"), reason_in_words("too long")
        ('something newer was delivered before', 'given up: the grade is not there yet', 'too long')
    """
    prefix = GIVEN_UP if reason.startswith(GIVEN_UP) else ""
    bare = reason.removeprefix(prefix)
    return f"{prefix}{explain_reason(bare) or bare}" or "no reason given"


def number(value: int) -> str:
    """Write a number with its thousands apart."""
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    """Write a part as a percentage that is 0 only where nothing is, and 100 only where all is.

    Example:
        >>> share(1, 1_000_000), share(999_999, 1_000_000), share(1, 3)
        ('<0.1 %', '>99.9 %', '33.3 %')
    """
    if not whole or part in (0, whole):
        return "100 %" if part else "0 %"
    percentage = f"{100 * part / whole:.1f} %"
    return {"0.0 %": "<0.1 %", "100.0 %": ">99.9 %"}.get(percentage, percentage)


def duration(length: timedelta) -> str:
    """Write a length of time in its two largest units.

    Example:
        >>> duration(timedelta(seconds=0.4)), duration(timedelta(hours=50, seconds=1))
        ('less than a second', '2 d 2 h')
    """
    seconds = max(0, int(length.total_seconds()))
    sizes = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    first = next((place for place, (_, size) in enumerate(sizes) if seconds >= size), None)
    if first is None:
        return "less than a second"
    parts = []
    for unit, size in sizes[first : first + 2]:
        whole, seconds = divmod(seconds, size)
        if whole:
            parts.append(f"{whole} {unit}")
    return " ".join(parts)
