"""Learners, certificates and grades: read from whatever a host has, valid once built, and silent about names."""

from __future__ import annotations

import os
import pickle
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from importlib.metadata import entry_points
from math import inf, nan
from types import SimpleNamespace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st
from opaque_keys.edx.keys import CourseKey
from opaque_keys.edx.locator import CourseLocator
from typing_extensions import override

from credsync.errors import InvalidRecordError, RecordName
from credsync.model import (
    CERTIFICATE_RELEVANT_MODES,
    INTERESTING_STATUSES,
    MAX_COURSE_KEY_LENGTH,
    PASSING_STATUSES,
    Certificate,
    CertificateStatus,
    CourseMode,
    Grade,
    GradeContext,
    Learner,
    parse_course_key,
)

INTRO = "course-v1:DemoX+Intro+2024"
LEGACY = "DemoX/Old/2012"
CCX = "ccx-v1:DemoX+Intro+2024+ccx@1"
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)
LAST_EVENING = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))
FIRST_MORNING = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
ADA = Learner(id=7, username="lovelace")
CERTIFICATE = Certificate(user=ADA, course_id=INTRO, mode="verified", status="downloadable")
GRADE = Grade(user_id=7, course_id=INTRO, percent_grade=0.85, letter_grade="B", modified=NOON)

is_ccx_installed = bool(entry_points(group="context_key", name="ccx-v1"))
needs_ccx = pytest.mark.skipif(
    not (is_ccx_installed or os.environ.get("CI")), reason="the CCX key plug-in, edx-ccx-keys, is not installed"
)
some_keys = pytest.mark.parametrize(
    "text",
    [
        INTRO,
        LEGACY,
        "course-v1:ÉcoleX+Été+2024",
        "course-v1:DemoX+Intro+2024+branch@draft",
        "course-v1:DemoX+Intro+1.00x~b",
        pytest.param(CCX, marks=needs_ccx),
    ],
)
LONGEST = "course-v1:DemoX+Intro+" + "x" * (MAX_COURSE_KEY_LENGTH - len("course-v1:DemoX+Intro+"))
NO_KEYS = [
    "",
    "nope",
    "course-v1:DemoX+Intro",
    "course-v1:DemoX+Intro+2024+more",
    "course-v2:DemoX+Intro+2024",
    "DemoX/Old",
    "DemoX/Old/2012/more",
    f"{INTRO}\x00",
    f"{LEGACY}\x00",
    f"{INTRO}\n",
    f" {INTRO}",
    f"{INTRO} ",
    LONGEST + "x",
    "course-v1:DemoX+Intro+" + "x" * 300,
    "x" * 100_000,
]
no_keys = pytest.mark.parametrize("text", NO_KEYS, ids=lambda text: ascii(text)[:30])


def altered(record: Any, **fields: Any) -> Any:
    """A record of any kind with other fields; which ones is for the test to know."""
    return evolve(record, **fields)


def refused(build: Callable[..., object], *args: Any, **kwargs: Any) -> InvalidRecordError:
    """The error with which something is refused."""
    with pytest.raises(InvalidRecordError) as error:
        build(*args, **kwargs)
    return error.value


class TestVocabulary:
    def test_knows_every_status_of_the_learning_platform(self) -> None:
        """The statuses that the reference names, each under its own name."""
        assert {status.name.lower(): str(status) for status in CertificateStatus} == {
            slug: slug
            for slug in [
                "deleted",
                "deleting",
                "downloadable",
                "error",
                "generating",
                "notpassing",
                "restricted",
                "unavailable",
                "auditing",
                "audit_passing",
                "audit_notpassing",
                "honor_passing",
                "unverified",
                "invalidated",
                "requesting",
            ]
        }

    def test_knows_every_mode_of_the_learning_platform(self) -> None:
        """The modes that the reference names, each under its own name."""
        assert {mode.name.lower().replace("_", "-"): str(mode) for mode in CourseMode} == {
            slug: slug
            for slug in [
                "audit",
                "credit",
                "honor",
                "no-id-professional",
                "professional",
                "verified",
                "masters",
                "executive-education",
                "paid-executive-education",
                "unpaid-executive-education",
                "paid-bootcamp",
                "unpaid-bootcamp",
            ]
        }

    def test_its_sets_hold_plain_slugs(self) -> None:
        """Passing, interesting and certificate-relevant hold what the reference says, as plain strings."""
        assert {"downloadable", "generating"} == PASSING_STATUSES
        assert {"notpassing", "downloadable"} == INTERESTING_STATUSES
        assert {
            "credit",
            "verified",
            "professional",
            "no-id-professional",
            "executive-education",
            "paid-executive-education",
            "paid-bootcamp",
            "masters",
        } == CERTIFICATE_RELEVANT_MODES


