"""Looking again, in the source as it is now, at what the ledger has deferred or given up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from credsync.awards import ProgramQuestion, is_awarded
from credsync.errors import InvalidRecordError
from credsync.ledger import Entry
from credsync.model import Learner
from credsync.planning import DeferReason, Plan, Planner
from credsync.ports import RecordKey
from credsync.report import Tally
from credsync.rules import SkipReason
from credsync.updates import UpdateKey

__all__ = ["Recall"]


@frozen
class Recall:
    """Plans ledger entries: what each stands for is read anew, so that nothing stale is ever sent.

    Attributes:
        planner: Looks up and plans the records that the entries stand for.
    """

    planner: Planner

    def plan(self, entries: Sequence[Entry | InvalidRecordError]) -> Plan:
        """Plan a page of entries, with a constant number of look-ups.

        Raises:
            SourceError: If something cannot be looked up.
        """
        keys = [entry.key for entry in entries if isinstance(entry, Entry)]
        plan = Plan(Tally(self.planner.verbose))
        self._plan_certificates(plan, _record_keys(keys, "certificate"))
        self._plan_grades(plan, _record_keys(keys, "grade"))
        self._plan_programs(plan, [key for key in keys if key.kind == "program"])
        return plan

    def _plan_certificates(self, plan: Plan, keys: Sequence[RecordKey]) -> None:
        if keys:
            found = self.planner.find_certificates(keys)
            records: list[Any] = list(found.values())
            plan.extend(self.planner.plan_certificates(records))
            _skip_gone(plan, "certificate", (key for key in keys if key not in found))

    def _plan_grades(self, plan: Plan, keys: Sequence[RecordKey]) -> None:
        if keys:
            found = self.planner.find_grades(keys)
            records: list[Any] = list(found.values())
            plan.extend(self.planner.plan_grades(records))
            _skip_gone(plan, "grade", (key for key in keys if key not in found))

    def _plan_programs(self, plan: Plan, keys: Sequence[UpdateKey]) -> None:
        if not keys:
            return
        learners = self.planner.learners.find_learners({key.user_id for key in keys})
        excluded = self.planner.excluded_programs
        programs = {program.uuid: program for program in self.planner.index.programs() if is_awarded(program, excluded)}
        questions = []
        for key in keys:
            learner, program = learners.get(key.user_id), programs.get(key.target)
            if program is None:
                plan.tally.read["program"] += 1
                plan.skip(*key, SkipReason.GONE)
            elif learner is None or learner.username is None:
                plan.tally.read["program"] += 1
                plan.defer(*key, DeferReason.LEARNER_NOT_VISIBLE)
            else:
                known = Learner(id=key.user_id, username=learner.username)
                questions.append(ProgramQuestion(learner=known, program=program, may_award=True, may_revoke=True))
        held = self.planner.find_certificates(key for question in questions for key in question.certificate_keys())
        self.planner.plan_answers(plan, questions, held)


def _record_keys(keys: Iterable[UpdateKey], kind: str) -> list[RecordKey]:
    return [RecordKey(key.user_id, key.target) for key in keys if key.kind == kind]


def _skip_gone(plan: Plan, kind: str, keys: Iterable[RecordKey]) -> None:
    for key in keys:
        plan.tally.read[kind] += 1
        plan.skip(kind, *key, SkipReason.GONE)
