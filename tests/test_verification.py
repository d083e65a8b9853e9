"""Comparing what the source says with what a service holds: one fact a test, against a service that is a dictionary."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import define, evolve, field
from typing_extensions import override

from credsync.adapters.memory import MemoryLedger, MemoryPlatform, MemorySink
from credsync.catalog import Course, CourseRun, Program, ProgramIndex
from credsync.delivery import Courier
from credsync.errors import AdapterError, SinkUnavailableError
from credsync.ledger import PageRecord
from credsync.model import Certificate, Grade, Learner
from credsync.options import RunOptions
from credsync.planning import Planner
from credsync.ports import DefaultPolicy, SiteOrgs
from credsync.selection import Selection
from credsync.updates import Outcome, Update
from credsync.verification import KEPT_FINDINGS, Standing, Verification, verify

RUN, OTHER = "course-v1:X+Y+Z", "course-v1:X+Y+2"
PROGRAM = "6883080f-0000-4000-8000-000000000001"
ADA, GRACE = Learner(id=7, username="ada"), Learner(id=8, username="grace")
MAY = datetime(2026, 5, 1, tzinfo=UTC)


@define
class Service:
    """What a service holds, by username; a name that it chokes on gets no answer."""

    credentials: dict[str, list[dict[str, Any]]] = field(factory=dict)
    statuses: dict[str, list[dict[str, Any]]] = field(factory=dict)
    chokes_on: set[str] = field(factory=set)
    asked: list[str] = field(factory=list)

    def find_credentials(self, username: str) -> Collection[Mapping[str, Any]]:
        """Return a learner's credentials."""
        return self._answer(self.credentials, username)

    def find_statuses(self, username: str) -> Collection[Mapping[str, Any]]:
        """Return a learner's visible certificates with their grades."""
        return self._answer(self.statuses, username)

    def _answer(self, held: dict[str, list[dict[str, Any]]], username: str) -> list[dict[str, Any]]:
        self.asked.append(username)
        if username in self.chokes_on:
            raise AdapterError("the service is away")
        return held.get(username, [])


def credential(run: str = RUN, *, status: str = "awarded", username: str = "ada") -> dict[str, Any]:
    """Write a credential as the service does."""
    about = {"type": "course-run", "course_run_key": run, "mode": "verified"}
    return {"username": username, "credential": about, "status": status, "date_override": None}


def status_of(run: str = RUN, letter: str | None = "B") -> dict[str, Any]:
    """Write a visible certificate with its grade as the service does; without a letter there is no grade."""
    grade = None if letter is None else {"letter_grade": letter, "percent_grade": 0.85, "verified": True}
    return {"course_run": {"uuid": "1a58", "key": run}, "status": "awarded", "grade": grade}


def certificate(learner: Learner = ADA, run: str = RUN, status: str = "downloadable") -> Certificate:
    """Make a certificate."""
    return Certificate(user=learner, course_id=run, mode="verified", status=status, modified_date=MAY)


def grade(learner: Learner = ADA, run: str = RUN, letter: str = "B") -> Grade:
    """Make a grade."""
    return Grade(user_id=learner.id, course_id=run, percent_grade=0.85, letter_grade=letter, modified=MAY)


def platform_of(*records: Certificate | Grade) -> MemoryPlatform:
    """Make a platform that knows some records."""
    platform = MemoryPlatform()
    platform.add(ADA, GRACE, *records)
    return platform


def planner_for(platform: MemoryPlatform, **options: Any) -> Planner:
    """Make a planner to which both runs are in a program."""
    runs = tuple(CourseRun(key=run, type="verified") for run in (RUN, OTHER))
    index = ProgramIndex([Program(uuid=PROGRAM, status="active", courses=(Course(key="X+Y", course_runs=runs),))])
    return Planner(
        index=index,
        policy=DefaultPolicy(),
        learners=platform,
        certificates=platform,
        grades=platform,
        **options,
    )


def compared(
    service: Service, *records: Certificate | Grade, selection: Selection | None = None, **options: Any
) -> Verification:
    """Compare some records with a service."""
    platform = platform_of(*records)
    planner = planner_for(platform, **options.pop("planner", {}))
    return verify(platform, selection or Selection(), planner=planner, reader=service, **options)


def standings(found: Verification) -> dict[tuple[str, str], int]:
    """Return the account, with plain text."""
    assert found.unaccounted == 0
    return {(kind, str(standing)): count for (kind, standing), count in found.standings.items()}


