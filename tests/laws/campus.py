"""The source of the law tests: a campus that changes, and knows in the plainest way what a sink should hold of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from attrs import define, evolve, field, frozen
from hypothesis import strategies as st
from typing_extensions import override

from credsync.adapters.memory import MemoryPlatform
from credsync.model import Certificate, Grade, Learner
from credsync.paging import Cursor, Page, PageSource
from credsync.ports import RecordKey
from credsync.selection import Selection
from credsync.updates import CertificateUpdate, GradeUpdate, ProgramAward, ProgramRevocation, Update, UpdateKey
from tests.campus_builders import ADVANCED, INTRO, INTRO_AGAIN, NOW, PROGRAM, STRAY, learner
from tests.laws.fate import Fate

USERS = (1, 2, 3)
RUNS = (INTRO, INTRO_AGAIN, ADVANCED, STRAY)
RECORD_KEYS = [RecordKey(user_id, run) for user_id in USERS for run in RUNS]
UPDATE_KEYS = [
    *(UpdateKey(kind, *key) for kind in ("certificate", "grade") for key in RECORD_KEYS),
    *(UpdateKey("program", user_id, PROGRAM) for user_id in USERS),
]

MINUTE = timedelta(minutes=1)
PATIENCE = timedelta(days=7)
"""How long a run waits for what is not there yet."""
LAG = MINUTE
"""How long a row may stay invisible: so far a run's watermark lies before its start."""


