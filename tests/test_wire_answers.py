"""Answers of the Credentials API become outcomes, or what to do before there can be one."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from credsync.updates import (
    CertificateUpdate,
    Deferred,
    Delivered,
    GradeUpdate,
    ProgramAward,
    ProgramRevocation,
    Rejected,
    Update,
)
from credsync.wire import (
    MAX_PAUSE,
    MAX_TRIES,
    Decision,
    Pause,
    RenewToken,
    Retry,
    StopRun,
    decode_response,
    find_differences,
)

RUN = "course-v1:TestX+C1+R1"
UUID = "6883080f-0000-4000-8000-000000000001"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PASSED = datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))

GRADE = GradeUpdate(user_id=7, username="ada", course_run=RUN, letter_grade="B", percent_grade=0.91, source_time=PASSED)
CERTIFICATE = CertificateUpdate(user_id=7, username="ada", course_run=RUN, mode="verified", status="downloadable")
AWARD = ProgramAward(user_id=7, username="ada", program_uuid=UUID)
REVOCATION = ProgramRevocation(user_id=7, username="ada", program_uuid=UUID)

GRADE_ROW: dict[str, object] = {
    "id": 41,
    "username": "ada",
    "course_run": RUN,
    "letter_grade": "B",
    "percent_grade": "0.9100",
    "verified": True,
    "lms_last_updated_at": "2024-05-01T10:00:00Z",
    "created": "2026-11-22T12:31:16Z",
    "modified": "2026-11-22T12:31:16Z",
}
CERTIFICATE_ROW: dict[str, object] = {
    "username": "ada",
    "credential": {"type": "course-run", "course_run_key": RUN, "mode": "honor"},
    "status": "awarded",
    "uuid": "3606a1d2-0000-4000-8000-000000000001",
    "attributes": [],
    "date_override": None,
}
PROGRAM_ROW: dict[str, object] = {
    **CERTIFICATE_ROW,
    "credential": {"type": "program", "credential_id": 1, "program_uuid": UUID},
    "attributes": [{"name": "visible_date", "value": "2024-05-01T10:00:00Z"}],
}

OUTAGE = {"detail": "[edx-drf-extensions] User retrieval failed for username svc."}
DENIED = {"detail": "You do not have permission to perform this action."}
THROTTLED = {"detail": "Request was throttled. Expected available in 59 seconds."}
PAGE_500 = b"<!doctype html><html><head><title>Server Error (500)</title></head><body><h1>Oops</h1></body></html>"
NO_RUN = {"course_run": [f"No CourseRun exists for key [{RUN}]"]}
NO_CATALOG_RUN = {
    "credential": {
        "course_run_key": f"CourseCertificate failed to create because the CourseRun {RUN} doesn't exist in the catalog"
    }
}
INACTIVE_RUN = {"credential": {"course_run_key": f"No active CourseCertificate exists for course run [{RUN}]"}}
INACTIVE_PROGRAM = {"credential": {"program_uuid": f"No active ProgramCertificate exists for program [{UUID}]"}}
RUN_MISSING = Deferred(reason="the service's catalog does not have the course run yet")


def answer(update: Update, status: int, content: object, headers: Mapping[str, str] | None = None) -> Decision:
    """Decode an answer whose content is written as JSON, unless it is bytes already."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return decode_response(update, status, headers or {}, body, now=NOW)


