"""The job from start to report: what is refused at once, what the arguments do, one grade, and the preview."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import pytest
from attrs import define, evolve, frozen

from credsync.adapters.memory import MemoryLedger, MemoryPlatform, MemorySink
from credsync.catalog import Program
from credsync.errors import ConfigurationError, InvalidRecordError, SinkUnavailableError, SourceError
from credsync.model import Learner
from credsync.notify import log_dry_run, notify, send_grade_if_interesting, send_notifications
from credsync.paging import Cursor, Page
from credsync.ports import Host, RecordKey, SiteConfiguration
from credsync.report import Report
from credsync.selection import Selection
from credsync.updates import Delivered, GradeUpdate, UpdateKey
from tests.campus_builders import (
    ADVANCED,
    ELSEWHERE,
    FRESH,
    INTRO,
    NOW,
    OLD,
    OPTIONS,
    OTHER_PROGRAM,
    PROGRAMS,
    STRAY,
    Platform,
    ScriptedSink,
    cert,
    grade,
    host_of,
    learner,
    platform_of,
)


class Untouchable:
    """A source that must not be read."""

    def fetch(self, after: Cursor | None, limit: int) -> Page[Any]:
        """Fail the test."""
        raise AssertionError("a record was read")

    def certificates(self, selection: Selection) -> Untouchable:
        """Fail the test."""
        raise AssertionError("the source was asked")

    def grades(self, selection: Selection) -> Untouchable:
        """Fail the test."""
        raise AssertionError("the source was asked")


@define
class Catalog:
    """A catalog that counts how often it is read, and may not be able to answer."""

    fails: bool = False
    reads: int = 0

    def programs(self) -> Sequence[Program]:
        """Return the campus's programs, or fail."""
        self.reads += 1
        if self.fails:
            raise SourceError("the catalog is down")
        return PROGRAMS


class Start(Protocol):
    """Starts a run over what must not be read."""

    def __call__(self, *, host: Host, **arguments: Any) -> Report:
        """Start it."""


def _start_with_records(*, host: Host, **arguments: Any) -> Report:
    return send_notifications(Untouchable(), Untouchable(), host=host, **arguments)


def _start_with_a_source(*, host: Host, **arguments: Any) -> Report:
    return notify(Untouchable(), Selection(), host=host, **arguments)


@pytest.mark.parametrize("start", [_start_with_records, _start_with_a_source])
class TestRefusals:
    @pytest.mark.parametrize("port", ["catalog", "sink", "learners", "certificates", "grades"])
    def test_come_of_a_port_that_is_missing(self, start: Start, port: str) -> None:
        """A host that lacks what a run needs is told which, before anything is read."""
        missing: dict[str, Any] = {port: None}
        with pytest.raises(ConfigurationError, match=rf"the host has no {port}: pass Host\({port}=…\)"):
            start(host=evolve(host_of(Platform()), **missing))

    def test_come_of_an_empty_catalog(self, start: Start) -> None:
        """A catalog that came back empty would make every grade a silent skip."""
        with pytest.raises(ConfigurationError, match="catalog is empty"):
            start(host=host_of(Platform(), programs=[]))

    def test_come_of_a_catalog_that_cannot_answer(self, start: Start) -> None:
        """Without a catalog nothing is known, and nothing is sent."""
        with pytest.raises(SourceError, match="the catalog is down"):
            start(host=evolve(host_of(Platform()), catalog=Catalog(fails=True)))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"page_size": 0}, "page size 0"),
            ({"page_size": -1}, "page size -1"),
            ({"delay": -0.1}, "delay -0.1"),
            ({"delay": math.inf}, "delay inf"),
            ({"delay": math.nan}, "delay nan"),
        ],
    )
    def test_come_of_pages_that_make_no_sense(self, start: Start, arguments: dict[str, Any], message: str) -> None:
        """A page holds a record at least, and a pause ends."""
        with pytest.raises(ConfigurationError, match=message):
            start(host=host_of(Platform()), **arguments)


