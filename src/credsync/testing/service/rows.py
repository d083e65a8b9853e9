"""The rows the service stores, and how each is written in an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from credsync.testing.service.moments import format_moment

__all__ = ["COURSE_RUN", "PROGRAM", "CourseCertificateRow", "CredentialRow", "GradeRow"]

COURSE_RUN = "course-run"
PROGRAM = "program"


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeRow:
    """A learner's grade in a course run. Microseconds are stored, and never echoed."""

    id: int
    username: str
    course_run: str
    letter_grade: str
    percent_grade: Decimal
    verified: bool
    lms_last_updated_at: datetime | None
    created: datetime
    modified: datetime

    def as_json(self) -> dict[str, object]:
        """Write the row as the answer to a POST echoes it."""
        updated = self.lms_last_updated_at
        return {
            "id": self.id,
            "username": self.username,
            "course_run": self.course_run,
            "letter_grade": self.letter_grade,
            "percent_grade": f"{self.percent_grade:.4f}",
            "verified": self.verified,
            "lms_last_updated_at": format_moment(updated) if updated else None,
            "created": format_moment(self.created),
            "modified": format_moment(self.modified),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRow:
    """A learner's credential: `identifier` is the key of the course run, or the dashed UUID of the program."""

    id: int
    uuid: UUID
    username: str
    kind: str
    identifier: str
    status: str
    created: datetime
    modified: datetime
    attributes: dict[str, str] = field(default_factory=dict)
    date_override: datetime | None = None

    @property
    def is_awarded(self) -> bool:
        """Whether the learner holds it now."""
        return self.status == "awarded"

    def as_json(self, credential: Mapping[str, object], host: str) -> dict[str, object]:
        """Write the row as answers hold it, given what names its credential."""
        override = {"date": format_moment(self.date_override)} if self.date_override else None
        return {
            "username": self.username,
            "credential": credential,
            "status": self.status,
            "uuid": str(self.uuid),
            "attributes": [{"name": name, "value": value} for name, value in self.attributes.items()],
            "date_override": override,
            "created": format_moment(self.created),
            "modified": format_moment(self.modified),
            "certificate_url": f"{host}/credentials/{self.uuid.hex}/",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseCertificateRow:
    """The certificate configuration of a course run; `course_run` is None while the catalog does not know the run."""

    id: int
    course_id: str
    course_run: str | None
    certificate_type: str
    certificate_available_date: datetime | None = None
    is_active: bool = True

    def as_json(self) -> dict[str, object]:
        """Write the row as answers hold it."""
        available = self.certificate_available_date
        return {
            "id": self.id,
            "site": 1,
            "course_id": self.course_id,
            "course_run": self.course_run,
            "certificate_type": self.certificate_type,
            "certificate_available_date": format_moment(available) if available else None,
            "is_active": self.is_active,
        }

    def is_visible_at(self, now: datetime) -> bool:
        """Say whether certificates of the run are shown already."""
        return self.certificate_available_date is None or self.certificate_available_date <= now
