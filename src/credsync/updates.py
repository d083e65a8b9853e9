"""What goes to a sink, and what comes back.

Each update says which entry on the other side it is about (`key`), how old the news is (`source_time`), and whether it
would change anything (`fingerprint`). An update holds the learner's username, since that is what the credentials
service knows learners by; no `repr` shows it.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from attrs import field, frozen
from typing_extensions import override

from credsync.fields import to_micros
from credsync.model import CertificateStatus

__all__ = [
    "INTERRUPTED",
    "SINK_UNAVAILABLE",
    "CertificateUpdate",
    "Deferred",
    "Delivered",
    "GradeUpdate",
    "Outcome",
    "ProgramAward",
    "ProgramRevocation",
    "Rejected",
    "Update",
    "UpdateKey",
]


class UpdateKey(NamedTuple):
    """What an update is about: at most one update for a key is ever in flight, and the newest wins.

    Attributes:
        kind: `certificate`, `grade` or `program`; an award and a revocation of one program share their key.
        user_id: The learner's id.
        target: The course run, or the program's UUID.

    Example:
        >>> print(UpdateKey("grade", 7, "course-v1:X+Y+Z"))
        grade in course-v1:X+Y+Z for user 7
    """

    kind: str
    user_id: int
    target: str

    @override
    def __str__(self) -> str:
        return f"{self.kind} in {self.target} for user {self.user_id}"


def _fingerprint(*facts: object) -> str:
    """Digest facts in their plainest form: equal facts give equal digests, whatever type carries them."""
    return blake2b(repr(facts).encode(), digest_size=16).hexdigest()


@frozen(kw_only=True)
class CertificateUpdate:
    """The course certificate of a learner changed.

    Attributes:
        user_id: The learner's id.
        username: The learner's username.
        course_run: The course run.
        mode: The course mode, a slug.
        status: The certificate status of the learning platform, a slug.
        date_override: The date to show instead of the certificate's own; None takes an earlier one away.
        source_time: When the certificate last changed; None where unknown. A date override does not move it.

    Example:
        >>> update = CertificateUpdate(
        ...     user_id=7, username="ada", course_run="course-v1:X+Y+Z", mode="verified", status="downloadable"
        ... )
        >>> update.is_awarded
        True
    """

    user_id: int
    username: str = field(repr=False)
    course_run: str
    mode: str
    status: str
    date_override: datetime | None = None
    source_time: datetime | None = None

    @property
    def key(self) -> UpdateKey:
        """What the update is about."""
        return UpdateKey("certificate", self.user_id, self.course_run)

    @property
    def is_awarded(self) -> bool:
        """Whether the credentials service is to show the certificate; it knows awarded and revoked, nothing between."""
        return self.status == CertificateStatus.DOWNLOADABLE

    @property
    def fingerprint(self) -> str:
        """A digest of what the service would store: equal digests, nothing to send."""
        return _fingerprint(self.username, str(self.mode), self.is_awarded, to_micros(self.date_override))


@frozen(kw_only=True)
class GradeUpdate:
    """The grade of a learner changed.

    Attributes:
        user_id: The learner's id.
        username: The learner's username.
        course_run: The course run.
        letter_grade: The letter; empty while not passing.
        percent_grade: The grade as a fraction, 0 to 1; its rounding is the sink's business.
        source_time: When the grade last changed; the service stores it beside the grade.
        verified: Always true: the learning platform only speaks of grades it stands by.

    Example:
        >>> update = GradeUpdate(
        ...     user_id=7, username="ada", course_run="course-v1:X+Y+Z", letter_grade="B", percent_grade=0.85
        ... )
        >>> update.key.kind
        'grade'
    """

    user_id: int
    username: str = field(repr=False)
    course_run: str
    letter_grade: str | None
    percent_grade: float
    source_time: datetime | None = None
    verified: bool = True

    @property
    def key(self) -> UpdateKey:
        """What the update is about."""
        return UpdateKey("grade", self.user_id, self.course_run)

    @property
    def fingerprint(self) -> str:
        """A digest of what the service would store: equal digests, nothing to send."""
        letter = str(self.letter_grade or "")  # None and empty are one on the wire
        moment = to_micros(self.source_time)
        return _fingerprint(self.username, letter, float(self.percent_grade), self.verified, moment)


@frozen(kw_only=True)
class ProgramAward:
    """A learner has completed a program.

    Attributes:
        user_id: The learner's id.
        username: The learner's username.
        program_uuid: The program.
        visible_date: When the award becomes visible: the day on which the last of its courses was completed.
        source_time: When the newest of the certificates that decided it changed; None where unknown.

    Example:
        >>> ProgramAward(user_id=7, username="ada", program_uuid="6883080f-0000-4000-8000-000000000001").key.target
        '6883080f-0000-4000-8000-000000000001'
    """

    user_id: int
    username: str = field(repr=False)
    program_uuid: str
    visible_date: datetime | None = None
    source_time: datetime | None = None

    @property
    def key(self) -> UpdateKey:
        """What the update is about."""
        return UpdateKey("program", self.user_id, self.program_uuid)

    @property
    def fingerprint(self) -> str:
        """A digest of what the service would store: equal digests, nothing to send."""
        return _fingerprint(self.username, "awarded", to_micros(self.visible_date))


@frozen(kw_only=True)
class ProgramRevocation:
    """A learner has no longer completed a program.

    Attributes:
        user_id: The learner's id.
        username: The learner's username.
        program_uuid: The program.
        source_time: When the newest of the certificates that decided it changed; None where unknown.

    Example:
        >>> gone = ProgramRevocation(user_id=7, username="ada", program_uuid="6883080f-0000-4000-8000-000000000001")
        >>> gone.key.kind
        'program'
    """

    user_id: int
    username: str = field(repr=False)
    program_uuid: str
    source_time: datetime | None = None

    @property
    def key(self) -> UpdateKey:
        """What the update is about."""
        return UpdateKey("program", self.user_id, self.program_uuid)

    @property
    def fingerprint(self) -> str:
        """A digest of what the service would store: equal digests, nothing to send."""
        return _fingerprint(self.username, "revoked")


Update: TypeAlias = CertificateUpdate | GradeUpdate | ProgramAward | ProgramRevocation
"""Anything a sink may be handed."""


@frozen
class Delivered:
    """The sink has the update, durably.

    Example:
        >>> Delivered()
        Delivered()
    """


@frozen(kw_only=True)
class Rejected:
    """The sink refused the update for good.

    Attributes:
        reason: Why, without personal data.
        status: The sink's own status, an HTTP status code for a web service; None where it has none.

    Example:
        >>> Rejected(reason="no such course run", status=400).status
        400
    """

    reason: str
    status: int | None = None


SINK_UNAVAILABLE = "sink_unavailable"
"""Why an update is deferred that the sink could not take, for no fault of the update's. It stops the run."""

INTERRUPTED = "interrupted"
"""Why an update is deferred that was not sent any more, since the run is to stop."""


@frozen(kw_only=True)
class Deferred:
    """The update did not arrive, and may later: look at its record again.

    Attributes:
        reason: Why, without personal data.
        retry_after: Seconds to wait before the next try, None where the sink did not say.

    Example:
        >>> Deferred(reason="throttled", retry_after=59.0).reason
        'throttled'
    """

    reason: str
    retry_after: float | None = None


Outcome: TypeAlias = Delivered | Rejected | Deferred
"""What a sink says of one update."""
