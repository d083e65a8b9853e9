"""The records: learners, course certificates and grades.

Values are valid once built and never change. Modes and statuses are plain strings: the enums name the ones Open edX
knows, and real data holds others, which pass through.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Protocol, cast

from attrs import field, frozen
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey

from credsync.errors import InvalidRecordError, RecordName
from credsync.fields import (
    MAX_COURSE_KEY_LENGTH,
    Objection,
    check_course_key,
    check_fraction,
    check_text,
    check_user_id,
    check_utc,
    to_fraction,
    to_utc,
)
from credsync.vocabulary import (
    CERTIFICATE_RELEVANT_MODES,
    INTERESTING_STATUSES,
    PASSING_STATUSES,
    CertificateStatus,
    CourseMode,
)

__all__ = [
    "CERTIFICATE_RELEVANT_MODES",
    "INTERESTING_STATUSES",
    "MAX_COURSE_KEY_LENGTH",
    "PASSING_STATUSES",
    "Certificate",
    "CertificateRecord",
    "CertificateStatus",
    "CourseMode",
    "Grade",
    "GradeContext",
    "GradeRecord",
    "Learner",
    "LearnerRecord",
    "parse_course_key",
]


@lru_cache(maxsize=65_536)
def parse_course_key(text: str) -> CourseKey:
    """Parse a course key, once per distinct text.

    Any kind of key that opaque-keys knows will do: `course-v1:`, the legacy `Org/Course/Run`, a CCX key where its
    plug-in is installed.

    Raises:
        InvalidRecordError: If the text is no course key, or longer than `MAX_COURSE_KEY_LENGTH`.

    Example:
        >>> parse_course_key("course-v1:DemoX+Intro+2024").org
        'DemoX'
    """
    if len(text) > MAX_COURSE_KEY_LENGTH:
        raise InvalidRecordError(
            f"course run {text[:40]!r}…", "course_id", f"{len(text)} characters, at most {MAX_COURSE_KEY_LENGTH} fit"
        )
    try:
        return CourseKey.from_string(text)
    except InvalidKeyError as exc:
        raise InvalidRecordError(f"course run {text!r}", "course_id", "not a course key") from exc


class LearnerRecord(Protocol):
    """What a host's user object must offer to be a learner."""

    @property
    def id(self) -> int:
        """The learner's id on the learning platform."""
        ...

    @property
    def username(self) -> str | None:
        """The learner's username, None while only the id is known."""
        ...


class CertificateRecord(Protocol):
    """What a host's certificate object must offer; a Django `GeneratedCertificate` does.

    Read where present: `modified_date` and `created_date` (aware datetimes) and `date_override` (a datetime, or an
    object that holds one as `date`).
    """

    @property
    def user(self) -> LearnerRecord:
        """Whose certificate it is."""
        ...

    @property
    def course_id(self) -> CourseKey | str:
        """The course run it was earned in."""
        ...

    @property
    def mode(self) -> str:
        """The course mode, a slug."""
        ...

    @property
    def status(self) -> str:
        """The certificate status, a slug."""
        ...


class GradeRecord(Protocol):
    """What a host's grade object must offer; a Django `PersistentCourseGrade` does.

    Read where present: `context`, a `GradeContext`.
    """

    @property
    def user_id(self) -> int:
        """The learner's id; the learner may be missing."""
        ...

    @property
    def course_id(self) -> CourseKey | str:
        """The course run that was graded."""
        ...

    @property
    def letter_grade(self) -> str | None:
        """The letter, empty or None while not passing."""
        ...

    @property
    def percent_grade(self) -> float | None:
        """The grade as a fraction, 0 to 1."""
        ...

    @property
    def modified(self) -> datetime | None:
        """When the grade last changed, aware."""
        ...


@frozen(kw_only=True)
class Learner:
    """A learner, known by id. The username is personal data: no `repr`, log or report shows it.

    Attributes:
        id: The id on the learning platform.
        username: The name the credentials service knows the learner by; None while the learner's row is not visible.

    Example:
        >>> Learner(id=7, username="ada")
        Learner(id=7)
    """

    id: int
    username: str | None = field(default=None, repr=False)


def _name_record(kind: str, record: object) -> RecordName:
    """Name a record, ours or a host's, for an error."""
    user_id = getattr(record, "user_id", None)
    if user_id is None:
        user_id = getattr(getattr(record, "user", None), "id", None)
    target = _legible(str(getattr(record, "course_id", "")))
    return RecordName(kind, user_id if isinstance(user_id, int) else None, target)


def _legible(text: str) -> str:
    """Shorten a text from outside, and escape what doesn't print: it goes on to logs, reports and the ledger."""
    return (text if text.isprintable() else repr(text)[1:-1])[:MAX_COURSE_KEY_LENGTH]


def _lacking_attribute(kind: str, record: object, exc: AttributeError) -> InvalidRecordError:
    # Python fills in `name` and `obj` for most attribute errors, not for those that a property raises itself.
    owner = type(exc.obj if exc.name else record).__name__
    return InvalidRecordError(_name_record(kind, record), exc.name or "attribute", f"a {owner} has no such attribute")


def _to_course_key(value: CourseKey | str) -> CourseKey:
    """Parse a string. What is no course key stays what it is, for the check that can name the record."""
    try:
        return parse_course_key(value) if isinstance(value, str) else value
    except InvalidRecordError:
        return cast("CourseKey", value)


def _check_learner(value: object) -> Objection:
    if isinstance(value, Learner):
        return check_user_id(value.id)
    return "user", f"a {type(value).__name__} is not a learner"


