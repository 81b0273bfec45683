"""The Markdown pages: links and anchors lead somewhere, lists are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pantoum.apps.convert.hub import CARD

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower() for heading in headings)
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: there is no {target}"
        assert target.is_relative_to(ROOT), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading among {sorted(anchors(target))}"


@pytest.mark.parametrize("card", [(ROOT / "bases" / "english" / "README.md").read_text("utf-8"), CARD])
def test_a_model_card_begins_with_front_matter(card: str) -> None:
    """The Hub reads the licence there; a formatter that does not know it makes a heading of it."""
    begin, lines, rest = card.split("---\n", 2)
    assert begin == "" and rest.lstrip().startswith("# ")
    assert all(re.fullmatch(r"\w+:( \S.*)?|- \S+", line) for line in lines.splitlines())
    names = re.findall(r"^(\w+):", lines, re.MULTILINE)
    assert len(names) == len(set(names)) and {"license", "library_name", "pipeline_tag", "tags"} <= set(names)


def test_the_list_of_decisions_is_complete() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\(([^)]+\.md)\)", (folder / "index.md").read_text("utf-8")))
    assert listed == {page.name for page in folder.glob("*-*.md")}


def test_a_decision_is_short() -> None:
    lengths = {
        page.name: len(page.read_text("utf-8").split())
        for page in (ROOT / "docs" / "decisions").glob("*-*.md")
    }
    assert {name: words for name, words in lengths.items() if words > 250} == {}


def test_no_two_decisions_have_one_number() -> None:
    numbers = [page.name[:3] for page in (ROOT / "docs" / "decisions").glob("*-*.md")]
    assert len(numbers) == len(set(numbers))


def test_the_log_lists_its_pages_and_each_has_a_dated_section() -> None:
    folder = ROOT / "docs" / "log"
    pages = {page.name for page in folder.glob("*.md")} - {"index.md"}
    assert pages <= set(re.findall(r"\]\(([^)#]+\.md)\)", (folder / "index.md").read_text("utf-8")))
    for name in pages:
        sections = re.findall(r"^## (.+)$", (folder / name).read_text("utf-8"), re.MULTILINE)
        dates = [re.search(r"\((\d{4}-\d\d-\d\d)\)$", section) for section in sections]
        assert sections and all(dates), f"{name}: a heading without a date"
        found = [date[1] for date in dates if date]
        assert found == sorted(found, reverse=True), f"{name}: the newest section comes first"
