"""Updates: what they are about, how old they are, and whether they would change anything."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from credsync.model import CertificateStatus, CourseMode
from credsync.updates import (
    CertificateUpdate,
    Deferred,
    Delivered,
    GradeUpdate,
    Outcome,
    ProgramAward,
    ProgramRevocation,
    Rejected,
    Update,
    UpdateKey,
)

INTRO = "course-v1:DemoX+Intro+2024"
PROGRAM = "6883080f-0000-4000-8000-000000000001"
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)

CERTIFICATE = CertificateUpdate(
    user_id=7, username="ada", course_run=INTRO, mode="verified", status="downloadable", date_override=NOON
)
GRADE = GradeUpdate(user_id=7, username="ada", course_run=INTRO, letter_grade="B", percent_grade=0.85, source_time=NOON)
AWARD = ProgramAward(user_id=7, username="ada", program_uuid=PROGRAM, visible_date=NOON)
REVOCATION = ProgramRevocation(user_id=7, username="ada", program_uuid=PROGRAM)
SOME_UPDATES: list[Update] = [CERTIFICATE, GRADE, AWARD, REVOCATION]
KNOWN_FINGERPRINTS = [
    "a65fe71a7dfc60ec70423d05ce61e9bb",
    "39112ce08dd3691befba958aff759d5b",
    "8206194161db793562960a2678c70764",
    "de53e2389243ae3f7cdc894c91c98fed",
]
every_update = pytest.mark.parametrize("update", SOME_UPDATES, ids=lambda update: type(update).__name__)

moments = st.none() | st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # a bound is naive
names = st.sampled_from(["ada", "grace"])

certificate_updates = st.builds(
    CertificateUpdate,
    user_id=st.integers(1, 3),
    username=names,
    course_run=st.sampled_from([INTRO, "DemoX/Old/2012"]),
    mode=st.sampled_from(["verified", "honor", "some-unknown-mode"]),
    status=st.sampled_from(["downloadable", "notpassing", "unverified"]),
    date_override=moments,
    source_time=moments,
)
grade_updates = st.builds(
    GradeUpdate,
    user_id=st.integers(1, 3),
    username=names,
    course_run=st.sampled_from([INTRO, "DemoX/Old/2012"]),
    letter_grade=st.sampled_from([None, "", "A", "B"]),
    percent_grade=st.sampled_from([0, 0.0, 0.85, 0.8500001, 1, 1.0]),
    source_time=st.sampled_from([None, NOON, NOON + timedelta(microseconds=1)]),
    verified=st.booleans(),
)


class TestKey:
    @pytest.mark.parametrize(
        ("update", "key"),
        [
            (CERTIFICATE, ("certificate", 7, INTRO)),
            (GRADE, ("grade", 7, INTRO)),
            (AWARD, ("program", 7, PROGRAM)),
            (REVOCATION, ("program", 7, PROGRAM)),
        ],
    )
    def test_says_what_an_update_is_about(self, update: Update, key: tuple[str, int, str]) -> None:
        """An award and a revocation of one program share their key; a certificate and a grade do not."""
        assert update.key == key

    @pytest.mark.parametrize("changes", [{"username": "grace"}, {"source_time": NOON}])
    @every_update
    def test_does_not_change_with_the_facts(self, update: Update, changes: dict[str, Any]) -> None:
        """Old news and new news about one thing have one key."""
        assert evolve(update, **changes).key == update.key

    @every_update
    def test_changes_with_the_learner(self, update: Update) -> None:
        """Each learner's entry is an entry of its own."""
        assert evolve(update, user_id=8).key != update.key

    def test_reads_as_text_without_a_name(self) -> None:
        """A log names an update by ids."""
        assert str(UpdateKey("grade", 7, INTRO)) == f"grade in {INTRO} for user 7"


class TestPersonalData:
    @every_update
    def test_no_text_of_an_update_shows_the_username(self, update: Update) -> None:
        """Whatever a log makes of an update or its key, the learner stays a number."""
        update = evolve(update, username="lovelace")
        for text in (repr(update), str(update), f"{update}", repr(update.key), str(update.key), update.fingerprint):
            assert "lovelace" not in text


class TestValue:
    @every_update
    def test_is_frozen_slotted_and_keyword_only(self, update: Update) -> None:
        """Nothing changes on the way to the sink, and nothing is mistaken for something else."""
        with pytest.raises(FrozenInstanceError):
            update.username = "grace"  # type: ignore[misc]  # the point of the test
        with pytest.raises(TypeError, match="takes 1 positional argument"):
            type(update)(7)  # type: ignore[call-arg]  # likewise
        assert not hasattr(update, "__dict__")

    @every_update
    def test_survives_pickling(self, update: Update) -> None:
        """A task queue hands an update over whole."""
        thawed = pickle.loads(pickle.dumps(update))
        assert (thawed, hash(thawed), thawed.fingerprint) == (update, hash(update), update.fingerprint)

    @pytest.mark.parametrize("status", [*CertificateStatus, "some-unknown-status", "DOWNLOADABLE", "downloadable ", ""])
    def test_only_a_downloadable_certificate_is_awarded(self, status: str) -> None:
        """The service knows awarded and revoked, and every other status is the latter."""
        assert evolve(CERTIFICATE, status=status).is_awarded is (status == "downloadable")

    def test_a_grade_is_verified_unless_said_otherwise(self) -> None:
        """The learning platform speaks of grades it stands by."""
        assert GRADE.verified is True


