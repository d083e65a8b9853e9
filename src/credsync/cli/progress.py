"""How far a long command has come: a line that moves, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol, TypeVar

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text
from typing_extensions import override

from credsync.cli.estimate import show_duration
from credsync.cli.screen import Screen
from credsync.report import Report, Verdict
from credsync.verification import WRONG, Standing, Verification

__all__ = ["A", "moving_bar", "moving_count", "per_second", "tell_run", "tell_verification", "time_left"]


class Account(Protocol):
    """What was read so far, and since when: that of a run, or of a verification."""

    @property
    def read(self) -> Mapping[str, int]:
        """Records read, by kind."""
        ...

    @property
    def started(self) -> datetime:
        """When it began."""
        ...

    @property
    def ended(self) -> datetime:
        """The time of the account."""
        ...


A = TypeVar("A", bound=Account)


def per_second(account: Account) -> float:
    """Return how many records have been read in a second."""
    seconds = (account.ended - account.started).total_seconds()
    return sum(account.read.values()) / seconds if seconds > 0 else 0.0


def tell_run(report: Report) -> str:
    """Say what has become of what a run has read."""
    failed = report.total(Verdict.REJECTED) + report.total(Verdict.FAILED)
    sent = f"{report.total(Verdict.SENT):,} {'to send' if report.dry_run else 'sent'}"
    return f"{sent}, {failed:,} failed"


def tell_verification(found: Verification) -> str:
    """Say how what was compared so far stands."""
    wrong = sum(found.total(standing) for standing in WRONG)
    return f"{found.total(Standing.RIGHT):,} right, {wrong:,} wrong"


@contextmanager
def moving_count(
    screen: Screen, tell: Callable[[A], str], total: int | None = None, describe: Callable[[], str] = str
) -> Iterator[Callable[[A], None]]:
    """Show a count and its rate as it goes; give what takes the account so far.

    Args:
        screen: Where to show it.
        tell: Says what there is to say of the account beside the count.
        total: How many records there are about; None where nobody knows.
        describe: Says how things stand right now; asked several times a second, also while a page takes long.
    """
    with _moving(screen, "reading", total=total, describe=describe) as update:

        def on_progress(account: A) -> None:
            read = sum(account.read.values())
            line = f"{read:,} read, {per_second(account):,.0f}/s, {tell(account)}{time_left(account, total)}"
            update(line, None if total is None else read)

        yield on_progress


def time_left(account: Account, total: int | None) -> str:
    """Say how long it goes on if it goes on as it has gone; nothing where nobody knows."""
    read, rate = sum(account.read.values()), per_second(account)
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
