"""What the learners of the campus did: who took which course run, with what grade, and which certificate came of it.

Nothing is drawn from a shared generator: every enrolment hashes its own few facts (seed, learner, how many before it),
so that rows come lazily, in any number, and are the same on every machine and Python version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from itertools import count
from struct import Struct
from typing import Any, NamedTuple

from credsync.testing.campus.offering import (
    DAY,
    DAYS_OPEN,
    EPOCH,
    SITE_CONFIGURATIONS,
    SITES,
    TEACHING_DAYS,
    CourseRun,
    SiteConfigurationRow,
    SiteRow,
    iter_course_runs,
    list_programs,
)

__all__ = ["Campus", "Enrolment", "certificate_row", "date_override_row", "grade_row"]

LearnerRow = tuple[int, str]
CertificateRow = tuple[int, int, str, str, str, str, str, str, str]
DateOverrideRow = tuple[int, int, str, str, int, str, str]
GradeRow = tuple[int, int, str, float, str | None, str | None, str, str]

# Slugs with their weights; 'awaiting_review' and 'corporate-cohort' are in no list of Open edX.
STATUSES_OF_PASSING = {
    "downloadable": 88,
    "generating": 2,
    "audit_passing": 2,
    "honor_passing": 1,
    "unverified": 2,
    "unavailable": 1,
    "requesting": 1,
    "error": 1,
    "awaiting_review": 1,
    "invalidated": 1,
}
STATUSES_OF_FAILING = {
    "notpassing": 80,
    "audit_notpassing": 12,
    "auditing": 3,
    "restricted": 2,
    "deleted": 2,
    "deleting": 1,
}
OTHER_MODES = {
    "audit": 40,
    "honor": 30,
    "verified": 8,
    "credit": 3,
    "no-id-professional": 3,
    "professional": 3,
    "masters": 3,
    "executive-education": 2,
    "paid-executive-education": 2,
    "unpaid-executive-education": 2,
    "paid-bootcamp": 1,
    "unpaid-bootcamp": 1,
    "corporate-cohort": 2,
}


def _deal(weights: dict[str, int]) -> tuple[str, ...]:
    """Lay out each slug as often as it weighs: one index picks a weighted slug."""
    return tuple(slug for slug, weight in weights.items() for _ in range(weight))


PASSING_DECK, FAILING_DECK, OTHER_MODES_DECK = map(_deal, (STATUSES_OF_PASSING, STATUSES_OF_FAILING, OTHER_MODES))

# The tour: the first enrolment of each early learner shows one status and mode, so that a small campus has all.
TOUR_STATUSES = (*STATUSES_OF_FAILING, *STATUSES_OF_PASSING)
TOUR_MODES = tuple(OTHER_MODES)
UNCERTIFIED_ON_TOUR = len(TOUR_STATUSES) + 1
OVERRIDDEN_ON_TOUR = 4

# Of every 300 user ids, one belongs to nobody any more: its grades are left, its account and certificates are not.
GONE_EVERY, GONE_AT = 300, 18

# Grade ids are 64-bit on a stock platform; these start where 32 bits end.
FIRST_GRADE_ID = 2**31

MOST_COURSE_RUNS = 6
POINTS = (12, 24, 30, 100)
ONE = 2**16  # what a 16-bit draw is a part of

_HASH = Struct("<4I10H16s")


class _Draw(NamedTuple):
    """The raw randomness of one enrolment: four 32-bit numbers, ten 16-bit numbers and a uuid."""

    run: int
    starts: int
    settles: int
    changes: int
    first_try: int
    second_try: int
    points: int
    blank: int
    certified: int
    status: int
    mode: int
    regraded: int
    overridden: int
    another: int
    verify_uuid: bytes


class _Outcome(NamedTuple):
    """How an enrolment ended; status None means that no certificate came of it."""

    percent: float
    letter: str | None
    status: str | None
    mode: str
    regraded: bool
    overridden: bool


class Enrolment(NamedTuple):
    """One learner in one course run: all that its grade, certificate and date override say.

    Times are microseconds since `EPOCH`.
    """

    user_id: int
    run: CourseRun
    outcome: _Outcome
    grade_id: int
    certificate_id: int | None
    date_override_id: int | None
    started: int
    settled: int
    modified: int
    verify_uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Campus:
    """A made-up campus; equal options make equal rows, to the byte.

    From 18 learners, 8 courses and 9 programs on it has every oddity it knows of: each certificate status and course
    mode, slugs that are in no list, missing letters in both forms, runs of equal times, grades without a learner or
    without a certificate, legacy keys, date overrides newer and older than their certificates. A smaller one has
    what fits.

    Rows are plain tuples in the column order of the tables. Times are text as Django writes them on SQLite: UTC
    without a zone, the fraction left out where it is zero. A PostgreSQL session that loads them into a `timestamptz`
    needs `TimeZone=UTC`.

    Args:
        learners: Accounts in `auth_user`, at least 1. Each takes one to six course runs, 2.4 on average.
        courses: At least 1, with two to four runs each.
        programs: At least 1.
        seed: Another seed makes another campus of the same size, at least 0.

    Raises:
        ValueError: If a number is not whole or too small.

    Example:
        >>> next(Campus(learners=100).iter_learners())
        (1, 'learner_00000001')
    """

    learners: int = 2000
    courses: int = 40
    programs: int = 12
    seed: int = 2024

    def __post_init__(self) -> None:
        """Refuse what is no campus."""
        for name, least in (("learners", 1), ("courses", 1), ("programs", 1), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")

    @property
    def last_user_id(self) -> int:
        """The highest user id: the learners and, among them, those who are gone."""
        return self.learners + (self.learners + GONE_EVERY - GONE_AT - 1) // (GONE_EVERY - 1)

    def sites(self) -> tuple[SiteRow, ...]:
        """Give the rows of `django_site`."""
        return SITES

    def site_configurations(self) -> tuple[SiteConfigurationRow, ...]:
        """Give the rows of `site_configuration_siteconfiguration`."""
        return SITE_CONFIGURATIONS

    def catalog(self) -> list[dict[str, Any]]:
        """Give the programs of all sites in the catalog's JSON shape."""
        return list_programs(self.seed, self.courses, self.programs)

    def iter_learners(self) -> Iterator[LearnerRow]:
        """Iterate over the rows of `auth_user`, by id."""
        return ((user, f"learner_{user:08}") for user in range(1, self.last_user_id + 1) if not _is_gone(user))

    def iter_grades(self) -> Iterator[GradeRow]:
        """Iterate over the rows of `grades_persistentcoursegrade`, by id."""
        return map(grade_row, self.iter_enrolments())

    def iter_certificates(self) -> Iterator[CertificateRow]:
        """Iterate over the rows of `certificates_generatedcertificate`, by id."""
        return filter(None, map(certificate_row, self.iter_enrolments()))

    def iter_date_overrides(self) -> Iterator[DateOverrideRow]:
        """Iterate over the rows of `certificates_certificatedateoverride`, by id."""
        return filter(None, map(date_override_row, self.iter_enrolments()))

    def iter_enrolments(self) -> Iterator[Enrolment]:
        """Iterate over what the rows of the three tables are made from, by user id; nothing is kept."""
        runs = tuple(iter_course_runs(self.courses))
        grade_ids, certificate_ids, override_ids = count(FIRST_GRADE_ID), count(1), count(1)
        for user_id in range(1, self.last_user_id + 1):
            for run, outcome, draw in self._iter_outcomes(user_id, runs):
                started = run.opens + _part(draw.starts, 100 * DAY)
                settled = started + _part(draw.settles, 20 * DAY)
                yield Enrolment(
                    user_id=user_id,
                    run=run,
                    outcome=outcome,
                    grade_id=next(grade_ids),
                    certificate_id=None if outcome.status is None else next(certificate_ids),
                    date_override_id=next(override_ids) if outcome.overridden else None,
                    started=started,
                    settled=settled,
                    modified=run.regraded if outcome.regraded else settled + _part(draw.changes, 20 * DAY),
                    verify_uuid=draw.verify_uuid.hex(),
                )

    def _iter_outcomes(self, user_id: int, runs: tuple[CourseRun, ...]) -> Iterator[tuple[CourseRun, _Outcome, _Draw]]:
        taken = set()
        for position in range(MOST_COURSE_RUNS):
            draw = self._draw(user_id, position)
            on_tour = position == 0 and user_id <= UNCERTIFIED_ON_TOUR
            run = _tour_run(user_id, len(runs)) if on_tour else _popular_run(draw.run, len(runs))
            if run not in taken:
                taken.add(run)
                outcome = _tour_outcome(user_id, runs[run]) if on_tour else _outcome(user_id, runs[run], draw)
                yield runs[run], outcome, draw
            if draw.another > 0.62 * ONE:
                return

    def _draw(self, user_id: int, position: int) -> _Draw:
        digest = blake2b(f"{self.seed}/{user_id}/{position}".encode(), digest_size=_HASH.size).digest()
        return _Draw._make(_HASH.unpack(digest))