class TestParseCourseKey:
    @some_keys
    def test_takes_any_kind_of_course_key(self, text: str) -> None:
        """What opaque-keys parses comes back as the key whose text it is."""
        key = parse_course_key(text)
        assert isinstance(key, CourseKey)
        assert str(key) == text

    @some_keys
    def test_parses_a_text_once(self, text: str) -> None:
        """An equal text, from another row, gives the very same key."""
        assert parse_course_key(text) is parse_course_key("".join(list(text)))

    def test_parses_no_more_than_once_for_a_page_of_records(self) -> None:
        """However many records of a course run there are, and of whichever kind."""
        run = "course-v1:DemoX+ParsedOnce+2024"
        before = parse_course_key.cache_info()
        for user_id in range(50):
            Grade(user_id=user_id, course_id=run)
            evolve(CERTIFICATE, course_id=run)
        after = parse_course_key.cache_info()
        assert (after.misses - before.misses, after.hits - before.hits) == (1, 99)

    def test_forgets_in_the_end(self) -> None:
        """A cache that keeps everything would be memory that grows with the run."""
        assert parse_course_key.cache_info().maxsize == 65_536

    def test_takes_the_longest_key_that_a_table_holds(self) -> None:
        """The limit itself is within it."""
        assert str(parse_course_key(LONGEST)) == LONGEST

    @no_keys
    def test_refuses_what_is_no_course_key(self, text: str) -> None:
        """The error is one short printable line that names the text, whatever is in it."""
        error = refused(parse_course_key, text)
        assert error.field == "course_id"
        assert str(error).isprintable()
        assert len(str(error)) < 150 + len(text[:255])
        assert ascii(text[:20])[1:-1] in ascii(str(error)).replace("\\\\", "\\")

    def test_says_how_long_a_text_may_be(self) -> None:
        """Too long is another mistake than no course key."""
        assert refused(parse_course_key, LONGEST + "x").reason == "256 characters, at most 255 fit"


class TestLearner:
    def test_keeps_the_username_out_of_sight(self) -> None:
        """No text of a learner, or of a record that has one, shows the name."""
        for value in (ADA, CERTIFICATE, {"learner": ADA}):
            assert "lovelace" not in f"{value}{value!r}"
        assert repr(ADA) == "Learner(id=7)"

    def test_may_have_no_name_yet(self) -> None:
        """A learner whose row is not visible is known by id."""
        assert Learner(id=7).username is None
        assert Learner(id=7) != ADA


class TestValues:
    @pytest.mark.parametrize("record", [ADA, CERTIFICATE, GRADE], ids=lambda record: type(record).__name__)
    def test_are_frozen_slotted_and_keyword_only(self, record: Learner | Certificate | Grade) -> None:
        """A record doesn't change, holds nothing else, and is built by names."""
        with pytest.raises(FrozenInstanceError):
            record.id = 8  # type: ignore[union-attr,misc]  # the point of the test
        assert not hasattr(record, "__dict__")
        with pytest.raises(TypeError, match="takes 1 positional argument"):
            type(record)(7)  # type: ignore[call-arg,arg-type]  # likewise

    @pytest.mark.parametrize("record", [ADA, CERTIFICATE, GRADE], ids=lambda record: type(record).__name__)
    def test_of_the_same_content_are_one(self, record: object) -> None:
        """Equal and of one hash, a copy from another process as well."""
        assert {record} == {pickle.loads(pickle.dumps(record))}

    @pytest.mark.parametrize("text", [INTRO, LEGACY])
    def test_hold_a_key_however_it_was_given(self, text: str) -> None:
        """A course run as text and as key make equal records."""
        key = CourseKey.from_string(text)
        assert Grade(user_id=7, course_id=text) == Grade(user_id=7, course_id=key)
        assert evolve(CERTIFICATE, course_id=text) == evolve(CERTIFICATE, course_id=key)
        assert Grade(user_id=7, course_id=key).course_id is key

    @pytest.mark.parametrize("slug", [*CertificateStatus, *CourseMode, "some-unknown-slug", "Verified ", ""])
    def test_let_any_slug_pass(self, slug: str) -> None:
        """Real data holds statuses and modes that are in no list; an enum's member and its text are one."""
        cert = evolve(CERTIFICATE, mode=slug, status=slug)
        assert (cert.mode, cert.status) == (slug, slug)
        assert cert == evolve(CERTIFICATE, mode=str(slug), status=str(slug))

    @pytest.mark.parametrize("status", [*CertificateStatus, "some-unknown-status", "DOWNLOADABLE"])
    def test_two_statuses_are_passing(self, status: str) -> None:
        """Downloadable and generating, no other."""
        assert evolve(CERTIFICATE, status=status).is_passing is (status in {"downloadable", "generating"})

    def test_a_certificate_knows_its_learner_s_id(self) -> None:
        """As a grade does."""
        assert CERTIFICATE.user_id == GRADE.user_id == 7


