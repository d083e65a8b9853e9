"""The rules over one record, one after another, with the facts that each saw.

It decides nothing: what becomes of a record, a run says. A test holds the two together over every record of a campus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from attrs import field, frozen
from opaque_keys.edx.keys import CourseKey

from credsync import rules
from credsync.catalog import is_course_run_in_a_program
from credsync.errors import InvalidRecordError
from credsync.model import Certificate, CertificateRecord, Grade, GradeRecord, LearnerRecord
from credsync.planning import Beside, DeferReason, Planner
from credsync.ports import RecordKey
from credsync.rules import SkipReason

__all__ = ["Answer", "Step", "Tracer"]

R = TypeVar("R")
V = TypeVar("V")

CERTIFICATE_RULES = ("record", "site", "learner")

GRADE_RULES = (
    "record",
    "site",
    "credentials",
    "learner records",
    "certificate",
    "interest",
    "program",
    "grade",
    "learner",
)


class Answer(StrEnum):
    """What a rule says of a record."""

    PASSED = "passed"
    OBJECTED = "objected"
    NOT_YET = "not there yet"
    """What the rule looks for is missing and may still come: the record is deferred, unless another rule objects."""
    NOT_REACHED = "not reached"


@frozen
class Step:
    """One rule and its answer.

    Attributes:
        rule: The rule's name.
        answer: What it says.
        facts: What it saw, JSON-able; nothing where it was not reached.
        reason: Why it objects, or what it waits for.
    """

    rule: str
    answer: Answer = Answer.NOT_REACHED
    facts: Mapping[str, object] = field(factory=dict)
    reason: str = ""


def _heard(names: Sequence[str], steps: Iterator[Step]) -> list[Step]:
    """Hear the rules until one objects; the others are not reached."""
    heard: list[Step] = []
    for step in steps:
        heard.append(step)
        if step.answer is Answer.OBJECTED:
            break
    return heard + [Step(name) for name in names[len(heard) :]]


@frozen
class Tracer:
    """Puts records to the rules, in the order in which a run does.

    Attributes:
        planner: What the run's decisions are made from.
    """

    planner: Planner

    def trace_certificate(self, record: CertificateRecord | InvalidRecordError) -> list[Step]:
        """Put a certificate to the rules."""
        return _heard(CERTIFICATE_RULES, self._iter_certificate_steps(record))

    def trace_grade(self, record: GradeRecord | InvalidRecordError) -> list[Step]:
        """Put a grade to the rules."""
        return _heard(GRADE_RULES, self._iter_grade_steps(record))

    def _iter_certificate_steps(self, record: CertificateRecord | InvalidRecordError) -> Iterator[Step]:
        cert = _read(Certificate.from_record, record)
        if isinstance(cert, InvalidRecordError):
            yield _unsound("record", cert)
            return
        facts = {"mode": cert.mode, "status": cert.status, "modified": _text(cert.modified_date)}
        yield _verdict("record", None, **facts, date_override=_text(cert.date_override))
        yield self._hear_site(cert.course_id)
        yield _hear_learner(cert.user)

    def _iter_grade_steps(self, record: GradeRecord | InvalidRecordError) -> Iterator[Step]:
        grade = _read(Grade.from_record, record)
        if isinstance(grade, InvalidRecordError):
            yield _unsound("record", grade)
            return
        key = RecordKey(grade.user_id, str(grade.course_id))
        yield _verdict("record", None, **_facts_of(grade))
        yield self._hear_site(grade.course_id)
        yield from self._iter_switches(grade.course_id)
        certificate = self.planner.find_contexts({key}).get(key)
        yield self._hear_certificate(certificate, grade)
        yield self._hear_interest(certificate)
        yield self._hear_program(key.course_id)
        if certificate is None:
            return
        found = self.planner.find_grades({key}).get(key) if _is_incomplete(grade) else grade
        yield self._hear_grade(found, grade)
        if found is None:
            return
        yield _hear_learner(self.planner.learners.find_learners({key.user_id}).get(key.user_id))

    def _hear_site(self, course_run: CourseKey) -> Step:
        org, site = course_run.org or "", self.planner.site
        if site is None:
            return _verdict("site", None, org=org, site="any")
        has_org = site.has_org(org)
        return _verdict("site", rules.check_site(has_org), org=org, site_has_org=has_org)

    def _iter_switches(self, course_run: CourseKey) -> Iterator[Step]:
        is_on = self.planner.policy.is_credentials_enabled()
        yield _verdict("credentials", rules.check_credentials(is_on), switched_on=is_on)
        org = course_run.org or ""
        is_on = self.planner.policy.is_learner_records_enabled_for_org(org)
        yield _verdict("learner records", rules.check_learner_records(is_on), org=org, switched_on=is_on)

    def _hear_certificate(self, certificate: Beside | None, grade: Grade) -> Step:
        if isinstance(certificate, InvalidRecordError):
            return _unsound("certificate", certificate)
        if certificate is not None:
            return _verdict("certificate", None, found=True)
        if self._is_settled(grade):
            return _verdict("certificate", SkipReason.NO_CERTIFICATE, found=False, graded=_text(grade.modified))
        return _awaited("certificate", DeferReason.CERTIFICATE_NOT_VISIBLE, found=False, graded=_text(grade.modified))

    def _hear_interest(self, certificate: Beside | None) -> Step:
        if certificate is None or isinstance(certificate, InvalidRecordError):
            return Step("interest")
        mode, status = certificate.mode or "", certificate.status or ""
        is_eligible = self.planner.policy.is_eligible_for_certificate(mode)
        objection = rules.check_interest(mode, status, is_eligible)
        return _verdict("interest", objection, mode=mode, status=status, mode_is_eligible=is_eligible)

    def _hear_program(self, course_run: str) -> Step:
        objection = rules.check_program(is_course_run_in_a_program(course_run, self.planner.index))
        return _verdict(
            "program", objection, programs=[program.uuid for program in self.planner.index.programs_of(course_run)]
        )

    def _hear_grade(self, found: Grade | InvalidRecordError | None, grade: Grade) -> Step:
        if isinstance(found, InvalidRecordError):
            return _unsound("grade", found)
        if found is None and not self._is_settled(grade):
            return _awaited("grade", DeferReason.GRADE_NOT_VISIBLE, found=False)
        is_complete = found is not None and found.percent_grade is not None
        return _verdict("grade", None if is_complete else SkipReason.NO_GRADE, **_facts_of(found))

    def _is_settled(self, grade: Grade) -> bool:
        settled_before = self.planner.settled_before
        return settled_before is not None and grade.modified is not None and grade.modified < settled_before


def _read(read: Callable[[R], V], record: R | InvalidRecordError) -> V | InvalidRecordError:
    try:
        return record if isinstance(record, InvalidRecordError) else read(record)
    except InvalidRecordError as exc:
        return exc


def _hear_learner(learner: LearnerRecord | None) -> Step:
    if learner is None or learner.username is None:
        return _awaited("learner", DeferReason.LEARNER_NOT_VISIBLE, found=False)
    return _verdict("learner", None, found=True)


def _verdict(rule: str, objection: str | None, **facts: object) -> Step:
    return Step(rule, Answer.OBJECTED if objection else Answer.PASSED, facts, objection or "")


def _awaited(rule: str, reason: str, **facts: object) -> Step:
    return Step(rule, Answer.NOT_YET, facts, reason)


def _unsound(rule: str, error: InvalidRecordError) -> Step:
    return _verdict(rule, f"invalid {error.field}", problem=error.reason)


def _is_incomplete(grade: Grade) -> bool:
    return grade.letter_grade is None or grade.percent_grade is None or grade.modified is None


def _facts_of(grade: Grade | None) -> dict[str, object]:
    if grade is None:
        return {"found": False}
    return {"letter": grade.letter_grade, "percent": grade.percent_grade, "modified": _text(grade.modified)}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
