"""Opening databases, and what is said of one that is wrong, away or in the way."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from credsync.adapters.sql import SqlSource
from credsync.adapters.sql.faults import diagnose
from credsync.errors import ConfigurationError, CredsyncError, SourceError
from credsync.model import Grade
from credsync.selection import Selection
from tests.adapters.edx_database import RUN, TABLES, EdxDatabase
from tests.adapters.killed_writer import leave_half_done

NOBODY_LISTENS = "127.0.0.1:9"


def refused(call: Callable[[], object], kind: type[CredsyncError]) -> str:
    """Return the one line that a call is refused with, after looking for what no error may tell."""
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    story = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in story
    assert "learner_" not in story
    assert "SELECT" not in message
    return message


def first_page(database: str) -> Callable[[], object]:
    """Read the first page of a database's grades."""

    def read() -> object:
        with closing(SqlSource(database)) as source:
            return source.grades(Selection(user_ids=[7])).fetch({"walk": "user_id,id", "after": [7, 0]}, 10)

    return read


def checked(database: str) -> Callable[[], object]:
    """Check a database."""

    def check() -> None:
        with closing(SqlSource(database)) as source:
            source.check()

    return check


class TestOpening:
    def test_takes_a_path_a_url_or_an_engine(self, sqlite_edx: EdxDatabase, tmp_path: Path) -> None:
        """Whatever names the database, the same is read."""
        sqlite_edx.add_grade(1, 1)
        path = tmp_path / "campus.db"
        for database in (path, str(path), f"sqlite:///{path}", f"sqlite:///file:{path}?uri=true", sqlite_edx.engine):
            source = SqlSource(database)
            assert len(source.grades(Selection()).fetch(None, 10).records) == 1
            source.close()

    def test_takes_paths_with_odd_characters(self, tmp_path: Path) -> None:
        """What means something in a URL means nothing in a path."""
        path = tmp_path / "50% of #1? (köpia).db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE unrelated (id integer)")
        assert refused(checked(str(path)), ConfigurationError).startswith(f"{path}: it has no table ")

    def test_a_missing_file_is_not_made(self, tmp_path: Path) -> None:
        """A misspelt path is an error, not an empty database."""
        path = tmp_path / "misspelt.db"
        for database in (str(path), f"sqlite:///{path}"):
            assert refused(lambda: SqlSource(database), ConfigurationError) == f"{path}: no such file"  # noqa: B023
        assert not path.exists()
        assert refused(lambda: SqlSource(tmp_path), ConfigurationError) == f"{tmp_path}: not a file"

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
    def test_memory_is_refused(self, url: str) -> None:
        """Another connection's memory holds nothing of ours."""
        assert "in memory" in refused(lambda: SqlSource(url), ConfigurationError)

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://u:s3cret@host:port/x",
            "://u:s3cret@host",
            "oracle8://u:s3cret@h/x",
            "mysql:/u:s3cret@h/x",
            "mysql:u:s3@h",
        ],
    )
    def test_a_url_that_makes_no_sense_is_not_quoted(self, url: str) -> None:
        """There is a password in it."""
        refused(lambda: SqlSource(url), ConfigurationError)

    @pytest.mark.parametrize(
        ("url", "extra"),
        [("postgresql+psycopg2://u:s3cret@h/x", "postgresql"), ("mysql+mysqldb://u:s3cret@h/x", "mysql")],
    )
    def test_a_missing_driver_names_its_extra(self, url: str, extra: str) -> None:
        """Said with what to type."""
        message = refused(lambda: SqlSource(url), ConfigurationError)
        assert f"pip install 'credsync[{extra}]'" in message

    @pytest.mark.parametrize("name", ["postgresql", "postgres", "mysql", "mariadb"])
    def test_a_url_without_a_driver_gets_the_extras_one(self, name: str) -> None:
        """Whatever SQLAlchemy's version takes for the default."""
        assert SqlSource(f"{name}://h/x").engine.driver in {"psycopg", "pymysql"}


