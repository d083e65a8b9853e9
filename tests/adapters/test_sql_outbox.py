"""The outbox: every delivery becomes a row that is there to stay, or the sink says that it did not."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from attrs import evolve
from sqlalchemy import create_engine, event, inspect, make_url, text

from credsync.adapters.sql import SqlOutbox
from credsync.errors import ConfigurationError, SinkUnavailableError
from credsync.ports import CredentialSink
from credsync.updates import (
    CertificateUpdate,
    Delivered,
    GradeUpdate,
    ProgramAward,
    ProgramRevocation,
    Rejected,
    Update,
)
from credsync.wire import encode_update
from tests.adapters.edx_database import recorded

RUN = "course-v1:TestX+Intro+2024"
PROGRAM = "6883080f-0000-4000-8000-000000000001"
CHANGED = datetime(2024, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
NOW = datetime(2024, 3, 2, tzinfo=UTC)

CERTIFICATE = CertificateUpdate(
    user_id=7, username="ada", course_run=RUN, mode="verified", status="downloadable", source_time=CHANGED
)
GRADE = GradeUpdate(
    user_id=2**40, username="ådä", course_run=RUN, letter_grade=None, percent_grade=0.85, source_time=CHANGED
)
AWARD = ProgramAward(user_id=7, username="ada", program_uuid=PROGRAM, visible_date=NOW)
REVOCATION = ProgramRevocation(user_id=7, username="ada", program_uuid=PROGRAM)
UPDATES: list[Update] = [CERTIFICATE, GRADE, AWARD, REVOCATION]


@pytest.fixture
def outbox(database_url: str) -> Iterator[SqlOutbox]:
    """An outbox that nobody has used yet, on each kind of database in turn."""
    outbox = SqlOutbox(database_url, clock=lambda: NOW)
    yield outbox
    outbox.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a SQLite outbox is to be."""
    return tmp_path / "outbox.db"


def grades(count: int) -> list[Update]:
    """Make a batch."""
    return [
        GradeUpdate(user_id=number, username=f"learner_{number}", course_run=RUN, letter_grade="A", percent_grade=0.5)
        for number in range(count)
    ]


