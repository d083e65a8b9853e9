"""A comparison under way: a page of what should be, what is there instead, and what is sent to mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from attrs import define, field

from credsync.delivery import Courier
from credsync.errors import AdapterError, InvalidRecordError
from credsync.ledger import PageRecord
from credsync.model import Certificate, CertificateStatus, Grade, parse_course_key
from credsync.options import RunOptions
from credsync.planning import Plan, Planner
from credsync.ports import RecordKey
from credsync.report import KEPT_FAILURES, Report, Stopped, Tally
from credsync.selection import Selection
from credsync.updates import GradeUpdate, Update, UpdateKey
from credsync.verification.findings import KEPT_FINDINGS, REPAIRABLE, WRONG, Finding, Standing, Verification
from credsync.verification.rows import NO_ANSWER, Row, compare, iter_shown

__all__ = ["Comparison"]

NOBODY_ANSWERS = (
    "the service does not answer for a learner whom the selection names, and of whom nothing more is expected"
)

SILENCES_OF_AN_OUTAGE = 2
"""Learners in a row of whom nothing can be read before the service is taken to be away."""


@define(kw_only=True)
class Comparison:
    """A comparison under way."""

    selection: Selection
    planner: Planner
    credentials: Callable[[str], Collection[Row]]
    statuses: Callable[[str], Collection[Row]]
    repairer: Courier | None
    options: RunOptions
    started: datetime = field(init=False)
    read: Counter[str] = field(factory=Counter)
    standings: Counter[tuple[str, Standing]] = field(factory=Counter)
    kept_back: Counter[tuple[str, str, str]] = field(factory=Counter)
    unreadable: Counter[str] = field(factory=Counter)
    findings: list[Finding] = field(factory=list)
    extra: set[UpdateKey] = field(factory=set)
    met: dict[bool, set[int]] = field(factory=lambda: {True: set(), False: set()})
    repaired: Tally = field(factory=Tally)
    silences: list[str] = field(factory=list)
    last_silence: str = ""

    def __attrs_post_init__(self) -> None:
        self.started = self.options.clock()

    def take(self, plan: Plan) -> str | None:
        """Compare a page, and repair it; return why there is no use in going on, if so."""
        self.read.update(plan.tally.read)
        for (kind, _, verdict, reason), count in plan.tally.counts.items():
            self.kept_back[kind, verdict, reason] += count
        for key, why in plan.deferrals:
            self.kept_back[key.kind, "deferred", why] += 1
        users = {update.username: update.user_id for update in plan.updates}
        are_grades = any(isinstance(update, GradeUpdate) for update in plan.updates)
        rows = self._read_back(self.statuses if are_grades else self.credentials, users)
        found = [(update, compare(update, rows[update.username])) for update in plan.updates]
        for _, finding in found:
            self._keep(finding)
        self._look_for_extra(users, rows, {update.key for update in plan.updates})
        if self.selection.user_ids is not None:
            self.met[are_grades].update(users.values())
        return self._outage() or self._repair([update for update, finding in found if finding.standing in REPAIRABLE])

    def take_learners(self, user_ids: Sequence[int]) -> str | None:
        """Look for what is extra of learners whom the selection names, and of whom nothing was expected."""
        for are_grades, read in ((True, self.statuses), (False, self.credentials)):
            unmet = [user_id for user_id in user_ids if user_id not in self.met[are_grades]]
            learners = self.planner.learners.find_learners(unmet) if unmet else {}
            users = {learner.username: learner.id for learner in learners.values() if learner.username}
            rows = self._read_back(read, users)
            self._look_for_extra(users, rows, frozenset())
            for held in rows.values():
                if held is None:
                    self.unreadable[NOBODY_ANSWERS] += 1
        return self._outage()

    def _read_back(
        self, read: Callable[[str], Collection[Row]], usernames: Iterable[str]
    ) -> Mapping[str, Collection[Row] | None]:
        """Read what the service holds of some learners; None where it does not say."""
        return {username: None if self._outage() else self._read_one(read, username) for username in usernames}

    def _read_one(self, read: Callable[[str], Collection[Row]], username: str) -> Collection[Row] | None:
        try:
            rows = read(username)
        except AdapterError as exc:
            self.last_silence = str(exc)
            self.silences.append(self.last_silence)
            return None
        self.silences.clear()
        return rows

    def _outage(self) -> str | None:
        """Say why one learner after the other could not be read; one alone may be to blame himself."""
        return self.silences[-1] if len(self.silences) >= SILENCES_OF_AN_OUTAGE else None

    def _keep(self, finding: Finding) -> None:
        self.standings[finding.key.kind, finding.standing] += 1
        if finding.standing is Standing.UNREADABLE:
            self.unreadable[finding.reason] += 1
        if finding.standing in WRONG and len(self.findings) < KEPT_FINDINGS:
            self.findings.append(finding)

    def _look_for_extra(
        self, users: Mapping[str, int], rows: Mapping[str, Collection[Row] | None], expected: Collection[UpdateKey]
    ) -> None:
        """Find what the service shows of some learners and the source does not, each once."""
        shown = {
            UpdateKey(kind, users[username], run)
            for username, held in rows.items()
            for kind, run in iter_shown(held or ())
        }
        keys = {key for key in shown.difference(expected, self.extra) if self._is_selected(key.target)}
        certificates = self.planner.find_certificates(RecordKey(*key[1:]) for key in keys if key.kind == "certificate")
        grades = self.planner.find_grades(RecordKey(*key[1:]) for key in keys if key.kind == "grade")
        for key in sorted(keys):
            known = (certificates if key.kind == "certificate" else grades).get(RecordKey(*key[1:]))
            if reason := self._contradiction(key.kind, known):
                self.extra.add(key)
                self._keep(Finding(key=key, standing=Standing.EXTRA, reason=reason))

    def _contradiction(self, kind: str, known: Certificate | Grade | InvalidRecordError | None) -> str | None:
        """Say how the source contradicts what the service shows; not where it is compared in a page of its own."""
        if known is None:
            return f"the source has no such {kind}"
        if not isinstance(known, Certificate) or known.status == CertificateStatus.DOWNLOADABLE:
            return None
        is_elsewhere = known.modified_date is not None and not self.selection.is_in_window(known.modified_date)
        return f"the source's certificate is {known.status}" if self.selection.has_window and is_elsewhere else None

    def _is_selected(self, run: str) -> bool:
        """Whether a course run is one that the selection has; the window does not matter, for what is not there."""
        if self.selection.course_runs is not None and run not in self.selection.course_runs:
            return False
        try:
            org = parse_course_key(run).org or ""
        except InvalidRecordError:
            return False
        of_site = self.planner.site is None or self.planner.site.has_org(org)
        return of_site and (self.selection.orgs is None or org in self.selection.orgs)

    def _repair(self, updates: list[Update]) -> str | None:
        """Send what is wrong, and write down what became of it."""
        if self.repairer is None or not updates:
            return None
        at = self.options.clock()
        plan = Plan(Tally(), updates)
        plan.tally.read.update(Counter(update.key.kind for update in updates))
        changes, unavailable = self.repairer.deliver(plan, at)
        self.repaired.extend(plan.tally)
        del self.repaired.failures[KEPT_FAILURES:]
        if self.repairer.ledger:
            failures = [failure.as_dict() for failure in plan.tally.failures]
            page = PageRecord(entries=changes, read=plan.tally.read, counts=plan.tally.counts, failures=failures, at=at)
            self.repairer.ledger.record(page)
        return None if unavailable is None else str(unavailable)

    def _explain(self, reason: str) -> str:
        """Say why the service did not answer, where it did not: the last time stands for all."""
        return f"{reason}: {self.last_silence}" if reason in (NO_ANSWER, NOBODY_ANSWERS) else reason

    def verification(self, stopped: Stopped | None) -> Verification:
        """Return what was found so far."""
        ended = self.options.clock()
        return Verification(
            read=self.read.copy(),
            standings=self.standings.copy(),
            findings=tuple(self.findings),
            kept_back=self.kept_back.copy(),
            unreadable=Counter({self._explain(reason): count for reason, count in self.unreadable.items()}),
            repair=_report(self.repaired, self.started, ended, stopped) if self.repairer else None,
            stopped=stopped,
            started=self.started,
            ended=ended,
        )


def _report(tally: Tally, started: datetime, ended: datetime, stopped: Stopped | None) -> Report:
    counts: Counter[tuple[str, str, str]] = Counter()
    for (kind, _, verdict, reason), count in tally.counts.items():
        counts[kind, verdict, reason] += count
    return Report(
        read=tally.read.copy(),
        counts=counts,
        failures=tuple(tally.failures),
        stopped=stopped,
        started=started,
        ended=ended,
    )
