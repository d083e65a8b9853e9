"""A campus, a double of the service, and the command between them, with all that it says kept for a search."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from attrs import define, field
from click.testing import CliRunner, Result

from credsync.cli.command import main
from credsync.testing.campus import Campus, catalog_path, write_sample
from credsync.testing.service import DEFAULT_ACCOUNT, Account, CredentialsService

__all__ = ["SECRET", "ServiceBench", "make_campus", "serving"]

SECRET = "s3cr3t-of-the-client"


def account(**changes: Any) -> Account:
    """Make the account that the command uses."""
    return replace(DEFAULT_ACCOUNT, client_secret=SECRET, **changes)


def make_campus(directory: Path) -> Path:
    """Write a small campus with its catalog beside it."""
    path = directory / "campus.db"
    write_sample(path, Campus(learners=40, courses=6, programs=6))
    return path


@define
class ServiceBench:
    """What one test works with.

    Attributes:
        directory: Where its files are.
        service: The double.
        said: All that the command has said.
    """

    directory: Path
    service: CredentialsService
    said: list[str] = field(factory=list)

    @property
    def campus(self) -> str:
        """The source's database."""
        return str(self.directory / "campus.db")

    @property
    def ledger(self) -> str:
        """The ledger."""
        return str(self.directory / "ledger.db")

    def call(self, command: str, *arguments: str, status: int = 0, **environment: str) -> Result:
        """Call a command that knows the service and the ledger from its environment, and check its exit status."""
        known = {
            "CREDSYNC_SINK": self.service.url,
            "CREDSYNC_LMS_URL": self.service.url,
            "CREDSYNC_CLIENT_ID": DEFAULT_ACCOUNT.client_id,
            "CREDSYNC_CLIENT_SECRET": SECRET,
            "CREDSYNC_LEDGER": self.ledger,
            **environment,
        }
        result = CliRunner(env=known).invoke(main, [command, *arguments])
        self.said.append(result.output)
        assert result.exit_code == status, result.output
        return result

    def call_json(self, command: str, *arguments: str, status: int = 0, **environment: str) -> dict[str, Any]:
        """Call a command with --json, and read what it says."""
        document: dict[str, Any] = json.loads(
            self.call(command, *arguments, "--json", status=status, **environment).stdout
        )
        return document

    def notify(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Send everything that there is to be sent."""
        return self.call_json("notify", self.campus, "--all", *arguments, status=status)

    def execute(self, statement: str, *parameters: object) -> int:
        """Change the campus, and return how many rows changed."""
        with closing(sqlite3.connect(self.campus)) as connection, connection:
            return connection.execute(statement, parameters).rowcount

    def writes(self) -> list[tuple[str, str, str]]:
        """Return the keys that were written since the log was cleared."""
        return [entry.key for entry in self.service.requests if entry.key is not None]

    def names(self) -> list[str]:
        """Return every learner's username."""
        with closing(sqlite3.connect(self.campus)) as connection:
            return [name for (name,) in connection.execute("SELECT username FROM auth_user")]

    def search(self) -> list[str]:
        """Search all that was said, and every file but the campus and its catalog, for what must not be there."""
        kept = {Path(self.campus), catalog_path(self.campus)}
        files = [path for path in self.directory.iterdir() if path.is_file() and path not in kept]
        places = [text.encode() for text in self.said] + [path.read_bytes() for path in files]
        token = b"eyJ"  # how every JWT begins
        wanted = [SECRET.encode(), token, *(name.encode() for name in self.names())]
        return [found.decode() for found in wanted if any(found in place for place in places)]


@contextmanager
def serving(directory: Path, **options: Any) -> Iterator[ServiceBench]:
    """Serve a campus that is in the directory, with the programs of its catalog."""
    programs = json.loads(catalog_path(directory / "campus.db").read_text())
    options = {"programs": programs, "accounts": [account()], **options}
    with CredentialsService(**options) as service:
        yield ServiceBench(directory, service)
