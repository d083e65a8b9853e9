"""`credsync notify --sink`: to the service, past the ledger, with the programs from a file or from the catalog."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from credsync.adapters.rest import SinkStatistics
from credsync.cli.access import Access, describe_standing, opened_destination, token_url
from credsync.cli.estimate import describe_estimate
from credsync.cli.interruption import Interruption
from credsync.cli.ledgers import destination_name
from credsync.cli.progress import time_left
from credsync.cli.service import Service
from credsync.report import Report
from credsync.testing.service import Fault, html_error
from credsync.testing.service.exchange import json_answer
from tests.adapters.rest_campaign import grade
from tests.cli.service_bench import SECRET, ServiceBench, account, make_campus, serving


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a campus, to be copied."""
    return make_campus(tmp_path_factory.mktemp("service")).parent


@pytest.fixture
def directory(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a campus of one's own, to work in."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bench(directory: Path) -> Iterator[ServiceBench]:
    """A bench at which nothing was sent yet; whatever is said at it, no name, token or secret is in it."""
    with serving(directory) as bench:
        yield bench
        assert bench.search() == []


def test_the_service_holds_what_was_sent(bench: ServiceBench) -> None:
    """Every record that the report counts as sent is a row of the service."""
    report = bench.notify()
    stored = len(bench.service.grades) + len(bench.service.credentials)
    assert report["kinds"]["grade"]["sent"] == len(bench.service.grades) > 0
    assert report["kinds"]["certificate"]["sent"] == len(bench.service.credentials) > 0
    assert len(bench.writes()) == stored


def test_a_second_run_sends_nothing(bench: ServiceBench) -> None:
    """The ledger in front knows what the service has, also when its address is written in another way."""
    sent = bench.notify()["kinds"]["grade"]["sent"]
    bench.service.requests.clear()
    report = bench.notify("--sink", f"{bench.service.url}/")
    assert report["kinds"]["grade"]["unchanged"] == sent
    assert bench.writes() == []


def test_only_what_changed_goes_out(bench: ServiceBench) -> None:
    """After a change of some rows, exactly these are written."""
    bench.notify()
    bench.service.requests.clear()
    (kind, username, run), *_ = [("grade", *key) for key in bench.service.grades]
    changed = bench.execute(
        "UPDATE grades_persistentcoursegrade SET percent_grade = 0.4242 WHERE course_id = ?"
        " AND user_id = (SELECT id FROM auth_user WHERE username = ?)",
        run,
        username,
    )
    bench.notify()
    assert (changed, bench.writes()) == (1, [(kind, username, run)])
    assert str(bench.service.grades[username, run].percent_grade) == "0.4242"


def test_the_ledger_of_a_service_lies_in_the_directory_of_the_call(bench: ServiceBench) -> None:
    """Where no option names a ledger, a file beside the caller remembers."""
    missing = bench.call("report", status=2, CREDSYNC_LEDGER="")
    assert "there is no credsync-ledger.db here: --ledger names" in missing.stderr
    bench.call("notify", bench.campus, "--all", "--quiet", CREDSYNC_LEDGER="")
    assert (bench.directory / "credsync-ledger.db").is_file()
    assert bench.call("report", CREDSYNC_LEDGER="").stdout.startswith("Run 1 (notify), begun ")
    bench.call("letters", CREDSYNC_LEDGER="")


def test_explain_takes_the_programs_of_the_catalog_service(bench: ServiceBench) -> None:
    """Whoever runs with them has a record explained by them, too."""
    (bench.directory / "campus.catalog.json").unlink()
    with closing(sqlite3.connect(bench.campus)) as database:
        user, run = database.execute("SELECT user_id, course_id FROM grades_persistentcoursegrade").fetchone()
    which = ("--user-id", str(user), "--course-run", run)
    told = bench.call("explain", bench.campus, *which, "--catalog-url", bench.service.catalog_url)
    assert f"grade in {run} for user {user}: would be " in told.stdout


def test_what_the_library_warns_of_says_who_speaks(bench: ServiceBench) -> None:
    """In a log of many programs, a line names its own."""
    bench.service.faults.add(html_error(403))
    lines = bench.call("notify", bench.campus, "--all", status=3).stderr.splitlines()
    assert [line.startswith("credsync: ") for line in lines if "nothing more is sent" in line] == [True]


def test_an_estimate_comes_before_the_run(bench: ServiceBench) -> None:
    """How many requests there may be, and how long they take, is said beside the report."""
    result = bench.call("notify", bench.campus, "--all", "--rate-grades", "90000", "--rate-credentials", "90000")
    assert "selected: " in result.stderr
    assert "90,000 and 90,000 a minute" in result.stderr
    assert "selected: " not in result.stdout


def test_a_dry_run_asks_nobody(bench: ServiceBench) -> None:
    """A dry run needs no token and sends nothing, and knows what the ledger knows."""
    bench.notify()
    bench.service.requests.clear()
    report = bench.notify("--dry-run")
    assert report["kinds"]["grade"]["unchanged"] == len(bench.service.grades)
    assert len(bench.service.requests) == 0


def test_programs_come_from_the_catalog_service(bench: ServiceBench) -> None:
    """The course catalog's API has the programs, and what it said last is kept and used while it is away."""
    (bench.directory / "campus.catalog.json").rename(bench.directory / "elsewhere.json")
    catalog = ("--catalog-url", bench.service.catalog_url, "--catalog-cache", str(bench.directory / "cache.json"))
    first = bench.notify("--dry-run", *catalog)
    bench.service.faults.add(html_error(404), path="/api/v1/")
    again = bench.call("notify", bench.campus, "--all", "--dry-run", "--json", *catalog)
    (bench.directory / "elsewhere.json").rename(bench.directory / "campus.catalog.json")
    assert first["kinds"]["grade"]["sent"] > 0
    assert json.loads(again.stdout)["kinds"] == first["kinds"]
    assert "so one is used that is" in again.stderr


def test_excluded_programs_are_not_awarded(bench: ServiceBench) -> None:
    """What an operator excludes is neither awarded nor asked about."""
    for name in bench.names():
        bench.service.token_for(name)
    every = [str(program["uuid"]) for program in json.loads((bench.directory / "campus.catalog.json").read_text())]
    awarded = bench.notify("--dry-run", "--no-ledger", "--notify-programs")
    none = bench.notify("--dry-run", "--no-ledger", "--notify-programs", "--exclude-program", *every)
    assert awarded["kinds"]["program"]["sent"] > 0
    assert "program" not in none["kinds"]


def test_a_letter_is_retried_at_the_service(bench: ServiceBench) -> None:
    """What the service refused becomes a letter of the service's, and is sent again once it takes it."""
    refusal = json_answer(400, {"percent_grade": ["A valid number is required."]})
    refused = Fault(name="refused", answer=lambda _username, _now: refusal)
    bench.service.faults.add(refused, times=1, method="POST", path="/api/v2/grades/")
    bench.notify(status=1)
    report = bench.call_json("retry", bench.campus, "--sink", bench.service.url)
    assert report["kinds"]["grade"]["sent"] == 1
    assert json.loads(bench.call("letters", "--ledger", bench.ledger, "--json").stdout)["letters"] == []


def test_a_wrong_secret_sends_nothing(directory: Path) -> None:
    """Who is refused a token is told so before anything is read, and the secret does not show."""
    with serving(directory) as bench:
        result = bench.call("notify", bench.campus, "--all", status=2, CREDSYNC_CLIENT_SECRET="wr0ng-secret")
        assert "the client id or secret is refused" in result.stderr
        assert "wr0ng-secret" not in result.output
        assert bench.writes() == []


def test_an_account_without_permission_stops_the_run(directory: Path) -> None:
    """A 403 ends the run at once, resumable, with the reason."""
    with serving(directory, accounts=[account(permissions=frozenset())]) as bench:
        report = bench.notify("--page-size", "1", "--workers", "1", status=3)
        assert "permission" in report["stopped"]["reason"]
        assert (len(bench.service.grades), len(bench.service.credentials)) == (0, 0)


def test_the_secret_may_lie_in_a_file(directory: Path) -> None:
    """A file takes the place of the environment."""
    file = directory.parent / f"{directory.name}-client.json"
    file.write_text(json.dumps({"client_id": "credsync", "client_secret": SECRET}))
    with serving(directory) as bench:
        bench.call(
            "notify",
            bench.campus,
            "--all",
            "--credentials-file",
            str(file),
            CREDSYNC_CLIENT_ID="",
            CREDSYNC_CLIENT_SECRET="",
        )
        assert bench.service.grades


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        (["--sink", "http://c.example", "--out", "o.db"], {}, "--out and --sink are two destinations"),
        (["--sink", "outbox.db"], {}, "an address begins with http:// or https://"),
        (["--sink", "http://c.example"], {"CREDSYNC_LMS_URL": ""}, "nothing says where the tokens come from"),
        (["--sink", "http://c.example"], {"CREDSYNC_CLIENT_ID": ""}, "CREDSYNC_CLIENT_ID is not set"),
        (["--sink", "http://me:hush@c.example"], {}, "holds a name or password"),
        (["--catalog-cache", "c.json", "--dry-run"], {}, "--catalog-cache says nothing without --catalog-url"),
        (["--catalog", "c.json", "--catalog-url", "http://d.example", "--dry-run"], {}, "two catalogs"),
        (["--org-url", "A=http://a.example", "A=http://b.example", "--dry-run"], {}, "an organisation twice"),
        (["--org-url", "nonsense", "--dry-run"], {}, "is not of the form ORG=URL"),
        (["--exclude-program", "6883080f-0000-4000-8000-000000000001", "--dry-run"], {}, "without --notify-programs"),
    ],
)
def test_wrong_use_is_one_line(
    bench: ServiceBench, arguments: list[str], environment: dict[str, str], line: str
) -> None:
    """What contradicts itself, or is missing, is said before anything is done."""
    result = bench.call("notify", bench.campus, "--all", *arguments, status=2, **environment)
    assert line in result.stderr
    assert "hush" not in result.output
    assert result.stderr.count("\n") == 1
    assert len(bench.service.requests) == 0


