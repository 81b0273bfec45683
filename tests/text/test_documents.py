from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pantoum.text import bpe, documents, pieces, word
from pantoum.text.documents import BORDER_SIGN, eos_text, mark, mark_blocks, sign_of
from pantoum.text.pieces import chunks


def test_a_run_of_blank_lines_is_one_border() -> None:
    assert mark("a\nb\n\n\n \t\nc\n", "blank-lines") == f"a\nb{BORDER_SIGN}c\n"
    assert mark("a\r\n\r\nb", "blank-lines") == f"a{BORDER_SIGN}b"
    assert mark("a\n\nb", "lines") == mark("a\n\nb", None) == "a\n\nb"
    assert mark("a\r\n\rb\r\r\n", "lines") == "a\n\rb\r\n" and mark("a\r\n", None) == "a\r\n"


def test_what_eos_reads() -> None:
    assert [eos_text(kind) for kind in (None, "lines", "blank-lines", "files")] == ["", "\n", "\n\n", ""]
    assert (sign_of("lines"), sign_of("files")) == ("\n", BORDER_SIGN)


@pytest.mark.parametrize("text", ["a\r\n \t\n\r\nb", "\n\n", "a\n  b\n\r", "x\r\r\n\n", "a \n", "\n \n"])
def test_borders_are_found_wherever_blocks_are_cut(text: str) -> None:
    for cut in range(len(text) + 1):
        for end in range(cut, len(text) + 1):
            parts = [text[:cut], text[cut:end], text[end:]]
            for kind in ("lines", "blank-lines"):
                assert "".join(mark_blocks(parts, kind)) == mark(text, kind)


def test_blank_lines_without_end_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LONGEST", 100)
    found = list(mark_blocks(["a", *["\n" * 50] * 20, "b"], "blank-lines"))
    assert "".join(found) == f"a{BORDER_SIGN}b"


def test_carriage_returns_without_end_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LONGEST", 100)
    found = list(mark_blocks(["a", *["\n \r "] * 100, "b"], "blank-lines"))
    assert "".join(found).endswith("b") and max(map(len, found)) <= 110


def test_a_wide_line_of_spaces_is_not_blank() -> None:
    text = "a\n" + " " * 5000 + "\nb"
    assert mark(text, "blank-lines") == text
    assert "".join(mark_blocks([text[:3000], text[3000:5001], text[5001:]], "blank-lines")) == text


PATTERNS = {
    **word.PATTERNS,
    **{
        f"{kind} {'lines' if sign != BORDER_SIGN else ''}": each
        for (kind, sign), each in bpe.PATTERNS.items()
    },
}
TEXTS = st.text(st.sampled_from("ab \n\r\t\u00a0\u2003.,_1é中。'\U0001f600" + BORDER_SIGN), max_size=120)


def blocks_of(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("kind", PATTERNS)
@settings(max_examples=150)
@given(TEXTS, st.lists(st.integers(0, 120), max_size=6), st.integers(1, 60))
@example("a   b", [2], 60)
@example("1234 5", [3], 2)
@example("中。中。中。中", [3], 2)
@example("   \n  ", [1, 3], 2)
@example("  1", [], 1)
@example(" \u00a0 a", [1, 2], 1)
@example("\n   ", [2], 1)
def test_the_pieces_of_chunks_are_those_of_the_text(kind: str, text: str, cuts: list[int], held: int) -> None:
    if kind.endswith(" lines"):
        text = text.replace(BORDER_SIGN, "")
    pattern: re.Pattern[str] = PATTERNS[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "MOST_HELD", held)
        patch.setattr(pieces, "LOOKED_AT", (1, 3))
        parts = list(chunks(pattern, blocks_of(text, cuts)))
    assert "".join(parts) == text and all(parts)
    assert [piece for part in parts for piece in pattern.findall(part)] == pattern.findall(text)


@pytest.mark.parametrize("kind", PATTERNS)
@pytest.mark.parametrize("sign", ["a", "a.", " ", "中。", "1", "\n"])
def test_what_is_held_back_has_a_bound(kind: str, sign: str) -> None:
    cutter = pieces.Cutter(PATTERNS[kind])
    cutter.push("\n")
    for _ in range(8):
        cutter.push(sign * (100_000 // len(sign)))
        assert len(cutter.rest) < pieces.MOST_HELD + 100_000


def test_a_cut_is_made_where_white_space_begins() -> None:
    cutter = pieces.Cutter(word.PATTERNS["words"])
    assert (cutter.push("one two  thr"), cutter.rest) == ("one two", "  thr")
    assert (cutter.push("ee"), cutter.rest) == ("", "  three")
    assert (cutter.push("\n"), cutter.rest) == ("  three", "\n")
