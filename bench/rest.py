"""What the REST sink costs, beside bare posts of the same JSON to the same service, in one run.

Two bounds: with 16 workers and 20 ms of latency at least 80 % of the ideal rate, which is workers ÷ latency, or of what
bare threads reach where the processor allows no more; and at most 1.5 times the processor time that a bare
`session.post` takes for an update. The double runs in a process of its own, so that the times are the client's alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import requests

from bench.databases import sample
from bench.processes import run_python
from credsync import Delivered, GradeUpdate
from credsync.adapters.rest import ClientCredentials, JwtTokens, RestSink
from credsync.adapters.sql import SqlHistory
from credsync.testing.service import DEFAULT_ACCOUNT
from credsync.wire import encode_update

LATENCY = 0.02
WORKERS = 16
UPDATES = 1600
POSTS = 300
ROUNDS = 3

LEAST_SHARE = 0.8
MOST_TIMES_BARE = 1.5


class Cost(NamedTuple):
    """What a number of updates took, per update."""

    wall: float
    processor: float


class Comparison(NamedTuple):
    """What an update took in each of three ways, as the medians of some rounds.

    Attributes:
        bare: A bare post, one after the other.
        threads: Bare posts from as many threads as the sink has workers.
        sink: The sink.
    """

    bare: Cost
    threads: Cost
    sink: Cost

    @property
    def share_of_the_possible(self) -> float:
        """The sink's rate, to the ideal or to that of bare threads where the processor allows no more."""
        return max(LATENCY / WORKERS, self.threads.wall) / self.sink.wall

    @property
    def times_bare(self) -> float:
        """The sink's processor time, to that of a bare post."""
        return self.sink.processor / self.bare.processor


def measure_rest() -> Comparison:
    """Measure the three side by side, in several rounds."""
    with service(LATENCY) as addresses:
        rounds = [measure_round(addresses, number) for number in range(ROUNDS)]
    return Comparison(*(Cost(*map(median, zip(*costs, strict=True))) for costs in zip(*rounds, strict=True)))


def measure_second_run(folder: Path, records: int = 500_000) -> tuple[float, int]:
    """Run `credsync notify` to the double twice, and say how many times faster the second was, and what it sent."""
    source, ledger = sample(folder, records), folder / "service.db"
    with service(latency=0.0) as addresses:
        environment = {
            "CREDSYNC_LMS_URL": addresses["url"],
            "CREDSYNC_CLIENT_ID": DEFAULT_ACCOUNT.client_id,
            "CREDSYNC_CLIENT_SECRET": DEFAULT_ACCOUNT.client_secret,
            "CREDSYNC_LEDGER": str(ledger),
        }
        command = ("-m", "credsync", "notify", source, "--all", "--sink", addresses["url"], "--quiet")
        first, second = (run_python(*command, **environment).seconds for _ in range(2))
    with closing(SqlHistory(ledger)) as history:
        return first / second, history.get_run().report.total("sent")


def main() -> int:
    """Measure and print, and return 1 if a bound is not kept."""
    costs = measure_rest()
    ideal = WORKERS / LATENCY
    print(f"medians of {ROUNDS} rounds, {WORKERS} workers, {LATENCY * 1000:g} ms of latency")
    print(f"{'':26}{'updates/s':>10}{'of the ideal':>14}{'ms of processor':>17}{'of bare':>9}")
    for name, cost in zip(("bare post", f"bare post, {WORKERS} threads", "RestSink"), costs, strict=True):
        share, times = 1 / cost.wall / ideal, cost.processor / costs.bare.processor
        print(f"{name:26}{1 / cost.wall:10.0f}{share:14.2f}{cost.processor * 1000:17.3f}{times:9.2f}")
    print(f"rate, to what is possible: {costs.share_of_the_possible:.2f} (>= {LEAST_SHARE})")
    print(f"processor time, to a bare post: {costs.times_bare:.2f} (<= {MOST_TIMES_BARE})")
    return int(costs.share_of_the_possible < LEAST_SHARE or costs.times_bare > MOST_TIMES_BARE)


@contextmanager
def service(latency: float) -> Iterator[dict[str, str]]:
    """Run the double in a process of its own, with so many seconds of latency, and give its addresses."""
    command = [sys.executable, "-m", "credsync.testing.service", "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.communicate()


def measure_round(addresses: dict[str, str], number: int) -> Comparison:
    """Take one round: bare posts, bare posts in threads, the sink."""
    tokens = JwtTokens(url=addresses["token_url"], credentials=credentials)
    post = poster(addresses["url"], tokens.token())
    updates = grades(number)
    with requests.Session() as session:
        post(session, updates[0])
        bare = timed(POSTS, lambda: [post(session, update) for update in updates[:POSTS]])
    threads = timed(UPDATES, lambda: post_in_threads(post, updates))
    with RestSink(base_url=addresses["url"], tokens=tokens, workers=WORKERS) as sink:
        sink.deliver(grades(-1)[:WORKERS])
        through_sink = timed(UPDATES, lambda: deliver(sink, updates))
    return Comparison(bare, threads, through_sink)


def credentials() -> ClientCredentials:
    """Say who the double's own account is."""
    return ClientCredentials(client_id=DEFAULT_ACCOUNT.client_id, client_secret=DEFAULT_ACCOUNT.client_secret)


def poster(url: str, token: str) -> Callable[[requests.Session, GradeUpdate], None]:
    """Make what posts one update and looks at nothing but the status."""

    def post(session: requests.Session, update: GradeUpdate) -> None:
        answer = session.post(
            f"{url}/api/v2/grades/",
            json=encode_update(update),
            headers={"Authorization": f"JWT {token}"},
            allow_redirects=False,
            timeout=30,
        )
        answer.raise_for_status()

    return post


def post_in_threads(post: Callable[[requests.Session, GradeUpdate], None], updates: list[GradeUpdate]) -> None:
    """Post everything from as many threads as the sink has workers, each with its own session."""

    def work(part: list[GradeUpdate]) -> None:
        with requests.Session() as session:
            for update in part:
                post(session, update)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, [updates[first::WORKERS] for first in range(WORKERS)]))


def deliver(sink: RestSink, updates: list[GradeUpdate]) -> None:
    """Send everything through the sink."""
    assert all(isinstance(outcome, Delivered) for outcome in sink.deliver(updates))


def grades(number: int) -> list[GradeUpdate]:
    """Make grades that differ from round to round."""
    return [
        GradeUpdate(
            user_id=user_id,
            username=f"learner{user_id}",
            course_run="course-v1:DemoX+Intro+2024",
            letter_grade="B",
            percent_grade=(user_id + number + 1) % 100 / 100,
            source_time=datetime(2026, 5, 1, 12, 30, number + 1, 123456, tzinfo=UTC),
        )
        for user_id in range(UPDATES)
    ]


def timed(count: int, work: Callable[[], object]) -> Cost:
    """Measure some work in wall time and in this process's processor time, per update."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Cost((time.perf_counter() - wall) / count, (time.process_time() - processor) / count)


if __name__ == "__main__":
    sys.exit(main())
