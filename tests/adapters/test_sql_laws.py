"""The laws, whatever happens, over the ledger in a database: SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import create_engine
from typing_extensions import override

from credsync.adapters.sql import SqlLedger
from credsync.adapters.sql.ledger_tables import metadata
from tests.laws.machine import LawMachine
from tests.laws.watch import LedgerUnderTest


class SqlLawMachine(LawMachine):
    """The laws over a `SqlLedger`, each example in a new one."""

    def __init__(self, new_ledger: Callable[[], str]) -> None:
        self.new_ledger = new_ledger
        self.url = ""
        super().__init__()

    @override
    def open_ledger(self) -> LedgerUnderTest:
        """Open an empty ledger."""
        self.url = self.new_ledger()
        return SqlLedger(self.url)

    @override
    def reopen_ledger(self, ledger: LedgerUnderTest) -> LedgerUnderTest:
        """Let go of the connection, as the death of its process does, and open the ledger anew."""
        assert isinstance(ledger, SqlLedger)
        ledger.close()
        return SqlLedger(self.url)

    @override
    def teardown(self) -> None:
        """Look at everything a last time, and close the ledger."""
        try:
            super().teardown()
        finally:
            assert isinstance(self.ledger.ledger, SqlLedger)
            self.ledger.ledger.close()


def examples(least: int) -> settings:
    """Take fewer examples, and shorter ones, than the laws get in memory: a database needs longer for each."""
    return settings(max_examples=max(least, settings().max_examples // 20), stateful_step_count=30)


def test_laws_hold_on_sqlite(tmp_path: Path) -> None:
    """Whatever happens, the laws hold over a ledger in a SQLite file."""
    names = iter(range(10**9))
    new_machine: Any = partial(SqlLawMachine, lambda: f"sqlite:///{tmp_path / f'{next(names)}.db'}")
    run_state_machine_as_test(new_machine, settings=examples(30))


@pytest.mark.parametrize("server", ["postgresql_url", "mysql_url"])
def test_laws_hold_on_servers(request: pytest.FixtureRequest, server: str) -> None:
    """Whatever happens, the laws hold over a ledger on PostgreSQL and MariaDB."""
    url: str = request.getfixturevalue(server)
    engine = create_engine(url)

    def new_ledger() -> str:
        metadata.drop_all(engine)
        return url

    new_machine: Any = partial(SqlLawMachine, new_ledger)
    run_state_machine_as_test(new_machine, settings=examples(10))
    engine.dispose()
