"""What any ledger is to answer when it is asked about an update."""

from __future__ import annotations

import pytest
from attrs import evolve

from credsync.ledger import Entry, EntryState, Known
from credsync.updates import CertificateUpdate
from tests.campus_builders import FRESH, INTRO, OLD

UPDATE = CertificateUpdate(
    user_id=1, username="someone", course_run=INTRO, mode="verified", status="downloadable", source_time=FRESH
)
ENTRY = Entry(
    key=UPDATE.key, state=EntryState.DELIVERED, fingerprint=UPDATE.fingerprint, source_time=UPDATE.source_time
)

every_look_up = pytest.mark.parametrize(
    ("entry", "asked", "is_unchanged"),
    [
        pytest.param(ENTRY, UPDATE, True, id="the same"),
        pytest.param(
            evolve(ENTRY, source_time=None), evolve(UPDATE, source_time=None), True, id="the same, of no known time"
        ),
        pytest.param(ENTRY, None, False, id="not to be compared"),
        pytest.param(ENTRY, evolve(UPDATE, mode="honor"), False, id="another payload"),
        pytest.param(ENTRY, evolve(UPDATE, source_time=OLD), False, id="an older one"),
        pytest.param(ENTRY, evolve(UPDATE, source_time=None), False, id="no known time any more"),
        pytest.param(evolve(ENTRY, source_time=None), UPDATE, False, id="a time now"),
        pytest.param(evolve(ENTRY, fingerprint=None), UPDATE, False, id="nobody knows what the sink holds"),
        pytest.param(evolve(ENTRY, state=EntryState.DEFERRED), UPDATE, False, id="deferred since"),
        pytest.param(evolve(ENTRY, state=EntryState.DEAD), UPDATE, False, id="dead since"),
    ],
)
"""An entry, an update that is asked about (None asks for the entry), and whether the two are the same."""


def answer_to(entry: Entry, is_unchanged: bool) -> Known:
    """Say what a ledger knows that holds one entry."""
    return Known(unchanged=[entry.key]) if is_unchanged else Known(unchanged=[], entries={entry.key: entry})