class TestCourseIds:
    @no_keys
    def test_that_do_not_parse_are_refused_with_the_record_s_name(self, text: str) -> None:
        """The error says whose record it was, in a short line that prints."""
        for error in (refused(Grade, user_id=7, course_id=text), refused(evolve, CERTIFICATE, course_id=text)):
            assert isinstance(error.record, RecordName)
            assert (error.record.user_id, error.field) == (7, "course_id")
            assert str(error).isprintable()
            assert len(str(error)) < 500

    @pytest.mark.parametrize("value", [None, 7, INTRO.encode(), [INTRO], object()], ids=repr)
    def test_that_are_neither_key_nor_text_are_refused(self, value: Any) -> None:
        """Whatever a broken row holds there."""
        assert refused(Grade, user_id=7, course_id=value).field == "course_id"

    def test_a_refusal_shows_what_was_there(self) -> None:
        """Word for word."""
        assert str(refused(Grade, user_id=7, course_id="nope")) == (
            "grade in nope for user 7: course_id: 'nope' is not a course key of at most 255 characters"
        )

    @given(text=st.text() | st.from_regex(r"course-v1:\w*\+\w*\+\w*", fullmatch=True) | st.from_regex(r"\w*/\w*/\w*"))
    def test_no_text_at_all_fails_otherwise(self, text: str) -> None:
        """A text is a course key or refused with the record's name."""
        try:
            grade = Grade(user_id=7, course_id=text)
        except InvalidRecordError as exc:
            assert exc.field == "course_id"  # noqa: PT017  # either way is right, if it is this way
        else:
            assert str(grade.course_id) == text


class TestUserIds:
    @pytest.mark.parametrize("user_id", [0, 7, 2**63 - 1])
    def test_are_whole_numbers(self, user_id: int) -> None:
        """Up to 64 bits, and nobody minds a zero."""
        assert Grade(user_id=user_id, course_id=INTRO).user_id == user_id
        assert evolve(CERTIFICATE, user=Learner(id=user_id)).user_id == user_id

    @pytest.mark.parametrize("value", [None, "7", "lovelace", 7.0, True], ids=repr)
    def test_that_are_none_are_refused_unseen(self, value: Any) -> None:
        """What stands in the place of an id may be a name: the error tells its type."""
        for error in (
            refused(Grade, user_id=value, course_id=INTRO),
            refused(evolve, CERTIFICATE, user=Learner(id=value)),
        ):
            assert (error.field, error.reason) == ("user_id", f"a {type(value).__name__} is not a user id")
            assert "lovelace" not in f"{error}{error!r}"

    @pytest.mark.parametrize(
        "value", [None, 7, "lovelace", SimpleNamespace(id=7)], ids=lambda value: type(value).__name__
    )
    def test_of_what_is_no_learner_are_not_looked_for(self, value: Any) -> None:
        """A certificate's user is a learner."""
        error = refused(evolve, CERTIFICATE, user=value)
        assert (error.field, error.reason) == ("user", f"a {type(value).__name__} is not a learner")
        assert "lovelace" not in f"{error}{error!r}"

    def test_of_zero_name_the_record(self) -> None:
        """A zero is an id, not a missing one."""
        assert "for user 0:" in str(refused(Grade, user_id=0, course_id="nope"))
        assert "for user 0:" in str(refused(evolve, CERTIFICATE, user=Learner(id=0), course_id="nope"))


