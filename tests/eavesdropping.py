"""Listens to all that credsync says while it is tested, for what nobody may see: usernames, passwords, secrets, tokens.

It hears every log record, every error of ours, every report, what commands print (where click is installed), and every
ledger that the tests leave behind. It leaves out campuses and outboxes: usernames are what they are for.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from typing_extensions import override

from credsync.errors import CredsyncError
from credsync.report import Report

__all__ = ["EAVESDROPPER", "Eavesdropper", "eavesdropping"]

FORBIDDEN = re.compile(
    r"name-that-nobody-may-see|\blearner[-_]\d+|late_learner_\d+|credentials_service_user|lovelace|\b(?:ada|grace|alice)\b"
    r"|not-a-secret|s3cr[e3]t|swordfish|hunter2|eyJ[\w-]+\.[\w-]+",
    re.IGNORECASE,
)
"""The usernames, passwords, secrets and tokens of the tests."""

LEDGER_TEXTS = {
    "credsync_destinations": ("name",),
    "credsync_entries": ("target", "reason"),
    "credsync_runs": ("scope", "reason", "place", "process"),
    "credsync_counts": ("target", "reason"),
    "credsync_failures": ("failure",),
}
"""The columns of a ledger that hold text from outside, by table."""


@define
class Eavesdropper:
    """Searches what it hears, and keeps no more than where it found something.

    Attributes:
        heard: How many texts there were, by what said them.
        leaks: What was found: what said it, and the text around.
    """

    heard: Counter[str] = field(factory=Counter)
    leaks: list[str] = field(factory=list)

    def hear(self, who: str, text: str) -> None:
        """Search a text."""
        self.heard[who] += 1
        if found := FORBIDDEN.search(text):
            self.leaks.append(f"{who}: …{text[max(0, found.start() - 80) : found.end() + 20]}…")

    def hear_ledger(self, name: str, read: Callable[[str], Iterator[tuple[Any, ...]]]) -> None:
        """Search a ledger's texts.

        Args:
            name: Names the ledger.
            read: Runs a query and gives its rows.
        """
        for table, columns in LEDGER_TEXTS.items():
            for row in read(f"SELECT DISTINCT {', '.join(columns)} FROM {table}"):
                self.hear("ledger", f"{name} {table} {row}")

    def hear_files(self, directory: Path) -> None:
        """Search all the SQLite ledgers below a directory."""
        for path in directory.rglob("*.db"):
            # no ledger, or one that a test has damaged
            with (
                suppress(sqlite3.DatabaseError),
                closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as database,
            ):
                self.hear_ledger(path.name, database.execute)


class _LogHandler(logging.Handler):
    """Hands on what is logged."""

    def __init__(self, eavesdropper: Eavesdropper) -> None:
        super().__init__()
        self.eavesdropper = eavesdropper

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.eavesdropper.hear("log", f"{record.getMessage()} {record.exc_info or ''}")


EAVESDROPPER = Eavesdropper()
"""The one that listens to the whole suite."""


def eavesdropping(eavesdropper: Eavesdropper) -> Iterator[None]:
    """Listen to logs, errors and reports, until the generator is closed."""
    handler = _LogHandler(eavesdropper)
    logging.getLogger().addHandler(handler)
    with pytest.MonkeyPatch.context() as patch:
        _overhear(patch, CredsyncError, "__init__", lambda error, *_: eavesdropper.hear("error", repr(error.args)))
        _overhear(patch, Report, "as_dict", lambda _, said: eavesdropper.hear("report", repr(said)))
        yield
    logging.getLogger().removeHandler(handler)


def _overhear(patch: pytest.MonkeyPatch, owner: type, name: str, hear: Callable[..., None]) -> None:
    """Let a method be listened to: `hear` takes the object and what the method returned."""
    method = getattr(owner, name)

    @wraps(method)
    def overheard(self: Any, *args: Any, **kwargs: Any) -> Any:
        said = method(self, *args, **kwargs)
        hear(self, said)
        return said

    patch.setattr(owner, name, overheard)
