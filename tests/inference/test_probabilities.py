"""Minimal pairs: the good sentence should be the more probable one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.errors import TextError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.probabilities import judge, sentence_nats
from pantoum.inference.session import Session

Make = Callable[..., LoadedModel]
SENTENCES = ["The cat sat.", "The dog ran on the mat.", "A end of day", "ran", "The mat, and the cat ran!"]


def pairs(path: Path, pairs: list[tuple[str, str, str]]) -> str:
    lines = (json.dumps({"sentence_good": a, "sentence_bad": b, "linguistics_term": c}) for a, b, c in pairs)
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def nats(model: LoadedModel, sentence: str) -> float:
    """The nats of a sentence, which is read token by token."""
    session, total = Session(model), 0.0
    session.feed([model.border])
    for token in model.tokenizer.encode(sentence):
        known = {found.token: found.probability for found in session.predict(model.vocab_size)}
        total -= float(np.log(known[int(token)]))
        session.feed([int(token)])
    return total


@pytest.mark.parametrize(
    "what", [{}, {"documents": "lines"}, {"kind": "words"}, {"kind": "bytes", "ngrams": (2, 3)}], ids=str
)
def test_the_more_probable_sentence_is_found(make: Make, tmp_path: Path, what: dict[str, Any]) -> None:
    model = make(**what)
    given = [(a, b, "even" if len(a) % 2 == 0 else "odd") for a in SENTENCES for b in SENTENCES if a != b]
    found = judge(model, [pairs(tmp_path / "p.jsonl", given)])
    known = {sentence: nats(model, sentence) for sentence in SENTENCES}
    right = [known[a] < known[b] for a, b, _ in given]
    assert found.pairs == len(given) and found.accuracy == pytest.approx(np.mean(right))
    even = [one for one, (_, _, about) in zip(right, given, strict=True) if about == "even"]
    assert found.phenomena["even"] == {"pairs": len(even), "accuracy": pytest.approx(np.mean(even))}


@pytest.mark.parametrize("what", [{}, {"documents": "lines"}], ids=str)
def test_a_document_within_a_text_begins_from_zero(make: Make, what: dict[str, Any]) -> None:
    model = make(**what)
    texts = ["The cat sat.\nThe dog ran.", "The cat sat.\nThe mat", "ran\n\nran", "The cat sat."]
    found = sentence_nats(model, [model.tokenizer.encode(text) for text in texts])
    assert found == pytest.approx([nats(model, text) for text in texts], rel=1e-5)


def test_a_tie_is_no_success_and_unknown_tokens_are_told(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    pairs(folder / "a.jsonl", [("The cat", "The cat", "a"), ("The \u4e00at", "cat", "a")])
    (folder / "b.jsonl").write_text('{"good": "The cat", "bad": "xxqqzz"}\n')
    found = judge(make("words"), [str(folder)])
    assert found.pairs == 3 and found.unknown_pairs >= 1 and set(found.phenomena) == {"a", "b"}
    assert found.accuracy < 1 and "all pairs" in str(found) and "of 3" in str(found)


@pytest.mark.parametrize("line", ["", "x", "[]", "{}", '{"good": "a"}', '{"good": "a", "bad": 3}', "3"])
def test_what_is_no_pair_is_refused_with_its_line(make: Make, tmp_path: Path, line: str) -> None:
    (tmp_path / "p.jsonl").write_text(line and '{"good": "a", "bad": "b"}\n' + line)
    with pytest.raises(TextError, match="line 2, is not a pair" if line else "is empty"):
        judge(make(), [str(tmp_path / "p.jsonl")])


def test_only_a_newline_ends_a_line_of_a_file_of_pairs(make: Make, tmp_path: Path) -> None:
    """JSON may hold U+2028 and U+0085 as they are; an editor may write a byte order mark and CR LF."""
    path = tmp_path / "p.jsonl"
    path.write_bytes('\ufeff{"good": "The\u2028 cat", "bad": "cat\u0085 The"}\r\n\r\n'.encode())
    assert judge(make("bytes"), [str(path)]).pairs == 1
    path.write_bytes(b"\n\r\n")
    with pytest.raises(TextError, match="is empty"):
        judge(make("bytes"), [str(path)])
    with pytest.raises(TextError, match="there is no such file"):
        judge(make("bytes"), [str(tmp_path / "none")])
