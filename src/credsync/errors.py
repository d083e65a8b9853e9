"""The error tree: everything credsync raises on purpose is a `CredsyncError`.

A business "no" is a value (`SkipReason`), never an exception. Errors carry their data as attributes and name records by
user id and course run only, never by username or e-mail address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, ParamSpec, TypeVar

from typing_extensions import override

__all__ = [
    "AdapterError",
    "ConfigurationError",
    "CredsyncError",
    "InvalidRecordError",
    "NotificationError",
    "RecordName",
    "SinkError",
    "SinkRejectedError",
    "SinkUnavailableError",
    "SourceError",
    "isolated",
]

P = ParamSpec("P")
T = TypeVar("T")


class CredsyncError(Exception):
    """The root of all errors that credsync raises on purpose.

    Example:
        >>> issubclass(SourceError, CredsyncError)
        True
    """


class RecordName(NamedTuple):
    """Names a record as far as it is known, without personal data.

    Attributes:
        kind: `certificate`, `grade` or `program`.
        user_id: The learner's id; None where the record does not say.
        target: The course run, or the program's UUID; empty where the record does not say.
    """

    kind: str
    user_id: int | None
    target: str

    @override
    def __str__(self) -> str:
        learner = "unknown" if self.user_id is None else self.user_id
        return f"{self.kind} in {self.target or 'an unknown course run'} for user {learner}"


class InvalidRecordError(CredsyncError, ValueError):
    """A record that cannot be what it says it is. A retry helps only after the record was mended.

    Attributes:
        record: The record's name, or a text where what is wrong is no certificate or grade.
        field: The field that is wrong.
        reason: What is wrong with it.

    Example:
        >>> print(InvalidRecordError(RecordName("grade", 7, "course-v1:X+Y+Z"), "percent_grade", "nan is no number"))
        grade in course-v1:X+Y+Z for user 7: percent_grade: nan is no number
    """

    def __init__(self, record: RecordName | str, field: str, reason: str) -> None:
        super().__init__(record, field, reason)
        self.record = record
        self.field = field
        self.reason = reason

    @override
    def __str__(self) -> str:
        return f"{self.record}: {self.field}: {self.reason}"


class ConfigurationError(CredsyncError):
    """Something the run needs is missing or contradictory; raised before the first record is read.

    Example:
        >>> raise ConfigurationError("the host has no sink")
        Traceback (most recent call last):
        credsync.errors.ConfigurationError: the host has no sink
    """


class AdapterError(CredsyncError):
    """The root of all that may leave a port.

    Example:
        >>> issubclass(SinkUnavailableError, AdapterError)
        True
    """


class SourceError(AdapterError):
    """A source, or a look-up beside it, cannot be read. Nothing was skipped: go on from `cursor`.

    Attributes:
        cursor: Where to go on from, as `PageSource.fetch` takes it; None is the start, or unknown.

    Example:
        >>> SourceError("the connection was lost", {"id": 41}).cursor
        {'id': 41}
    """

    def __init__(self, message: str, cursor: object = None) -> None:
        super().__init__(message, cursor)
        self.message = message
        self.cursor = cursor

    @override
    def __str__(self) -> str:
        return self.message


class SinkError(AdapterError):
    """The root of what may leave a `CredentialSink`.

    Example:
        >>> issubclass(SinkRejectedError, SinkError)
        True
    """


class SinkUnavailableError(SinkError):
    """The sink cannot take anything now. Worth a retry; nothing of the batch is known to have arrived.

    Attributes:
        retry_after: Seconds to wait before the next try, None where the sink did not say.

    Example:
        >>> SinkUnavailableError("throttled", retry_after=59.0).retry_after
        59.0
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after)
        self.message = message
        self.retry_after = retry_after

    @override
    def __str__(self) -> str:
        if self.retry_after is None:
            return self.message
        return f"{self.message} (try again in {self.retry_after:g} s)"


class SinkRejectedError(SinkError):
    """The sink refused one update for good: sending the same again gives the same answer.

    Attributes:
        status: The sink's own status, an HTTP status code for a web service; None where it has none.

    Example:
        >>> SinkRejectedError("no such course run", status=400).status
        400
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = status

    @override
    def __str__(self) -> str:
        return self.message if self.status is None else f"{self.message} (status {self.status})"


class NotificationError(CredsyncError, ExceptionGroup[CredsyncError]):
    """The failures of a run as one exception group, raised by `Report.raise_for_failures`.

    It holds the failures that the report kept in full, and the error that stopped the run if one did.

    Example:
        >>> group = NotificationError("1 record failed", [SinkRejectedError("no such course run")])
        >>> group.subgroup(SinkRejectedError) is not None
        True
    """

    @override
    def derive(self, excs: Sequence[CredsyncError], /) -> NotificationError:  # type: ignore[override]  # the group only ever holds our own errors
        """Make a group of the same kind around some of the errors; `except*` and `split` call it."""
        return NotificationError(self.message, excs)


def isolated(foreign: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
    """Call a host's own sink or iterable, and give back what it raises as a value.

    The one place that catches everything: whatever a host's code does wrong ends as an outcome that names the record,
    or as an error that says where to go on from, and never takes the run's account of what happened with it.
    """
    try:
        return foreign(*args, **kwargs)
    except Exception as exc:  # noqa: BLE001  # the docstring says why
        return exc
