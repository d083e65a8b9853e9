"""A sink that goes away within a page: the run stops, and nothing of the page is passed over."""

from __future__ import annotations

from credsync import Certificate, SinkUnavailableError, Update, per_update, send_notifications
from credsync.adapters.memory import MemoryLedger, MemoryPlatform
from tests.campus_builders import cert, host_of

CERTS: list[Certificate] = [cert(number) for number in range(1, 7)]


class Failing:
    """Takes a number of updates, and is away from then on."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.taken: list[int] = []

    def __call__(self, update: Update) -> None:
        """Take an update, or be away."""
        if len(self.taken) == self.takes:
            raise SinkUnavailableError("down")
        self.taken.append(update.user_id)


def test_without_a_ledger_the_page_is_to_be_gone_through_again() -> None:
    """What was deferred is remembered by nobody, so the report names the start of its page."""
    host = host_of(MemoryPlatform(), per_update(Failing(3)))
    report = send_notifications(CERTS, [], page_size=2, host=host)
    assert report.stopped is not None
    assert (report.stopped.stage, report.stopped.cursor) == ("certificates", 2)
    assert (report.total("sent"), report.total("deferred"), report.unaccounted) == (3, 1, 0)


def test_with_a_ledger_what_was_deferred_is_looked_at_again() -> None:
    """The deferral is durable, and the next run sends what the page still owes."""
    ledger, platform = MemoryLedger(), MemoryPlatform()
    platform.add(*CERTS)
    first = send_notifications(CERTS, [], page_size=2, host=host_of(platform, per_update(Failing(3)), ledger))
    assert first.stopped is not None
    sink = Failing(99)
    second = send_notifications(CERTS, [], page_size=2, host=host_of(platform, per_update(sink), ledger))
    assert second.stopped is None
    assert sorted(sink.taken) == [4, 5, 6]
