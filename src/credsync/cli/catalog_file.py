"""The program catalog as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from credsync.catalog import Program, ProgramIndex
from credsync.errors import ConfigurationError

__all__ = ["read_catalog"]


def read_catalog(path: Path) -> ProgramIndex:
    """Read the programs of a file: a list of them, or the catalog API's answer, an object with the list as `results`.

    Raises:
        ConfigurationError: If the file cannot be read, is no JSON, or has another shape; the message says where.
    """
    programs = _read_json(path)
    where = str(path)
    if isinstance(programs, dict):
        # One page of several is not the catalog: with it, the programs of the others would silently be none.
        if programs.get("next") or programs.get("previous"):
            raise ConfigurationError(f"{where}: this is one page of a catalog; save all of its programs in one list")
        programs, where = programs.get("results"), f"{where}: results"
    if not isinstance(programs, list):
        raise ConfigurationError(f"{where}: a list of programs is wanted here, not {type(programs).__name__}")
    return ProgramIndex(Program.from_dict(program, where=f"{where}[{index}]") for index, program in enumerate(programs))


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise ConfigurationError(f"{path}: the catalog cannot be read: {exc.strerror}") from exc
    except json.JSONDecodeError as exc:
        raise ConfigurationError(f"{path}: not JSON: line {exc.lineno}, column {exc.colno}: {exc.msg}") from exc
    except (UnicodeDecodeError, RecursionError) as exc:
        raise ConfigurationError(f"{path}: not JSON: {exc}") from exc
