"""From records to updates: one page at a time, one look-up per kind, the rules in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, TypeAlias, TypeVar

from attrs import define, field, frozen
from opaque_keys.edx.keys import CourseKey

from credsync import rules
from credsync.awards import ProgramQuestion, iter_questions
from credsync.catalog import ProgramIndex, is_course_run_in_a_program
from credsync.errors import InvalidRecordError, RecordName, isolated
from credsync.model import Certificate, CertificateRecord, Grade, GradeContext, GradeRecord
from credsync.ports import CertificateStore, GradeStore, LearnerDirectory, Policy, RecordKey, SiteConfiguration
from credsync.report import Tally, Verdict
from credsync.rules import SkipReason
from credsync.updates import CertificateUpdate, GradeUpdate, Update, UpdateKey

__all__ = ["Beside", "DeferReason", "Plan", "Planner"]

T = TypeVar("T")
V = TypeVar("V", Certificate, Grade)

Beside: TypeAlias = Certificate | GradeContext | InvalidRecordError
"""What is known of the certificate beside a grade."""


class DeferReason(StrEnum):
    """What is not there yet. Unknown is not "no": the record is looked at again."""

    LEARNER_NOT_VISIBLE = "learner_not_visible"
    CERTIFICATE_NOT_VISIBLE = "certificate_not_visible"
    GRADE_NOT_VISIBLE = "grade_not_visible"
    PROGRAM_EXCLUDED = "program_excluded"


@define
class Plan:
    """What is to be done with a page of records.

    Attributes:
        tally: The records that have found their end already.
        updates: What is to be sent.
        deferrals: What cannot be decided yet, and why.
    """

    tally: Tally
    updates: list[Update] = field(factory=list)
    deferrals: list[tuple[UpdateKey, DeferReason]] = field(factory=list)

    def iter_valid(self, kind: str, records: Sequence[object], of: type[V]) -> Iterator[V]:
        """Yield the records that are what they say they are; the others fail, each on its own."""
        self.tally.read[kind] += len(records)
        for record in records:
            valid = record if isinstance(record, of) else _read(of, record)
            if isinstance(valid, InvalidRecordError):
                self.fail(kind, valid)
            else:
                yield valid

    def fail(self, kind: str, error: InvalidRecordError, key: tuple[int, str] | None = None) -> None:
        """Count a record that is not what it says it is.

        Args:
            kind: What the record is.
            error: What is wrong.
            key: The record's own learner and target, where it fails for another one's fault: a grade for its
                certificate's. None where it is the record that the error names.
        """
        named = error.record if isinstance(error.record, RecordName) else RecordName(kind, None, error.record)
        name = RecordName(kind, *(key or named[1:]))
        detail = f"{error.field}: {error.reason}" if name == named else str(error)
        self.tally.fail(name, Verdict.FAILED, f"invalid {error.field}", detail=detail)

    def skip(self, kind: str, user_id: int, run: str, reason: SkipReason) -> None:
        """Count a record to which a rule objects."""
        self.tally.count(kind, user_id, run, Verdict.SKIPPED, reason)

    def extend(self, other: Plan) -> None:
        """Take another plan's records and updates in."""
        self.tally.extend(other.tally)
        self.updates += other.updates
        self.deferrals += other.deferrals

    def defer(self, kind: str, user_id: int, run: str, reason: DeferReason) -> None:
        """Put off a record that cannot be decided yet."""
        self.deferrals.append((UpdateKey(kind, user_id, run), reason))


@frozen
class _CourseRunFacts:
    """What the rules say of a course run, whoever's record it is. There are only so many course runs, so it is kept.

    Attributes:
        site: The objection of the site rule.
        gate: The first objection to a grade before anything is looked up.
        program: The objection of the program rule.
    """

    site: SkipReason | None
    gate: SkipReason | None
    program: SkipReason | None