class TestNeverWrites:
    def test_a_write_is_refused(self, edx: EdxDatabase) -> None:
        """By the database itself."""
        source = SqlSource(edx.url)
        insert = text("INSERT INTO auth_user VALUES (1, 'eve')")
        with pytest.raises(DBAPIError), source.engine.begin() as connection:
            connection.execute(insert)
        source.close()
        with edx.engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM auth_user")).scalar() == 0

    def test_no_transaction_stays_open(self, edx: EdxDatabase) -> None:
        """Between two statements of one connection, others' commits become visible."""
        edx.add_learner(1)
        source = SqlSource(edx.url)
        count = text("SELECT count(*) FROM auth_user")
        with source.engine.connect() as connection:
            assert connection.execute(count).scalar() == 1
            edx.add_learner(2)
            assert connection.execute(count).scalar() == 2
        source.close()

    def test_sessions_have_utc(self, postgresql_edx: EdxDatabase) -> None:
        """Whatever the server's own zone, so that a column without one means UTC."""
        database = f"ALTER DATABASE {make_url(postgresql_edx.url).database}"
        postgresql_edx.execute(f"{database} SET timezone = 'Asia/Tokyo'")
        try:
            with closing(SqlSource(postgresql_edx.url)) as source, source.engine.connect() as connection:
                assert connection.execute(text("SHOW timezone")).scalar() == "UTC"
        finally:
            postgresql_edx.execute(f"{database} RESET timezone")

    def test_times_without_a_zone_are_utc_on_postgresql(self, postgresql_url: str) -> None:
        """Should somebody have stored them so."""
        tables = TABLES.replace("{time}", "timestamp")
        edx = EdxDatabase.create(postgresql_url, tables=tables)
        for number, modified in enumerate(("2024-03-01 12:00:00", "2024-03-01 12:00:00.5"), start=1):
            edx.add_grade(number, number, modified=modified)
        noon = datetime(2024, 3, 1, 12, tzinfo=UTC)
        with closing(SqlSource(postgresql_url)) as source:
            pages = source.grades(Selection(start=noon))
            first = pages.fetch(None, 1)
            (second,) = pages.fetch(first.next, 1).records
            assert [grade.modified for grade in first.records if isinstance(grade, Grade)] == [noon]
            assert isinstance(second, Grade)
            assert second.user_id == 2
            assert len(source.grades(Selection(end=noon)).fetch(None, 10).records) == 0
        edx.engine.dispose()


class TestWrongDatabases:
    def test_what_is_no_database_is_named(self, tmp_path: Path) -> None:
        """The wrong file is found out before the run, or with its first page."""
        path = tmp_path / "catalog.json"
        path.write_text('[{"title": "not a database, and longer than the hundred bytes of a header"}]' * 5)
        expected = f"{path}: it is not a SQLite database"
        assert refused(checked(str(path)), ConfigurationError) == expected
        assert refused(first_page(str(path)), SourceError) == expected

    @pytest.mark.parametrize("table", [line.split()[2] for line in TABLES.splitlines() if "CREATE TABLE" in line][:4])
    def test_a_missing_table_is_named(self, sqlite_edx: EdxDatabase, table: str) -> None:
        """Which one, and where."""
        sqlite_edx.execute(f"DROP TABLE {table}")
        path = make_url(sqlite_edx.url).database
        assert refused(checked(sqlite_edx.url), ConfigurationError) == (
            f"{path}: it has no table {table}; an Open edX database has one"
        )

    def test_missing_columns_are_named(self, sqlite_edx: EdxDatabase) -> None:
        """All of them."""
        for column in ("letter_grade", "percent_grade"):
            sqlite_edx.execute(f"ALTER TABLE grades_persistentcoursegrade DROP COLUMN {column}")
        path = make_url(sqlite_edx.url).database
        expected = f"{path}: its table grades_persistentcoursegrade lacks percent_grade, letter_grade"
        assert refused(checked(sqlite_edx.url), ConfigurationError) == expected
        assert refused(first_page(sqlite_edx.url), SourceError) == expected

    @pytest.mark.parametrize("server", ["postgresql", "mysql"])
    def test_a_missing_database_is_named_without_its_password(
        self, request: pytest.FixtureRequest, server: str
    ) -> None:
        """By the URL, in which the password is hidden."""
        edx: EdxDatabase = request.getfixturevalue(f"{server}_edx")
        url = make_url(edx.url).set(database="no_such_database")
        message = refused(checked(url.render_as_string(hide_password=False)), ConfigurationError)
        assert "no_such_database" in message
        assert "no such database" in message or "does not exist" in message

    @pytest.mark.parametrize("server", ["postgresql", "mysql"])
    def test_a_table_that_goes_away_is_named(self, request: pytest.FixtureRequest, server: str) -> None:
        """In mid-run, by its name and no more."""
        url: str = request.getfixturevalue(f"{server}_url")
        edx = EdxDatabase.create(url)
        with closing(SqlSource(url)) as source:
            pages = source.grades(Selection())
            pages.fetch(None, 10)
            edx.execute("ALTER TABLE grades_persistentcoursegrade DROP COLUMN letter_grade")
            assert "it has no column" in refused(lambda: pages.fetch(None, 10), SourceError)
            edx.execute("DROP TABLE grades_persistentcoursegrade")
            assert "it has no table" in refused(lambda: pages.fetch(None, 10), SourceError)
            assert "it has no table" in refused(lambda: source.find_grades([(7, RUN)]), SourceError)  # type: ignore[list-item]  # a plain tuple is equal
        edx.engine.dispose()


