"""What an answer of the Credentials API means: an outcome, or what to do before there can be one.

The service's answers mislead here and there: 401 while its database is away, 500 for a program's learner whom it has
never met, 400 for a course run that its catalog will have tomorrow. Here they are told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from attrs import frozen

from credsync.updates import Deferred, Delivered, Outcome, ProgramAward, ProgramRevocation, Rejected, Update
from credsync.wire.bodies import Endpoint, endpoint_of
from credsync.wire.complaints import iter_messages, read_error, read_json
from credsync.wire.rows import find_differences, is_row

__all__ = [
    "MAX_PAUSE",
    "MAX_TRIES",
    "Decision",
    "Pause",
    "RenewToken",
    "Retry",
    "StopRun",
    "decode_response",
]

MAX_TRIES = 3
"""Tries of an update that the service fails over: a deadlock is gone by then, a fault in its data is not."""

MAX_PAUSE = 3600.0
"""Seconds of the longest pause that an answer can bring about."""

MIN_PAUSE = 1.0
"""Seconds of the shortest: a date in Retry-After may have passed on the way."""

THROTTLE_WINDOW = 60.0
"""Seconds after which the service's throttle has forgotten every request; the pause where a 429 names none."""

NOT_THERE_YET = {
    "No CourseRun exists": "the service's catalog does not have the course run yet",
    "doesn't exist in the catalog": "the service's catalog does not have the course run yet",
    "No active CourseCertificate exists": "the course run has no active certificate configuration on the service",
    "No active ProgramCertificate exists": "the program has no active certificate configuration on the service",
}
"""Refusals that are about the service's configuration, by what they contain: the same update may be taken later."""

STOPS = {
    403: "the account lacks the permission",
    404: "no such address, so the base URL is wrong",
    405: "no such address, or a redirect was followed",
    406: "the request's Accept header did not arrive as sent",
    415: "the request's Content-Type header did not arrive as sent",
}


@frozen(kw_only=True)
class Retry:
    """Send the same again, after a pause with jitter: every write is idempotent.

    Attributes:
        otherwise: What the update comes to once the tries are used up.
        tries: How many there may be in all, the ones before included; None where the trouble is the service's and not
            the update's: as many as the sink has patience for.
    """

    otherwise: Rejected | Deferred
    tries: int | None = None


@frozen(kw_only=True)
class Pause:
    """Send nothing to the endpoint for a while, from no worker, and then the same again. It does not count as a try.

    Attributes:
        endpoint: Which one.
        seconds: For how long, at most `MAX_PAUSE`.
        otherwise: What the update comes to if the sink cannot wait that long.
    """

    endpoint: Endpoint
    seconds: float
    otherwise: Deferred


@frozen(kw_only=True)
class StopRun:
    """Send nothing more at all: every other update would meet the same.

    Attributes:
        reason: Why, without personal data.
        status: The HTTP status.
    """

    reason: str
    status: int


@frozen(kw_only=True)
class RenewToken:
    """Get a new token, and send the same again; once.

    Attributes:
        otherwise: What to do if the new token is refused as well.
    """

    otherwise: StopRun


Decision: TypeAlias = Outcome | Retry | Pause | RenewToken | StopRun
"""What to do about an answer. An outcome is the end of its update."""


