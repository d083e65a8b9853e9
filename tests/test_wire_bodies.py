"""Updates become the bodies that the Credentials API wants, or are refused before anything is sent."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from credsync.errors import InvalidRecordError, RecordName
from credsync.updates import CertificateUpdate, Delivered, GradeUpdate, ProgramAward, ProgramRevocation, Update
from credsync.wire import decode_response, encode_update, endpoint_of

RUN = "course-v1:TestX+C1+R1"
UUID = "6883080f-0000-4000-8000-000000000001"
PASSED = datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))

GRADE = GradeUpdate(user_id=7, username="ada", course_run=RUN, letter_grade="B", percent_grade=0.91, source_time=PASSED)
CERTIFICATE = CertificateUpdate(user_id=7, username="ada", course_run=RUN, mode="verified", status="downloadable")
AWARD = ProgramAward(user_id=7, username="ada", program_uuid=UUID)
REVOCATION = ProgramRevocation(user_id=7, username="ada", program_uuid=UUID)


class TestEncoding:
    def test_grade(self) -> None:
        """A grade says everything, since the service keeps what is left out, its time in UTC to the microsecond."""
        assert encode_update(GRADE) == {
            "username": "ada",
            "course_run": RUN,
            "letter_grade": "B",
            "percent_grade": "0.9100",
            "verified": True,
            "lms_last_updated_at": "2024-05-01T10:00:00.250000Z",
        }

    def test_unknown_time_clears_the_stored_one(self) -> None:
        """A grade of unknown age sends null, lest the time of an older grade stays beside it."""
        assert encode_update(evolve(GRADE, source_time=None))["lms_last_updated_at"] is None

    @pytest.mark.parametrize(
        ("letter", "sent"), [(None, ""), ("", ""), ("  ", ""), (" A ", "A"), ("x" * 255, "x" * 255)]
    )
    def test_letter(self, letter: str | None, sent: str) -> None:
        """No letter is sent as empty text, which takes an earlier one away; spaces go, as on the other side."""
        assert encode_update(evolve(GRADE, letter_grade=letter))["letter_grade"] == sent

    @pytest.mark.parametrize(
        ("percent", "sent"),
        [
            (0.85005, "0.8501"),
            (0.85015, "0.8502"),
            (0.00005, "0.0001"),
            (0.00004999, "0.0000"),
            (2 / 3, "0.6667"),
            (0.8500000000000001, "0.8500"),
            (0.99995, "1.0000"),
            (5e-324, "0.0000"),
            (-0.0, "0.0000"),
            (0, "0.0000"),
            (1, "1.0000"),
            (Decimal("0.12345"), "0.1235"),
        ],
    )
    def test_percent(self, percent: Any, sent: str) -> None:
        """A percent is rounded half up, by the digits it shows, to the four decimals that the service takes."""
        assert encode_update(evolve(GRADE, percent_grade=percent))["percent_grade"] == sent

    def test_certificate(self) -> None:
        """A certificate's body always has a status and a date override: without, the service awards and removes."""
        assert encode_update(CERTIFICATE) == {
            "username": "ada",
            "credential": {"type": "course-run", "course_run_key": RUN, "mode": "verified"},
            "status": "awarded",
            "date_override": None,
            "lms_user_id": "7",
        }

    def test_date_override(self) -> None:
        """A date override is an object that holds the date."""
        body = encode_update(evolve(CERTIFICATE, date_override=PASSED))
        assert body["date_override"] == {"date": "2024-05-01T10:00:00.250000Z"}

    @pytest.mark.parametrize("status", ["notpassing", "generating", "no_such_status"])
    def test_whatever_is_not_downloadable_is_revoked(self, status: str) -> None:
        """The service knows awarded and revoked, nothing between."""
        assert encode_update(evolve(CERTIFICATE, status=status))["status"] == "revoked"

    def test_program_award(self) -> None:
        """An award says when it becomes visible, as an attribute to the second, and its UUID with dashes."""
        shouted = UUID.replace("-", "").upper()
        assert encode_update(evolve(AWARD, program_uuid=shouted, visible_date=PASSED)) == {
            "username": "ada",
            "credential": {"type": "program", "program_uuid": UUID},
            "status": "awarded",
            "date_override": None,
            "lms_user_id": "7",
            "attributes": [{"name": "visible_date", "value": "2024-05-01T10:00:00Z"}],
        }

    def test_attributes_without_a_date(self) -> None:
        """Attributes are left out where there is no date to say; the service refuses null."""
        assert "attributes" not in encode_update(AWARD)

    def test_program_revocation(self) -> None:
        """A revocation is an award's body with another status."""
        assert encode_update(REVOCATION) == {**encode_update(AWARD), "status": "revoked"}

    @pytest.mark.parametrize(
        ("update", "endpoint"),
        [(GRADE, "grades"), (CERTIFICATE, "credentials"), (AWARD, "credentials"), (REVOCATION, "credentials")],
    )
    def test_endpoint(self, update: Update, endpoint: str) -> None:
        """Grades have an address of their own, everything else is a credential."""
        assert endpoint_of(update) == endpoint


