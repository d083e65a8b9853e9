"""No username, password, secret or token is in anything that credsync says. This module comes last of all."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from credsync.errors import ConfigurationError
from credsync.report import Report
from tests.campus_builders import NAME_MARK
from tests.eavesdropping import EAVESDROPPER, LEDGER_TEXTS, Eavesdropper, eavesdropping


def test_the_whole_suite_has_said_nothing_that_nobody_may_see(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Logs, errors, reports, what commands print, and ledgers: of all tests that ran before this one."""
    EAVESDROPPER.hear_files(tmp_path_factory.getbasetemp())
    assert EAVESDROPPER.leaks == []


class TestEavesdropper:
    """What listens does hear."""

    @pytest.mark.parametrize(
        "secret", [f"{NAME_MARK}-7", "learner_00000012", "learner-3", "not-a-secret", "eyJhbGciOi.eyJpc3Mi", "Ada"]
    )
    def test_finds_what_it_is_to_find(self, secret: str) -> None:
        """Wherever it stands in a text."""
        eavesdropper = Eavesdropper()
        eavesdropper.hear("log", f"sent to {secret}, as ever")
        assert len(eavesdropper.leaks) == 1

    def test_finds_nothing_in_what_may_be_said(self) -> None:
        """An id, a course run and a reason are no secrets."""
        eavesdropper = Eavesdropper()
        eavesdropper.hear("log", "grade in course-v1:X+Y+Z for user 7: deferred (learner_not_visible)")
        assert (eavesdropper.leaks, eavesdropper.heard) == ([], {"log": 1})

    def test_hears_logs_errors_and_reports(self) -> None:
        """Also an error that nobody shows."""
        eavesdropper = Eavesdropper()
        listening = eavesdropping(eavesdropper)
        next(listening)
        logging.getLogger("credsync.anything").warning("no such learner: %s", NAME_MARK)
        ConfigurationError(f"no such learner: {NAME_MARK}")
        now = datetime.now(UTC)
        Report(read={NAME_MARK: 1}, counts={}, started=now, ended=now).as_dict()
        next(listening, None)
        ConfigurationError("said after it has stopped listening")
        assert eavesdropper.heard == {"log": 1, "error": 1, "report": 1}
        assert len(eavesdropper.leaks) == 3

    def test_hears_ledgers(self, tmp_path: Path) -> None:
        """Each text of each table; a file that is no ledger is passed over."""
        eavesdropper = Eavesdropper()
        (tmp_path / "other.db").write_text("no database" * 100)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
            for table, columns in LEDGER_TEXTS.items():
                database.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
                values = ", ".join(f"'{NAME_MARK}'" for _ in columns)
                database.execute(f"INSERT INTO {table} VALUES ({values})")
            database.commit()
        eavesdropper.hear_files(tmp_path)
        assert len(eavesdropper.leaks) == len(LEDGER_TEXTS)
