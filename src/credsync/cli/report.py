"""`credsync report`: what became of everything in a past run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click
from attrs import evolve

from credsync.cli.exits import ExitStatus
from credsync.cli.ledgers import ledger_option, opened_history, show_destination
from credsync.cli.options import OperatorCommand, option
from credsync.cli.output import note
from credsync.cli.page import render_page
from credsync.cli.past_runs import as_dict, as_summary, show_run, show_runs
from credsync.cli.screen import Screen
from credsync.errors import ConfigurationError
from credsync.history import PastRun

__all__ = ["report"]

SCHEMA_VERSION = 1
"""Of the JSON form of the list; it grows when a field changes its meaning or goes."""

SHOWN = "What is shown"

PAGE_BEGINS = b"<!doctype html>"
"""How each page begins that this command writes: nothing else is ever written over."""


@click.command(cls=OperatorCommand)
@click.argument("run", required=False, type=click.IntRange(1))
@ledger_option
@option("--list", "as_list", section=SHOWN, is_flag=True, help="The last runs, a line each.")
@option("--limit", section=SHOWN, type=click.IntRange(1), default=20, metavar="N", help="With --list: so many runs.")
@option(
    "--html",
    section=SHOWN,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page for the browser to this file.",
)
@option("--json", "as_json", section=SHOWN, is_flag=True, help="Write JSON, and nothing else, to standard output.")
def report(run: int | None, ledger: str, as_list: bool, limit: int, html: Path | None, as_json: bool) -> ExitStatus:
    """Show what became of everything in a past run.

    RUN is its number; without one, it is the last run. A run that was killed is shown up to its last page.
    """
    if as_list and (run is not None or html is not None):
        raise click.UsageError("--list goes with neither a RUN nor --html")
    with opened_history(ledger) as history:
        if as_list:
            _list([_named(past, ledger) for past in history.iter_runs(limit)], as_json)
            return ExitStatus.OK
        past = _named(history.get_run(run), ledger)
    if html is not None:
        _write(html, render_page(past))
    if as_json:
        click.echo(json.dumps(as_dict(past), indent=2))
    elif html is None:
        show_run(past, Screen(sys.stdout))
    return ExitStatus.OK


def _named(past: PastRun, ledger: str) -> PastRun:
    return evolve(past, destination=show_destination(past.destination, ledger))


def _list(runs: Iterable[PastRun], as_json: bool) -> None:
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "runs": [as_summary(run) for run in runs]}
        click.echo(json.dumps(document, indent=2))
    else:
        show_runs(runs, Screen(sys.stdout))


def _is_page(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(PAGE_BEGINS)) == PAGE_BEGINS


def _write(file: Path, page: str) -> None:
    try:
        if file.is_file() and not _is_page(file):
            raise ConfigurationError(f"--html {file}: it is there, and no page of this command: name another file")
        file.write_text(page, encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(f"--html {file}: {exc.strerror}") from exc
    note(f"page written to {file}")
