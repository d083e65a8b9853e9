"""`python -m bench [NAME …]`: measure, and print each ratio beside its bound. Ends with 1 if one is not kept."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import databases, in_memory, rest

Row = tuple[str, float, str, bool]


def _notify(folder: Path) -> Iterator[Row]:
    yield _at_most("credsync notify, to a loop written by hand (200,000 records)", databases.measure_notify(folder), 3)


def _memory(folder: Path) -> Iterator[Row]:
    yield _at_most("peak memory at 1,000,000 records, to 50,000", databases.measure_memory(folder), 1.15)


def _statements(folder: Path) -> Iterator[Row]:
    yield _at_most("SQL statements a page (10,000 grades, pages of 100)", databases.measure_statements(folder), 5)


def _membership(_folder: Path) -> Iterator[Row]:
    yield _at_most("is_course_run_in_a_program, to a bare frozenset", in_memory.measure_membership(), 5)


def _depth(folder: Path) -> Iterator[Row]:
    for name, ratio in databases.measure_depth(folder):
        yield _at_most(f"last tenth of the pages, to the first ({name})", ratio, 1.3)


def _in_memory(_folder: Path) -> Iterator[Row]:
    yield _at_most("send_notifications in memory, to a bare loop (200,000 records)", in_memory.measure_run(), 4)


def _ledger(folder: Path) -> Iterator[Row]:
    yield _at_most("a run with a ledger, to one without (100,000 records)", databases.measure_ledger(folder), 1.6)


def _second_run(folder: Path) -> Iterator[Row]:
    faster, sent = rest.measure_second_run(folder)
    yield "first run, to a second over the same (500,000 records, service)", faster, ">= 3", faster >= 3
    yield "deliveries of the second run", sent, "0", sent == 0
    faster, sent = databases.measure_second_run(databases.sent_sample(folder, 500_000), folder / "twice.db")
    yield "first run, to a second over the same (500,000 sent, outbox)", faster, ">= 3", faster >= 3
    yield "deliveries of the second run", sent, "0", sent == 0
    faster, sent = databases.measure_second_run(databases.sample(folder, 500_000), folder / "twice.db")
    yield "the same where rules skip four in ten, in both runs", faster, ">= 2", faster >= 2
    yield "deliveries of the second run", sent, "0", sent == 0


def _rest(_folder: Path) -> Iterator[Row]:
    measured = rest.measure_rest()
    share = measured.share_of_the_possible
    yield "REST sink's rate, to the ideal (or what bare threads reach)", share, ">= 0.8", share >= rest.LEAST_SHARE
    yield _at_most("REST sink's processor time, to bare posts", measured.times_bare, rest.MOST_TIMES_BARE)


MEASURES: dict[str, Callable[[Path], Iterator[Row]]] = {
    "membership": _membership,
    "in-memory": _in_memory,
    "statements": _statements,
    "notify": _notify,
    "ledger": _ledger,
    "second-run": _second_run,
    "depth": _depth,
    "memory": _memory,
    "rest": _rest,
}


def _at_most(name: str, ratio: float, bound: float) -> Row:
    return name, ratio, f"<= {bound:g}", ratio <= bound


def main(names: list[str]) -> int:
    """Measure what is named, or everything."""
    unknown = set(names) - MEASURES.keys()
    if unknown:
        print(f"no such measure: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    all_kept = True
    with tempfile.TemporaryDirectory() as folder:
        for name in names or MEASURES:
            for what, ratio, bound, is_kept in MEASURES[name](Path(folder)):
                print(f"{what:<66} {ratio:8.2f}   {bound:<8} {'ok' if is_kept else 'NOT KEPT'}", flush=True)
                all_kept = all_kept and is_kept
    return 0 if all_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
