"""Who may call: the client accounts that get tokens, and the user rows behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ADMINS", "ALL_PERMISSIONS", "DEFAULT_ACCOUNT", "Account", "User", "Users"]

ALL_PERMISSIONS = frozenset(
    {
        "add_usergrade",
        "change_usergrade",
        "add_usercredential",
        "change_usercredential",
        "delete_usercredential",
        "view_usercredential",
    }
)
ADMINS = frozenset({"add_usergrade", "change_usergrade", "add_usercredential", "change_usercredential"})
"""What the group of administrators may do: to write, but not to list what was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A client of the token endpoint, and the service user its tokens stand for.

    Attributes:
        client_id: What the client calls itself.
        client_secret: What proves it; in no repr.
        username: The service user of its tokens.
        staff: Whether the user reaches the staff endpoints, and is not throttled.
        permissions: The model permissions of the user.
        active: An inactive user may do nothing, whatever its permissions.
        administrator: The claim of that name in its tokens, which rewrites the user at every request; None leaves it
            out.
    """

    client_id: str
    client_secret: str = field(repr=False)
    username: str = "credentials_service_user"
    staff: bool = True
    permissions: frozenset[str] = ALL_PERMISSIONS
    active: bool = True
    administrator: bool | None = None


DEFAULT_ACCOUNT = Account(client_id="credsync", client_secret="not-a-secret")
"""The account of a double that was given none: staff, and with every permission."""


@dataclass(slots=True, kw_only=True)
class User:
    """A row of the service's user table."""

    username: str
    lms_user_id: int | None = None
    full_name: str = ""
    email: str = ""
    staff: bool = False
    active: bool = True
    permissions: frozenset[str] = frozenset()
    is_admin: bool = False

    def may(self, permission: str) -> bool:
        """Say whether the user has a model permission, by itself or as an administrator."""
        return self.active and (permission in self.permissions or (self.is_admin and permission in ADMINS))


class Users:
    """The user table: filled by the accounts, and by whoever comes with a valid token."""

    def __init__(self) -> None:
        self._rows: dict[str, User] = {}

    def add(self, user: User) -> None:
        """Store a row, in place of an older one with the username."""
        self._rows[user.username] = user

    def find(self, username: str) -> User | None:
        """Find a row by username, case-sensitively."""
        return self._rows.get(username)

    def find_by_lms_user_id(self, lms_user_id: int) -> User | None:
        """Find the row of an LMS user id."""
        return next((user for user in self._rows.values() if user.lms_user_id == lms_user_id), None)

    def usernames(self) -> list[str]:
        """List who has a row."""
        return sorted(self._rows)

    def admit(self, username: str, claims: Mapping[str, object]) -> User:
        """Get the row of a token's user, creating it from the claims if it is the user's first request."""
        user = self._rows.get(username)
        if user is None:
            user = _user_from_claims(username, claims)
            self._rows[username] = user
        _apply_administrator_claim(user, claims.get("administrator"))
        return user


def _user_from_claims(username: str, claims: Mapping[str, object]) -> User:
    lms_user_id = claims.get("user_id")
    return User(
        username=username,
        lms_user_id=lms_user_id if isinstance(lms_user_id, int) else None,
        full_name=str(claims.get("name", "")),
        email=str(claims.get("email", "")),
    )


def _apply_administrator_claim(user: User, claim: object) -> None:
    """Rewrite the user: true makes an administrator and staff; false takes both, absence only the first."""
    user.is_admin = claim is True
    if claim is not None:
        user.staff = claim is True
