"""What tests of the command work with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from credsync.testing.campus import Campus, write_sample
from tests.cli.ledger_bench import Bench
from tests.eavesdropping import EAVESDROPPER


@pytest.fixture(scope="session", autouse=True)
def commands_overheard() -> Iterator[None]:
    """Listen to all that commands print, too."""
    invoke = CliRunner.invoke

    def overheard(*args: Any, **kwargs: Any) -> Result:
        result = invoke(*args, **kwargs)
        EAVESDROPPER.hear("command", result.output)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CliRunner, "invoke", overheard)
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench on which one run has refused something; to be looked at only."""
    bench = Bench(tmp_path_factory.mktemp("ledger"))
    write_sample(bench.campus, Campus(learners=30))
    bench.run()
    return bench


@pytest.fixture
def bench(finished: Bench, tmp_path: Path) -> Bench:
    """The same, to be worked on."""
    shutil.copytree(finished.directory, tmp_path, dirs_exist_ok=True)
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample campus with its catalog beside it; to be read only."""
    path = tmp_path_factory.mktemp("campus") / "campus.db"
    write_sample(path, Campus(learners=60, courses=8, programs=9))
    return path


@pytest.fixture
def own_campus(campus: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    shutil.copytree(campus.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / campus.name
