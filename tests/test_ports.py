"""What the ports bring along: plain callables as sinks, a site's organisations, the default policy, the host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from credsync.errors import SinkRejectedError, SinkUnavailableError
from credsync.model import CourseMode
from credsync.ports import DefaultPolicy, Host, RecordKey, SiteOrgs, per_update
from credsync.updates import SINK_UNAVAILABLE, Deferred, Delivered, GradeUpdate, Outcome, Rejected, Update

INTRO = "course-v1:DemoX+Intro+2024"
GRADE = GradeUpdate(user_id=0, username="ada", course_run=INTRO, letter_grade="B", percent_grade=0.85)
BATCH: list[Update] = [evolve(GRADE, user_id=user_id) for user_id in (1, 2, 3, 4)]


class ScriptedSink:
    """A host's callable that does, for each learner, what a script says, and writes down what it was handed."""

    def __init__(self, script: dict[int, Outcome | BaseException | None]) -> None:
        self.script = script
        self.handed: list[int] = []

    def __call__(self, update: Update) -> Outcome | None:
        """Do what the script says for the learner; nothing where it says nothing."""
        self.handed.append(update.user_id)
        act = self.script.get(update.user_id)
        if isinstance(act, BaseException):
            raise act
        return act


class TestPerUpdate:
    @pytest.mark.parametrize(
        ("act", "outcome"),
        [
            (None, Delivered()),
            (Delivered(), Delivered()),
            (Rejected(reason="no such run", status=400), Rejected(reason="no such run", status=400)),
            (Deferred(reason="busy", retry_after=2.0), Deferred(reason="busy", retry_after=2.0)),
            (SinkRejectedError("no such run", status=400), Rejected(reason="no such run", status=400)),
            (SinkRejectedError("no such run"), Rejected(reason="no such run")),
            (ValueError("ada is unknown here"), Rejected(reason="the sink raised ValueError")),
        ],
        ids=repr,
    )
    def test_makes_an_outcome_of_whatever_the_callable_does(
        self, act: Outcome | Exception | None, outcome: Outcome
    ) -> None:
        """The update in question has its outcome, and those around it arrive."""
        send = ScriptedSink({2: act})
        assert list(per_update(send).deliver(BATCH)) == [Delivered(), outcome, Delivered(), Delivered()]
        assert send.handed == [1, 2, 3, 4]

    def test_an_unknown_error_keeps_its_words_to_itself(self) -> None:
        """Whatever a host's exception says may name a learner, so only its type goes on."""
        (outcome,) = per_update(ScriptedSink({1: KeyError("ada@example.org")})).deliver(BATCH[:1])
        assert "ada" not in repr(outcome)

    def test_a_sink_unavailable_from_the_start_is_an_error(self) -> None:
        """Nothing arrived, so the whole batch may be tried again: that is for the run to say."""
        down = SinkUnavailableError("throttled", retry_after=59.0)
        send = ScriptedSink({1: down})
        with pytest.raises(SinkUnavailableError) as raised:
            per_update(send).deliver(BATCH)
        assert raised.value is down
        assert send.handed == [1]

    def test_a_sink_unavailable_in_the_middle_defers_the_rest(self) -> None:
        """What arrived stays delivered; nothing behind the outage is tried."""
        send = ScriptedSink({1: SinkRejectedError("no such run"), 3: SinkUnavailableError("throttled", 59.0)})
        later = Deferred(reason=SINK_UNAVAILABLE, retry_after=59.0)
        outcomes = per_update(send).deliver(BATCH)
        assert list(outcomes) == [Rejected(reason="no such run"), Delivered(), later, later]
        assert send.handed == [1, 2, 3]

    def test_a_deferral_keeps_that_the_sink_gave_no_time(self) -> None:
        """Not saying when is not the same as saying at once."""
        send = ScriptedSink({4: SinkUnavailableError("down")})
        assert per_update(send).deliver(BATCH)[-1] == Deferred(reason=SINK_UNAVAILABLE, retry_after=None)

    @pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
    def test_an_interruption_goes_through(self, signal: type[BaseException]) -> None:
        """Ctrl-C while an update is on its way is not an answer of the sink."""
        with pytest.raises(signal):
            per_update(ScriptedSink({2: signal()})).deliver(BATCH)

    def test_hands_over_nothing_of_an_empty_batch(self) -> None:
        """Nothing to deliver, nothing delivered."""
        send = ScriptedSink({})
        assert list(per_update(send).deliver([])) == []
        assert send.handed == []

    @given(
        script=st.lists(
            st.sampled_from(
                [
                    lambda: None,
                    Delivered,
                    lambda: Deferred(reason="busy"),
                    lambda: SinkRejectedError("no"),
                    lambda: SinkUnavailableError("down"),
                    lambda: OSError("gone"),
                ]
            ),
            max_size=8,
        )
    )
    def test_gives_one_outcome_per_update_or_nothing_arrived(
        self, script: list[Callable[[], Outcome | Exception | None]]
    ) -> None:
        """Whatever a callable does, the account of a batch is whole."""
        send = ScriptedSink({user_id: act() for user_id, act in enumerate(script)})
        batch: list[Update] = [evolve(GRADE, user_id=user_id) for user_id in range(len(script))]
        try:
            outcomes = per_update(send).deliver(batch)
        except SinkUnavailableError:
            assert send.handed == [0]
        else:
            assert len(outcomes) == len(batch)
            assert all(isinstance(outcome, Delivered | Rejected | Deferred) for outcome in outcomes)


