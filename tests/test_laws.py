"""The laws, whatever happens: a campus, runs and mishaps at random, over the ledger in memory."""

from __future__ import annotations

from hypothesis import settings
from typing_extensions import override

from credsync.adapters.memory import MemoryLedger
from tests.laws.machine import LawMachine
from tests.laws.watch import LedgerUnderTest


class MemoryLawMachine(LawMachine):
    """The laws over a `MemoryLedger`."""

    @override
    def open_ledger(self) -> LedgerUnderTest:
        """Open an empty ledger."""
        return MemoryLedger()

    @override
    def reopen_ledger(self, ledger: LedgerUnderTest) -> LedgerUnderTest:
        """Take the lock from a process that is gone."""
        assert isinstance(ledger, MemoryLedger)
        ledger.status = "killed"
        return ledger


TestLaws = MemoryLawMachine.TestCase
# So many that each law was seen to fail when its keeping was taken out of the code.
TestLaws.settings = settings(max_examples=max(200, settings().max_examples))
