"""The credentials service as a sink."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Lock
from types import TracebackType
from typing import Self
from uuid import UUID

import requests
from attrs import Factory, define, field, frozen

from credsync.adapters.rest.addresses import Addresses, endpoint_url
from credsync.adapters.rest.api import Rows, collect_rows, decode_rows
from credsync.adapters.rest.batch import Batch, Unsent
from credsync.adapters.rest.calling import Caller, Ending, TokenSource
from credsync.adapters.rest.exchange import (
    Answer,
    Connection,
    Connections,
    HttpClient,
    Request,
    Timeouts,
    mask_usernames_in_logs,
)
from credsync.adapters.rest.pacing import Lane, Shut
from credsync.adapters.rest.patience import Patience
from credsync.delivery import INTERRUPTED, SINK_UNAVAILABLE
from credsync.errors import ConfigurationError, InvalidRecordError, SinkUnavailableError
from credsync.updates import Deferred, Delivered, Outcome, ProgramRevocation, Rejected, Update
from credsync.wire import Decision, Endpoint, Retry, StopRun, decode_response, encode_update, endpoint_of

__all__ = ["RestSink", "SinkStatistics"]

LOG = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


@frozen(kw_only=True)
class SinkStatistics:
    """What a sink has done so far.

    Attributes:
        requests: How many requests it sent, the repeated ones and those that read included.
        pauses: How often the service asked for a pause.
        seconds: How long ago the first request was.
        paused_for: Seconds that are left of the longest pause; 0 while nothing is paused.
    """

    requests: int = 0
    pauses: int = 0
    seconds: float = 0.0
    paused_for: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a minute, on average."""
        return self.requests * 60 / self.seconds if self.seconds > 0 else 0.0