class TestAnswers:
    @pytest.mark.parametrize(
        ("update", "status", "content"),
        [
            (GRADE, 201, GRADE_ROW),
            (GRADE, 200, GRADE_ROW),
            (CERTIFICATE, 201, CERTIFICATE_ROW),
            (AWARD, 201, PROGRAM_ROW),
            (REVOCATION, 201, {**PROGRAM_ROW, "status": "revoked"}),
        ],
    )
    def test_success(self, update: Update, status: int, content: object) -> None:
        """A success that echoes what was sent is delivered."""
        assert answer(update, status, content) == Delivered()

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            json.dumps(GRADE_ROW).encode()[:40],
            b"<p>Sign in</p>",
            {},
            [],
            "ok",
            None,
            {"username": "ada"},
            {"course_run": RUN},
        ],
    )
    def test_success_without_its_row(self, content: object) -> None:
        """A success whose row is cut off or missing proves nothing, and the update goes out again."""
        decision = answer(GRADE, 201, content)
        assert decision == Retry(otherwise=Deferred(reason="the service answered 201 without the row it stored"))

    def test_success_that_stored_something_else(self) -> None:
        """A row other than what was sent is no delivery; if it stays so, it is a rejection that names fields alone."""
        decision = answer(GRADE, 201, {**GRADE_ROW, "letter_grade": "C", "percent_grade": "0.5000"})
        reason = "the service stored something else as letter_grade, percent_grade"
        assert decision == Retry(otherwise=Rejected(reason=reason, status=201), tries=MAX_TRIES)

    @pytest.mark.parametrize(
        ("update", "content", "decision"),
        [
            (GRADE, NO_RUN, RUN_MISSING),
            (CERTIFICATE, NO_CATALOG_RUN, RUN_MISSING),
            (
                CERTIFICATE,
                INACTIVE_RUN,
                Deferred(reason="the course run has no active certificate configuration on the service"),
            ),
            (
                AWARD,
                INACTIVE_PROGRAM,
                Deferred(reason="the program has no active certificate configuration on the service"),
            ),
            (
                GRADE,
                {"percent_grade": ["Ensure that there are no more than 4 decimal places."]},
                Rejected(reason="percent_grade: Ensure that there are no more than 4 decimal places.", status=400),
            ),
            (
                CERTIFICATE,
                {"credential": ["Credential identifier is missing."]},
                Rejected(reason="credential: Credential identifier is missing.", status=400),
            ),
            (GRADE, {"detail": "JSON parse error - x"}, Rejected(reason="JSON parse error - x", status=400)),
            (
                GRADE,
                {**NO_RUN, "username": ["ada is too long."]},
                Rejected(
                    reason=f"course_run: No CourseRun exists for key [{RUN}]; username: *** is too long.", status=400
                ),
            ),
        ],
    )
    def test_refusal(self, update: Update, content: object, decision: Decision) -> None:
        """A refused value is final; what is not set up yet is not, unless a value is refused beside it."""
        assert answer(update, 400, content) == decision

    @pytest.mark.parametrize("content", [b"<h1>Bad Request (400)</h1>", b"", "Bad Request", {}])
    def test_refusal_that_is_not_the_apis(self, content: object) -> None:
        """A 400 that names no field, as for an unknown host name, would meet every update, and stops the run."""
        decision = answer(GRADE, 400, content)
        assert isinstance(decision, StopRun)
        assert (decision.status, "host name" in decision.reason) == (400, True)

    def test_database_outage_is_no_bad_token(self) -> None:
        """The 401 of a database that is away is waited out for as long as the sink has patience."""
        reason = "the service's database is away (401: User retrieval failed)"
        assert answer(GRADE, 401, OUTAGE) == Retry(otherwise=Deferred(reason=reason))

    @pytest.mark.parametrize("text", ["Invalid token.", "Authentication credentials were not provided."])
    def test_bad_token(self, text: str) -> None:
        """Any other 401 takes a new token once, and then stops the run."""
        stop = StopRun(reason=f"the token was refused: {text}", status=401)
        assert answer(GRADE, 401, {"detail": text}) == RenewToken(otherwise=stop)

    @pytest.mark.parametrize(
        ("status", "content", "hint"),
        [
            (403, DENIED, "permission"),
            (301, b"", "redirected"),
            (302, b"", "redirected"),
            (308, b"", "redirected"),
            (404, b"<h1>Not Found</h1>", "base URL"),
            (405, {"detail": 'Method "GET" not allowed.'}, "redirect was followed"),
            (406, b"", "Accept"),
            (415, {"detail": 'Unsupported media type "text/plain" in request.'}, "Content-Type"),
            (407, b"", "proxy"),
            (100, b"", "proxy"),
        ],
    )
    def test_answers_that_stop_the_run(self, status: int, content: object, hint: str) -> None:
        """What every other update would meet as well stops the run, with a hint for the one who mends it."""
        decision = answer(GRADE, status, content)
        assert isinstance(decision, StopRun)
        assert (decision.status, hint in decision.reason) == (status, True)

    @pytest.mark.parametrize(
        ("asked", "seconds"),
        [
            ("59", 59.0),
            (" 59 ", 59.0),
            ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
            ("Sun, 22 Nov 2026 12:00:30 -0000", 30.0),
            ("Sun, 22 Nov 2026 14:00:30 +0200", 30.0),
            ("Sun, 22 Nov 2026 11:00:00 GMT", 1.0),
            ("0", 1.0),
            ("86400", MAX_PAUSE),
            ("9" * 5000, MAX_PAUSE),
            ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_PAUSE),
            ("soon", 60.0),
            ("-5", 60.0),
            ("", 60.0),
        ],
    )
    def test_throttle(self, asked: str, seconds: float) -> None:
        """A 429 pauses its endpoint for what Retry-After says, within bounds, or for the throttle's whole window."""
        later = Deferred(reason="throttled", retry_after=seconds)
        for update, endpoint in ((GRADE, "grades"), (AWARD, "credentials")):
            decision = answer(update, 429, THROTTLED, {"Content-Type": "application/json", "retry-AFTER": asked})
            assert decision == Pause(endpoint=endpoint, seconds=seconds, otherwise=later)  # type: ignore[arg-type]  # one of the two

    @pytest.mark.parametrize("update", [GRADE, CERTIFICATE])
    def test_server_error(self, update: Update) -> None:
        """A 500 is tried so many times, and then a dead letter."""
        rejected = Rejected(reason="the service failed: Server Error (500)", status=500)
        assert answer(update, 500, PAGE_500) == Retry(otherwise=rejected, tries=MAX_TRIES)

    @pytest.mark.parametrize("update", [AWARD, REVOCATION])
    def test_server_error_over_a_program(self, update: Update) -> None:
        """A 500 over a program is most likely a learner unknown to the service, and waits until they are known."""
        decision = answer(update, 500, PAGE_500)
        assert isinstance(decision, Retry)
        assert isinstance(decision.otherwise, Deferred)
        assert (decision.tries, "never met the learner" in decision.otherwise.reason) == (MAX_TRIES, True)

    @pytest.mark.parametrize("status", [408, 425, 502, 503, 504, 520])
    def test_gateway_trouble(self, status: int) -> None:
        """What a gateway answers for a service that is away is waited out, and never a rejection."""
        decision = answer(GRADE, status, b"<h1>Try later</h1>")
        assert decision == Retry(otherwise=Deferred(reason=f"the service answered {status}: Try later"))

    def test_gateway_that_says_when(self) -> None:
        """A gateway's Retry-After pauses the endpoint as a throttle does."""
        later = Deferred(reason="the service answered 503: no reason given", retry_after=120.0)
        decision = answer(GRADE, 503, b"", {"Retry-After": "120"})
        assert decision == Pause(endpoint="grades", seconds=120.0, otherwise=later)

    @given(
        st.sampled_from([GRADE, CERTIFICATE, AWARD]),
        st.text("qxzQXZ", min_size=3, max_size=20),
        st.sampled_from(['{"%s": {"a": ["b %s"]}}', '["x%sx %s"]', "<p>%s</p>%s", "<title>%s%s", "%s in %s"]),
        st.sampled_from([201, 302, 400, 401, 403, 429, 500, 503]),
    )
    def test_no_username_in_a_reason(self, update: Update, username: str, body: str, status: int) -> None:
        """Wherever an answer repeats the username, no decision does."""
        content = (body % (username, username)).encode()
        assert username not in repr(answer(evolve(update, username=username), status, content))

    @given(st.sampled_from([GRADE, CERTIFICATE, AWARD]), st.integers(100, 599), st.text(), st.binary())
    def test_every_answer_has_a_meaning(self, update: Update, status: int, asked: str, body: bytes) -> None:
        """Whatever comes back, there is a decision about it, and only an echoed row is a delivery."""
        assert not isinstance(answer(update, status, body, {"Retry-After": asked}), Delivered)


