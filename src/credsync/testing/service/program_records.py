"""The program records: a learner's best grade in each course of a program."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from credsync.testing.service.accounts import User
from credsync.testing.service.catalog import CatalogCourse, CatalogProgram
from credsync.testing.service.exchange import Answer, RefusalError, Request, empty_answer, json_answer, server_error
from credsync.testing.service.moments import format_moment
from credsync.testing.service.rows import CredentialRow, GradeRow
from credsync.testing.service.tables import Tables

__all__ = ["list_program_records", "show_program_record"]


def list_program_records(tables: Tables, request: Request) -> Answer:
    """List the programs in which the learner holds a course certificate.

    Raises:
        RefusalError: If the learner has no user row: a 404, with an empty body.
    """
    username = _learner(tables, request).username
    enrolled = [
        {
            "name": program.title,
            "uuid": UUID(program.uuid).hex,
            "partner": ", ".join(program.organizations),
            "completed": _is_completed(tables, username, program),
            "empty": not _awarded_runs(tables, username, program),
        }
        for program in tables.catalog.programs()
        if any(tables.iter_course_credentials(username, program.uuid))
    ]
    return json_answer(200, {"enrolled_programs": enrolled})


def show_program_record(tables: Tables, request: Request, uuid: str) -> Answer:
    """Answer one program's record.

    Raises:
        RefusalError: If the learner has no user row (404, an empty body), or there is no such program (500).
    """
    user = _learner(tables, request)
    program = _program(tables, uuid)
    awarded = _awarded_runs(tables, user.username, program)
    school = ", ".join(program.organizations)
    record = {
        "learner": {"full_name": user.full_name, "username": user.username, "email": user.email},
        "program": {
            "name": program.title,
            "completed": _is_completed(tables, user.username, program),
            "empty": not awarded,
            "last_updated": _last_updated(tables, awarded),
            "school": school,
        },
        "grades": [_course_row(tables, course, awarded, school) for course in program.courses],
        "pathways": [],
    }
    return json_answer(200, {"record": record, "is_public": False, "uuid": UUID(program.uuid).hex})


def _learner(tables: Tables, request: Request) -> User:
    user = tables.users.find(request.query.get("username", ""))
    if user is None:
        raise RefusalError(empty_answer(404))
    return user


def _program(tables: Tables, uuid: str) -> CatalogProgram:
    try:
        program = tables.catalog.find_program(str(UUID(uuid)))
    except ValueError:
        program = None
    if program is None:
        raise server_error()
    return program


def _is_completed(tables: Tables, username: str, program: CatalogProgram) -> bool:
    credential = tables.credentials.get((username, program.uuid))
    return credential is not None and credential.is_awarded


def _awarded_runs(tables: Tables, username: str, program: CatalogProgram) -> dict[str, CredentialRow]:
    rows = tables.iter_course_credentials(username, program.uuid)
    return {row.identifier: row for row in rows if row.is_awarded and tables.is_visible(row)}


def _last_updated(tables: Tables, awarded: dict[str, CredentialRow]) -> str:
    return format_moment(max((row.modified for row in awarded.values()), default=tables.now()))


def _course_row(
    tables: Tables, course: CatalogCourse, awarded: dict[str, CredentialRow], school: str
) -> dict[str, object]:
    """Write one course: its best run, or blanks without an awarded certificate and a verified grade."""
    attempts = list(_iter_attempts(tables, course, awarded))
    row: dict[str, object] = {"name": course.title, "school": school, "attempts": len(attempts)}
    if not attempts:
        return {**row, "course_id": "", "issue_date": "", "percent_grade": "", "letter_grade": ""}
    grade, credential = max(attempts, key=lambda attempt: attempt[0].percent_grade)
    return {
        **row,
        "course_id": grade.course_run,
        "issue_date": format_moment(credential.date_override or credential.created),
        "percent_grade": float(grade.percent_grade),
        "letter_grade": grade.letter_grade or "N/A",
    }


def _iter_attempts(
    tables: Tables, course: CatalogCourse, awarded: dict[str, CredentialRow]
) -> Iterator[tuple[GradeRow, CredentialRow]]:
    for key in course.course_run_keys:
        credential = awarded.get(key)
        grade = tables.grades.get((credential.username, key)) if credential else None
        if credential and grade and grade.verified:
            yield grade, credential
