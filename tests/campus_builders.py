"""A small campus for tests of runs: its records and programs, and fakes that write down how they were used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from attrs import define, field, frozen
from typing_extensions import override

from credsync.adapters.memory import MemoryPlatform, MemorySink
from credsync.catalog import Course, CourseRun, Program, ProgramIndex
from credsync.model import Certificate, Grade, Learner
from credsync.options import RunOptions
from credsync.planning import Planner
from credsync.ports import CredentialSink, DefaultPolicy, Host, Ledger, Policy, RecordKey
from credsync.report import Tally
from credsync.updates import Delivered, Outcome, Update, UpdateKey

INTRO = "course-v1:DemoX+Intro+2024"
INTRO_AGAIN = "course-v1:DemoX+Intro+2025"
ADVANCED = "course-v1:DemoX+Advanced+2024"
ELSEWHERE = "course-v1:OtherX+Intro+2024"
STRAY = "course-v1:DemoX+Stray+2024"
"""The one course run that no program lists."""

PROGRAM = "6883080f-0000-4000-8000-000000000001"
OTHER_PROGRAM = "6883080f-0000-4000-8000-000000000002"

NOW = datetime(2024, 5, 20, 12, tzinfo=UTC)
FRESH = NOW - timedelta(hours=1)
"""So young that what is missing beside it may still show up."""
OLD = NOW - timedelta(days=30)
"""So old that what is missing beside it is missing for good."""

NAME_MARK = "name-that-nobody-may-see"
"""Part of every username of the campus, so that one look finds any that leaked."""

PROGRAMS = (
    Program(
        uuid=PROGRAM,
        courses=(
            Course(course_runs=(CourseRun(key=INTRO, type="verified"), CourseRun(key=INTRO_AGAIN, type="verified"))),
            Course(course_runs=(CourseRun(key=ADVANCED, type="verified"),)),
        ),
    ),
    Program(uuid=OTHER_PROGRAM, courses=(Course(course_runs=(CourseRun(key=ELSEWHERE, type="verified"),)),)),
)

OPTIONS = RunOptions(clock=lambda: NOW)


def learner(user_id: int = 1) -> Learner:
    """Build a learner whose row is there."""
    return Learner(id=user_id, username=f"{NAME_MARK}-{user_id}")


def cert(user_id: int = 1, run: str = INTRO, **facts: Any) -> Certificate:
    """Build a certificate that interests the credentials service."""
    given = {"user": learner(user_id), "mode": "verified", "status": "downloadable", "modified_date": FRESH}
    return Certificate(course_id=run, **{**given, **facts})


def grade(user_id: int = 1, run: str = INTRO, **facts: Any) -> Grade:
    """Build a complete grade."""
    return Grade(
        user_id=user_id, course_id=run, **{"percent_grade": 0.85, "letter_grade": "B", "modified": FRESH, **facts}
    )


@frozen
class Row:
    """A host's own row that lacks everything a certificate or grade is made of, but the learner and the course run."""

    user_id: int = 1
    course_id: str = INTRO


@define
class Platform(MemoryPlatform):
    """A learning platform that writes down what it is asked for.

    Attributes:
        asked: The kind of each look-up, and what it wanted.
        rows: Rows by kind and key that take the place of what is known: broken ones, mostly.
    """

    asked: list[tuple[str, Collection[object]]] = field(factory=list)
    rows: dict[tuple[str, RecordKey], Any] = field(factory=dict)

    @override
    def find_learners(self, user_ids: Collection[int]) -> Mapping[int, Learner]:
        """Find learners, and write the question down."""
        self.asked.append(("learners", user_ids))
        return super().find_learners(user_ids)

    @override
    def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Certificate]:
        """Find certificates, and write the question down."""
        self.asked.append(("certificates", keys))
        return {**super().find_certificates(keys), **self._rows("certificate", keys)}

    @override
    def find_grades(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Grade]:
        """Find grades, and write the question down."""
        self.asked.append(("grades", keys))
        return {**super().find_grades(keys), **self._rows("grade", keys)}

    def _rows(self, kind: str, keys: Collection[RecordKey]) -> dict[RecordKey, Any]:
        return {key: row for (of_kind, key), row in self.rows.items() if of_kind == kind and key in keys}

    @property
    def kinds_asked(self) -> list[str]:
        """The kinds of the look-ups, in their order."""
        return [kind for kind, _ in self.asked]


