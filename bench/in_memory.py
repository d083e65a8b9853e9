"""Costs without a database: membership in a program, and a run over ready-made records."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from attrs import define, frozen

from bench.processes import side_by_side
from credsync import (
    Certificate,
    CertificateUpdate,
    Course,
    CourseRun,
    Delivered,
    Grade,
    GradeUpdate,
    Host,
    Learner,
    Outcome,
    Program,
    ProgramIndex,
    RecordKey,
    Update,
    is_course_run_in_a_program,
    send_notifications,
)
from credsync.model import CERTIFICATE_RELEVANT_MODES, INTERESTING_STATUSES

__all__ = ["measure_membership", "measure_run"]

TOUCHED = datetime(2024, 5, 1, tzinfo=UTC)


def measure_membership() -> float:
    """Ask for course runs in 1,500 programs of 4 courses of 6 runs, against look-ups in a bare frozenset."""
    index = ProgramIndex(_program(number, courses=4, runs=6) for number in range(1500))
    bare = frozenset(index.course_runs)
    keys = list(bare)
    random.Random(2024).shuffle(keys)

    def ours() -> None:
        for key in keys:
            is_course_run_in_a_program(key, index)

    def theirs() -> None:
        for key in keys:
            key in bare  # noqa: B015  # the look-up itself is what is measured

    return side_by_side(lambda: _time(ours), lambda: _time(theirs), rounds=9)


def _program(number: int, courses: int, runs: int) -> Program:
    return Program(
        uuid=f"{number:08x}-0000-4000-8000-000000000000",
        courses=tuple(
            Course(
                course_runs=tuple(
                    CourseRun(key=f"course-v1:Org{number % 7}+C{number}.{course}+R{run}", type="verified")
                    for run in range(runs)
                )
            )
            for course in range(courses)
        ),
    )


def measure_run(records: int = 200_000) -> float:
    """Run `send_notifications` over ready-made records, against a bare loop with the same decisions and updates."""
    held = _Records.make(records)
    index = ProgramIndex([_program(number, courses=4, runs=2) for number in range(5)])
    sink = _CountingSink()
    host = Host(catalog=index, sink=sink, learners=held, certificates=held, grades=held)

    def ours() -> None:
        send_notifications(held.certificates, held.grades, host=host)

    def theirs() -> None:
        _bare_loop(held, frozenset(index.course_runs))

    ratio = side_by_side(lambda: _time(ours), lambda: _time(theirs), rounds=5)
    if sink.taken != 5 * _bare_loop(held, frozenset(index.course_runs)):
        raise SystemExit("the bare loop does not make the same decisions")
    return ratio


def _bare_loop(held: _Records, in_programs: frozenset[str]) -> int:
    updates = 0
    for cert in held.certificates:
        CertificateUpdate(
            user_id=cert.user.id,
            username=cert.user.username or "",
            course_run=str(cert.course_id),
            mode=cert.mode,
            status=cert.status,
            date_override=cert.date_override,
            source_time=cert.modified_date,
        )
        updates += 1
    for grade in held.grades:
        run = str(grade.course_id)
        found = held.by_key.get((grade.user_id, run))
        if found is None or found.status not in INTERESTING_STATUSES:
            continue
        if found.mode not in CERTIFICATE_RELEVANT_MODES and found.mode == "audit":
            continue
        if run not in in_programs:
            continue
        if grade.letter_grade is None or grade.percent_grade is None or grade.modified is None:
            continue
        learner = held.learners[grade.user_id]
        GradeUpdate(
            user_id=learner.id,
            username=learner.username or "",
            course_run=run,
            letter_grade=grade.letter_grade,
            percent_grade=grade.percent_grade,
            source_time=grade.modified,
        )
        updates += 1
    return updates


@frozen
class _Records:
    """Ready-made records, and the look-ups over them."""

    learners: Mapping[int, Learner]
    certificates: Sequence[Certificate]
    grades: Sequence[Grade]
    by_key: Mapping[tuple[int, str], Certificate]

    @classmethod
    def make(cls, records: int) -> _Records:
        runs = [f"course-v1:Org{number % 7}+C{number % 8}.{number % 4}+R{number % 2}" for number in range(50)]
        statuses = ["downloadable", "downloadable", "notpassing", "generating"]
        learners = {number: Learner(id=number, username=f"learner-{number}") for number in range(records // 4)}
        certificates = [
            Certificate(
                user=learners[number // 2],
                course_id=runs[number % 50],
                mode="verified" if number % 5 else "audit",
                status=statuses[number % 4],
                modified_date=TOUCHED,
            )
            for number in range(records // 2)
        ]
        grades = [
            Grade(
                user_id=number // 2,
                course_id=runs[number % 50],
                letter_grade="B",
                percent_grade=0.85,
                modified=TOUCHED,
            )
            for number in range(records // 2)
        ]
        by_key = {(cert.user.id, str(cert.course_id)): cert for cert in certificates}
        return cls(learners, certificates, grades, by_key)

    def find_learners(self, user_ids: Collection[int]) -> Mapping[int, Learner]:
        return {user_id: self.learners[user_id] for user_id in user_ids}

    def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Certificate]:
        return {key: self.by_key[key] for key in keys if key in self.by_key}

    def find_grades(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Grade]:
        return {}


@define
class _CountingSink:
    """Takes everything, and counts it."""

    taken: int = 0

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        self.taken += len(updates)
        return [Delivered()] * len(updates)


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
