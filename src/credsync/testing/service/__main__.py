"""The double in a process of its own: prints one JSON line with its address, serves until told to stop.

It stops at SIGTERM, at SIGINT, or when its standard input, being a pipe, is closed: so it never outlives its starter.
`GET /_double/state` and `GET /_double/requests` show, as JSON, what it stores and what it was asked.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from select import select
from typing import Self

from credsync.testing.service.accounts import DEFAULT_ACCOUNT
from credsync.testing.service.faults import (
    Fault,
    gateway_failure,
    html_error,
    outage,
    reset,
    slow,
    throttled,
    tokens_revoked,
    truncated,
)
from credsync.testing.service.service import CredentialsService

STDIN = 0

FAULTS: dict[str, Fault] = {
    "outage": outage(),
    "throttled": throttled(1),
    "throttled-date": throttled(1, as_date=True),
    "html-500": html_error(),
    "502": gateway_failure(502),
    "503": gateway_failure(503),
    "504": gateway_failure(504),
    "504-after-write": gateway_failure(504).after_write(),
    "slow": slow(0.2),
    "reset": reset(),
    "reset-after-write": reset().after_write(),
    "truncated": truncated(),
    "tokens-revoked": tokens_revoked(),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    options = _parser().parse_args(arguments)
    with _service(options) as service, _StopSign() as stop_sign:
        line = {"url": service.url, "token_url": service.token_url, "catalog_url": service.catalog_url}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        stop_sign.wait()


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m credsync.testing.service", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="what every answer takes at least"
    )
    parser.add_argument("--token-lifetime", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--programs", type=Path, metavar="FILE", help="a JSON list in the course catalog's shape")
    parser.add_argument(
        "--not-staff", action="store_true", help="throttle the account, as those that are not staff are"
    )
    parser.add_argument("--fault-share", type=float, default=0.0, metavar="SHARE", help="of all requests, 0 to 1")
    parser.add_argument("--fault-seed", type=int, default=0, metavar="N")
    parser.add_argument("--faults-in-a-row", type=int, metavar="N", help="at most, for one key")
    every = "may be repeated; by default all that a second try cures"
    parser.add_argument("--fault", action="append", choices=FAULTS, help=every)
    return parser


def _service(options: Namespace) -> CredentialsService:
    service = CredentialsService(
        programs=json.loads(options.programs.read_text()) if options.programs else "any",
        accounts=[replace(DEFAULT_ACCOUNT, staff=not options.not_staff)],
        token_lifetime=options.token_lifetime,
        latency=options.latency,
        port=options.port,
    )
    faults = [FAULTS[name] for name in options.fault or sorted(FAULTS.keys() - {"tokens-revoked"})]
    if options.fault_share:
        service.faults.add_at_random(
            faults, share=options.fault_share, seed=options.fault_seed, in_a_row=options.faults_in_a_row
        )
    return service


class _StopSign:
    """Waits for a signal or for the end of a piped standard input."""

    def __enter__(self) -> Self:
        self._seen, self._shown = os.pipe()
        self._previous = {number: signal.signal(number, self._show) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._seen)
        os.close(self._shown)

    def _show(self, *_: object) -> None:
        os.write(self._shown, b"x")

    def wait(self) -> None:
        """Return when it is time to stop."""
        pipes = [STDIN] if stat.S_ISFIFO(os.fstat(STDIN).st_mode) else []
        while True:
            readable, _, _ = select([self._seen, *pipes], [], [])
            if self._seen in readable or not os.read(STDIN, 4096):
                return


if __name__ == "__main__":
    main()
