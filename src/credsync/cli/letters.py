"""`credsync letters`: what did not arrive, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click

from credsync.cli.exits import ExitStatus
from credsync.cli.ledgers import ledger_option
from credsync.cli.letter_filters import (
    Letter,
    LetterFilters,
    destination_option,
    iter_letters,
    letter_options,
    state_option,
)
from credsync.cli.options import OperatorCommand, option
from credsync.cli.screen import Column, Screen, Table
from credsync.cli.wording import counted

__all__ = ["SCHEMA_VERSION", "as_dict", "letters"]

SCHEMA_VERSION = 1
"""Of the JSON form; it grows when a field changes its meaning or goes."""

SHOWN = "What is shown"


@click.command(cls=OperatorCommand)
@ledger_option
@letter_options
@state_option
@destination_option
@option(
    "--limit", section=SHOWN, type=click.IntRange(1), default=100, metavar="N", help="So many letters; all are counted."
)
@option("--json", "as_json", section=SHOWN, is_flag=True, help="Write JSON, and nothing else, to standard output.")
def letters(ledger: str, state: str, destination: str | None, limit: int, as_json: bool, **given: Any) -> ExitStatus:
    """List dead letters: updates that were rejected for good, or given up.

    `credsync retry` sends what they stand for again, from the source as it is now; `credsync forget` drops one.
    """
    found = iter_letters(ledger, LetterFilters(**given), state, destination)
    shown = list(islice(found, limit))
    total = len(shown) + sum(1 for _ in found)
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "total": total, "letters": [as_dict(letter) for letter in shown]}
        click.echo(json.dumps(document, indent=2))
    else:
        _show(shown, total, Screen(sys.stdout))
    return ExitStatus.OK


def as_dict(letter: Letter) -> Mapping[str, object]:
    """Return the JSON form of a letter."""
    entry = letter.entry
    return {
        **entry.key._asdict(),
        "state": entry.state.value,
        "reason": entry.reason,
        "status": entry.status,
        "since": entry.since and entry.since.isoformat(),
        "tries": entry.tries,
        "destination": letter.destination,
    }


def _show(shown: Sequence[Letter], total: int, screen: Screen) -> None:
    if not shown:
        screen.say("There are no such letters.")
        return
    columns = [
        Column("kind"),
        Column("user id"),
        Column("course run or program"),
        Column("state"),
        Column("tries", is_number=True),
        Column("since"),
        Column("reason"),
    ]
    screen.show(Table(columns, [_row(letter) for letter in shown]))
    screen.say()
    if total > len(shown):
        screen.say(f"These are the first {len(shown):,} of {counted(total, 'letter')}; --limit shows more.")
    else:
        screen.say(f"{counted(total, 'letter')}.")


def _row(letter: Letter) -> Sequence[str | int]:
    entry = letter.entry
    kind, user_id, target = entry.key
    status = f" (status {entry.status})" if entry.status is not None else ""
    return kind, str(user_id), target, entry.state.value, entry.tries, _time(entry.since), f"{entry.reason}{status}"


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else ""
