"""What goes wrong in a run of the law tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen
from hypothesis import strategies as st

from credsync.errors import AdapterError, SinkUnavailableError, SourceError
from credsync.updates import Deferred, Outcome, Rejected, UpdateKey


class Killed(BaseException):
    """The process was killed."""


@frozen
class Upset:
    """One thing that goes wrong.

    Attributes:
        what: A `kill` of the process; an `outage` of what it talks to; a `bug` of the host's sink; or nothing bad,
            only a `change` in the source.
        moment: Where.
        nth: At which time that the run comes there.
    """

    what: str
    moment: str
    nth: int


OUTAGES: Mapping[str, Callable[[str], Exception]] = {
    "page": SourceError,
    "look-up": SourceError,
    "entries": AdapterError,
    "sending": SinkUnavailableError,
    "half sent": SinkUnavailableError,
    "sent": SinkUnavailableError,
    "writing": AdapterError,
    "finishing": AdapterError,
}
"""The moments at which something may be unavailable, in the order in which a run comes to them, and how it says so."""

POSSIBLE: Sequence[tuple[str, str]] = [
    *(("kill", moment) for moment in [*OUTAGES, "written", "finished"]),
    *(("outage", moment) for moment in OUTAGES),
    *(("bug", moment) for moment in ("sending", "half sent", "sent")),
    *(("change", moment) for moment in ("page", "look-up", "sending", "sent")),
]

LATE = "late"
"""Why an update is deferred that has arrived all the same: the answer came too late."""

upsets = st.builds(
    lambda possible, nth: Upset(possible[0], possible[1], nth), st.sampled_from(POSSIBLE), st.integers(1, 6)
)

refusals: st.SearchStrategy[Outcome] = st.sampled_from(
    [Rejected(reason="no such run", status=400), Deferred(reason="busy"), Deferred(reason=LATE)]
)


@define
class Fate:
    """What goes wrong in one run, at the moments that it comes to.

    Attributes:
        upsets: What goes wrong.
        refusals: What the sink says to some updates.
        change: Changes the source.
        met: How often the run came to each moment.
        is_dead: Whether its process is gone.
    """

    upsets: Sequence[Upset] = ()
    refusals: Mapping[UpdateKey, Outcome] = field(factory=dict)
    change: Callable[[], None] = lambda: None
    met: Counter[str] = field(factory=Counter)
    is_dead: bool = False

    def meet(self, moment: str) -> None:
        """Come to a moment; what is to happen there happens."""
        if self.is_dead:
            raise Killed
        self.met[moment] += 1
        for upset in self.upsets:
            if (upset.moment, upset.nth) == (moment, self.met[moment]):
                self._strike(upset.what, moment)

    def _strike(self, what: str, moment: str) -> None:
        if what == "change":
            self.change()
        elif what == "kill":
            self.is_dead = True
            raise Killed
        else:
            raise ValueError("bug") if what == "bug" else OUTAGES[moment](f"outage while {moment}")
