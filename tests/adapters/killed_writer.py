"""A writer that is killed in the middle of a transaction, and leaves it to others to take back what it began."""

from __future__ import annotations

import subprocess
import sys
from os import PathLike

__all__ = ["leave_half_done"]

WRITER = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = DELETE")
database.execute("PRAGMA cache_size = 1")  # so that it writes before it commits
database.execute("BEGIN")
database.execute("CREATE TABLE half_done (text)")
database.executemany("INSERT INTO half_done VALUES (?)", [("x" * 3000,)] * 50)
os.kill(os.getpid(), signal.SIGKILL)
"""


def leave_half_done(path: str | PathLike[str]) -> None:
    """Begin a transaction in a SQLite file, and die: its journal is still to be rolled back."""
    subprocess.run([sys.executable, "-c", WRITER, path], check=False)
