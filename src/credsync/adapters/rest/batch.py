"""A batch on its way out: updates with one key in their order, all others in parallel, each with its outcome."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from attrs import define, field, frozen

from credsync.adapters.rest.pacing import Shut
from credsync.errors import SinkUnavailableError
from credsync.updates import Deferred, Outcome, Update, UpdateKey

__all__ = ["Batch", "Unsent"]


@frozen
class Unsent:
    """The service did not take an update, for a reason that has nothing to do with it."""

    outcome: Deferred


@define
class Batch:
    """The updates of a batch, handed out to workers. Safe for threads.

    Attributes:
        updates: The updates.
    """

    updates: Sequence[Update]
    _chains: deque[list[int]] = field(init=False, repr=False)
    _endings: dict[int, Outcome | Unsent] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Put those with one key into one chain: whoever takes it brings them out one after the other."""
        chains: defaultdict[UpdateKey, list[int]] = defaultdict(list)
        for place, update in enumerate(self.updates):
            chains[update.key].append(place)
        self._chains = deque(chains.values())

    def __len__(self) -> int:
        """Count the chains: more workers than that find nothing to do."""
        return len(self._chains)

    def iter_places(self) -> Iterator[int]:
        """Yield the places of updates that nobody else has taken, until there are no more."""
        while True:
            try:
                chain = self._chains.popleft()
            except IndexError:
                return
            yield from chain

    def settle(self, place: int, ending: Outcome | Unsent) -> None:
        """Say what became of an update."""
        self._endings[place] = ending

    def conclude(self, shut: Shut | None) -> list[Outcome]:
        """Return the outcomes, in order.

        Args:
            shut: Why nothing goes to an endpoint any more; None if all are open.

        Raises:
            SinkUnavailableError: If an endpoint is shut, and nothing is known of any update but that it was not taken.
        """
        endings = [self._endings[place] for place in range(len(self.updates))]
        if shut and all(isinstance(ending, Unsent) for ending in endings):
            raise SinkUnavailableError(shut.reason, shut.retry_after)
        return [ending.outcome if isinstance(ending, Unsent) else ending for ending in endings]
