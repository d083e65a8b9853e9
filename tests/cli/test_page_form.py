"""How the report page is made: safe to open, with nothing to fetch, and readable by everybody."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files

import pytest

from credsync.cli.page import render_page
from credsync.cli.page.markup import element, fragment
from credsync.errors import RecordName
from credsync.history import PastRun
from credsync.ledger import RunHeader
from credsync.report import Failure, Stopped, Verdict
from tests.cli.page_reading import BEGIN, EVERYTHING, Page, failure, past_run


def test_holds_no_password() -> None:
    """The password of the destination's URL never gets onto the page."""
    page = render_page(past_run(EVERYTHING, destination="mysql://ops:hunter2@db/outbox?password=swordfish"))
    assert "hunter2" not in page
    assert "swordfish" not in page
    assert "mysql://ops:***@db/outbox" in page


EVIL = "</code></style><script>alert('1')</script><img src=x onerror=\"alert(2)\">&amp;\x00\ud800"


def evil_run() -> PastRun:
    """Build a run in which every text that comes from somewhere tries to break out."""
    counts = {("grade", EVIL, verdict, f"{verdict}{EVIL}"): 1 for verdict in map(str, Verdict)}
    named = Failure(record=RecordName(EVIL, 1, EVIL), verdict=Verdict.FAILED, reason=EVIL)
    scope = {EVIL: EVIL, "selection": {"orgs": [EVIL]}}
    return past_run(
        counts,
        failures=[named],
        stopped=Stopped(reason=EVIL, stage=EVIL),
        status="stopped",
        destination=EVIL,
        process=EVIL,
        header=RunHeader(scope=scope, started=BEGIN, job=EVIL),
    )


def test_escapes_every_text() -> None:
    """No text, wherever it comes from, becomes a part of the page's structure, and all of it can be read."""
    page = Page.of(evil_run())
    assert {tag for tag, _ in page.starts} == {
        tag for tag, _ in Page.of(past_run(EVERYTHING, failures=[failure()])).starts
    }
    assert sum(text.count("alert('1')") for text in page.texts) >= 20


def test_can_be_written_as_utf8() -> None:
    """Characters that no HTML may hold are replaced, so that the page can be written and shown."""
    page = render_page(evil_run())
    assert page.encode()
    assert "\x00" not in page


def test_needs_neither_network_nor_script() -> None:
    """Nothing on the page is fetched from anywhere, and nothing on it runs; its own policy forbids both."""
    page = Page.of(past_run(EVERYTHING))
    assert {"script", "iframe", "object", "img"}.isdisjoint(tag for tag, _ in page.starts)
    assert not [name for _, attributes in page.starts for name in attributes if name.startswith("on")]
    assert [*page.attributes("href"), *page.attributes("src")] == ["data:,"]
    assert re.findall(r"url\((.*?)\)", render_page(past_run(EVERYTHING))) == re.findall(
        r"url\((#fill-\w+)\)", render_page(past_run(EVERYTHING))
    )
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page.attributes("content")


@pytest.mark.parametrize("run", [past_run(), past_run(EVERYTHING, failures=[failure()]), evil_run()])
def test_is_well_formed(run: PastRun) -> None:
    """Every element ends where it should, ids are unique, and what refers to one finds it."""
    page = Page.of(run)
    assert (page.unbalanced, page.left_open) == ([], [])
    ids = list(page.attributes("id"))
    assert len(ids) == len(set(ids))
    assert set(page.attributes("aria-labelledby")) <= set(ids)
    assert {fill.removeprefix("url(#").removesuffix(")") for fill in page.attributes("fill")} <= set(ids)


def test_can_be_listened_to() -> None:
    """Tables have captions and say what their headings are for; a picture is described, or is decoration."""
    page = Page.of(past_run(EVERYTHING, failures=[failure()]))
    tags = Counter(tag for tag, _ in page.starts)
    assert tags["caption"] == tags["table"] == 6
    assert all(attributes.get("scope") for tag, attributes in page.starts if tag == "th")
    pictures = [attributes for tag, attributes in page.starts if tag == "svg"]
    assert all(
        picture.get("aria-hidden") == "true" or (picture.get("role") == "img" and picture.get("aria-label"))
        for picture in pictures
    )


def luminance(color: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(color: str, other: str) -> float:
    """Return the contrast of two colours, as WCAG 2 defines it."""
    light, dark = sorted((luminance(color), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_has_enough_contrast(scheme: str) -> None:
    """Text meets WCAG AA on the page, and so do the fillings of charts, by daylight and by night."""
    css = files("credsync.cli.page").joinpath("page.css").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in css.split("@media", 2)[:2])
    colors = light if scheme == "light" else dark
    assert set(light) == set(dark)
    page = colors["page"]
    for name in ("ink", "quiet", "good", "warning", "bad"):
        assert contrast(colors[name], page) >= 4.5, name
    assert contrast(colors["on-tone"], colors["bad"]) >= 4.5
    for verdict in Verdict:
        assert contrast(colors[verdict], page) >= 3, verdict


def test_tells_verdicts_apart_without_colour() -> None:
    """Fillings whose colours are alike in lightness differ in texture."""
    page = Page.of(past_run(EVERYTHING))
    patterns = [attributes.get("id") for tag, attributes in page.starts if tag == "pattern"]
    assert sorted(map(str, patterns)) == sorted(f"fill-{verdict}" for verdict in Verdict)
    textures = [
        place for place, (_, attributes) in enumerate(page.starts) if "texture" in (attributes.get("class") or "")
    ]
    assert len(textures) == 4


def test_markup_escapes_but_for_markup() -> None:
    """Text and attributes are escaped once, and markup is left alone, however often it is put into more."""
    inner = element("b", "<&>", title='"')
    assert fragment(element("p", inner, 5, None)) == '<p><b title="&quot;">&lt;&amp;&gt;</b>5</p>'
