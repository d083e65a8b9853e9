"""A ledger that cannot be used: one clear line says why, and nothing that was known is lost."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError

from credsync.adapters.memory import MemorySink
from credsync.adapters.sql import SqlHistory, SqlLedger
from credsync.adapters.sql.engine import open_history
from credsync.adapters.sql.ledger_tables import MIGRATIONS, Migration, is_current, migrate
from credsync.errors import AdapterError, ConfigurationError, CredsyncError
from credsync.ledger import Entry, EntryState, PageRecord, RunHeader
from credsync.notify import notify
from credsync.options import RunOptions
from credsync.report import Report
from credsync.selection import Selection
from credsync.updates import UpdateKey
from tests.adapters.killed_writer import leave_half_done
from tests.campus_builders import INTRO, NAME_MARK, NOW, Platform, cert, grade, host_of, platform_of

HEADER = RunHeader(scope={}, started=NOW)
KEYS = [UpdateKey("grade", user_id, INTRO) for user_id in range(500)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger file that knows a few hundred entries."""
    path = tmp_path / "ledger.db"
    with closing(SqlLedger(path)) as ledger:
        ledger.begin(HEADER)
        ledger.record(PageRecord(entries=[Entry(key=key, state=EntryState.DEFERRED, tries=1) for key in KEYS], at=NOW))
        ledger.finish("complete", NOW)
    return path


def use(database: Any) -> int:
    """Open a ledger, begin a run and look at all that it knows."""
    with closing(SqlLedger(database)) as ledger:
        ledger.begin(HEADER)
        return len(ledger.look_up(dict.fromkeys(KEYS)).entries)


@contextmanager
def refused(kind: type[CredsyncError], message: str) -> Iterator[None]:
    """Expect an error of a kind, in one line that holds a message."""
    with pytest.raises(kind, match=message) as caught:
        yield
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


