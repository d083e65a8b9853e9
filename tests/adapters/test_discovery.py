"""The program catalog over HTTP: all programs or none, and the last complete ones on worse days."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from credsync.adapters.discovery import DiscoveryCatalog, KeptCatalog
from credsync.adapters.rest import ApiReader, Patience
from credsync.catalog import Program, ProgramIndex
from credsync.errors import AdapterError
from credsync.testing.service import CredentialsService, gateway_failure, html_error, throttled
from tests.adapters.rest_campaign import PassingTime, tokens_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def uuid_of(number: int) -> str:
    """Name a program."""
    return f"6883080f-0000-4000-8000-{number:012d}"


def program(number: int, status: str = "active") -> dict[str, Any]:
    """Make a program in the catalog's shape, with much that nobody reads."""
    run = f"course-v1:DemoX+C{number}+R"
    courses = [{"key": f"DemoX+C{number}", "title": "A course", "course_runs": [{"key": run, "type": "verified"}]}]
    elective = {"key": "DemoX+E", "course_runs": [{"key": f"course-v1:DemoX+E{number}+R", "type": None}]}
    return {
        "uuid": uuid_of(number),
        "title": f"Program {number}",
        "status": status,
        "type": "MicroMasters",
        "authoring_organizations": [{"key": "DemoX"}],
        "courses": courses,
        "curricula": [{"courses": [elective], "programs": []}],
        "banner_image": {"large": {"url": "https://example.com/a.png"}},
    }


class Api:
    """The catalog's API as a dictionary; whatever is missing, or an error, is raised."""

    def __init__(self, *programs: dict[str, Any]) -> None:
        self.documents: dict[str, Any] = {"programs/": [program["uuid"] for program in programs]}
        self.documents |= {f"programs/{program['uuid']}/": program for program in programs}
        self.asked: list[str] = []

    def __call__(self, path: str, query: Mapping[str, str | Sequence[str]] | None = None) -> Any:
        """Read a document."""
        self.asked.append(path)
        document = self.documents.get(path, AdapterError(f"{path}: no such address"))
        if isinstance(document, AdapterError):
            raise document
        return document


class Clock:
    """Tells the time it is given."""

    now = NOW

    def __call__(self) -> datetime:
        """Tell it."""
        return self.now


@pytest.fixture
def api() -> Api:
    """An API with three programs."""
    return Api(program(1), program(2), program(3))


@pytest.fixture
def clock() -> Clock:
    """A clock to set."""
    return Clock()


@pytest.fixture
def catalog(api: Api, clock: Clock, tmp_path: Path) -> DiscoveryCatalog:
    """A catalog that keeps what it reads for a day."""
    return DiscoveryCatalog(read=api, keep_in=tmp_path / "catalog.json", clock=clock, workers=2)


def test_reads_every_program(catalog: DiscoveryCatalog) -> None:
    """Programs come as the API lists them, each with its courses and those of its curricula."""
    programs = catalog.programs()
    assert list(programs) == [Program.from_dict(program(number)) for number in (1, 2, 3)]
    assert ProgramIndex.from_catalog(catalog).programs_of("course-v1:DemoX+E2+R")


def test_a_program_listed_twice_is_read_once(api: Api, catalog: DiscoveryCatalog) -> None:
    """However the API writes a UUID, it is one program."""
    api.documents["programs/"] = [uuid_of(1), uuid_of(1).upper(), uuid_of(1).replace("-", "")]
    assert len(catalog.programs()) == 1


@pytest.mark.parametrize(
    ("path", "document", "reason"),
    [
        ("programs/", AdapterError("away"), "away"),
        ("programs/", {"results": []}, "a list of UUIDs is wanted here, not dict"),
        ("programs/", [uuid_of(1), "../health"], "a UUID is wanted here"),
        (f"programs/{uuid_of(2)}/", AdapterError("away"), "away"),
        (f"programs/{uuid_of(2)}/", [], "an object is wanted here"),
        (f"programs/{uuid_of(2)}/", program(7), "this is another program"),
        (f"programs/{uuid_of(2)}/", {**program(2), "courses": [{"course_runs": 7}]}, "courses"),
    ],
)
def test_one_failure_fails_them_all(api: Api, catalog: DiscoveryCatalog, path: str, document: Any, reason: str) -> None:
    """Part of a catalog is never taken for the whole; without a kept one that is an error that says where."""
    api.documents[path] = document
    with pytest.raises(AdapterError, match="cannot be had, and none is kept") as caught:
        catalog.programs()

    assert reason in str(caught.value)
    assert catalog.find_kept() is None


def test_a_failure_ends_the_reading(api: Api, clock: Clock) -> None:
    """What has not begun when one program fails is not read any more."""
    many = Api(*map(program, range(200)))
    many.documents[f"programs/{uuid_of(0)}/"] = AdapterError("away")
    with pytest.raises(AdapterError):
        DiscoveryCatalog(read=many, workers=1).programs()
    assert len(many.asked) < 100


