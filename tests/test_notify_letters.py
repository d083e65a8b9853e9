"""Dead letters, sent again: as the source is now, once a run, and gone only when that is durable."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from credsync.adapters.memory import MemoryLedger, MemorySink
from credsync.errors import ConfigurationError, SinkUnavailableError
from credsync.ledger import EntryState
from credsync.notify import notify, retry_letters
from credsync.ports import Host
from credsync.selection import Selection
from credsync.updates import CertificateUpdate, Rejected, UpdateKey
from tests.campus_builders import (
    INTRO,
    NOW,
    OPTIONS,
    Platform,
    ScriptedSink,
    cert,
    grade,
    host_of,
    learner,
    platform_of,
)


class TestLetters:
    def rejected(self, sink: ScriptedSink, *users: int) -> tuple[Platform, MemoryLedger, Host]:
        """Set up a campus in which the sink has rejected some certificates."""
        platform, ledger = platform_of(*(cert(user_id) for user_id in users)), MemoryLedger()
        sink.acts = [[Rejected(reason="no such run")] * len(users)]
        host = host_of(platform, sink, ledger)
        notify(platform, Selection(), host=host, options=OPTIONS)
        assert {str(entry.state) for entry in ledger.entries.values()} == {"dead"}
        return platform, ledger, host

    def test_are_sent_from_the_source_as_it_is_now(self) -> None:
        """What goes out is what the source says today, and the letter is gone once it has arrived."""
        sink = ScriptedSink()
        platform, ledger, host = self.rejected(sink, 1, 2)
        platform.add(cert(2, status="notpassing", modified_date=NOW))
        report = retry_letters(host=host, options=OPTIONS)
        assert (Counter(report.read), report.total("sent")) == (Counter(certificate=2), 2)
        taken = {one.user_id: one.status for one in sink.taken.history if isinstance(one, CertificateUpdate)}
        assert taken == {1: "downloadable", 2: "notpassing"}
        assert {str(entry.state) for entry in ledger.entries.values()} == {"delivered"}

    def test_are_tried_once_a_run(self) -> None:
        """A letter that is rejected again stays one, and is not tried until it is asked for again."""
        sink = ScriptedSink()
        _, ledger, host = self.rejected(sink, 1, 2, 3)
        sink.acts = [[Rejected(reason="still not")]] * 3
        report = retry_letters(host=host, page_size=1, options=OPTIONS)
        assert (report.total("rejected"), len(sink.batches)) == (3, 4)
        assert {(entry.tries, entry.reason) for entry in ledger.entries.values()} == {(2, "still not")}

    def test_are_tried_as_wanted(self) -> None:
        """Who wants some tries some."""
        sink = ScriptedSink()
        _, ledger, host = self.rejected(sink, 1, 2, 3)
        report = retry_letters(host=host, is_wanted=lambda entry: entry.key.user_id == 2, page_size=2, options=OPTIONS)
        assert Counter(report.read) == Counter(certificate=1)
        assert [key.user_id for key, entry in ledger.entries.items() if entry.state == "delivered"] == [2]

    def test_go_where_there_is_nothing_left_to_send(self) -> None:
        """The letter of a record that is gone is of no use."""
        sink = ScriptedSink()
        platform, ledger, host = self.rejected(sink, 1)
        platform.certificates_by_key.clear()
        assert retry_letters(host=host, options=OPTIONS).reasons("skipped") == {"gone": 1}
        assert {entry.state for entry in ledger.entries.values()} == {EntryState.DELIVERED}

    def test_that_the_sink_cannot_take_now_are_not_lost(self) -> None:
        """An outage puts them off, and the next run sends them."""
        sink = ScriptedSink()
        platform, _, host = self.rejected(sink, 1)
        sink.acts = [SinkUnavailableError("down")]
        assert retry_letters(host=host, options=OPTIONS).status == "stopped"
        assert notify(platform, Selection(user_ids=[]), host=host, options=OPTIONS).total("sent") == 1

    def test_that_were_given_up_are_looked_at_again(self) -> None:
        """Once the learner is there after all, who asks gets it sent."""
        platform, ledger, sink = platform_of(cert(), grade()), MemoryLedger(), MemorySink()
        platform.learners.clear()
        host = host_of(platform, sink, ledger)
        for days in (0, 8):
            notify(platform, Selection(), host=host, options=evolve(OPTIONS, clock=lambda: NOW + timedelta(days=days)))  # noqa: B023  # the clock of this very run
        assert ledger.entries[UpdateKey("grade", 1, INTRO)].state == "dead"
        platform.add(learner())
        assert retry_letters(host=host, options=OPTIONS).total("sent") == 1

    def test_leave_what_is_deferred_alone(self) -> None:
        """That is the next run's business."""
        platform, ledger = platform_of(grade()), MemoryLedger()
        host = host_of(platform, ledger=ledger)
        notify(platform, Selection(), host=host, options=OPTIONS)
        assert retry_letters(host=host, options=OPTIONS).total() == 0

    def test_need_a_ledger(self) -> None:
        """Without one there are no letters."""
        with pytest.raises(ConfigurationError, match="the host has no ledger"):
            retry_letters(host=host_of(Platform()))

    @pytest.mark.parametrize("arguments", [{"page_size": 0}, {"delay": -1}])
    def test_come_in_pages_that_make_sense(self, arguments: dict[str, Any]) -> None:
        """As in any run."""
        with pytest.raises(ConfigurationError):
            retry_letters(host=host_of(Platform(), ledger=MemoryLedger()), **arguments)

    def test_are_written_down_as_a_run_of_their_own(self) -> None:
        """A ledger can tell a run over letters from one over records."""
        ledger = MemoryLedger()
        retry_letters(host=host_of(Platform(), ledger=ledger), options=OPTIONS)
        assert ledger.header is not None
        assert (ledger.header.job, ledger.status) == ("retry", "complete")