class TestDeliver:
    def test_each_update_becomes_a_row(self, outbox: SqlOutbox) -> None:
        """In their order, with all that the Credentials API would be sent."""
        sink: CredentialSink = outbox
        assert list(sink.deliver(UPDATES)) == [Delivered()] * 4
        rows = list(outbox.iter_rows())
        assert [(row.kind, row.user_id, row.target) for row in rows] == [update.key for update in UPDATES]
        assert [row.payload for row in rows] == [encode_update(update) for update in UPDATES]
        assert [row.source_time for row in rows] == [CHANGED, CHANGED, None, None]
        assert {(row.state, row.created) for row in rows} == {("pending", NOW)}

    def test_the_table_reads_as_documented(self, outbox: SqlOutbox, database_url: str) -> None:
        """A host reads it with a client of its own."""
        outbox.deliver([GRADE])
        engine = create_engine(database_url)
        with engine.connect() as connection:
            row = connection.execute(text("SELECT * FROM credsync_outbox")).one()
            (index,) = inspect(connection).get_indexes("credsync_outbox")
        engine.dispose()
        columns = ("id", "kind", "user_id", "target", "payload", "source_time", "state", "created")
        assert tuple(row._fields) == columns
        assert json.loads(row.payload)["percent_grade"] == "0.8500"
        times = [value if isinstance(value, datetime) else datetime.fromisoformat(value) for value in (row[5], row[7])]
        assert [time.replace(tzinfo=UTC) for time in times] == [CHANGED, NOW]
        assert index["column_names"] == ["kind", "user_id", "target"]

    def test_history_is_kept(self, outbox: SqlOutbox) -> None:
        """What is delivered twice has two rows, and the later one the higher id."""
        for _ in range(2):
            outbox.deliver([GRADE, CERTIFICATE])
        rows = list(outbox.iter_rows())
        assert [row.kind for row in rows] == ["grade", "certificate"] * 2
        ids = [row.id for row in rows]
        assert ids == sorted(set(ids))
        assert [row.id for row in outbox.iter_rows(after=ids[1])] == ids[2:]

    def test_what_the_service_could_not_be_sent_is_rejected(self, outbox: SqlOutbox) -> None:
        """That update, and none beside it."""
        bad = GradeUpdate(user_id=9, username="eve\0", course_run=RUN, letter_grade="A", percent_grade=0.5)
        first, second, third = outbox.deliver([GRADE, bad, CERTIFICATE])
        assert (first, third) == (Delivered(), Delivered())
        assert isinstance(second, Rejected)
        assert second.reason.startswith("username: ")
        assert "eve" not in second.reason
        assert [row.kind for row in outbox.iter_rows()] == ["grade", "certificate"]

    def test_nothing_is_written_for_nothing(self, file: Path) -> None:
        """An empty batch, or one that is rejected as a whole, does not even make the file."""
        outbox = SqlOutbox(file)
        assert list(outbox.deliver([])) == []
        bad = GradeUpdate(user_id=9, username="", course_run=RUN, letter_grade="A", percent_grade=0.5)
        assert isinstance(outbox.deliver([bad])[0], Rejected)
        assert not file.exists()

    def test_a_batch_is_one_statement_in_one_transaction(self, file: Path) -> None:
        """However many updates it has."""
        engine = create_engine(f"sqlite:///{file}")
        outbox, commits = SqlOutbox(engine), list[object]()
        outbox.check()
        event.listen(engine, "commit", commits.append)
        with recorded(engine) as statements:
            outbox.deliver(grades(100))
        assert (len(statements), len(commits)) == (1, 1)
        outbox.close()
        assert len(list(outbox.iter_rows())) == 100
        engine.dispose()

    def test_reading_holds_a_part(self, outbox: SqlOutbox) -> None:
        """More rows than are held at a time come all the same, each once."""
        outbox.deliver(grades(1000))
        outbox.deliver(grades(1001))
        assert len({row.id for row in outbox.iter_rows()}) == 2001

    def test_times_are_utc_whatever_zone_they_come_in(self, database_url: str) -> None:
        """A moment is a moment."""
        in_tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
        outbox = SqlOutbox(database_url, clock=lambda: in_tokyo)
        outbox.deliver([evolve(GRADE, source_time=in_tokyo)])
        assert [(row.source_time, row.created) for row in outbox.iter_rows()] == [(NOW, NOW)]
        outbox.close()

    def test_the_clock_is_asked_once_a_batch(self, file: Path) -> None:
        """By default it is the world's."""
        outbox = SqlOutbox(file)
        before = datetime.now(UTC)
        outbox.deliver([GRADE, CERTIFICATE])
        created = {row.created for row in outbox.iter_rows()}
        assert len(created) == 1
        assert before <= created.pop() <= before + timedelta(minutes=1)
        outbox.close()


