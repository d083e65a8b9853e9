"""What the reasons of a report mean, in an operator's words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from credsync.planning import DeferReason
from credsync.rules import SkipReason
from credsync.updates import INTERRUPTED, SINK_UNAVAILABLE

__all__ = ["counted", "explain_reason", "moment", "plural"]

_MEANINGS: Mapping[str, str] = {
    SkipReason.OTHER_SITE: "its organisation is not one of the site's",
    SkipReason.CREDENTIALS_DISABLED: "credentials are switched off",
    SkipReason.LEARNER_RECORDS_DISABLED: "learner records are switched off for its organisation",
    SkipReason.NO_CERTIFICATE: "the learner has no certificate in its course run",
    SkipReason.NOT_INTERESTING: "the certificate's mode or status is of no interest",
    SkipReason.NOT_IN_A_PROGRAM: "no program lists its course run",
    SkipReason.NO_GRADE: "the grade is not complete",
    SkipReason.SUPERSEDED: "the same page holds a newer one",
    SkipReason.STALE: "something newer was delivered before",
    SkipReason.DEAD_LETTER: "the sink rejected this very update before",
    SkipReason.GONE: "it is no longer in the source",
    DeferReason.LEARNER_NOT_VISIBLE: "the learner's account is not there yet",
    DeferReason.CERTIFICATE_NOT_VISIBLE: "the certificate is not there yet",
    DeferReason.GRADE_NOT_VISIBLE: "the grade is not there yet",
    DeferReason.PROGRAM_EXCLUDED: "this run says nothing of its program",
    SINK_UNAVAILABLE: "it could not be sent: the destination was away, or refused everything",
    INTERRUPTED: "it was not sent any more: the run was to end",
}


def explain_reason(reason: str) -> str:
    """Say what a reason means; nothing where it speaks for itself, as a sink's own words do."""
    return _MEANINGS.get(reason, "")


def moment(value: datetime) -> str:
    """Write a time in UTC, to the second."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def plural(noun: str) -> str:
    """Give a noun in the plural.

    Example:
        >>> plural("grade")
        'grades'
    """
    return f"{noun}s"


def counted(number: int, noun: str) -> str:
    """Say how many of something there are.

    Example:
        >>> counted(1, "grade"), counted(1200, "grade")
        ('1 grade', '1,200 grades')
    """
    return f"{number:,} {noun if number == 1 else plural(noun)}"
