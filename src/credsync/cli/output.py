"""What a run says, and where: its report on standard output, everything beside it on standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress

import click
from attrs import frozen
from typing_extensions import override

from credsync.cli.account import show_report
from credsync.cli.interruption import Interruption
from credsync.cli.progress import A, moving_count
from credsync.cli.screen import Screen
from credsync.report import Report

__all__ = ["Output", "note"]

INTERRUPTED = b"\ncredsync: ending after the page in hand; once more ends at once\n"


@frozen(kw_only=True)
class Output:
    """What a run says.

    Attributes:
        as_json: The report is JSON, and alone on standard output.
        verbose: Each record has a line.
        quiet: Nothing is said but the JSON that was asked for.
    """

    as_json: bool
    verbose: bool
    quiet: bool

    def note(self, text: str) -> None:
        """Say something beside the report."""
        if not self.quiet:
            note(text)

    @contextmanager
    def watching(
        self,
        interruption: Interruption,
        tell: Callable[[A], str],
        total: int | None = None,
        describe: Callable[[], str] = str,
    ) -> Iterator[Callable[[A], None]]:
        """Let a run be followed, but not between the lines of records, and be ended while it goes.

        Args:
            interruption: What is told that the run is to end.
            tell: Says what there is to say of the account so far.
            total: How many records there are about; None where nobody knows.
            describe: Says how things stand right now.

        Yields:
            What takes the account so far.
        """
        is_followed = not (self.quiet or self.verbose)
        progress = moving_count(Screen(sys.stderr), tell, total, describe) if is_followed else nullcontext(_ignore)
        with progress as on_progress, interruption.listening(self.announce_end):
            yield on_progress

    @contextmanager
    def records(self) -> Iterator[None]:
        """Let the library's log speak, which has a line for each record of a verbose run."""
        logger = logging.getLogger("credsync")
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Lines())
        level = logger.level
        logger.setLevel(logging.INFO if self.verbose and not self.quiet else logging.WARNING)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)

    def announce_end(self) -> None:
        """Say that the run is about to end. May be called from anywhere, in the middle of writing to a stream, say."""
        if not self.quiet:
            with suppress(OSError):
                os.write(2, INTERRUPTED)

    def show(self, report: Report, preview: Iterable[str], destination: str) -> None:
        """Show how the run ended.

        Args:
            report: Its report.
            preview: What goes before, in a dry run.
            destination: Names where the updates went.
        """
        lines = [] if self.quiet else list(preview)
        if lines:
            _show_preview(lines, Screen(sys.stderr if self.as_json else sys.stdout))
        if self.as_json:
            click.echo(json.dumps(report.as_dict(), indent=2))
        elif not self.quiet:
            show_report(report, Screen(sys.stdout), destination)
        elif report.stopped:
            note(f"stopped early, in {report.stopped.stage}: {report.stopped.reason}")


class _Lines(logging.Formatter):
    """A line for each thing that the library's log says; what is not of a single record says who speaks."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return line if record.levelno < logging.WARNING else f"credsync: {line}"


def note(text: str) -> None:
    """Say something beside what was asked for, on standard error."""
    Screen(sys.stderr).say(f"credsync: {text}", "dim")


def _show_preview(lines: Iterable[str], screen: Screen) -> None:
    screen.say("Dry run, nothing is sent. These are selected:", "bold")
    for line in lines:
        screen.write(line)
    screen.say()


def _ignore(_account: object) -> None:
    """Stand in where nobody watches."""