def test_what_the_service_holds_is_right() -> None:
    """A certificate and its grade that are both there are right."""
    found = compared(Service({"ada": [credential()]}, {"ada": [status_of()]}), certificate(), grade())
    assert standings(found) == {("certificate", "right"): 1, ("grade", "right"): 1}
    assert found.is_right


def test_a_certificate_that_is_not_there_is_missing() -> None:
    """Another run's certificate, and one that cannot be read, stand for nothing."""
    rows = [credential(OTHER, status="revoked"), {"credential": "nonsense"}]
    found = compared(Service({"ada": rows}), certificate())
    assert standings(found) == {("certificate", "missing"): 1}
    assert [str(finding.standing) for finding in found.findings] == ["missing"]


def test_a_field_that_differs_is_named() -> None:
    """The finding names the field, and neither its values nor the learner."""
    found = compared(Service({"ada": [credential(status="revoked")]}), certificate())
    assert found.findings[0].reason == "status"
    assert "'ada'" not in str(found.as_dict())


def test_a_grade_without_a_visible_certificate_is_unreadable() -> None:
    """It is neither right nor wrong, and the reason is counted."""
    found = compared(Service({"ada": [credential()]}), certificate(), grade())
    assert standings(found)["grade", "unreadable"] == 1
    assert found.is_right
    assert sum(found.unreadable.values()) == 1


def test_a_visible_certificate_without_its_grade_lacks_it() -> None:
    """Where the certificate shows and no grade stands beside it, the grade is missing."""
    found = compared(Service({"ada": [credential()]}, {"ada": [status_of(letter=None)]}), certificate(), grade())
    assert standings(found)["grade", "missing"] == 1


def test_what_the_service_could_not_hold_is_impossible() -> None:
    """A letter of 300 characters is wrong in the source, whatever the service holds."""
    service = Service({"ada": [credential()]}, {"ada": [status_of()]})
    found = compared(service, certificate(), grade(letter="B" * 300))
    assert standings(found)["grade", "impossible"] == 1
    assert not found.is_right


def test_what_the_source_knows_nothing_of_is_extra() -> None:
    """An awarded certificate and a grade that the source lacks are extra, each once; a revoked one is not."""
    service = Service(
        {"ada": [credential(), credential(OTHER), credential("course-v1:X+Y+3", status="revoked")]},
        {"ada": [status_of(), status_of(OTHER)]},
    )
    found = compared(service, certificate(), grade())
    assert {finding.key for finding in found.findings} == {("certificate", 7, OTHER), ("grade", 7, OTHER)}
    assert {finding.standing for finding in found.findings} == {Standing.EXTRA}


def test_an_extra_is_found_once_though_its_learner_comes_again() -> None:
    """A learner on two pages is asked about once, and what is extra counts once."""
    service = Service({"ada": [credential(), credential("course-v1:X+Y+3"), credential(OTHER)]})
    found = compared(service, certificate(), certificate(run=OTHER), page_size=1)
    assert found.total(Standing.EXTRA) == 1
    assert service.asked == ["ada"]


@pytest.mark.parametrize(
    ("selection", "planner"),
    [
        (Selection(course_runs=[RUN]), {}),
        (Selection(orgs=["X"]), {"site": SiteOrgs("X")}),
    ],
)
def test_what_is_not_selected_is_not_extra(selection: Selection, planner: dict[str, Any]) -> None:
    """Certificates of other runs, organisations or sites, and of no course run at all, are not this comparison's."""
    program = {"credential": {"program_uuid": PROGRAM}, "status": "awarded"}
    service = Service({"ada": [credential(), credential("course-v1:Q+Y+Z"), program]})
    assert compared(service, certificate(), selection=selection, planner=planner).is_right


def test_a_certificate_outside_the_window_may_contradict_the_service() -> None:
    """The service shows it, the source has revoked it, and no page of the window holds it: extra."""
    service = Service({"ada": [credential(), credential(OTHER)]})
    revoked = evolve(certificate(run=OTHER, status="notpassing"), modified_date=datetime(2025, 1, 1, tzinfo=UTC))
    found = compared(service, certificate(), revoked, selection=Selection(start=MAY))
    assert [finding.reason for finding in found.findings] == ["the source's certificate is notpassing"]


