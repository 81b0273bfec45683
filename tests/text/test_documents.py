from __future__ import annotations

import pytest

from pantoum.text import documents
from pantoum.text.documents import BORDER_SIGN, eos_text, mark, mark_blocks, sign_of


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