class TestArguments:
    def test_take_no_site_that_knows_no_orgs(self) -> None:
        """What is neither a site configuration nor organisations is refused before the first record."""
        no_site: Any = 5
        with pytest.raises(ConfigurationError, match="a int is no site configuration"):
            send_notifications([], [], no_site, host=host_of(MemoryPlatform()))

    @define
    class Site:
        """A host's own site configuration."""

        org: str

        def has_org(self, org: str) -> bool:
            """Whether it is the one."""
            return org == self.org

    @pytest.mark.parametrize(
        ("site", "sent"),
        [
            (None, 4),
            ("OtherX", 2),
            (["OtherX"], 2),
            (("OtherX", "DemoX"), 4),
            (iter(["OtherX"]), 2),
            ([], 0),
            ("Other", 0),
            (Site("OtherX"), 2),
        ],
        ids=repr,
    )
    def test_name_a_site(self, site: SiteConfiguration | str | Iterable[str] | None, sent: int) -> None:
        """A site is a host's object, an organisation or several; certificates and grades of others are skipped."""
        records = [cert(), cert(run=ELSEWHERE)]
        host = host_of(platform_of(*records))
        report = send_notifications(records, [grade(), grade(run=ELSEWHERE)], site, host=host, options=OPTIONS)
        assert (report.total("sent"), report.total("skipped", reason="other_site")) == (sent, 4 - sent)

    def test_bring_programs_in(self) -> None:
        """Programs are spoken of where that is asked for, revocations only with both switches on."""
        records = [cert(run=ELSEWHERE), cert(2, run=ELSEWHERE, status="notpassing")]
        said = {}
        for awards, revocations in ((False, True), (True, False), (True, True)):
            sink = MemorySink()
            send_notifications(
                records,
                [],
                notify_programs=awards,
                revoke_program_certs=revocations,
                host=host_of(Platform(), sink),
                options=OPTIONS,
            )
            said[awards, revocations] = [key for key in sink.state if key.kind == "program"]
        award, revocation = (UpdateKey("program", user_id, OTHER_PROGRAM) for user_id in (1, 2))
        assert said == {(False, True): [], (True, False): [award], (True, True): [award, revocation]}

    def test_leave_programs_out(self) -> None:
        """An excluded program is neither awarded nor revoked."""
        records = [cert(run=ELSEWHERE), cert(2, run=ELSEWHERE, status="notpassing")]
        report = send_notifications(
            records,
            [],
            notify_programs=True,
            revoke_program_certs=True,
            host=host_of(Platform()),
            options=evolve(OPTIONS, excluded_programs=[OTHER_PROGRAM]),
        )
        assert Counter(report.read) == Counter(certificate=2)

    def test_are_those_of_the_reference_in_its_order(self) -> None:
        """A call that a host has written for the reference means here what it meant there."""
        sink = MemorySink()
        host = host_of(Platform(), sink)
        pauses: list[float] = []
        options = evolve(OPTIONS, sleep=pauses.append)
        passing, failing = cert(run=ELSEWHERE), cert(2, run=ELSEWHERE, status="notpassing")
        send_notifications(
            [passing, failing, cert()], [], "OtherX", 0.5, 1, False, True, True, host=host, options=options
        )
        assert [key.kind for key in sink.state] == ["certificate", "program", "certificate", "program"]
        assert pauses == [0.5, 0.5]

    def test_let_an_empty_catalog_pass_on_purpose(self) -> None:
        """Who says that empty is meant gets every grade skipped, and every certificate sent."""
        host = host_of(platform_of(cert()), programs=[])
        options = evolve(OPTIONS, allow_empty_catalog=True)
        report = send_notifications([cert()], [grade()], host=host, options=options)
        assert (report.total("sent", "certificate"), report.reasons("skipped")) == (1, {"not_in_a_program": 1})

    def test_have_the_catalog_read_once(self) -> None:
        """However many records there are, the programs are asked for once a run."""
        catalog = Catalog()
        platform = platform_of(*(cert(user_id) for user_id in range(9)))
        grades = [grade(user_id) for user_id in range(9)]
        report = send_notifications([], grades, page_size=2, host=evolve(host_of(platform), catalog=catalog))
        assert (report.total("sent"), catalog.reads) == (9, 1)

    def test_select_from_a_source(self) -> None:
        """A selection says which of the certificates and grades are read."""
        platform = platform_of(cert(1), cert(2, run=ADVANCED), grade(1), grade(2, run=ADVANCED), grade(1, modified=OLD))
        sink = MemorySink()
        selection = Selection(start=FRESH, end=NOW, course_runs=[ADVANCED])
        notify(platform, selection, host=host_of(platform, sink), options=OPTIONS)
        assert list(sink.state) == [("certificate", 2, ADVANCED), ("grade", 2, ADVANCED)]

    def test_take_rows_as_a_host_has_them(self) -> None:
        """A host's own objects will do, unconverted, with keys as text or parsed."""

        @frozen
        class GeneratedCertificate:
            user: Learner
            course_id: str = INTRO
            mode: str = "verified"
            status: str = "downloadable"

        @frozen
        class PersistentCourseGrade:
            user_id: int
            course_id: object
            letter_grade: str | None = None
            percent_grade: float = 0.0
            modified: object = OLD

        rows: Any = [GeneratedCertificate(learner())]
        grades: Any = [PersistentCourseGrade(1, cert().course_id)]
        sink = MemorySink()
        report = send_notifications(rows, grades, host=host_of(platform_of(cert(), grade()), sink), options=OPTIONS)
        assert report.total("sent") == 2


