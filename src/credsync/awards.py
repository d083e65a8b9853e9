"""What certificates mean for the programs they count in: pure, given the certificates that a learner holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import frozen

from credsync.catalog import Program, ProgramIndex, completed_programs
from credsync.errors import InvalidRecordError
from credsync.model import Certificate, Learner
from credsync.ports import RecordKey
from credsync.updates import ProgramAward, ProgramRevocation

__all__ = ["ProgramQuestion", "is_awarded", "iter_questions"]

AWARDED_STATUSES = frozenset({"active", "retired"})
"""The statuses of programs that can be earned; unpublished and deleted ones cannot."""


@frozen(kw_only=True)
class ProgramQuestion:
    """Whether a learner has, or has no longer, completed a program.

    Attributes:
        learner: The learner.
        program: The program.
        may_award: Whether one of the certificates that raised it is passing.
        may_revoke: Whether one of them is not, and perhaps was.
    """

    learner: Learner
    program: Program
    may_award: bool
    may_revoke: bool

    def certificate_keys(self) -> Iterator[RecordKey]:
        """Yield the certificates that decide it."""
        for course in self.program.courses:
            for run in course.course_runs:
                yield RecordKey(self.learner.id, run.key)

    def answer(
        self, held: Mapping[RecordKey, Certificate | InvalidRecordError]
    ) -> ProgramAward | ProgramRevocation | None:
        """Answer it from the certificates that the learner holds.

        Losing one run of a course that another run still completes takes nothing away.

        Raises:
            InvalidRecordError: If one of the certificates is not what it says it is: then nothing is known.
        """
        certificates = []
        for key in self.certificate_keys():
            certificate = held.get(key)
            if isinstance(certificate, InvalidRecordError):
                raise certificate
            if certificate is not None:
                certificates.append(certificate)
        completed = completed_programs(certificates, [self.program])
        is_completed = self.program.uuid in completed
        if not (self.may_award if is_completed else self.may_revoke):
            return None
        username = self.learner.username or ""
        source_time = max((cert.modified_date for cert in certificates if cert.modified_date), default=None)
        if is_completed:
            return ProgramAward(
                user_id=self.learner.id,
                username=username,
                program_uuid=self.program.uuid,
                visible_date=completed[self.program.uuid],
                source_time=source_time,
            )
        return ProgramRevocation(
            user_id=self.learner.id, username=username, program_uuid=self.program.uuid, source_time=source_time
        )


def is_awarded(program: Program, excluded: Collection[str] = ()) -> bool:
    """Whether anything is said of a program at all: nobody completes one without courses of its own.

    Args:
        program: The program.
        excluded: Programs, by UUID, of which nothing is said.
    """
    return bool(program.courses) and program.status in AWARDED_STATUSES and program.uuid not in excluded


def iter_questions(
    certificates: Iterable[Certificate], index: ProgramIndex, *, revoke: bool, excluded: Collection[str] = ()
) -> Iterator[ProgramQuestion]:
    """Yield the questions that some certificates raise, each learner and program once.

    Args:
        certificates: Certificates that changed.
        index: All programs.
        revoke: Ask about certificates that are not passing, too.
        excluded: Programs, by UUID, to ask nothing about.
    """
    raised: dict[tuple[int, str], tuple[Learner, Program, set[bool]]] = {}
    for cert in certificates:
        if cert.is_passing or revoke:
            for program in index.programs_of(cert.course_id):
                if is_awarded(program, excluded):
                    _, _, passing = raised.setdefault((cert.user.id, program.uuid), (cert.user, program, set()))
                    passing.add(cert.is_passing)
    for learner, program, passing in raised.values():
        yield ProgramQuestion(learner=learner, program=program, may_award=True in passing, may_revoke=False in passing)
