"""Tokens: one fetch for all workers, ahead of the end, to the LMS alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from credsync.adapters.rest import (
    ClientCredentials,
    JwtTokens,
    Patience,
    credentials_from_environment,
    credentials_from_file,
)
from credsync.errors import AdapterError, ConfigurationError, SinkUnavailableError
from credsync.testing.service import CredentialsService, gateway_failure, html_error, redirect, reset, tokens_revoked
from credsync.updates import Deferred, Delivered
from tests.adapters.rest_campaign import PassingTime, grade, sink_to, tokens_of

TOKEN_PATH = "/oauth2/access_token"
SECRET = "not-a-secret"


@pytest.fixture
def time() -> PassingTime:
    """A time that passes when somebody waits."""
    return PassingTime()


@pytest.fixture
def service(time: PassingTime) -> Iterator[CredentialsService]:
    """A double on that time."""
    with CredentialsService(clock=time.stopwatch, stopwatch=time.stopwatch, throttle=None) as running:
        yield running


def patient(time: PassingTime) -> Patience:
    """Wait on the given time."""
    return Patience(sleep=time.sleep, stopwatch=time.stopwatch)


def test_a_token_is_fetched_once_for_all_workers(time: PassingTime, service: CredentialsService) -> None:
    """Many who ask at once get the same token, and nobody fetches a second."""
    tokens = tokens_of(service, patient(time))
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: tokens.token(), range(64)))

    assert len(found) == 1
    assert service.tokens_minted == 1


def test_a_token_is_renewed_ahead_of_its_end(time: PassingTime, service: CredentialsService) -> None:
    """Up to a minute before its end a token is used again, and then there is a new one."""
    tokens = tokens_of(service, patient(time))
    first = tokens.token()
    time.sleep(3600 - 61)
    again = tokens.token()
    time.sleep(2)
    renewed = tokens.token()

    assert first == again
    assert renewed != first
    assert service.tokens_minted == 2


def test_a_short_lived_token_is_used_for_most_of_its_life(time: PassingTime) -> None:
    """A token that lives shorter than the minute is renewed in its last tenth, not before each request."""
    with CredentialsService(token_lifetime=30, clock=time.stopwatch) as service:
        tokens = tokens_of(service, patient(time))
        first = tokens.token()
        time.sleep(26)
        assert tokens.token() == first
        time.sleep(2)
        assert tokens.token() != first


def test_a_refused_token_is_renewed_once_for_all_workers(time: PassingTime, service: CredentialsService) -> None:
    """Tokens that become invalid in mid-run cost one new token, however many workers meet that."""
    with sink_to(service, time, workers=16) as sink:
        sink.deliver([grade(user) for user in range(32)])
        service.revoke_tokens()
        outcomes = sink.deliver([grade(user) for user in range(32, 96)])

    assert outcomes == [Delivered()] * 64
    assert service.tokens_minted == 2


def test_a_token_that_ends_in_mid_run_costs_no_refusal(time: PassingTime) -> None:
    """Through a run that is longer than the token's life, no request is refused."""
    with CredentialsService(token_lifetime=60, clock=time.stopwatch, stopwatch=time.stopwatch) as service:
        with sink_to(service, time, workers=1, rates={"grades": 60}, tokens=tokens_of(service, patient(time))) as sink:
            outcomes = sink.deliver([grade(user) for user in range(200)])
        statuses = {entry.status for entry in service.requests}

    assert set(outcomes) == {Delivered()}
    assert statuses == {200, 201}
    assert service.tokens_minted == 4


def test_a_second_refusal_stops_the_sink(time: PassingTime, service: CredentialsService) -> None:
    """A new token that is refused as well ends the run: one renewal, two requests, and the reason."""
    service.faults.add(tokens_revoked())
    with sink_to(service, time, workers=1) as sink:
        for _ in range(2):
            with pytest.raises(SinkUnavailableError, match="the token was refused: Invalid token"):
                sink.deliver([grade(1), grade(2)])

    assert service.tokens_minted == 2
    assert [entry.status for entry in service.requests if entry.path != TOKEN_PATH] == [401, 401]