class TestPercentages:
    @pytest.mark.parametrize(
        ("given_as", "percent"),
        [
            (0, 0.0),
            (1, 1.0),
            (0.85, 0.85),
            (1e-300, 1e-300),
            (Decimal("0.85"), 0.85),
            (Decimal(0), 0.0),
            (None, None),
        ],
        ids=repr,
    )
    def test_are_floats_from_0_to_1(self, given_as: Any, percent: float | None) -> None:
        """Whole and decimal numbers, as some drivers give them, are the float of their value."""
        read = Grade(user_id=7, course_id=INTRO, percent_grade=given_as).percent_grade
        assert (read, type(read)) == (percent, type(percent))

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (nan, "nan is not a finite number"),
            (inf, "inf is not a finite number"),
            (-inf, "-inf is not a finite number"),
            (Decimal("NaN"), "nan is not a finite number"),
            (Decimal("sNaN"), "nan is not a finite number"),
            (Decimal("Infinity"), "inf is not a finite number"),
            (10**400, "nan is not a finite number"),
            (Decimal("1e400"), "inf is not a finite number"),
            (-0.1, "-0.1 is outside 0 to 1"),
            (1.2, "1.2 is outside 0 to 1"),
            (1.0000000000000002, "1.0000000000000002 is outside 0 to 1"),
            (85, "85.0 is outside 0 to 1"),
            (-1, "-1.0 is outside 0 to 1"),
            (Decimal("1.2"), "1.2 is outside 0 to 1"),
            ("abc", "'abc' is not a number"),
            ("0.85", "'0.85' is not a number"),
            (True, "True is not a number"),
            ([], "[] is not a number"),
            (0.5j, "0.5j is not a number"),
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_that_are_none_are_refused(self, value: Any, reason: str) -> None:
        """The error names record, field and value."""
        error = refused(Grade, user_id=7, course_id=INTRO, percent_grade=value)
        assert str(error) == f"grade in {INTRO} for user 7: percent_grade: {reason}"

    @given(value=st.floats() | st.integers() | st.decimals())
    def test_any_number_is_a_percentage_or_refused(self, value: Any) -> None:
        """From 0 to 1 it is one, and elsewhere it fails in this one way."""
        try:
            grade = Grade(user_id=7, course_id=INTRO, percent_grade=value)
        except InvalidRecordError as exc:
            assert exc.field == "percent_grade"  # noqa: PT017  # either way is right, if it is this way
            assert not (Decimal(value).is_finite() and 0 <= Decimal(value) <= 1)
        else:
            assert grade.percent_grade == float(value)


class TestTexts:
    @pytest.mark.parametrize("letter", [None, "", "B", "Pass", "ünbefriedigend"])
    def test_a_letter_is_any_text_or_none(self, letter: str | None) -> None:
        """Empty and none both occur, and stay what they are."""
        assert evolve(GRADE, letter_grade=letter).letter_grade == letter

    @pytest.mark.parametrize("value", [5, b"B", ["B"], 0.5], ids=repr)
    def test_a_letter_of_another_type_is_refused(self, value: Any) -> None:
        """The error names record, field and value."""
        error = refused(evolve, GRADE, letter_grade=value)
        assert str(error) == f"grade in {INTRO} for user 7: letter_grade: {value!r} is not text"

    @pytest.mark.parametrize("name", ["mode", "status"])
    @pytest.mark.parametrize("value", [None, 5, b"verified"], ids=repr)
    def test_a_slug_of_another_type_is_refused(self, name: str, value: Any) -> None:
        """A certificate without mode or status is none."""
        error = refused(evolve, CERTIFICATE, **{name: value})
        assert str(error) == f"certificate in {INTRO} for user 7: {name}: {value!r} is not text"