@define
class Planner:
    """Turns pages of records into plans. Looks up each kind of thing at most once a page.

    Attributes:
        index: All programs.
        policy: What the host allows.
        learners: Looks up the learners of grades.
        certificates: Looks up the certificates of grades, and those that decide about programs.
        grades: Looks up grades that came incomplete.
        site: The site whose course runs are wanted; None wants all.
        settled_before: A row that is missing beside a record this old is missing for good; None waits for all.
        notify_programs: Say who has completed a program.
        revoke_program_certs: Say who no longer has.
        excluded_programs: Programs, by UUID, of which nothing is said.
        verbose: Log each verdict.
        is_rehearsal: Nothing is really sent.
    """

    index: ProgramIndex
    policy: Policy
    learners: LearnerDirectory
    certificates: CertificateStore
    grades: GradeStore
    site: SiteConfiguration | None = None
    settled_before: datetime | None = None
    notify_programs: bool = False
    revoke_program_certs: bool = False
    excluded_programs: Collection[str] = ()
    verbose: bool = False
    is_rehearsal: bool = False
    _facts: dict[str, _CourseRunFacts] = field(factory=dict, init=False)
    _eligible: dict[str, bool] = field(factory=dict, init=False)

    def new_plan(self) -> Plan:
        """Return a plan in which nothing is planned yet."""
        return Plan(Tally(self.verbose, self.is_rehearsal))

    def plan_certificates(self, records: Sequence[CertificateRecord | InvalidRecordError]) -> Plan:
        """Plan a page of certificates: each is sent whatever its status, and may decide about programs.

        Raises:
            SourceError: If the certificates that decide about programs cannot be looked up.
        """
        plan = self.new_plan()
        planned: list[Certificate] = []
        for cert in plan.iter_valid("certificate", records, Certificate):
            run = str(cert.course_id)
            learner = cert.user
            if objection := self._facts_of(run, cert.course_id).site:
                plan.skip("certificate", learner.id, run, objection)
            elif learner.username is None:
                plan.defer("certificate", learner.id, run, DeferReason.LEARNER_NOT_VISIBLE)
            else:
                planned.append(cert)
                plan.updates.append(
                    CertificateUpdate(
                        user_id=learner.id,
                        username=learner.username,
                        course_run=run,
                        mode=cert.mode,
                        status=cert.status,
                        date_override=cert.date_override,
                        source_time=cert.modified_date,
                    )
                )
        if self.notify_programs:
            self._plan_programs(plan, planned)
        return plan

    def plan_grades(self, records: Sequence[GradeRecord | InvalidRecordError]) -> Plan:
        """Plan a page of grades by the rules in their order; the first that objects is the reason.

        Raises:
            SourceError: If something cannot be looked up.
        """
        plan = self.new_plan()
        candidates = list(self._iter_open(plan, records))
        if not candidates:
            return plan
        # a grade that comes with its context needs neither its certificate nor its learner looked up
        contexts = self.find_contexts(key for key, grade in candidates if grade.context is None)
        interesting = [
            (key, grade)
            for key, grade in candidates
            if self._is_interesting(plan, key, grade, grade.context or contexts.get(key))
        ]
        if not interesting:
            return plan
        unknown = {key.user_id for key, grade in interesting if grade.context is None}
        learners = self.learners.find_learners(unknown) if unknown else {}
        # a grade that lacks its letter, percentage or time takes all three from where grades are looked up
        completed = self.find_grades(key for key, grade in interesting if _is_incomplete(grade))
        for key, grade in interesting:
            found = completed.get(key) if _is_incomplete(grade) else grade
            learner = grade.context or learners.get(key.user_id)
            self._plan_grade(plan, key, grade, found, learner.username if learner else None)
        return plan

    def _iter_open(
        self, plan: Plan, records: Sequence[GradeRecord | InvalidRecordError]
    ) -> Iterator[tuple[RecordKey, Grade]]:
        """Yield the grades to which nothing objects so far, without a look-up."""
        for grade in plan.iter_valid("grade", records, Grade):
            key = RecordKey(grade.user_id, str(grade.course_id))
            if objection := self._facts_of(key.course_id, grade.course_id).gate:
                plan.skip("grade", *key, objection)
            else:
                yield key, grade

    def _is_interesting(self, plan: Plan, key: RecordKey, grade: Grade, beside: Beside | None) -> bool:
        """Whether the certificate beside a grade says that it is to be sent; if not, the grade finds its end here."""
        if isinstance(beside, InvalidRecordError):
            plan.fail("grade", beside, key)
            return False
        mode, status = (beside.mode, beside.status) if beside else (None, None)
        if mode is not None and status is not None:
            objection = rules.check_interest(mode, status, self._is_eligible(mode))
        else:
            objection = SkipReason.NO_CERTIFICATE if self._is_settled(grade) else None
        objection = objection or self._facts[key.course_id].program
        if objection:
            plan.skip("grade", *key, objection)
        elif mode is None:
            plan.defer("grade", *key, DeferReason.CERTIFICATE_NOT_VISIBLE)
        return mode is not None and objection is None

    def _plan_grade(
        self,
        plan: Plan,
        key: RecordKey,
        grade: Grade,
        found: Grade | InvalidRecordError | None,
        username: str | None,
    ) -> None:
        """Plan one grade that is to be sent, as soon as all of it is there."""
        if isinstance(found, InvalidRecordError):
            plan.fail("grade", found, key)
        elif found is None and not self._is_settled(grade):
            plan.defer("grade", *key, DeferReason.GRADE_NOT_VISIBLE)
        elif found is None or found.percent_grade is None:
            plan.skip("grade", *key, SkipReason.NO_GRADE)
        elif username is None:
            plan.defer("grade", *key, DeferReason.LEARNER_NOT_VISIBLE)
        else:
            plan.updates.append(
                GradeUpdate(
                    user_id=key.user_id,
                    username=username,
                    course_run=key.course_id,
                    letter_grade=found.letter_grade,
                    percent_grade=found.percent_grade,
                    source_time=found.modified,
                )
            )

    def _plan_programs(self, plan: Plan, planned: Sequence[Certificate]) -> None:
        """Plan what the page's certificates mean for the programs they count in."""
        questions = list(
            iter_questions(planned, self.index, revoke=self.revoke_program_certs, excluded=self.excluded_programs)
        )
        if not questions:
            return
        held = self.find_certificates(key for question in questions for key in question.certificate_keys())
        for cert in planned:
            key = RecordKey(cert.user.id, str(cert.course_id))
            if not _is_older(cert, held.get(key)):
                held[key] = cert
        self.plan_answers(plan, questions, held)

    def plan_answers(
        self,
        plan: Plan,
        questions: Iterable[ProgramQuestion],
        held: Mapping[RecordKey, Certificate | InvalidRecordError],
    ) -> None:
        """Plan the awards and revocations that some questions lead to."""
        for question in questions:
            try:
                update = question.answer(held)
            except InvalidRecordError as exc:
                plan.tally.read["program"] += 1
                plan.fail("program", exc, (question.learner.id, question.program.uuid))
            else:
                if update is not None:
                    plan.tally.read["program"] += 1
                    plan.updates.append(update)

    def find_certificates(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Certificate | InvalidRecordError]:
        """Look up certificates in one call, none without keys; one that is not what it says comes as its error."""
        return _by_key(self._find_certificates(keys), partial(_read, Certificate))

    def find_contexts(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Beside]:
        """Look up the certificates beside grades, likewise; of a broken one, a sound mode and status are enough."""
        return _by_key(self._find_certificates(keys), _read_context)

    def find_grades(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Grade | InvalidRecordError]:
        """Look up grades in one call, none where no key is wanted; one that is not what it says comes as its error."""
        wanted = frozenset(keys)
        found = self.grades.find_grades(wanted) if wanted else {}
        return _by_key(found, partial(_read, Grade))

    def _find_certificates(self, keys: Iterable[RecordKey]) -> Mapping[RecordKey, CertificateRecord]:
        wanted = frozenset(keys)
        return self.certificates.find_certificates(wanted) if wanted else {}

    def _facts_of(self, run: str, key: CourseKey) -> _CourseRunFacts:
        facts = self._facts.get(run)
        if facts is None:
            org = key.org or ""
            site = rules.check_site(self.site is None or self.site.has_org(org))
            facts = self._facts[run] = _CourseRunFacts(
                site=site,
                gate=site
                or rules.check_credentials(self.policy.is_credentials_enabled())
                or rules.check_learner_records(self.policy.is_learner_records_enabled_for_org(org)),
                program=rules.check_program(is_course_run_in_a_program(run, self.index)),
            )
        return facts

    def _is_eligible(self, mode: str) -> bool:
        eligible = self._eligible.get(mode)
        if eligible is None:
            eligible = self._eligible[mode] = self.policy.is_eligible_for_certificate(mode)
        return eligible

    def _is_settled(self, grade: Grade) -> bool:
        """Whether a row that is missing beside a grade would long have shown up."""
        return self.settled_before is not None and grade.modified is not None and grade.modified < self.settled_before