def test_a_client_that_authorizes_itself_stops_the_sink_when_refused(
    time: PassingTime, service: CredentialsService
) -> None:
    """Without tokens of its own the sink has nothing to renew: the first refusal ends the run."""
    with (
        sink_to(service, time, tokens=None, workers=1) as sink,
        pytest.raises(SinkUnavailableError, match="the token was refused"),
    ):
        sink.deliver([grade(1), grade(2)])

    assert [entry.status for entry in service.requests] == [401]


def test_a_database_outage_renews_no_token(time: PassingTime, service: CredentialsService) -> None:
    """The 401 of an outage says nothing about the token."""
    service.is_database_down = True
    with sink_to(service, time, workers=1) as sink:
        assert isinstance(sink.deliver([grade(1)])[0], Deferred)

    assert service.tokens_minted == 1


@pytest.mark.parametrize("fault", [gateway_failure(503), html_error(500), reset()], ids=lambda fault: fault.name)
def test_a_token_endpoint_in_trouble_is_asked_again(
    time: PassingTime, service: CredentialsService, fault: object
) -> None:
    """What a second try cures is no reason to stop."""
    service.faults.add(fault, times=1, path=TOKEN_PATH)  # type: ignore[arg-type]  # each is a fault
    assert tokens_of(service, patient(time)).token()


def test_a_token_endpoint_that_stays_away_stops_the_sink(time: PassingTime, service: CredentialsService) -> None:
    """Without a token nothing is sent; the LMS is asked a bounded number of times, by one worker for all."""
    service.faults.add(gateway_failure(503), path=TOKEN_PATH)
    with (
        sink_to(service, time, workers=8, tokens=tokens_of(service, patient(time))) as sink,
        pytest.raises(SinkUnavailableError, match=r"no token from .*: the service answered 503"),
    ):
        sink.deliver([grade(user) for user in range(30)])

    assert {entry.path for entry in service.requests} == {TOKEN_PATH}
    assert len(service.requests) == 6


def test_a_sink_goes_on_once_the_lms_is_back(time: PassingTime, service: CredentialsService) -> None:
    """An outage of the LMS ends a run, and not the sink: the next batch asks for a token again."""
    tokens = tokens_of(service, Patience(tries=2, sleep=time.sleep, stopwatch=time.stopwatch))
    with sink_to(service, time, tokens=tokens) as sink:
        service.faults.add(gateway_failure(503), path="/oauth2/access_token")
        with pytest.raises(SinkUnavailableError, match="no token from"):
            sink.deliver([grade()])
        service.faults.clear()
        assert sink.deliver([grade()]) == [Delivered()]


def test_a_token_is_used_to_its_end_while_the_lms_is_away(
    time: PassingTime, service: CredentialsService, caplog: pytest.LogCaptureFixture
) -> None:
    """A renewal ahead of time that fails is a warning, as long as the token is valid."""
    tokens = tokens_of(service, patient(time))
    first = tokens.token()
    time.sleep(3545)
    service.faults.add(redirect("/elsewhere"), path=TOKEN_PATH)
    meanwhile = [tokens.token() for _ in range(5)]
    time.sleep(60)
    with pytest.raises(AdapterError, match="no token from"):
        tokens.token()

    assert set(meanwhile) == {first}
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "before its end" in warnings[0].getMessage()


def test_a_wrong_secret_is_told_and_not_shown(time: PassingTime, service: CredentialsService) -> None:
    """The LMS's refusal is final, names OAuth2's own word for it, and shows neither id nor secret."""
    tokens = JwtTokens(
        url=service.token_url,
        credentials=lambda: ClientCredentials(client_id="the-client", client_secret="the-secret"),
        patience=patient(time),
    )
    with pytest.raises(AdapterError) as caught:
        tokens.token()

    assert (
        str(caught.value) == f"no token from {service.token_url}: the client id or secret is refused (invalid_client)"
    )
    assert len(service.requests) == 1


