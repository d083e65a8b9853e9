"""Everything in memory: a learning platform, a sink and a ledger, for tests, examples and small jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from attrs import define, evolve, field, frozen

from credsync.errors import ConfigurationError
from credsync.ledger import Entry, EntryState, Known, PageRecord, RunHeader, RunState
from credsync.model import Certificate, Grade, Learner
from credsync.paging import Cursor, Page
from credsync.ports import RecordKey
from credsync.selection import Selection
from credsync.updates import Delivered, Outcome, Update, UpdateKey

__all__ = ["MemoryLedger", "MemoryPlatform", "MemorySink"]

R_co = TypeVar("R_co", covariant=True)
V = TypeVar("V", Certificate, Grade)


@frozen
class _KeysetSource(Generic[R_co]):
    """Pages through a mapping in the order of its keys, as it is when a page is asked for."""

    records: Callable[[], Mapping[tuple[object, ...], R_co]]

    def fetch(self, after: Cursor | None, limit: int) -> Page[R_co]:
        records = self.records()
        keys = sorted(key for key in records if not isinstance(after, list) or key > tuple(after))
        page = keys[:limit]
        return Page([records[key] for key in page], list(page[-1]) if len(keys) > limit else None)


@define
class MemoryPlatform:
    """A learning platform in memory: record source and all three look-ups. Change it as you like, also during a run.

    Attributes:
        learners: By user id.
        certificates_by_key: By user id and course run.
        grades_by_key: Likewise.

    Example:
        >>> from credsync import Grade, Selection
        >>> platform = MemoryPlatform()
        >>> platform.add(Grade(user_id=7, course_id="course-v1:X+Y+Z", percent_grade=0.85))
        >>> platform.grades(Selection()).fetch(None, 100).records[0].percent_grade
        0.85
    """

    learners: dict[int, Learner] = field(factory=dict)
    certificates_by_key: dict[RecordKey, Certificate] = field(factory=dict)
    grades_by_key: dict[RecordKey, Grade] = field(factory=dict)

    def add(self, *records: Learner | Certificate | Grade) -> None:
        """Add records, each in the place of an earlier one with its key."""
        for record in records:
            if isinstance(record, Learner):
                self.learners[record.id] = record
            elif isinstance(record, Certificate):
                self.certificates_by_key[_key_of(record)] = record
            else:
                self.grades_by_key[_key_of(record)] = record

    def certificates(self, selection: Selection) -> _KeysetSource[Certificate]:
        """Return the selected certificates; memory knows no changes of date overrides."""
        return _KeysetSource(lambda: _select(self.certificates_by_key, selection, lambda cert: [cert.modified_date]))

    def grades(self, selection: Selection) -> _KeysetSource[Grade]:
        """Return the selected grades, and those whose certificate changed in the window."""
        return _KeysetSource(lambda: _select(self.grades_by_key, selection, self._times_of))

    def _times_of(self, grade: Grade) -> Sequence[datetime | None]:
        cert = self.certificates_by_key.get(_key_of(grade))
        return grade.modified, cert.modified_date if cert else None

    def find_learners(self, user_ids: Collection[int]) -> Mapping[int, Learner]:
        """Return the learners that are there."""
        return {user_id: self.learners[user_id] for user_id in user_ids if user_id in self.learners}

    def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Certificate]:
        """Return the certificates that are there."""
        return {key: self.certificates_by_key[key] for key in keys if key in self.certificates_by_key}

    def find_grades(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, Grade]:
        """Return the grades that are there."""
        return {key: self.grades_by_key[key] for key in keys if key in self.grades_by_key}


def _key_of(record: Certificate | Grade) -> RecordKey:
    return RecordKey(record.user_id, str(record.course_id))


def _select(
    records: Mapping[RecordKey, V], selection: Selection, times_of: Callable[[V], Sequence[datetime | None]]
) -> dict[tuple[object, ...], V]:
    return {key: record for key, record in records.items() if _is_selected(record, selection, times_of(record))}


def _is_selected(record: Certificate | Grade, selection: Selection, times: Sequence[datetime | None]) -> bool:
    return (
        (selection.course_runs is None or str(record.course_id) in selection.course_runs)
        and (selection.user_ids is None or record.user_id in selection.user_ids)
        and (selection.orgs is None or record.course_id.org in selection.orgs)
        and (not selection.has_window or any(time is not None and selection.is_in_window(time) for time in times))
    )


@define
class MemorySink:
    """A sink that keeps what it is given.

    Attributes:
        history: All updates, in the order of their arrival.
        state: The last update for each key.

    Example:
        >>> MemorySink().deliver([])
        []
    """

    history: list[Update] = field(factory=list)
    state: dict[UpdateKey, Update] = field(factory=dict)

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Keep the updates."""
        self.history.extend(updates)
        self.state.update((update.key, update) for update in updates)
        return [Delivered()] * len(updates)


