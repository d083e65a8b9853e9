"""Killed at any instant: a run that is resumed loses nothing, and repeats at most a page for each kill."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from credsync.testing.campus import Campus, catalog_path, write_sample

KILLS = {"sqlite": 200, "postgresql": 15, "mysql": 15}

COMMAND_KILLS = 6


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small campus, whose run takes a few dozen pages of 10."""
    path = tmp_path_factory.mktemp("campus") / "campus.db"
    write_sample(path, Campus(learners=60, courses=8, programs=9))
    return path


@pytest.mark.parametrize("kind", KILLS)
def test_killed_runs_end_as_an_undisturbed_one(campus: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """Whenever it is killed, a resumed run leaves the outbox as it would have been, and repeats a page at the most."""
    out = request.getfixturevalue(f"{kind}_url")
    campaign = Path(__file__).with_name("kill_campaign.py")
    command = [sys.executable, campaign, campus, catalog_path(campus), out, KILLS[kind], 2024]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["kills"] >= KILLS[kind]
    assert result["deliveries"] > 100
    assert (result["wrong"], result["repeated_too_often"]) == (0, 0)


def test_the_command_goes_on_where_it_was_killed(campus: Path, tmp_path: Path) -> None:
    """`credsync notify`, killed again and again and resumed, leaves what one undisturbed call leaves."""
    whole, killed = tmp_path / "whole.db", tmp_path / "killed.db"
    assert notify(campus, whole, None) == 0
    chance = random.Random(2024)
    kills = 0
    while kills < COMMAND_KILLS and notify(campus, killed, chance.uniform(0.3, 1.2), *resuming(killed)) is None:
        kills += 1
    if notify(campus, killed, None, *resuming(killed)):
        assert notify(campus, killed, None) == 0  # it had come to its end, and there was nothing to resume
    assert kills
    assert held(killed) == held(whole)


def notify(campus: Path, out: Path, seconds: float | None, *options: str) -> int | None:
    """Run the command, and return its status; None where it was killed because the time was up."""
    command = [sys.executable, "-m", "credsync", "notify", str(campus), "--all", "--out", str(out), "--page-size", "5"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def resuming(out: Path) -> list[str]:
    """Say `--resume` where a run has begun."""
    if not out.exists():
        return []
    with closing(sqlite3.connect(out)) as database:
        try:
            begun = database.execute("SELECT count(*) FROM credsync_runs").fetchone()[0]
        except sqlite3.OperationalError:  # killed before it had its tables
            begun = 0
    return ["--resume"] if begun else []


def held(out: Path) -> dict[Any, str]:
    """Return the last payload for each key."""
    with closing(sqlite3.connect(out)) as database:
        rows = database.execute("SELECT kind, user_id, target, payload FROM credsync_outbox ORDER BY id")
        return {key: payload for *key_parts, payload in rows if (key := tuple(key_parts))}
