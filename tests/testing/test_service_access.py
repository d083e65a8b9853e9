"""Who gets into the double, and as whom: as the page on the service's API says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from credsync.testing.service import ALL_PERMISSIONS, DEFAULT_ACCOUNT, Account, CredentialsService, User

GRADES = "/api/v2/grades/"
CREDENTIALS = "/api/v2/credentials/"
SERVICE_USER = DEFAULT_ACCOUNT.username
GRADE = {"username": "ord", "course_run": "course-v1:TestX+C1+R1", "percent_grade": "0.5", "verified": True}
CREDENTIAL = {"username": "ord", "credential": {"course_run_key": "course-v1:TestX+C1+R1", "mode": "verified"}}
NOT_PROVIDED = {"detail": "Authentication credentials were not provided."}
INVALID = {"detail": "Invalid token."}
FORBIDDEN = {"detail": "You do not have permission to perform this action."}


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock()


@pytest.fixture
def service(clock: Clock) -> Iterator[CredentialsService]:
    """A double with that clock."""
    with CredentialsService(clock=clock) as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[CredentialsService]:
    """A double for tests that leave nothing behind."""
    with CredentialsService() as running:
        yield running


def call(service: CredentialsService, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
    """Send a request with a token of the service user."""
    sent = {"Authorization": f"JWT {service.token_for(SERVICE_USER)}", **headers}
    return requests.request(method, f"{service.url}{path}", json=body, headers=sent, timeout=5, allow_redirects=False)


def post_grade(service: CredentialsService, authorization: str | None) -> requests.Response:
    """Send a grade with an Authorization header, or without any."""
    headers = {"Authorization": authorization} if authorization is not None else {}
    return requests.post(f"{service.url}{GRADES}", json=GRADE, headers=headers, timeout=5)


def ask_for_token(service: CredentialsService, **fields: str) -> requests.Response:
    """Ask for a token as the default account, but for the given fields."""
    form = {
        "grant_type": "client_credentials",
        "client_id": DEFAULT_ACCOUNT.client_id,
        "client_secret": DEFAULT_ACCOUNT.client_secret,
        "token_type": "jwt",
    }
    return requests.post(service.token_url, data={**form, **fields}, timeout=5)


def test_hands_out_tokens_that_the_service_takes(service: CredentialsService) -> None:
    """Client credentials get a token in the LMS's answer, good for the service, and it is counted."""
    answer = ask_for_token(service)
    content = answer.json()

    assert answer.status_code == 200
    assert {**content, "access_token": ""} == {
        "access_token": "",
        "expires_in": 3600,
        "token_type": "JWT",
        "scope": "read write",
    }
    assert post_grade(service, f"JWT {content['access_token']}").status_code == 201
    assert service.tokens_minted == 1


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "unknown"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_refuses_a_token(service: CredentialsService, fields: dict[str, str], status: int, error: str) -> None:
    """A wrong secret, an unknown client and another grant get no token."""
    answer = ask_for_token(service, **fields)

    assert (answer.status_code, answer.json(), service.tokens_minted) == (status, {"error": error}, 0)


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("POST", 400)])
def test_the_token_endpoint_takes_posted_forms_only(shared: CredentialsService, method: str, status: int) -> None:
    """A token is not to be had by GET or with a body that is no form."""
    headers = {"Content-Type": "text/plain"}
    answer = requests.request(method, shared.token_url, data="grant_type=x", headers=headers, timeout=5)

    assert answer.status_code == status


def test_a_token_of_another_type_is_of_no_use(service: CredentialsService) -> None:
    """Without asking for a JWT the client gets an opaque token, which the service refuses."""
    token = ask_for_token(service, token_type="bearer").json()["access_token"]

    assert post_grade(service, f"JWT {token}").json() == INVALID


@pytest.mark.parametrize("authorization", [None, "JWT", "Bearer TOKEN", "JWT  TOKEN", "Basic TOKEN", "TOKEN"])
def test_needs_credentials(shared: CredentialsService, authorization: str | None) -> None:
    """Anything but one JWT in the header is no authentication at all, and is told how to do better."""
    given = authorization.replace("TOKEN", shared.token_for(SERVICE_USER)) if authorization else None
    answer = post_grade(shared, given)

    assert (answer.status_code, answer.json()) == (401, NOT_PROVIDED)
    assert answer.headers["WWW-Authenticate"] == 'JWT realm="api"'


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({}, 201),
        ({"version": None}, 201),
        ({"version": "1.9.0"}, 201),
        ({"scopes": None}, 201),
        ({"preferred_username": None, "username": SERVICE_USER}, 201),
        ({"version": "2.0.0"}, 401),
        ({"exp": 1_799_999_999}, 401),
        ({"exp": None}, 401),
        ({"iat": 1_800_000_003}, 401),
        ({"iat": None}, 401),
        ({"aud": "another"}, 401),
        ({"iss": "another"}, 401),
    ],
)
def test_checks_claims(service: CredentialsService, claims: dict[str, Any], status: int) -> None:
    """Times have no leeway, and a token for another service is invalid; which of it, nobody is told."""
    answer = post_grade(service, f"JWT {service.token_for(SERVICE_USER, **claims)}")

    assert answer.status_code == status
    assert status == 201 or answer.json() == INVALID


