"""The `credsync` command: its subcommands, and the one place where errors become a line and an exit status."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import click
from typing_extensions import override

from credsync.cli.check import check
from credsync.cli.exits import ExitStatus
from credsync.cli.explain import explain
from credsync.cli.forget import forget
from credsync.cli.letters import letters
from credsync.cli.notify import notify
from credsync.cli.redaction import Redaction
from credsync.cli.report import report
from credsync.cli.retry import retry
from credsync.cli.sample import sample
from credsync.cli.verify import verify
from credsync.errors import CredsyncError

__all__ = ["main"]


class _Credsync(click.Group):
    """The group whose every error is one line, without a traceback and without a password."""

    @override
    def main(self, *args: Any, **extra: Any) -> Any:
        arguments = extra.get("args") or (args[0] if args else sys.argv[1:])
        redaction = Redaction(arguments)
        sys.excepthook = _hook(redaction)
        try:
            status = super().main(*args, **{"prog_name": "credsync", **extra, "standalone_mode": False})
        except click.ClickException as exc:
            status = _complain(redaction(exc.format_message()), exc.exit_code)
        except CredsyncError as exc:
            status = _complain(redaction(str(exc)), ExitStatus.WRONG_USE)
        except click.Abort:
            status = _complain("interrupted", ExitStatus.INTERRUPTED)
        sys.exit(status)


def _complain(message: str, status: int) -> int:
    """Write an error as one line."""
    click.echo(f"credsync: {' '.join(message.split())}", err=True)
    return status


def _hook(redaction: Redaction) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Make what prints the traceback of an error that nobody expected: a bug, but with no password in its text."""

    def report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        click.echo(redaction("".join(traceback.format_exception(kind, error, trace))), err=True, nl=False)

    return report_bug


HELP = """Bring a learning platform's course certificates and grades to its credentials service, and know what arrived.

\b
Try it on a sample campus:
  credsync sample campus.db
  credsync notify campus.db --all --dry-run
  credsync notify campus.db --all --out outbox.db

\b
Exit status:
  0  all went well
  1  finished with failures
  2  wrong use or configuration, nothing was sent
  3  stopped early, and can go on
"""


@click.group(
    cls=_Credsync,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=HELP,
)
@click.version_option(package_name="credsync", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Run a subcommand; without one, show the help."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(ExitStatus.WRONG_USE)


for subcommand in (sample, check, notify, verify, explain, report, letters, retry, forget):
    main.add_command(subcommand)
