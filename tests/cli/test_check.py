"""`credsync check`: each thing that a run needs, found well or named with what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from credsync.cli.check import compare_clocks
from credsync.testing.service import html_error
from tests.cli.service_bench import ServiceBench, account, make_campus, serving


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a campus, to be copied."""
    return make_campus(tmp_path_factory.mktemp("check")).parent


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A directory with a campus of one's own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def bench(directory: Path) -> Iterator[ServiceBench]:
    """A bench where all is well; no name, token or secret is in what is said at it."""
    with serving(directory) as bench:
        yield bench
        assert bench.search() == []


def states(document: dict[str, Any]) -> dict[str, str]:
    """Return how each check ended."""
    return {line["check"]: line["state"] for line in document["checks"]}


def line_of(document: dict[str, Any], check: str) -> dict[str, str]:
    """Return what one check found."""
    return next(line for line in document["checks"] if line["check"] == check)


def test_all_is_well(bench: ServiceBench) -> None:
    """Everything is looked at, nothing is wrong, and nothing was written anywhere."""
    found = bench.call_json("check", bench.campus)
    assert set(states(found).values()) == {"ok"}
    ours = {"database", "records", "catalog", "ledger"}
    theirs = {"health", "clocks", "token", "reading", "writing grades", "writing credentials", "throttle"}
    assert ours | theirs <= states(found).keys()
    assert bench.writes() == []
    assert not Path(bench.ledger).exists()


def test_the_walks_are_named(bench: ServiceBench) -> None:
    """For each table it is said which index carries its pages, if one does."""
    found = bench.call_json("check", bench.campus)
    certificates = line_of(found, "index of certificates_generatedcertificate")
    grades = line_of(found, "index of grades_persistentcoursegrade")
    assert certificates["found"] == "read by primary key, the window a filter"
    assert grades["found"].startswith("read in order of time, along ")


def test_an_account_that_is_not_staff_will_be_throttled(directory: Path) -> None:
    """It is said how long a run takes at the rates that the service then grants; that is no failure."""
    with serving(directory, accounts=[account(staff=False)]) as bench:
        found = bench.call_json("check", bench.campus)
    throttle = line_of(found, "throttle")
    assert throttle["state"] == "warning"
    assert "at 15 and 90 a minute" in throttle["found"]
    assert "--rate-grades" in throttle["remedy"]


def test_a_missing_permission_is_named(directory: Path) -> None:
    """What the account may and what it may not is told apart: here it may write grades, and nothing else."""
    with serving(directory, accounts=[account(permissions=frozenset({"add_usergrade"}))]) as bench:
        found = bench.call_json("check", bench.campus, status=1)
    assert line_of(found, "reading")["state"] == "failed"
    assert "permission" in line_of(found, "reading")["found"]
    assert line_of(found, "writing grades")["state"] == "ok"
    assert line_of(found, "writing credentials")["state"] == "failed"
    assert "add_usercredential" in line_of(found, "writing credentials")["remedy"]


def test_a_wrong_secret_is_named_and_not_shown(bench: ServiceBench) -> None:
    """Without a token the rest of the service is not asked, and the secret does not show."""
    result = bench.call("check", "--json", status=1, CREDSYNC_CLIENT_SECRET="wr0ng-secret")
    assert "the client id or secret is refused" in result.stdout
    assert "wr0ng-secret" not in result.output
    assert '"reading"' not in result.stdout


def test_a_service_without_its_database_is_not_well(bench: ServiceBench) -> None:
    """The health page says so before anything else does."""
    bench.service.is_database_down = True
    bench.service.faults.add(html_error(404))
    found = bench.call_json("check", status=1)
    assert line_of(found, "health")["found"] == "its health page answers 503"
    assert line_of(found, "health")["remedy"] == "see to its database"


def test_what_cannot_be_reached_is_named(bench: ServiceBench, tmp_path: Path) -> None:
    """A source, a catalog and a service that are not there are a line each; one does not hide the other."""
    missing = str(tmp_path / "nowhere.db")
    found = bench.call_json(
        "check", missing, "--sink", "http://127.0.0.1:9", "--ledger", str(tmp_path), status=1, CREDSYNC_LMS_URL=""
    )
    failed = {check for check, state in states(found).items() if state == "failed"}
    assert {"database", "catalog", "health", "token"} <= failed
    assert all(line["remedy"] for line in found["checks"] if line["state"] == "failed")


def test_an_old_or_empty_catalog_is_named(bench: ServiceBench) -> None:
    """A catalog without programs would keep every grade back."""
    catalog = bench.directory / "empty.json"
    catalog.write_text("[]")
    found = bench.call_json("check", "--catalog", str(catalog), status=1, CREDSYNC_SINK="")
    assert line_of(found, "catalog")["state"] == "failed"


def test_the_ledger_tells_of_its_last_run(bench: ServiceBench) -> None:
    """After a run the ledger says how that ended."""
    bench.notify()
    assert "is complete" in line_of(bench.call_json("check", CREDSYNC_SINK=""), "ledger")["found"]


def test_a_ledger_that_cannot_be_one_is_named(bench: ServiceBench) -> None:
    """What a run would be refused is no ledger that it would make."""
    Path(bench.ledger).write_bytes(b"no database at all" * 100)
    line = line_of(bench.call_json("check", status=1, CREDSYNC_SINK=""), "ledger")
    assert (line["state"], "it is not a SQLite database" in line["found"]) == ("failed", True)


def test_the_catalog_may_come_from_its_api(bench: ServiceBench) -> None:
    """Where the API is named it is asked."""
    found = bench.call_json("check", "--catalog-url", bench.service.catalog_url, CREDSYNC_SINK="")
    assert "from its API" in line_of(found, "catalog")["found"]


def test_the_screen_has_a_line_for_each(bench: ServiceBench) -> None:
    """On the screen each check has a line, with its state."""
    shown = bench.call("check", bench.campus).stdout
    assert "throttle" in shown
    assert "the account is staff" in shown


def test_nothing_to_check_is_wrong_use(bench: ServiceBench) -> None:
    """Without anything named there is nothing to check."""
    assert "nothing to check" in bench.call("check", status=2, CREDSYNC_SINK="", CREDSYNC_LEDGER="").stderr


@pytest.mark.parametrize(("ahead", "state"), [(0, "ok"), (2, "ok"), (3, "failed"), (-3, "warning")])
def test_clocks_apart_are_named(ahead: int, state: str) -> None:
    """An LMS whose clock is ahead hands out tokens that are not valid yet; behind, they end early."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    (line,) = compare_clocks(now, now + timedelta(seconds=ahead))
    assert str(line.state) == state


def test_a_clock_that_does_not_show_is_said_so() -> None:
    """A proxy may leave the time out; then nothing is known."""
    (line,) = compare_clocks(None, None)
    assert str(line.state) == "warning"
