"""No token, secret or username shows: not in logs, errors, outcomes or reprs, whatever goes wrong."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator

import httpx
import pytest
import requests

from credsync.adapters.rest import ApiReader, ClientCredentials, CredentialsReader, JwtTokens, Patience, RestSink
from credsync.errors import CredsyncError
from credsync.testing.service import (
    CredentialsService,
    gateway_failure,
    html_error,
    outage,
    redirect,
    reset,
    throttled,
    tokens_revoked,
    truncated,
)
from credsync.updates import Update
from tests.adapters.rest_campaign import PassingTime, award, certificate, grade, revocation, tokens_of

SECRETS = ("not-a-secret", "eyJ")
LEARNER = "learner-1"
USERNAMES = ("learner-", "credentials_service_user")

FAULTS = [
    html_error(500),
    html_error(404),
    gateway_failure(502),
    outage(),
    reset(),
    truncated(),
    tokens_revoked(),
    throttled(4000),
    redirect("https://elsewhere.example.com/?username=learner-1&next=/"),
]


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double that does not know the course run, so that what it refuses quotes the update."""
    with CredentialsService(course_runs=["course-v1:TestX+C2+R1"]) as running:
        yield running


@pytest.mark.parametrize("open_client", [requests.Session, httpx.Client])
@pytest.mark.parametrize("fault", [None, *FAULTS], ids=lambda fault: fault.name if fault else "none")
def test_nothing_shows(
    service: CredentialsService, fault: object, open_client: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Every text that leaves the adapter, at every log level of every library, is free of secrets and usernames."""
    caplog.set_level(logging.DEBUG)
    time = PassingTime()
    patience = Patience(sleep=time.sleep, stopwatch=time.stopwatch)
    tokens = tokens_of(service, patience)
    shared = {"tokens": tokens, "patience": patience, "open_client": open_client}
    if fault is not None:
        service.faults.add(fault)  # type: ignore[arg-type]  # each is a fault
    updates: list[Update] = [
        grade(),
        certificate(run="course-v1:TestX+C2+R1"),
        award(),
        revocation(2),
        grade(percent=7),
    ]
    texts: list[str] = []
    with (
        RestSink(base_url=service.url, **shared) as sink,  # type: ignore[arg-type]  # options by name
        ApiReader(base_url=service.url, **shared) as api,  # type: ignore[arg-type]  # likewise
    ):
        reader = CredentialsReader(api)
        for work in (
            lambda: sink.deliver(updates),
            lambda: sink.deliver(updates[:1]),
            lambda: reader.find_credentials(LEARNER),
        ):
            try:
                result = work()
            except CredsyncError as exc:
                texts += [repr(exc), *traceback.format_exception(exc)]
            else:
                texts += [repr(outcome) for outcome in result if not isinstance(outcome, dict)]
        texts += map(repr, (sink, api, reader, tokens, sink.statistics))

    everything = "\n".join([*texts, caplog.text, *(repr(record.args) for record in caplog.records)])
    assert [word for word in (*SECRETS, *USERNAMES) if word in everything] == []


def test_a_secret_is_in_no_repr() -> None:
    """Credentials and tokens hide what they hold."""
    credentials = ClientCredentials(client_id="the-client", client_secret="the-secret")
    tokens = JwtTokens(url="https://lms.example.com/oauth2/access_token", credentials=lambda: credentials)
    assert repr(credentials) == "ClientCredentials()"
    assert "the-" not in repr(tokens)