def platform_of(*records: Learner | Certificate | Grade) -> Platform:
    """Build a platform that knows some records, and the learners of all of them."""
    platform = Platform()
    for record in records:
        platform.add(record if isinstance(record, Learner) else learner(record.user_id), record)
    return platform


@define
class Switches(DefaultPolicy):
    """A policy whose switches a test can turn.

    Attributes:
        credentials: Whether credentials are on.
        learner_records: Whether learner records are on.
        eligible: Whether a mode is eligible; None leaves that to the default.
        asked: What was asked, in order.
    """

    credentials: bool = True
    learner_records: bool = True
    eligible: bool | None = None
    asked: list[str] = field(factory=list)

    @override
    def is_credentials_enabled(self) -> bool:
        """Say what the switch says."""
        return self.credentials

    @override
    def is_learner_records_enabled_for_org(self, org: str) -> bool:
        """Say what the switch says, and write the question down."""
        self.asked.append(org)
        return self.learner_records

    @override
    def is_eligible_for_certificate(self, mode: str) -> bool:
        """Say what the switch says, and write the question down."""
        self.asked.append(mode)
        return super().is_eligible_for_certificate(mode) if self.eligible is None else self.eligible


Act: TypeAlias = BaseException | Sequence[Outcome] | Callable[[Sequence[Update]], Sequence[Outcome]]
"""What a sink does with a batch: raises, answers, or works its answer out."""


@define
class ScriptedSink:
    """A sink that does as it is told, batch by batch, and takes everything once it was told nothing more.

    Attributes:
        acts: What it does with the next batches.
        batches: What it was handed.
        taken: Those updates of which it said that they are delivered.
    """

    acts: list[Act] = field(factory=list)
    batches: list[list[Update]] = field(factory=list)
    taken: MemorySink = field(factory=MemorySink)

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Do as told."""
        self.batches.append(list(updates))
        act = self.acts.pop(0) if self.acts else [Delivered()] * len(updates)
        if isinstance(act, BaseException):
            raise act
        answer = act(updates) if callable(act) else act
        if isinstance(answer, list):  # an answer of another kind is no promise that anything arrived
            self.taken.deliver([update for update, one in zip(updates, answer, strict=False) if one == Delivered()])
        return answer

    @property
    def handed(self) -> list[Update]:
        """All that it was handed, delivered or not."""
        return [update for batch in self.batches for update in batch]

    @property
    def keys_handed(self) -> list[UpdateKey]:
        """What the updates that it was handed are about."""
        return [update.key for update in self.handed]


@define
class Clock:
    """A clock that a test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


def host_of(
    platform: MemoryPlatform,
    sink: CredentialSink | None = None,
    ledger: Ledger | None = None,
    policy: Policy | None = None,
    programs: Sequence[Program] = PROGRAMS,
) -> Host:
    """Build a host that has all its ports."""
    return Host(
        catalog=ProgramIndex(programs),
        sink=sink or MemorySink(),
        learners=platform,
        certificates=platform,
        grades=platform,
        policy=policy or DefaultPolicy(),
        ledger=ledger,
    )


def planner_of(platform: MemoryPlatform, **changes: Any) -> Planner:
    """Build a planner for which a day is long enough for any row to show up."""
    ports = {"policy": DefaultPolicy(), "learners": platform, "certificates": platform, "grades": platform}
    usual = {"index": ProgramIndex(PROGRAMS), "settled_before": NOW - timedelta(days=1)}
    return Planner(**{**ports, **usual, **changes})


def ends_of(tally: Tally) -> list[tuple[str, str]]:
    """Return how the records of a page ended, each as verdict and reason; what is still open has no end here."""
    return sorted((verdict, reason) for (_, _, verdict, reason), count in tally.counts.items() for _ in range(count))
