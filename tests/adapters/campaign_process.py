"""A run to the service in a process of its own, to be killed: `python -m tests.adapters.campaign_process CAMPUS …`."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from credsync.adapters.rest import ClientCredentials, JwtTokens, Patience, RestSink
from credsync.adapters.sql import SqlLedger, SqlSites, SqlSource
from credsync.cli.catalog_file import read_catalog
from credsync.notify import notify
from credsync.options import RunOptions
from credsync.ports import CredentialSink, Host, Ledger
from credsync.report import Report
from credsync.selection import Selection
from credsync.testing.campus import catalog_path
from credsync.testing.service import DEFAULT_ACCOUNT

__all__ = ["send"]

WORKERS = 16


def send(campus: Path, sink: CredentialSink, ledger: Ledger | None, *, resume: bool = False) -> Report:
    """Send everything of a campus."""
    with closing(SqlSource(campus)) as source:
        host = Host(
            catalog=read_catalog(catalog_path(campus)),
            sink=sink,
            learners=source,
            certificates=source,
            grades=source,
            policy=SqlSites(source.engine).get_policy(None),
            ledger=ledger,
        )
        return notify(source, Selection(), host=host, options=RunOptions(resume=resume))


def main(campus: str, url: str, token_url: str, resume: str) -> None:
    """Send everything to the service, impatiently: a second try comes at once."""
    patience = Patience(first_wait=0.001, longest_wait=0.005)
    tokens = JwtTokens(
        url=token_url,
        credentials=lambda: ClientCredentials(
            client_id=DEFAULT_ACCOUNT.client_id, client_secret=DEFAULT_ACCOUNT.client_secret
        ),
        patience=patience,
    )
    with (
        RestSink(base_url=url, tokens=tokens, workers=WORKERS, patience=patience) as sink,
        closing(SqlLedger(f"{campus}.ledger", url)) as ledger,
    ):
        report = send(Path(campus), sink, ledger, resume=resume == "resume")
    sys.stdout.write(f"{report.status} {report.total('sent')} {report.unaccounted}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