class TestRows:
    @pytest.mark.parametrize(
        ("update", "row", "fields"),
        [
            (GRADE, GRADE_ROW, ()),
            (GRADE, {"percent_grade": 0.91, "letter_grade": "B"}, ()),
            (GRADE, {**GRADE_ROW, "lms_last_updated_at": "2024-05-01T12:00:00+02:00"}, ()),
            (GRADE, {**GRADE_ROW, "username": "Ada", "course_run": RUN.lower()}, ("username", "course_run")),
            (GRADE, {**GRADE_ROW, "percent_grade": "0.9101"}, ("percent_grade",)),
            (GRADE, {**GRADE_ROW, "percent_grade": None, "verified": False}, ("percent_grade", "verified")),
            (GRADE, {**GRADE_ROW, "lms_last_updated_at": "2024-05-01T10:00:02Z"}, ("lms_last_updated_at",)),
            (GRADE, {**GRADE_ROW, "lms_last_updated_at": "2024-05-01T10:00:00"}, ("lms_last_updated_at",)),
            (GRADE, {**GRADE_ROW, "lms_last_updated_at": "1-01-01T00:00:00Z"}, ("lms_last_updated_at",)),
            (GRADE, {**GRADE_ROW, "lms_last_updated_at": None}, ("lms_last_updated_at",)),
            (evolve(GRADE, source_time=None), GRADE_ROW, ("lms_last_updated_at",)),
            (evolve(GRADE, source_time=None), {**GRADE_ROW, "lms_last_updated_at": None}, ()),
            (CERTIFICATE, {**CERTIFICATE_ROW, "status": "revoked"}, ("status",)),
            (CERTIFICATE, {**CERTIFICATE_ROW, "credential": PROGRAM_ROW["credential"]}, ("credential",)),
            (CERTIFICATE, {**CERTIFICATE_ROW, "credential": "course-run"}, ("credential",)),
            (CERTIFICATE, {**CERTIFICATE_ROW, "date_override": {"date": "2024-05-01T10:00:00Z"}}, ("date_override",)),
            (evolve(CERTIFICATE, date_override=PASSED), CERTIFICATE_ROW, ("date_override",)),
            (
                evolve(CERTIFICATE, date_override=PASSED),
                {**CERTIFICATE_ROW, "date_override": {"date": "2024-05-01T10:00:00Z"}},
                (),
            ),
            (AWARD, {**PROGRAM_ROW, "credential": {"program_uuid": UUID.replace("1", "2")}}, ("credential",)),
        ],
    )
    def test_differences(self, update: Update, row: Mapping[str, object], fields: tuple[str, ...]) -> None:
        """A row differs in the fields that were sent and stand otherwise in it, times to the second."""
        assert find_differences(update, row) == fields
