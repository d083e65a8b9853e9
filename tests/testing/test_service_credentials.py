"""The double's credentials behave as the page on the service's API says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import requests

from credsync.testing.service import CredentialsService, User
from credsync.testing.service.catalog import ServiceCatalog
from credsync.testing.service.credentials import post_credential
from credsync.testing.service.exchange import Request
from credsync.testing.service.tables import Tables

RUN = "course-v1:TestX+C1+R1"
PROGRAM = "6883080f-5a3c-4a8e-8a3c-0f5c8a1d2b3c"
OTHER_PROGRAM = "00000000-5a3c-4a8e-8a3c-0f5c8a1d2b3c"
COURSE_RUN_CREDENTIAL = {"type": "course-run", "course_run_key": RUN, "mode": "verified"}
PROGRAM_CREDENTIAL = {"type": "program", "program_uuid": PROGRAM}
PROGRAMS = [
    {"uuid": PROGRAM, "title": "Active program", "courses": [{"key": "TestX+C1", "course_runs": [{"key": RUN}]}]}
]
SERVICE_USER = "credentials_service_user"


def a_service(**options: Any) -> CredentialsService:
    """Make a double with two runs, a program and the learner alice."""
    service = CredentialsService(**{"course_runs": {RUN, "course-v1:TestX+C2+R1"}, "programs": PROGRAMS, **options})
    service.add_user(User(username="alice", lms_user_id=1001))
    return service


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double of its own."""
    with a_service() as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[CredentialsService]:
    """A double for tests that store nothing that matters."""
    with a_service() as running:
        yield running


def call(
    service: CredentialsService, method: str, path: str, body: object = None, *, user: str = SERVICE_USER
) -> requests.Response:
    """Send a request as a user."""
    headers = {"Authorization": f"JWT {service.token_for(user)}"}
    return requests.request(method, f"{service.url}/api/v2/{path}", json=body, headers=headers, timeout=5)


def post(service: CredentialsService, **fields: object) -> requests.Response:
    """Send a credential of alice, but for the given fields."""
    body = {"username": "alice", "credential": COURSE_RUN_CREDENTIAL, **fields}
    return call(service, "POST", "credentials/", {name: value for name, value in body.items() if value != "LEFT OUT"})


def configure(service: CredentialsService, **fields: object) -> requests.Response:
    """Configure a run's certificate."""
    usual = {"course_id": RUN, "certificate_type": "verified", "certificate_available_date": None, "is_active": True}
    return call(service, "POST", "course_certificates/", {**usual, **fields})


def test_awards_a_course_run_credential(service: CredentialsService) -> None:
    """A course-run credential is answered 201 with the stored row."""
    answer = post(service, status="awarded")
    row = answer.json()
    uuid = UUID(row["uuid"])

    assert answer.status_code == 201
    assert row == {
        "username": "alice",
        "credential": COURSE_RUN_CREDENTIAL,
        "status": "awarded",
        "uuid": str(uuid),
        "attributes": [],
        "date_override": None,
        "created": row["created"],
        "modified": row["modified"],
        "certificate_url": f"{service.url}/credentials/{uuid.hex}/",
    }


def test_awards_a_program_credential(service: CredentialsService) -> None:
    """A program credential is answered with the id of its certificate and the dashed UUID."""
    answer = post(service, credential=PROGRAM_CREDENTIAL)

    assert answer.status_code == 201
    assert answer.json()["credential"] == {"type": "program", "credential_id": 1, "program_uuid": PROGRAM}


@pytest.mark.parametrize("written", [PROGRAM, PROGRAM.upper(), UUID(PROGRAM).hex, f"urn:uuid:{PROGRAM}"])
def test_takes_a_program_uuid_in_any_form(shared: CredentialsService, written: str) -> None:
    """Dashed, upper case, hex and URN name the same program."""
    answer = post(shared, credential={"type": "course-run", "program_uuid": written, "course_run_key": RUN})

    assert answer.json()["credential"]["program_uuid"] == PROGRAM