class TestFingerprint:
    @given(one=certificate_updates, other=certificate_updates)
    def test_certificates_share_it_exactly_if_the_service_would_store_the_same(
        self, one: CertificateUpdate, other: CertificateUpdate
    ) -> None:
        """Name, mode, awarded or not, and the date override are the facts; all statuses that are revoked are one."""

        def facts(update: CertificateUpdate) -> tuple[object, ...]:
            return update.username, update.mode, update.status == "downloadable", update.date_override

        assert (one.fingerprint == other.fingerprint) is (facts(one) == facts(other))

    @given(one=grade_updates, other=grade_updates)
    def test_grades_share_it_exactly_if_the_service_would_store_the_same(
        self, one: GradeUpdate, other: GradeUpdate
    ) -> None:
        """Name, letter, percentage, verified and time are the facts; no letter is an empty one on the wire."""

        def facts(update: GradeUpdate) -> tuple[object, ...]:
            letter = update.letter_grade or ""
            return update.username, letter, update.percent_grade, update.verified, update.source_time

        assert (one.fingerprint == other.fingerprint) is (facts(one) == facts(other))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (evolve(CERTIFICATE, date_override=None), CERTIFICATE),
            (evolve(CERTIFICATE, username="grace"), CERTIFICATE),
            (evolve(CERTIFICATE, mode="honor"), CERTIFICATE),
            (evolve(CERTIFICATE, status="unverified"), CERTIFICATE),
            (evolve(GRADE, letter_grade="b"), GRADE),
            (evolve(GRADE, percent_grade=0.8500000000000001), GRADE),
            (evolve(GRADE, source_time=NOON + timedelta(microseconds=1)), GRADE),
            (evolve(GRADE, source_time=None), GRADE),
            (evolve(AWARD, visible_date=None), AWARD),
            (evolve(AWARD, visible_date=NOON + timedelta(days=1)), AWARD),
            (evolve(AWARD, username="grace"), AWARD),
            (evolve(REVOCATION, username="grace"), REVOCATION),
            (REVOCATION, AWARD),
            (REVOCATION, evolve(AWARD, visible_date=None)),
        ],
    )
    def test_moves_with_each_fact(self, one: Update, other: Update) -> None:
        """What the service would store otherwise has to be sent."""
        assert one.fingerprint != other.fingerprint

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (evolve(CERTIFICATE, source_time=NOON), CERTIFICATE),
            (evolve(CERTIFICATE, mode=CourseMode.VERIFIED, status=CertificateStatus.DOWNLOADABLE), CERTIFICATE),
            (evolve(CERTIFICATE, status="generating"), evolve(CERTIFICATE, status="notpassing")),
            (evolve(GRADE, letter_grade=None), evolve(GRADE, letter_grade="")),
            (evolve(GRADE, percent_grade=1), evolve(GRADE, percent_grade=1.0)),
            (evolve(AWARD, source_time=NOON), AWARD),
            (evolve(REVOCATION, source_time=NOON), REVOCATION),
        ],
    )
    def test_stays_where_the_service_would_see_no_difference(self, one: Update, other: Update) -> None:
        """What the service has already is not sent again because it came in another guise."""
        assert one.fingerprint == other.fingerprint

    @pytest.mark.parametrize(
        "told_at",
        [
            lambda moment: evolve(CERTIFICATE, date_override=moment),
            lambda moment: evolve(GRADE, source_time=moment),
            lambda moment: evolve(AWARD, visible_date=moment),
        ],
    )
    def test_a_moment_is_one_in_every_zone(self, told_at: Callable[[datetime], Update]) -> None:
        """Noon in London is a quarter to six in Kathmandu."""
        elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=45)))
        assert told_at(elsewhere).fingerprint == told_at(NOON).fingerprint

    def test_is_the_same_in_every_process(self) -> None:
        """A ledger compares it with one that an earlier version wrote: to change it is a decision."""
        assert [update.fingerprint for update in SOME_UPDATES] == KNOWN_FINGERPRINTS

    def test_takes_any_name(self) -> None:
        """A username that no encoding takes is no reason to stop."""
        assert evolve(GRADE, username="\ud800").fingerprint != GRADE.fingerprint


class TestOutcomes:
    @pytest.mark.parametrize(
        "outcome",
        [
            Delivered(),
            Rejected(reason="no such course run", status=400),
            Deferred(reason="throttled", retry_after=59.0),
        ],
    )
    def test_is_a_true_frozen_value(self, outcome: Outcome) -> None:
        """An outcome is never mistaken for none, and equals another of the same content."""
        assert bool(outcome) is True
        assert pickle.loads(pickle.dumps(outcome)) == outcome
        assert len({outcome, evolve(outcome)}) == 1
        assert not hasattr(outcome, "__dict__")

    @pytest.mark.parametrize("kind", [Rejected, Deferred])
    def test_is_built_by_names(self, kind: type[Rejected | Deferred]) -> None:
        """A status and a number of seconds are not to be confused."""
        with pytest.raises(TypeError, match="takes 1 positional argument"):
            kind("throttled", 59)  # type: ignore[call-arg]  # the point of the test

    def test_outcomes_of_different_kinds_differ(self) -> None:
        """A rejection is not a deferral with the same words."""
        assert len({Delivered(), Rejected(reason="throttled"), Deferred(reason="throttled")}) == 3
