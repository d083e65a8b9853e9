"""A whole run to a service of which a fifth of all requests goes wrong, killed twice: it ends in the source's truth.

The plain suite sends some hundred records; `CREDSYNC_CAMPAIGN_LEARNERS=7500` makes it a run over more than 20,000.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from credsync.adapters.memory import MemorySink
from credsync.testing.campus import Campus, catalog_path, write_sample
from credsync.testing.service import (
    CredentialsService,
    gateway_failure,
    html_error,
    outage,
    reset,
    throttled,
    tokens_revoked,
    truncated,
)
from credsync.updates import GradeUpdate, Update, UpdateKey
from credsync.wire import MAX_TRIES, find_differences
from tests.adapters.campaign_process import send

LEARNERS = int(os.environ.get("CREDSYNC_CAMPAIGN_LEARNERS", "150"))
KILLS = 2

FAULTS = [
    outage(),
    html_error(500),
    gateway_failure(502),
    gateway_failure(503),
    gateway_failure(504).after_write(),
    reset(),
    reset().after_write(),
    truncated(),
]
"""What a second try cures. A pause stops all 16 workers for a second, so there are only some of these, beside them."""


@pytest.fixture
def campus(tmp_path: Path) -> Path:
    """A campus of one's own, with its catalog beside it."""
    path = tmp_path / "campus.db"
    write_sample(path, Campus(learners=LEARNERS, courses=12, programs=10))
    return path


def truth(campus: Path) -> dict[UpdateKey, Update]:
    """Return what the source says the service should hold."""
    sink = MemorySink()
    send(campus, sink, None)
    return dict(sink.state)


def start(campus: Path, service: CredentialsService, *, resume: bool = False) -> subprocess.Popen[str]:
    """Begin a run, or go on with the last one."""
    module = [sys.executable, "-m", "tests.adapters.campaign_process"]
    arguments = [str(campus), service.url, service.token_url, "resume" if resume else "begin"]
    return subprocess.Popen([*module, *arguments], stdout=subprocess.PIPE, text=True)


def finish(run: subprocess.Popen[str]) -> tuple[str, int, int]:
    """Wait for a run; return how it ended, how much it sent, and what it cannot account for."""
    said, _ = run.communicate(timeout=600)
    status, sent, unaccounted = said.split()
    return status, int(sent), int(unaccounted)


def kill_after(run: subprocess.Popen[str], service: CredentialsService, requests: int) -> None:
    """Kill a run, without a warning, once the service has seen so many requests."""
    while len(service.requests) < requests and run.poll() is None:
        time.sleep(0.002)  # the other process is what is waited for, and it has no other way to say how far it is
    assert run.poll() is None, "it was over before it could be killed"
    run.kill()
    run.communicate()


def state_of(service: CredentialsService) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the service's rows by kind, username, and course run."""
    state: Any = service.state_json()
    rows = {("grade", row["username"], row["course_run"]): row for row in state["grades"]}
    rows |= {("certificate", row["username"], row["credential"]["course_run_key"]): row for row in state["credentials"]}
    return rows


def plan_faults(service: CredentialsService, poisoned: tuple[str, str, str]) -> None:
    """Let one key fail for ever, both endpoints ask for a pause, all tokens end once, and a fifth of the rest fail."""
    service.faults.add(html_error(500), key=poisoned)
    service.faults.add(throttled(1), times=1, path="/api/v2/grades/")
    service.faults.add(throttled(1, as_date=True), times=1, path="/api/v2/credentials/")
    service.faults.add(tokens_revoked(), times=1, path="/api/v2/credentials/")
    service.faults.add_at_random(FAULTS, share=0.2, seed=7, in_a_row=2)


def run_killed_twice(campus: Path, service: CredentialsService, updates: int) -> tuple[str, int, int]:
    """Kill a run after a quarter of its requests, the next after about three, and let the last go to its end."""
    kill_after(start(campus, service), service, updates // 4)
    kill_after(start(campus, service, resume=True), service, updates * 3 // 4)
    return finish(start(campus, service, resume=True))


def test_a_run_through_faults_and_kills_ends_in_the_truth(campus: Path) -> None:
    """Every law of delivery holds in the request log; a second run sends nothing, a change of 1 % sends just that."""
    expected = truth(campus)
    poisoned = next(update for update in expected.values() if isinstance(update, GradeUpdate))
    poisoned_key = ("grade", poisoned.username, poisoned.course_run)
    with CredentialsService(programs=json.loads(catalog_path(campus).read_text())) as service:
        plan_faults(service, poisoned_key)
        status, _, unaccounted = run_killed_twice(campus, service, len(expected))
        log = service.requests

        assert (status, unaccounted) == ("complete", 0)
        assert_truth(service, {key: update for key, update in expected.items() if update is not poisoned})
        assert (log.overlaps(), log.stale_writes(), log.impatient()) == ([], [], [])
        assert log.tries()[poisoned_key] <= MAX_TRIES * (KILLS + 1)
        assert sum(entry.fault is not None for entry in log) > len(expected) / 10

        service.faults.clear()
        log.clear()
        assert finish(start(campus, service)) == ("complete", 0, 0)
        assert log.by_key() == {}

        changed = change_one_percent(campus, expected, poisoned)
        assert finish(start(campus, service)) == ("complete", len(changed), 0)
        assert log.tries() == dict.fromkeys(changed, 1)


def assert_truth(service: CredentialsService, expected: dict[UpdateKey, Update]) -> None:
    """The service holds every expected row as the source says it, and no other."""
    held = state_of(service)
    wanted = {(key.kind, update.username, key.target): update for key, update in expected.items()}
    assert held.keys() == wanted.keys()
    assert {name: found for name in held if (found := find_differences(wanted[name], held[name]))} == {}


def change_one_percent(campus: Path, expected: dict[UpdateKey, Update], poisoned: Update) -> set[tuple[str, str, str]]:
    """Change the percentage of some grades in the source; return what they are about."""
    grades = [one for one in expected.values() if isinstance(one, GradeUpdate) and one is not poisoned]
    chosen = grades[:: max(1, len(grades) // max(1, len(expected) // 100))]
    with closing(sqlite3.connect(campus)) as connection, connection:
        for update in chosen:
            connection.execute(
                "UPDATE grades_persistentcoursegrade SET percent_grade = 0.0123 WHERE user_id = ? AND course_id = ?",
                (update.user_id, update.course_run),
            )
    return {("grade", update.username, update.course_run) for update in chosen}