@pytest.mark.parametrize("status", ["downloadable", "notpassing"])
def test_a_certificate_with_a_page_of_its_own_is_compared_there(status: str) -> None:
    """What another page compares is not extra on this one."""
    rows = [credential(), credential(OTHER, status="awarded" if status == "downloadable" else "revoked")]
    found = compared(Service({"ada": rows}), certificate(), certificate(run=OTHER, status=status), page_size=1)
    assert standings(found) == {("certificate", "right"): 2}


def test_a_certificate_compared_later_is_not_extra_now() -> None:
    """Shown by the service and revoked in the source, it is different, once."""
    service = Service({"ada": [credential(), credential(OTHER)]})
    found = compared(service, certificate(), certificate(run=OTHER, status="notpassing"), page_size=1)
    assert standings(found) == {("certificate", "right"): 1, ("certificate", "different"): 1}


def test_programs_are_compared() -> None:
    """An award that is not there is missing; a revocation of what was never awarded is right."""
    planner = {"notify_programs": True, "revoke_program_certs": True}
    rows = [credential(), credential(username="grace", status="revoked")]
    service = Service({"ada": rows[:1], "grace": rows[1:]})
    found = compared(service, certificate(), certificate(GRACE, status="notpassing"), planner=planner)
    assert standings(found)["program", "missing"] == standings(found)["program", "right"] == 1


def test_records_that_need_not_be_there_are_accounted_for() -> None:
    """What a rule objects to and what is not there yet is kept back, by reason."""
    nobody = Learner(id=9, username=None)
    found = compared(Service(), certificate(nobody), grade())
    assert {reason for _, _, reason in found.kept_back} == {"learner_not_visible", "certificate_not_visible"}
    assert standings(found) == {}


def test_what_a_rule_objects_to_is_kept_back() -> None:
    """A grade that the service need not know is counted with its reason, and not asked about."""
    found = compared(Service(), certificate(status="error"), grade())
    assert found.kept_back["grade", "skipped", "not_interesting"] == 1
    assert found.unaccounted == 0


def test_one_learner_who_cannot_be_read_is_unreadable() -> None:
    """The service chokes on one learner: his records are unreadable, and the comparison goes on."""
    service = Service({"grace": [credential(username="grace")]}, chokes_on={"ada"})
    found = compared(service, certificate(), certificate(GRACE))
    assert standings(found) == {("certificate", "unreadable"): 1, ("certificate", "right"): 1}
    (reason,) = found.unreadable
    assert reason.startswith("the service does not answer for the learner: ")
    assert len(reason) > len("the service does not answer for the learner: ")
    assert found.stopped is None


def test_a_service_that_is_away_ends_it() -> None:
    """After two learners in vain nobody else is asked about."""
    learners = [Learner(id=number, username=f"name-{number}") for number in range(1, 5)]
    service = Service(chokes_on={f"name-{number}" for number in range(1, 5)})
    found = compared(service, *map(certificate, learners))
    assert found.stopped is not None
    assert (found.stopped.reason, len(service.asked)) == ("the service is away", 2)
    assert standings(found) == {("certificate", "unreadable"): 4}


def test_a_source_that_goes_away_ends_it() -> None:
    """What was found until then stands, and the reason is given."""

    class Broken:
        def find_learners(self, user_ids: Collection[int]) -> Mapping[int, Learner]:
            raise AdapterError("the database is away")

    platform = platform_of(certificate(), grade())
    planner = evolve(planner_for(platform), learners=Broken())
    found = verify(platform, Selection(), planner=planner, reader=Service())
    assert found.stopped is not None
    assert found.stopped.reason == "the database is away"


def test_it_ends_when_asked() -> None:
    """Before the next page somebody may say that it is enough."""
    found = compared(Service(), certificate(), options=RunOptions(should_stop=lambda: True))
    assert found.stopped is not None
    assert found.stopped.reason == "interrupted"
    assert found.as_dict()["stopped"] == found.stopped.as_dict()


def test_what_is_shown_of_a_learner_without_records_is_extra() -> None:
    """A learner whom the selection names is asked about, though the source has nothing of him; nobody else is."""
    service = Service({"ada": [credential()], "grace": [credential(username="grace")]}, {"ada": [status_of()]})
    named = compared(service, certificate(GRACE), selection=Selection(user_ids=[7, 8, 9]))
    assert standings(named) == {("certificate", "right"): 1, ("certificate", "extra"): 1, ("grade", "extra"): 1}
    assert service.asked.count("grace") == 2  # for her certificate, and for grades that nobody expects
    assert standings(compared(service, certificate(GRACE))) == {("certificate", "right"): 1}


