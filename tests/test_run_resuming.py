"""A run that ends early, by outage or death, and the one that goes on: nothing is lost, at most a page goes twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credsync.errors import AdapterError, ConfigurationError, SinkUnavailableError
from credsync.ledger import RunHeader
from credsync.report import Stopped
from credsync.selection import Selection
from credsync.updates import Delivered, Update
from tests.campus_builders import (
    INTRO,
    NOW,
    OLD,
    PROGRAM,
    Act,
    cert,
    grade,
)
from tests.ledger_campus import USERS, Campus, everything

DOWN = SinkUnavailableError("down")


class TestOutages:
    def test_leave_the_page_deferred_and_go_on_behind_it(self) -> None:
        """What the sink could not take is deferred, durably, so the place to go on is behind it."""
        campus = Campus.of(*everything(), acts=[[Delivered()] * 3, DOWN])
        report = campus.run(page_size=3)
        assert report.stopped is not None
        assert (report.stopped.stage, report.stopped.cursor) == ("certificates", [6, INTRO])
        assert (report.total("sent"), report.reasons("deferred")) == (3, {"sink_unavailable": 3})
        assert (campus.ledger.run.stage, campus.ledger.run.cursor, campus.ledger.status) == (
            "certificates",
            [6, INTRO],
            "stopped",
        )

    @given(page_size=st.integers(1, 8), outages=st.sets(st.integers(0, 16)), resumes=st.booleans())
    def test_lose_nothing_and_send_nothing_twice(self, page_size: int, outages: set[int], resumes: bool) -> None:
        """However often the service goes away, going on, or starting anew, brings everything there, each once."""
        acts: list[Act] = [DOWN if number in outages else _take for number in range(max(outages, default=0) + 1)]
        campus = Campus.of(*everything(), acts=acts)
        report = campus.run(page_size=page_size)
        for _ in outages:
            assert report.unaccounted == 0
            if report.stopped:
                report = campus.run(page_size=page_size, resume=resumes)
        assert report.status == "complete"
        assert sorted(update.key for update in campus.sink.taken.history) == sorted(campus.ledger.entries)
        assert campus.states == dict.fromkeys(campus.states, "delivered")
        assert len(campus.states) == 14

    def test_while_the_deferred_are_looked_at_go_on_with_them(self) -> None:
        """An outage at the very end leaves a run that is resumed with what is still deferred."""
        campus = Campus.of(*(grade(user_id) for user_id in USERS))
        campus.run()
        campus.platform.add(*(cert(user_id) for user_id in USERS))
        nothing = Selection(user_ids=[])
        campus.sink.acts = [_take, DOWN]
        report = campus.run(nothing, page_size=3)
        assert report.stopped is not None
        assert report.stopped.stage == "pending"
        again = campus.run(nothing, page_size=3, resume=True)
        assert (report.total("sent"), again.total("sent"), again.status) == (3, 4, "complete")


def _take(updates: Sequence[Update]) -> list[Delivered]:
    return [Delivered()] * len(updates)


class TestInterruptions:
    @given(
        page_size=st.integers(1, 6),
        dies_at=st.integers(0, 16),
        death=st.sampled_from([KeyboardInterrupt(), AdapterError("the disk is full")]),
        at_sink=st.booleans(),
    )
    def test_lose_nothing_and_send_a_page_twice_at_most(
        self, page_size: int, dies_at: int, death: BaseException, at_sink: bool
    ) -> None:
        """Wherever a run dies, one that resumes it ends where an undisturbed one would; at most a page goes twice."""
        campus = Campus.of(*everything())
        if at_sink:
            campus.sink.acts = [*[_take] * dies_at, KeyboardInterrupt()]
        else:
            campus.ledger.dies_at, campus.ledger.death = dies_at, death
        try:
            finished = campus.run(page_size=page_size).status == "complete"
        except KeyboardInterrupt:
            finished = False
        if not finished:
            assert campus.ledger.status == "stopped"
            assert campus.run(page_size=page_size, resume=True).status == "complete"
        assert set(campus.states.values()) == {"delivered"}
        assert len(campus.sink.taken.state) == 14
        assert len(campus.sink.taken.history) <= 14 + page_size

    def test_close_the_run(self) -> None:
        """Ctrl-C goes all the way up, and leaves a ledger that the next run can have."""
        campus = Campus.of(cert(), acts=[KeyboardInterrupt()])
        with pytest.raises(KeyboardInterrupt):
            campus.run()
        assert (campus.ledger.status, campus.ledger.run.stage) == ("stopped", None)
        assert campus.run().total("sent") == 1

    def test_go_on_with_the_stage_and_cursor_of_the_ledger(self) -> None:
        """What the ledger has behind it is not read again."""
        campus = Campus.of(*everything())
        stops = iter([False, False, False, True])
        campus.run(page_size=4, should_stop=lambda: next(stops))
        assert (campus.ledger.run.stage, campus.ledger.run.cursor) == ("grades", [4, INTRO])
        report = campus.run(page_size=4, resume=True)
        assert Counter(report.read) == Counter(grade=3)

    def test_by_the_ledger_name_the_start_of_the_page(self) -> None:
        """A page that could not be written down counts as not done: it is the place to go on."""
        campus = Campus.of(*everything(), dies_at=1)
        report = campus.run(page_size=3)
        assert report.stopped == Stopped(reason="the disk is full", stage="certificates", cursor=[3, INTRO])
        assert (report.total("sent"), len(campus.ledger.entries), campus.ledger.status) == (6, 3, "stopped")

    def test_by_a_ledger_that_cannot_close_are_told(self) -> None:
        """What the run did is in the report, and so is that the ledger could not close it."""
        campus = Campus.of(cert())
        campus.ledger.fails_to_finish = True
        report = campus.run()
        assert (report.total("sent"), report.stopped) == (1, Stopped(reason="the disk is full", stage="end"))

    def test_keep_their_own_reason_where_the_ledger_cannot_close(self) -> None:
        """The first thing that went wrong is what the report tells."""
        campus = Campus.of(cert(), acts=[DOWN])
        campus.ledger.fails_to_finish = True
        report = campus.run()
        assert report.stopped is not None
        assert report.stopped.reason == "down"

    def test_are_not_hidden_by_a_ledger_that_cannot_close(self) -> None:
        """Ctrl-C is still Ctrl-C."""
        campus = Campus.of(cert(), acts=[KeyboardInterrupt()])
        campus.ledger.fails_to_finish = True
        with pytest.raises(KeyboardInterrupt):
            campus.run()


class TestResuming:
    def test_is_refused_for_another_selection(self) -> None:
        """A cursor of one selection says nothing about another."""
        campus = Campus.of(cert(), acts=[DOWN])
        campus.run()
        with pytest.raises(ConfigurationError, match="another selection"):
            campus.run(Selection(orgs="DemoX"), resume=True)
        with pytest.raises(ConfigurationError, match="another selection"):
            campus.run(Selection(start=OLD), resume=True)
        with pytest.raises(ConfigurationError, match="another selection"):
            campus.run(site_config=["DemoX"], resume=True)
        with pytest.raises(ConfigurationError, match="another selection"):
            campus.run(notify_programs=True, resume=True)
        with pytest.raises(ConfigurationError, match="another selection"):
            campus.run(excluded_programs=[PROGRAM], resume=True)
        assert campus.run(resume=True).total("sent") == 1

    def test_is_refused_where_there_is_nothing_to_resume(self) -> None:
        """Neither a ledger without a run nor one whose last run completed has anything to go on with."""
        campus = Campus.of(cert())
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="no run to resume"):
                campus.run(resume=True)
            campus.run()

    def test_knows_a_site_by_its_organisations_in_whatever_order(self) -> None:
        """A site is the same however its organisations are listed."""
        campus = Campus.of(cert(), acts=[DOWN])
        campus.run(site_config=["DemoX", "OtherX"])
        assert campus.run(site_config=("OtherX", "DemoX"), resume=True).total("sent") == 1

    def test_is_refused_while_another_run_goes_on(self) -> None:
        """A run that does not get the ledger reads nothing, and leaves the other one's run open."""
        campus = Campus.of(cert())
        campus.ledger.begin(RunHeader(scope={}, started=NOW))
        with pytest.raises(ConfigurationError, match="another run holds the ledger"):
            campus.run()
        assert (campus.ledger.status, campus.sink.batches) == ("running", [])

    def test_of_a_run_that_only_had_to_be_closed_is_complete(self) -> None:
        """A run that died after its last page has nothing left to do."""
        campus = Campus.of(cert())
        campus.run()
        campus.ledger.status = "stopped"
        report = campus.run(resume=True)
        assert (report.status, report.total(), campus.ledger.run.stage) == ("complete", 0, "end")
