"""A campus, an outbox, and the ledger of a run that was refused some of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import frozen
from click.testing import CliRunner, Result

from credsync.adapters.sql import SqlLedger, SqlOutbox, SqlSites, SqlSource
from credsync.catalog import ProgramIndex
from credsync.cli.catalog_file import read_catalog
from credsync.cli.command import main
from credsync.cli.ledgers import destination_name
from credsync.errors import SinkUnavailableError
from credsync.notify import notify
from credsync.options import RunOptions
from credsync.ports import CredentialSink, Host
from credsync.report import Report
from credsync.selection import Selection
from credsync.testing.campus import catalog_path
from credsync.updates import Outcome, Rejected, Update

REASON = "no such course run <here> & now"
"""What the sink says of each learner whose id 5 divides."""


@frozen
class PickySink:
    """A sink that refuses the updates of some learners."""

    sink: CredentialSink

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Deliver what it likes."""
        liked = [update for update in updates if update.user_id % 5]
        delivered = iter(self.sink.deliver(liked))
        return [next(delivered) if update.user_id % 5 else Rejected(reason=REASON, status=400) for update in updates]


@frozen
class ClosedSink:
    """A sink that cannot take anything."""

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Deliver nothing."""
        raise SinkUnavailableError("the sink is down")


@frozen
class Bench:
    """A campus, an outbox, and the ledger in the outbox's database."""

    directory: Path

    @property
    def campus(self) -> str:
        """The source's database."""
        return str(self.directory / "campus.db")

    @property
    def outbox(self) -> str:
        """The outbox's database, and the ledger's."""
        return str(self.directory / "outbox.db")

    def run(self, sink: CredentialSink | None = None) -> Report:
        """Send what changed, as `credsync notify` does, to a sink that refuses some of it; or everything to another."""
        with (
            closing(SqlSource(self.campus)) as source,
            closing(SqlOutbox(self.outbox)) as outbox,
            closing(SqlLedger(self.outbox, destination_name(self.outbox, self.outbox))) as ledger,
        ):
            outbox.check()
            host = Host(
                catalog=ProgramIndex.from_catalog(read_catalog(catalog_path(self.campus))),
                sink=sink or PickySink(outbox),
                learners=source,
                certificates=source,
                grades=source,
                policy=SqlSites(source.engine).get_policy(None),
                ledger=ledger,
            )
            start = datetime(2023, 1, 1, tzinfo=UTC)
            options = RunOptions(watermark=start, force=sink is not None)
            return notify(source, Selection(start=start), host=host, options=options)

    def sent(self) -> list[tuple[str, int, str]]:
        """Return the keys in the outbox, in the order of their delivery."""
        with closing(SqlOutbox(self.outbox)) as outbox:
            return [(row.kind, row.user_id, row.target) for row in outbox.iter_rows()]

    def letters(self, *options: str) -> dict[str, Any]:
        """Return what `credsync letters --json` says."""
        document: dict[str, Any] = json.loads(credsync("letters", "--ledger", self.outbox, "--json", *options).stdout)
        return document


def credsync(*arguments: str, status: int = 0, **environment: str) -> Result:
    """Call the command, and make sure of its exit status."""
    result = CliRunner(env={"CREDSYNC_LEDGER": "", **environment}).invoke(main, arguments)
    assert result.exit_code == status, result.output
    return result