def test_an_outbox_goes_before_a_sink_of_the_environment(bench: ServiceBench) -> None:
    """Who names an outbox means it, whatever the environment says."""
    outbox = bench.directory.parent / f"{bench.directory.name}-outbox.db"
    bench.call("notify", bench.campus, "--all", "--out", str(outbox), CREDSYNC_LEDGER="")
    assert outbox.is_file()
    assert len(bench.service.requests) == 0


def test_the_pace_shows(bench: ServiceBench) -> None:
    """The line that moves says how many requests a minute there are, once there are some."""
    service = Service(sink=bench.service.url, lms=bench.service.url, credentials_file=secret_file(bench.directory))
    with opened_destination(bench.service.url, bench.campus, Access(service, Interruption())) as (sink, describe):
        assert sink is not None
        assert describe() == ""
        sink.deliver([grade()])
        assert describe().endswith("requests a minute")


def test_a_pause_shows() -> None:
    """While the service is throttling, the line says for how long."""
    standing = SinkStatistics(requests=90, pauses=1, seconds=60, paused_for=31)
    assert describe_standing(standing) == "90 requests a minute, the service asks to pause for 31 s"


@pytest.mark.parametrize(("total", "line"), [(None, ""), (100, ""), (1000, ", 15 min left")])
def test_the_time_left_goes_by_the_rate_so_far(total: int | None, line: str) -> None:
    """100 records in 100 seconds leave 900 seconds for the other 900; where nobody knows how many, nothing is said."""
    started = datetime(2026, 5, 1, tzinfo=UTC)
    report = Report(read={"grade": 100}, counts={}, started=started, ended=started + timedelta(seconds=100))
    assert time_left(report, total) == line


