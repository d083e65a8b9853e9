"""One run at a time: the ledger's lock, between processes and destinations, and after the death of who held it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from credsync.adapters.sql import SqlHistory, SqlLedger
from credsync.errors import AdapterError, ConfigurationError
from credsync.ledger import PageRecord, RunHeader
from tests.campus_builders import NOW

HEADER = RunHeader(scope={}, started=NOW)

HOLDER = f"""
import sys
from datetime import datetime
from credsync.adapters.sql import SqlLedger
from credsync.ledger import RunHeader
ledger = SqlLedger(sys.argv[1], "elsewhere")
ledger.begin(RunHeader(scope={{}}, started=datetime.fromisoformat("{NOW.isoformat()}"), job="retry"))
print("held", flush=True)
sys.stdin.read()
"""

OPENER = """
import sys
from credsync.adapters.sql import SqlLedger
from credsync.errors import ConfigurationError
print("ready", flush=True)
for url in sys.stdin:
    try:
        SqlLedger(url.strip(), "anywhere").close()
    except ConfigurationError as error:
        print(error, flush=True)
    else:
        print("opened", flush=True)
"""

PATIENCE = 10.0
"""Seconds within which a server notices that a client is gone; it takes milliseconds."""


@contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script until it has said its first word; it does not outlive the block."""
    command = [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def begin_patiently(ledger: SqlLedger) -> None:
    """Begin a run as soon as nobody holds the ledger any more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            ledger.begin(HEADER)
        except ConfigurationError:
            assert time.monotonic() < deadline, "the lock outlived its holder"
        else:
            return


class TestIdleLedger:
    @pytest.mark.parametrize("server", ["postgresql_url", "mysql_url"])
    def test_outlives_a_server_that_hangs_up(self, request: pytest.FixtureRequest, server: str) -> None:
        """A host keeps its ledger open; what a server does to an idle connection costs one call and no more."""
        url: str = request.getfixturevalue(server)
        with closing(SqlLedger(url)) as ledger:
            cut_connections(url)
            with pytest.raises(AdapterError, match="the connection was lost"):
                ledger.begin(HEADER)
            assert ledger.begin(HEADER).run_id == 1


class TestHeldLock:
    def test_is_waited_for_as_long_as_is_wanted(self, database_url: str) -> None:
        """Two that send single grades at one moment come one after the other, and not one of them in vain."""
        waits: list[float] = []
        with closing(SqlLedger(database_url)) as holder:
            holder.begin(HEADER)

            def let_go(seconds: float) -> None:
                waits.append(seconds)
                if len(waits) == 3:
                    holder.finish("complete", NOW)

            with closing(SqlLedger(database_url, wait=10, sleep=let_go)) as waiting:
                assert waiting.begin(HEADER).run_id == 2
            assert len(waits) == 3

    def test_is_waited_for_no_longer(self, database_url: str) -> None:
        """Who has waited for as long as he wants is told."""
        waits: list[float] = []
        with closing(SqlLedger(database_url)) as holder:
            holder.begin(HEADER)
            with (
                closing(SqlLedger(database_url, wait=1, sleep=waits.append)) as waiting,
                pytest.raises(ConfigurationError, match="another run holds the ledger"),
            ):
                waiting.begin(HEADER)
        assert sum(waits) == pytest.approx(1)

    def test_keeps_another_process_out_and_names_the_holder(self, database_url: str) -> None:
        """A second run, also one to another destination, is told who holds the ledger; then it may still be read."""
        with running(HOLDER, database_url) as holder, closing(SqlLedger(database_url)) as ledger:
            with pytest.raises(ConfigurationError) as caught:
                ledger.begin(HEADER)
            assert f"another run holds the ledger: run 1 of process {holder.pid} on " in str(caught.value)
            assert str(caught.value).endswith(", begun 2024-05-20 12:00:00 UTC")
            assert ledger.find_resumable() is None

    def test_goes_with_a_process_that_is_killed(self, database_url: str) -> None:
        """A run that is killed stands in nobody's way, and the next one says what became of it."""
        with running(HOLDER, database_url) as holder, closing(SqlLedger(database_url)) as ledger:
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
            begin_patiently(ledger)
            with closing(SqlHistory(database_url)) as history:
                assert [run.status for run in history.iter_runs()] == ["running", "killed"]

    def test_is_given_back_at_the_end(self, database_url: str) -> None:
        """After the end of a run, or once its ledger is closed, the next one has its turn."""
        with closing(SqlLedger(database_url)) as first, closing(SqlLedger(database_url)) as second:
            first.begin(HEADER)
            with pytest.raises(ConfigurationError, match="another run holds the ledger: run 1 of"):
                second.begin(HEADER)
            first.finish("complete", NOW)
            second.begin(HEADER)
            second.close()
            assert first.begin(HEADER).run_id == 3

    def test_is_given_back_where_a_run_cannot_begin(self, database_url: str) -> None:
        """A refusal to resume does not lock everybody out."""
        with closing(SqlLedger(database_url)) as first, closing(SqlLedger(database_url)) as second:
            with pytest.raises(ConfigurationError, match="no run to resume"):
                first.begin(HEADER, resume=True)
            assert second.begin(HEADER).run_id == 1


class TestSqliteLock:
    def test_is_one_for_all_names_of_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative path, a link and a URL lead to the same ledger, and to the same lock."""
        path = tmp_path / "ledger.db"
        link = tmp_path / "link.db"
        monkeypatch.chdir(tmp_path)
        with closing(SqlLedger(path)) as ledger:
            link.symlink_to(path)
            ledger.begin(HEADER)
            for name in ("ledger.db", link, f"sqlite:///file:{path}?uri=true"):
                with closing(SqlLedger(name)) as other, pytest.raises(ConfigurationError, match="another run holds"):
                    other.begin(HEADER)

    def test_that_cannot_be_made_is_told(self, tmp_path: Path) -> None:
        """Where the lock's file cannot be, no run begins, and the error names it."""
        path = tmp_path / "ledger.db"
        SqlLedger(path).close()
        lock = tmp_path / "ledger.db.lock"
        lock.unlink()
        lock.mkdir()
        refusal = r"ledger\.db\.lock: the ledger's lock file cannot be written"
        with closing(SqlLedger(path)) as ledger, pytest.raises(ConfigurationError, match=refusal):
            ledger.begin(HEADER)

    def test_is_taken_while_another_looks(self, tmp_path: Path) -> None:
        """Of two that reach for it at the same moment, each may see the other look: one of them must get it."""
        path = tmp_path / "ledger.db"
        with (
            closing(sqlite3.connect(f"{path}.lock", isolation_level=None)) as other,
            closing(SqlLedger(path)) as ledger,
        ):
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            assert ledger.begin(HEADER).run_id == 1

    def test_is_not_needed_in_memory(self) -> None:
        """A ledger in memory belongs to one connection anyway."""
        with closing(SqlLedger("sqlite://")) as ledger:
            assert ledger.begin(HEADER).run_id == 1


def test_a_new_ledger_is_made_once(database_url: str) -> None:
    """Processes that open a new ledger at the same time make one ledger: each has it, or is told to try again."""
    # where a ledger is a file, as often as it takes for the two to meet at each step of making one
    urls = [f"{database_url}{number}" for number in range(20)] if "sqlite" in database_url else [database_url]
    told = "the ledger is not set up yet, and another process holds it: try again when it is done"
    with running(OPENER) as one, running(OPENER) as two:
        for url in urls:
            for process in (one, two):
                assert process.stdin
                process.stdin.write(f"{url}\n")
                process.stdin.flush()
            answers = [process.stdout.readline().strip() for process in (one, two) if process.stdout]
            assert "opened" in answers
            assert set(answers) <= {"opened", told}
            with closing(SqlLedger(url, "anywhere")) as ledger:
                assert ledger.begin(HEADER).run_id == 1


class TestLostConnection:
    @pytest.fixture(params=["postgresql", "mysql"])
    def server_url(self, request: pytest.FixtureRequest) -> str:
        """An empty database on a server."""
        url: str = request.getfixturevalue(f"{request.param}_url")
        return url

    def test_stops_the_run_and_frees_the_ledger(self, server_url: str) -> None:
        """A run whose connection is cut must not go on without its lock: it stops, resumable, with a clear error."""
        with closing(SqlLedger(server_url)) as ledger:
            ledger.begin(HEADER)
            ledger.record(PageRecord(checkpoint=("grades", [1]), at=NOW))
            cut_connections(server_url)
            with pytest.raises(AdapterError, match="the connection was lost"):
                ledger.record(PageRecord(checkpoint=("grades", [2]), at=NOW))
            ledger.finish("stopped", NOW)
            with closing(SqlLedger(server_url)) as other:
                assert other.begin(HEADER, resume=True).cursor == [1]

    def test_at_the_very_end_is_told(self, server_url: str) -> None:
        """That the end of a run could not be written down is an error as any other, and no lock is left."""
        with closing(SqlLedger(server_url)) as ledger:
            ledger.begin(HEADER)
            cut_connections(server_url)
            with pytest.raises(AdapterError, match="the connection was lost"):
                ledger.finish("complete", NOW)
            with closing(SqlLedger(server_url)) as other:
                assert other.begin(HEADER, resume=True).run_id == 2


CONNECTIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}
CUT = {"postgresql": "SELECT pg_terminate_backend(:id)", "mysql": "KILL :id"}


def cut_connections(url: str) -> None:
    """Let a server cut all other connections to a database."""
    engine = create_engine(url)
    with engine.connect() as connection:
        for (number,) in connection.execute(text(CONNECTIONS[engine.dialect.name])).all():
            connection.execute(text(CUT[engine.dialect.name]), {"id": number})
    engine.dispose()
