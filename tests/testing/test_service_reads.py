"""The double's reads behave as the page on the service's API says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from credsync.testing.service import CredentialsService, User

RUNS = [f"course-v1:TestX+C{number}+R1" for number in range(1, 4)]
SECOND_RUN = "course-v1:TestX+C1+R2"
PROGRAM = "6883080f-5a3c-4a8e-8a3c-0f5c8a1d2b3c"
RETIRED = "7883080f-5a3c-4a8e-8a3c-0f5c8a1d2b3c"
SERVICE_USER = "credentials_service_user"
LIST = "/api/v2/credentials/"
STATUS = "/api/credentials/v1/learner_cert_status/"
BULK = "/api/credentials/v1/bulk_learner_cert_status/"
RECORDS = "/records/api/v1/program_records/"
PROGRAMS: list[dict[str, Any]] = [
    {
        "uuid": PROGRAM,
        "title": "Active program",
        "status": "active",
        "authoring_organizations": [{"key": "TestX"}],
        "courses": [
            {"key": "TestX+C1", "title": "Course C1", "course_runs": [{"key": RUNS[0]}, {"key": SECOND_RUN}]},
            {"key": "TestX+C2", "title": "Course C2", "course_runs": [{"key": RUNS[1]}]},
        ],
    },
    {"uuid": RETIRED, "title": "Retired program", "status": "retired", "courses": []},
    {"uuid": "8883080f-5a3c-4a8e-8a3c-0f5c8a1d2b3c", "title": "Draft", "status": "unpublished", "courses": []},
]


def a_service(**options: Any) -> CredentialsService:
    """Make a double with three programs and the learner alice."""
    service = CredentialsService(programs=PROGRAMS, **options)
    service.add_user(User(username="alice", lms_user_id=1001, full_name="Alice A", email="alice@example.com"))
    return service


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double of its own."""
    with a_service() as running:
        yield running


@pytest.fixture(scope="module")
def campus() -> Iterator[CredentialsService]:
    """A service with credentials of alice (one revoked, one hidden, one of a program) and of bob."""
    with a_service() as running:
        award(running, "alice", RUNS[0])
        award(running, "alice", RUNS[1], status="revoked")
        hide(running, RUNS[2])
        award(running, "alice", RUNS[2])
        award_program(running, "alice")
        award(running, "bob", RUNS[0])
        yield running


def call(
    service: CredentialsService, method: str, path: str, body: object = None, *, user: str = SERVICE_USER
) -> requests.Response:
    """Send a request as a user."""
    headers = {"Authorization": f"JWT {service.token_for(user)}"}
    return requests.request(method, f"{service.url}{path}", json=body, headers=headers, timeout=5)


def award(service: CredentialsService, username: str, run: str, **fields: object) -> None:
    """Post a course-run credential."""
    credential = {"course_run_key": run, "mode": "verified"}
    call(service, "POST", LIST, {"username": username, "credential": credential, **fields})


def award_program(service: CredentialsService, username: str) -> None:
    """Post a program credential."""
    call(service, "POST", LIST, {"username": username, "credential": {"program_uuid": PROGRAM}})


def grade(service: CredentialsService, username: str, run: str, percent: str, *, verified: bool = True) -> None:
    """Post a grade."""
    body = {
        "username": username,
        "course_run": run,
        "percent_grade": percent,
        "letter_grade": "B",
        "verified": verified,
    }
    call(service, "POST", "/api/v2/grades/", body)


def hide(service: CredentialsService, run: str) -> None:
    """Let the certificates of a run be seen only in the far future."""
    body = {
        "course_id": run,
        "certificate_type": "verified",
        "certificate_available_date": "2999-01-01",
        "is_active": True,
    }
    call(service, "POST", "/api/v2/course_certificates/", body)


def listed(service: CredentialsService, query: str) -> list[tuple[str, str]]:
    """List whose credentials a query finds, in the order of the page."""
    rows = call(service, "GET", f"{LIST}?{query}").json()["results"]
    names = [(row["username"], row["credential"]) for row in rows]
    return [(username, named.get("course_run_key", named.get("program_uuid"))) for username, named in names]


