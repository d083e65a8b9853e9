"""POST /api/v2/credentials/ and one credential by its UUID: course-run and program credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from credsync.testing.service.exchange import Answer, Request, json_answer, refuse, server_error
from credsync.testing.service.fields import (
    NULL,
    FieldError,
    FieldReader,
    choice,
    moment,
    not_a_dictionary,
    nullable,
    text,
)
from credsync.testing.service.rows import COURSE_RUN, PROGRAM, CourseCertificateRow, CredentialRow
from credsync.testing.service.tables import Tables

__all__ = [
    "CREDENTIAL_METADATA",
    "amend_credential",
    "credential_json",
    "post_credential",
    "revoke_credential",
    "show_credential",
]

CREDENTIAL_METADATA: dict[str, dict[str, object]] = {
    "username": {"type": "string", "required": True, "max_length": 255},
    "credential": {"type": "field", "required": True},
    "status": {"type": "choice", "required": False},
    "attributes": {"type": "field", "required": False},
    "date_override": {"type": "nested object", "required": False},
    "lms_user_id": {"type": "string", "required": False},
}

STATUS = choice("awarded", "revoked")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """What the `credential` field of a body names."""

    kind: str
    identifier: str
    mode: object = None


def post_credential(tables: Tables, request: Request) -> Answer:
    """Insert or update a learner's credential: 201 either way, and awarded unless the body says otherwise.

    Raises:
        RefusalError: If a field is wrong (400), or for the service's unhandled cases (500).
    """
    given = _read(tables, request.payload.content)
    named: _Named = given.pop("credential")
    old = tables.credentials.get((given["username"], named.identifier))
    if named.kind == COURSE_RUN:
        _ensure_course_certificate(tables, named)
    elif old is None:
        _check_learner_is_known(tables, given["username"])
    row = _updated(old or _new_row(tables, given["username"], named), given, tables.now())
    tables.store_credential(row)
    return json_answer(201, credential_json(tables, row, request.host))


def _read(tables: Tables, content: object) -> dict[str, Any]:
    if content is None:
        raise refuse(400, {"non_field_errors": ["No data provided"]})
    if not isinstance(content, dict):
        raise refuse(400, not_a_dictionary(content))
    reader = FieldReader(content)
    reader.required("username", text(255))
    reader.required("credential", _named_credential(tables))
    reader.optional("status", STATUS)
    reader.optional("attributes", _attributes)
    reader.optional("date_override", nullable(_date_override))
    reader.optional("lms_user_id", text(255))
    return reader.finish()


def _named_credential(tables: Tables) -> Callable[[object], _Named]:
    def check(value: object) -> _Named:
        if value is None:
            raise FieldError([NULL])
        if not isinstance(value, dict):  # the view asks a text for its keys, and dies
            raise server_error()
        if value.get("program_uuid"):  # with both given, the program wins; the type is never looked at
            return _named_program(tables, str(value["program_uuid"]))
        if value.get("course_run_key"):
            return _named_course_run(tables, str(value["course_run_key"]), value.get("mode"))
        raise FieldError(["Credential identifier is missing."])

    return check


def _named_program(tables: Tables, written: str) -> _Named:
    try:
        uuid = str(UUID(written))
    except ValueError as exc:
        raise FieldError([f"“{written}” is not a valid UUID."]) from exc
    if tables.catalog.find_active_program(uuid) is None:
        raise FieldError({"program_uuid": f"No active ProgramCertificate exists for program [{written}]"})
    return _Named(kind=PROGRAM, identifier=uuid)


def _named_course_run(tables: Tables, key: str, mode: object) -> _Named:
    if "\x00" in key:
        raise server_error()
    certificate = tables.find_certificate_of_run(key)
    if certificate is None and not tables.catalog.has_course_run(key):
        reason = f"CourseCertificate failed to create because the CourseRun {key} doesn't exist in the catalog"
        raise FieldError({"course_run_key": reason})
    if certificate is not None and not certificate.is_active:
        raise FieldError({"course_run_key": f"No active CourseCertificate exists for course run [{key}]"})
    return _Named(kind=COURSE_RUN, identifier=key, mode=mode)


def _attributes(value: object) -> dict[str, str]:
    if value is None:
        raise FieldError([NULL])
    if not isinstance(value, list):
        complaint = f'Expected a list of items but got type "{type(value).__name__}".'
        raise FieldError({"non_field_errors": [complaint]})
    readers = [_attribute_reader(item) for item in value]
    if any(reader.errors for reader in readers):
        raise FieldError([reader.errors for reader in readers])
    pairs = [(reader.accepted["name"], reader.accepted["value"]) for reader in readers]
    if len(dict(pairs)) < len(pairs):
        raise FieldError(["Attribute names cannot be duplicated."])
    return dict(pairs)


def _attribute_reader(item: object) -> FieldReader:
    reader = FieldReader(item if isinstance(item, dict) else {})
    if isinstance(item, dict):
        reader.required("name", text(255))
        reader.required("value", text(255))
    else:
        reader.errors.update(not_a_dictionary(item))
    return reader


def _date_override(value: object) -> datetime:
    if not isinstance(value, dict):
        raise FieldError(not_a_dictionary(value))
    reader = FieldReader(value)
    reader.required("date", moment)
    if reader.errors:
        raise FieldError(reader.errors)
    date: datetime = reader.accepted["date"]
    return date


def _ensure_course_certificate(tables: Tables, named: _Named) -> None:
    """Create the run's configuration with the mode of its first credential, of any learner; later modes are ignored."""
    if tables.find_certificate_of_run(named.identifier) is not None:
        return
    if named.mode is None or len(str(named.mode)) > 255:
        raise server_error()
    certificate = CourseCertificateRow(
        id=tables.next_certificate_id(),
        course_id=named.identifier,
        course_run=named.identifier,
        certificate_type=str(named.mode),
    )
    tables.store_course_certificate(certificate)


