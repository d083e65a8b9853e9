"""The rules that `credsync explain` shows come to the same end as a run, whatever the facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define
from typing_extensions import override

from credsync.adapters.memory import MemoryPlatform, MemorySink
from credsync.catalog import Course, CourseRun, Program, ProgramIndex
from credsync.cli.tracing import Tracer
from credsync.model import Certificate, Grade, Learner
from credsync.notify import notify
from credsync.options import RunOptions
from credsync.planning import DeferReason, Planner
from credsync.ports import DefaultPolicy, Host, RecordKey, SiteOrgs
from credsync.selection import Selection
from tests.cli.trace_reading import agrees, listen, verdicts

NOW = datetime(2024, 3, 1, tzinfo=UTC)
OPTIONS = RunOptions(clock=lambda: NOW)
OLD, NEW = NOW - timedelta(days=30), NOW - timedelta(days=1)

RUNS = [f"course-v1:{org}+Y+Z" for org in ("Listed", "Unlisted", "Elsewhere", "Off")]
SITE = SiteOrgs(["Listed", "Unlisted", "Off"])
INDEX = ProgramIndex(
    [
        Program(
            uuid="6883080f-0000-4000-8000-000000000001",
            courses=(Course(course_runs=tuple(CourseRun(key=run) for run in RUNS if "Unlisted" not in run)),),
        )
    ]
)

CERTIFICATES: list[dict[str, Any] | None] = [
    None,
    {"mode": "verified", "status": "downloadable"},
    {"mode": "verified", "status": "error"},
    {"mode": "audit", "status": "downloadable"},
    {"mode": "corporate-cohort", "status": "notpassing"},
    {"mode": "verified", "status": None},
]
GRADES: list[dict[str, Any]] = [
    {"letter_grade": letter, "percent_grade": percent, "modified": modified}
    for letter, percent, modified in product(("B", None), (0.8, None), (OLD, NEW, None))
]


@define
class Switches(DefaultPolicy):
    """A policy with its switches."""

    credentials: bool = True

    @override
    def is_credentials_enabled(self) -> bool:
        """Say what is set."""
        return self.credentials

    @override
    def is_learner_records_enabled_for_org(self, org: str) -> bool:
        """Say no to one organisation."""
        return org != "Off"


class ForgetfulPlatform(MemoryPlatform):
    """A platform whose look-up does not find the grades of every second learner."""

    @override
    def find_grades(self, keys: Any) -> Any:
        """Find half of them."""
        return super().find_grades([key for key in keys if key.user_id % 2])


def all_cases() -> MemoryPlatform:
    """Build a platform that has every case that the rules could meet, each with a learner of its own."""
    platform = ForgetfulPlatform()
    cases = product(RUNS, CERTIFICATES, GRADES, (True, False), (True, False))
    for user_id, (run, certificate, grade, is_visible, _) in enumerate(cases, 1):
        learner = Learner(id=user_id, username=f"learner-{user_id}" if is_visible else None)
        if is_visible:
            platform.add(learner)
        platform.add(Grade(user_id=user_id, course_id=run, **grade))
        if certificate is not None:
            key = RecordKey(user_id, run)
            sound = certificate["status"] is not None
            make: Any = Certificate if sound else SimpleNamespace
            platform.certificates_by_key[key] = make(user=learner, course_id=run, modified_date=OLD, **certificate)
    return platform


@pytest.mark.parametrize("site", [None, SITE])
@pytest.mark.parametrize("credentials", [True, False])
def test_the_rules_agree_with_the_run(
    site: SiteOrgs | None, credentials: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """For each record of every case, the first objection of the rules is the reason that the run gives."""
    platform, policy = all_cases(), Switches(credentials)
    host = Host(
        catalog=INDEX, sink=MemorySink(), learners=platform, certificates=platform, grades=platform, policy=policy
    )
    listen(caplog)
    report = notify(platform, Selection(), site, verbose=True, host=host, options=OPTIONS)
    decided = verdicts(caplog)
    planner = Planner(
        index=INDEX,
        policy=policy,
        learners=platform,
        certificates=platform,
        grades=platform,
        site=site,
        settled_before=NOW - OPTIONS.give_up_after,
    )
    tracer = Tracer(planner)
    for key, grade in platform.grades_by_key.items():
        steps = tracer.trace_grade(grade)
        assert agrees(steps, decided["grade", key.course_id, key.user_id]), (key, steps)
    for key, certificate in platform.certificates_by_key.items():
        steps = tracer.trace_certificate(certificate)
        assert agrees(steps, decided["certificate", key.course_id, key.user_id]), (key, steps)
    assert len(decided) == sum(report.read.values()) == len(platform.grades_by_key) + len(platform.certificates_by_key)


def test_the_cases_have_every_reason(caplog: pytest.LogCaptureFixture) -> None:
    """The cases that the test above walks meet every objection that the rules have."""
    platform = all_cases()
    host = Host(
        catalog=INDEX, sink=MemorySink(), learners=platform, certificates=platform, grades=platform, policy=Switches()
    )
    report = notify(platform, Selection(), SITE, host=host, options=OPTIONS)
    of_rules = {
        "other_site",
        "learner_records_disabled",
        "no_certificate",
        "not_interesting",
        "not_in_a_program",
        "no_grade",
    }
    assert set(report.reasons("skipped")) == of_rules
    assert set(report.reasons("deferred")) == set(DeferReason) - {DeferReason.PROGRAM_EXCLUDED}  # of programs only
    assert set(report.reasons("failed")) == {"invalid status"}
    assert report.total("sent", "grade") > 0