class TestContexts:
    def test_hide_the_name(self) -> None:
        """It is personal data, like a learner's."""
        context = GradeContext(username="grace", mode="verified", status="downloadable")
        assert "grace" not in f"{context!r}{evolve(GRADE, context=context)!r}"

    @pytest.mark.parametrize(
        ("context", "field", "reason"),
        [
            (("ada", "verified", "downloadable"), "context", "a tuple is not a grade's context"),
            (GradeContext(username=None, mode="verified", status=None), "status", "None is not text"),
            (GradeContext(username=None, mode=None, status="downloadable"), "mode", "None is not text"),
        ],
        ids=["no context", "a mode alone", "a status alone"],
    )
    def test_that_cannot_be_are_refused(self, context: Any, field: str, reason: str) -> None:
        """Half a certificate is not taken for none."""
        error = refused(evolve, GRADE, context=context)
        assert str(error) == f"grade in {INTRO} for user 7: {field}: {reason}"

    def test_of_a_hosts_own_row_are_taken(self) -> None:
        """A host that has read them along need not look them up."""
        context = GradeContext(username="ada", mode=None, status=None)
        row = SimpleNamespace(
            user_id=7, course_id=INTRO, letter_grade="B", percent_grade=0.5, modified=None, context=context
        )
        assert Grade.from_record(row).context is context
        row.context = "what a host may mean by that"
        assert Grade.from_record(row).context is None


TIMES: list[tuple[Certificate | Grade, str]] = [
    (CERTIFICATE, "modified_date"),
    (CERTIFICATE, "created_date"),
    (CERTIFICATE, "date_override"),
    (GRADE, "modified"),
]
every_time = pytest.mark.parametrize(("record", "name"), TIMES, ids=[name for _, name in TIMES])


class TestTimes:
    @every_time
    @pytest.mark.parametrize(
        "zone",
        [UTC, timezone.utc, timezone(timedelta(0)), ZoneInfo("UTC"), timezone(timedelta(hours=5, minutes=45))],  # noqa: UP017  # an alias is a case of its own
        ids=repr,
    )
    def test_are_told_in_utc(self, record: Certificate | Grade, name: str, zone: Any) -> None:
        """The same moment, in the one zone that everything here is in."""
        moment = getattr(altered(record, **{name: NOON.astimezone(zone)}), name)
        assert moment == NOON
        assert moment.tzinfo is UTC

    @every_time
    def test_may_be_unknown(self, record: Certificate | Grade, name: str) -> None:
        """None stays none."""
        assert getattr(altered(record, **{name: None}), name) is None

    @every_time
    def test_without_a_zone_are_refused(self, record: Certificate | Grade, name: str) -> None:
        """Nobody guesses what time it is meant to be."""
        error = refused(altered, record, **{name: NAIVE})
        assert isinstance(error.record, RecordName)
        assert error.record[1:] == (7, INTRO)
        assert (error.field, error.reason) == (name, "2024-01-01 12:00:00 has no time zone")

    @every_time
    @pytest.mark.parametrize("value", ["2024-01-01T12:00:00Z", 1704110400, date(2024, 1, 1), False], ids=repr)
    def test_of_another_type_are_refused(self, record: Certificate | Grade, name: str, value: Any) -> None:
        """What would have to be parsed is the source's business."""
        error = refused(altered, record, **{name: value})
        assert (error.field, error.reason) == (name, f"{value!r} is not a datetime")

    @every_time
    @pytest.mark.parametrize("edge", [LAST_EVENING, FIRST_MORNING], ids=["last", "first"])
    def test_beyond_the_years_of_utc_are_refused(self, record: Certificate | Grade, name: str, edge: datetime) -> None:
        """The last evening of the year 9999 in New York has no date in UTC; the record fails, not the run."""
        error = refused(altered, record, **{name: edge})
        assert error.field == name
        assert error.reason.endswith("lies outside the years of UTC")

    @given(
        moment=st.datetimes(
            timezones=st.none() | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
        )
    )
    def test_any_datetime_is_a_moment_or_refused(self, moment: datetime) -> None:
        """No datetime makes a record fail otherwise."""
        try:
            grade = Grade(user_id=7, course_id=INTRO, modified=moment)
        except InvalidRecordError as exc:
            assert exc.field == "modified"  # noqa: PT017  # either way is right, if it is this way
        else:
            assert grade.modified == moment
            assert grade.modified.tzinfo is UTC


class Row(NamedTuple):
    """A database row with names, as SQLAlchemy gives them."""

    user_id: int
    course_id: str
    percent_grade: float | None
    letter_grade: str | None
    modified: datetime | None
    passed_timestamp: datetime | None


class RelatedObjectDoesNotExistError(AttributeError):
    """What Django raises where the other side of a one-to-one relation is missing."""


