"""Scores show a text as it is, also where the tokenizer knows no word for what stands there."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import ScoreConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.score import Scorer

Make = Callable[..., LoadedModel]
ODD = "The cat  PANIC 0xf\u00e9!\n\n\u6c34\tsat on a mat\u00bf\n"


def shown(
    model: LoadedModel,
    text: str,
    by: str = "line",
    streams: int = 1,
    cuts: list[int] | None = None,
) -> list[str]:
    edges = [0, *sorted(cuts or []), len(text)]
    parts = [text[start:end] for start, end in itertools.pairwise(edges)]
    scorer = Scorer(model, ScoreConfig(by=by, streams=streams), pieces=True)
    scores = list(scorer.read(parts))
    assert all("".join(piece for piece, _ in score.pieces) == score.text for score in scores)
    return [score.text for score in scores]


@pytest.mark.parametrize("documents", [None, "lines"])
@pytest.mark.parametrize("kind", ["characters", "words"])
@given(
    text=st.text(st.sampled_from("Tca t\n\tX\u6c34\u00e9"), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    by=st.sampled_from(["token", "word", "line"]),
)
@settings(max_examples=40)
def test_units_put_together_are_the_text(
    make: Make, kind: str, documents: str | None, text: str, cuts: list[int], by: str
) -> None:
    model = make(kind, documents)
    cuts = [min(cut, len(text)) for cut in cuts]
    assert "".join(shown(model, text, by, cuts=cuts)) == text
    assert (model.tokenizer.encode("X") == model.tokenizer.unk).all()


@pytest.mark.parametrize("kind", ["characters", "words", "words:whitespace"])
def test_lines_are_those_of_the_text_in_one_stream_and_in_several(make: Make, kind: str) -> None:
    model, text = make(kind), ODD * 60
    expected = text.splitlines(keepends=True)
    if kind == "words:whitespace":
        expected = [" ".join(line.split()) + "\n" for line in expected]
    assert shown(model, text) == expected == shown(model, text, streams=3)


def test_what_is_no_character_is_shown_as_none(characters: LoadedModel) -> None:
    with pytest.warns(UserWarning, match="lone surrogates"):
        assert shown(characters, "a\ud83dX\n") == ["a\ufffdX\n"]


@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
@given(
    text=st.text(st.sampled_from("Tca \n\n\n\r\u6c34"), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    streams=st.sampled_from([1, 3]),
)
@settings(max_examples=40)
def test_blank_lines_between_documents_are_those_of_the_text(
    make: Make, kind: str, text: str, cuts: list[int], streams: int
) -> None:
    found = shown(make(kind, "blank-lines"), text, "line", streams, [min(cut, len(text)) for cut in cuts])
    assert "".join(found) == text


def test_unknown_tokens_are_counted_as_they_are_scored(make: Make) -> None:
    text = "The cat sat on the mat \u6c34\n" * 100
    scorer = Scorer(make("characters"), ScoreConfig(by="line"))
    batches, tokens, counted = itertools.chain(scorer.feed(text), scorer.finish()), 0, []
    for scores in batches:
        tokens += sum(score.tokens for score in scores)
        counted.append((scorer.unknown_tokens, tokens))
    assert len(counted) > 2 and counted[-1] == (100, len(text))
    assert all(unknown <= tokens / 20 for unknown, tokens in counted if tokens)