def test_a_learner_without_records_who_cannot_be_read_is_not_called_right() -> None:
    """A service that says nothing of learners without records ends the comparison, and says why."""
    found = compared(Service(chokes_on={"ada", "grace"}), selection=Selection(user_ids=[7, 8]))
    assert found.stopped is not None
    assert (found.stopped.reason, found.stopped.stage) == ("the service is away", "learners")


def test_progress_is_told_after_each_page() -> None:
    """What was found so far is given out page by page."""
    seen: list[int] = []
    compared(
        Service(),
        certificate(),
        certificate(run=OTHER),
        page_size=1,
        on_progress=lambda so_far: seen.append(so_far.total(Standing.MISSING)),
    )
    assert seen[-2:] == [1, 2]


def test_a_repair_sends_what_is_wrong() -> None:
    """The missing and the different go out; the ledger learns of these, and of no others."""
    service = Service({"ada": [credential(), credential(OTHER, status="revoked")]})
    sink, ledger = MemorySink(), MemoryLedger()
    records = [certificate(), certificate(run=OTHER), certificate(GRACE)]
    found = compared(service, *records, repairer=Courier(sink, ledger, force=True, again=True))
    sent = [update.key for update in sink.history]
    assert sent == [("certificate", 7, OTHER), ("certificate", 8, RUN)]
    assert found.repair is not None
    assert found.repair.total("sent") == 2
    assert ledger.look_up(dict.fromkeys(sent)).entries.keys() == set(sent)


@pytest.mark.parametrize("ledger", [None, MemoryLedger()])
def test_a_sink_that_is_away_ends_a_repair(ledger: MemoryLedger | None) -> None:
    """The repair stops with the sink's reason, its updates deferred."""

    class Closed:
        def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
            raise SinkUnavailableError("the sink is away")

    found = compared(Service(), certificate(), repairer=Courier(Closed(), ledger, force=True))
    assert found.stopped is not None
    assert found.stopped.reason == "the sink is away"
    assert found.repair is not None
    assert found.repair.total("deferred") == 1


def test_a_ledger_that_cannot_close_a_repair_takes_nothing_from_what_was_found() -> None:
    """What was found and mended is told, and so is that the ledger could not be closed."""

    class Jammed(MemoryLedger):
        @override
        def finish(self, status: str, at: datetime, reason: str | None = None) -> None:
            raise AdapterError("the disk is full")

    found = compared(Service(), certificate(), repairer=Courier(MemorySink(), Jammed(), force=True))
    assert found.stopped is not None
    assert (found.stopped.reason, found.stopped.stage) == ("the disk is full", "end")
    assert found.repair is not None
    assert found.repair.total("sent") == 1


def test_a_repair_is_written_down_with_what_it_read() -> None:
    """The ledger's account of a repair adds up, as a run's does."""
    pages: list[PageRecord] = []

    class Watched(MemoryLedger):
        @override
        def record(self, page: PageRecord) -> None:
            pages.append(page)
            super().record(page)

    compared(Service(), certificate(), repairer=Courier(MemorySink(), Watched(), force=True))
    assert [(page.read, sum(page.counts.values())) for page in pages] == [({"certificate": 1}, 1)]


def test_a_named_learner_who_cannot_be_asked_about_is_told() -> None:
    """Whether a learner's grades are extra is unknown where the service does not tell them, and is not called right."""

    class HalfMute(Service):
        @override
        def find_statuses(self, username: str) -> Collection[Mapping[str, Any]]:
            raise AdapterError("only for staff")

    found = compared(HalfMute(), selection=Selection(user_ids=[7]))
    assert found.stopped is None
    assert sum(found.unreadable.values()) == 1


def test_findings_are_kept_up_to_a_bound() -> None:
    """Memory holds the first findings in full; the account has them all."""
    learners = [Learner(id=number, username=f"name-{number}") for number in range(1, KEPT_FINDINGS + 11)]
    found = compared(Service(), *map(certificate, learners))
    assert (len(found.findings), found.total(Standing.MISSING)) == (KEPT_FINDINGS, KEPT_FINDINGS + 10)