class TestOneGrade:
    def send(self, platform: Platform, sink: ScriptedSink, *arguments: Any, **changes: Any) -> Report:
        """Send the first learner's grade."""
        return send_grade_if_interesting(
            learner(), INTRO, *arguments, host=host_of(platform, sink, **changes), options=OPTIONS
        )

    def test_goes_out_as_it_is_given(self) -> None:
        """Who knows everything has nothing looked up."""
        platform, sink = Platform(), ScriptedSink()
        report = self.send(platform, sink, "verified", "downloadable", "A", 0.97, FRESH)
        assert sink.handed == [
            GradeUpdate(
                user_id=1,
                username=learner().username or "",
                course_run=INTRO,
                letter_grade="A",
                percent_grade=0.97,
                source_time=FRESH,
            )
        ]
        assert (Counter(report.read), report.total("sent"), platform.asked) == (Counter(grade=1), 1, [])

    @pytest.mark.parametrize(("mode", "status"), [(None, "downloadable"), ("audit", None), (None, None)])
    def test_takes_mode_and_status_from_the_certificate(self, mode: str | None, status: str | None) -> None:
        """If one of the two is missing, both are looked up."""
        platform, sink = platform_of(cert()), ScriptedSink()
        self.send(platform, sink, mode, status, "A", 0.97, FRESH)
        assert (len(sink.handed), platform.kinds_asked) == (1, ["certificates"])

    @pytest.mark.parametrize(
        ("letter", "percent", "modified"), [(None, 0.97, FRESH), ("A", None, FRESH), ("A", 0.97, None)]
    )
    def test_takes_what_is_missing_from_the_store(self, letter: Any, percent: Any, modified: Any) -> None:
        """If letter, percentage or time is missing, all three are looked up."""
        platform, sink = platform_of(grade()), ScriptedSink()
        self.send(platform, sink, "verified", "downloadable", letter, percent, modified)
        (update,) = sink.handed
        assert isinstance(update, GradeUpdate)
        assert (update.letter_grade, update.percent_grade, update.source_time) == ("B", 0.85, FRESH)
        assert platform.kinds_asked == ["grades"]

    def test_is_not_sent_where_a_rule_objects(self) -> None:
        """The report says which one did."""
        sink = ScriptedSink()
        report = self.send(Platform(), sink, "audit", "downloadable", "A", 0.97, FRESH)
        assert (report.reasons("skipped"), sink.batches) == ({"not_interesting": 1}, [])

    def test_is_refused_where_it_cannot_be(self) -> None:
        """An argument that makes no grade is an error at once."""
        with pytest.raises(InvalidRecordError, match="is outside 0 to 1"):
            self.send(Platform(), ScriptedSink(), "verified", "downloadable", "A", 1.2, FRESH)
        with pytest.raises(InvalidRecordError, match="mode"):
            self.send(Platform(), ScriptedSink(), 5, "downloadable", "A", 0.9, FRESH)

    def test_needs_the_ports_of_a_run(self) -> None:
        """But for those it brings the answers to."""
        host = evolve(host_of(Platform()), certificates=None, learners=None)
        with pytest.raises(ConfigurationError, match="the host has no certificates"):
            send_grade_if_interesting(learner(), INTRO, None, None, "A", 0.9, FRESH, host=host)
        report = send_grade_if_interesting(learner(), INTRO, "verified", "downloadable", "A", 0.9, FRESH, host=host)
        assert report.total("sent") == 1

    def test_leaves_alone_what_others_wait_for(self) -> None:
        """A call for one grade knows that one learner: what the ledger has put off is none of its business."""
        ledger, platform, sink = MemoryLedger(), platform_of(grade(2), cert(3)), ScriptedSink()
        sink.acts = [SinkUnavailableError("down")]
        host = host_of(platform, sink, ledger)
        send_notifications([cert(3)], [grade(2)], host=host, options=OPTIONS)
        waiting = dict(ledger.entries)
        report = self.send(platform, sink, "verified", "downloadable", "A", 0.97, FRESH, ledger=ledger)
        assert Counter(report.read) == Counter(grade=1)
        assert {key: ledger.entries[key] for key in waiting} == waiting
        again = self.send(platform, sink, "verified", "downloadable", "A", 0.97, FRESH, ledger=ledger)
        assert again.total("unchanged") == 1

    def test_is_logged_if_wanted(self, caplog: pytest.LogCaptureFixture) -> None:
        """Verbose says what became of it."""
        with caplog.at_level(logging.INFO, "credsync"):
            self.send(Platform(), ScriptedSink(), "verified", "downloadable", "A", 0.97, FRESH, True)
        assert caplog.messages == [f"grade in {INTRO} for user 1: sent"]


