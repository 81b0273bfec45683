"""The report in a real browser: no error, no request, nothing wider than the window, every word legible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.report.run_page import render
from pantoum.report.story import Story

pytestmark = pytest.mark.slow
Make = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def page(
    tmp_path: Path, make_records: Make, config: dict[str, Any], evaluation: dict[str, Any], hostile: str
) -> Path:
    records = make_records(60, 40, notes=[hostile])
    records[20]["sample"] = hostile * 20 + "x" * 300
    pieces = [*"Once upon a time\n", hostile, "end"]
    path = tmp_path / "report.html"
    story = Story(
        "a long name_" * 9, config, records, evaluation, (pieces, [0.7 * i for i in range(len(pieces))])
    )
    path.write_text(render(story), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_its_pictures_are_right(tab: Callable[..., Any], page: Path, width: int, scheme: str) -> None:
    shown = tab(width, scheme)
    shown.page.goto(page.as_uri())
    assert shown.overflow() <= 0
    ratio, words = shown.worst_contrast()
    assert ratio >= 4.5, words
    ground = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(22, 20, 18)") == (scheme == "dark")
    assert [url for url in shown.asked if not url.startswith("data:")] == [page.as_uri()]
    assert not shown.wrong


def test_pointing_at_a_curve_reads_it(tab: Callable[..., Any], page: Path) -> None:
    shown = tab().page
    shown.goto(page.as_uri())
    curve = shown.locator("svg.curve").first
    curve.scroll_into_view_if_needed()
    place = curve.bounding_box()
    shown.mouse.move(place["x"] + 5, place["y"] + 50)
    words = shown.locator("svg.curve g[visibility=visible] text").first.text_content()
    assert words == "6,400:  training 3.217  validation 2.211 at 38.4 k"


def test_the_page_reloads_only_when_a_reader_wants_it(tab: Callable[..., Any], page: Path) -> None:
    shown = tab().page
    shown.goto(page.as_uri())
    follow = shown.locator("a.follow")
    assert follow.text_content() == "reload while it runs"
    follow.click()
    # The click changes the fragment, and the page then loads itself anew: two navigations, the last counts.
    shown.locator("a.follow", has_text="stop reloading").wait_for()
    assert shown.evaluate("performance.getEntriesByType('navigation')[0].type") == "reload"