def test_award_revoke_award_is_one_row(service: CredentialsService) -> None:
    """A credential keeps its uuid through revocation and another award."""
    rows = [post(service, status=status).json() for status in ("awarded", "revoked", "awarded")]

    assert [row["status"] for row in rows] == ["awarded", "revoked", "awarded"]
    assert len({row["uuid"] for row in rows}) == 1


def test_a_revocation_of_nothing_creates_a_revoked_row(service: CredentialsService) -> None:
    """Revoking what was never awarded is a 201, and stored."""
    assert post(service, status="revoked").status_code == 201
    assert service.credentials["alice", RUN].status == "revoked"


def test_status_left_out_awards_again(service: CredentialsService) -> None:
    """A POST without status re-awards a revoked credential."""
    post(service, status="revoked")

    assert post(service).json()["status"] == "awarded"


def test_date_override_left_out_is_deleted(service: CredentialsService) -> None:
    """An override that the next POST leaves out is gone, also when it revokes."""
    first = post(service, date_override={"date": "2024-05-01T12:00:00+02:00"})
    second = post(service, status="revoked")

    assert first.json()["date_override"] == {"date": "2024-05-01T10:00:00Z"}
    assert second.json()["date_override"] is None


def test_date_override_is_ignored_on_programs(service: CredentialsService) -> None:
    """A program credential takes an override without a word and does not store it."""
    answer = post(service, credential=PROGRAM_CREDENTIAL, date_override={"date": "2024-05-01T10:00:00Z"})

    assert (answer.status_code, answer.json()["date_override"]) == (201, None)


def test_attributes_are_upserted_by_name(service: CredentialsService) -> None:
    """Attributes are never removed, an empty list changes nothing, and numbers become text."""
    post(service, attributes=[{"name": "a", "value": 1}, {"name": "b", "value": "2"}])
    post(service, attributes=[])
    answer = post(service, attributes=[{"name": "b", "value": "3"}])

    assert answer.json()["attributes"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "3"}]


def test_the_mode_matters_only_on_the_first_award_of_the_run(service: CredentialsService) -> None:
    """The first award of a run, of any learner, sets its mode unchecked; later ones are ignored, missing ones too."""
    post(service, username="first", credential={**COURSE_RUN_CREDENTIAL, "mode": "audit"})
    later = [
        post(service, credential={"course_run_key": RUN, **mode}) for mode in ({"mode": "verified"}, {"mode": None}, {})
    ]

    assert [(row.status_code, row.json()["credential"]["mode"]) for row in later] == [(201, "audit")] * 3


