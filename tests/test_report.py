"""Reports and tallies: counts that add up, a JSON form to build on, and errors for who wants them."""

from __future__ import annotations

import json
import logging
import pickle
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from credsync.errors import AdapterError, InvalidRecordError, NotificationError, RecordName, SinkRejectedError
from credsync.report import SCHEMA_VERSION, Failure, Report, Stopped, Tally, Verdict
from credsync.updates import UpdateKey
from tests.campus_builders import INTRO, NOW, PROGRAM

REJECTED = Failure(record=RecordName("grade", 1, INTRO), verdict=Verdict.REJECTED, reason="no such run", status=404)
FAILED = Failure(record=RecordName("certificate", None, "row 12"), verdict=Verdict.FAILED, reason="mode: none")
STOPPED = Stopped(reason="down", stage="grades", cursor=[3, INTRO], retry_after=30.0)

PLAIN = Report(read={}, counts={}, started=NOW, ended=NOW)
FULL = Report(
    read={"certificate": 6, "grade": 4},
    counts={
        ("certificate", "sent", ""): 2,
        ("certificate", "skipped", "other_site"): 1,
        ("certificate", "skipped", "superseded"): 2,
        ("certificate", "failed", "invalid mode"): 1,
        ("grade", "sent", ""): 1,
        ("grade", "skipped", "other_site"): 2,
        ("grade", "rejected", "no such run"): 1,
    },
    failures=(FAILED, REJECTED),
    stopped=STOPPED,
    started=NOW,
    ended=NOW + timedelta(minutes=2),
)

reports = st.builds(
    Report,
    read=st.dictionaries(st.sampled_from(["certificate", "grade", "program"]), st.integers(0, 9)),
    counts=st.dictionaries(
        st.tuples(st.sampled_from(["certificate", "grade"]), st.sampled_from(Verdict), st.sampled_from(["", "a", "b"])),
        st.integers(1, 9),
    ),
    failures=st.lists(
        st.builds(
            Failure,
            record=st.builds(
                RecordName,
                kind=st.sampled_from(["certificate", "grade"]),
                user_id=st.one_of(st.none(), st.integers(0, 2**63)),
                target=st.text(max_size=9),
            ),
            verdict=st.sampled_from([Verdict.REJECTED, Verdict.FAILED]),
            reason=st.text(max_size=9),
            status=st.one_of(st.none(), st.integers(100, 599)),
        ),
        max_size=3,
    ).map(tuple),
    stopped=st.one_of(st.none(), st.just(STOPPED)),
    started=st.just(NOW),
    ended=st.just(NOW),
)


class TestCounting:
    @pytest.mark.parametrize(
        ("filters", "total"),
        [
            ({}, 9),
            ({"verdict": "sent"}, 3),
            ({"verdict": Verdict.SENT}, 3),
            ({"kind": "grade"}, 4),
            ({"reason": "other_site"}, 3),
            ({"reason": ""}, 3),
            ({"verdict": "skipped", "kind": "certificate"}, 3),
            ({"verdict": "skipped", "kind": "certificate", "reason": "superseded"}, 2),
            ({"verdict": "deferred"}, 0),
        ],
    )
    def test_goes_by_verdict_kind_and_reason(self, filters: Mapping[str, Any], total: int) -> None:
        """Each filter that is given counts, one that is not counts all; an empty reason is a reason."""
        assert (
            evolve(FULL, read={}, counts={**FULL.counts, ("certificate", "failed", "invalid mode"): 0}).total(**filters)
            == total
        )

    def test_of_reasons_puts_the_most_frequent_first(self) -> None:
        """What happens most is read first, in whatever order it was met."""
        assert list(FULL.reasons("skipped").items()) == [("other_site", 3), ("superseded", 2)]
        assert list(FULL.reasons(Verdict.SKIPPED, "certificate").items()) == [("superseded", 2), ("other_site", 1)]
        assert FULL.reasons("deferred") == {}

    @pytest.mark.parametrize(("read", "missing"), [(10, 0), (12, 2), (9, -1)])
    def test_proves_itself(self, read: int, missing: int) -> None:
        """What was read and what found an end are counted apart: where they differ, the account is wrong."""
        assert evolve(FULL, read={"grade": read}).unaccounted == missing

    def test_says_which_kinds_were_read(self) -> None:
        """Kinds come in the order in which they were met."""
        assert FULL.kinds == ("certificate", "grade")

    @pytest.mark.parametrize(
        ("verdict", "has_failures"), [(verdict, verdict in {"rejected", "failed"}) for verdict in Verdict]
    )
    def test_calls_rejections_and_failures_failures(self, verdict: Verdict, has_failures: bool) -> None:
        """Everything else is as it should be, or will be."""
        assert evolve(PLAIN, counts={("grade", verdict, ""): 1}).has_failures == has_failures


