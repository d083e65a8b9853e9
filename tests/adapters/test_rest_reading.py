"""Reading back: all pages of a list that does not stand still, and the grades beside the certificates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from credsync.adapters.rest import ApiReader, CredentialsReader, Patience
from credsync.errors import AdapterError, ConfigurationError
from credsync.testing.service import (
    CredentialsService,
    User,
    gateway_failure,
    html_error,
    outage,
    throttled,
    tokens_revoked,
    truncated,
)
from credsync.updates import Delivered
from tests.adapters.rest_campaign import RUN, PassingTime, certificate, grade, sink_to, tokens_of

CREDENTIALS = "/api/v2/credentials/"


@pytest.fixture
def time() -> PassingTime:
    """A time that passes when somebody waits."""
    return PassingTime()


@pytest.fixture
def service(time: PassingTime) -> Iterator[CredentialsService]:
    """A double that cuts each page of a list from another order."""
    with CredentialsService(clock=time.stopwatch, stopwatch=time.stopwatch, shuffle_seed=7) as running:
        yield running


@pytest.fixture
def reader(time: PassingTime, service: CredentialsService) -> Iterator[CredentialsReader]:
    """A reader of the double."""
    patience = Patience(sleep=time.sleep, stopwatch=time.stopwatch)
    with ApiReader(base_url=service.url, tokens=tokens_of(service), patience=patience) as api:
        yield CredentialsReader(api)


def award_many(service: CredentialsService, count: int) -> set[str]:
    """Award many course certificates to one learner."""
    runs = {f"course-v1:TestX+C{number}+R" for number in range(count)}
    with sink_to(service) as sink:
        assert set(sink.deliver([certificate(run=run) for run in runs])) == {Delivered()}
    service.requests.clear()
    return runs


def test_reads_every_row_of_a_list_in_no_order(service: CredentialsService, reader: CredentialsReader) -> None:
    """Rows that one reading of the pages missed come with another, and none comes twice."""
    runs = award_many(service, 50)
    rows = reader.find_credentials("learner-1")

    assert sorted(row["credential"]["course_run_key"] for row in rows) == sorted(runs)
    assert len(service.requests) > 3


def test_reads_one_learners_rows_alone(service: CredentialsService, reader: CredentialsReader) -> None:
    """Another learner's credentials are not asked for; a learner without any has none."""
    award_many(service, 2)
    assert list(reader.find_credentials("learner-2")) == []


def test_refuses_to_read_everybodys(service: CredentialsService, reader: CredentialsReader) -> None:
    """Without a username the service would return all there is."""
    with pytest.raises(AdapterError, match="without a username"):
        reader.find_credentials(" ")
    assert len(service.requests) == 0


def test_reads_grades_beside_certificates(service: CredentialsService, reader: CredentialsReader) -> None:
    """The status endpoint shows the grade of each awarded certificate, for a learner whom the service knows."""
    service.add_user(User(username="learner-1"))
    with sink_to(service) as sink:
        sink.deliver([certificate(1), grade(1), certificate(1, run="course-v1:TestX+C2+R1"), certificate(2)])

    (status,) = reader.find_statuses("learner-1", [RUN])
    assert status["course_run"]["key"] == RUN
    assert status["grade"] == {"letter_grade": "B", "percent_grade": 0.85, "verified": True}
    assert len(reader.find_statuses("learner-1")) == 2
    assert list(reader.find_statuses("learner-2")) == []


