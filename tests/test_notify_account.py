"""The account of a run, whatever it meets: every record read has one end, and no name is in any of it."""

from __future__ import annotations

import json
import logging
import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from credsync.adapters.memory import MemoryLedger
from credsync.errors import (
    InvalidRecordError,
    NotificationError,
    RecordName,
    SinkRejectedError,
    SinkUnavailableError,
    SourceError,
)
from credsync.model import Certificate, CertificateStatus, Grade, Learner
from credsync.notify import log_dry_run, send_notifications
from credsync.options import RunOptions
from credsync.ports import RecordKey
from credsync.report import KEPT_FAILURES, Report, Verdict
from credsync.updates import Deferred, Delivered, Rejected
from tests.campus_builders import (
    ADVANCED,
    ELSEWHERE,
    FRESH,
    INTRO,
    NAME_MARK,
    NOW,
    OLD,
    STRAY,
    Platform,
    Row,
    ScriptedSink,
    cert,
    grade,
    host_of,
    learner,
    platform_of,
)

users = st.integers(1, 6)
runs = st.sampled_from([INTRO, ADVANCED, ELSEWHERE, STRAY])
times = st.sampled_from([OLD, FRESH, NOW, None])
broken = st.one_of(
    st.builds(Row, user_id=users, course_id=runs),
    st.builds(Row, user_id=st.just(f"{NAME_MARK}-0"), course_id=st.just("no course key")),
    st.builds(
        SimpleNamespace,
        user_id=st.just(f"{NAME_MARK}-0"),
        course_id=runs,
        letter_grade=st.just("A"),
        percent_grade=st.just(0.5),
        modified=times,
    ),
    st.just(InvalidRecordError(RecordName("grade", 1, INTRO), "percent_grade", "nan is not a finite number")),
    st.just(InvalidRecordError("row 12", "course_id", "not a course key")),
)
certificates = st.builds(
    cert,
    user_id=users,
    run=runs,
    status=st.sampled_from(CertificateStatus),
    mode=st.sampled_from(["verified", "audit", "a-mode-of-tomorrow"]),
    modified_date=times,
)
nameless = st.builds(cert, user=st.builds(Learner, id=users), run=runs)
grades = st.builds(
    grade,
    user_id=users,
    run=runs,
    letter_grade=st.sampled_from(["A", "", None]),
    percent_grade=st.sampled_from([0.0, 0.5, None]),
    modified=times,
)
outcomes = st.sampled_from([Delivered(), Rejected(reason="no such run", status=404), Deferred(reason="busy"), None])
acts = st.one_of(
    st.lists(outcomes, max_size=9),
    st.sampled_from(
        [
            ValueError(f"{NAME_MARK} is unknown here"),
            SinkUnavailableError("down"),
            SinkRejectedError("closed", status=403),
        ]
    ),
)


