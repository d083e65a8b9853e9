"""The `credsync` command: the library in an operator's hands."""

from __future__ import annotations

import sys

__all__ = ["main"]

try:
    from credsync.cli.command import main
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in {"click", "rich"}:
        raise

    def main() -> None:  # type: ignore[misc]  # stands in for the command where its extra is not installed
        """Say what the command needs."""
        sys.stderr.write("credsync: the command needs its extra: pip install 'credsync[cli]'\n")
        sys.exit(2)
