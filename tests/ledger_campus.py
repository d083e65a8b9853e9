"""A campus with a sink and a ledger that may break, for tests of runs that end early and go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import define, field
from typing_extensions import override

from credsync.adapters.memory import MemoryLedger
from credsync.errors import AdapterError
from credsync.ledger import PageRecord
from credsync.model import Certificate, Grade
from credsync.notify import notify
from credsync.options import RunOptions
from credsync.report import Report
from credsync.selection import Selection
from credsync.updates import UpdateKey
from tests.campus_builders import (
    Act,
    Clock,
    Platform,
    ScriptedSink,
    cert,
    grade,
    host_of,
    platform_of,
)

USERS = range(1, 8)


@define
class Dying(MemoryLedger):
    """A ledger that breaks, or takes the process with it, at a given write.

    Attributes:
        dies_at: Before which write it dies; None lives on.
        death: What it raises.
        writes: How often it was written.
        pages: What was written, page by page.
        fails_to_finish: Whether a run cannot be closed.
    """

    dies_at: int | None = None
    death: BaseException = field(factory=lambda: AdapterError("the disk is full"), eq=False)
    writes: int = 0
    pages: list[PageRecord] = field(factory=list)
    fails_to_finish: bool = False

    @override
    def record(self, page: PageRecord) -> None:
        """Write a page down, or die."""
        if self.writes == self.dies_at:
            self.dies_at = None
            raise self.death
        self.writes += 1
        self.pages.append(page)
        super().record(page)

    @override
    def finish(self, status: str, at: datetime, reason: str | None = None) -> None:
        """Close the run, or don't."""
        super().finish(status, at, reason)
        if self.fails_to_finish:
            raise AdapterError("the disk is full")


@define
class Campus:
    """A platform, a sink and a ledger, and runs from one to the other."""

    platform: Platform = field(factory=Platform)
    sink: ScriptedSink = field(factory=ScriptedSink)
    ledger: Dying = field(factory=Dying)
    clock: Clock = field(factory=Clock)

    @classmethod
    def of(cls, *records: Certificate | Grade, acts: Sequence[Act] = (), dies_at: int | None = None) -> Campus:
        """Set up a campus with some records, and a sink that will do as told."""
        return cls(platform_of(*records), ScriptedSink(list(acts)), Dying(dies_at=dies_at))

    def run(self, selection: Selection | None = None, page_size: int = 100, **changes: Any) -> Report:
        """Bring everything, or a selection of it, to the sink."""
        arguments = {name: changes.pop(name) for name in ("notify_programs", "site_config") if name in changes}
        return notify(
            self.platform,
            selection or Selection(),
            page_size=page_size,
            host=host_of(self.platform, self.sink, self.ledger),
            options=RunOptions(clock=self.clock, **changes),
            **arguments,
        )

    def pass_time(self, time: timedelta) -> None:
        """Let some time go by."""
        self.clock.now += time

    @property
    def states(self) -> dict[UpdateKey, str]:
        """The state of every entry of the ledger."""
        return {key: str(entry.state) for key, entry in self.ledger.entries.items()}


def everything() -> list[Certificate | Grade]:
    """Build two records for each of a handful of learners."""
    return [record for user_id in USERS for record in (cert(user_id), grade(user_id))]