def test_the_secret_goes_to_no_redirect_target(time: PassingTime, service: CredentialsService) -> None:
    """A token endpoint that redirects elsewhere gets no second request anywhere."""
    with CredentialsService() as stranger:
        service.faults.add(redirect(f"{stranger.url}{TOKEN_PATH}", status=307), path=TOKEN_PATH)
        with pytest.raises(AdapterError, match="redirected"):
            tokens_of(service, patient(time)).token()
        assert len(stranger.requests) == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>", "no access_token"),
        (b"[]", "no access_token"),
        (b'{"access_token": "", "expires_in": 1}', "no access_token"),
        (b'{"access_token": "abc", "expires_in": "soon"}', "no access_token"),
        (b'{"access_token": "abc", "expires_in": 1, "token_type": "Bearer"}', "no JWT"),
    ],
)
def test_an_answer_without_a_token_is_told(content: bytes, reason: str) -> None:
    """What is no token for the service is not sent to it."""

    class Lms:
        def request(self, *_: object, **__: object) -> httpx.Response:
            return httpx.Response(200, content=content)

    with pytest.raises(AdapterError, match=reason):
        tokens_through(Lms).token()


def test_a_refusal_in_strange_words_is_not_repeated() -> None:
    """Only a single word is taken from the LMS's refusal; a sentence may hold what was sent."""

    class Lms:
        def request(self, *_: object, **__: object) -> httpx.Response:
            return httpx.Response(401, json={"error": f"who is {SECRET}?"})

    with pytest.raises(AdapterError) as caught:
        tokens_through(Lms).token()
    assert SECRET not in str(caught.value)


def tokens_through(open_client: Callable[[], object]) -> JwtTokens:
    """Get tokens through some client."""
    return JwtTokens(
        url="https://lms.example.com/oauth2/access_token",
        credentials=lambda: ClientCredentials(client_id="credsync", client_secret=SECRET),
        open_client=open_client,  # type: ignore[arg-type]  # a client that does as little as it can
    )


def test_credentials_come_from_the_environment() -> None:
    """Two variables hold id and secret; one that is missing is named."""
    environ = {"CREDSYNC_CLIENT_ID": "one", "CREDSYNC_CLIENT_SECRET": "two"}
    assert credentials_from_environment(environ) == ClientCredentials(client_id="one", client_secret="two")
    with pytest.raises(ConfigurationError, match="CREDSYNC_CLIENT_SECRET is not set"):
        credentials_from_environment({**environ, "CREDSYNC_CLIENT_SECRET": ""})


def test_credentials_come_from_a_file(tmp_path: Path) -> None:
    """A JSON object holds id and secret."""
    path = tmp_path / "client.json"
    path.write_text(json.dumps({"client_id": "one", "client_secret": "two"}))
    assert credentials_from_file(path) == ClientCredentials(client_id="one", client_secret="two")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (f'{{"client_secret": "{SECRET}"', "no JSON"),
        (f'["{SECRET}"]', "lack a client_id"),
        (f'{{"client_id": "{SECRET}", "client_secret": 7}}', "lack a client_secret"),
    ],
)
def test_a_file_without_credentials_is_told(tmp_path: Path, content: str | None, reason: str) -> None:
    """What is wrong with the file is said without showing what it holds."""
    path = tmp_path / "client.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        credentials_from_file(path)

    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_missing_credentials_are_told_when_a_token_is_needed(time: PassingTime, service: CredentialsService) -> None:
    """Credentials are asked for as late as the token; a keyring's own error shows by its type alone."""

    def missing() -> ClientCredentials:
        return credentials_from_environment({})

    def locked() -> ClientCredentials:
        raise PermissionError(f"the keyring with {SECRET} is locked")

    with pytest.raises(ConfigurationError, match="CREDSYNC_CLIENT_ID is not set"):
        JwtTokens(url=service.token_url, credentials=missing).token()
    with pytest.raises(AdapterError, match=r"^the client credentials cannot be had: PermissionError$"):
        JwtTokens(url=service.token_url, credentials=locked).token()
    with (
        sink_to(service, time, tokens=JwtTokens(url=service.token_url, credentials=missing)) as sink,
        pytest.raises(SinkUnavailableError, match="CREDSYNC_CLIENT_ID is not set"),
    ):
        sink.deliver([grade()])
    assert len(service.requests) == 0


def test_a_changed_secret_is_noticed(time: PassingTime, service: CredentialsService) -> None:
    """The credentials are asked for anew with each token."""
    secrets = iter(["wrong", SECRET])
    tokens = JwtTokens(
        url=service.token_url,
        credentials=lambda: ClientCredentials(client_id="credsync", client_secret=next(secrets)),
        patience=patient(time),
    )
    with pytest.raises(AdapterError):
        tokens.token()
    assert tokens.token()
