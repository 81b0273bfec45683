"""Text coloured by surprisal: escaped, legible in both modes, not by colour alone."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.report import surprisal
from pantoum.report.surprisal import Page


class Text(HTMLParser):
    """The text of the <pre>, and what stands around it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.figures, self._inside = "", set(), [], False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._inside = self._inside or tag == "pre"
        found = dict(attributes)
        self.figures += [f"{found['data-n']} nats"] if "data-n" in found else []

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "pre"

    def handle_data(self, data: str) -> None:
        self.text += data if self._inside else ""


@pytest.mark.parametrize(("nats", "level"), [
    (0.0, 0), (0.49, 0), (0.5, 1), (1.0, 2), (7.9, 6), (8.0, 7),
    (math.inf, 7),
])  # fmt: skip
def test_levels(nats: float, level: int) -> None:
    assert surprisal.level(nats) == level


def test_pieces_tints_figures_and_legend() -> None:
    page = surprisal.html([([("Once", None), (" upon", 0.2), ("\n", 4.5)], 4.5, False)])
    assert '<pre>Once<i data-n="0.20"> upon</i><i class="s5" data-n="4.50"><b>↵</b>\n</i></pre>' in page
    assert "nats per token" in page and "mean 2.350 over 2 tokens" in page
    assert page.startswith("<style>")


def test_a_hostile_text_stays_text(hostile: str) -> None:
    found = Text(surprisal.fragment([hostile], [1.0]))
    assert found.tags <= {"div", "pre", "i", "p", "span", "b"}
    assert "</script>" in found.text and "\x1b" not in found.text
    page = Page(hostile, "line", 1.0)
    whole = page.begin() + page.rows([([(hostile, 2.0)], 2.0, True)]) + page.end(1, 1, 2.0)
    whole.encode()
    assert "<b>x" not in whole and "</script>" not in whole


@given(st.lists(st.tuples(st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=5),
                          st.one_of(st.none(), st.floats(0, 20))), max_size=9))  # fmt: skip
def test_the_text_is_all_there(pairs: list[tuple[str, float | None]]) -> None:
    page = surprisal.fragment([p for p, _ in pairs], [n for _, n in pairs])
    assert Text(page).text == "".join(p for p, _ in pairs)


def test_part_of_a_character_adds_its_nats_to_the_next_piece() -> None:
    assert Text(surprisal.fragment(["", "é", "x"], [2.0, 1.5, 0.1])).figures == ["3.50 nats", "0.10 nats"]


def test_an_impossible_token_has_no_figure() -> None:
    page = surprisal.fragment(["a", "b"], [math.inf, 1.0])
    assert "infinitely many" in page and "inf" not in page.replace("infinitely", "")


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError):
        surprisal.fragment(["a"], [1.0, 2.0])


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_legend_are_legible_on_every_tint(mode: str, contrast: Callable[[str, str], float]) -> None:
    blocks = re.findall(r"\{(--s-ink:[^}]*)", surprisal.style())
    colours = dict(re.findall(r"--(s[\w-]*):(#[0-9a-f]{6})", blocks[mode == "dark"]))
    assert len(colours) == 11
    for level in range(8):
        assert contrast(colours["s-ink"], colours[f"s{level}"]) >= 4.5, level
    assert contrast(colours["s-soft"], colours["s0"]) >= 4.5


def test_an_alert_is_framed_without_its_line_end() -> None:
    unit = ([("odd", 9.0), ("\n", 0.1)], 9.0, True)
    assert surprisal.marked(unit, "a0").startswith('<mark id="a0"><i class="s7" data-n="9.00"')
    assert surprisal.marked(unit, "a0").index("</mark>") < surprisal.marked(unit, "a0").index("↵")
    assert "<mark" not in surprisal.marked((unit[0], 9.0, False), "a0")
    assert "</mark>" in surprisal.marked(([("\n", 9.0)], 9.0, True), "a0")


def test_a_page_grows_and_says_at_its_head_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.report.surprisal.MOST_LINKS", 2)
    page = Page("app.log", "line", 5.0)
    unit = ([("odd", 9.0), ("<\n", 0.1)], 9.0, True)
    text = page.begin() + "".join(page.rows([unit]) for _ in range(3)) + page.end(3, 6, 27.3)
    assert (
        Text(text).text.strip() == "odd<↵\n" * 2 + "odd<↵"
        and Text(text).figures == ["9.00 nats", "0.10 nats"] * 3
    )
    head = text[text.index("<header>") :]
    assert "3 lines above the threshold, the first 2 of them" in head and "<i>line 2</i>" in head
    assert "<dd>4.550</dd>" in head and head.count("<li>") == 2 and 'href="#a1"' in head
    assert "no script" not in text and "<script" not in text and "http:" not in text and "https:" not in text


def test_a_long_text_is_divided_into_pages_and_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.report.surprisal.SHEET", 10)
    page = Page("long", "line", 5.0)
    units = [([(f"line {n}", 9.0 if n == 17 else 0.5), ("\n", 0.1)], 9.0, n == 17) for n in range(1, 26)]
    text = page.begin() + page.rows(units[:9]) + page.rows(units[9:]) + page.end(25, 50, 30.0)
    sections = text.split("<section ")[1:]
    assert len(sections) == 5 and all(f'id="p{n}"' in section for n, section in enumerate(sections))
    assert len(Text(text).figures) == 50 and '<a href="#a0"' in text and 'id="a0"' in sections[3]
    assert 'href="#p1">next page' in sections[0] and 'href="#p0">previous page' in sections[1]
    assert "next page" not in sections[4] and "5 pages, from" in text
    assert [f'<a href="#p{n}">line {5 * n + 1}</a>' in text for n in range(5)] == [True] * 5


def test_a_page_without_a_threshold_speaks_of_no_alerts() -> None:
    page = Page("empty", "token", None)
    head = page.begin() + page.rows([]) + page.end(0, 0, 0.0)
    assert "alert" not in head.replace("--s-alert", "") and "<dt>tokens</dt><dd>0</dd>" in head
