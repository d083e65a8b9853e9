"""Bad input of `credsync notify`: one clear line that names it, the right status, and nothing done unasked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.ledger_bench import credsync


def complaint(*arguments: object, status: int = 2) -> str:
    """Return the one line that a wrong use leads to."""
    result = credsync(*map(str, arguments), status=status)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("credsync: ")
    return line.removeprefix("credsync: ")


def test_it_wants_a_filter(campus: Path, tmp_path: Path) -> None:
    """Without a filter it refuses to run, names the filters there are, and makes no outbox."""
    out = tmp_path / "outbox.db"
    line = complaint("notify", campus, "--out", out)
    assert line.startswith("not without any filter: give --courses, --program-uuids, --orgs, --user-ids, --start-date,")
    assert "--all" in line
    assert not out.exists()


def test_it_wants_somewhere_to_send(campus: Path) -> None:
    """Without an outbox it refuses to run, unless it is to be dry."""
    assert complaint("notify", campus, "--all").startswith("nothing says where to send: ")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--page-size", "0"], "page size 0: a page holds 1 record or more"),
        (["--page-size", "many"], "Invalid value for '--page-size': 'many' is not a valid integer."),
        (["--delay", "-1"], "delay -1.0: a pause lasts 0 seconds or more, and ends"),
        (["--delay", "nan"], "delay nan: a pause lasts 0 seconds or more, and ends"),
        (["--max-failures", "-1"], "Invalid value for '--max-failures': -1 is not in the range x>=0."),
        (["--courses", "nonsense"], "Invalid value for '--courses': course run 'nonsense': not a course key"),
        (["--courses"], "Option '--courses' requires an argument."),
        (["--program_uuids", "6883"], "Invalid value for '--program-uuids': '6883' is not a UUID"),
        (["--start-date", "soon"], "Invalid value for '--start-date': 'soon' is not a time such as 2024-03-01 or"),
        (
            ["--start-date", "2024-02-01", "--end-date", "2024-02-01"],
            "the window is empty: it starts at 2024-02-01T00:00:00+00:00, not before its end 2024-02-01T00:00:00+00:00",
        ),
        (
            ["--site", "no.example.org"],
            "there is no site no.example.org with an enabled configuration; there are: campus.",
        ),
        (["--revoke_program_certs"], "--revoke-program-certs says nothing without --notify-programs"),
        (["--catalog", "none.json"], "none.json: the catalog cannot be read: No such file or directory"),
        (["--out", "nowhere/outbox.db"], "nowhere/outbox.db: there is no directory nowhere"),
        (["--frobnicate"], "No such option '--frobnicate'."),
        (["other.db"], "Got unexpected extra argument (other.db)"),
    ],
)
def test_wrong_options_are_named(
    options: list[str], line: str, campus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wrong option is named in one line, and no file is made."""
    monkeypatch.chdir(tmp_path)
    assert complaint("notify", campus, "--all", "--out", "outbox.db", *options).startswith(line)
    assert list(tmp_path.iterdir()) == []


def test_a_catalog_is_wanted(own_campus: Path) -> None:
    """Without a catalog, named or found, nothing is known of programs, and it does not run."""
    own_campus.with_suffix(".catalog.json").unlink()
    line = complaint("notify", own_campus, "--all", "--dry-run")
    assert line.startswith("no program catalog: --catalog names its file, and there is no ")
    assert line.count("campus.catalog.json") == 1


def test_the_source_is_wanted() -> None:
    """Without a source it says what is missing."""
    assert complaint("notify", "--all", "--dry-run") == "Missing argument 'SOURCE'."


@pytest.mark.parametrize("content", [None, b"certificates,grades\n" * 100])
def test_a_source_that_is_no_database_is_named(content: bytes | None, tmp_path: Path) -> None:
    """A file that is missing or no database is named, and not made."""
    path = tmp_path / "campus.db"
    if content:
        path.write_bytes(content)
    reason = "it is not a SQLite database" if content else "no such file"
    assert complaint("notify", path, "--all", "--dry-run") == f"{path}: {reason}"
    assert path.exists() is bool(content)


