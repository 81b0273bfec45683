"""What nobody vouches for is shown, not obeyed, and nothing vanishes without a trace."""

from __future__ import annotations

import html
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pantoum.report.escape import markup, visible

ANY = st.text(st.characters(codec=None), max_size=60)


def test_a_hostile_text_is_harmless(hostile: str) -> None:
    shown = visible(hostile)
    assert "\x1b" not in shown and "␛[2J" in shown
    assert "⟨U+202E⟩" in shown and "␀" in shown and "\ufffd" in shown
    assert "<" not in markup(hostile) and '"' not in markup(hostile) and "&lt;/script&gt;" in markup(hostile)


def test_lines_and_tabs_stay() -> None:
    assert visible("a\r\nb\tc\n") == "a\nb\tc\n"
    assert visible("a\rb\x7f\x85") == "a␍b␡⟨U+0085⟩"


@given(ANY)
def test_nothing_unprintable_is_left(text: str) -> None:
    left = set(visible(text)) - {"\n", "\t", "\u200d"}
    assert not {c for c in left if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")}
    visible(text).encode()


@given(ANY)
def test_markup_is_the_visible_text_in_html(text: str) -> None:
    assert html.unescape(markup(text)) == visible(text)
