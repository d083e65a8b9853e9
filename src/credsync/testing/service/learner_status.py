"""The status endpoints: which visible course certificates a learner holds, with their grades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from credsync.testing.service.accounts import User
from credsync.testing.service.catalog import course_run_uuid, course_uuid
from credsync.testing.service.exchange import (
    Answer,
    RefusalError,
    Request,
    empty_answer,
    html_answer,
    json_answer,
    server_error,
)
from credsync.testing.service.moments import format_moment
from credsync.testing.service.rows import COURSE_RUN, CredentialRow
from credsync.testing.service.tables import Tables

__all__ = ["post_bulk_learner_status", "post_learner_status"]


def post_learner_status(tables: Tables, request: Request) -> Answer:
    """Answer for one learner, named by username or LMS user id.

    Raises:
        RefusalError: If not exactly one of the two is given (400, an empty body), or the body is no object (500).
    """
    asked = request.payload.content
    if not isinstance(asked, dict):
        raise server_error()
    if not _names_one_learner(asked):
        raise RefusalError(empty_answer(400))
    return json_answer(200, _learner_status(tables, asked))


def post_bulk_learner_status(tables: Tables, request: Request) -> Answer:
    """Answer for a list of learners; one wrong entry spoils the call.

    Raises:
        RefusalError: If an entry is wrong (400), or the body is an object with content (500).
    """
    asked = request.payload.content
    if asked == {}:
        return json_answer(200, [])
    if not isinstance(asked, list):
        raise server_error()
    if not all(isinstance(entry, dict) and _names_one_learner(entry) for entry in asked):
        raise RefusalError(html_answer(400))
    return json_answer(200, [_learner_status(tables, entry) for entry in asked])


def _names_one_learner(asked: Mapping[str, object]) -> bool:
    return bool(asked.get("username")) != bool(asked.get("lms_user_id"))


def _learner_status(tables: Tables, asked: Mapping[str, object]) -> dict[str, object]:
    user = _find_user(tables, asked)
    return {
        "lms_user_id": user.lms_user_id if user else asked.get("lms_user_id"),
        "username": user.username if user else asked.get("username"),
        "status": list(_iter_statuses(tables, user.username, asked)) if user else [],
    }


def _find_user(tables: Tables, asked: Mapping[str, object]) -> User | None:
    if asked.get("username"):
        return tables.users.find(str(asked["username"]))
    try:
        lms_user_id = int(str(asked["lms_user_id"]))
    except ValueError as exc:
        raise server_error() from exc
    return tables.users.find_by_lms_user_id(lms_user_id)


def _iter_statuses(tables: Tables, username: str, asked: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield the awarded and visible course certificates among the asked ones, or among all if none are named."""
    for row in tables.credentials_of(username):
        if row.kind == COURSE_RUN and row.is_awarded and tables.is_visible(row) and _is_asked_for(row, asked):
            yield _status(tables, row)


def _is_asked_for(row: CredentialRow, asked: Mapping[str, object]) -> bool:
    runs, courses = _names(asked.get("course_runs")), _names(asked.get("courses"))
    if not runs and not courses:
        return True
    return not runs.isdisjoint({row.identifier, course_run_uuid(row.identifier)}) or (
        course_uuid(row.identifier) in courses
    )


def _names(value: object) -> set[str]:
    return {str(name) for name in value} if isinstance(value, list) else set()


def _status(tables: Tables, row: CredentialRow) -> dict[str, object]:
    certificate = tables.find_certificate_of_run(row.identifier)
    available = certificate.certificate_available_date if certificate else None
    return {
        "course_uuid": course_uuid(row.identifier),
        "course_run": {"uuid": course_run_uuid(row.identifier), "key": row.identifier},
        "status": row.status,
        "type": certificate.certificate_type if certificate else None,
        "certificate_available_date": format_moment(available) if available else None,
        "grade": _grade(tables, row),
    }


def _grade(tables: Tables, row: CredentialRow) -> dict[str, object] | None:
    """Write the grade; its percent is a number here, where the answer to a POST has text."""
    grade = tables.grades.get((row.username, row.identifier))
    if grade is None:
        return None
    return {
        "letter_grade": grade.letter_grade,
        "percent_grade": float(grade.percent_grade),
        "verified": grade.verified,
    }
