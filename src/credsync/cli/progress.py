"""How far a long command has come: a line that moves, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text
from typing_extensions import override

from credsync.cli.estimate import show_duration
from credsync.cli.screen import Screen
from credsync.report import Report, Verdict

__all__ = ["moving_bar", "moving_count", "per_second", "time_left"]


def per_second(report: Report) -> float:
    """Return how many records a run has read in a second."""
    seconds = (report.ended - report.started).total_seconds()
    return sum(report.read.values()) / seconds if seconds > 0 else 0.0


@contextmanager
def moving_count(
    screen: Screen, total: int | None = None, describe: Callable[[], str] = str
) -> Iterator[Callable[[Report], None]]:
    """Show a run's count and rate as it goes; give what takes the report so far.

    Args:
        screen: Where to show it.
        total: How many records there are about; None where nobody knows.
        describe: Says how things stand right now; asked several times a second, also while a page takes long.
    """
    with _moving(screen, "reading", total=total, describe=describe) as update:

        def on_progress(report: Report) -> None:
            failed = report.total(Verdict.REJECTED) + report.total(Verdict.FAILED)
            read = sum(report.read.values())
            sent = f"{report.total(Verdict.SENT):,} {'to send' if report.dry_run else 'sent'}"
            line = f"{read:,} read, {per_second(report):,.0f}/s, {sent}, {failed:,} failed"
            update(line + time_left(report, total), None if total is None else read)

        yield on_progress


def time_left(report: Report, total: int | None) -> str:
    """Say how long a run goes on if it goes on as it has gone; nothing where nobody knows."""
    read, rate = sum(report.read.values()), per_second(report)
    return "" if total is None or not rate or read >= total else f", {show_duration((total - read) / rate)} left"


@contextmanager
def moving_bar(screen: Screen, doing: str) -> Iterator[Callable[[int, int], None]]:
    """Show a part of a whole as it grows; give what takes the two."""
    with _moving(screen, doing, total=1, describe=str) as update:
        yield lambda done, whole: update(doing, done / whole)


class _Standing(ProgressColumn):
    """Says how things stand whenever the line is drawn."""

    def __init__(self, describe: Callable[[], str]) -> None:
        super().__init__()
        self.describe = describe

    @override
    def render(self, task: Task) -> Text:
        return Text(self.describe(), "yellow")


@contextmanager
def _moving(
    screen: Screen, description: str, total: float | None, describe: Callable[[], str]
) -> Iterator[Callable[[str, float | None], None]]:
    if not screen.is_terminal:
        yield lambda _description, _completed: None
        return
    columns = (
        BarColumn(bar_width=20, style="dim", complete_style="green", pulse_style="cyan"),
        TextColumn("{task.description}"),
        _Standing(describe),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen.console, transient=True) as progress:
        screen.console.show_cursor()  # a process that is ended at once has no time to bring it back
        task = progress.add_task(description, total=total)
        yield lambda description, completed: progress.update(task, description=description, completed=completed)