ALICES = [("alice", RUNS[0]), ("alice", RUNS[1]), ("alice", RUNS[2]), ("alice", PROGRAM)]
ALL = [*ALICES, ("bob", RUNS[0])]
OF_PROGRAM = [("alice", RUNS[0]), ("alice", RUNS[1]), ("alice", PROGRAM), ("bob", RUNS[0])]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ALL),
        ("username=alice", ALICES),
        ("username=ALICE", []),
        ("username=bob&username=alice", ALICES),
        ("username=alice,bob", []),
        ("username=", ALL),
        ("username__in=alice&course_run_key=x&page_size=1&ordering=-id&limit=1&offset=3", ALL),
        ("username=alice&status=revoked", [("alice", RUNS[1])]),
        ("type=program", [("alice", PROGRAM)]),
        ("username=alice&type=course-run", ALICES[:3]),
        ("type=bogus", ALL),
        (f"program_uuid={PROGRAM}", OF_PROGRAM),
        (f"program_uuid={PROGRAM.replace('-', '')}&type=program", [("alice", PROGRAM)]),
        (f"program_uuid={RETIRED}", []),
        ("program_uuid=malformed", []),
        ("username=alice&only_visible=true", [("alice", RUNS[0]), ("alice", RUNS[1]), ("alice", PROGRAM)]),
        ("username=alice&only_visible=false", ALICES),
        ("username=alice&only_visible=1", ALICES),
        ("username=alice&page=last", ALICES),
    ],
)
def test_lists(campus: CredentialsService, query: str, expected: list[tuple[str, str]]) -> None:
    """Known filters narrow the list, and anything else is ignored, which means everything."""
    assert sorted(listed(campus, query)) == sorted(expected)


@pytest.mark.parametrize(
    ("query", "status", "content"),
    [
        (
            "status=bogus",
            400,
            {"status": ["Select a valid choice. bogus is not one of the available choices."]},
        ),
        ("username=a%00b", 400, {"username": ["Null characters are not allowed."]}),
        ("page=0", 404, {"detail": "Invalid page."}),
        ("page=2", 404, {"detail": "Invalid page."}),
        ("page=abc", 404, {"detail": "Invalid page."}),
    ],
)
def test_refuses_to_list(campus: CredentialsService, query: str, status: int, content: object) -> None:
    """A wrong status or page is refused in the service's words."""
    answer = call(campus, "GET", f"{LIST}?{query}")

    assert (answer.status_code, answer.json()) == (status, content)


def test_a_hidden_program_needs_a_visible_course_credential(service: CredentialsService) -> None:
    """A program credential without a visible course credential is not visible."""
    award_program(service, "alice")

    assert listed(service, "only_visible=true") == []


def test_pages_hold_twenty_and_name_each_other(service: CredentialsService) -> None:
    """Pages have 20 rows; the addresses of the next and the previous keep the query."""
    for number in range(45):
        award(service, f"learner{number}", RUNS[0])
    first = call(service, "GET", f"{LIST}?type=course-run").json()
    second = requests.get(first["next"], headers={"Authorization": f"JWT {service.token_for(SERVICE_USER)}"}, timeout=5)
    last = call(service, "GET", f"{LIST}?type=course-run&page=3").json()

    address = f"{service.url}{LIST}?type=course-run"
    assert (first["count"], len(first["results"]), first["previous"]) == (45, 20, None)
    assert (second.json()["previous"], second.json()["next"]) == (address, f"{address}&page=3")
    assert (len(last["results"]), last["next"]) == (5, None)


def test_touching_rows_while_paging_loses_others(service: CredentialsService) -> None:
    """Rows of the first page that are touched move behind the rest, so that the second page skips as many."""
    for number in range(40):
        award(service, f"learner{number}", RUNS[0])
    first = listed(service, "page=1")
    for username, run in first[:8]:
        award(service, username, run)
    second = listed(service, "page=2")

    assert len(set(first + second)) == 32


