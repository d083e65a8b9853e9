"""The error tree: one root, facts as attributes, and nothing lost on the way through pickle or an exception group."""

from __future__ import annotations

import copy
import pickle

import pytest

from credsync import errors
from credsync.errors import (
    AdapterError,
    ConfigurationError,
    CredsyncError,
    InvalidRecordError,
    NotificationError,
    RecordName,
    SinkError,
    SinkRejectedError,
    SinkUnavailableError,
    SourceError,
    isolated,
)

GRADE = RecordName("grade", 7, "course-v1:DemoX+Intro+2024")
SOME_ERRORS: list[CredsyncError] = [
    CredsyncError("anything"),
    ConfigurationError("the host has no sink"),
    InvalidRecordError(GRADE, "percent_grade", "1.2 is outside 0 to 1"),
    InvalidRecordError("course run 'nope'", "course_id", "not a course key"),
    AdapterError("anything"),
    SourceError("the connection was lost", {"modified": "2024-01-01T00:00:00+00:00", "id": 41}),
    SourceError("the connection was lost"),
    SinkError("anything"),
    SinkUnavailableError("throttled", retry_after=59.0),
    SinkUnavailableError("throttled"),
    SinkRejectedError("no such course run", status=400),
    SinkRejectedError("no such course run"),
]
every_error = pytest.mark.parametrize("error", SOME_ERRORS, ids=repr)


class TestTree:
    @pytest.mark.parametrize(
        ("kind", "parents"),
        [
            (InvalidRecordError, {CredsyncError, ValueError}),
            (ConfigurationError, {CredsyncError}),
            (AdapterError, {CredsyncError}),
            (SourceError, {CredsyncError, AdapterError}),
            (SinkError, {CredsyncError, AdapterError}),
            (SinkUnavailableError, {CredsyncError, AdapterError, SinkError}),
            (SinkRejectedError, {CredsyncError, AdapterError, SinkError}),
            (NotificationError, {CredsyncError, ExceptionGroup}),
        ],
    )
    def test_each_error_stands_where_the_design_puts_it(
        self, kind: type[Exception], parents: set[type[Exception]]
    ) -> None:
        """Whoever catches a branch of the tree catches exactly what belongs to it."""
        built_in = {object, BaseException, Exception, ValueError, BaseExceptionGroup, ExceptionGroup}
        assert parents <= set(kind.__mro__)
        assert set(kind.__mro__) - built_in - {kind} == parents - built_in

    def test_the_samples_here_leave_no_error_out(self) -> None:
        """What the tests below show holds for every error there is."""
        public = {value for name, value in vars(errors).items() if name.endswith("Error")}
        assert {type(error) for error in SOME_ERRORS} | {NotificationError} == public


class TestPickling:
    @every_error
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_an_error_survives_pickling(self, error: CredsyncError, protocol: int) -> None:
        """A worker process hands an error over with its message and its facts."""
        thawed = pickle.loads(pickle.dumps(error, protocol))
        assert type(thawed) is type(error)
        assert (str(thawed), repr(thawed), vars(thawed)) == (str(error), repr(error), vars(error))

    @every_error
    def test_an_error_survives_copying(self, error: CredsyncError) -> None:
        """A copy says what the original says."""
        assert (str(copy.deepcopy(error)), vars(copy.copy(error))) == (str(error), vars(error))

    def test_a_notification_error_survives_pickling(self) -> None:
        """The group arrives with its message and its members."""
        thawed = pickle.loads(pickle.dumps(NotificationError("2 of 9 records failed", SOME_ERRORS)))
        assert type(thawed) is NotificationError
        assert thawed.message == "2 of 9 records failed"
        assert [str(error) for error in thawed.exceptions] == [str(error) for error in SOME_ERRORS]


class TestFacts:
    @every_error
    def test_stand_among_the_arguments_however_they_were_given(self, error: CredsyncError) -> None:
        """A `repr` in a log, and whoever knows exceptions by their `args`, sees all of them."""
        assert all(fact in error.args for fact in vars(error).values())


