"""Every reason that credsync itself gives has a meaning in words."""

from __future__ import annotations

import pytest

from credsync.cli.wording import counted, explain_reason
from credsync.planning import DeferReason
from credsync.rules import SkipReason


@pytest.mark.parametrize("reason", [*SkipReason, *DeferReason])
def test_reasons_have_a_meaning(reason: str) -> None:
    """An operator is told what a reason means, whether it comes as an enum or as text."""
    assert explain_reason(str(reason))


def test_a_sinks_words_speak_for_themselves() -> None:
    """What a sink says is not explained."""
    assert explain_reason("no such course run") == ""


def test_one_is_singular() -> None:
    """One is one, and thousands are parted."""
    assert [counted(number, "grade") for number in (0, 1, 12_345)] == ["0 grades", "1 grade", "12,345 grades"]