class TestTrouble:
    @pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
    def test_a_server_that_does_not_answer_is_worth_another_try(self, dialect: str) -> None:
        """No misconfiguration, as far as anyone can tell."""
        url = f"{dialect}://reader:s3cret@{NOBODY_LISTENS}/edxapp"
        message = refused(checked(url), SourceError)
        assert message.endswith(f"://reader:***@{NOBODY_LISTENS}/edxapp: the server cannot be reached")

    def test_a_locked_database_is_said_to_be_locked(self, sqlite_edx: EdxDatabase) -> None:
        """Another process may hold a SQLite file for as long as it likes."""
        with closing(sqlite3.connect(str(make_url(sqlite_edx.url).database), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for call in (checked, first_page):
                message = refused(call(f"{sqlite_edx.url}?timeout=0.01"), SourceError)
                assert message.endswith(": it is locked by another process")

    def test_a_file_whose_writer_was_killed_is_not_touched(self, sqlite_edx: EdxDatabase) -> None:
        """What is half done only a writer may take back: it stays as it is, and the error says what to do."""
        path = Path(sqlite_edx.url.removeprefix("sqlite:///"))
        leave_half_done(path)
        before = path.read_bytes()
        message = refused(first_page(sqlite_edx.url), SourceError)
        assert message.endswith("its writer was killed: to set that right, it must once be opened by who may write")
        assert path.read_bytes() == before

    def test_a_damaged_file_is_said_to_be_damaged(self, sqlite_edx: EdxDatabase) -> None:
        """With the cursor to go on from when it is mended."""
        for number in range(1, 400):
            sqlite_edx.add_grade(number, number)
        path = Path(str(make_url(sqlite_edx.url).database))
        with closing(SqlSource(path)) as source:
            pages = source.grades(Selection())
            cursor = pages.fetch(None, 10).next
            intact = path.read_bytes()
            path.write_bytes(intact[:8192] + b"\xff" * (len(intact) - 8192))
            with pytest.raises(SourceError, match="the file is damaged") as caught:
                pages.fetch(cursor, 100)
            assert caught.value.cursor == cursor
            path.write_bytes(intact)

    @pytest.mark.parametrize("server", ["postgresql", "mysql"])
    def test_a_lost_connection_costs_no_more_than_the_page(self, request: pytest.FixtureRequest, server: str) -> None:
        """The error says where to go on, and going on works."""
        edx: EdxDatabase = request.getfixturevalue(f"{server}_edx")
        for number in range(1, 6):
            edx.add_grade(number, number)
        try:
            with closing(SqlSource(edx.url)) as source:
                pages = source.grades(Selection())
                cursor = pages.fetch(None, 2).next
                hang_up(source.engine, edx.engine)
                with pytest.raises(SourceError, match=r": the connection was lost$") as caught:
                    pages.fetch(cursor, 2)
                assert caught.value.cursor == cursor
                rest = pages.fetch(caught.value.cursor, 10)
                assert [grade.user_id for grade in rest.records if isinstance(grade, Grade)] == [3, 4, 5]
        finally:
            edx.clear()

    def test_a_hosts_own_engine_tells_no_names_either(self) -> None:
        """Its errors quote parameters; ours come from it, and don't."""
        engine = create_engine("sqlite://")
        source, user_id = SqlSource(engine), 10**9 + 7
        with pytest.raises(SourceError) as caught:
            source.find_learners([user_id])
        assert str(user_id) not in "".join(traceback.format_exception(caught.value))
        assert not engine.hide_parameters
        engine.dispose()


class TestDiagnosis:
    @pytest.mark.parametrize(
        ("cause", "is_lost", "reason"),
        [
            (
                Exception("server closed the connection unexpectedly"),
                True,
                "the connection was lost",
            ),
            (Exception("connection is bad: timeout"), False, "the server cannot be reached"),
            (
                Exception("FATAL:  sorry, too many clients already"),
                False,
                "too many clients already",
            ),
            (Exception(1213, "Deadlock found when trying to get lock"), False, "it is locked by another process"),
            (Exception(1114, "The table 'credsync_outbox' is full"), False, "the disk is full"),
            (Exception(1062, "Duplicate entry 'learner_7' for key 'username'"), False, "it failed with Exception 1062"),
            (sqlite3.OperationalError("disk I/O error on learner_7"), False, "it failed with OperationalError"),
        ],
    )
    def test_says_what_is_wrong_in_words_of_our_own(self, cause: Exception, is_lost: bool, reason: str) -> None:
        """Never in the driver's, which may quote a learner's data."""
        error = OperationalError("SELECT", {}, cause, connection_invalidated=is_lost)
        fault = diagnose(error)
        assert fault.reason.endswith(reason)
        assert not fault.is_lasting

    @pytest.mark.parametrize("why", ["password authentication failed for user x", 'database "x" does not exist'])
    def test_a_refusal_that_will_last_is_told_from_one_that_may_not(self, why: str) -> None:
        """PostgreSQL gives neither a code while the connection is being made."""
        assert diagnose(OperationalError("SELECT", {}, Exception(f"FATAL:  {why}"))).is_lasting


def hang_up(victim: Engine, killer: Engine) -> None:
    """Let the server end the other's connections."""
    own_id = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}[victim.dialect.name]
    kill = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}[victim.dialect.name]
    with victim.connect() as connection:
        number = connection.execute(text(own_id)).scalar()
    with killer.connect() as connection:
        connection.execute(text(kill.format(number)))
