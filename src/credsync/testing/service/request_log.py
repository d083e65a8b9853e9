"""The log of all requests, and what it proves about a client. It holds no token and no body."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from threading import Lock
from uuid import UUID

from credsync.testing.service.bodies import UnreadableBodyError
from credsync.testing.service.exchange import Request
from credsync.testing.service.moments import parse_moment
from credsync.testing.service.rows import COURSE_RUN, PROGRAM

__all__ = ["GRADE", "Key", "LoggedRequest", "RequestLog", "Subject", "subject_of"]

GRADE = "grade"

Key = tuple[str, str, str]
"""What a write is about: the kind ("grade", "course-run", "program"), the username, the run key or program UUID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The key a request writes, None if it writes none, and the time of the record it carries."""

    key: Key | None = None
    source_time: datetime | None = None


def subject_of(request: Request) -> Subject:
    """Read what a request is about; whatever cannot be read is about nothing."""
    if request.method != "POST" or request.path not in {"/api/v2/grades/", "/api/v2/credentials/"}:
        return Subject()
    try:
        content = request.payload.content
    except UnreadableBodyError:
        return Subject()
    if not isinstance(content, dict):
        return Subject()
    username = str(content.get("username", "")).strip()
    if request.path == "/api/v2/grades/":
        key = (GRADE, username, str(content.get("course_run", "")))
        return Subject(key=key, source_time=_time_or_none(content.get("lms_last_updated_at")))
    return Subject(key=_credential_key(username, content.get("credential")))


def _credential_key(username: str, named: object) -> Key | None:
    if not isinstance(named, Mapping):
        return None
    if named.get("program_uuid"):
        return PROGRAM, username, _dashed(str(named["program_uuid"]))
    return COURSE_RUN, username, str(named.get("course_run_key", ""))


def _dashed(uuid: str) -> str:
    try:
        return str(UUID(uuid))
    except ValueError:
        return uuid


def _time_or_none(value: object) -> datetime | None:
    try:
        return parse_moment(value) if isinstance(value, str) else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request, as the service saw it.

    The span from `started` to `ended` lies within the time in which the client had the request in flight: it starts
    when the headers have been read, and ends before the first byte of the answer goes out.

    Attributes:
        started: When it came, in seconds of the log's monotonic clock.
        ended: When its answer was ready, or given up.
        method: Its method.
        path: Its path, without the query.
        key: What it writes, None if nothing.
        source_time: The time of the record it carries: a grade's `lms_last_updated_at`.
        status: The status answered; None if the connection broke instead.
        retry_after: The seconds of the answer's Retry-After, of either kind; None without one.
        fault: The name of what went wrong with it, None if nothing did.
        stored_at: When the write took place, answered or not; None if none did.
        is_abandoned: Whether the client was gone before the answer.
    """

    started: float
    ended: float
    method: str
    path: str
    key: Key | None = None
    source_time: datetime | None = None
    status: int | None = None
    retry_after: float | None = None
    fault: str | None = None
    stored_at: float | None = None
    is_abandoned: bool = False

    def as_json(self) -> dict[str, object]:
        """Write the entry with the names of its attributes."""
        return {**asdict(self), "source_time": self.source_time.isoformat() if self.source_time else None}


class RequestLog:
    """All requests so far, in the order in which they ended. Safe for threads.

    A request is here before the client has its answer. One that the client gives up comes when the double notices; all
    of them are here once the double has stopped.
    """

    def __init__(self) -> None:
        self._entries: list[LoggedRequest] = []
        self._lock = Lock()

    def add(self, entry: LoggedRequest) -> None:
        """Add a request that has ended."""
        with self._lock:
            self._entries.append(entry)

    def clear(self) -> None:
        """Forget all requests so far."""
        with self._lock:
            self._entries.clear()

    def entries(self) -> list[LoggedRequest]:
        """List all requests so far."""
        with self._lock:
            return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(self.entries())

    def by_key(self) -> dict[Key, list[LoggedRequest]]:
        """Group the requests that write something by what they write, each group in the order of their starts."""
        groups: defaultdict[Key, list[LoggedRequest]] = defaultdict(list)
        for entry in sorted(self.entries(), key=lambda entry: entry.started):
            if entry.key is not None:
                groups[entry.key].append(entry)
        return dict(groups)

    def tries(self) -> Counter[Key]:
        """Count the requests for each key."""
        return Counter({key: len(entries) for key, entries in self.by_key().items()})

    def overlaps(self) -> list[tuple[LoggedRequest, LoggedRequest]]:
        """Find pairs for one key that were in flight at the same time.

        Of a request that the client gave up nobody can say when it did, so it is in no pair.
        """
        waited_for = [[entry for entry in group if not entry.is_abandoned] for group in self.by_key().values()]
        return [pair for group in waited_for for pair in pairwise(group) if pair[1].started < pair[0].ended]

    def stale_writes(self) -> list[LoggedRequest]:
        """Find stored writes that carry an older time than one stored before for the same key."""
        written = [(entry.stored_at, entry) for entry in self.entries() if entry.stored_at is not None]
        newest: dict[Key, datetime] = {}
        stale: list[LoggedRequest] = []
        for _, entry in sorted(written, key=lambda pair: pair[0]):
            if entry.key is None or entry.source_time is None:
                continue
            if entry.source_time < newest.setdefault(entry.key, entry.source_time):
                stale.append(entry)
            newest[entry.key] = max(newest[entry.key], entry.source_time)
        return stale

    def impatient(self, *, grace: float = 0.05) -> list[LoggedRequest]:
        """Find requests that came to an address before its Retry-After had passed.

        Args:
            grace: Seconds behind the answer in which others may still come, which were on their way already.
        """
        pauses: defaultdict[str, list[LoggedRequest]] = defaultdict(list)
        for entry in sorted(self.entries(), key=lambda entry: entry.ended):
            if entry.retry_after is not None:
                pauses[entry.path].append(entry)
        return [entry for entry in self.entries() if _is_within(pauses[entry.path], entry.started, grace)]


def _is_within(pauses: list[LoggedRequest], started: float, grace: float) -> bool:
    """Say whether any pause, of those sorted by their beginning, holds at this time."""
    begun = pauses[: bisect_left(pauses, started - grace, key=lambda pause: pause.ended)]
    return any(started < pause.ended + (pause.retry_after or 0) for pause in reversed(begun))