class TestSchema:
    def test_of_a_newer_version_is_refused(self, path: Path) -> None:
        """What a later credsync has written is neither read nor changed."""
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE credsync_schema SET version = 7")
        connection.close()
        before = path.read_bytes()
        told = f"the ledger has schema version 7, this credsync knows versions up to {len(MIGRATIONS)}: use a newer"
        with refused(ConfigurationError, told):
            use(path)
        with closing(SqlHistory(path)) as history:
            with refused(ConfigurationError, told):
                history.get_run()
            with refused(ConfigurationError, told):
                list(history.iter_runs())
        assert path.read_bytes() == before

    def test_is_brought_further_in_order_and_once(self, database_url: str) -> None:
        """A ledger goes through the versions that it lacks, from the one that it has, and through none twice."""
        went: list[int] = []
        steps: list[Migration] = [lambda _connection, step=step: went.append(step) for step in range(4)]  # type: ignore[misc]  # the step is bound at once
        with connected(database_url) as connection:
            for newest in (1, 1, 3, 4):
                with connection.begin():
                    migrate(connection, [MIGRATIONS[0], *steps[1:newest]])
                with connection.begin():
                    assert is_current(connection, [MIGRATIONS[0], *steps[1:newest]])
        assert went == [1, 2, 3]

    @pytest.mark.parametrize("database", ["sqlite_url", "postgresql_url"])
    def test_stays_whole_when_a_step_fails(self, request: pytest.FixtureRequest, database: str) -> None:
        """A migration that fails half-way leaves the ledger as it was; MariaDB has no transactions for tables."""
        extra = Table("extra", MetaData(), Column("id", Integer))

        def fail(connection: Connection) -> None:
            extra.create(connection)
            raise ZeroDivisionError

        with connected(request.getfixturevalue(database)) as connection:
            with connection.begin():
                migrate(connection)
            with pytest.raises(ZeroDivisionError), connection.begin():
                migrate(connection, [*MIGRATIONS, fail])
            with connection.begin():
                assert is_current(connection)
                assert not inspect(connection).has_table("extra")

    def test_takes_any_alphabet_whatever_the_database_has(self, mysql_url: str) -> None:
        """On a database whose own text is Latin, a sink's reason may still be in any script."""
        with connected(mysql_url) as connection, connection.begin():
            connection.execute(text("ALTER DATABASE CHARACTER SET latin1"))
        entry = Entry(key=KEYS[0], state=EntryState.DEAD, reason="нет 🎓", tries=1)
        with closing(SqlLedger(mysql_url, "куда")) as ledger:
            ledger.begin(HEADER)
            ledger.record(PageRecord(entries=[entry], counts={("grade", INTRO, "rejected", "нет 🎓"): 1}, at=NOW))
            ledger.finish("stopped", NOW, "нет 🎓")
            assert ledger.look_up({entry.key: None}).entries == {entry.key: entry}


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Connect to a database."""
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


class TestFile:
    def test_that_is_no_database(self, tmp_path: Path) -> None:
        """A file of something else is refused and left alone."""
        other = tmp_path / "grades.csv"
        other.write_text("user,grade\n" * 500)
        with refused(ConfigurationError, r"ledger .*grades\.csv: it is not a SQLite database"):
            use(other)
        assert other.read_text() == "user,grade\n" * 500

    def test_that_is_a_directory(self, tmp_path: Path) -> None:
        """A directory cannot be a ledger."""
        with refused(ConfigurationError, "the file cannot be opened"):
            use(tmp_path)

    def test_that_cannot_be_made(self, tmp_path: Path) -> None:
        """Without its directory, or where nothing can be made, there is no new ledger."""
        with refused(ConfigurationError, "there is no directory"):
            use(tmp_path / "missing" / "ledger.db")
        with refused(ConfigurationError, r"ledger /proc/ledger\.db: the file cannot be opened"):
            use("/proc/ledger.db")

    @pytest.mark.parametrize("place", ["a page in the middle", "the schema", "the second half"])
    def test_that_is_damaged(self, path: Path, place: str) -> None:
        """Damage is told as such, wherever it is found."""
        content = path.read_bytes()
        noise = random.Random(place).randbytes(len(content))
        begin, end = {
            "a page in the middle": (4096 * 2, len(content)),
            "the schema": (100, 4096),
            "the second half": (len(content) // 2, len(content)),
        }[place]
        path.write_bytes(content[:begin] + (b"" if place == "the second half" else noise[begin:end]) + content[end:])
        with refused(AdapterError, r"ledger .*ledger\.db: the file is damaged"):
            use(path)

    def test_that_is_read_only(self, path: Path) -> None:
        """A ledger that cannot be written to begins no run, and can still be read."""
        read_only = f"sqlite:///file:{path}?mode=ro&uri=true"
        with closing(SqlLedger(read_only)) as ledger:
            with refused(ConfigurationError, "it is read-only"):
                ledger.begin(HEADER)
            assert len(ledger.look_up(dict.fromkeys(KEYS)).entries) == len(KEYS)
        assert use(path) == len(KEYS)

    def test_whose_writer_was_killed(self, path: Path) -> None:
        """What is half done is taken back by whoever opens the ledger next, also to read, and the rest is there."""
        leave_half_done(path)
        with closing(SqlHistory(path)) as history:
            assert [run.status for run in history.iter_runs()] == ["complete"]
        leave_half_done(path)
        assert use(path) == len(KEYS)

    def test_cannot_be_written_to_by_who_reads_its_history(self, path: Path) -> None:
        """Even where the file may be written, SQLite refuses."""
        engine = open_history(path)
        with engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
            connection.exec_driver_sql("DELETE FROM credsync_runs")
        engine.dispose()

    def test_that_somebody_else_writes_to(self, path: Path) -> None:
        """A writer that does not let go is told, and what it has written stays."""
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
        with closing(SqlLedger(engine)) as ledger, closing(sqlite3.connect(path)) as writer:
            ledger.begin(HEADER)
            writer.execute("DELETE FROM credsync_entries WHERE user_id = 0")
            with refused(AdapterError, "it is locked by another process"):
                ledger.record(PageRecord(resolved=KEYS, at=NOW))
            writer.commit()
            assert len(ledger.look_up(dict.fromkeys(KEYS)).entries) == len(KEYS) - 1
        engine.dispose()


@define
class Campaign:
    """Runs over a campus whose ledger may be broken on the way."""

    engine: Engine
    platform: Platform = field(
        factory=lambda: platform_of(
            *(cert(user_id) for user_id in range(150)), *(grade(user_id) for user_id in range(150))
        )
    )
    sink: MemorySink = field(factory=MemorySink)

    def run(self, **options: Any) -> Report:
        """Run over everything."""
        with closing(SqlLedger(self.engine)) as ledger:
            host = host_of(self.platform, self.sink, ledger)
            return notify(
                self.platform, Selection(), page_size=4, host=host, options=RunOptions(clock=lambda: NOW, **options)
            )


class TestTroubleInMidRun:
    page_size = 4

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        """The engine of a ledger."""
        engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
        yield engine
        engine.dispose()

    def test_a_full_disk_stops_the_run_and_loses_nothing(self, engine: Engine) -> None:
        """Once there is room again, the run goes on; nothing is missing, and what is sent twice is one page at most."""
        campaign = Campaign(engine)
        with closing(SqlLedger(engine)):
            pass
        with limited(engine, "PRAGMA max_page_count = 16"):
            stopped = campaign.run()
            assert stopped.stopped
            assert "the disk is full" in stopped.stopped.reason
            assert NAME_MARK not in stopped.stopped.reason
            assert 0 < len(campaign.sink.history) < 300
            assert campaign.run(resume=True).stopped is not None
        assert campaign.run(resume=True).status == "complete"
        assert len(campaign.sink.state) == 300
        assert len(campaign.sink.history) <= 300 + 2 * self.page_size

    def test_a_table_that_vanishes_stops_the_run(self, engine: Engine) -> None:
        """Whatever becomes of the ledger, what was sent is reported, and the run says where it stands."""
        campaign = Campaign(engine)

        def spoil(report: Report) -> None:
            if report.total() == 8:
                with sqlite3.connect(str(engine.url.database)) as connection:
                    connection.execute("DROP TABLE credsync_counts")
                connection.close()

        report = campaign.run(on_progress=spoil)
        assert report.stopped
        assert "it has no table credsync_counts" in report.stopped.reason
        assert (report.total("sent"), report.stopped.cursor) == (12, [7, INTRO])


@contextmanager
def limited(engine: Engine, pragma: str) -> Iterator[None]:
    """Put a limit on all connections of an engine."""

    def limit(connection: Any, _record: object) -> None:
        connection.execute(pragma)

    engine.dispose()
    event.listen(engine, "connect", limit)
    yield
    event.remove(engine, "connect", limit)
    engine.dispose()