def _is_gone(user_id: int) -> bool:
    return user_id % GONE_EVERY == GONE_AT


def _part(draw: int, whole: int) -> int:
    """Scale a 32-bit draw to a part of the whole."""
    return draw * whole >> 32


def _popular_run(draw: int, runs: int) -> int:
    """Pick a run from a 32-bit draw, squared: the first have far more learners than the last."""
    return draw * draw * runs >> 64


def _tour_run(user_id: int, runs: int) -> int:
    """Lead the early learners to the first run, which has a legacy key, the last of them to one in no program."""
    return runs - 1 if user_id == UNCERTIFIED_ON_TOUR else 0


def _outcome(user_id: int, run: CourseRun, draw: _Draw) -> _Outcome:
    """Let an enrolment end as most do: two in three pass, three in five bring a certificate."""
    points = POINTS[draw.points % len(POINTS)]
    percent = (max(draw.first_try, draw.second_try) * (points + 1) >> 16) / points
    letter = _letter(percent, run, blank=draw.blank)
    deck, chance = (PASSING_DECK, 0.85) if letter else (FAILING_DECK, 0.2)
    certified = draw.certified < chance * ONE and not _is_gone(user_id)
    return _Outcome(
        percent=percent,
        letter=letter,
        status=deck[draw.status % len(deck)] if certified else None,
        mode=_earned_mode(run) if draw.mode % 8 else OTHER_MODES_DECK[draw.mode // 8 % len(OTHER_MODES_DECK)],
        regraded=draw.regraded < 0.25 * ONE,
        overridden=certified and draw.overridden < 0.02 * ONE,
    )


def _tour_outcome(user_id: int, run: CourseRun) -> _Outcome:
    """Let the first enrolment of an early learner show the next status, mode, and percent in fifteenths from 0 to 1."""
    stop = user_id - 1
    percent = stop % 16 / 15
    return _Outcome(
        percent=percent,
        letter=_letter(percent, run, blank=user_id),
        status=None if user_id == UNCERTIFIED_ON_TOUR else TOUR_STATUSES[stop],
        mode=TOUR_MODES[stop % len(TOUR_MODES)],
        regraded=user_id % 2 == 0,
        overridden=user_id <= OVERRIDDEN_ON_TOUR,
    )


def _letter(percent: float, run: CourseRun, *, blank: int) -> str | None:
    for floor, letter in run.scale:
        if percent >= floor:
            return letter
    return "" if blank % 3 else None


def _earned_mode(run: CourseRun) -> str:
    """Give the mode that most learners of a run earn: for credit one needs a verified certificate."""
    return "verified" if run.type is None or run.type == "credit" else run.type


def grade_row(enrolment: Enrolment) -> GradeRow:
    """Make the row of `grades_persistentcoursegrade`."""
    outcome = enrolment.outcome
    return (
        enrolment.grade_id,
        enrolment.user_id,
        enrolment.run.key,
        outcome.percent,
        outcome.letter,
        _django_time(enrolment.settled) if outcome.letter else None,
        _django_time(enrolment.started),
        _django_time(enrolment.modified),
    )


def certificate_row(enrolment: Enrolment) -> CertificateRow | None:
    """Make the row of `certificates_generatedcertificate`, None where no certificate came of the enrolment."""
    outcome = enrolment.outcome
    if enrolment.certificate_id is None or outcome.status is None:
        return None
    # The snapshot keeps the grade from before the regrade, in the five characters that the column takes.
    snapshot = outcome.percent * 0.9 if outcome.regraded else outcome.percent
    return (
        enrolment.certificate_id,
        enrolment.user_id,
        enrolment.run.key,
        outcome.mode,
        outcome.status,
        _django_time(enrolment.settled),
        _django_time(enrolment.modified),
        enrolment.verify_uuid,
        f"{snapshot:.2f}",
    )


def date_override_row(enrolment: Enrolment) -> DateOverrideRow | None:
    """Make the row of `certificates_certificatedateoverride`, None for most; half are newer than the certificate."""
    if enrolment.date_override_id is None or enrolment.certificate_id is None:
        return None
    newer = enrolment.date_override_id % 2
    return (
        enrolment.date_override_id,
        enrolment.certificate_id,
        _django_time(enrolment.run.opens + TEACHING_DAYS * DAY),
        "Date set by the examination board",
        1,
        _django_time(enrolment.settled),
        _django_time(enrolment.modified + 3 * DAY if newer else enrolment.settled),
    )


# Looked up, because formatting each time as a datetime took a third of the time of writing a campus.
DAYS = tuple(f"{EPOCH + timedelta(days=day):%Y-%m-%d}" for day in range(DAYS_OPEN))
MINUTES = tuple(f"{minute // 60:02}:{minute % 60:02}" for minute in range(1440))


def _django_time(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    day, minute = divmod(minutes, 1440)
    time = f"{DAYS[day]} {MINUTES[minute]}:{second:02}"
    return f"{time}.{fraction:06}" if fraction else time