class TestPreview:
    @pytest.mark.parametrize("made", [list, iter], ids=["list", "generator"])
    def test_is_to_the_letter(self, made: Callable[[Any], Any], caplog: pytest.LogCaptureFixture) -> None:
        """A heading, the number of certificates, the first ten, how many more; then the same for grades."""
        certs = [cert(user_id) for user_id in range(1, 13)]
        grades = [grade(user_id, run=STRAY) for user_id in range(1, 11)]
        with caplog.at_level(logging.INFO, "credsync"):
            log_dry_run(made(certs), made(grades))
        heading, *lines = caplog.messages
        assert heading == "Dry run, nothing is sent. These are selected:"
        assert lines == [
            "12 Certificates:",
            *(f"\t{INTRO} for user {user_id}" for user_id in range(1, 11)),
            "(+ 2 more)",
            "10 Grades:",
            *(f"\t{STRAY} for user {user_id}" for user_id in range(1, 11)),
        ]
        assert {record.levelname for record in caplog.records} == {"INFO"}

    def test_says_that_nothing_is_selected(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing is nought of each."""
        with caplog.at_level(logging.INFO, "credsync"):
            log_dry_run([], [])
        assert caplog.messages[1:] == ["0 Certificates:", "0 Grades:"]

    def test_reads_a_page_source(self, caplog: pytest.LogCaptureFixture) -> None:
        """Whatever can be paged through can be previewed."""
        platform = platform_of(cert(run=ADVANCED), grade(2))
        with caplog.at_level(logging.INFO, "credsync"):
            log_dry_run(platform.certificates(Selection()), platform.grades(Selection()))
        assert caplog.messages[1:] == [
            "1 Certificates:",
            f"\t{ADVANCED} for user 1",
            "1 Grades:",
            f"\t{INTRO} for user 2",
        ]


class TestDryRun:
    def test_sends_nothing_and_tells_what_would_be_sent(self) -> None:
        """The rules are the real ones, and no sink is touched or needed."""
        sink = ScriptedSink([lambda updates: [Delivered()] * len(updates)])
        platform = platform_of(cert(), cert(2, status="error"))
        options = evolve(OPTIONS, dry_run=True)
        certs, grades = [cert(), cert(2, status="error")], [grade(), grade(2), grade(3)]
        for host in (host_of(platform, sink), evolve(host_of(platform), sink=None)):
            report = send_notifications(certs, grades, host=host, options=options)
            assert (report.total("sent"), report.total("skipped"), report.total("deferred")) == (3, 1, 1)
            assert report.dry_run
        assert sink.batches == []

    def test_finds_what_is_broken(self) -> None:
        """A record that cannot be sent fails in a dry run as it would in a real one."""
        broken: Any = [RecordKey(1, INTRO)]
        report = send_notifications(broken, [], host=host_of(Platform()), options=evolve(OPTIONS, dry_run=True))
        assert report.total("failed") == 1