@contextmanager
def kept_logs() -> Iterator[list[str]]:
    """Keep what credsync logs."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, keeper = logging.getLogger("credsync"), Keeper()
    level = logger.level
    logger.addHandler(keeper)
    logger.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        logger.removeHandler(keeper)
        logger.setLevel(level)


def assert_adds_up(report: Report) -> None:
    """Fail unless a report accounts for everything, in its values as in its JSON form."""
    assert report.unaccounted == 0
    whole: Any = json.loads(json.dumps(report.as_dict()))
    assert whole["read"] == report.total()
    for kind, told in whole["kinds"].items():
        assert told["read"] == report.total(kind=kind) == sum(told[verdict] for verdict in Verdict)
        for verdict, reasons in told["reasons"].items():
            assert sum(reasons.values()) == told[verdict]
    assert len(report.failures) == min(report.total("rejected") + report.total("failed"), KEPT_FAILURES)
    assert pickle.loads(pickle.dumps(report)) == report


class TestAccount:
    @given(
        certs=st.lists(st.one_of(certificates, nameless, broken), max_size=14),
        some_grades=st.lists(st.one_of(grades, broken), max_size=14),
        known=st.lists(st.one_of(certificates, grades), max_size=10),
        script=st.lists(acts, max_size=6),
        page_size=st.integers(1, 6),
        with_ledger=st.booleans(),
        options=st.builds(RunOptions, clock=st.just(lambda: NOW), force=st.booleans(), dry_run=st.booleans()),
        programs=st.booleans(),
    )
    def test_adds_up_whatever_comes(
        self,
        certs: Sequence[Any],
        some_grades: Sequence[Any],
        known: Sequence[Certificate | Grade],
        script: Sequence[Any],
        page_size: int,
        with_ledger: bool,
        options: RunOptions,
        programs: bool,
    ) -> None:
        """Each record that was read ends in exactly one way, and nothing that a run says shows a name."""
        host = host_of(platform_of(*known), ScriptedSink(list(script)), MemoryLedger() if with_ledger else None)
        with kept_logs() as lines:
            report = send_notifications(
                certs,
                some_grades,
                page_size=page_size,
                verbose=True,
                notify_programs=programs,
                revoke_program_certs=programs,
                host=host,
                options=options,
            )
        assert_adds_up(report)
        if not report.stopped:
            assert (report.read["certificate"], report.read["grade"]) == (len(certs), len(some_grades))
        assert len(lines) == report.total()
        told = [*lines, repr(report), json.dumps(report.as_dict()), *(str(failure) for failure in report.failures)]
        try:
            report.raise_for_failures()
        except NotificationError as exc:
            told += [str(exc), *(str(error) for error in exc.exceptions)]
        assert NAME_MARK not in "\n".join(told)

    def test_tells_each_verdict_and_reason(self) -> None:
        """A run in which everything happens says so, kind by kind."""
        platform = platform_of(cert(1), cert(2, status="error"), cert(3), cert(4), cert(5))
        platform.rows["certificate", RecordKey(7, INTRO)] = Row(user_id=7)
        sink = ScriptedSink([[Delivered(), Rejected(reason="no such run"), Deferred(reason="busy")]])
        grades = [grade(user_id) for user_id in range(1, 8)]
        report = send_notifications(
            [],
            [*grades, grade(1, modified=OLD), grade(8, modified=OLD), grade(1, run=STRAY)],
            host=host_of(platform, sink, MemoryLedger()),
            options=RunOptions(clock=lambda: NOW),
        )
        assert_adds_up(report)
        assert {verdict: +report.reasons(verdict, "grade") for verdict in Verdict} == {
            Verdict.SENT: {},
            Verdict.UNCHANGED: {},
            Verdict.SKIPPED: Counter(superseded=1, not_interesting=1, no_certificate=1, not_in_a_program=1),
            Verdict.REJECTED: {},
            Verdict.DEFERRED: Counter(certificate_not_visible=1),
            Verdict.FAILED: {
                "invalid user": 1,
                "the sink did not give one outcome per update": 4,
            },
        }

    @pytest.mark.parametrize("ends", ["rejected", "failed"])
    def test_counts_what_it_does_not_keep(self, ends: str) -> None:
        """Of a thousand failures a hundred are kept, and all are counted."""
        act: Any = ValueError() if ends == "failed" else (lambda updates: [Rejected(reason="no")] * len(updates))
        sink = ScriptedSink([act] * 10)
        certs = [cert(user_id) for user_id in range(1_000)]
        report = send_notifications(certs, [], host=host_of(Platform(), sink))
        assert (report.total(ends), len(report.failures)) == (1_000, KEPT_FAILURES)
        assert [failure.record.user_id for failure in report.failures] == [*range(KEPT_FAILURES)]
        assert_adds_up(report)


class TestNames:
    def test_are_in_no_error_of_a_source(self) -> None:
        """What a driver says of a failed query may show what it holds, and goes no further."""

        def give_none() -> Iterator[Certificate]:
            yield cert()
            raise LookupError(f"duplicate entry '{NAME_MARK}-1'")

        report = send_notifications(give_none(), [], host=host_of(Platform()))
        assert report.stopped is not None
        assert NAME_MARK not in json.dumps(report.as_dict())

    def test_are_in_no_preview(self) -> None:
        """A preview names learners by id."""
        with kept_logs() as lines:
            log_dry_run([cert()], [grade()])
        assert len(lines) == 5
        assert NAME_MARK not in "\n".join(lines)

    def test_are_in_no_representation(self) -> None:
        """Neither records nor updates show the name they carry, and neither does what a ledger keeps."""
        ledger, sink = MemoryLedger(), ScriptedSink()
        platform = platform_of(cert())
        send_notifications([cert(run=ELSEWHERE)], [grade()], notify_programs=True, host=host_of(platform, sink, ledger))
        assert len(sink.handed) == 3
        assert all(update.username == learner().username for update in sink.handed)
        assert NAME_MARK not in repr((cert(), learner(), sink.handed, ledger, platform.certificates_by_key))

    def test_of_an_error_that_stopped_a_run_are_the_adapters_business(self) -> None:
        """A message of ours is told as it is: the run adds nothing to it."""

        class Gone:
            def fetch(self, after: object, limit: int) -> Any:
                raise SourceError("the database went away")

        report = send_notifications(Gone(), [], host=host_of(Platform()))
        assert report.stopped is not None
        assert report.stopped.reason == "the database went away"