class TestJsonForm:
    def test_is_what_it_is(self) -> None:
        """Who reads reports by machine finds everything where it was in this version."""
        assert SCHEMA_VERSION == 1
        assert FULL.as_dict() == {
            "schema_version": 1,
            "status": "stopped",
            "dry_run": False,
            "started": "2024-05-20T12:00:00+00:00",
            "ended": "2024-05-20T12:02:00+00:00",
            "read": 10,
            "kinds": {
                "certificate": {
                    "read": 6,
                    "sent": 2,
                    "unchanged": 0,
                    "skipped": 3,
                    "rejected": 0,
                    "deferred": 0,
                    "failed": 1,
                    "reasons": {"skipped": {"superseded": 2, "other_site": 1}, "failed": {"invalid mode": 1}},
                },
                "grade": {
                    "read": 4,
                    "sent": 1,
                    "unchanged": 0,
                    "skipped": 2,
                    "rejected": 1,
                    "deferred": 0,
                    "failed": 0,
                    "reasons": {"skipped": {"other_site": 2}, "rejected": {"no such run": 1}},
                },
            },
            "failures": [
                {
                    "kind": "certificate",
                    "user_id": None,
                    "target": "row 12",
                    "verdict": "failed",
                    "reason": "mode: none",
                    "status": None,
                },
                {
                    "kind": "grade",
                    "user_id": 1,
                    "target": INTRO,
                    "verdict": "rejected",
                    "reason": "no such run",
                    "status": 404,
                },
            ],
            "stopped": {"reason": "down", "stage": "grades", "cursor": [3, INTRO], "retry_after": 30.0},
        }

    def test_of_a_run_that_went_well_is_short(self) -> None:
        """Nothing stopped it, and nothing failed."""
        told = evolve(PLAIN, dry_run=True).as_dict()
        assert (told["status"], told["stopped"], told["failures"], told["dry_run"]) == ("complete", None, [], True)

    @given(report=reports)
    def test_is_json(self, report: Report) -> None:
        """Whatever it holds, the form survives being written and read."""
        assert json.loads(json.dumps(report.as_dict())) == report.as_dict()

    @given(report=reports)
    def test_of_a_failure_can_be_read_back(self, report: Report) -> None:
        """A ledger keeps failures as JSON, and gives them back as they were."""
        told = json.loads(json.dumps([failure.as_dict() for failure in report.failures]))
        assert tuple(Failure.from_dict(one) for one in told) == report.failures

    @given(report=reports)
    def test_is_no_more_than_pickling_gives(self, report: Report) -> None:
        """A report goes from one process to another."""
        assert pickle.loads(pickle.dumps(report)) == report