class TestMessages:
    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (
                InvalidRecordError(GRADE, "percent_grade", "1.2 is outside 0 to 1"),
                "grade in course-v1:DemoX+Intro+2024 for user 7: percent_grade: 1.2 is outside 0 to 1",
            ),
            (InvalidRecordError("course run 'x'", "course_id", "no key"), "course run 'x': course_id: no key"),
            (SourceError("the connection was lost", {"id": 41}), "the connection was lost"),
            (SinkUnavailableError("throttled"), "throttled"),
            (SinkUnavailableError("throttled", 59.0), "throttled (try again in 59 s)"),
            (SinkUnavailableError("throttled", 0.0), "throttled (try again in 0 s)"),
            (SinkRejectedError("no such course run"), "no such course run"),
            (SinkRejectedError("no such course run", 400), "no such course run (status 400)"),
        ],
    )
    def test_a_message_is_one_clear_line(self, error: CredsyncError, message: str) -> None:
        """What an operator reads names the thing and says whether to try again."""
        assert str(error) == message


class TestRecordName:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            (GRADE, "grade in course-v1:DemoX+Intro+2024 for user 7"),
            (RecordName("grade", 0, "course-v1:X+Y+Z"), "grade in course-v1:X+Y+Z for user 0"),
            (RecordName("grade", None, "course-v1:X+Y+Z"), "grade in course-v1:X+Y+Z for user unknown"),
            (RecordName("certificate", 7, ""), "certificate in an unknown course run for user 7"),
        ],
    )
    def test_says_what_is_known(self, name: RecordName, text: str) -> None:
        """A part that the record does not say is called unknown, and 0 is not unknown."""
        assert str(name) == text


class TestNotificationError:
    rejected = SinkRejectedError("no such course run")
    invalid = InvalidRecordError(GRADE, "letter_grade", "5 is not text")

    def test_except_star_picks_out_one_kind(self) -> None:
        """A caller handles one kind of failure and lets the others go on."""
        caught: list[Exception] = []

        def handle_rejections() -> None:
            try:
                raise NotificationError("2 records failed", [self.rejected, self.invalid])
            except* SinkRejectedError as group:
                caught.extend(group.exceptions)

        with pytest.raises(NotificationError) as rest:
            handle_rejections()
        assert caught == [self.rejected]
        assert rest.value.exceptions == (self.invalid,)

    def test_splits_into_groups_of_its_own_kind(self) -> None:
        """Both halves are notification errors with the same message, and keep the notes."""
        whole = NotificationError("2 records failed", [self.rejected, self.invalid])
        whole.add_note("run 12")
        for half, member in zip(whole.split(SinkRejectedError), (self.rejected, self.invalid), strict=True):
            assert type(half) is NotificationError
            assert (half.message, half.exceptions, half.__notes__) == (whole.message, (member,), ["run 12"])

    def test_a_subgroup_is_none_where_nothing_matches(self) -> None:
        """Asking for a kind that is not there gives nothing, not an empty group."""
        assert NotificationError("1 record failed", [self.rejected]).subgroup(ConfigurationError) is None

    def test_is_caught_as_a_credsync_error(self) -> None:
        """One `except CredsyncError` covers the end of a run, too."""
        with pytest.raises(CredsyncError, match="1 record failed"):
            raise NotificationError("1 record failed", [self.rejected])


class TestIsolated:
    def test_gives_back_what_the_call_returns(self) -> None:
        """Where nothing goes wrong nothing shows."""
        assert isolated(divmod, 7, 2) == (3, 1)

    def test_passes_keyword_arguments_on(self) -> None:
        """The call is made as it stands."""
        assert isolated(int, "ff", base=16) == 255

    def test_gives_back_what_the_call_raises(self) -> None:
        """A host's error is a value from here on."""
        assert isinstance(isolated(divmod, 7, 0), ZeroDivisionError)

    @pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_lets_an_interruption_through(self, signal: type[BaseException]) -> None:
        """Ctrl-C is not a host's mistake."""

        def interrupted() -> None:
            raise signal

        with pytest.raises(signal):
            isolated(interrupted)