def _check_learner_is_known(tables: Tables, username: str) -> None:
    """Die, as the service does, over a program credential's first write for a learner it has never met."""
    looks_learner_up = tables.records_enabled or tables.emails_on_completion
    if looks_learner_up and tables.users.find(username) is None:
        raise server_error()


def _new_row(tables: Tables, username: str, named: _Named) -> CredentialRow:
    now = tables.now()
    return CredentialRow(
        id=len(tables.credentials) + 1,
        uuid=uuid4(),
        username=username,
        kind=named.kind,
        identifier=named.identifier,
        status="awarded",
        created=now,
        modified=now,
    )


def _updated(row: CredentialRow, given: dict[str, Any], now: datetime) -> CredentialRow:
    """Apply a body: what it leaves out awards and removes the override, but keeps attributes."""
    return replace(
        row,
        status=given.get("status", "awarded"),
        attributes={**row.attributes, **given.get("attributes", {})},
        date_override=given.get("date_override") if row.kind == COURSE_RUN else None,
        modified=now,
    )


def credential_json(tables: Tables, row: CredentialRow, host: str) -> dict[str, object]:
    """Write a credential as answers hold it; the mode is the stored one of its run."""
    if row.kind == PROGRAM:
        program = tables.catalog.find_program(row.identifier)
        credential_id = program.credential_id if program else None
        named = {"type": PROGRAM, "credential_id": credential_id, "program_uuid": row.identifier}
        return row.as_json(named, host)
    certificate = tables.find_certificate_of_run(row.identifier)
    mode = certificate.certificate_type if certificate else None
    return row.as_json({"type": COURSE_RUN, "course_run_key": row.identifier, "mode": mode}, host)


def show_credential(tables: Tables, request: Request, uuid: str) -> Answer:
    """Answer one credential.

    Raises:
        RefusalError: If there is none: a 404.
    """
    return json_answer(200, credential_json(tables, _credential(tables, uuid), request.host))


def amend_credential(tables: Tables, request: Request, uuid: str) -> Answer:
    """Change the status, the one thing that can be; other fields are ignored.

    Raises:
        RefusalError: If there is none (404), the status is wrong (400), or a date override is given (500).
    """
    row = _credential(tables, uuid)
    content = request.payload.content
    if not isinstance(content, dict):
        raise refuse(400, not_a_dictionary(content))
    if "date_override" in content:
        raise server_error()
    reader = FieldReader(content)
    reader.optional("status", STATUS)
    return _store(tables, request, replace(row, **reader.finish(), modified=tables.now()))


def revoke_credential(tables: Tables, request: Request, uuid: str) -> Answer:
    """Answer a DELETE, which deletes nothing.

    Raises:
        RefusalError: If there is none: a 404.
    """
    return _store(tables, request, replace(_credential(tables, uuid), status="revoked", modified=tables.now()))


def _credential(tables: Tables, uuid: str) -> CredentialRow:
    try:
        row = tables.find_credential_by_uuid(UUID(uuid))
    except ValueError:
        row = None
    if row is None:
        raise refuse(404, "No UserCredential matches the given query.")
    return row


def _store(tables: Tables, request: Request, row: CredentialRow) -> Answer:
    tables.store_credential(row)
    return json_answer(200, credential_json(tables, row, request.host))
