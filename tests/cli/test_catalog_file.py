"""The catalog file: both of its shapes, and what is said of one that is neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from credsync.cli.catalog_file import read_catalog
from credsync.errors import ConfigurationError

UUID = "6883080f-0000-4000-8000-000000000001"
PROGRAM = {"uuid": UUID, "courses": [{"course_runs": [{"key": "course-v1:X+Y+Z", "type": "verified"}]}]}


@pytest.mark.parametrize("document", [[PROGRAM], {"results": [PROGRAM]}, {"results": [PROGRAM], "next": None}])
def test_a_list_and_an_answer_are_read(document: object, tmp_path: Path) -> None:
    """A list of programs is read, and so is the catalog API's answer that holds one."""
    path = tmp_path / "programs.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    index = read_catalog(path)
    assert [program.uuid for program in index.programs_of("course-v1:X+Y+Z")] == [UUID]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """A file that an editor has marked as UTF-8 is JSON all the same."""
    path = tmp_path / "programs.json"
    path.write_text(json.dumps([PROGRAM]), encoding="utf-8-sig")
    assert len(read_catalog(path).programs()) == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", ": not JSON: line 1, column 1: Expecting value"),
        (b'[\n  {"uuid" 7}\n]', ": not JSON: line 2, column 11: Expecting ':' delimiter"),
        (b"\xff\xfe[]", ": not JSON: 'utf-8' codec can't decode byte 0xff"),
        pytest.param(b"[" * 100_000, ": not JSON: ", id="nested too deep"),
        (b"7", ": a list of programs is wanted here, not int"),
        (b"{}", ": results: a list of programs is wanted here, not NoneType"),
        (b'{"results": {}}', ": results: a list of programs is wanted here, not dict"),
        (b'{"results": [], "next": "https://catalog/programs/?page=2"}', ": this is one page of a catalog"),
        (b'{"results": [], "previous": "https://catalog/programs/?page=1"}', ": this is one page of a catalog"),
        (b"[7]", "[0]: an object is wanted here, not int"),
        (b"[{}]", "[0].uuid: missing"),
        (b'{"results": [{"uuid": "x"}]}', ": results[0].uuid: 'x' is not a UUID"),
        (
            json.dumps([PROGRAM, {"uuid": UUID, "courses": [{"course_runs": [{}]}]}]).encode(),
            "[1].courses[0].course_runs[0].key: missing",
        ),
    ],
)
def test_another_content_is_told_by_its_place(content: bytes, complaint: str, tmp_path: Path) -> None:
    """What is no catalog is refused, with the file's name and the place in it."""
    path = tmp_path / "programs.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_catalog(path)
    assert str(caught.value).startswith(f"{path}{complaint}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is named with the system's reason."""
    with pytest.raises(ConfigurationError, match=r"none\.json: the catalog cannot be read: No such file or directory"):
        read_catalog(tmp_path / "none.json")