@pytest.mark.parametrize(
    ("statement", "lack"),
    [
        ("DROP TABLE certificates_certificatedateoverride", "certificates_certificatedateoverride"),
        ("ALTER TABLE grades_persistentcoursegrade RENAME COLUMN letter_grade TO letter", "letter_grade"),
        ("DROP TABLE auth_user", "auth_user"),
    ],
)
def test_a_source_that_lacks_something_says_what(statement: str, lack: str, own_campus: Path, tmp_path: Path) -> None:
    """A table or column that is missing is found before anything is sent."""
    out = tmp_path / "outbox.db"
    with closing(sqlite3.connect(own_campus)) as connection, connection:
        connection.executescript(f"PRAGMA legacy_alter_table = ON; {statement}")
    line = complaint("notify", own_campus, "--all", "--out", out)
    assert line.startswith(f"{own_campus}: ")
    assert lack in line
    assert not out.exists()


def test_a_locked_source_is_named(own_campus: Path) -> None:
    """A source that another process has locked is named."""
    with closing(sqlite3.connect(own_campus)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        line = complaint("notify", f"sqlite:///{own_campus}?timeout=0.01", "--all", "--dry-run", *beside(own_campus))
    assert line == f"{own_campus}: it is locked by another process"


def beside(campus: Path) -> list[str]:
    """Name the catalog beside a campus, for a source that is a URL."""
    return ["--catalog", str(campus.with_suffix(".catalog.json"))]


def test_a_locked_outbox_is_named(campus: Path, tmp_path: Path) -> None:
    """An outbox that another process has locked is named; nothing was sent."""
    out = tmp_path / "outbox.db"
    with closing(sqlite3.connect(out)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        line = complaint("notify", campus, "--all", "--out", f"sqlite:///{out}?timeout=0.01")
    assert line == f"{out}: it is locked by another process"


def test_a_read_only_outbox_is_named(campus: Path, tmp_path: Path) -> None:
    """An outbox that cannot be written to is named before anything is read."""
    out = tmp_path / "outbox.db"
    with closing(sqlite3.connect(out)) as connection, connection:
        connection.execute("CREATE TABLE other (id integer)")
    line = complaint("notify", campus, "--all", "--out", f"sqlite:///file:{out}?mode=ro&uri=true")
    assert line.endswith(": it is read-only")


def test_an_outbox_that_is_no_database_is_named(campus: Path, tmp_path: Path) -> None:
    """A file that is no database does not become an outbox."""
    out = tmp_path / "outbox.db"
    out.write_bytes(b"precious\n" * 100)
    assert complaint("notify", campus, "--all", "--out", out) == f"{out}: it is not a SQLite database"
    assert out.read_bytes() == b"precious\n" * 100


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_the_source_is_no_outbox(prefix: str, own_campus: Path) -> None:
    """The source is never written to, by whichever name it is called."""
    before = own_campus.read_bytes()
    line = complaint("notify", own_campus, "--all", "--out", f"{prefix}{own_campus.parent}/./{own_campus.name}")
    assert line == "--out is the source itself, which is never written to: name another database"
    assert own_campus.read_bytes() == before


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:s3cret@127.0.0.1:1/lms",
        "postgresql+psycopg://reader:s3c%40ret@127.0.0.1:1/lms?password=s3cret",
        "mysql://reader:s3cret@127.0.0.1:1/lms",
        "oracle://reader:s3cret@127.0.0.1:1/lms",
        "nonsense://reader:s3cret@127.0.0.1:1/lms",
        "postgresql:/ada:s3cret@127.0.0.1/lms",
        "postgresql://reader:s3c ret@127.0.0.1:one/lms",
        "://reader:s3cret@127.0.0.1/lms",
    ],
)
@pytest.mark.parametrize("as_source", [True, False])
def test_no_password_is_printed(url: str, as_source: bool, campus: Path) -> None:
    """Whatever is wrong with a URL, its password is in no message."""
    arguments = [url, "--dry-run", *beside(campus)] if as_source else [campus, "--out", url]
    line = complaint("notify", *arguments, "--all", "--verbose")
    assert "s3c" not in line
    assert "ret@" not in line


def test_no_password_of_a_misplaced_url_is_printed(campus: Path) -> None:
    """A URL where none belongs is quoted without its password."""
    url = "mysql://reader:s3c ret@db/lms"
    assert complaint("notify", campus, url, "--all") == "Got unexpected extra argument (mysql://reader:***@db/lms)"
    assert "s3c" not in complaint("notify", campus, "--all", "--start-date", url)
    assert "s3c" not in complaint(url)
