"""Going on from earlier runs: the ledger, the window that --auto takes from it, and resuming."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
from attrs import evolve, fields_dict, frozen

from credsync.cli.filters import WHICH
from credsync.cli.inputs import read_time
from credsync.cli.ledgers import (
    check_not_source,
    default_ledger,
    destination_name,
    is_ledger,
    opened_ledger,
    outbox_ledger_option,
)
from credsync.cli.options import option
from credsync.errors import ConfigurationError
from credsync.selection import Selection

if TYPE_CHECKING:
    from credsync.adapters.sql import SqlLedger

__all__ = ["Continuing", "continuing_options"]

C = TypeVar("C", bound=Callable[..., object])

REMEMBERED = "What is remembered"

NO_HISTORY = "--auto has no complete run with these filters to go on from: --since TIME says where the first begins"
"""Why an automatic run does not begin."""


def continuing_options(command: C) -> C:
    """Declare the options that `Continuing` is made from."""
    for declare in reversed(
        (
            option(
                "--auto",
                section=WHICH,
                is_flag=True,
                help="Those that changed since the last complete run with the same filters began; leaves no gap.",
            ),
            option(
                "--since",
                section=WHICH,
                type=read_time,
                metavar="TIME",
                help="With --auto: where the first run begins. Later ones pass it over.",
            ),
            option(
                "--lag",
                section=WHICH,
                type=click.FloatRange(0, 31_536_000),
                default=600.0,
                metavar="SECONDS",
                help="With --auto: how late a row may become visible; the next run begins so much earlier.",
            ),
            outbox_ledger_option(REMEMBERED),
            option("--no-ledger", section=REMEMBERED, is_flag=True, help="Remember nothing: send everything anew."),
            option("--resume", section=REMEMBERED, is_flag=True, help="Go on where the last run stopped."),
            option("--force", section=REMEMBERED, is_flag=True, help="Send also what was delivered before."),
            option(
                "--give-up-after",
                section=REMEMBERED,
                type=click.FloatRange(0, 36_500),
                default=7.0,
                metavar="DAYS",
                help="Look so long for what is not there yet; then it becomes a dead letter.",
            ),
        )
    ):
        command = declare(command)
    return command


@frozen(kw_only=True)
class Continuing:
    """What was said about earlier runs.

    Attributes:
        auto: Read what changed since the last complete run began.
        since: Where the first such run begins, aware.
        lag: Seconds after which a row is visible at the latest.
        ledger: The ledger: a path, or a SQLAlchemy URL; None is that of the destination.
        no_ledger: Remember nothing.
        resume: Go on where the last run stopped.
        force: Send also what was delivered before.
        give_up_after: Days to look for what is not there yet.
    """

    auto: bool
    since: datetime | None
    lag: float
    ledger: str | None
    no_ledger: bool
    resume: bool
    force: bool
    give_up_after: float

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Self:
        """Take what is about earlier runs out of what a command was given."""
        return cls(**{name: given.pop(name) for name in fields_dict(cls)})

    def check(self, out: str | None, *, dry_run: bool, has_window: bool, everything: bool) -> None:
        """Refuse what contradicts itself, or wants to go on from earlier runs where no ledger knows of any.

        Raises:
            UsageError: If two options exclude each other.
            ConfigurationError: If there is no ledger, and the run needs one.
            AdapterError: If it cannot be reached.
        """
        if self.auto and has_window:
            raise click.UsageError("--auto finds its window itself: leave out --start-date and --end-date")
        if self.auto and everything:
            raise click.UsageError("--auto reads what changed, --all what there is: leave one of them out")
        if self.since and not self.auto:
            raise click.UsageError("--since says nothing without --auto")
        if self.since and self.since > datetime.now(UTC):
            raise click.UsageError("--since has yet to come: what changes until then would never be read")
        if self.no_ledger and (self.auto or self.resume):
            raise click.UsageError("--auto and --resume need the ledger: leave out --no-ledger")
        if self.resume and dry_run:
            raise click.UsageError("--resume goes on with a run, and a dry run is none")
        place, needs_history = self._place(out), self.resume or (self.auto and not self.since)
        if place and needs_history and not is_ledger(place):
            raise ConfigurationError("there is no run to resume" if self.resume else NO_HISTORY)

    def _place(self, out: str | None) -> str | None:
        return self.ledger or (out and default_ledger(out))

    @contextmanager
    def opened(self, out: str | None, source: str, *, dry_run: bool) -> Iterator[SqlLedger | None]:
        """Open the ledger; a dry run only takes one that is there.

        Raises:
            ConfigurationError: If it is the platform's database, or cannot be a ledger.
            AdapterError: If it cannot be reached.
        """
        place = self._place(out)
        if self.no_ledger or place is None or (dry_run and not is_ledger(place)):
            yield None
            return
        check_not_source(place, source)
        with opened_ledger(place, destination_name(place, out or place)) as ledger:
            yield ledger

    def window(
        self, selection: Selection, ledger: SqlLedger | None, scope: Mapping[str, object], now: datetime
    ) -> tuple[Selection, datetime | None]:
        """Say where the run begins, and up to where everything will have been seen after it.

        Args:
            selection: What the filters select.
            ledger: What is known of earlier runs; None knows of none.
            scope: What makes runs go on from each other.
            now: When the run begins, aware.

        Returns:
            The selection, with the window of an automatic run, and the watermark: None for a run that leaves gaps.

        Raises:
            ConfigurationError: If there is no earlier run to go on from, and no `--since`.
        """
        watermark = now - timedelta(seconds=self.lag)
        if not self.auto:
            return selection, watermark if selection.start is None and selection.end is None else None
        stopped = ledger.find_resumable() if ledger and self.resume else None
        if stopped:
            return evolve(selection, start=stopped.start), stopped.watermark
        start = (ledger.find_watermark(scope) if ledger else None) or self.since
        if start is None:
            raise ConfigurationError(NO_HISTORY)
        return evolve(selection, start=start), watermark
