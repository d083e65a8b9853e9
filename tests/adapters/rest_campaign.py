"""What the tests of the REST adapter share: a time that passes when somebody waits, updates, and a sink to a double."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Lock

from credsync.adapters.rest import ClientCredentials, JwtTokens, Patience, RestSink
from credsync.testing.service import DEFAULT_ACCOUNT, CredentialsService
from credsync.updates import CertificateUpdate, GradeUpdate, ProgramAward, ProgramRevocation

__all__ = [
    "PROGRAM",
    "RUN",
    "TOUCHED",
    "PassingTime",
    "award",
    "certificate",
    "grade",
    "revocation",
    "sink_to",
    "tokens_of",
]

RUN = "course-v1:TestX+C1+R1"
PROGRAM = "6883080f-0000-4000-8000-000000000001"
TOUCHED = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


class PassingTime:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self._lock = Lock()

    def stopwatch(self) -> float:
        """Tell the seconds."""
        return self.now

    def clock(self) -> datetime:
        """Tell the time."""
        return datetime.fromtimestamp(self.now, UTC)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.now += seconds


def grade(user_id: int = 1, *, run: str = RUN, percent: float = 0.85, at: datetime | None = TOUCHED) -> GradeUpdate:
    """Make a grade."""
    return GradeUpdate(
        user_id=user_id,
        username=f"learner-{user_id}",
        course_run=run,
        letter_grade="B",
        percent_grade=percent,
        source_time=at,
    )


def certificate(user_id: int = 1, *, run: str = RUN, status: str = "downloadable") -> CertificateUpdate:
    """Make a course certificate."""
    return CertificateUpdate(
        user_id=user_id, username=f"learner-{user_id}", course_run=run, mode="verified", status=status
    )


def award(user_id: int = 1, program: str = PROGRAM) -> ProgramAward:
    """Make an award of a program."""
    return ProgramAward(user_id=user_id, username=f"learner-{user_id}", program_uuid=program, visible_date=TOUCHED)


def revocation(user_id: int = 1, program: str = PROGRAM) -> ProgramRevocation:
    """Make a revocation of a program."""
    return ProgramRevocation(user_id=user_id, username=f"learner-{user_id}", program_uuid=program)


def tokens_of(service: CredentialsService, patience: Patience | None = None) -> JwtTokens:
    """Get tokens for the double's own account."""
    return JwtTokens(
        url=service.token_url,
        credentials=lambda: ClientCredentials(
            client_id=DEFAULT_ACCOUNT.client_id, client_secret=DEFAULT_ACCOUNT.client_secret
        ),
        patience=patience or Patience(),
    )


def sink_to(service: CredentialsService, time: PassingTime | None = None, **options: object) -> RestSink:
    """Open a sink to a double, on the given time or on the real one."""
    time_options: dict[str, object] = {}
    if time is not None:
        patience = Patience(sleep=time.sleep, stopwatch=time.stopwatch)
        time_options = {"patience": patience, "clock": time.clock}
    merged = {"base_url": service.url, "tokens": tokens_of(service), **time_options, **options}
    return RestSink(**merged)  # type: ignore[arg-type]  # whatever options a test names
