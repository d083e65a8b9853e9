"""The words of Open edX: certificate statuses and course modes, and the rules' sets of them.

Modes and statuses are plain strings everywhere else: real data holds others, which pass through.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "CERTIFICATE_RELEVANT_MODES",
    "INTERESTING_STATUSES",
    "PASSING_STATUSES",
    "CertificateStatus",
    "CourseMode",
]


class CertificateStatus(StrEnum):
    """The certificate statuses of Open edX (`lms.djangoapps.certificates`); real data may hold others."""

    DELETED = "deleted"
    DELETING = "deleting"
    DOWNLOADABLE = "downloadable"
    ERROR = "error"
    GENERATING = "generating"
    NOTPASSING = "notpassing"
    RESTRICTED = "restricted"
    UNAVAILABLE = "unavailable"
    AUDITING = "auditing"
    AUDIT_PASSING = "audit_passing"
    AUDIT_NOTPASSING = "audit_notpassing"
    HONOR_PASSING = "honor_passing"
    UNVERIFIED = "unverified"
    INVALIDATED = "invalidated"
    REQUESTING = "requesting"


class CourseMode(StrEnum):
    """The course modes of Open edX (`common.djangoapps.course_modes`); real data may hold others."""

    AUDIT = "audit"
    CREDIT = "credit"
    HONOR = "honor"
    NO_ID_PROFESSIONAL = "no-id-professional"
    PROFESSIONAL = "professional"
    VERIFIED = "verified"
    MASTERS = "masters"
    EXECUTIVE_EDUCATION = "executive-education"
    PAID_EXECUTIVE_EDUCATION = "paid-executive-education"
    UNPAID_EXECUTIVE_EDUCATION = "unpaid-executive-education"
    PAID_BOOTCAMP = "paid-bootcamp"
    UNPAID_BOOTCAMP = "unpaid-bootcamp"


PASSING_STATUSES: frozenset[str] = frozenset({CertificateStatus.DOWNLOADABLE, CertificateStatus.GENERATING})
"""The statuses of a learner who has passed."""

INTERESTING_STATUSES: frozenset[str] = frozenset({CertificateStatus.NOTPASSING, CertificateStatus.DOWNLOADABLE})
"""The statuses whose grade the credentials service wants to know."""

CERTIFICATE_RELEVANT_MODES: frozenset[str] = frozenset(
    {
        CourseMode.CREDIT,
        CourseMode.VERIFIED,
        CourseMode.PROFESSIONAL,
        CourseMode.NO_ID_PROFESSIONAL,
        CourseMode.EXECUTIVE_EDUCATION,
        CourseMode.PAID_EXECUTIVE_EDUCATION,
        CourseMode.PAID_BOOTCAMP,
        CourseMode.MASTERS,
    }
)
"""The modes whose certificates count for credentials, whatever a host says about eligibility."""
