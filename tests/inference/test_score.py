"""Surprisal by token, word and line: complete, additive, and the same however the text comes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import SettingError
from pantoum.inference.evaluate import evaluate
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.score import Score, Scorer, Scores, group

Make = Callable[..., LoadedModel]
TEXT = "The cat sat  on the mat.\n\nA na\u00efve dog ran\nand"


def scored(model: LoadedModel, text: str | bytes, by: str = "token") -> Scores:
    pieces = tuple(Scorer(model).read([text]))
    return Scores(by, tuple(group(pieces, by)), pieces)


@pytest.mark.parametrize("by", ["token", "word", "line"])
@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace"])
def test_units_put_together_are_the_text_and_its_nats(make: Make, kind: str, by: str) -> None:
    model = make(kind)
    scores = scored(model, TEXT, by)
    ids = model.tokenizer.encode(TEXT)
    assert "".join(score.text for score in scores) == model.tokenizer.decode(ids)
    assert sum(score.tokens for score in scores) == scores.tokens == len(ids)
    assert sum(score.nats for score in scores) == pytest.approx(scores.nats)
    assert scores.nats_per_token == pytest.approx(scores.nats / len(ids))


def test_units_are_words_with_their_space_and_lines_with_their_end(characters: LoadedModel) -> None:
    assert [s.text for s in scored(characters, TEXT, "word")] == [
        "The",
        " cat",
        " sat",
        "  on",
        " the",
        " mat.",
        "\n\nA",
        " na\u00efve",
        " dog",
        " ran",
        "\nand",
    ]
    assert [s.text for s in scored(characters, TEXT, "line")] == [
        "The cat sat  on the mat.\n",
        "\n",
        "A na\u00efve dog ran\n",
        "and",
    ]


def test_a_piece_with_space_at_its_end_ends_a_word() -> None:
    pieces = [Score(text, 1.0, 1) for text in ("a ", "b", " ", "c")]
    assert [s.text for s in group(pieces, "word")] == ["a ", "b", " c"]


def test_a_character_of_several_tokens_is_one_piece(make: Make) -> None:
    pieces = scored(make("bytes"), "a\u00ef\U0001f600").pieces
    assert [(p.text, p.tokens) for p in pieces] == [("a", 1), ("\u00ef", 2), ("\U0001f600", 4)]


def test_the_first_token_is_scored_after_a_newline(characters: LoadedModel) -> None:
    after = scored(characters, "\nThe cat").pieces[1:]
    network, tokenizer = characters.network, characters.tokenizer
    expected = evaluate(network, tokenizer.encode("\nThe cat"), tokenizer)
    assert scored(characters, "The cat").nats == pytest.approx(expected.nats_per_token * 7, rel=1e-5)
    assert len(after) == 7


@given(
    cuts=st.lists(st.integers(0, len(TEXT.encode())), max_size=5).map(sorted),
    kind=st.sampled_from(["bytes", "characters"]),
)
@settings(max_examples=30, deadline=None)
def test_bytes_that_come_in_parts_are_the_text(make: Make, cuts: list[int], kind: str) -> None:
    model, data = make(kind), TEXT.encode()
    edges = [0, *cuts, len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(edges)]
    found, whole = list(Scorer(model).read(parts)), list(Scorer(model).read([data]))
    assert [(s.text, s.tokens) for s in found] == [(s.text, s.tokens) for s in whole]
    assert [s.nats for s in found] == pytest.approx([s.nats for s in whole], abs=1e-4)


def test_a_line_is_scored_as_soon_as_it_ends(characters: LoadedModel) -> None:
    read: list[str] = []

    def lines() -> object:
        for line in ("The cat\n", "sat\n"):
            read.append(line)
            yield line

    scores = group(Scorer(characters).read(lines()), "line")  # type: ignore[arg-type]
    assert next(scores).text == "The cat\n" and read == ["The cat\n"]


def test_documents_are_scored_apart(make: Make) -> None:
    model = make("characters", "lines")
    first = scored(model, "The cat\nA dog\n", "line")
    alone = scored(model, "A dog\n", "line")
    assert first.items[1].nats == pytest.approx(alone.items[0].nats, rel=1e-5)


def test_what_is_not_utf8_and_what_is_cut_is_shown_as_such(make: Make) -> None:
    assert "".join(s.text for s in scored(make("bytes"), b"a\xff\xc3")) == "a\ufffd\ufffd"
    assert scored(make("characters"), b"at\xc3").pieces[-1].tokens == 1
    assert "".join(s.text for s in scored(make("bytes"), b"\xc3\xc3\xaf")) == "\ufffd\u00ef"


def test_an_empty_text_has_no_scores(characters: LoadedModel) -> None:
    scores = scored(characters, "", "line")
    assert (len(scores), scores.tokens, scores.nats, scores.nats_per_token) == (0, 0, 0.0, None)


def test_an_unknown_unit_is_refused(characters: LoadedModel) -> None:
    with pytest.raises(SettingError, match="by is 'page': must be one of token, word, line"):
        scored(characters, TEXT, "page")