def test_the_last_complete_catalog_stands_in(
    api: Api, catalog: DiscoveryCatalog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """When a refresh fails, the programs of the last good one are used, and a warning says how old they are."""
    complete = list(catalog.programs())
    api.documents[f"programs/{uuid_of(3)}/"] = AdapterError("away")
    clock.now += timedelta(hours=23)

    assert list(catalog.programs()) == complete
    (warning,) = caplog.records
    assert (warning.levelno, warning.getMessage()) == (
        logging.WARNING,
        "the program catalog cannot be had, so one is used that is 23:00:00 old: away",
    )


def test_a_failed_refresh_does_not_make_the_kept_one_younger(api: Api, catalog: DiscoveryCatalog, clock: Clock) -> None:
    """A kept catalog is used up to its age and no longer."""
    catalog.programs()
    api.documents["programs/"] = AdapterError("away")
    clock.now += timedelta(hours=20)
    catalog.programs()
    clock.now += timedelta(hours=5)
    with pytest.raises(AdapterError, match=r"the kept one is too old \(1 day, 1:00:00\): away"):
        catalog.programs()


def test_an_empty_catalog_never_takes_the_place_of_a_full_one(
    api: Api, catalog: DiscoveryCatalog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """An API that lists nothing where there were programs is taken for a failure."""
    catalog.programs()
    api.documents["programs/"] = []
    assert len(catalog.programs()) == 3
    assert "lists no program" in caplog.text
    clock.now += timedelta(days=2)
    with pytest.raises(AdapterError, match="too old"):
        catalog.programs()


def test_a_catalog_that_never_had_a_program_is_empty(api: Api, catalog: DiscoveryCatalog) -> None:
    """Whether empty is meant, the run decides; nothing is kept of it."""
    api.documents["programs/"] = []
    assert list(catalog.programs()) == []
    assert catalog.find_kept() is None


def test_the_kept_catalog_tells_its_age_and_holds_what_is_read(
    api: Api, catalog: DiscoveryCatalog, tmp_path: Path
) -> None:
    """The file holds all that credsync reads of a program, and nothing else."""
    programs = catalog.programs()
    kept = catalog.find_kept()

    assert kept == KeptCatalog(programs=programs, fetched_at=NOW)
    assert "banner" not in (tmp_path / "catalog.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["catalog.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 2}', '{"format": 1, "fetched_at": "noon"}', '{"format": 1, "fetched_at": 7}']
)
def test_a_kept_catalog_that_cannot_be_read_is_none(
    api: Api, catalog: DiscoveryCatalog, tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged file is a warning, and replaced by the next good refresh."""
    (tmp_path / "catalog.json").write_text(content)
    assert catalog.find_kept() is None
    assert "cannot be read" in caplog.text
    catalog.programs()
    assert catalog.find_kept() is not None


def test_a_catalog_that_cannot_be_kept_is_used_all_the_same(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that is not there costs a warning, not the run."""
    catalog = DiscoveryCatalog(read=api, keep_in=tmp_path / "missing" / "catalog.json")
    assert len(catalog.programs()) == 3
    assert "the catalog cannot be kept: No such file or directory" in caplog.text


def test_a_writer_that_fails_leaves_the_kept_catalog_whole(api: Api, catalog: DiscoveryCatalog, tmp_path: Path) -> None:
    """The file is replaced in one stroke or not at all."""
    catalog.programs()
    before = (tmp_path / "catalog.json").read_text()
    (tmp_path / "catalog.json").unlink()
    (tmp_path / "catalog.json").mkdir()
    catalog.programs()
    (tmp_path / "catalog.json").rmdir()

    assert before
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double with programs of every status."""
    statuses = ["active", "retired", "unpublished", "deleted", *["active"] * 20]
    with CredentialsService(programs=[program(number, status) for number, status in enumerate(statuses)]) as running:
        yield running


@pytest.fixture
def over_http(service: CredentialsService) -> Iterator[DiscoveryCatalog]:
    """A catalog that reads the double."""
    time = PassingTime()
    patience = Patience(tries=3, sleep=time.sleep, stopwatch=time.stopwatch)
    with ApiReader(base_url=service.catalog_url, tokens=tokens_of(service), patience=patience) as reader:
        yield DiscoveryCatalog(read=reader.get)


def test_reads_active_and_retired_programs_over_http(service: CredentialsService, over_http: DiscoveryCatalog) -> None:
    """One listing, one request for each program, and no thread that stays."""
    programs = over_http.programs()

    assert {program.status for program in programs} == {"active", "retired"}
    assert len(programs) == 22
    assert sum(entry.path.startswith("/api/v1/programs/") for entry in service.requests) == 23
    assert [thread for thread in threading.enumerate() if thread.name.startswith("credsync-discovery")] == []


def test_passing_trouble_over_http_costs_another_try(service: CredentialsService, over_http: DiscoveryCatalog) -> None:
    """Faults that a second try cures don't fail the refresh, and a pause is kept."""
    for fault in (gateway_failure(502), throttled(20), html_error(500)):
        service.faults.add(fault, times=1)
    assert len(over_http.programs()) == 22


def test_a_program_that_cannot_be_read_over_http_fails_them_all(
    service: CredentialsService, over_http: DiscoveryCatalog
) -> None:
    """The error names the address and what came from there."""
    service.faults.add(html_error(404), path=f"/api/v1/programs/{uuid_of(5)}/")
    with pytest.raises(AdapterError, match=rf"/programs/{uuid_of(5)}/ cannot be read: no such address"):
        over_http.programs()


def test_what_is_kept_is_json(catalog: DiscoveryCatalog, tmp_path: Path) -> None:
    """The file can be looked at, and says which form it has."""
    catalog.programs()
    document = json.loads((tmp_path / "catalog.json").read_text())
    assert (document["format"], document["fetched_at"]) == (1, "2026-05-01T00:00:00+00:00")
