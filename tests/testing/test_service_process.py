"""The double runs in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from credsync.testing.service import DEFAULT_ACCOUNT

COMMAND = [sys.executable, "-W", "error", "-m", "credsync.testing.service"]
GRADE = {"username": "ord", "course_run": "course-v1:TestX+C1+R1", "percent_grade": "0.5"}


def start(*options: str) -> subprocess.Popen[str]:
    """Start a double."""
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *options], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def read_line(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read the line in which it tells its addresses."""
    assert process.stdout is not None
    line: dict[str, str] = json.loads(process.stdout.readline())
    return line


def token(token_url: str) -> str:
    """Get a token."""
    form = {
        "grant_type": "client_credentials",
        "client_id": DEFAULT_ACCOUNT.client_id,
        "client_secret": DEFAULT_ACCOUNT.client_secret,
        "token_type": "jwt",
    }
    return str(requests.post(token_url, data=form, timeout=5).json()["access_token"])


def test_serves_until_its_input_is_closed(tmp_path: Path) -> None:
    """The process tells its address, serves with its options, and ends quietly when its standard input is closed."""
    programs = tmp_path / "programs.json"
    programs.write_text('[{"uuid": "6883080f-5a3c-4a8e-8a3c-0f5c8a1d2b3c", "status": "active"}]')
    with start("--programs", str(programs), "--not-staff", "--latency", "0.001") as process:
        addresses = read_line(process)
        headers = {"Authorization": f"JWT {token(addresses['token_url'])}"}
        url = f"{addresses['url']}/api/v2/grades/"
        statuses = [requests.post(url, json=GRADE, headers=headers, timeout=5).status_code for _ in range(91)]
        listing = f"{addresses['catalog_url']}programs/?uuids_only=1"
        programs_listed = requests.get(listing, headers=headers, timeout=5).json()
        state = requests.get(f"{addresses['url']}/_double/state", timeout=5).json()
        _, errors = process.communicate(timeout=5)

    assert statuses == [201] * 90 + [429]
    assert programs_listed == ["6883080f-5a3c-4a8e-8a3c-0f5c8a1d2b3c"]
    assert len(state["grades"]) == 1
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_at_a_signal(number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the process in order, also with a client connected."""
    with (
        start("--fault-share", "1", "--fault", "html-500", "--faults-in-a-row", "2") as process,
        requests.Session() as client,
    ):
        addresses = read_line(process)
        headers = {"Authorization": f"JWT {token(addresses['token_url'])}"}
        url = f"{addresses['url']}/api/v2/grades/"
        statuses = [client.post(url, json=GRADE, headers=headers, timeout=5).status_code for _ in range(3)]
        process.send_signal(number)
        returned = process.wait(5)
        assert process.stderr is not None
        errors = process.stderr.read()

    assert statuses == [500, 500, 201]
    assert (returned, errors) == (0, "")
