"""The certificate configuration of course runs: /api/v2/course_certificates/."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from credsync.testing.service.bodies import Payload
from credsync.testing.service.exchange import Answer, Request, json_answer, refuse, server_error
from credsync.testing.service.fields import (
    FieldError,
    FieldReader,
    choice,
    flag,
    moment,
    not_a_dictionary,
    nullable,
    text,
)
from credsync.testing.service.rows import CourseCertificateRow
from credsync.testing.service.tables import Tables

__all__ = ["amend_course_certificate", "post_course_certificate", "show_course_certificate"]

COURSE_KEY = re.compile(r"course-v1:[^/+\s]+\+[^/+\s]+\+[^/+\s]+|[^/+:\s]+/[^/+:\s]+/[^/+:\s]+")
TYPE = choice("honor", "professional", "verified", "no-id-professional", "masters")


def post_course_certificate(tables: Tables, request: Request) -> Answer:
    """Insert or update the configuration of a course id and certificate type: 201 either way.

    Raises:
        RefusalError: If a field is wrong (400), if the date or the switch was left out, or if the run has a
            configuration of another type (500).
    """
    given = _read(request.payload, partial=False)
    if not {"is_active", "certificate_available_date"} <= given.keys():
        raise server_error()
    same_id = tables.certificates_of_course_id(given["course_id"])
    old = next((row for row in same_id if row.certificate_type == given["certificate_type"]), None)
    course_run = given["course_id"] if tables.catalog.has_course_run(given["course_id"]) else None
    row_id = old.id if old else tables.next_certificate_id()
    row = CourseCertificateRow(id=row_id, course_run=course_run, **given)
    tables.store_course_certificate(row)
    return json_answer(201, row.as_json())


def show_course_certificate(tables: Tables, course_id: str) -> Answer:
    """Answer the configuration of a course id.

    Raises:
        RefusalError: If there is none (404), or more than one (500).
    """
    return json_answer(200, _configured(tables, course_id).as_json())


def amend_course_certificate(tables: Tables, request: Request, course_id: str) -> Answer:
    """Change the configuration of a course id.

    Raises:
        RefusalError: If there is none (404), more than one (500), or a field is wrong (400).
    """
    old = _configured(tables, course_id)
    row = replace(old, **_read(request.payload, partial=request.method == "PATCH"))
    tables.store_course_certificate(row)
    return json_answer(200, row.as_json())


def _configured(tables: Tables, course_id: str) -> CourseCertificateRow:
    rows = tables.certificates_of_course_id(course_id)
    if not rows:
        raise refuse(404, "No CourseCertificate matches the given query.")
    if len(rows) > 1:
        raise server_error()
    return rows[0]


def _read(payload: Payload, *, partial: bool) -> dict[str, Any]:
    if not isinstance(payload.content, dict):
        raise refuse(400, not_a_dictionary(payload.content))
    fields = {"is_active": False, **payload.content} if payload.is_form and not partial else payload.content
    reader = FieldReader(fields, partial=partial)
    reader.required("course_id", _course_id)
    reader.required("certificate_type", TYPE)
    reader.optional("certificate_available_date", nullable(moment))
    reader.optional("is_active", flag)
    return reader.finish()


def _course_id(value: object) -> str:
    course_id = text(255)(value)
    if not COURSE_KEY.fullmatch(course_id):
        raise FieldError(["Invalid course key."])
    return course_id