@pytest.mark.parametrize(
    "fault",
    [html_error(500), gateway_failure(502), outage(), tokens_revoked(), throttled(9), truncated()],
    ids=lambda fault: fault.name,
)
def test_passing_trouble_costs_another_try(service: CredentialsService, reader: CredentialsReader, fault: Any) -> None:
    """Reads are tried again as writes are, and wait out a pause."""
    award_many(service, 3)
    service.faults.add(fault, times=1)

    assert len(reader.find_credentials("learner-1")) == 3
    assert service.requests.impatient(grace=0) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (html_error(500), "the service failed"),
        (gateway_failure(503), "the service answered 503"),
        (html_error(403), "the account lacks the permission"),
        (html_error(404), "no such address"),
        (throttled(3000), "throttled"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.name,
)
def test_what_cannot_be_read_is_an_error(
    service: CredentialsService, reader: CredentialsReader, fault: Any, reason: str
) -> None:
    """After a bounded number of tries there is an error that says where and why, without the learner."""
    service.faults.add(fault)
    with pytest.raises(AdapterError, match=reason) as caught:
        reader.find_credentials("learner-1")

    assert f"{service.url}{CREDENTIALS} cannot be read" in str(caught.value)
    assert "learner-1" not in str(caught.value)
    assert len(service.requests) <= 7


class Canned:
    """A client that answers in turn, and again with the last."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.asked: list[Mapping[str, object]] = []

    def request(self, method: str, url: str, **asked: Any) -> httpx.Response:
        """Answer."""
        self.asked.append(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def canned(time: PassingTime, *answers: httpx.Response) -> tuple[ApiReader, Canned]:
    """Read from canned answers."""
    client = Canned(*answers)
    patience = Patience(sleep=time.sleep, stopwatch=time.stopwatch)
    return ApiReader(base_url="http://localhost", client=client, patience=patience), client


def page(count: int, *uuids: str, following: str | None = None) -> httpx.Response:
    """Make a page of a list."""
    return httpx.Response(200, json={"count": count, "next": following, "results": [{"uuid": uuid} for uuid in uuids]})


def test_the_address_of_the_next_page_is_not_gone_to(time: PassingTime) -> None:
    """Pages are asked for by number where the first one was: the service may name a host that no token is meant for."""
    elsewhere = "http://elsewhere.example.com/api/v2/credentials/?page=2"
    api, client = canned(time, page(2, "a", following=elsewhere), page(2, "b"))

    assert [row["uuid"] for row in api.list_rows("list/", {"username": "ada"})] == ["a", "b"]
    assert [asked["params"]["page"] for asked in client.asked] == ["1", "2"]  # type: ignore[index]  # a mapping


def test_a_list_that_shrinks_is_read_again(time: PassingTime) -> None:
    """A page that is gone when its turn comes ends the reading, and the next one is complete."""
    gone = httpx.Response(404, json={"detail": "Invalid page."})
    api, client = canned(time, page(3, "a", following="x"), gone, page(2, "a", "b"))

    assert {row["uuid"] for row in api.list_rows("list/", {})} == {"a", "b"}
    assert len(client.asked) == 3


def test_a_list_that_never_adds_up_is_an_error(time: PassingTime) -> None:
    """Rows that the service counts and does not show are missing, and that is not passed over."""
    api, client = canned(time, page(3, "a", "b"))
    with pytest.raises(AdapterError, match="changes too fast to be read in full"):
        api.list_rows("list/", {})
    assert len(client.asked) == 4


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"results": [], "next": None}),
        httpx.Response(200, json={"results": [{}], "next": None, "count": 1}),
        httpx.Response(200, json={"results": [], "next": None, "count": "many"}),
    ],
)
def test_an_answer_that_is_no_list_is_an_error(time: PassingTime, answer: httpx.Response) -> None:
    """A proxy's page is tried again, and then told."""
    api, client = canned(time, answer)
    with pytest.raises(AdapterError, match="the answer 200 holds no"):
        api.list_rows("list/", {})
    assert len(client.asked) == 6


def test_statuses_of_the_wrong_shape_are_an_error(time: PassingTime) -> None:
    """An answer without statuses is not taken for a learner without any."""
    api, _ = canned(time, httpx.Response(200, json=[]))
    with pytest.raises(AdapterError, match="the answer holds no statuses"):
        CredentialsReader(api).find_statuses("ada")


def test_an_address_that_is_none_is_refused() -> None:
    """A reader that could not read is not made."""
    with pytest.raises(ConfigurationError):
        ApiReader(base_url="discovery.example.com")