def test_pages_may_be_cut_from_ever_another_order() -> None:
    """With a shuffle seed pages repeat and skip rows though nothing changes."""
    with a_service(shuffle_seed=7) as service:
        for number in range(40):
            award(service, f"learner{number}", RUNS[0])
        rows = listed(service, "page=1") + listed(service, "page=2")

    assert len(rows) == 40
    assert len(set(rows)) < 40


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"{LIST}?username=dave", 200), (f"{LIST}?username=alice", 403), (LIST, 403), (f"{LIST}{PROGRAM}/", 403)],
)
def test_a_learner_lists_only_his_own(campus: CredentialsService, path: str, status: int) -> None:
    """A learner's token lists his own credentials, and nothing else."""
    assert call(campus, "GET", path, user="dave").status_code == status


def test_tells_a_learners_status(service: CredentialsService) -> None:
    """The status endpoint shows the certificate with its grade, whose percent is a number here."""
    award(service, "alice", RUNS[0])
    grade(service, "alice", RUNS[0], "0.91")
    answer = call(service, "POST", STATUS, {"username": "alice", "course_runs": [RUNS[0]]}).json()
    (status,) = answer["status"]

    assert (answer["username"], answer["lms_user_id"]) == ("alice", 1001)
    assert status == {
        "course_uuid": status["course_uuid"],
        "course_run": {"uuid": status["course_run"]["uuid"], "key": RUNS[0]},
        "status": "awarded",
        "type": "verified",
        "certificate_available_date": None,
        "grade": {"letter_grade": "B", "percent_grade": 0.91, "verified": True},
    }


def test_runs_and_courses_are_named_by_uuid_too(service: CredentialsService) -> None:
    """A run is asked for by key or uuid, or by the uuid of its course."""
    award(service, "alice", RUNS[0])
    award(service, "alice", RUNS[1])
    wanted = {"username": "alice", "course_runs": [RUNS[0]]}
    (status,) = call(service, "POST", STATUS, wanted).json()["status"]
    by_run = {"username": "alice", "course_runs": [status["course_run"]["uuid"]]}
    by_course = {"lms_user_id": 1001, "courses": [status["course_uuid"]]}

    answers = [call(service, "POST", STATUS, body).json()["status"] for body in (by_run, by_course)]
    assert answers == [[status], [status]]


def test_a_status_without_runs_or_courses_is_of_all(campus: CredentialsService) -> None:
    """Without naming runs or courses all that are awarded and visible are told."""
    answer = call(campus, "POST", STATUS, {"username": "alice"}).json()

    assert [status["course_run"]["key"] for status in answer["status"]] == [RUNS[0]]


@pytest.mark.parametrize(
    ("username", "run"),
    [("alice", RUNS[1]), ("alice", RUNS[2]), ("alice", "course-v1:X+Y+Z"), ("bob", RUNS[0]), ("nobody", RUNS[0])],
)
def test_a_status_is_empty(campus: CredentialsService, username: str, run: str) -> None:
    """Revoked, hidden, absent, and a learner without a user row all look the same."""
    answer = call(campus, "POST", STATUS, {"username": username, "course_runs": [run]})

    assert (answer.status_code, answer.json()["status"]) == (200, [])


@pytest.mark.parametrize(
    ("path", "body", "status", "content"),
    [
        (STATUS, {}, 400, b""),
        (STATUS, {"username": "alice", "lms_user_id": 1001}, 400, b""),
        (STATUS, {"lms_user_id": "abc"}, 500, None),
        (STATUS, [], 500, None),
        (BULK, [{"username": "alice"}, {}], 400, None),
        (BULK, {"username": "alice"}, 500, None),
        (BULK, {}, 200, b"[]"),
        (BULK, [], 200, b"[]"),
    ],
)
def test_status_endpoints_answer(
    campus: CredentialsService, path: str, body: object, status: int, content: bytes | None
) -> None:
    """Wrong questions end in empty bodies and HTML pages."""
    answer = call(campus, "POST", path, body)

    assert answer.status_code == status
    assert answer.content == content if content is not None else answer.headers["Content-Type"].startswith("text/html")


