"""Databases to test with: SQLite always; PostgreSQL and MariaDB where they run, and in CI they must."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import URL, create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError

from credsync.adapters.sql import SqlSource
from tests.adapters.edx_database import EdxDatabase
from tests.eavesdropping import EAVESDROPPER

SERVERS = {
    "postgresql": ("CREDSYNC_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test"),
    "mysql": ("CREDSYNC_TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}

FORCE = {"postgresql": " WITH (FORCE)", "mysql": ""}
"""What throws out those who still use a database that is dropped."""


def _server_url(name: str) -> URL:
    variable, default = SERVERS[name]
    url = make_url(os.environ.get(variable, default))
    engine = create_engine(url)
    try:
        engine.connect().close()
    except OperationalError:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{name} does not answer; {variable} says where it is")
    finally:
        engine.dispose()
    return url


def _fresh_database(name: str) -> Iterator[str]:
    """Make an empty database on a server, and drop it in the end."""
    url = _server_url(name)
    database = f"credsync_{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {database}"))
    try:
        yield url.set(database=database).render_as_string(hide_password=False)
    finally:
        _search_ledger(url.set(database=database))
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {database}{FORCE[name]}"))
        engine.dispose()


def _search_ledger(url: URL) -> None:
    """Look for what nobody may see in the ledger of a database, if it has one."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if inspect(connection).has_table("credsync_entries"):
            EAVESDROPPER.hear_ledger(
                url.drivername, lambda query: (tuple(row) for row in connection.execute(text(query)))
            )
    engine.dispose()


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """An empty PostgreSQL database."""
    yield from _fresh_database("postgresql")


@pytest.fixture
def mysql_url() -> Iterator[str]:
    """An empty MariaDB or MySQL database."""
    yield from _fresh_database("mysql")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that is yet to be made."""
    return f"sqlite:///{tmp_path / 'campus.db'}"


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database, on each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def _lasting_edx(name: str) -> Iterator[EdxDatabase]:
    for url in _fresh_database(name):
        database = EdxDatabase.create(url)
        yield database
        database.engine.dispose()


@pytest.fixture(scope="session")
def postgresql_edx() -> Iterator[EdxDatabase]:
    """A platform's database on PostgreSQL, for all tests: making one takes longer than most of them."""
    yield from _lasting_edx("postgresql")


@pytest.fixture(scope="session")
def mysql_edx() -> Iterator[EdxDatabase]:
    """A platform's database on MariaDB or MySQL, likewise."""
    yield from _lasting_edx("mysql")


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def edx(request: pytest.FixtureRequest) -> Iterator[EdxDatabase]:
    """A platform's database without rows, on each kind in turn."""
    database: EdxDatabase = request.getfixturevalue(f"{request.param}_edx")
    yield database
    if request.param != "sqlite":
        database.clear()


@pytest.fixture
def sqlite_edx(sqlite_url: str) -> Iterator[EdxDatabase]:
    """A platform's database without rows, on SQLite."""
    database = EdxDatabase.create(sqlite_url)
    yield database
    database.engine.dispose()


@pytest.fixture
def source(edx: EdxDatabase) -> Iterator[SqlSource]:
    """The source over a platform's database, on each kind in turn."""
    source = SqlSource(edx.url)
    yield source
    source.close()
