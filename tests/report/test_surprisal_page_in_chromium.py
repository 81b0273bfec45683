"""The page of ``score --format html`` in a real browser: one sheet is shown, and links lead to the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.report.surprisal import Page

pytestmark = pytest.mark.slow


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pantoum.report.surprisal.SHEET", 20)
    page = Page("app.log " * 9, "line", 5.0)
    units = [([(f"line {n} " * 30, 9.0 if n == 47 else 0.5), ("\n", 0.1)], 9.0, n == 47) for n in range(60)]
    path = tmp_path / "scores.html"
    path.write_text(page.begin() + page.rows(units) + page.end(60, 120, 90.0), encoding="utf-8")
    return path


def shown_sheets(page: Any) -> list[str]:
    return [s.get_attribute("id") for s in page.locator("main > section").all() if s.is_visible()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_its_pictures_are_right(tab: Callable[..., Any], scores: Path, width: int, scheme: str) -> None:
    shown = tab(width, scheme)
    shown.page.goto(scores.as_uri())
    assert shown.overflow() <= 0 and not shown.wrong
    assert shown.worst_contrast()[0] >= 4.5
    assert shown.asked == [scores.as_uri()]


def test_links_lead_to_the_sheet_of_an_alert_and_to_the_next_one(
    tab: Callable[..., Any], scores: Path
) -> None:
    page = tab().page
    page.goto(scores.as_uri())
    assert shown_sheets(page) == ["p0"]
    page.locator("details a").click()
    assert shown_sheets(page) == ["p4"] and page.locator("mark#a0").is_visible()
    page.locator("#p4 a", has_text="next page").click()
    assert shown_sheets(page) == ["p5"]
    page.locator("#p5 a", has_text="previous page").click()
    assert shown_sheets(page) == ["p4"]
    page.emulate_media(media="print")
    assert len(shown_sheets(page)) == 6
