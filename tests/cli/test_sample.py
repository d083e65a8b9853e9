"""`credsync sample`: what it writes, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from credsync.testing.campus import Campus, write_sample
from tests.cli.ledger_bench import credsync


def test_a_sample_is_written_and_counted(tmp_path: Path) -> None:
    """The sample is the campus of these options; its counts, its catalog and the next command are said."""
    path, same = tmp_path / "campus.db", tmp_path / "same.db"
    result = credsync("sample", str(path), "--learners", "30", "--courses", "6", "--programs", "2", "--seed", "7")
    summary = write_sample(same, Campus(learners=30, courses=6, programs=2, seed=7))
    rows = f"{summary.certificates} certificates, {summary.date_overrides} date overrides and {summary.grades} grades"
    assert path.read_bytes() == same.read_bytes()
    assert result.stdout.splitlines() == [
        f"{path}: a campus of 30 learners, {rows}",
        f"{tmp_path / 'campus.catalog.json'}: its catalog of 2 programs",
        "",
        "See what a run would send:",
        f"  credsync notify {path} --all --dry-run",
    ]
    assert result.stderr == ""


def test_the_next_command_works_as_it_stands(tmp_path: Path) -> None:
    """A path with a blank is quoted in the command to try next."""
    result = credsync("sample", str(tmp_path / "my campus.db"), "--learners", "1")
    assert result.stdout.splitlines()[-1] == f"  credsync notify '{tmp_path / 'my campus.db'}' --all --dry-run"


def test_a_sample_is_not_replaced_unasked(tmp_path: Path) -> None:
    """Files that are there stay, unless they are to be replaced."""
    path = tmp_path / "campus.db"
    path.write_text("precious")
    refused = credsync("sample", str(path), "--learners", "1", status=2)
    assert refused.stderr == f"credsync: {path} exists already; --overwrite replaces files that are there\n"
    assert path.read_text() == "precious"
    for option in ("--overwrite", "--force"):
        credsync("sample", str(path), "--learners", "1", option)
        assert path.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere/campus.db"], "the sample cannot be written: nowhere is not a directory"),
        (["campus.db", "--learners", "0"], "Invalid value for '--learners': 0 is not in the range x>=1."),
        (["campus.db", "--seed", "-1"], "Invalid value for '--seed': -1 is not in the range x>=0."),
        (["campus.db", "--courses", "many"], "Invalid value for '--courses': 'many' is not a valid integer range."),
        ([], "Missing argument 'PATH'."),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be a sample is refused in one line, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    assert credsync("sample", *arguments, status=2).stderr == f"credsync: {complaint}\n"
    assert list(tmp_path.iterdir()) == []