def decode_response(update: Update, status: int, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Decision:
    """Decide what to do about the answer to a posted update.

    Args:
        update: What was sent, encoded by `encode_update`.
        status: The HTTP status.
        headers: The answer's headers; their case does not matter.
        body: The answer's body, as received.
        now: The time, aware; a date in `Retry-After` is measured against it.

    Example:
        >>> award = ProgramAward(user_id=7, username="ada", program_uuid="6883080f-0000-4000-8000-000000000001")
        >>> decode_response(award, 504, {}, b"", now=datetime.now(UTC))
        Retry(otherwise=Deferred(reason='the service answered 504: no reason given', retry_after=None), tries=None)
    """
    if 200 <= status < 300:
        return _decode_success(update, status, body)
    complaint = read_error(body, update.username)
    if status == 400:
        return _decode_refusal(body, complaint)
    if status == 401:
        return _decode_unauthorized(body, complaint)
    if status == 500:
        return _decode_failure(update, complaint)
    if status == 429:
        return _pause(update, _seconds_to_wait(headers, now) or THROTTLE_WINDOW, "throttled")
    if status in {408, 425} or status > 500:
        return _decode_outage(update, _seconds_to_wait(headers, now), f"the service answered {status}: {complaint}")
    return StopRun(reason=f"{_explain_stop(status)}: {complaint}", status=status)


def _decode_success(update: Update, status: int, body: bytes) -> Decision:
    """Believe a success only with the row as it was stored: half an answer, or a proxy's page, proves nothing."""
    row = read_json(body)
    if not is_row(row):
        return Retry(otherwise=Deferred(reason=f"the service answered {status} without the row it stored"))
    if different := find_differences(update, row):
        reason = f"the service stored something else as {', '.join(different)}"
        return Retry(otherwise=Rejected(reason=reason, status=status), tries=MAX_TRIES)
    return Delivered()


def _decode_refusal(body: bytes, complaint: str) -> Decision:
    """Tell a refused value from lacking configuration, and both from a 400 that is not the API's own.

    A host name that the service does not serve gets a page, and so does what a proxy refuses. Every update would, so it
    is none of this update's fault.
    """
    content = read_json(body)
    reasons = {_reason_to_wait(message) for message in iter_messages(content)}
    if not reasons or not isinstance(content, dict | list):
        return StopRun(reason=f"refused before the API read it, perhaps for its host name: {complaint}", status=400)
    waiting = sorted(reason for reason in reasons if reason)
    if len(waiting) < len(reasons):
        return Rejected(reason=complaint, status=400)
    return Deferred(reason="; ".join(waiting))


def _reason_to_wait(message: str) -> str | None:
    return next((reason for phrase, reason in NOT_THERE_YET.items() if phrase in message), None)


def _decode_unauthorized(body: bytes, complaint: str) -> Decision:
    # The service looks the token's user up in its database, and calls it unauthorized when that is away.
    if b"User retrieval failed" in body:
        return Retry(otherwise=Deferred(reason="the service's database is away (401: User retrieval failed)"))
    return RenewToken(otherwise=StopRun(reason=f"the token was refused: {complaint}", status=401))


def _decode_failure(update: Update, complaint: str) -> Decision:
    # It is the same page for every cause; only a program's first credential asks for the learner's row.
    if isinstance(update, ProgramAward | ProgramRevocation):
        reason = "the service failed (500): most likely it has never met the learner, who has yet to sign in there"
        return Retry(otherwise=Deferred(reason=reason), tries=MAX_TRIES)
    return Retry(otherwise=Rejected(reason=f"the service failed: {complaint}", status=500), tries=MAX_TRIES)


def _decode_outage(update: Update, seconds: float | None, reason: str) -> Decision:
    return Retry(otherwise=Deferred(reason=reason)) if seconds is None else _pause(update, seconds, reason)


def _pause(update: Update, seconds: float, reason: str) -> Pause:
    later = Deferred(reason=reason, retry_after=seconds)
    return Pause(endpoint=endpoint_of(update), seconds=seconds, otherwise=later)


def _seconds_to_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read `Retry-After`, seconds or a date; None where it is absent or neither."""
    asked = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        seconds = float(asked) if asked.isdecimal() else _seconds_until(parsedate_to_datetime(asked), now)
    except ValueError:
        return None
    return min(max(seconds, MIN_PAUSE), MAX_PAUSE)


def _seconds_until(moment: datetime, now: datetime) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # the zone -0000 reads as none
    return (aware - now).total_seconds()


def _explain_stop(status: int) -> str:
    if 300 <= status < 400:
        return "redirected, so the base URL has the wrong scheme, host or path"
    return STOPS.get(status, "an answer that the API never gives, perhaps a proxy's")