def test_bulk_status_is_a_list_of_the_single_ones(campus: CredentialsService) -> None:
    """The bulk endpoint answers for many learners, in order."""
    asked = [{"username": "alice", "course_runs": [RUNS[0]]}, {"username": "nobody"}]
    answer = call(campus, "POST", BULK, asked).json()

    assert answer == [call(campus, "POST", STATUS, one).json() for one in asked]
    assert len(answer[0]["status"]) == 1


def test_shows_a_program_record(service: CredentialsService) -> None:
    """A record has a row for each course: the best run with certificate and verified grade, or blanks."""
    for run, percent in ((RUNS[0], "0.5"), (SECOND_RUN, "0.91")):
        award(service, "alice", run)
        grade(service, "alice", run, percent)
    award(service, "alice", RUNS[1])
    grade(service, "alice", RUNS[1], "0.7", verified=False)
    award_program(service, "alice")
    record = call(service, "GET", f"{RECORDS}{PROGRAM}/?username=alice").json()["record"]

    assert record["learner"] == {"full_name": "Alice A", "username": "alice", "email": "alice@example.com"}
    assert (record["program"]["name"], record["program"]["completed"], record["program"]["empty"]) == (
        "Active program",
        True,
        False,
    )
    rows = [(row["name"], row["attempts"], row["course_id"], row["percent_grade"]) for row in record["grades"]]
    assert rows == [("Course C1", 2, SECOND_RUN, 0.91), ("Course C2", 0, "", "")]


def test_lists_program_records(service: CredentialsService) -> None:
    """A program is listed with the learner's first course certificate in it, a program certificate is not enough."""
    award_program(service, "alice")
    before = call(service, "GET", f"{RECORDS}?username=alice").json()
    award(service, "alice", RUNS[0])
    after = call(service, "GET", f"{RECORDS}?username=alice").json()

    expected = {
        "name": "Active program",
        "uuid": PROGRAM.replace("-", ""),
        "partner": "TestX",
        "completed": True,
        "empty": False,
    }
    assert (before, after) == ({"enrolled_programs": []}, {"enrolled_programs": [expected]})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{PROGRAM}/?username=bob", 404),
        (f"{PROGRAM.replace('6', '9')}/?username=alice", 500),
        ("malformed/?username=alice", 500),
        ("?username=bob", 404),
    ],
)
def test_program_records_answer(service: CredentialsService, path: str, status: int) -> None:
    """An unknown learner is a 404 with an empty body, an unknown program a 500."""
    answer = call(service, "GET", f"{RECORDS}{path}")

    assert answer.status_code == status
    assert (answer.content == b"") == (status == 404)


@pytest.mark.parametrize("path", [STATUS, BULK, RECORDS, f"/api/v2/course_certificates/{quote(RUNS[0])}/"])
def test_staff_endpoints_are_for_staff(campus: CredentialsService, path: str) -> None:
    """A learner gets a 403 from every endpoint for staff."""
    method = "POST" if path in {STATUS, BULK} else "GET"

    assert call(campus, method, path, user="dave").status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("exclude_utm=1&status=active&status=retired&uuids_only=1", [PROGRAM, RETIRED]),
        ("status=active&uuids_only=1", [PROGRAM]),
    ],
)
def test_the_course_catalog_lists_program_ids(service: CredentialsService, query: str, found: list[str]) -> None:
    """The course catalog lists the ids of the programs in the asked statuses."""
    assert call(service, "GET", f"/api/v1/programs/?{query}").json() == found


def test_the_course_catalog_shows_a_program(service: CredentialsService) -> None:
    """The course catalog answers a program's JSON as it was given, and 404 for another id."""
    root = service.catalog_url.removeprefix(service.url)
    shown = call(service, "GET", f"{root}programs/{PROGRAM}/")
    other = call(service, "GET", f"{root}programs/{PROGRAM.replace('6', '9')}/")

    assert (shown.json(), other.status_code) == (PROGRAMS[0], 404)


def test_the_course_catalog_lists_whole_programs(service: CredentialsService) -> None:
    """Without `uuids_only` the programs themselves are listed."""
    answer = call(service, "GET", "/api/v1/programs/?status=retired").json()

    assert (answer["count"], answer["results"]) == (1, [PROGRAMS[1]])