@frozen(kw_only=True)
class Certificate:
    """A learner's certificate for one course run.

    Attributes:
        user: Whose certificate it is.
        course_id: The course run; a string is parsed.
        mode: The course mode, a slug.
        status: The certificate status, a slug.
        modified_date: When it last changed, aware; None where unknown.
        created_date: When it was made, aware; None where unknown.
        date_override: The date to show instead of its own, aware; None where there is none.

    Raises:
        InvalidRecordError: If a field cannot be what it says: an unparsable course key, a datetime without a zone.

    Example:
        >>> ada = Learner(id=7, username="ada")
        >>> cert = Certificate(user=ada, course_id="course-v1:X+Y+Z", mode="verified", status="downloadable")
        >>> cert.is_passing
        True
    """

    user: Learner
    course_id: CourseKey = field(converter=_to_course_key)
    mode: str
    status: str
    modified_date: datetime | None = field(default=None, converter=to_utc)
    created_date: datetime | None = field(default=None, converter=to_utc)
    date_override: datetime | None = field(default=None, converter=to_utc)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be, naming the record."""
        objection = (
            _check_learner(self.user)
            or check_course_key(self.course_id)
            or check_text("mode", self.mode)
            or check_text("status", self.status)
            or check_utc("modified_date", self.modified_date)
            or check_utc("created_date", self.created_date)
            or check_utc("date_override", self.date_override)
        )
        if objection:
            raise InvalidRecordError(_name_record("certificate", self), *objection)

    @property
    def user_id(self) -> int:
        """The learner's id."""
        return self.user.id

    @property
    def is_passing(self) -> bool:
        """Whether the status is one of a learner who has passed."""
        return self.status in PASSING_STATUSES

    @classmethod
    def from_record(cls, record: CertificateRecord) -> Certificate:
        """Read a host's own certificate object; one of ours comes back as it is.

        Raises:
            InvalidRecordError: If the object lacks an attribute or holds something impossible.
        """
        if isinstance(record, Certificate):
            return record
        try:
            user = record.user
            override = getattr(record, "date_override", None)
            return cls(
                user=user if isinstance(user, Learner) else Learner(id=user.id, username=user.username),
                course_id=record.course_id,
                mode=record.mode,
                status=record.status,
                modified_date=getattr(record, "modified_date", None),
                created_date=getattr(record, "created_date", None),
                date_override=override if isinstance(override, datetime) else getattr(override, "date", override),
            )
        except AttributeError as exc:
            raise _lacking_attribute("certificate", record, exc) from exc


@frozen(kw_only=True)
class GradeContext:
    """What decides about a grade besides itself, as a source may read it along.

    Attributes:
        username: The learner's username; None while the learner's row is not visible.
        mode: The mode of the learner's certificate; None, like its status, where no certificate is visible.
        status: The status of that certificate.

    Example:
        >>> GradeContext(username="ada", mode="verified", status="downloadable")
        GradeContext(mode='verified', status='downloadable')
    """

    username: str | None = field(repr=False)
    mode: str | None
    status: str | None


def _check_context(value: object) -> Objection:
    if not isinstance(value, GradeContext):
        return "context", f"a {type(value).__name__} is not a grade's context"
    if value.mode is None and value.status is None:
        return None
    return check_text("mode", value.mode) or check_text("status", value.status)


@frozen(kw_only=True)
class Grade:
    """A learner's grade in one course run.

    Attributes:
        user_id: The learner's id; the learner may be missing.
        course_id: The course run; a string is parsed.
        percent_grade: The grade as a fraction, 0 to 1; None where unknown.
        letter_grade: The letter, empty or None while not passing.
        modified: When it last changed, aware; None where unknown.
        context: What the source has read beside it; None where that is to be looked up.

    Raises:
        InvalidRecordError: If a field cannot be what it says: an unparsable course key, a percent that is not a number
            from 0 to 1, a datetime without a zone.

    Example:
        >>> Grade(user_id=7, course_id="course-v1:X+Y+Z", percent_grade=1.2)
        Traceback (most recent call last):
        credsync.errors.InvalidRecordError: grade in course-v1:X+Y+Z for user 7: percent_grade: 1.2 is outside 0 to 1
    """

    user_id: int
    course_id: CourseKey = field(converter=_to_course_key)
    percent_grade: float | None = field(default=None, converter=to_fraction)
    letter_grade: str | None = None
    modified: datetime | None = field(default=None, converter=to_utc)
    context: GradeContext | None = field(default=None, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be, naming the record."""
        objection = (
            check_user_id(self.user_id)
            or check_course_key(self.course_id)
            or check_fraction(self.percent_grade)
            or (self.letter_grade is not None and check_text("letter_grade", self.letter_grade))
            or check_utc("modified", self.modified)
            or (self.context is not None and _check_context(self.context))
        )
        if objection:
            raise InvalidRecordError(_name_record("grade", self), *objection)

    @classmethod
    def from_record(cls, record: GradeRecord) -> Grade:
        """Read a host's own grade object; one of ours comes back as it is.

        Raises:
            InvalidRecordError: If the object lacks an attribute or holds something impossible.
        """
        if isinstance(record, Grade):
            return record
        context = getattr(record, "context", None)
        try:
            return cls(
                user_id=record.user_id,
                course_id=record.course_id,
                percent_grade=record.percent_grade,
                letter_grade=record.letter_grade,
                modified=record.modified,
                context=context if isinstance(context, GradeContext) else None,  # the host's own may be anything
            )
        except AttributeError as exc:
            raise _lacking_attribute("grade", record, exc) from exc
