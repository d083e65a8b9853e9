"""The double's configuration of course certificates behaves as the page on the service's API says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from credsync.testing.service import Account, CredentialsService, User

RUN = "course-v1:TestX+C1+R1"
COURSE_RUN_CREDENTIAL = {"type": "course-run", "course_run_key": RUN, "mode": "verified"}
SERVICE_USER = "credentials_service_user"


def a_service(**options: Any) -> CredentialsService:
    """Make a double with two runs and the learner alice."""
    service = CredentialsService(**{"course_runs": {RUN, "course-v1:TestX+C2+R1"}, **options})
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


def test_configures_a_course_certificate(service: CredentialsService) -> None:
    """A configuration is answered 201 and read back by its run."""
    answer = configure(service, certificate_available_date="2024-05-01T00:00:00Z")

    expected = {
        "id": 1,
        "site": 1,
        "course_id": RUN,
        "course_run": RUN,
        "certificate_type": "verified",
        "certificate_available_date": "2024-05-01T00:00:00Z",
        "is_active": True,
    }
    assert (answer.status_code, answer.json()) == (201, expected)
    assert call(service, "GET", f"course_certificates/{RUN}/").json() == expected


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"certificate_type": "audit"}, 400),
        ({"course_id": "no key"}, 400),
        ({"course_id": "course-v1:X+Y+" + "Z" * 255}, 400),
        ({"course_id": "Org/Course/Run"}, 201),
    ],
)
def test_course_certificates_answer(shared: CredentialsService, fields: dict[str, object], status: int) -> None:
    """Types and keys are checked; runs that the catalog does not know are taken."""
    assert configure(shared, **{"course_id": "course-v1:X+Y+Z", **fields}).status_code == status


@pytest.mark.parametrize("left_out", ["is_active", "certificate_available_date"])
def test_a_course_certificate_needs_both_switch_and_date(service: CredentialsService, left_out: str) -> None:
    """Leaving out the switch or the date is a 500."""
    body = {"course_id": RUN, "certificate_type": "verified", "certificate_available_date": None, "is_active": True}
    del body[left_out]

    assert call(service, "POST", "course_certificates/", body).status_code == 500


def test_a_form_without_the_switch_configures_it_off(service: CredentialsService) -> None:
    """In a form a missing switch is off."""
    form = {"course_id": RUN, "certificate_type": "verified", "certificate_available_date": "2024-05-01"}
    headers = {"Authorization": f"JWT {service.token_for(SERVICE_USER)}"}
    answer = requests.post(f"{service.url}/api/v2/course_certificates/", form, headers=headers, timeout=5)

    assert (answer.status_code, answer.json()["is_active"]) == (201, False)


def test_a_run_has_one_type_of_certificate(service: CredentialsService) -> None:
    """Another type for a run that has one is a 500."""
    configure(service)

    assert configure(service, certificate_type="honor").status_code == 500


@pytest.mark.parametrize(
    ("method", "name", "status"),
    [("PATCH", RUN, 200), ("DELETE", RUN, 405), ("GET", "course-v1:X+Y+Z", 404), ("GET", "course-v1:X+1.00x+Z", 404)],
)
def test_one_course_certificate_answers(service: CredentialsService, method: str, name: str, status: int) -> None:
    """A configuration is amended but not deleted; a run with a dot in its key cannot be addressed."""
    configure(service)

    assert call(service, method, f"course_certificates/{name}/", {"is_active": False}).status_code == status


def test_a_certificate_configured_before_its_run_is_known() -> None:
    """Such a run's first award is a 500 until the configuration is sent again."""
    runs: set[str] = set()
    with a_service(course_runs=runs) as service:
        unlinked = configure(service).json()["course_run"]
        runs.add(RUN)
        before = post(service).status_code
        configure(service)
        after = post(service).status_code

    assert (unlinked, before, after) == (None, 500, 201)


def test_a_second_type_for_an_unlinked_certificate_is_an_accident() -> None:
    """An award in another mode makes a second row; reading, and configuring the older type again, are 500 from then."""
    runs: set[str] = set()
    with a_service(course_runs=runs) as service:
        configure(service)
        runs.add(RUN)
        award = post(service, credential={"course_run_key": RUN, "mode": "honor"}).status_code
        read = call(service, "GET", f"course_certificates/{RUN}/").status_code
        again = configure(service).status_code

    assert (award, read, again) == (201, 500, 500)


@pytest.mark.parametrize(("path", "status"), [("credentials/", 201), ("course_certificates/", 403)])
def test_the_staff_flag_decides_over_course_certificates(path: str, status: int) -> None:
    """An account with all permissions but not staff may post credentials, not configurations."""
    account = Account(client_id="c", client_secret="s", username=SERVICE_USER, staff=False)
    with a_service(accounts=[account]) as service:
        body = {"username": "alice", "credential": COURSE_RUN_CREDENTIAL}
        assert call(service, "POST", path, body).status_code == status
