"""Tokens from the LMS, by OAuth2 client credentials: fetched by one worker for all, renewed ahead of their end."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import requests
from attrs import define, field, frozen

from credsync.adapters.rest.addresses import to_address
from credsync.adapters.rest.calling import Caller, decode_failure
from credsync.adapters.rest.exchange import Answer, Connections, HttpClient, Request, Timeouts
from credsync.adapters.rest.pacing import Lane
from credsync.adapters.rest.patience import Patience
from credsync.errors import AdapterError, ConfigurationError, CredsyncError, isolated
from credsync.updates import Rejected
from credsync.wire import Decision, Retry

__all__ = ["ClientCredentials", "JwtTokens", "credentials_from_environment", "credentials_from_file"]

LOG = logging.getLogger(__name__)

PARTS = ("client_id", "client_secret")

AHEAD = 60.0
"""Seconds before its end in which a token is renewed; a tenth of its life where that is shorter."""


@frozen(kw_only=True)
class ClientCredentials:
    """What the LMS knows its client by. Neither part shows in a repr.

    Attributes:
        client_id: The id.
        client_secret: The secret.

    Example:
        >>> ClientCredentials(client_id="credsync", client_secret="s3cret")
        ClientCredentials()
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


def credentials_from_environment(environ: Mapping[str, str] = os.environ) -> ClientCredentials:
    """Read `CREDSYNC_CLIENT_ID` and `CREDSYNC_CLIENT_SECRET`.

    Raises:
        ConfigurationError: If one is missing or empty.
    """
    parts = {}
    for name in PARTS:
        variable = f"CREDSYNC_{name.upper()}"
        if not environ.get(variable):
            raise ConfigurationError(f"the environment variable {variable} is not set")
        parts[name] = environ[variable]
    return ClientCredentials(**parts)