def test_a_token_must_name_a_user(shared: CredentialsService) -> None:
    """A valid token without a username is a 401 of its own."""
    answer = post_grade(shared, f"JWT {shared.token_for(SERVICE_USER, preferred_username=None)}")

    assert (answer.status_code, answer.json()) == (
        401,
        {"detail": "JWT must include a preferred_username or username claim!"},
    )


def test_a_forged_token_is_invalid(shared: CredentialsService) -> None:
    """A token with another signature is invalid."""
    token = shared.token_for(SERVICE_USER)

    assert post_grade(shared, f"JWT {token[:-3]}AAA").json() == INVALID


def test_the_prefix_may_be_lower_case(shared: CredentialsService) -> None:
    """The prefix is taken in lower case too."""
    assert post_grade(shared, f"jwt {shared.token_for(SERVICE_USER)}").status_code == 201


def test_tokens_expire_by_the_clock() -> None:
    """A token is invalid from the second in which it expires."""
    clock = Clock()
    with CredentialsService(clock=clock, token_lifetime=10) as service:
        token = ask_for_token(service).json()["access_token"]
        statuses = []
        for seconds in (9.9, 0.1):
            clock.now += seconds
            statuses.append(post_grade(service, f"JWT {token}").status_code)

    assert statuses == [201, 401]


def test_revoked_tokens_are_invalid_and_new_ones_are_not(service: CredentialsService) -> None:
    """After a revocation only tokens minted since are taken."""
    old = service.token_for(SERVICE_USER)
    service.revoke_tokens()
    new = service.token_for(SERVICE_USER)

    assert [post_grade(service, f"JWT {token}").status_code for token in (old, new)] == [401, 201]


def test_a_database_outage_is_a_401(service: CredentialsService) -> None:
    """While the database is down every API request is a 401 that names the user, and health a 503."""
    service.is_database_down = True
    answer = call(service, "POST", GRADES, GRADE)
    health = requests.get(f"{service.url}/health/", timeout=5)

    detail = f"[edx-drf-extensions] User retrieval failed for username {SERVICE_USER}."
    assert (answer.status_code, answer.json()) == (401, {"detail": detail})
    assert (health.status_code, service.grades) == (503, {})


@pytest.mark.parametrize(
    ("permission", "method", "path", "body"),
    [
        ("add_usergrade", "POST", GRADES, GRADE),
        ("change_usergrade", "PATCH", f"{GRADES}1/", {}),
        ("add_usercredential", "POST", CREDENTIALS, CREDENTIAL),
        ("view_usercredential", "GET", CREDENTIALS, None),
        ("view_usercredential", "GET", f"{CREDENTIALS}x/", None),
        ("change_usercredential", "PATCH", f"{CREDENTIALS}x/", {}),
        ("delete_usercredential", "DELETE", f"{CREDENTIALS}x/", None),
    ],
)
def test_each_action_needs_its_permission(permission: str, method: str, path: str, body: object) -> None:
    """Staff without the one permission gets a 403; the one permission is enough without staff."""
    answers = []
    for staff, permissions in ((True, ALL_PERMISSIONS - {permission}), (False, frozenset({permission}))):
        account = Account(client_id="c", client_secret="s", username=SERVICE_USER, staff=staff, permissions=permissions)
        with CredentialsService(accounts=[account]) as service:
            answers.append(call(service, method, path, body))

    assert (answers[0].status_code, answers[0].json()) == (403, FORBIDDEN)
    assert answers[1].status_code in {200, 201, 404}


def test_an_unknown_user_is_created_then_refused(service: CredentialsService) -> None:
    """The first request of an unknown user makes a row, and is a 403."""
    answer = post_grade(service, f"JWT {service.token_for('stranger')}")

    assert (answer.status_code, answer.json()) == (403, FORBIDDEN)
    assert "stranger" in service.usernames


def test_an_inactive_user_may_nothing(service: CredentialsService) -> None:
    """An inactive user is refused whatever its permissions."""
    service.add_user(User(username=SERVICE_USER, active=False, staff=True, permissions=ALL_PERMISSIONS))

    assert call(service, "POST", GRADES, GRADE).status_code == 403


@pytest.mark.parametrize(("claim", "post", "read"), [(True, 201, 403), (False, 403, 403), (None, 403, 403)])
def test_the_administrator_claim_rewrites_the_user(
    service: CredentialsService, claim: bool | None, post: int, read: int
) -> None:
    """The claim makes an administrator, who may write but not list."""
    service.add_user(User(username="admin"))
    authorization = f"JWT {service.token_for('admin', administrator=claim)}"
    listing = requests.get(f"{service.url}{CREDENTIALS}", headers={"Authorization": authorization}, timeout=5)

    assert (post_grade(service, authorization).status_code, listing.status_code) == (post, read)


def test_a_false_administrator_claim_takes_staff_away() -> None:
    """An account whose tokens deny administration is no staff after its first request, and so is throttled."""
    account = Account(client_id="c", client_secret="s", administrator=False)
    with CredentialsService(accounts=[account], throttle={"grades": 1, "credentials": 1}) as service:
        token = ask_for_token(service, client_id="c", client_secret="s").json()["access_token"]
        statuses = [post_grade(service, f"JWT {token}").status_code for _ in range(2)]

    assert statuses == [201, 429]


def test_a_secret_is_in_no_repr() -> None:
    """An account shows everything but its secret."""
    assert "hush" not in repr(Account(client_id="c", client_secret="hush"))