@define
class Campus(MemoryPlatform):
    """A learning platform with a clock, which remembers what it ever knew.

    Attributes:
        fate: What goes wrong in the run that is going on.
        now: The time.
        ever: What an honest sink may have been sent so far.
        written: When each certificate and grade was last written, or became visible; for a grade also its certificate.
        unwindowed: Records that changed, or became interesting, without a time to show it: a window may pass them by.
        shaken: Programs whose learner lost a certificate without a trace: whether to revoke is anybody's guess.
        earlier: What each certificate and grade was before it last changed.
        hidden: What will be seen again of records that are shown as they were, by a replica that lags behind.
        blurred: Records that were once shown as they had been.
    """

    fate: Fate = field(factory=Fate)
    now: datetime = NOW
    ever: set[Update] = field(factory=set)
    written: dict[UpdateKey, datetime] = field(factory=dict)
    unwindowed: set[UpdateKey] = field(factory=set)
    shaken: set[UpdateKey] = field(factory=set)
    earlier: dict[UpdateKey, Certificate | Grade] = field(factory=dict)
    hidden: dict[UpdateKey, Certificate | Grade] = field(factory=dict)
    blurred: set[UpdateKey] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        """Begin with grades for everything and certificates for most; one of the learners is not visible yet."""
        for user_id in USERS[:2]:
            self.change(("enrol", user_id))
        for number, key in enumerate(RECORD_KEYS):
            self.change(("put_grade", key, False, 0.5, "B"))
            if number % 3:
                self.change(("put_certificate", key, False, "verified", "downloadable"))

    def clock(self) -> datetime:
        """Tell the time."""
        return self.now

    def change(self, change: Change) -> None:
        """Let something happen."""
        self.now += MINUTE
        name, *arguments = change
        getattr(self, name)(*arguments)
        self.ever.update(_certificate_update(cert) for cert in self._named_certificates())
        self.ever.update(_grade_update(grade) for key, grade in self.grades_by_key.items() if _is_sendable(key, grade))

    def put_certificate(self, key: RecordKey, is_late: bool, mode: str, status: str) -> None:
        """Write a certificate; a late one was written a while ago, and its transaction is visible only now."""
        user = self.learners.get(key.user_id, Learner(id=key.user_id))
        modified = self._write("certificate", key, is_late)
        self.add(Certificate(user=user, course_id=key.course_id, mode=mode, status=status, modified_date=modified))
        grade_key = UpdateKey("grade", *key)
        if key in self.grades_by_key and grade_key not in self.hidden:
            self.written[grade_key] = self.now
            self.unwindowed.discard(grade_key)

    def put_grade(self, key: RecordKey, is_late: bool, percent: float | None, letter: str | None) -> None:
        """Write a grade, perhaps late."""
        modified = self._write("grade", key, is_late)
        user_id, run = key
        self.add(Grade(user_id=user_id, course_id=run, percent_grade=percent, letter_grade=letter, modified=modified))

    def _write(self, kind: str, key: RecordKey, is_late: bool) -> datetime:
        """Note that a record is written, and return its time, which never goes back."""
        update_key = UpdateKey(kind, *key)
        is_new = update_key not in self.written
        now = self.hidden.pop(update_key, None) or self._records(kind).get(key)
        if now is not None:
            self.earlier[update_key] = now
        self.written[update_key] = self.now
        self.unwindowed.discard(update_key)
        return self.now - LAG / 2 if is_late and is_new else self.now

    def _records(self, kind: str) -> dict[RecordKey, Any]:
        records: dict[RecordKey, Any] = self.certificates_by_key if kind == "certificate" else self.grades_by_key
        return records

    def remove(self, kind: str, key: RecordKey) -> None:
        """Delete a certificate or grade."""
        self._records(kind).pop(key, None)
        self.hidden.pop(UpdateKey(kind, *key), None)
        if kind == "certificate":
            self.unwindowed.add(UpdateKey("grade", *key))
            self.shaken.add(UpdateKey("program", key.user_id, PROGRAM))

    def show_earlier(self, kind: str, key: RecordKey) -> None:
        """Show a record as it was before it last changed."""
        update_key = UpdateKey(kind, *key)
        records = self._records(kind)
        if key in records and update_key in self.earlier and update_key not in self.hidden:
            self.hidden[update_key] = records[key]
            records[key] = self._as_known(self.earlier[update_key])
            self._blur(update_key)

    def catch_up(self) -> None:
        """Show all records as they are."""
        for update_key, record in self.hidden.items():
            kind, user_id, run = update_key
            self._records(kind)[RecordKey(user_id, run)] = self._as_known(record)
            self._blur(update_key)
        self.hidden.clear()

    def _blur(self, update_key: UpdateKey) -> None:
        _, user_id, run = update_key
        self.blurred.add(update_key)
        self.unwindowed |= {UpdateKey(kind, user_id, run) for kind in ("certificate", "grade")}

    def _as_known(self, record: Certificate | Grade) -> Certificate | Grade:
        user = self.learners.get(record.user_id)
        return evolve(record, user=user) if user and isinstance(record, Certificate) else record

    def override_date(self, key: RecordKey, date: datetime | None) -> None:
        """Set or remove a date override, which does not touch the certificate's time."""
        cert = self.certificates_by_key.get(key)
        if cert is not None and UpdateKey("certificate", *key) not in self.hidden:
            self.add(evolve(cert, date_override=date))
            self.unwindowed.add(UpdateKey("certificate", *key))

    def enrol(self, user_id: int) -> None:
        """Make a learner visible."""
        self.add(learner(user_id))
        for key, cert in self.certificates_by_key.items():
            if key.user_id == user_id:
                self.certificates_by_key[key] = evolve(cert, user=learner(user_id))

    def truth(self) -> dict[UpdateKey, Update]:
        """Work out, record by record, what the sink should hold of certificates and grades."""
        updates: list[Update] = [_certificate_update(cert) for cert in self._named_certificates()]
        for key, grade in self.grades_by_key.items():
            cert = self.certificates_by_key.get(key)
            if cert is None or cert.mode == "audit" or cert.status not in ("downloadable", "notpassing"):
                continue
            if _is_sendable(key, grade) and key.user_id in self.learners:
                updates.append(_grade_update(grade))
        return {update.key: update for update in updates}

    def program_truth(self) -> dict[UpdateKey, type]:
        """Work out what the sink should hold of the program: two courses, the first of which has two runs."""
        true: dict[UpdateKey, type] = {}
        for user_id in self.learners:
            key = UpdateKey("program", user_id, PROGRAM)
            certs = [self.certificates_by_key.get(RecordKey(user_id, run)) for run in (INTRO, INTRO_AGAIN, ADVANCED)]
            intro, again, advanced = (cert and cert.is_passing and cert.mode == "verified" for cert in certs)
            if (intro or again) and advanced:
                true[key] = ProgramAward
            elif key not in self.shaken and any(cert and not cert.is_passing for cert in certs):
                true[key] = ProgramRevocation
        return true

    def unknown(self) -> set[UpdateKey]:
        """Say of what it cannot be known yet whether the sink should hold it."""
        unknown = {key for key in UPDATE_KEYS if key.user_id not in self.learners}
        for key in RECORD_KEYS:
            if key not in self.certificates_by_key:
                unknown |= {UpdateKey("certificate", *key), UpdateKey("grade", *key)}
            elif key not in self.grades_by_key:
                unknown.add(UpdateKey("grade", *key))
        return unknown

    def _named_certificates(self) -> list[Certificate]:
        return [cert for cert in self.certificates_by_key.values() if cert.user.username is not None]

    @override
    def certificates(self, selection: Selection) -> Any:
        """Return the selected certificates, if fate allows."""
        return _FatedSource(super().certificates(selection), self)

    @override
    def grades(self, selection: Selection) -> Any:
        """Return the selected grades, if fate allows."""
        return _FatedSource(super().grades(selection), self)

    @override
    def find_learners(self, user_ids: Collection[int]) -> Mapping[int, Learner]:
        """Find learners, if fate allows."""
        self.fate.meet("look-up")
        return super().find_learners(user_ids)

    @override
    def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Certificate]:
        """Find certificates, if fate allows."""
        self.fate.meet("look-up")
        return super().find_certificates(keys)

    @override
    def find_grades(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Grade]:
        """Find grades, if fate allows."""
        self.fate.meet("look-up")
        return super().find_grades(keys)


