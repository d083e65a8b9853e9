"""Looking again, in the source as it is now, at what the ledger has deferred or given up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import frozen

from credsync.awards import ProgramQuestion, is_awarded
from credsync.errors import InvalidRecordError
from credsync.ledger import Entry, EntryState
from credsync.model import Certificate, Grade, Learner
from credsync.planning import DeferReason, Plan, Planner
from credsync.ports import RecordKey
from credsync.rules import SkipReason
from credsync.updates import UpdateKey

__all__ = ["Recall"]

V = TypeVar("V", Certificate, Grade)


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
        known = [entry for entry in entries if isinstance(entry, Entry)]
        planner = self.planner
        plan = planner.new_plan()
        certificates = _of_kind(known, "certificate")
        if certificates:
            held = planner.find_certificates(certificates)
            self._plan_found(plan, certificates, held, planner.plan_certificates, DeferReason.CERTIFICATE_NOT_VISIBLE)
        grades = _of_kind(known, "grade")
        if grades:
            found = planner.find_grades(grades)
            self._plan_found(plan, grades, found, planner.plan_grades, DeferReason.GRADE_NOT_VISIBLE)
        self._plan_programs(plan, [entry.key for entry in known if entry.key.kind == "program"])
        return plan

    def _plan_found(
        self,
        plan: Plan,
        entries: Mapping[RecordKey, Entry],
        found: Mapping[RecordKey, V | InvalidRecordError],
        plan_records: Callable[[Sequence[Any]], Plan],
        not_visible: DeferReason,
    ) -> None:
        """Plan the records that were found; of the others, each finds its end under its entry's own name."""
        plan.extend(plan_records([record for record in found.values() if not isinstance(record, InvalidRecordError)]))
        for key, entry in entries.items():
            kind, record = entry.key.kind, found.get(key)
            if record is not None and not isinstance(record, InvalidRecordError):
                continue
            plan.tally.read[kind] += 1
            if record is not None:
                plan.fail(kind, record, key)
            elif self._may_show_up(entry):
                plan.defer(kind, *key, not_visible)
            else:
                plan.skip(kind, *key, SkipReason.GONE)

    def _may_show_up(self, entry: Entry) -> bool:
        """Whether a record is so young, and still waited for, that it may not be visible yet."""
        settled = self.planner.settled_before
        is_young = settled is None or (entry.since is not None and entry.since >= settled)
        return is_young and entry.state is EntryState.DEFERRED

    def _plan_programs(self, plan: Plan, keys: Sequence[UpdateKey]) -> None:
        if not keys:
            return
        learners = self.planner.learners.find_learners({key.user_id for key in keys})
        programs = {program.uuid: program for program in self.planner.index.programs() if is_awarded(program)}
        questions = []
        for key in keys:
            learner, program = learners.get(key.user_id), programs.get(key.target)
            if program is None:
                plan.tally.read["program"] += 1
                plan.skip(*key, SkipReason.GONE)
            elif program.uuid in self.planner.excluded_programs:
                plan.tally.read["program"] += 1
                plan.defer(*key, DeferReason.PROGRAM_EXCLUDED)
            elif learner is None or learner.username is None:
                plan.tally.read["program"] += 1
                plan.defer(*key, DeferReason.LEARNER_NOT_VISIBLE)
            else:
                known = Learner(id=key.user_id, username=learner.username)
                questions.append(ProgramQuestion(learner=known, program=program, may_award=True, may_revoke=True))
        held = self.planner.find_certificates(key for question in questions for key in question.certificate_keys())
        self.planner.plan_answers(plan, questions, held)


def _of_kind(entries: Iterable[Entry], kind: str) -> dict[RecordKey, Entry]:
    return {RecordKey(*entry.key[1:]): entry for entry in entries if entry.key.kind == kind}