def secret_file(directory: Path) -> Path:
    """Write the client's id and secret to a file beside the directory."""
    file = directory.parent / f"{directory.name}-secret.json"
    file.write_text(json.dumps({"client_id": "credsync", "client_secret": SECRET}))
    return file


@pytest.mark.parametrize(
    ("one", "another", "are_same"),
    [
        ("https://c.example.com/", "HTTPS://C.example.com", True),
        ("https://c.example.com/a", "https://c.example.com/b", False),
        ("https://c.example.com", "http://c.example.com", False),
    ],
)
def test_a_service_has_one_name(one: str, another: str, are_same: bool) -> None:
    """A ledger knows a service by its origin and path."""
    assert (destination_name("ledger.db", one) == destination_name("ledger.db", another)) is are_same


@pytest.mark.parametrize("url", ["https://lms.example.com", "https://lms.example.com/oauth2/access_token/"])
def test_tokens_come_from_the_lms(url: str) -> None:
    """The LMS may be named by its root or by the address of its tokens."""
    assert token_url(url) == "https://lms.example.com/oauth2/access_token"


@pytest.mark.parametrize(
    ("selected", "rates", "told"),
    [
        (
            {"certificate": 1, "grade": 600_000},
            {"credentials": 14},
            (
                "1 certificate and 600,000 grades; to send them all takes about 1 h 40 min,"
                " at 14 and 6,000 a minute (a small service's pace, where no limit is given)"
            ),
        ),
        (
            {"certificate": 0, "grade": 1_000_000},
            {"credentials": 14, "grades": 85},
            (
                "0 certificates and more than 1,000,000 grades; to send them all takes more than 8 d 4 h,"
                " at 14 and 85 a minute"
            ),
        ),
        ({"certificate": 0, "grade": 0}, {}, "nothing"),
    ],
    ids=["a limit for one", "more than is counted", "nothing"],
)
def test_an_estimate_says_what_it_goes_by(selected: dict[str, int], rates: dict[str, float], told: str) -> None:
    """How much, how long, and at what pace; where no limit is given, what that pace is."""
    assert describe_estimate(selected, rates) == f"selected: {told}"
