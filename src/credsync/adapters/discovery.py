"""The programs of the course catalog's API: all of them or none, and the last complete ones kept for worse days."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from attrs import asdict, define, field, frozen

from credsync.catalog import Program
from credsync.errors import AdapterError, ConfigurationError

__all__ = ["DiscoveryCatalog", "KeptCatalog", "ReadDocument"]

LOG = logging.getLogger(__name__)

LISTING = "programs/"
EVERY_PROGRAM = {"exclude_utm": "1", "status": ["active", "retired"], "uuids_only": "1"}

FORMAT = 1
"""The version of the kept file's form."""


class ReadDocument(Protocol):
    """Reads the catalog's API; the `get` of the rest adapter's `ApiReader` does."""

    def __call__(self, path: str, query: Mapping[str, str | Sequence[str]] | None = None) -> Any:
        """Return the JSON document at a path below the API's root.

        Raises:
            AdapterError: If it cannot be read.
        """
        ...


def _now() -> datetime:
    return datetime.now(UTC)


@frozen(kw_only=True)
class KeptCatalog:
    """A catalog from earlier.

    Attributes:
        programs: All programs that there were.
        fetched_at: When, aware.
    """

    programs: Sequence[Program] = field(repr=False)
    fetched_at: datetime


@define(kw_only=True)
class DiscoveryCatalog:
    """A `ProgramCatalog` that asks the course catalog's API at each call.

    One program that fails to load fails them all. Then the last complete catalog is used, with a warning, if one was
    kept that is not too old; it also stands in for an empty one, which most likely is a fault and not the truth.

    Attributes:
        read: Reads the API; called from several threads.
        keep_in: The file in which the last complete catalog is kept; None keeps none.
        max_age: How old a kept catalog may be to be used.
        workers: How many programs are read at once.
        clock: The time, aware.

    Example:
        >>> catalog = DiscoveryCatalog(read=lambda path, query=None: [])
        >>> catalog.programs()
        []
    """

    read: ReadDocument = field(repr=False)
    keep_in: Path | None = None
    max_age: timedelta = timedelta(days=1)
    workers: int = 8
    clock: Callable[[], datetime] = field(default=_now, repr=False)

    def programs(self) -> Sequence[Program]:
        """Return all active and retired programs, as they are now or, if they cannot be had, as they last were.

        Raises:
            AdapterError: If they cannot be had, and no catalog is kept that is young enough.
        """
        fetched_at = self.clock()
        try:
            programs = self._fetch()
        except AdapterError as exc:
            return self._fall_back(str(exc))
        if not programs:
            return self._fall_back("the API lists no program") if self.find_kept() else []
        self._keep(KeptCatalog(programs=programs, fetched_at=fetched_at))
        return programs

    def find_kept(self) -> KeptCatalog | None:
        """Return the kept catalog, however old; None if there is none that can be read."""
        if self.keep_in is None:
            return None
        try:
            return _read_kept(json.loads(self.keep_in.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, ConfigurationError) as exc:
            LOG.warning("%s: the kept catalog cannot be read: %s", self.keep_in, type(exc).__name__)
            return None

    def _fetch(self) -> list[Program]:
        listing = self.read(LISTING, EVERY_PROGRAM)
        if not isinstance(listing, list):  # a page of a list, for one, would be a part for the whole
            raise AdapterError(f"{LISTING}: a list of UUIDs is wanted here, not {type(listing).__name__}")
        uuids = dict.fromkeys(map(_to_uuid, listing))
        with ThreadPoolExecutor(self.workers, thread_name_prefix="credsync-discovery") as pool:
            return list(pool.map(self._fetch_program, uuids))  # what has not begun when one fails never does

    def _fetch_program(self, uuid: str) -> Program:
        path = f"{LISTING}{uuid}/"
        try:
            program = Program.from_dict(self.read(path), where=path)
        except ConfigurationError as exc:
            raise AdapterError(str(exc)) from exc
        if program.uuid != uuid:
            raise AdapterError(f"{path}: this is another program, {program.uuid}")
        return program

    def _fall_back(self, trouble: str) -> Sequence[Program]:
        kept = self.find_kept()
        if kept is None:
            raise AdapterError(f"the program catalog cannot be had, and none is kept: {trouble}")
        age = self.clock() - kept.fetched_at
        if age > self.max_age:
            raise AdapterError(f"the program catalog cannot be had, and the kept one is too old ({age}): {trouble}")
        LOG.warning("the program catalog cannot be had, so one is used that is %s old: %s", age, trouble)
        return kept.programs

    def _keep(self, catalog: KeptCatalog) -> None:
        """Write the file in one stroke: whoever reads it meanwhile has the old one or the new one."""
        if self.keep_in is None:
            return
        part = self.keep_in.with_name(f"{self.keep_in.name}.{os.getpid()}.part")
        try:
            with part.open("w", encoding="utf-8") as file:
                json.dump(_write_kept(catalog), file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.keep_in)
        except OSError as exc:
            LOG.warning("%s: the catalog cannot be kept: %s", self.keep_in, exc.strerror)
        finally:
            part.unlink(missing_ok=True)


def _to_uuid(value: object) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError as exc:
        raise AdapterError(f"{LISTING}: a UUID is wanted here, not {str(value)[:40]!r}") from exc


def _write_kept(catalog: KeptCatalog) -> dict[str, object]:
    """Write no more of each program than credsync reads: the API says much more."""
    programs = []
    for program in catalog.programs:
        facts = asdict(program)
        curriculum = {"courses": facts.pop("curriculum_courses")}
        programs.append({**facts, "curricula": [curriculum]})
    return {"format": FORMAT, "fetched_at": catalog.fetched_at.isoformat(), "programs": programs}


def _read_kept(document: Any) -> KeptCatalog:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']}")
    fetched_at = datetime.fromisoformat(document["fetched_at"])
    return KeptCatalog(programs=[Program.from_dict(program) for program in document["programs"]], fetched_at=fetched_at)
