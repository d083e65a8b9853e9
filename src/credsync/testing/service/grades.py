"""POST /api/v2/grades/, and PATCH and PUT of one grade: an upsert that protects no order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from credsync.testing.service.bodies import Payload
from credsync.testing.service.exchange import Answer, Request, json_answer, refuse, server_error
from credsync.testing.service.fields import NULL, FieldError, FieldReader, flag, moment, nullable, percent, text
from credsync.testing.service.rows import GradeRow
from credsync.testing.service.tables import Tables

__all__ = ["GRADE_METADATA", "amend_grade", "post_grade"]

GRADE_METADATA: dict[str, dict[str, object]] = {
    "username": {"type": "string", "required": True, "max_length": 150},
    "course_run": {"type": "field", "required": True},
    "letter_grade": {"type": "string", "required": False, "max_length": 255},
    "percent_grade": {"type": "decimal", "required": True},
    "verified": {"type": "boolean", "required": False},
    "lms_last_updated_at": {"type": "datetime", "required": False},
}


def post_grade(tables: Tables, request: Request) -> Answer:
    """Insert or overwrite the grade of a learner and course run: 201 either way.

    Raises:
        RefusalError: If a field is wrong (400), or the body is no object (500).
    """
    given = _read(tables, request.payload, is_amendment=False)
    now = tables.now()
    old = tables.grades.get((given["username"], given["course_run"]))
    row = replace(old, **given, modified=now) if old else _new_row(tables, given)
    tables.store_grade(row)
    return json_answer(201, row.as_json())


def amend_grade(tables: Tables, request: Request, grade_id: str) -> Answer:
    """Change a grade by its row id; PUT needs the required fields, PATCH none.

    Raises:
        RefusalError: If there is no such grade (404), a field is wrong (400), or another row has the key (500).
    """
    old = tables.find_grade_by_id(int(grade_id)) if grade_id.isdecimal() else None
    if old is None:
        raise refuse(404, "No UserGrade matches the given query.")
    given = _read(tables, request.payload, is_amendment=request.method == "PATCH")
    row = replace(old, **given, modified=tables.now())
    tables.store_grade(row)
    return json_answer(200, row.as_json())


def _new_row(tables: Tables, given: dict[str, Any]) -> GradeRow:
    now = tables.now()
    defaults = {"letter_grade": "", "verified": True, "lms_last_updated_at": None}
    return GradeRow(id=tables.next_grade_id(), created=now, modified=now, **{**defaults, **given})


def _read(tables: Tables, payload: Payload, *, is_amendment: bool) -> dict[str, Any]:
    if not isinstance(payload.content, dict):  # null, a list, a text: the view takes them for an object and dies
        raise server_error()
    fields = _form_as_json(payload.content, is_amendment) if payload.is_form else payload.content
    reader = FieldReader(fields, partial=is_amendment)
    reader.required("username", text(150))
    reader.required("course_run", _known_course_run(tables))
    reader.optional("letter_grade", text(255, may_be_blank=True))
    reader.required("percent_grade", percent)
    reader.optional("verified", flag)
    reader.optional("lms_last_updated_at", nullable(moment))
    return reader.finish()


def _form_as_json(form: dict[str, object], is_amendment: bool) -> dict[str, object]:
    """Read a form as the service does: an unticked box is a no, an empty one is left out, an empty time is null."""
    fields = dict(form)
    if fields.get("verified") == "":
        del fields["verified"]
    elif not is_amendment:
        fields.setdefault("verified", False)
    if fields.get("lms_last_updated_at") == "":
        fields["lms_last_updated_at"] = None
    return fields


def _known_course_run(tables: Tables) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value is None:
            raise FieldError([NULL])
        key = str(value)
        if "\x00" in key:  # the database refuses it, and nobody catches that
            raise server_error()
        if not tables.catalog.has_course_run(key):
            raise FieldError([f"No CourseRun exists for key [{key}]"])
        return key

    return check