class TestSiteOrgs:
    @pytest.mark.parametrize(
        ("orgs", "org", "has_it"),
        [
            ("DemoX", "DemoX", True),
            ("DemoX", "D", False),
            (["DemoX", "OtherX"], "OtherX", True),
            (("DemoX",), "demox", False),
            ([], "DemoX", False),
            ([], "", False),
            ((org for org in ["DemoX"]), "DemoX", True),
        ],
    )
    def test_has_exactly_the_orgs_it_was_given(self, orgs: str | list[str], org: str, has_it: bool) -> None:
        """One organisation as a string, several as any iterable, and the case counts."""
        assert SiteOrgs(orgs).has_org(org) is has_it

    def test_is_a_value(self) -> None:
        """The order in which a site lists its organisations says nothing."""
        assert {SiteOrgs(["DemoX", "OtherX"])} == {SiteOrgs(["OtherX", "DemoX", "DemoX"])}


class TestDefaultPolicy:
    def test_switches_nothing_off(self) -> None:
        """A host that says nothing sends everything it may."""
        policy = DefaultPolicy()
        assert policy.is_credentials_enabled() is True
        assert policy.is_learner_records_enabled_for_org("AnyX") is True

    @pytest.mark.parametrize("mode", [*CourseMode, "some-unknown-mode", ""])
    def test_every_mode_but_audit_is_eligible(self, mode: str) -> None:
        """An unknown slug passes through."""
        assert DefaultPolicy().is_eligible_for_certificate(mode) is (mode != "audit")


class TestHost:
    def test_a_bare_host_has_a_policy_and_nothing_else(self) -> None:
        """No port has a silent default; the policy is the one that switches nothing off."""
        bare = Host()
        ports = [bare.catalog, bare.sink, bare.learners, bare.certificates, bare.grades, bare.ledger]
        assert ports == [None] * 6
        assert isinstance(bare.policy, DefaultPolicy)

    def test_is_frozen_and_built_by_names(self) -> None:
        """Nobody changes what a run works with, or mistakes one port for another."""
        with pytest.raises(TypeError, match="takes 1 positional argument"):
            Host(None)  # type: ignore[call-arg]  # the point of the test
        with pytest.raises(FrozenInstanceError):
            Host().sink = per_update(ScriptedSink({}))  # type: ignore[misc]  # the point of the test


class TestRecordKey:
    def test_is_a_plain_pair(self) -> None:
        """A store may key its answer by plain tuples."""
        assert {RecordKey(7, INTRO): 1}[(7, INTRO)] == 1  # type: ignore[index]  # a tuple is not typed as a key, and works as one
