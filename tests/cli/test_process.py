"""The command as a process: its signals, its streams, and what it needs installed."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

COMMAND = [sys.executable, "-m", "credsync"]


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run the command beside the test, and end it whatever happens."""
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def behind(python: str) -> list[str]:
    """Return the command that runs some Python before it is credsync."""
    return [sys.executable, "-c", f"{dedent(python)}\nfrom credsync.cli import main\nmain()"]


def finished(*arguments: object, start: Sequence[str] = COMMAND) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run([*start, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def sent(out: Path) -> int:
    """Return how many updates an outbox holds."""
    with closing(sqlite3.connect(out)) as connection:
        return int(connection.execute("SELECT count(*) FROM credsync_outbox").fetchone()[0])


@pytest.fixture
def slow_run(campus: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run the command until it pauses behind its first page, for longer than any test; and name its outbox."""
    out = tmp_path / "outbox.db"
    options = ("--all", "--out", out, "--page-size", 20, "--delay", 600, "--verbose", "--json")
    with running("notify", campus, *options) as process:
        assert process.stderr
        seen = 0
        while seen < 20:
            line = process.stderr.readline()
            assert line, "it ended"
            seen += ": sent" in line
        yield process, out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_resumable(number: signal.Signals, slow_run: tuple[subprocess.Popen[str], Path]) -> None:
    """A signal ends the run behind the page in hand, pause or not: the report so far comes, and the status is 3."""
    process, out = slow_run
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    report = json.loads(stdout)
    assert process.returncode == 3
    assert report["stopped"]["reason"] == "interrupted"
    assert report["read"] == report["kinds"]["certificate"]["sent"] == sent(out) == 20
    assert "credsync: ending after the page in hand; once more ends at once" in stderr


def test_a_second_signal_ends_at_once(campus: Path, tmp_path: Path) -> None:
    """A second signal does not wait for a page that hangs."""
    start = behind(
        """
        import time
        from credsync.adapters.sql import SqlOutbox

        def hang(*_):
            print("here", flush=True)
            time.sleep(600)

        SqlOutbox.deliver = hang
        """
    )
    arguments = ["notify", str(campus), "--all", "--out", str(tmp_path / "outbox.db"), "--quiet"]
    with subprocess.Popen([*start, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "here\n"
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == -signal.SIGTERM
        finally:
            process.kill()


def test_a_closed_pipe_is_no_traceback(campus: Path) -> None:
    """Whoever reads the report may stop reading."""
    with running("notify", campus, "--all", "--dry-run") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_a_bug_traces_back_without_a_password(campus: Path) -> None:
    """An error that nobody expected has its traceback, and no password in its message."""
    start = behind(
        """
        from credsync.adapters.sql import SqlSource

        def bug(_, database):
            raise RuntimeError(f"cannot open {database}")

        SqlSource.__init__ = bug
        """
    )
    result = finished("notify", "mysql://reader:s3cr et@db/lms", "--all", "--dry-run", "--catalog", "none", start=start)
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith("RuntimeError: cannot open mysql://reader:***@db/lms\n")
    assert "s3cr" not in result.stderr


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_its_extra_the_command_says_so(package: str) -> None:
    """Without click or rich there is one line that says what to install."""
    result = finished("--help", start=behind(f"import sys; sys.modules['{package}'] = None"))
    assert result.returncode == 2
    assert result.stderr == "credsync: the command needs its extra: pip install 'credsync[cli]'\n"


def test_without_a_database_toolkit_only_databases_are_missing(campus: Path, tmp_path: Path) -> None:
    """Without SQLAlchemy help and sample work, and what reads a database says what to install."""
    without = behind("import sys; sys.modules['sqlalchemy'] = None")
    assert finished("--help", start=without).returncode == 0
    assert finished("sample", tmp_path / "campus.db", "--learners", 1, start=without).returncode == 0
    result = finished("notify", campus, "--all", "--dry-run", start=without)
    assert result.returncode == 2
    assert result.stderr == "credsync: databases need SQLAlchemy: pip install 'credsync[sql]'\n"


def test_help_loads_no_adapter() -> None:
    """The help comes without loading what only a subcommand needs."""
    start = behind(
        """
        import atexit
        import sys

        ADAPTERS = {"sqlalchemy", "requests", "httpx", "stamina", "celery", "django"}
        atexit.register(lambda: print(ADAPTERS & sys.modules.keys(), file=sys.stderr))
        """
    )
    result = finished("--help", start=start)
    assert result.returncode == 0
    assert result.stderr == "set()\n"


def on_a_terminal(*arguments: object, **environment: str) -> str:
    """Run the command on a terminal, and return all that it shows."""
    controller, terminal = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=terminal,
        stderr=terminal,
        env={**variables, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while chunk := os.read(controller, 65_536):
                shown += chunk
        except OSError:  # Linux's way to say that the other end is closed
            pass
    os.close(controller)
    assert process.returncode == 0
    return shown.decode()


def test_a_terminal_gets_colours_rules_and_a_bar(campus: Path) -> None:
    """On a terminal the report has colours and rules, and a bar moves and goes."""
    shown = on_a_terminal("notify", campus, "--all", "--dry-run", "--page-size", 1)
    assert "\x1b[32m" in shown
    assert "────" in shown
    assert " read, " in shown.partition("records read in")[0]
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_no_color_is_respected(campus: Path) -> None:
    """With NO_COLOR a terminal gets no colour, neither in the report nor in the bar."""
    shown = on_a_terminal("notify", campus, "--all", "--dry-run", NO_COLOR="1")
    assert "────" in shown
    assert not any(f"\x1b[{code}" in shown for code in ("31", "32", "33", "34", "35", "36", "38", "9"))


def test_a_pipe_gets_neither(campus: Path) -> None:
    """In a pipe there is no escape sequence, and no bar."""
    result = finished("notify", campus, "--all", "--dry-run")
    assert "\x1b" not in result.stdout + result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_module_and_the_script_are_one() -> None:
    """`python -m credsync` calls itself credsync, and without a subcommand shows its help as wrong use."""
    result = finished()
    assert result.returncode == 2
    assert result.stderr.startswith("Usage: credsync [OPTIONS]")