@frozen
class _FatedSource:
    source: PageSource[Any]
    campus: Campus

    def fetch(self, after: Cursor | None, limit: int) -> Page[Any]:
        self.campus.fate.meet("page")
        return self.source.fetch(after, limit)


def _is_sendable(key: RecordKey, grade: Grade) -> bool:
    return key.course_id != STRAY and grade.percent_grade is not None


def _certificate_update(cert: Certificate) -> CertificateUpdate:
    return CertificateUpdate(
        user_id=cert.user.id,
        username=cert.user.username or "",
        course_run=str(cert.course_id),
        mode=cert.mode,
        status=cert.status,
        date_override=cert.date_override,
        source_time=cert.modified_date,
    )


def _grade_update(grade: Grade) -> GradeUpdate:
    return GradeUpdate(
        user_id=grade.user_id,
        username=learner(grade.user_id).username or "",
        course_run=str(grade.course_id),
        letter_grade=grade.letter_grade,
        percent_grade=grade.percent_grade or 0,
        source_time=grade.modified,
    )


Change: TypeAlias = tuple[Any, ...]
"""What happens on the campus: the name of one of its methods, and the arguments."""

_keys = st.sampled_from(RECORD_KEYS)
_kinds = st.sampled_from(["certificate", "grade"])
_modes = st.sampled_from(["verified", "verified", "verified", "audit", "no-such-mode"])
_statuses = st.sampled_from(["downloadable", "downloadable", "notpassing", "generating", "unavailable"])

changes: st.SearchStrategy[Change] = st.one_of(
    st.tuples(st.just("put_certificate"), _keys, st.booleans(), _modes, _statuses),
    st.tuples(st.just("put_certificate"), _keys, st.booleans(), st.just("verified"), _statuses),
    st.tuples(
        st.just("put_grade"), _keys, st.booleans(), st.sampled_from([0.5, 0.85, None]), st.sampled_from(["B", "", None])
    ),
    st.tuples(st.sampled_from(["remove", "show_earlier"]), _kinds, _keys),
    st.tuples(st.just("override_date"), _keys, st.sampled_from([NOW, None])),
    st.one_of(st.tuples(st.just("enrol"), st.sampled_from(USERS)), st.tuples(st.just("catch_up"))),
)