@define
class MemoryLedger:
    """A ledger that lasts as long as its process: what a durable one does, without being one.

    Attributes:
        entries: By key.
        header: What the last run is, or was, about.
        run: Where the last run stands.
        status: How the last run ended; `running` while it goes on, None before the first.
        watermark: Up to where the last complete run has seen everything.
        watermarks: Likewise, by the scope's JSON form.
        tried_in: The run that last tried each key.

    Example:
        >>> MemoryLedger().look_up({}).entries
        {}
    """

    entries: dict[UpdateKey, Entry] = field(factory=dict)
    header: RunHeader | None = None
    run: RunState = field(factory=lambda: RunState(run_id=0))
    status: str | None = None
    watermark: datetime | None = None
    watermarks: dict[str, datetime] = field(factory=dict)
    tried_in: dict[UpdateKey, int] = field(factory=dict)
    _resumable: tuple[RunHeader, RunState, str | None] | None = field(default=None, init=False)

    def begin(self, header: RunHeader, *, resume: bool = False) -> RunState:
        """Open a run, or go on with the last one."""
        if self.status == "running":
            raise ConfigurationError("another run holds the ledger")
        if self.header and self.header.job == "notify":
            self._resumable = self.header, self.run, self.status
        run_id = self.run.run_id + 1
        if resume:
            self.header, self.run = self._find_resumable(header)
        else:
            self.header, self.run = header, RunState(run_id=0)
        self.run = evolve(self.run, run_id=run_id)
        self.status = "running"
        return self.run

    def _find_resumable(self, wanted: RunHeader) -> tuple[RunHeader, RunState]:
        if self._resumable is None or self._resumable[2] == "complete":
            raise ConfigurationError("there is no run to resume")
        header, run, _ = self._resumable
        if (header.scope, header.start, header.end) != (wanted.scope, wanted.start, wanted.end):
            raise ConfigurationError("the run to resume had another selection")
        return header, run

    def finish(self, status: str, at: datetime, reason: str | None = None) -> None:
        """Close the run."""
        self.status = status
        if status == "complete" and self.header and self.header.watermark:
            self.watermark = self.watermarks[_to_text(self.header.scope)] = self.header.watermark

    def find_watermark(self, scope: Mapping[str, object]) -> datetime | None:
        """Return up to where the last complete run of a scope has seen everything; None before the first."""
        return self.watermarks.get(_to_text(scope))

    def look_up(self, asked: Mapping[UpdateKey, Update | None]) -> Known:
        """Return what is known."""
        found = {key: entry for key in asked if (entry := self.entries.get(key))}
        unchanged = [key for key, entry in found.items() if (update := asked[key]) and entry.knows(update)]
        for key in unchanged:
            del found[key]
        return Known(unchanged=unchanged, entries=found)

    def record(self, page: PageRecord) -> None:
        """Write a page down."""
        for key in page.resolved:
            self.entries.pop(key, None)
        for entry in page.entries:
            self.entries[entry.key] = entry
            self.tried_in[entry.key] = self.run.run_id
        if page.checkpoint is not None:
            stage, cursor = page.checkpoint
            self.run = evolve(self.run, stage=stage, cursor=cursor)

    def pending(
        self, state: EntryState, kind: str | None = None, *, before_run: int | None = None
    ) -> _KeysetSource[Entry]:
        """Return the entries in a state."""

        def is_wanted(entry: Entry) -> bool:
            return (
                entry.state is state
                and kind in (None, entry.key.kind)
                and (before_run is None or self.tried_in[entry.key] < before_run)
            )

        return _KeysetSource(lambda: {key: entry for key, entry in self.entries.items() if is_wanted(entry)})


def _to_text(scope: Mapping[str, object]) -> str:
    return json.dumps(scope, sort_keys=True)