class TestDurable:
    def test_what_was_delivered_survives_a_kill(self, file: Path) -> None:
        """The process dies right behind `deliver`, and nothing is lost."""
        code = (
            "import os, signal, sys\n"
            "from credsync.adapters.sql import SqlOutbox\n"
            "from credsync.updates import ProgramRevocation\n"
            f"gone = ProgramRevocation(user_id=7, username='ada', program_uuid='{PROGRAM}')\n"
            "SqlOutbox(sys.argv[1]).deliver([gone])\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        killed = subprocess.run([sys.executable, "-c", code, str(file)], check=False)
        assert killed.returncode == -signal.SIGKILL
        outbox = SqlOutbox(file)
        assert [row.kind for row in outbox.iter_rows()] == ["program"]
        outbox.close()

    def test_a_commit_waits_for_the_disk(self, file: Path) -> None:
        """SQLite is told so for each connection."""
        outbox = SqlOutbox(file)
        with outbox.engine.connect() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
            ]
        assert pragmas == ["wal", 2]
        outbox.close()

    def test_others_read_while_it_writes(self, file: Path) -> None:
        """A reader in the middle of a transaction holds nobody up."""
        outbox = SqlOutbox(f"sqlite:///{file}?timeout=0.05")
        outbox.deliver([GRADE])
        with closing(sqlite3.connect(file, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM credsync_outbox").fetchone()
            outbox.deliver([GRADE])
        assert len(list(outbox.iter_rows())) == 2
        outbox.close()


class TestTrouble:
    def test_a_locked_outbox_is_unavailable(self, file: Path) -> None:
        """And takes the same batch later."""
        outbox = SqlOutbox(f"sqlite:///{file}?timeout=0.01")
        outbox.check()
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(SinkUnavailableError, match="it is locked by another process"):
                outbox.deliver(UPDATES)
        assert len(list(outbox.deliver(UPDATES))) == 4
        assert len(list(outbox.iter_rows())) == 4
        outbox.close()

    def test_a_full_disk_is_said_to_be_full(self, file: Path) -> None:
        """Nothing of the batch is written."""
        outbox = SqlOutbox(file)
        outbox.deliver([GRADE])
        outbox.close()
        event.listen(outbox.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 6"))
        with pytest.raises(SinkUnavailableError, match="the disk is full"):
            outbox.deliver(grades(1000))
        assert len(list(outbox.iter_rows())) == 1
        outbox.close()

    def test_a_read_only_outbox_is_said_to_be(self, file: Path) -> None:
        """By `check` as a mistake, by `deliver` as an outage."""
        with closing(SqlOutbox(file)) as outbox:
            outbox.deliver([GRADE])
        outbox = SqlOutbox(f"sqlite:///file:{file}?mode=ro&uri=true")
        with pytest.raises(SinkUnavailableError, match="it is read-only"):
            outbox.deliver([GRADE])
        outbox.close()

    def test_what_is_no_outbox_is_refused(self, file: Path) -> None:
        """No database, or another table of that name: found out before the run."""
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE credsync_outbox (id integer primary key, message text)")
        outbox = SqlOutbox(file)
        with pytest.raises(ConfigurationError, match="credsync_outbox lacks kind, user_id, target, payload"):
            outbox.check()
        outbox.close()
        file.write_text("not a database at all, but long enough to be looked at as if it were one" * 9)
        outbox = SqlOutbox(file)
        with pytest.raises(ConfigurationError, match="it is not a SQLite database"):
            outbox.check()
        with pytest.raises(SinkUnavailableError, match="it is not a SQLite database"):
            outbox.deliver([GRADE])
        outbox.close()

    def test_a_missing_directory_is_named(self, tmp_path: Path) -> None:
        """At once."""
        with pytest.raises(ConfigurationError, match=r"there is no directory .*/missing$"):
            SqlOutbox(tmp_path / "missing" / "outbox.db")

    @pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
    def test_a_server_that_does_not_answer_is_unavailable(self, dialect: str) -> None:
        """Its password stays untold."""
        outbox = SqlOutbox(f"{dialect}://writer:s3cret@127.0.0.1:9/outbox")
        for call in (outbox.check, lambda: outbox.deliver([GRADE])):
            with pytest.raises(SinkUnavailableError, match="the server cannot be reached") as caught:
                call()
            assert "s3cret" not in "".join(traceback.format_exception(caught.value))

    def test_an_error_holds_no_usernames(self, outbox: SqlOutbox, database_url: str) -> None:
        """Not even where the database quotes what it was given, and on a host's own engine neither."""
        outbox.check()
        engine = create_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE credsync_outbox"))
        own = SqlOutbox(engine)
        own._is_ready = True  # noqa: SLF001  # as after the first batch
        update = GradeUpdate(user_id=9, username="x" * 40, course_run=RUN, letter_grade="A", percent_grade=0.5)
        for sink in (outbox, own):
            with pytest.raises(SinkUnavailableError, match="it has no table") as caught:
                sink.deliver([update])
            assert update.username not in "".join(traceback.format_exception(caught.value))
        engine.dispose()
        assert make_url(database_url) == engine.url
