"""The double's grades behave as the page on the service's API says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests

from credsync.testing.service import CredentialsService

RUN = "course-v1:TestX+C1+R1"
GRADE = {
    "username": "ord",
    "course_run": RUN,
    "letter_grade": "C",
    "percent_grade": "0.5",
    "verified": True,
    "lms_last_updated_at": "2024-05-01T10:00:00Z",
}
WRONG_FORMAT = (
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double that knows one run, at a fixed time."""
    with CredentialsService(course_runs={RUN}, clock=lambda: 1_800_000_000.9) as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[CredentialsService]:
    """A double for tests that need no state."""
    with CredentialsService(course_runs={RUN}) as running:
        yield running


def send(
    service: CredentialsService, body: object, *, path: str = "", method: str = "POST", **headers: str
) -> requests.Response:
    """Send a body as the service user."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    token = service.token_for("credentials_service_user")
    sent = {"Authorization": f"JWT {token}", "Content-Type": "application/json", **headers}
    return requests.request(method, f"{service.url}/api/v2/grades/{path}", data=content, headers=sent, timeout=5)


def send_form(service: CredentialsService, form: Mapping[str, str]) -> requests.Response:
    """Send a form as the service user."""
    headers = {"Authorization": f"JWT {service.token_for('credentials_service_user')}"}
    return requests.post(f"{service.url}/api/v2/grades/", data=form, headers=headers, timeout=5)


def test_echoes_the_stored_row(service: CredentialsService) -> None:
    """A grade is answered 201 with the row as it is stored."""
    answer = send(service, GRADE)

    assert answer.status_code == 201
    assert answer.json() == {
        "id": 1,
        "username": "ord",
        "course_run": RUN,
        "letter_grade": "C",
        "percent_grade": "0.5000",
        "verified": True,
        "lms_last_updated_at": "2024-05-01T10:00:00Z",
        "created": "2027-01-15T08:00:00Z",
        "modified": "2027-01-15T08:00:00Z",
    }


def test_an_update_is_201_and_keeps_the_row() -> None:
    """A second POST for the key answers 201, keeps id and created, and moves modified even if nothing changed."""
    now = [1_800_000_000.0]
    with CredentialsService(clock=lambda: now[0]) as service:
        first = send(service, GRADE).json()
        now[0] += 5
        second = send(service, GRADE)

    assert second.status_code == 201
    assert second.json() == {**first, "modified": "2027-01-15T08:00:05Z"}


def test_an_older_grade_overwrites_a_newer_one(service: CredentialsService) -> None:
    """There is no ordering protection."""
    send(service, GRADE)
    answer = send(service, {**GRADE, "percent_grade": "0.1", "lms_last_updated_at": "2020-01-01T00:00:00Z"})

    assert answer.status_code == 201
    assert service.grades["ord", RUN].percent_grade == Decimal("0.1")
    assert service.grades["ord", RUN].lms_last_updated_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left_out", "kept"),
    [("letter_grade", "C"), ("verified", True), ("lms_last_updated_at", "2024-05-01T10:00:00Z")],
)
def test_what_is_left_out_is_kept(service: CredentialsService, left_out: str, kept: object) -> None:
    """A field that an update leaves out keeps its stored value."""
    send(service, GRADE)
    answer = send(service, {name: value for name, value in GRADE.items() if name != left_out})

    assert answer.json()[left_out] == kept


@pytest.mark.parametrize(
    ("left_out", "default"), [("letter_grade", ""), ("verified", True), ("lms_last_updated_at", None)]
)
def test_a_new_row_has_defaults(service: CredentialsService, left_out: str, default: object) -> None:
    """A field that the first POST leaves out gets its default."""
    answer = send(service, {name: value for name, value in GRADE.items() if name != left_out})

    assert answer.json()[left_out] == default


def test_null_clears_the_time(service: CredentialsService) -> None:
    """A time of null clears the stored one, where leaving it out would have kept it."""
    send(service, GRADE)

    assert send(service, {**GRADE, "lms_last_updated_at": None}).json()["lms_last_updated_at"] is None


@pytest.mark.parametrize(
    ("field", "value", "echoed"),
    [
        ("username", "  ord  ", "ord"),
        ("username", "é😀", "é😀"),
        ("username", 7, "7"),
        ("username", "u" * 150, "u" * 150),
        ("letter_grade", None, ""),
        ("letter_grade", "  ", ""),
        ("letter_grade", " B ", "B"),
        ("letter_grade", "x" * 255, "x" * 255),
        ("percent_grade", 0.9, "0.9000"),
        ("percent_grade", 1, "1.0000"),
        ("percent_grade", "1.5", "1.5000"),
        ("percent_grade", "9.9999", "9.9999"),
        ("percent_grade", -1, "-1.0000"),
        ("percent_grade", " 0.5 ", "0.5000"),
        ("verified", "no", False),
        ("verified", 0, False),
        ("verified", "on", True),
        ("verified", "1", True),
        ("lms_last_updated_at", "2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00Z"),
        ("lms_last_updated_at", "2024-05-01T05:00:00-0500", "2024-05-01T10:00:00Z"),
        ("lms_last_updated_at", "2024-05-01T10:00:00+00", "2024-05-01T10:00:00Z"),
        ("lms_last_updated_at", "2024-05-01 10:00:00", "2024-05-01T10:00:00Z"),
        ("lms_last_updated_at", "2024-05-01T10:00Z", "2024-05-01T10:00:00Z"),
        ("lms_last_updated_at", "2024-05-01", "2024-05-01T00:00:00Z"),
        ("lms_last_updated_at", "20240501T100000Z", "2024-05-01T10:00:00Z"),
        ("lms_last_updated_at", "2024-W18-3T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("lms_last_updated_at", "2024-05-01T10:00:00.123456789Z", "2024-05-01T10:00:00Z"),
        ("lms_last_updated_at", "0001-01-01T00:00:00Z", "1-01-01T00:00:00Z"),
    ],
)
def test_takes(shared: CredentialsService, field: str, value: object, echoed: object) -> None:
    """What the service takes is stored and echoed in its own form."""
    answer = send(shared, {**GRADE, field: value})

    assert (answer.status_code, answer.json()[field]) == (201, echoed)


def test_answers_in_bare_utf8(shared: CredentialsService) -> None:
    """Characters beyond ASCII come as they are, not escaped."""
    assert "é😀".encode() in send(shared, {**GRADE, "username": "é😀"}).content


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("username", "", "This field may not be blank."),
        ("username", "  ", "This field may not be blank."),
        ("username", None, "This field may not be null."),
        ("username", True, "Not a valid string."),
        ("username", ["ord"], "Not a valid string."),
        ("username", "a\x00b", "Null characters are not allowed."),
        ("username", "a\ud800b", "Surrogate characters are not allowed: U+D800."),
        ("username", "u" * 151, "Ensure this field has no more than 150 characters."),
        ("course_run", "course-v1:TestX+C1+R2", "No CourseRun exists for key [course-v1:TestX+C1+R2]"),
        ("course_run", RUN.lower(), f"No CourseRun exists for key [{RUN.lower()}]"),
        ("course_run", None, "This field may not be null."),
        ("letter_grade", "x" * 256, "Ensure this field has no more than 255 characters."),
        ("letter_grade", "\x00", "Null characters are not allowed."),
        ("percent_grade", "0.123456", "Ensure that there are no more than 5 digits in total."),
        ("percent_grade", 2 / 3, "Ensure that there are no more than 5 digits in total."),
        ("percent_grade", 0.8500000000000001, "Ensure that there are no more than 5 digits in total."),
        ("percent_grade", "0.12345", "Ensure that there are no more than 4 decimal places."),
        ("percent_grade", "0.90000", "Ensure that there are no more than 4 decimal places."),
        ("percent_grade", 10, "Ensure that there are no more than 1 digits before the decimal point."),
        ("percent_grade", 100, "Ensure that there are no more than 1 digits before the decimal point."),
        ("percent_grade", None, "This field may not be null."),
        ("percent_grade", "", "A valid number is required."),
        ("percent_grade", True, "A valid number is required."),
        ("percent_grade", "nan", "A valid number is required."),
        ("percent_grade", "0,5", "A valid number is required."),
        ("percent_grade", "1" * 1001, "String value too large."),
        ("verified", None, "This field may not be null."),
        ("verified", "maybe", "Must be a valid boolean."),
        ("lms_last_updated_at", "", WRONG_FORMAT),
        ("lms_last_updated_at", "2024-05-01T10:00:00z", WRONG_FORMAT),
        ("lms_last_updated_at", 1714557600, WRONG_FORMAT),
        ("lms_last_updated_at", "1714557600", WRONG_FORMAT),
        ("lms_last_updated_at", "Wed, 01 May 2024 10:00:00 GMT", WRONG_FORMAT),
        ("lms_last_updated_at", "None", WRONG_FORMAT),
        ("lms_last_updated_at", "2024-13-01T10:00:00Z", WRONG_FORMAT),
        ("lms_last_updated_at", "2024-05-01T10:00:00+25:00", WRONG_FORMAT),
        ("lms_last_updated_at", "0001-01-01T00:00:00+14:00", "Datetime value out of range."),
        ("lms_last_updated_at", "9999-12-31T23:00:00-14:00", "Datetime value out of range."),
    ],
)
def test_refuses(shared: CredentialsService, field: str, value: object, message: str) -> None:
    """What the service refuses is a 400 that names the field, word for word."""
    answer = send(shared, {**GRADE, field: value})

    assert (answer.status_code, answer.json()) == (400, {field: [message]})


def test_reports_all_fields_together(service: CredentialsService) -> None:
    """Everything that is missing or wrong is reported in one answer, and nothing is stored."""
    answer = send(service, {"letter_grade": "x" * 256})

    assert answer.json() == {
        "username": ["This field is required."],
        "course_run": ["This field is required."],
        "letter_grade": ["Ensure this field has no more than 255 characters."],
        "percent_grade": ["This field is required."],
    }
    assert service.grades == {}


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"7", b"[" * 100_000])
def test_a_body_that_is_no_object_is_an_html_500(shared: CredentialsService, body: bytes) -> None:
    """A body that is no object, or nested too deep, ends in the HTML page of an unhandled exception."""
    answer = send(shared, body)

    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "text/html; charset=utf-8")


def test_a_nul_in_the_run_key_is_a_500(shared: CredentialsService) -> None:
    """The database refuses a NUL in the run key, and the service does not catch that."""
    assert send(shared, {**GRADE, "course_run": "course\x00"}).status_code == 500


@pytest.mark.parametrize("body", [b"{broken", b"\xff\xfe{}", b"\x1f\x8b\x08", b'{"percent_grade": NaN}'])
def test_unreadable_json_is_a_400(shared: CredentialsService, body: bytes) -> None:
    """A body that is no JSON is a parse error."""
    answer = send(shared, body)

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("JSON parse error - ")


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/vnd.api+json", ""])
def test_other_content_types_are_a_415(shared: CredentialsService, content_type: str) -> None:
    """A content type that the service does not read is named in a 415."""
    answer = send(shared, GRADE, **{"Content-Type": content_type})

    assert answer.status_code == 415
    assert answer.json() == {"detail": f'Unsupported media type "{content_type}" in request.'}


def test_a_form_without_verified_stores_false(service: CredentialsService) -> None:
    """A form reads a missing box as not ticked, where JSON keeps the stored value."""
    send(service, GRADE)
    form = {"username": "ord", "course_run": RUN, "percent_grade": "0.5"}

    assert send_form(service, form).json()["verified"] is False


def test_a_form_with_empty_fields(service: CredentialsService) -> None:
    """In a form an empty `verified` counts as left out, an empty time as null, an empty letter as empty."""
    send(service, GRADE)
    empty = {"verified": "", "lms_last_updated_at": "", "letter_grade": ""}
    answer = send_form(service, {"username": "ord", "course_run": RUN, "percent_grade": "0.5", **empty}).json()

    assert (answer["verified"], answer["lms_last_updated_at"], answer["letter_grade"]) == (True, None, "")


def test_a_raw_plus_in_a_form_is_a_space(service: CredentialsService) -> None:
    """A form written by hand loses its plus signs, and so names another run."""
    body = f"username=ord&course_run={RUN}&percent_grade=0.5".encode()
    answer = send(service, body, **{"Content-Type": "application/x-www-form-urlencoded"})

    assert answer.json() == {"course_run": ["No CourseRun exists for key [course-v1:TestX C1 R1]"]}


def test_multipart_is_read_like_a_form(service: CredentialsService) -> None:
    """A multipart body carries a grade too."""
    fields = {"username": "ord", "course_run": RUN, "percent_grade": "0.5", "verified": "true"}
    headers = {"Authorization": f"JWT {service.token_for('credentials_service_user')}"}
    parts = {name: (None, value) for name, value in fields.items()}
    answer = requests.post(f"{service.url}/api/v2/grades/", files=parts, headers=headers, timeout=5)

    assert answer.status_code == 201
    assert service.grades["ord", RUN].percent_grade == Decimal("0.5")


@pytest.mark.parametrize("way", ["data", "files"])
def test_too_many_form_fields_are_an_html_400(shared: CredentialsService, way: str) -> None:
    """More than a thousand fields of a form of either kind are refused before any view."""
    headers = {"Authorization": f"JWT {shared.token_for('credentials_service_user')}"}
    form = {f"field{number}": "x" for number in range(1001)}
    ways = {"data": form if way == "data" else None, "files": form if way == "files" else None}
    url = f"{shared.url}/api/v2/grades/"
    answer = requests.post(url, data=ways["data"], files=ways["files"], headers=headers, timeout=5)

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")


@pytest.mark.parametrize("content_type", ["", "application/json"])
def test_an_empty_body_lacks_every_field(shared: CredentialsService, content_type: str) -> None:
    """No body at all is no error in itself, but all required fields are missing."""
    answer = send(shared, b"", **{"Content-Type": content_type})

    assert (answer.status_code, sorted(answer.json())) == (400, ["course_run", "percent_grade", "username"])


def test_amends_a_grade_by_id(service: CredentialsService) -> None:
    """PATCH of a row changes only what it gives."""
    send(service, GRADE)
    answer = send(service, {"letter_grade": "A"}, path="1/", method="PATCH")

    assert (answer.status_code, answer.json()["letter_grade"], answer.json()["percent_grade"]) == (200, "A", "0.5000")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "1/", {"letter_grade": "A"}, 400),
        ("PUT", "1/", {"username": "ord", "course_run": RUN, "percent_grade": "1"}, 200),
        ("PATCH", "99/", {}, 404),
        ("PATCH", "abc/", {}, 404),
        ("PATCH", "1/", {"username": "other"}, 500),
        ("GET", "1/", {}, 405),
    ],
)
def test_amending_answers(service: CredentialsService, method: str, path: str, body: object, status: int) -> None:
    """PUT needs the required fields, an unknown id is a 404, and moving onto another row's key a 500."""
    send(service, GRADE)
    send(service, {**GRADE, "username": "other"})

    assert send(service, body, path=path, method=method).status_code == status


def test_moving_a_grade_frees_its_key(service: CredentialsService) -> None:
    """A row that is moved to another learner leaves nothing under the old one."""
    send(service, GRADE)
    send(service, {"username": "renamed"}, path="1/", method="PATCH")

    assert list(service.grades) == [("renamed", RUN)]


def test_a_run_that_arrives_with_the_next_copy_of_the_catalog() -> None:
    """A run that the catalog gets to know later is taken from then on."""
    runs = {RUN}
    with CredentialsService(course_runs=runs) as service:
        late = {**GRADE, "course_run": "course-v1:Late+C+R"}
        before = send(service, late).status_code
        runs.add("course-v1:Late+C+R")
        after = send(service, late).status_code

    assert (before, after) == (400, 201)


def test_the_catalog_may_be_a_predicate() -> None:
    """The known runs may be given as a function, but none has more than 255 characters."""
    with CredentialsService(course_runs=lambda key: key.startswith("course-v1:TestX")) as service:
        runs = (RUN, "course-v1:Other+C+R", "course-v1:TestX+" + "C" * 250)
        statuses = [send(service, {**GRADE, "course_run": run}).status_code for run in runs]

    assert statuses == [201, 400, 400]
