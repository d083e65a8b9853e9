"""The options of a run, and what they are where nobody says."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from attrs import fields_dict
from attrs.exceptions import FrozenInstanceError

from credsync.errors import ConfigurationError
from credsync.options import PLAIN_RUN, RunOptions
from credsync.report import Report
from tests.campus_builders import NOW


class TestDefaults:
    @pytest.mark.parametrize("options", [RunOptions(), PLAIN_RUN])
    def test_are_those_of_a_plain_run(self, options: RunOptions) -> None:
        """Who says nothing gets a run that sends what changed, and goes to its end."""
        switches = (options.dry_run, options.force, options.resume, options.allow_empty_catalog)
        assert switches == (False, False, False, False)
        assert (options.watermark, options.max_failures, options.excluded_programs) == (None, None, ())
        assert options.give_up_after == timedelta(days=7)
        assert options.sleep is time.sleep

    def test_tell_the_time_with_a_zone(self) -> None:
        """Times are aware and UTC, also those nobody passed in."""
        before = datetime.now(UTC)
        assert before <= RunOptions().clock() <= datetime.now(UTC)
        assert RunOptions().clock().tzinfo is UTC

    def test_never_stop_and_report_to_nobody(self) -> None:
        """The hooks that are not given do nothing."""
        options = RunOptions()
        assert options.should_stop() is False
        options.on_progress(Report(read={}, counts={}, started=NOW, ended=NOW))


class TestRefusals:
    @pytest.mark.parametrize("max_failures", [-1, -100])
    def test_come_of_a_negative_number_of_failures(self, max_failures: int) -> None:
        """Nothing fails less often than never."""
        with pytest.raises(ConfigurationError, match=f"max failures {max_failures}"):
            RunOptions(max_failures=max_failures)

    @pytest.mark.parametrize("max_failures", [0, 1, None])
    def test_do_not_come_of_others(self, max_failures: int | None) -> None:
        """None at all is a limit too."""
        assert RunOptions(max_failures=max_failures).max_failures == max_failures

    @pytest.mark.parametrize("wait", [timedelta(microseconds=-1), timedelta.max])
    def test_come_of_a_wait_that_makes_no_sense(self, wait: timedelta) -> None:
        """Nobody waits for less than nothing, or for longer than clocks go."""
        with pytest.raises(ConfigurationError, match="a wait lasts 0 to 36500 days"):
            RunOptions(give_up_after=wait)

    def test_come_of_changing_them(self) -> None:
        """Options are the same from the beginning of a run to its end."""
        with pytest.raises(FrozenInstanceError):
            RunOptions().force = True  # type: ignore[misc]  # that it cannot be is the point

    def test_come_of_giving_them_by_place(self) -> None:
        """Each option is named where it is given."""
        assert all(option.kw_only for option in fields_dict(RunOptions).values())
