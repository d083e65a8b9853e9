"""`credsync forget`: drop a letter on purpose."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import click

from credsync.cli.exits import ExitStatus
from credsync.cli.ledgers import ledger_option, opened_ledger
from credsync.cli.letter_filters import (
    Letter,
    LetterFilters,
    destination_option,
    iter_letters,
    letter_options,
    state_option,
)
from credsync.cli.letters import SCHEMA_VERSION, as_dict
from credsync.cli.options import OperatorCommand, option
from credsync.cli.redaction import hide_passwords
from credsync.cli.screen import Screen
from credsync.cli.wording import counted
from credsync.errors import ConfigurationError

__all__ = ["forget"]

SEVERAL, SHOWN = "Several at once", "What is shown"


@click.command(cls=OperatorCommand)
@ledger_option
@letter_options
@state_option
@destination_option
@option("--all-matching", section=SEVERAL, is_flag=True, help="Drop all that meet the filters, not just one.")
@option("--yes", section=SEVERAL, is_flag=True, help="Yes, drop them.")
@option("--json", "as_json", section=SHOWN, is_flag=True, help="Write JSON, and nothing else, to standard output.")
def forget(
    ledger: str, state: str, destination: str | None, all_matching: bool, yes: bool, as_json: bool, **given: Any
) -> ExitStatus:
    """Drop a letter on purpose.

    --kind, --user-id and --course-run or --program name it. What it stands for is sent again when a run next reads it.
    """
    filters = LetterFilters(**given)
    if not (filters.names_one or (all_matching and filters.are_given)):
        raise click.UsageError(
            "a letter has --kind, --user-id and --course-run or --program; for several, give filters and --all-matching"
        )
    found = list(iter_letters(ledger, filters, state, destination))
    if not found:
        raise ConfigurationError("there is no such letter")
    if len(found) > 1 and not all_matching:
        raise ConfigurationError(f"it is in several destinations: name one with --destination: {_destinations(found)}")
    if all_matching and not yes:
        raise click.UsageError(
            f"this drops {counted(len(found), 'letter')} of {hide_passwords(ledger)}: say --yes, too"
        )
    _drop(ledger, found)
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "dropped": [as_dict(letter) for letter in found]}
        click.echo(json.dumps(document, indent=2))
        return ExitStatus.OK
    screen = Screen(sys.stdout)
    for letter in found:
        screen.say(f"dropped {letter.entry.key}: {letter.entry.state.value}: {letter.entry.reason}")
    return ExitStatus.OK


def _destinations(found: Iterable[Letter]) -> str:
    return ", ".join(repr(letter.destination) for letter in found)


def _drop(ledger: str, found: Sequence[Letter]) -> None:
    for destination, together in groupby(found, key=lambda letter: letter.destination):
        with opened_ledger(ledger, destination) as opened:
            opened.forget([letter.entry.key for letter in together])