@pytest.mark.parametrize("mode", [{}, {"mode": None}, {"mode": "m" * 256}])
def test_a_first_award_needs_a_mode(service: CredentialsService, mode: dict[str, object]) -> None:
    """Without a mode the first award of a run is a 500, and nothing is stored."""
    assert post(service, credential={"course_run_key": RUN, **mode}).status_code == 500
    assert service.credentials == {}


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"username": ""}, {"username": ["This field may not be blank."]}),
        ({"username": "u" * 256}, {"username": ["Ensure this field has no more than 255 characters."]}),
        ({"status": "AWARDED"}, {"status": ['"AWARDED" is not a valid choice.']}),
        ({"status": ""}, {"status": ['"" is not a valid choice.']}),
        ({"attributes": None}, {"attributes": ["This field may not be null."]}),
        (
            {"attributes": {"name": "a"}},
            {"attributes": {"non_field_errors": ['Expected a list of items but got type "dict".']}},
        ),
        (
            {"attributes": [{"name": "a", "value": "1"}, {"name": "b", "value": ""}]},
            {"attributes": [{}, {"value": ["This field may not be blank."]}]},
        ),
        ({"attributes": [{"name": "a"}]}, {"attributes": [{"value": ["This field is required."]}]}),
        (
            {"attributes": ["a"]},
            {"attributes": [{"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}]},
        ),
        (
            {"attributes": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]},
            {"attributes": ["Attribute names cannot be duplicated."]},
        ),
        ({"date_override": {}}, {"date_override": {"date": ["This field is required."]}}),
        ({"date_override": {"date": None}}, {"date_override": {"date": ["This field may not be null."]}}),
        (
            {"date_override": "2024-05-01"},
            {"date_override": {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}},
        ),
        ({"lms_user_id": None}, {"lms_user_id": ["This field may not be null."]}),
        ({"lms_user_id": ""}, {"lms_user_id": ["This field may not be blank."]}),
        ({"credential": {}}, {"credential": ["Credential identifier is missing."]}),
        ({"credential": {"type": "program"}}, {"credential": ["Credential identifier is missing."]}),
        ({"credential": None}, {"credential": ["This field may not be null."]}),
        ({"credential": {"program_uuid": "garbage"}}, {"credential": ["“garbage” is not a valid UUID."]}),
        (
            {"credential": {"program_uuid": OTHER_PROGRAM}},
            {"credential": {"program_uuid": f"No active ProgramCertificate exists for program [{OTHER_PROGRAM}]"}},
        ),
        (
            {"credential": {"course_run_key": "course-v1:X+Y+Z", "mode": "verified"}},
            {
                "credential": {
                    "course_run_key": "CourseCertificate failed to create because the CourseRun course-v1:X+Y+Z"
                    " doesn't exist in the catalog"
                }
            },
        ),
        (
            {"username": "LEFT OUT", "credential": "LEFT OUT"},
            {"username": ["This field is required."], "credential": ["This field is required."]},
        ),
    ],
)
def test_refuses(shared: CredentialsService, fields: dict[str, object], errors: object) -> None:
    """What the service refuses is a 400 with its own words, in whatever shape they come."""
    answer = post(shared, **fields)

    assert (answer.status_code, answer.json()) == (400, errors)


@pytest.mark.parametrize("path", ["credentials/", "course_certificates/"])
def test_a_list_is_no_credential(shared: CredentialsService, path: str) -> None:
    """There is no bulk: a list is refused as a whole."""
    answer = call(shared, "POST", path, [{"username": "alice"}])

    assert (answer.status_code, answer.json()) == (
        400,
        {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]},
    )


def test_null_is_no_credential(shared: CredentialsService) -> None:
    """A body of null is refused too."""
    headers = {"Authorization": f"JWT {shared.token_for(SERVICE_USER)}", "Content-Type": "application/json"}
    answer = requests.post(f"{shared.url}/api/v2/credentials/", data="null", headers=headers, timeout=5)

    assert (answer.status_code, answer.json()) == (400, {"non_field_errors": ["No data provided"]})


def test_a_nul_in_the_run_key_is_a_500(shared: CredentialsService) -> None:
    """The database refuses a NUL in the run key, and the service does not catch that."""
    assert post(shared, credential={"course_run_key": "course\x00", "mode": "verified"}).status_code == 500


@pytest.mark.parametrize("credential", ["text", ["list"], 7])
def test_a_credential_that_is_no_object_is_a_500(shared: CredentialsService, credential: object) -> None:
    """The service dies over a credential that is text, a list or a number."""
    assert post(shared, credential=credential).status_code == 500


def test_an_inactive_certificate_takes_neither_award_nor_revocation(service: CredentialsService) -> None:
    """A run whose certificate is inactive refuses both, with the reason as bare text."""
    configure(service, is_active=False)
    answers = [post(service, status=status) for status in ("awarded", "revoked")]

    reason = f"No active CourseCertificate exists for course run [{RUN}]"
    assert [answer.json() for answer in answers] == [{"credential": {"course_run_key": reason}}] * 2


def test_an_inactive_program_is_refused(service: CredentialsService) -> None:
    """A program whose certificate is inactive is refused like one that does not exist."""
    service.catalog.deactivate_program(PROGRAM)

    assert post(service, credential=PROGRAM_CREDENTIAL).status_code == 400


@pytest.mark.parametrize("status", ["awarded", "revoked"])
def test_a_program_credential_for_an_unknown_learner_is_a_500(service: CredentialsService, status: str) -> None:
    """A learner without a user row gets no program credential, and no LMS user id helps."""
    answer = post(service, username="bob", credential=PROGRAM_CREDENTIAL, status=status, lms_user_id="7")

    assert (answer.status_code, service.credentials) == (500, {})