class DjangoLikeCertificate:
    """Has its fields as descriptors, ids beside its relations, and an override that may be missing."""

    user_id = 7
    course_id = CourseLocator("DemoX", "Intro", "2024")
    mode = "verified"
    status = "downloadable"
    modified_date = NOON.astimezone(ZoneInfo("UTC"))
    created_date = NOON - timedelta(days=1)

    def __init__(self, related: object = None) -> None:
        self.related = related

    @property
    def user(self) -> SimpleNamespace:
        """Another row, with more than is needed."""
        return SimpleNamespace(id=7, username="lovelace", email="lovelace@example.org", pk=7)

    @property
    def date_override(self) -> object:
        """A related row, or the error that there is none."""
        if self.related is None:
            raise RelatedObjectDoesNotExistError("GeneratedCertificate has no date_override.")
        return self.related


def plain_certificate(**fields: Any) -> Any:
    """A host's certificate with the least it must have, and some more."""
    return SimpleNamespace(
        **{
            "user": SimpleNamespace(id=7, username="lovelace"),
            "course_id": INTRO,
            "mode": "verified",
            "status": "downloadable",
            **fields,
        }
    )


class TestCertificateFromRecord:
    def test_takes_the_least_that_a_host_may_have(self) -> None:
        """Times and override are read where they are there."""
        assert Certificate.from_record(plain_certificate()) == CERTIFICATE

    def test_takes_a_django_row(self) -> None:
        """A relation that says by an error that it is empty is an empty one."""
        assert Certificate.from_record(DjangoLikeCertificate()) == evolve(
            CERTIFICATE, modified_date=NOON, created_date=NOON - timedelta(days=1)
        )

    def test_gives_one_of_ours_back(self) -> None:
        """Nothing is built or checked twice."""
        assert Certificate.from_record(CERTIFICATE) is CERTIFICATE

    def test_keeps_a_learner_of_ours(self) -> None:
        """Learners repeat; they are not built anew for each certificate."""
        assert Certificate.from_record(plain_certificate(user=ADA)).user is ADA

    def test_takes_a_learner_without_a_name(self) -> None:
        """One whose row is not visible yet."""
        nameless = plain_certificate(user=SimpleNamespace(id=7, username=None))
        assert Certificate.from_record(nameless).user == Learner(id=7)

    @pytest.mark.parametrize(
        "override",
        [NOON, SimpleNamespace(date=NOON), SimpleNamespace(date=NOON.astimezone(timezone(timedelta(hours=-8))))],
        ids=["datetime", "row", "row in another zone"],
    )
    def test_reads_a_date_override(self, override: object) -> None:
        """A moment, or a row that has one."""
        for record in (plain_certificate(date_override=override), DjangoLikeCertificate(override)):
            assert Certificate.from_record(record).date_override == NOON

    @pytest.mark.parametrize("override", [None, SimpleNamespace(date=None)], ids=["none", "row without a date"])
    def test_reads_that_there_is_no_date_override(self, override: object) -> None:
        """None is none."""
        assert Certificate.from_record(plain_certificate(date_override=override)).date_override is None

    @pytest.mark.parametrize(
        "override",
        [
            "2024-01-01",
            date(2024, 1, 1),
            NAIVE,
            0,
            SimpleNamespace(day=1),
            SimpleNamespace(date=NAIVE),
            SimpleNamespace(date="2024-01-01"),
        ],
        ids=repr,
    )
    def test_never_takes_a_wrong_date_override_for_none(self, override: object) -> None:
        """To leave an override out is to remove it on the other side, so what cannot be read is an error."""
        assert refused(Certificate.from_record, plain_certificate(date_override=override)).field == "date_override"

    @pytest.mark.parametrize("name", ["user", "course_id", "mode", "status"])
    def test_names_the_attribute_that_is_missing(self, name: str) -> None:
        """And the record by what it has."""
        record = plain_certificate()
        delattr(record, name)
        error = refused(Certificate.from_record, record)
        assert error.record == RecordName(
            "certificate", None if name == "user" else 7, "" if name == "course_id" else INTRO
        )
        assert (error.field, error.reason) == (name, "a SimpleNamespace has no such attribute")
        assert isinstance(error.__cause__, AttributeError)

    @pytest.mark.parametrize(
        ("user", "name", "owner"),
        [(None, "id", "NoneType"), (7, "id", "int"), (SimpleNamespace(id=7), "username", "SimpleNamespace")],
        ids=["none", "a number", "nameless"],
    )
    def test_says_what_it_is_that_lacks_an_attribute(self, user: object, name: str, owner: str) -> None:
        """A user that is none is not the certificate's fault."""
        error = refused(Certificate.from_record, plain_certificate(user=user))
        assert (error.field, error.reason) == (name, f"a {owner} has no such attribute")

    def test_passes_on_a_property_s_own_error(self) -> None:
        """Also where it came without saying for which attribute."""

        class Broken:
            course_id = INTRO
            user_id = 7

            @override
            def __getattribute__(self, name: str) -> object:
                """Fail as a descriptor that raises its error by itself."""
                if name == "user":
                    error = AttributeError("no relation")
                    error.name = ""
                    raise error
                return object.__getattribute__(self, name)

        error = refused(Certificate.from_record, Broken())
        assert str(error) == f"certificate in {INTRO} for user 7: attribute: a Broken has no such attribute"

    @pytest.mark.parametrize("record", [None, 7, "lovelace", object()], ids=lambda record: type(record).__name__)
    def test_refuses_what_is_no_certificate(self, record: Any) -> None:
        """What the caller handed over is named by its type alone."""
        assert str(refused(Certificate.from_record, record)) == (
            f"certificate in an unknown course run for user unknown: user: a {type(record).__name__}"
            " has no such attribute"
        )

    def test_never_shows_a_name(self) -> None:
        """Whatever is wrong with a record, its learner stays a number."""
        wrong: list[dict[str, Any]] = [{"course_id": "nope"}, {"mode": None}, {"modified_date": NAIVE}]
        for fields in wrong:
            error = refused(Certificate.from_record, plain_certificate(**fields))
            assert "lovelace" not in f"{error}{error!r}{error.__cause__}"


