"""`credsync verify`: what is missing, different, extra or unreadable at the service, and sending what is wrong."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from credsync.testing.service import User, gateway_failure
from tests.cli.service_bench import ServiceBench, account, make_campus, serving


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a campus, to be copied."""
    return make_campus(tmp_path_factory.mktemp("verify")).parent


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A directory with a campus of one's own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def bench(directory: Path) -> Iterator[ServiceBench]:
    """A service that was sent everything and has met every learner; no name, token or secret is in what is said."""
    with serving(directory) as bench:
        for name in bench.names():
            bench.service.add_user(User(username=name))
        bench.notify()
        bench.service.requests.clear()
        yield bench
        assert bench.search() == []


def test_what_was_sent_is_right(bench: ServiceBench) -> None:
    """After a run nothing is wrong, every record is accounted for, and nothing is written."""
    found = bench.call_json("verify", bench.campus, "--all")
    certificates, grades = found["kinds"]["certificate"], found["kinds"]["grade"]
    assert found["is_right"]
    assert certificates["right"] == certificates["read"] == len(bench.service.credentials)
    assert grades["right"] > 0
    assert grades["right"] + grades["unreadable"] + grades["kept_back"] == grades["read"]
    assert bench.writes() == []


def test_a_grade_without_a_visible_certificate_is_not_called_right(bench: ServiceBench) -> None:
    """Grades beside a revoked certificate cannot be read, and are counted as just that."""
    found = bench.call_json("verify", bench.campus, "--all")
    revoked = {key for key, row in bench.service.credentials.items() if row.status == "revoked"}
    assert found["kinds"]["grade"]["unreadable"] == len(revoked & bench.service.grades.keys()) > 0


def test_nothing_sent_is_all_missing(directory: Path) -> None:
    """A service that was sent nothing misses every certificate, and says nothing of the grades."""
    with serving(directory) as bench:
        found = bench.call_json("verify", bench.campus, "--all", status=1)
    certificates = found["kinds"]["certificate"]
    assert certificates["missing"] == certificates["read"] > 0
    assert found["kinds"]["grade"]["right"] == 0


def test_findings_that_are_not_shown_are_counted(directory: Path) -> None:
    """Nobody takes the first twenty for all."""
    with serving(directory) as bench:
        total = len(bench.call_json("verify", bench.campus, "--all", status=1)["findings"])
        shown = bench.call("verify", bench.campus, "--all", status=1).stdout
    assert total > 20
    assert f"These are the first 20 of {total} findings; --json tells more." in shown


def spoil(bench: ServiceBench) -> None:
    """Let the service hold an older grade, no certificate of one kind, and one of a learner without any in its run."""
    bench.execute("UPDATE grades_persistentcoursegrade SET percent_grade = 0.4242 WHERE id % 2 = 0")
    bench.execute(
        "UPDATE certificates_generatedcertificate SET status = 'notpassing' WHERE id IN"
        " (SELECT id FROM certificates_generatedcertificate WHERE status = 'downloadable' ORDER BY id LIMIT 1)"
    )
    bench.execute(
        "DELETE FROM certificates_generatedcertificate WHERE id IN"
        " (SELECT max(c.id) FROM certificates_generatedcertificate AS c WHERE status = 'downloadable' AND EXISTS"
        " (SELECT * FROM certificates_generatedcertificate AS o WHERE o.user_id = c.user_id AND o.id <> c.id))"
    )


def test_what_differs_is_named(bench: ServiceBench) -> None:
    """Each wrong record is named by its run and user id, with the fields that differ."""
    spoil(bench)
    found = bench.call_json("verify", bench.campus, "--all", status=1)
    reasons = {(one["kind"], one["standing"], one["reason"]) for one in found["findings"]}
    assert ("grade", "different", "percent_grade") in reasons
    assert ("certificate", "different", "status") in reasons
    assert ("certificate", "extra", "the source has no such certificate") in reasons
    assert {standing for _, standing, _ in reasons} == {"different", "extra"}


def test_a_repair_sends_exactly_what_is_wrong(bench: ServiceBench) -> None:
    """The missing and the different are written, each once, and the ledger knows; then only what is extra is left."""
    spoil(bench)
    found = bench.call_json("verify", bench.campus, "--all", status=1)
    wrong = {(one["kind"], one["user_id"], one["target"]) for one in found["findings"] if one["standing"] != "extra"}
    repaired = bench.call_json("verify", bench.campus, "--all", "--repair", status=1)
    assert repaired["repair"]["read"] == sum(kind["sent"] for kind in repaired["repair"]["kinds"].values())
    assert len(bench.writes()) == len(set(bench.writes())) == len(wrong) > 0
    left = bench.call_json("verify", bench.campus, "--all", status=1)
    assert {one["standing"] for one in left["findings"]} == {"extra"}
    bench.service.requests.clear()
    report = bench.notify()
    assert {kind for kind, _, _ in wrong} == {"certificate", "grade"}
    assert report["kinds"]["certificate"]["sent"] == 0


def test_a_repair_believes_the_service_and_not_the_ledger(bench: ServiceBench) -> None:
    """What the ledger knows as delivered goes out again where somebody else has changed it at the service."""
    (name, run) = next(key for key, row in bench.service.credentials.items() if row.status == "awarded")
    requests.post(
        f"{bench.service.url}/api/v2/credentials/",
        json={"username": name, "credential": {"course_run_key": run, "mode": "verified"}, "status": "revoked"},
        headers={"Authorization": f"JWT {bench.service.token_for('credentials_service_user')}"},
        timeout=10,
    )
    bench.service.requests.clear()
    bench.call_json("verify", bench.campus, "--all", "--repair")
    assert bench.writes() == [("course-run", name, run)]
    assert bench.service.credentials[name, run].status == "awarded"


