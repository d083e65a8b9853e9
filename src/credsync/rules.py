"""The business rules: given the facts, why a record is not sent, or None.

Pure: a rule looks nothing up, logs nothing, and never reads the time. `credsync.planning` asks them in their order; the
first objection is the reason.
"""

from __future__ import annotations

from enum import StrEnum

from credsync.model import CERTIFICATE_RELEVANT_MODES, INTERESTING_STATUSES

__all__ = [
    "SkipReason",
    "check_credentials",
    "check_interest",
    "check_learner_records",
    "check_program",
    "check_site",
]


class SkipReason(StrEnum):
    """Why a record was read and not sent. Each is a decision, not a failure.

    Example:
        >>> SkipReason("not_in_a_program").name
        'NOT_IN_A_PROGRAM'
    """

    OTHER_SITE = "other_site"
    """The course run's organisation is not one of the site's."""

    CREDENTIALS_DISABLED = "credentials_disabled"
    """Credentials are switched off on the learning platform."""

    LEARNER_RECORDS_DISABLED = "learner_records_disabled"
    """Learner records are switched off for the course run's organisation."""

    NO_CERTIFICATE = "no_certificate"
    """The learner has no certificate for the course run."""

    NOT_INTERESTING = "not_interesting"
    """The certificate's mode or status is of no interest to the credentials service."""

    NOT_IN_A_PROGRAM = "not_in_a_program"
    """No program lists the course run."""

    NO_GRADE = "no_grade"
    """The learner has no complete grade in the course run."""

    SUPERSEDED = "superseded"
    """The same page holds a newer record for the same learner and course run."""

    STALE = "stale"
    """Something newer was delivered before."""

    DEAD_LETTER = "dead_letter"
    """The sink rejected this very update before; see `credsync letters`."""

    GONE = "gone"
    """The record is no longer in the source."""


def check_site(has_org: bool) -> SkipReason | None:
    """Object to a course run of another site's organisation."""
    return None if has_org else SkipReason.OTHER_SITE


def check_credentials(is_enabled: bool) -> SkipReason | None:
    """Object while credentials are switched off."""
    return None if is_enabled else SkipReason.CREDENTIALS_DISABLED


def check_learner_records(is_enabled_for_org: bool) -> SkipReason | None:
    """Object while learner records are switched off for the course run's organisation."""
    return None if is_enabled_for_org else SkipReason.LEARNER_RECORDS_DISABLED


def check_interest(mode: str, status: str, is_eligible: bool) -> SkipReason | None:
    """Object to a certificate that the credentials service does not care about.

    Args:
        mode: The certificate's mode.
        status: The certificate's status.
        is_eligible: Whether the host says that the mode can earn a certificate.
    """
    if status not in INTERESTING_STATUSES or not (mode in CERTIFICATE_RELEVANT_MODES or is_eligible):
        return SkipReason.NOT_INTERESTING
    return None


def check_program(is_in_a_program: bool) -> SkipReason | None:
    """Object to a course run that no program lists."""
    return None if is_in_a_program else SkipReason.NOT_IN_A_PROGRAM
