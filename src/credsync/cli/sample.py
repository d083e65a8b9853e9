"""`credsync sample`: a made-up campus to try everything on."""

from __future__ import annotations

import shlex
import sqlite3
import sys
from dataclasses import fields
from pathlib import Path

import click

from credsync.cli.exits import ExitStatus
from credsync.cli.options import OperatorCommand, option
from credsync.cli.progress import moving_bar
from credsync.cli.screen import Screen
from credsync.cli.wording import counted
from credsync.errors import ConfigurationError
from credsync.testing.campus import Campus, SampleSummary, write_sample

__all__ = ["sample"]

SIZE, FILES = "The campus", "Its files"

USUAL = {field.name: field.default for field in fields(Campus)}

AT_LEAST_1 = click.IntRange(1)


@click.command(cls=OperatorCommand)
@click.argument("path", type=click.Path(path_type=Path))
@option(
    "--learners",
    section=SIZE,
    metavar="N",
    type=AT_LEAST_1,
    default=USUAL["learners"],
    help="How many learners; with some 2.4 course runs each.",
)
@option(
    "--courses",
    section=SIZE,
    metavar="N",
    type=AT_LEAST_1,
    default=USUAL["courses"],
    help="How many courses; with 2 to 4 runs each.",
)
@option("--programs", section=SIZE, metavar="N", type=AT_LEAST_1, default=USUAL["programs"], help="How many programs.")
@option(
    "--seed",
    section=SIZE,
    metavar="N",
    type=click.IntRange(0),
    default=USUAL["seed"],
    help="Another number makes another campus.",
)
@option("--overwrite", "--force", section=FILES, is_flag=True, help="Replace files that are there already.")
def sample(path: Path, overwrite: bool, **size: int) -> ExitStatus:
    """Make a sample campus: a SQLite database at PATH, and its program catalog as JSON beside it.

    The campus is made up, the same for the same options, and as messy as a real one: every certificate status and
    course mode, slugs that no list knows, missing letters, grades whose learner is gone, legacy keys, date overrides.
    """
    try:
        with moving_bar(Screen(sys.stderr), "writing") as on_progress:
            summary = write_sample(path, Campus(**size), overwrite=overwrite, on_progress=on_progress)
    except FileExistsError as exc:
        raise ConfigurationError(f"{exc}; --overwrite replaces files that are there") from exc
    except (OSError, sqlite3.Error) as exc:
        raise ConfigurationError(f"the sample cannot be written: {exc}") from exc
    _show(summary, Screen(sys.stdout))
    return ExitStatus.OK


def _show(summary: SampleSummary, screen: Screen) -> None:
    rows = [
        counted(summary.learners, "learner"),
        counted(summary.certificates, "certificate"),
        counted(summary.date_overrides, "date override"),
        counted(summary.grades, "grade"),
    ]
    screen.say(f"{summary.database}: a campus of {', '.join(rows[:-1])} and {rows[-1]}", "bold")
    screen.say(f"{summary.catalog}: its catalog of {counted(summary.programs, 'program')}", "bold")
    screen.say()
    screen.say("See what a run would send:")
    screen.say(f"  credsync notify {shlex.quote(str(summary.database))} --all --dry-run", "green")
