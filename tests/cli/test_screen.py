"""Lines and tables: plain and aligned in a file, with rules and colours on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.text import Text
from typing_extensions import override

from credsync.cli.screen import Cell, Column, Screen, Styled, Table

TABLE = Table(
    [Column("records"), Column("sent", "green", is_number=True), Column("why")],
    [
        ["certificates", 12_345, "because"],
        ["grades", 0, Styled("", "red")],
        ["total", 12_345, ""],
    ],
    has_total=True,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    @override
    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing around the tests say what a terminal can do."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")


def test_a_file_gets_aligned_text() -> None:
    """In a file, numbers stand to the right, texts to the left, and no line ends in blanks."""
    file = io.StringIO()
    Screen(file).show(TABLE)
    assert file.getvalue().splitlines() == [
        "records         sent  why",
        "certificates  12,345  because",
        "grades             0",
        "total         12,345",
    ]


def test_a_terminal_gets_rules_and_colours() -> None:
    """On a terminal, a rule parts headings, rows and total, and a column has its colour, zeros aside."""
    terminal = Terminal()
    Screen(terminal).show(TABLE)
    lines = terminal.getvalue().splitlines()
    assert [set(Text.from_ansi(line).plain.strip()) == {"─"} for line in lines] == [
        False,
        True,
        False,
        False,
        True,
        False,
    ]
    assert "\x1b[32m12,345" in lines[2]
    assert "\x1b[2m" in lines[3]
    assert "\x1b[32m" not in lines[3]


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR a terminal gets its table without a colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    screen = Screen(terminal)
    screen.show(TABLE)
    screen.say("hello", "bold red")
    assert not any(f"\x1b[{code}" in terminal.getvalue() for code in ("3", "1;3", "9"))
    assert "12,345" in terminal.getvalue()


def test_brackets_are_no_markup() -> None:
    """What a sink says in brackets stays as it is, on a terminal too."""
    terminal = Terminal()
    Screen(terminal).say("no such run [bold]here[/bold] :smile:")
    Screen(terminal).show(Table([Column("why")], [["[red]x[/red]"]]))
    assert "[bold]here[/bold] :smile:" in terminal.getvalue()
    assert "[red]x[/red]" in terminal.getvalue()


def test_long_cells_are_folded_not_cut() -> None:
    """A course run that is wider than the terminal is folded over lines, in full."""
    terminal = Terminal()
    key = "course-v1:" + "LongX+" * 20
    Screen(terminal).show(Table([Column("course run")], [[key]]))
    assert "".join(Text.from_ansi(line).plain.strip() for line in terminal.getvalue().splitlines()[2:]) == key


def test_tabs_are_kept() -> None:
    """A line that is written to the letter keeps its tabs, on a terminal too."""
    terminal = Terminal()
    Screen(terminal).write("\tcourse-v1:X+Y+Z for user 7")
    assert terminal.getvalue() == "\tcourse-v1:X+Y+Z for user 7\n"


def test_what_the_encoding_lacks_is_escaped() -> None:
    """A letter that the stream cannot encode is escaped, not an error."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    Screen(file).say("course-v1:Ü+Y+Z")
    file.flush()
    assert raw.getvalue() == b"course-v1:\\xdc+Y+Z\n"


COURSE_RUN = "course-v1:ScienceX+BIO102.1x+3T2023"


def shown(table: Table, width: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Show a table on a terminal of some width."""
    monkeypatch.setenv("COLUMNS", width)
    terminal = Terminal()
    Screen(terminal).show(table)
    return [Text.from_ansi(line).plain.rstrip() for line in terminal.getvalue().splitlines()]


def test_a_narrow_terminal_breaks_neither_keys_nor_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A course key in two pieces cannot be copied; what can be read in pieces makes room."""
    columns = [Column("failure"), Column("user id"), Column("course run"), Column("why")]
    why = "failed: invalid percent_grade: 5 is outside 0 to 1"
    lines = shown(Table(columns, [["grade", "123456", COURSE_RUN, why]]), "80", monkeypatch)
    assert max(map(len, lines)) <= 80
    assert lines[2].startswith(f"grade    123456   {COURSE_RUN}  failed:")
    assert " ".join(" ".join(lines[2:]).split()).endswith("outside 0 to 1")
    assert why.split() == [word for line in lines[2:] for word in line.split() if word in why.split()]


def test_a_narrow_terminal_leaves_out_mere_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of nothing but zeros go where there is no room for them, and stay where there is."""
    columns = [Column("records"), *(Column(name, is_number=True) for name in ("read", "sent", "rejected", "failed"))]
    rows: list[list[Cell]] = [["certificates", 500_000, 500_000, 0, 0], ["total", 500_000, 500_000, 0, 0]]
    table = Table(columns, rows, has_total=True)
    assert shown(table, "40", monkeypatch)[0].split() == ["records", "read", "sent"]
    assert shown(table, "60", monkeypatch)[0].split() == ["records", "read", "sent", "rejected", "failed"]


def test_a_terminal_that_is_too_narrow_for_anything_gets_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces, then."""
    lines = shown(TABLE, "12", monkeypatch)
    pieces = "".join("".join(line[:3] for line in lines).split())
    assert "certificates" in pieces
    assert {"1", "2", "3", "4", "5"} <= set("".join(lines))