@define(kw_only=True, eq=False)
class RestSink:
    """A `CredentialSink` that posts to the Open edX Credentials service. Leaving its context closes what it opened.

    Updates go out in parallel, those with one key one after the other; one batch at a time, also when several threads
    deliver. No thread outlives its batch.

    **Clients.** Each worker opens a client of its own, and keeps it for later batches: not every client is safe to
    share. One that is may be handed over as `client`. A `requests.Session` keeps 10 connections to a host unless told
    otherwise, so mount an `HTTPAdapter(pool_maxsize=…)` of as many as there are workers before sharing it. Clients that
    authorize themselves, such as Open edX's `OAuthAPIClient`, come without `tokens`; then a token that the service
    refuses is not renewed, and stops the sink.

    **Trouble.** What the service does is tried again as its table of answers says. It stops the sink for good if it
    refuses the account, or a new token, or the address: all further batches raise. Where it is away, or its pause is
    longer than the patience, the rest of the batch is deferred. Nothing that arrived is lost by that.

    Attributes:
        base_url: The service; its API is below `/api/v2/`.
        tokens: Has the tokens; None leaves authorization to the client.
        client: A client to share between the workers, which stays its owner's; None has each open its own.
        open_client: Opens one.
        workers: How many requests are in flight at once. More than the service has workers only makes each slower.
        rates: Requests a minute by endpoint, all workers together: to a client that is not staff the service grants 90
            for `grades` and 15 for `credentials`, so take a few less. An endpoint that is absent is not limited.
        org_urls: Services of their own, by the organisation of a course run.
        program_urls: Likewise, by the UUID of a program.
        timeouts: How long a request waits.
        patience: How long trouble is put up with; also how the sink waits, and whether it is to stop.
        clock: The time, aware; a date in `Retry-After` is measured against it.

    Raises:
        ConfigurationError: If an address is none, or a number makes no sense.

    Example:
        >>> with RestSink(base_url="https://credentials.example.com", workers=4) as sink:
        ...     sink.deliver([])
        []
    """

    base_url: str
    tokens: TokenSource | None = field(default=None, repr=False)
    client: HttpClient | None = field(default=None, repr=False)
    open_client: Callable[[], HttpClient] = field(default=requests.Session, repr=False)
    workers: int = 8
    rates: Mapping[Endpoint, float] = field(factory=dict)
    org_urls: Mapping[str, str] = field(factory=dict)
    program_urls: Mapping[str, str] = field(factory=dict)
    timeouts: Timeouts = field(factory=Timeouts)
    patience: Patience = field(factory=Patience, repr=False)
    clock: Callable[[], datetime] = field(default=_now, repr=False)
    _addresses: Addresses = field(init=False, repr=False)
    _connections: Connections = field(init=False, repr=False)
    _callers: Mapping[tuple[str, Endpoint], Caller] = field(init=False, repr=False)
    _delivery: Lock = field(default=Factory(Lock), init=False, repr=False)
    _stopping: Lock = field(default=Factory(Lock), init=False, repr=False)
    _stopped: Shut | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check the options, and lay a lane to each endpoint of each service."""
        if self.workers < 1 or any(rate <= 0 for rate in self.rates.values()):
            raise ConfigurationError("a sink needs a worker, and a rate above 0 where there is one")
        mask_usernames_in_logs()
        self._addresses = Addresses(base_url=self.base_url, org_urls=self.org_urls, program_urls=self.program_urls)
        self._connections = Connections(client=self.client, open_client=self.open_client, timeouts=self.timeouts)
        self._callers = {place: self._call_through_lane(*place) for place in self._addresses.iter_endpoints()}

    def _call_through_lane(self, root: str, endpoint: Endpoint) -> Caller:
        lane = Lane(url=endpoint_url(root, endpoint), patience=self.patience, rate=self.rates.get(endpoint))
        return Caller(lane=lane, tokens=self.tokens, clock=self.clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the clients that were opened here."""
        self._connections.close()

    @property
    def statistics(self) -> SinkStatistics:
        """What was done so far; may be asked from any thread, at any time."""
        lanes = self._lanes()
        started = [lane.first_sent for lane in lanes if lane.first_sent is not None]
        return SinkStatistics(
            requests=sum(lane.requests for lane in lanes),
            pauses=sum(lane.pauses for lane in lanes),
            seconds=self.patience.stopwatch() - min(started) if started else 0.0,
            paused_for=max(lane.paused_for for lane in lanes),
        )

    def _lanes(self) -> list[Lane]:
        return [caller.lane for caller in self._callers.values()]

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Post a batch, and return one outcome per update, in order.

        `Delivered` means that the service answered with the row it stored, and that it is what was sent. Updates that
        share a key are posted in their order, one after the other.

        Args:
            updates: The batch. As many as workers, or several times that, keep all of them busy.

        Raises:
            SinkUnavailableError: If nothing of the batch is known to have arrived, and trying the rest makes no sense;
                always, once the sink has stopped for good.
        """
        with self._delivery:
            if self._stopped:
                raise SinkUnavailableError(self._stopped.reason)
            for lane in self._lanes():
                lane.reopen()
            batch = Batch(updates)
            self._carry(batch)
            return batch.conclude(next(filter(None, (lane.find_shut() for lane in self._lanes())), None))

    def _carry(self, batch: Batch) -> None:
        """Let the workers bring out the batch, and see them all end, also if this thread is interrupted meanwhile."""
        workers = min(self.workers, len(batch))
        if not workers:
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="credsync-rest") as pool:
            tasks = [pool.submit(self._work, batch) for _ in range(workers)]
            try:
                for task in tasks:
                    task.result()
            except BaseException:
                self._shut(INTERRUPTED)
                raise

    def _shut(self, reason: str) -> None:
        for lane in self._lanes():
            lane.shut(reason)

    def _work(self, batch: Batch) -> None:
        with self._connections.lend() as connection:
            for place in batch.iter_places():
                batch.settle(place, self._bring(batch.updates[place], connection))

    def _bring(self, update: Update, connection: Connection) -> Outcome | Unsent:
        """Bring one update to its end."""
        try:
            body = encode_update(update)
        except InvalidRecordError as exc:
            return Rejected(reason=f"{exc.field}: {exc.reason}")
        caller = self._callers[self._addresses.root_of(update.key.target), endpoint_of(update)]
        if isinstance(update, ProgramRevocation):
            shown = _find_award(update, caller, connection)
            if shown is not True:
                return self._conclude(Delivered() if shown is False else shown, caller.lane)
        return self._conclude(_post(update, body, caller, connection), caller.lane)

    def _conclude(self, ending: Ending, lane: Lane) -> Outcome | Unsent:
        """Turn the end of a call into an outcome, and draw from it what it means for all others."""
        if self.patience.stop() and not isinstance(ending, Delivered | Rejected):
            return Deferred(reason=INTERRUPTED)
        if isinstance(ending, Retry):
            return self._give_up(ending, lane)
        if isinstance(ending, StopRun):
            return self._stop(ending, lane)
        if isinstance(ending, Shut):
            return Unsent(Deferred(reason=SINK_UNAVAILABLE, retry_after=ending.retry_after))
        lane.count_success()
        return ending

    def _give_up(self, ending: Retry, lane: Lane) -> Outcome | Unsent:
        if ending.tries is not None:
            return ending.otherwise
        lane.count_failure(ending.otherwise.reason)
        return Unsent(Deferred(reason=ending.otherwise.reason))

    def _stop(self, ending: StopRun, lane: Lane) -> Unsent:
        """Send nothing more: whatever comes would meet the same."""
        reason = f"{lane.url}: {ending.reason} (status {ending.status})"
        with self._stopping:  # as many workers as there are may come here at once
            is_news = self._stopped is None
            self._stopped = self._stopped or Shut(reason=reason)
        if is_news:
            LOG.error("nothing more is sent: %s", reason)
        self._shut(reason)
        return Unsent(Deferred(reason=ending.reason))


def _post(update: Update, body: dict[str, object], caller: Caller, connection: Connection) -> Ending:
    def decode(answer: Answer, now: datetime) -> Decision:
        return decode_response(update, answer.status, answer.headers, answer.body, now=now)

    request = Request(method="POST", url=caller.lane.url, json=body)
    ending: Ending = caller.call(connection, request, decode)
    return ending


def _find_award(revocation: ProgramRevocation, caller: Caller, connection: Connection) -> bool | Ending:
    """Say whether the service still shows a program as awarded; what it does not show needs no revocation.

    A revocation of something that was never awarded would make a revoked row, or fail for a learner whom the service
    has never met.
    """
    query = {"username": revocation.username, "type": "program", "program_uuid": revocation.program_uuid}

    def ask(page: int) -> Rows | Ending:
        request = Request(method="GET", url=caller.lane.url, query={**query, "page": str(page)})
        return caller.call(connection, request, decode_rows)

    found = collect_rows(ask)
    if isinstance(found, StopRun) and found.status == 403:  # an account may write and not read
        return Deferred(reason="the account may not view credentials, which a revocation asks for first")
    if not isinstance(found, Rows):
        return found
    return any(_is_award(row, UUID(revocation.program_uuid).hex) for row in found.rows.values())


def _is_award(row: Mapping[str, object], program: str) -> bool:
    credential = row.get("credential")
    shown = credential.get("program_uuid") if isinstance(credential, Mapping) else None
    return str(shown).replace("-", "").lower() == program and row.get("status") == "awarded"