class TestErrors:
    def test_do_not_come_of_a_run_that_went_well(self) -> None:
        """Skipped and deferred records are no failures."""
        evolve(PLAIN, counts={("grade", "skipped", "gone"): 1, ("grade", "deferred", "busy"): 1}).raise_for_failures()

    def test_come_as_one_group(self) -> None:
        """Each failure kept is an error of its own, and so is what stopped the run."""
        with pytest.raises(NotificationError, match="2 of 10 records failed") as caught:
            FULL.raise_for_failures()
        invalid, rejected, stopped = caught.value.exceptions
        assert isinstance(invalid, InvalidRecordError)
        assert invalid.record == FAILED.record
        assert isinstance(rejected, SinkRejectedError)
        assert (str(rejected), rejected.status) == (
            f"grade in {INTRO} for user 1: rejected: no such run (status 404)",
            404,
        )
        assert isinstance(stopped, AdapterError)
        assert str(stopped) == "stopped in grades: down"

    def test_come_of_a_stop_alone(self) -> None:
        """A run that did not go to its end did not do what was asked."""
        with pytest.raises(NotificationError, match="0 of 0 records failed"):
            evolve(PLAIN, stopped=STOPPED).raise_for_failures()

    def test_survive_pickling(self) -> None:
        """A worker hands them to who waits for it."""
        with pytest.raises(NotificationError) as caught:
            FULL.raise_for_failures()
        again = pickle.loads(pickle.dumps(caught.value))
        assert [str(error) for error in again.exceptions] == [str(error) for error in caught.value.exceptions]

    def test_name_record_and_reason(self) -> None:
        """A failure is one line for the person on call."""
        assert str(REJECTED) == f"grade in {INTRO} for user 1: rejected: no such run"
        assert str(FAILED) == "certificate in row 12 for user unknown: failed: mode: none"


class TestTally:
    def test_counts_and_keeps_a_failure(self) -> None:
        """A failure is counted by one of few reasons, and kept with all that was said."""
        tally = Tally()
        tally.fail(REJECTED.record, Verdict.REJECTED, "other reasons", 404, detail="no such run")
        tally.fail(FAILED.record, Verdict.FAILED, "mode: none")
        assert tally.failures == [REJECTED, FAILED]
        assert tally.counts == {
            ("grade", INTRO, "rejected", "other reasons"): 1,
            ("certificate", "row 12", "failed", "mode: none"): 1,
        }

    def test_counts_many_of_one_end(self, caplog: pytest.LogCaptureFixture) -> None:
        """As many calls for one record would, and with a line for each where that is wanted, in their order."""
        caplog.set_level(logging.INFO, "credsync")
        keys = [UpdateKey("grade", 2, INTRO), UpdateKey("grade", 1, INTRO), UpdateKey("certificate", 1, INTRO)]
        quiet, verbose = Tally(), Tally(verbose=True)
        for tally in (quiet, verbose):
            tally.count_all(keys, Verdict.UNCHANGED)
        one_by_one = Counter((kind, target, "unchanged", "") for kind, _, target in keys)
        assert quiet.counts == verbose.counts == one_by_one
        assert caplog.messages == [f"{key}: unchanged" for key in keys]

    def test_takes_another_in(self) -> None:
        """Nothing is lost where two become one."""
        one, other = (Tally(read=Counter(grade=2)) for _ in range(2))
        for tally in (one, other):
            tally.count("grade", 1, INTRO, Verdict.SENT)
            tally.fail(REJECTED.record, Verdict.REJECTED, "no such run")
        one.extend(other)
        assert (one.read, one.counts.total(), len(one.failures)) == (Counter(grade=4), 4, 2)

    @pytest.mark.parametrize(
        ("tally", "endings"),
        [
            (Tally(), []),
            (Tally(verbose=True), ["sent", "skipped (gone)", "failed (x)"]),
            (Tally(verbose=True, is_rehearsal=True), ["would be sent", "would be skipped (gone)", "would fail (x)"]),
        ],
        ids=["quiet", "verbose", "rehearsal"],
    )
    def test_logs_each_end_if_wanted(self, tally: Tally, endings: list[str], caplog: pytest.LogCaptureFixture) -> None:
        """Verbose is a line for each record, and quiet is none; what was not sent is not told as sent."""
        with caplog.at_level(logging.DEBUG, "credsync"):
            tally.count("grade", 1, INTRO, Verdict.SENT)
            tally.count("program", None, PROGRAM, Verdict.SKIPPED, "gone")
            tally.count("grade", 2, INTRO, Verdict.FAILED, "x")
        records = (
            f"grade in {INTRO} for user 1",
            f"program in {PROGRAM} for user None",
            f"grade in {INTRO} for user 2",
        )
        assert caplog.messages == [f"{record}: {ending}" for record, ending in zip(records, endings, strict=False)]