def credentials_from_file(path: Path | str) -> ClientCredentials:
    """Read a file that holds a JSON object with `client_id` and `client_secret`.

    Raises:
        ConfigurationError: If it cannot be read, or holds something else; what it holds does not show.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"{path}: the client credentials cannot be read: {exc.strerror}") from exc
    except ValueError:  # not chained: a decoder's error carries the document
        raise ConfigurationError(f"{path}: the client credentials are no JSON") from None
    parts = {}
    for name in PARTS:
        part = content.get(name) if isinstance(content, dict) else None
        if not isinstance(part, str) or not part:
            raise ConfigurationError(f"{path}: the client credentials lack a {name}")
        parts[name] = part
    return ClientCredentials(**parts)


@frozen
class _Grant:
    token: str = field(repr=False)
    lifetime: float


@define(kw_only=True, eq=False)
class JwtTokens:
    """A `TokenSource` that asks the LMS. Safe for threads; asks for nothing before a token is needed.

    The secret goes to `url` and nowhere else: a redirect is not followed.

    Attributes:
        url: The LMS's token endpoint, which ends in `/oauth2/access_token`.
        credentials: Gives the client's id and secret; asked anew for each token, so that a changed secret is noticed. A
            keyring does for one: `lambda: ClientCredentials(client_id=…, client_secret=keyring.get_password(…))`.
        open_client: Opens the HTTP client of a request for a token.
        timeouts: How long it waits.
        patience: How long it puts up with trouble.

    Raises:
        ConfigurationError: If the URL is none.

    Example:
        >>> tokens = JwtTokens(
        ...     url="https://lms.example.com/oauth2/access_token", credentials=credentials_from_environment
        ... )
    """

    url: str = field(converter=to_address)
    credentials: Callable[[], ClientCredentials] = field(repr=False)
    open_client: Callable[[], HttpClient] = field(default=requests.Session, repr=False)
    timeouts: Timeouts = field(factory=Timeouts)
    patience: Patience = field(factory=Patience, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)
    _token: str | None = field(default=None, init=False, repr=False)
    _renew_at: float = field(default=0.0, init=False, repr=False)
    _expires_at: float = field(default=0.0, init=False, repr=False)
    _failures: int = field(default=0, init=False, repr=False)
    _failure: CredsyncError | None = field(default=None, init=False, repr=False)

    def token(self) -> str:
        """Return a token that is valid for some time yet.

        Raises:
            AdapterError: If the LMS gives none.
            ConfigurationError: If there are no credentials to ask with.
        """
        token, now = self._token, self.patience.stopwatch()
        is_another_at_it = self._lock.locked() and now < self._expires_at
        if token is not None and (now < self._renew_at or is_another_at_it):
            return token
        return self._fetch_once(None)

    def renew(self, refused: str) -> str:
        """Return a token other than the refused one, which the first who asks fetches for all.

        Raises:
            AdapterError: If the LMS gives none.
            ConfigurationError: If there are no credentials to ask with.
        """
        return self._fetch_once(refused)

    def _fetch_once(self, refused: str | None) -> str:
        """Fetch a token, unless another worker has done so while this one waited, with success or in vain."""
        failures = self._failures
        with self._lock:
            token = self._token
            if token is not None and token != refused and self.patience.stopwatch() < self._renew_at:
                return token
            if self._failure and self._failures != failures:
                raise self._failure
            try:
                return self._keep(self._fetch())
            except CredsyncError as exc:
                return self._make_do(refused, exc)

    def _keep(self, grant: _Grant) -> str:
        now = self.patience.stopwatch()
        self._token = grant.token
        self._expires_at = now + grant.lifetime
        self._renew_at = self._expires_at - min(AHEAD, grant.lifetime / 10)
        self._failure = None
        return grant.token

    def _make_do(self, refused: str | None, failure: CredsyncError) -> str:
        """Go on with a token that is valid for a while yet, or tell all who wait that there is none."""
        left = self._expires_at - self.patience.stopwatch()
        if self._token is not None and self._token != refused and left > 0:
            LOG.warning("the token could not be renewed, %.0f s before its end: %s", left, failure)
            self._renew_at = self._expires_at - left / 2
            return self._token
        self._failures += 1
        self._failure = failure
        raise failure

    def _fetch(self) -> _Grant:
        credentials = isolated(self.credentials)
        if isinstance(credentials, CredsyncError):
            raise credentials
        if isinstance(credentials, Exception):  # not chained: its text is a stranger's, and may hold the secret
            raise AdapterError(f"the client credentials cannot be had: {type(credentials).__name__}")
        return self._ask(credentials)

    def _ask(self, credentials: ClientCredentials) -> _Grant:
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "token_type": "jwt",
        }
        caller = Caller(lane=Lane(url=self.url, patience=self.patience), authorize=_as_it_is)
        connections = Connections(open_client=self.open_client, timeouts=self.timeouts)
        try:
            with connections.lend() as connection:
                ending = caller.call(connection, Request(method="POST", url=self.url, form=form), _decode_grant)
        finally:
            connections.close()
        if isinstance(ending, _Grant):
            return ending
        last = ending.otherwise if isinstance(ending, Retry) else ending
        raise AdapterError(f"no token from {self.url}: {getattr(last, 'reason', 'no reason given')}")


def _as_it_is(request: Any) -> Any:
    """Leave a request alone. Without any `auth`, requests would take one out of the user's netrc."""
    return request


def _decode_grant(answer: Answer, now: datetime) -> _Grant | Decision:
    if answer.status == 200:
        return _read_grant(answer.body)
    if answer.status in {400, 401, 403}:
        return Rejected(reason=f"the client id or secret is refused{_error_code(answer.body)}", status=answer.status)
    return decode_failure(answer, now)


def _read_grant(body: bytes) -> _Grant | Decision:
    content = _read_object(body)
    token, lifetime = content.get("access_token"), content.get("expires_in")
    if not isinstance(token, str) or not token or not isinstance(lifetime, int | float):
        return Rejected(reason="the answer holds no access_token with its expires_in")
    if str(content.get("token_type", "jwt")).lower() != "jwt":
        return Rejected(reason="the answer holds a token that is no JWT")
    return _Grant(token, lifetime)


def _error_code(body: bytes) -> str:
    """Return OAuth2's own word for an error; any other text may repeat what was sent."""
    code = _read_object(body).get("error")
    return f" ({code})" if isinstance(code, str) and code.isidentifier() and len(code) < 40 else ""


def _read_object(body: bytes) -> dict[str, object]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