class TestGradeFromRecord:
    row = Row(7, INTRO, 0.85, "B", NOON, None)

    def test_takes_a_row_with_names(self) -> None:
        """As SQLAlchemy's are."""
        assert Grade.from_record(self.row) == GRADE

    def test_takes_a_plain_object(self) -> None:
        """As Django's are."""
        fields = {**self.row._asdict(), "course_id": parse_course_key(INTRO), "pk": 1}
        assert Grade.from_record(SimpleNamespace(**fields)) == GRADE

    def test_takes_what_is_unknown(self) -> None:
        """A letter, a percentage and a time may be missing."""
        assert Grade.from_record(Row(7, INTRO, None, None, None, None)) == Grade(user_id=7, course_id=INTRO)

    def test_gives_one_of_ours_back(self) -> None:
        """Nothing is built or checked twice."""
        assert Grade.from_record(GRADE) is GRADE

    @pytest.mark.parametrize("name", ["user_id", "course_id", "percent_grade", "letter_grade", "modified"])
    def test_names_the_attribute_that_is_missing(self, name: str) -> None:
        """And the record by what it has."""
        names = [field for field in Row._fields if field != name]
        short = namedtuple("Short", names)(**{field: getattr(self.row, field) for field in names})  # noqa: PYI024  # made of what is left
        error = refused(Grade.from_record, short)
        assert error.record == RecordName(
            "grade", None if name == "user_id" else 7, "" if name == "course_id" else INTRO
        )
        assert (error.field, error.reason) == (name, "a Short has no such attribute")

    @pytest.mark.parametrize(
        ("name", "value"), [("course_id", "nope"), ("percent_grade", 1.2), ("modified", NAIVE), ("user_id", None)]
    )
    def test_names_the_field_that_is_wrong(self, name: str, value: Any) -> None:
        """A row with a wrong field is refused like a grade built with it."""
        error = refused(Grade.from_record, SimpleNamespace(**{**self.row._asdict(), name: value}))
        assert error.field == name

    def test_a_hostile_key_does_not_spoil_the_error(self) -> None:
        """What does not print is escaped, what is too long cut: errors go to logs and tables."""
        error = refused(Grade.from_record, self.row._replace(course_id="x\x00\n\x1b[2J" + "y" * 100_000))
        assert isinstance(error.record, RecordName)
        assert error.record.target.startswith(r"x\x00\n\x1b[2Jyyy")
        assert len(error.record.target) == MAX_COURSE_KEY_LENGTH
        assert str(error).isprintable()