class TestRefusals:
    @pytest.mark.parametrize(
        ("update", "field", "reason"),
        [
            (evolve(GRADE, username=""), "username", "missing or blank"),
            (evolve(GRADE, username=None), "username", "missing or blank"),  # type: ignore[arg-type]  # an untyped host's
            (evolve(GRADE, username="  "), "username", "missing or blank"),
            (evolve(GRADE, username="ada "), "username", "spaces around it"),
            (evolve(GRADE, username="a" * 151), "username", "151 characters, at most 150"),
            (evolve(GRADE, username="a\x00b"), "username", "NUL"),
            (evolve(GRADE, username="a\ud800"), "username", "half of a pair"),
            (evolve(CERTIFICATE, username="a" * 256), "username", "256 characters, at most 255"),
            (evolve(AWARD, username="a" * 256), "username", "256 characters, at most 255"),
            (evolve(GRADE, course_run="x" * 256), "course_run", "256 characters, at most 255"),
            (evolve(GRADE, course_run="a\x00"), "course_run", "NUL"),
            (evolve(CERTIFICATE, course_run="x" * 256), "course_run", "256 characters, at most 255"),
            (evolve(CERTIFICATE, course_run="a\x00"), "course_run", "NUL"),
            (evolve(GRADE, letter_grade="A" * 256), "letter_grade", "256 characters, at most 255"),
            (evolve(GRADE, letter_grade="A\x00"), "letter_grade", "NUL"),
            (evolve(CERTIFICATE, mode=""), "mode", "missing or blank"),
            (evolve(CERTIFICATE, mode="m" * 256), "mode", "256 characters, at most 255"),
            (evolve(REVOCATION, program_uuid="garbage"), "program_uuid", "not a UUID"),
            (evolve(GRADE, percent_grade=1.00001), "percent_grade", "1.00001 is outside 0 to 1"),
            (evolve(GRADE, percent_grade=-0.1), "percent_grade", "-0.1 is outside 0 to 1"),
            (evolve(GRADE, percent_grade=float("inf")), "percent_grade", "inf is outside 0 to 1"),
            (evolve(GRADE, percent_grade=float("nan")), "percent_grade", "nan is not a number"),
            (evolve(GRADE, percent_grade=True), "percent_grade", "True is not a number"),
            (evolve(GRADE, source_time=datetime(2024, 5, 1)), "source_time", "no time zone"),  # noqa: DTZ001  # that is it
            (evolve(GRADE, source_time=datetime(999, 12, 31, tzinfo=UTC)), "source_time", "before the year 1000"),
            (
                evolve(CERTIFICATE, date_override=datetime.min.replace(tzinfo=UTC)),
                "date_override",
                "before the year 1000",
            ),
            (
                evolve(CERTIFICATE, date_override=datetime.max.replace(tzinfo=timezone(-timedelta(hours=14)))),
                "date_override",
                "beyond the year 9999",
            ),
            (evolve(AWARD, visible_date=datetime(1, 1, 1, tzinfo=UTC)), "visible_date", "before the year 1000"),
        ],
    )
    def test_what_the_service_cannot_take(self, update: Update, field: str, reason: str) -> None:
        """What the service would refuse, mangle or die of is refused here, by the record's name and the field's."""
        with pytest.raises(InvalidRecordError) as caught:
            encode_update(update)
        assert (caught.value.record, caught.value.field) == (RecordName(*update.key), field)
        assert reason in caught.value.reason
        assert not update.username or update.username not in caught.value.reason

    @pytest.mark.parametrize(
        "update",
        [
            evolve(GRADE, username="é" * 150),
            evolve(CERTIFICATE, username="a" * 255, course_run="x" * 255, mode="m" * 255),
            evolve(GRADE, source_time=datetime(1000, 1, 1, tzinfo=UTC)),
            evolve(GRADE, source_time=datetime.max.replace(tzinfo=UTC)),
        ],
    )
    def test_limits_themselves_pass(self, update: Update) -> None:
        """What is as long, as old or as late as may be is sent."""
        assert encode_update(update)["username"] == update.username


usernames = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=150).filter(
    lambda name: name and name == name.strip()
)
moments = st.none() | st.datetimes(min_value=datetime(1000, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001  # Hypothesis adds the zone
percents = st.floats(min_value=0, max_value=1)
runs = st.sampled_from([RUN, "TestX/C1/R1", "course-v1:Ünï+C+R.x"])
updates = st.one_of(
    st.builds(
        GradeUpdate,
        user_id=st.integers(min_value=1),
        username=usernames,
        course_run=runs,
        letter_grade=st.sampled_from([None, "", "A", "Pass "]),
        percent_grade=percents,
        source_time=moments,
        verified=st.booleans(),
    ),
    st.builds(
        CertificateUpdate,
        user_id=st.integers(min_value=1),
        username=usernames,
        course_run=runs,
        mode=st.sampled_from(["verified", "no-such-mode"]),
        status=st.sampled_from(["downloadable", "notpassing"]),
        date_override=moments,
    ),
    st.builds(
        ProgramAward,
        user_id=st.integers(min_value=1),
        username=usernames,
        program_uuid=st.uuids().map(str),
        visible_date=moments,
    ),
    st.builds(
        ProgramRevocation, user_id=st.integers(min_value=1), username=usernames, program_uuid=st.uuids().map(str)
    ),
)


class TestAnyUpdate:
    @given(percents)
    def test_percent_is_near_and_well_formed(self, percent: float) -> None:
        """Every percent from 0 to 1 is sent with four decimals, within half of the last one."""
        sent = encode_update(evolve(GRADE, percent_grade=percent))["percent_grade"]
        assert isinstance(sent, str)
        assert re.fullmatch(r"[01]\.\d{4}", sent)
        assert abs(Decimal(sent) - Decimal(repr(percent))) <= Decimal("0.00005")

    @given(updates)
    def test_what_is_stored_as_sent_is_delivered(self, update: Update) -> None:
        """Every valid update has a body that JSON can hold, and its echo, without microseconds, is a delivery."""
        echo = re.sub(r"\.\d{6}Z", "Z", json.dumps(encode_update(update), allow_nan=False))
        assert decode_response(update, 201, {}, echo.encode(), now=PASSED) == Delivered()
