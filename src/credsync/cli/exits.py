"""What the command's exit status says."""

from __future__ import annotations

from enum import IntEnum

from credsync.report import Report

__all__ = ["ExitStatus"]


class ExitStatus(IntEnum):
    """How the command ended, for scripts."""

    OK = 0
    """All went well."""

    FAILURES = 1
    """It finished, with records rejected or failed."""

    WRONG_USE = 2
    """Wrong use or configuration; nothing was sent."""

    STOPPED = 3
    """It stopped early, and can go on."""

    INTERRUPTED = 130
    """It was interrupted where nothing is half done; the shell's own status for it."""

    @classmethod
    def of(cls, report: Report) -> ExitStatus:
        """Return the status of a run."""
        if report.stopped:
            return cls.STOPPED
        return cls.FAILURES if report.has_failures else cls.OK
