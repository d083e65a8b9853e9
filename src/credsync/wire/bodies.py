"""The bodies of requests: an update as the Credentials API wants it, or a refusal before anything is sent.

What the service would mangle, or die of, is refused here, where the record still has a name. What it keeps unless told
otherwise is always sent, null included: it takes an absent `status` for an award, and keeps an absent
`lms_last_updated_at` beside the new grade.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Literal, TypeAlias
from uuid import UUID

from credsync.errors import InvalidRecordError, RecordName
from credsync.model import MAX_COURSE_KEY_LENGTH
from credsync.updates import CertificateUpdate, GradeUpdate, ProgramAward, ProgramRevocation, Update

__all__ = ["Endpoint", "encode_update", "endpoint_of"]

Endpoint: TypeAlias = Literal["grades", "credentials"]
"""An address of the API below `/api/v2/`. The service throttles each on its own."""

MAX_GRADE_USERNAME = 150
"""Characters in the username of a grade."""

MAX_CREDENTIAL_USERNAME = 255
"""Characters in the username of a credential."""

MAX_TEXT = 255
"""Characters in a letter grade or a mode; a longer mode makes the service fail."""

FIRST_YEAR = 1000
"""The service echoes earlier years without leading zeros, which is not ISO 8601; MySQL's DATETIME begins here too."""

FOUR_DECIMALS = Decimal("0.0001")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def endpoint_of(update: Update) -> Endpoint:
    """Return where an update is posted: the segment below `/api/v2/`. Without a slash behind it the service redirects.

    Example:
        >>> endpoint_of(
        ...     ProgramRevocation(user_id=7, username="ada", program_uuid="6883080f-0000-4000-8000-000000000001")
        ... )
        'credentials'
    """
    return "grades" if isinstance(update, GradeUpdate) else "credentials"


def encode_update(update: Update) -> dict[str, object]:
    """Return the JSON body that brings an update to the service; posting it twice changes nothing.

    Raises:
        InvalidRecordError: If the service cannot take the update, or would store it as something else.

    Example:
        >>> grade = GradeUpdate(
        ...     user_id=7, username="ada", course_run="course-v1:X+Y+Z", letter_grade=None, percent_grade=2 / 3
        ... )
        >>> encode_update(grade)["percent_grade"]
        '0.6667'
    """
    if isinstance(update, GradeUpdate):
        return _encode_grade(update)
    if isinstance(update, CertificateUpdate):
        return _encode_certificate(update)
    return _encode_program(update)


def _encode_grade(update: GradeUpdate) -> dict[str, object]:
    return {
        "username": _username(update, MAX_GRADE_USERNAME),
        "course_run": _text(update, "course_run", update.course_run, MAX_COURSE_KEY_LENGTH),
        "letter_grade": _letter(update),
        "percent_grade": _percent(update),
        "verified": update.verified,
        "lms_last_updated_at": _moment(update, "source_time", update.source_time),
    }


def _encode_certificate(update: CertificateUpdate) -> dict[str, object]:
    credential = {
        "type": "course-run",
        "course_run_key": _text(update, "course_run", update.course_run, MAX_COURSE_KEY_LENGTH),
        "mode": _text(update, "mode", update.mode, MAX_TEXT),
    }
    override = _moment(update, "date_override", update.date_override)
    return {
        **_encode_credential(update, credential, is_awarded=update.is_awarded),
        "date_override": None if override is None else {"date": override},
    }


def _encode_program(update: ProgramAward | ProgramRevocation) -> dict[str, object]:
    credential = {"type": "program", "program_uuid": _program_uuid(update)}
    body = _encode_credential(update, credential, is_awarded=isinstance(update, ProgramAward))
    # Attributes are merged by name and never removed, so there is nothing to say where there is no date.
    if isinstance(update, ProgramAward) and update.visible_date:
        visible = _moment(update, "visible_date", update.visible_date, timespec="seconds")
        body["attributes"] = [{"name": "visible_date", "value": visible}]
    return body


def _encode_credential(
    update: CertificateUpdate | ProgramAward | ProgramRevocation, credential: dict[str, str], *, is_awarded: bool
) -> dict[str, object]:
    return {
        "username": _username(update, MAX_CREDENTIAL_USERNAME),
        "credential": credential,
        "status": "awarded" if is_awarded else "revoked",
        "date_override": None,
        "lms_user_id": str(update.user_id),
    }


def _refusal(update: Update, field: str, reason: str) -> InvalidRecordError:
    return InvalidRecordError(RecordName(*update.key), field, reason)


def _username(update: Update, limit: int) -> str:
    username = _text(update, "username", update.username, limit)
    if username != username.strip():  # another learner's row may stand under the name without them
        raise _refusal(update, "username", "has spaces around it, which the service would strip")
    return username


def _text(update: Update, field: str, value: object, limit: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _refusal(update, field, "is missing or blank")
    if len(value) > limit:
        raise _refusal(update, field, f"has {len(value)} characters, at most {limit} fit")
    if UNSTORABLE.search(value):
        raise _refusal(update, field, "has a character that cannot be stored: NUL, or half of a pair")
    return value


def _letter(update: GradeUpdate) -> str:
    letter = (update.letter_grade or "").strip()  # as the service does, so that its echo is what was sent
    return letter and _text(update, "letter_grade", letter, MAX_TEXT)


def _percent(update: GradeUpdate) -> str:
    """Round half up by the digits that the number shows: 0.85005 is a little less in binary, and still 0.8501."""
    value = update.percent_grade
    try:
        shown = Decimal(str(value))
        if not 0 <= shown <= 1:
            raise _refusal(update, "percent_grade", f"{value!r} is outside 0 to 1")
        return str(abs(shown).quantize(FOUR_DECIMALS, ROUND_HALF_UP))  # abs, for there is a -0.0
    except InvalidOperation as exc:
        raise _refusal(update, "percent_grade", f"{value!r} is not a number") from exc


def _program_uuid(update: ProgramAward | ProgramRevocation) -> str:
    try:
        return str(UUID(update.program_uuid))
    except ValueError as exc:
        raise _refusal(update, "program_uuid", "is not a UUID") from exc


def _moment(update: Update, field: str, moment: datetime | None, timespec: str = "auto") -> str | None:
    """Write a time in UTC, with the microseconds it has."""
    if moment is None:
        return None
    if moment.utcoffset() is None:
        raise _refusal(update, field, f"{moment.isoformat()} has no time zone")
    try:
        in_utc = moment.astimezone(UTC)
    except OverflowError as exc:
        raise _refusal(update, field, f"{moment.isoformat()} is beyond the year 9999 or before the year 1") from exc
    if in_utc.year < FIRST_YEAR:
        raise _refusal(update, field, f"{moment.isoformat()} is before the year {FIRST_YEAR}")
    return in_utc.isoformat(timespec=timespec).replace("+00:00", "Z")
