"""What stands before every view: content negotiation, authentication, permission, throttle; in this order."""

from __future__ import annotations

from collections.abc import Callable

from credsync.testing.service.accounts import User, Users
from credsync.testing.service.exchange import RefusalError, Request, json_answer, refuse
from credsync.testing.service.throttle import Throttle
from credsync.testing.service.tokens import InvalidTokenError, Mint

__all__ = ["Gate", "Permission", "has", "is_staff", "name_in_token", "outage_answer", "wants_html"]

CHALLENGE = ("WWW-Authenticate", 'JWT realm="api"')

Permission = Callable[[User, Request], bool]


def has(permission: str) -> Permission:
    """Ask for a model permission."""
    return lambda user, _request: user.may(permission)


def is_staff(user: User, _request: Request) -> bool:
    """Ask for the staff flag; model permissions do not matter."""
    return user.active and user.staff


def wants_html(request: Request) -> bool:
    """Say whether the Accept header prefers a page over JSON; the more specific media type wins.

    Raises:
        RefusalError: If it takes neither: a 406.
    """
    accepted = [media.partition(";")[0].strip() for media in request.headers.get("accept", "*/*").split(",")]
    if "text/html" in accepted and "application/json" not in accepted:
        return True
    if {"application/json", "application/*", "*/*"}.intersection(accepted):
        return False
    if "text/*" in accepted:
        return True
    raise refuse(406, "Could not satisfy the request Accept header.")


def outage_answer(username: str) -> RefusalError:
    """Refuse as the service does while its database is away: a 401, of all things."""
    detail = f"[edx-drf-extensions] User retrieval failed for username {username}."
    return refuse(401, detail, CHALLENGE)


class Gate:
    """Lets a request through to its view, as the user that its token names."""

    def __init__(self, mint: Mint, users: Users, throttle: Throttle | None) -> None:
        self._mint = mint
        self._users = users
        self._throttle = throttle
        self.is_database_down = False

    def authenticate(self, request: Request) -> User:
        """Find the user of the token; the first request of an unknown one creates the row.

        Raises:
            RefusalError: If there is no valid token, or no database to find the user in: a 401.
        """
        claims = self._claims(request)
        username = claims.get("preferred_username", claims.get("username"))
        if not isinstance(username, str):
            raise refuse(401, "JWT must include a preferred_username or username claim!", CHALLENGE)
        if self.is_database_down:
            raise outage_answer(username)
        return self._users.admit(username, claims)

    def _claims(self, request: Request) -> dict[str, object]:
        scheme, *rest = request.headers.get("authorization", "").split(" ")
        if scheme.lower() != "jwt" or len(rest) != 1 or not rest[0]:
            raise refuse(401, "Authentication credentials were not provided.", CHALLENGE)
        try:
            return self._mint.claims_of(rest[0])
        except InvalidTokenError as exc:
            raise refuse(401, "Invalid token.", CHALLENGE) from exc

    def admit(self, user: User, request: Request, *, permission: Permission, scope: str | None) -> None:
        """Check the permission, then the budget: a 403 costs none of it.

        Raises:
            RefusalError: If the user may not, or not yet: 403 or 429.
        """
        if not permission(user, request):
            raise refuse(403, "You do not have permission to perform this action.")
        if self._throttle is not None and scope is not None and not user.staff:
            self._check_budget(self._throttle, user, scope)

    @staticmethod
    def _check_budget(throttle: Throttle, user: User, scope: str) -> None:
        wait = throttle.wait_for(user.username, scope)
        if wait is not None:
            seconds = f"{wait} second{'' if wait == 1 else 's'}"
            content = {"detail": f"Request was throttled. Expected available in {seconds}."}
            raise RefusalError(json_answer(429, content, ("Retry-After", str(wait))))


def name_in_token(mint: Mint, request: Request) -> str:
    """Name the user of a request's token, for the message of an outage; empty if it has no valid one."""
    token = request.headers.get("authorization", "").rpartition(" ")[2]
    try:
        return str(mint.claims_of(token).get("preferred_username", ""))
    except InvalidTokenError:
        return ""
