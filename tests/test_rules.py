"""The rules, fact by fact: why a record is not sent, or None."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credsync import rules
from credsync.model import CertificateStatus, CourseMode
from credsync.rules import SkipReason

RELEVANT_MODES = {
    "credit",
    "verified",
    "professional",
    "no-id-professional",
    "executive-education",
    "paid-executive-education",
    "paid-bootcamp",
    "masters",
}
INTERESTING_STATUSES = {"notpassing", "downloadable"}
UNKNOWN_SLUGS = ["honour", "Verified", "verified ", "bootcamp", ""]


class TestYesOrNo:
    @pytest.mark.parametrize(
        ("rule", "reason"),
        [
            (rules.check_site, SkipReason.OTHER_SITE),
            (rules.check_credentials, SkipReason.CREDENTIALS_DISABLED),
            (rules.check_learner_records, SkipReason.LEARNER_RECORDS_DISABLED),
            (rules.check_program, SkipReason.NOT_IN_A_PROGRAM),
        ],
    )
    def test_objects_to_a_no_and_to_nothing_else(self, rule: object, reason: SkipReason) -> None:
        """Each of these rules is one fact, and has one reason of its own."""
        assert callable(rule)
        assert rule(True) is None
        assert rule(False) is reason


class TestInterest:
    @pytest.mark.parametrize("mode", [*CourseMode, *UNKNOWN_SLUGS])
    @pytest.mark.parametrize("is_eligible", [True, False])
    def test_every_mode_with_every_status(self, mode: str, is_eligible: bool) -> None:
        """Of interest is an interesting status, in a mode that is relevant or eligible."""
        wanted = INTERESTING_STATUSES if mode in RELEVANT_MODES or is_eligible else set()
        statuses = [*map(str, CertificateStatus), *UNKNOWN_SLUGS]
        assert {status: rules.check_interest(mode, status, is_eligible) for status in statuses} == {
            status: None if status in wanted else SkipReason.NOT_INTERESTING for status in statuses
        }

    @pytest.mark.parametrize(
        ("mode", "is_eligible", "objection"),
        [
            ("audit", False, SkipReason.NOT_INTERESTING),
            ("verified", False, None),
            ("honor", True, None),
            ("honor", False, SkipReason.NOT_INTERESTING),
            ("some-unknown-mode", True, None),
            ("unpaid-bootcamp", True, None),
            ("unpaid-executive-education", True, None),
        ],
    )
    def test_the_modes_that_deserve_a_word(self, mode: str, is_eligible: bool, objection: SkipReason | None) -> None:
        """Audit is not interesting, an unknown slug is, and honor where the host has not switched it off."""
        assert rules.check_interest(mode, "downloadable", is_eligible) is objection

    @given(mode=st.text(), status=st.text(), is_eligible=st.booleans())
    def test_no_slug_makes_a_rule_fail(self, mode: str, status: str, is_eligible: bool) -> None:
        """Real data holds slugs that are in no list; a rule answers all the same."""
        assert rules.check_interest(mode, status, is_eligible) in {None, SkipReason.NOT_INTERESTING}


class TestOrder:
    @given(
        has_org=st.booleans(),
        is_enabled=st.booleans(),
        is_enabled_for_org=st.booleans(),
        mode=st.sampled_from([*CourseMode, "some-unknown-mode"]),
        status=st.sampled_from([*CertificateStatus]),
        is_in_a_program=st.booleans(),
    )
    def test_joined_with_or_the_first_that_objects_is_the_reason(
        self,
        has_org: bool,
        is_enabled: bool,
        is_enabled_for_org: bool,
        mode: str,
        status: str,
        is_in_a_program: bool,
    ) -> None:
        """A reason is always true and no objection false, so `or` finds the first one."""
        is_eligible = mode != "audit"
        verdict = (
            rules.check_site(has_org)
            or rules.check_credentials(is_enabled)
            or rules.check_learner_records(is_enabled_for_org)
            or rules.check_interest(mode, status, is_eligible)
            or rules.check_program(is_in_a_program)
        )
        reasons = [
            SkipReason.OTHER_SITE,
            SkipReason.CREDENTIALS_DISABLED,
            SkipReason.LEARNER_RECORDS_DISABLED,
            SkipReason.NOT_INTERESTING,
            SkipReason.NOT_IN_A_PROGRAM,
        ]
        is_interesting = is_eligible and status in INTERESTING_STATUSES
        passes = [has_org, is_enabled, is_enabled_for_org, is_interesting, is_in_a_program]
        assert verdict is next((reason for reason, passed in zip(reasons, passes, strict=True) if not passed), None)


class TestSkipReason:
    @pytest.mark.parametrize("reason", SkipReason)
    def test_each_reason_is_a_slug_of_its_own_name(self, reason: SkipReason) -> None:
        """What a report counts by is stable, readable text, the same in Python and in JSON."""
        assert f"{reason}" == reason.name.lower()
        assert json.loads(json.dumps(reason)) == reason