def _is_older(cert: Certificate, other: Certificate | InvalidRecordError | None) -> bool:
    if not isinstance(other, Certificate) or cert.modified_date is None or other.modified_date is None:
        return False
    return cert.modified_date < other.modified_date


def _is_incomplete(grade: Grade) -> bool:
    return grade.letter_grade is None or grade.percent_grade is None or grade.modified is None


def _by_key(found: Mapping[RecordKey, Any], read: Callable[[Any], T]) -> dict[RecordKey, T]:
    """Return what a host has found, read; a host may key it by course keys where strings are wanted."""
    return {
        key if isinstance(key[1], str) else RecordKey(key[0], str(key[1])): read(record)
        for key, record in found.items()
    }


def _read(of: type[V], record: Any) -> V | InvalidRecordError:
    """Read a host's own record; one that is not what it says it is comes as its error."""
    if isinstance(record, of | InvalidRecordError):
        return record
    read: Any = of.from_record
    valid = isolated(read, record)  # a Django row, say, asks the database for its user, who may be gone
    if isinstance(valid, of | InvalidRecordError):
        return valid
    name = RecordName(of.__name__.lower(), None, "")
    return InvalidRecordError(name, "record", f"reading it raised {type(valid).__name__}")


def _read_context(record: Any) -> Beside:
    certificate = _read(Certificate, record)
    if not isinstance(certificate, InvalidRecordError):
        return certificate
    mode, status = (isolated(getattr, record, name, None) for name in ("mode", "status"))
    if isinstance(mode, str) and isinstance(status, str):
        return GradeContext(username=None, mode=mode, status=status)
    return certificate