def test_a_repair_makes_no_ledger(directory: Path) -> None:
    """Where there is no ledger, a repair sends what is missing and leaves none behind."""
    with serving(directory) as bench:
        found = bench.call_json("verify", bench.campus, "--all", "--repair")
        assert found["kinds"]["certificate"]["missing"] == len(bench.service.credentials) > 0
        assert not Path(bench.ledger).exists()


def test_programs_are_compared(bench: ServiceBench) -> None:
    """Awards that never went out are missing, and right once they were repaired."""
    programs = ("--all", "--notify-programs", "--revoke-program-certs")
    missing = bench.call_json("verify", bench.campus, *programs, status=1)["kinds"]["program"]["missing"]
    bench.call_json("verify", bench.campus, *programs, "--repair")
    found = bench.call_json("verify", bench.campus, *programs)
    assert missing > 0
    assert found["kinds"]["program"]["missing"] == 0


def test_pages_of_the_service_in_no_order_hide_nothing(directory: Path) -> None:
    """However the service shuffles its lists while they are read, nothing right goes for missing."""
    with serving(directory, shuffle_seed=3) as bench:
        bench.notify()
        assert bench.call_json("verify", bench.campus, "--all")["is_right"]


def test_each_organisation_is_read_back_where_it_was_sent(directory: Path) -> None:
    """What a service of its own holds for an organisation is right there, and missing where it is not asked."""
    with serving(directory) as base, serving(directory, lms=base.service) as other:
        elsewhere = ("--org-url", f"CampusX={other.service.url}")
        for name in base.names():
            for bench in (base, other):
                bench.service.add_user(User(username=name))
        base.notify(*elsewhere)
        assert base.service.credentials
        assert other.service.credentials
        found = base.call_json("verify", base.campus, "--all", *elsewhere)
        assert found["kinds"]["certificate"]["right"] == found["kinds"]["certificate"]["read"]
        assert found["kinds"]["grade"]["right"] > 0
        missing = base.call_json("verify", base.campus, "--all", status=1)["kinds"]["certificate"]["missing"]
        assert missing == len(other.service.credentials)


def test_a_named_learner_without_records_is_asked_about(bench: ServiceBench) -> None:
    """What the service holds of a learner whom the source has forgotten is extra, where the learner is named."""
    name, run = next(key for key, row in bench.service.credentials.items() if row.status == "awarded")
    bench.execute(
        "DELETE FROM certificates_generatedcertificate WHERE user_id = (SELECT id FROM auth_user WHERE username = ?)",
        name,
    )
    with closing(sqlite3.connect(bench.campus)) as connection:
        (user_id,) = connection.execute("SELECT id FROM auth_user WHERE username = ?", (name,)).fetchone()
    found = bench.call_json("verify", bench.campus, "--user-ids", str(user_id), status=1)
    extra = {(one["user_id"], one["target"]) for one in found["findings"] if one["kind"] == "certificate"}
    assert (user_id, run) in extra


def test_a_service_that_is_away_stops_it(bench: ServiceBench) -> None:
    """A comparison that cannot be made ends early and says where; nothing is called missing."""
    bench.service.faults.add(gateway_failure(404), path="/api/credentials/")
    found = bench.call_json("verify", bench.campus, "--all", status=3)
    assert found["stopped"]["stage"] == "grades"
    assert found["is_right"]
    assert found["kinds"]["grade"]["right"] == 0


def test_the_screen_says_it_all(bench: ServiceBench) -> None:
    """The account, what cannot be read, what is wrong, and what a repair did stand on the screen."""
    spoil(bench)
    shown = bench.call("verify", bench.campus, "--all", "--repair", status=1).stdout
    assert "unreadable, neither right nor wrong: grades show only beside" in shown
    assert "percent_grade" in shown
    assert "What is extra is not repaired" in shown
    assert "sent to http://127.0.0.1" in shown


def test_the_screen_names_a_stop(bench: ServiceBench) -> None:
    """A comparison that stopped says so on the screen, too."""
    bench.service.faults.add(gateway_failure(404), path="/api/v2/credentials/")
    assert "Stopped early, in certificates: " in bench.call("verify", bench.campus, "--all", status=3).stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        ([], {}, "not without any filter"),
        (["--all", "--revoke-program-certs"], {}, "say nothing without --notify-programs"),
        (["--all"], {"CREDSYNC_SINK": ""}, "no service is named"),
        (["--all"], {"CREDSYNC_CLIENT_SECRET": "wrong"}, "the client id or secret is refused"),
    ],
)
def test_wrong_use_is_one_line(directory: Path, arguments: list[str], environment: dict[str, str], line: str) -> None:
    """What is missing or makes no sense is said before anything is compared."""
    with serving(directory) as bench:
        result = bench.call("verify", bench.campus, *arguments, status=2, **environment)
    assert line in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_account_that_may_not_read_finds_nothing_wrong(directory: Path) -> None:
    """Without the permission to view, the comparison stops with the reason, and calls nothing missing."""
    with serving(directory, accounts=[account(permissions=frozenset({"add_usercredential"}))]) as bench:
        found = bench.call_json("verify", bench.campus, "--all", status=3)
    assert "permission" in found["stopped"]["reason"]
    assert found["kinds"]["certificate"]["missing"] == 0
