"""JSON web tokens: minted at the LMS's token endpoint, checked by the service.

The real ones are signed with a key pair. The double signs with a key of its own, so nothing but the double takes them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping

from credsync.testing.service.accounts import Account
from credsync.testing.service.bodies import UnreadableBodyError
from credsync.testing.service.exchange import Answer, Request, json_answer

__all__ = ["InvalidTokenError", "Mint"]

ALGORITHM = "HS256"
AUDIENCE = "credsync-double"
ISSUER = "http://credsync-double/oauth2"


class InvalidTokenError(Exception):
    """A token that is forged, expired, or not for this service; the answer never says which."""


class Mint:
    """Mints tokens for known clients, and checks them.

    Args:
        accounts: The clients that get tokens.
        clock: The time in seconds since the epoch.
        lifetime: Seconds a token is valid.
    """

    def __init__(self, accounts: Iterable[Account], *, clock: Callable[[], float], lifetime: float) -> None:
        self._accounts = {account.client_id: account for account in accounts}
        self._clock = clock
        self.lifetime = lifetime
        self.minted = 0
        self._key = secrets.token_bytes(32)

    def revoke_all(self) -> None:
        """Make every token so far invalid."""
        self._key = secrets.token_bytes(32)

    def token_for(self, username: str, claims: Mapping[str, object]) -> str:
        """Mint a token for a username; `claims` replace the usual ones, and a None leaves one out."""
        self.minted += 1
        now = int(self._clock())
        usual: dict[str, object] = {
            "aud": AUDIENCE,
            "iss": ISSUER,
            "iat": now,
            "exp": now + self.lifetime,
            "preferred_username": username,
            "scopes": ["read", "write"],
            "version": "1.2.0",
        }
        chosen = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        signed = f"{_encode({'alg': ALGORITHM, 'typ': 'JWT'})}.{_encode(chosen)}"
        return f"{signed}.{self._signature(signed)}"

    def claims_of(self, token: str) -> dict[str, object]:
        """Check a token and return its claims. There is no leeway for clocks that differ.

        Raises:
            InvalidTokenError: If it is not a valid token of this moment.
        """
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise InvalidTokenError
        claims = json.loads(_decode(signed.partition(".")[2]))
        if not isinstance(claims, dict) or not self._is_valid_now(claims):
            raise InvalidTokenError
        return claims

    def _is_valid_now(self, claims: Mapping[str, object]) -> bool:
        now = self._clock()
        issued, expires = claims.get("iat"), claims.get("exp")
        return (
            isinstance(issued, int | float)
            and isinstance(expires, int | float)
            and issued <= now < expires
            and claims.get("aud") == AUDIENCE
            and claims.get("iss") == ISSUER
            and str(claims.get("version", "1")).partition(".")[0] == "1"
        )

    def _signature(self, signed: str) -> str:
        return _strip(urlsafe_b64encode(hmac.digest(self._key, signed.encode(), hashlib.sha256)))

    def answer(self, request: Request) -> Answer:
        """Answer a POST to the token endpoint: client credentials, form-encoded."""
        if request.method != "POST":
            return json_answer(405, {"error": "invalid_request"})
        fields = _form_of(request)
        if fields.get("grant_type") != "client_credentials":
            return json_answer(400, {"error": "unsupported_grant_type"})
        account = self._accounts.get(str(fields.get("client_id")))
        if account is None or not _is_same(account.client_secret, str(fields.get("client_secret"))):
            return json_answer(401, {"error": "invalid_client"})
        return self._grant(account, is_jwt=str(fields.get("token_type")).lower() == "jwt")

    def _grant(self, account: Account, *, is_jwt: bool) -> Answer:
        """Hand out a token. Without `token_type=jwt` it is an opaque one, which the service does not take."""
        token = self.token_for(account.username, {"administrator": account.administrator})
        content = {
            "access_token": token if is_jwt else secrets.token_urlsafe(24),
            "expires_in": self.lifetime,
            "token_type": "JWT" if is_jwt else "Bearer",
            "scope": "read write",
        }
        return json_answer(200, content)


def _form_of(request: Request) -> dict[str, object]:
    try:
        payload = request.payload
    except UnreadableBodyError:
        return {}
    return payload.content if payload.is_form and isinstance(payload.content, dict) else {}


def _is_same(secret: str, given: str) -> bool:
    return hmac.compare_digest(secret.encode(), given.encode())


def _encode(value: object) -> str:
    return _strip(urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()))


def _strip(encoded: bytes) -> str:
    return encoded.rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