def test_any_request_of_the_learner_cures_it(service: CredentialsService) -> None:
    """The learner's first authenticated request creates the user row, after which the award passes."""
    refused = call(service, "GET", "credentials/", user="bob").status_code
    answer = post(service, username="bob", credential=PROGRAM_CREDENTIAL)

    assert (refused, answer.status_code) == (403, 201)


@pytest.mark.parametrize(("records", "emails", "status"), [(False, False, 201), (True, False, 500), (False, True, 500)])
def test_records_and_emails_are_what_needs_the_user_row(records: bool, emails: bool, status: int) -> None:
    """With learner records and completion e-mails off an unknown learner is no obstacle."""
    with a_service(records_enabled=records, emails_on_completion=emails) as service:
        assert post(service, username="bob", credential=PROGRAM_CREDENTIAL).status_code == status


def test_only_the_first_write_needs_the_user_row() -> None:
    """Once the credential is stored, it can be changed though the learner has no user row."""
    tables = Tables(ServiceCatalog(), clock=lambda: 0.0)
    body = json.dumps({"username": "bob", "credential": PROGRAM_CREDENTIAL, "status": "revoked"}).encode()
    request = Request(method="POST", target="/", headers={"content-type": "application/json"}, body=body)
    tables.records_enabled = False
    post_credential(tables, request)
    tables.records_enabled = True

    assert post_credential(tables, request).status == 201


def test_course_run_credentials_never_need_the_user_row(service: CredentialsService) -> None:
    """A course-run credential of a learner whom the service has never met is stored."""
    assert post(service, username="bob").status_code == 201


def test_reads_and_amends_one_credential(service: CredentialsService) -> None:
    """By uuid, with or without dashes, a credential is read; of a PATCH only the status counts."""
    uuid = post(service).json()["uuid"]
    read = call(service, "GET", f"credentials/{UUID(uuid).hex}/")
    amended = call(service, "PATCH", f"credentials/{uuid}/", {"status": "revoked", "username": "x", "attributes": []})

    assert read.json()["uuid"] == uuid
    assert (amended.status_code, amended.json()["status"], amended.json()["username"]) == (200, "revoked", "alice")


@pytest.mark.parametrize(
    ("method", "name", "body", "status"),
    [
        ("GET", str(UUID(int=7)), None, 404),
        ("GET", "malformed", None, 404),
        ("PATCH", "THE UUID", {"date_override": None}, 500),
        ("PATCH", "THE UUID", {"status": "AWARDED"}, 400),
        ("PATCH", "THE UUID", [], 400),
        ("PUT", "THE UUID", {"status": "revoked"}, 200),
        ("DELETE", "THE UUID", None, 200),
    ],
)
def test_one_credential_answers(service: CredentialsService, method: str, name: str, body: object, status: int) -> None:
    """Unknown and malformed uuids are a 404, an override in a PATCH a 500, a wrong status a 400."""
    uuid = post(service).json()["uuid"]

    assert call(service, method, f"credentials/{uuid if name == 'THE UUID' else name}/", body).status_code == status


def test_delete_revokes(service: CredentialsService) -> None:
    """DELETE deletes nothing: the credential is revoked."""
    uuid = post(service).json()["uuid"]
    call(service, "DELETE", f"credentials/{uuid}/")

    assert service.credentials["alice", RUN].status == "revoked"


def test_forms_cannot_carry_a_credential(service: CredentialsService) -> None:
    """A form without `credential` is a 400, and one with it as text a 500."""
    headers = {"Authorization": f"JWT {service.token_for(SERVICE_USER)}"}
    forms = ({"username": "alice"}, {"username": "alice", "credential": "{}"})
    answers = [requests.post(f"{service.url}/api/v2/credentials/", form, headers=headers, timeout=5) for form in forms]

    assert [answer.status_code for answer in answers] == [400, 500]
