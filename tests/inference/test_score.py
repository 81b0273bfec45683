"""Surprisal by token, word and line: complete, additive, and the same however the text comes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import ScoreConfig
from pantoum.errors import SettingError
from pantoum.inference.evaluation import evaluate
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scorer import ScoredText, Scorer
from pantoum.inference.scoring.reader import OneStream, PlainReader, ReadElsewhere
from pantoum.inference.scoring.units import Score

Make = Callable[..., LoadedModel]
TEXT = "The cat sat  on the mat.\n\nA na\u00efve dog ran\nand"


def scored(model: LoadedModel, text: str | bytes, by: str = "token", **settings: Any) -> ScoredText:
    scorer = Scorer(model, ScoreConfig(by=by, **settings), pieces=True)
    return ScoredText(by, tuple(scorer.read([text])), scorer.threshold)


def tokens(model: LoadedModel, parts: Iterable[str | bytes]) -> list[Score]:
    return list(Scorer(model, ScoreConfig(by="token")).read(parts))


@pytest.mark.parametrize("by", ["token", "word", "line"])
@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace"])
def test_units_put_together_are_the_text_and_its_nats(make: Make, kind: str, by: str) -> None:
    model = make(kind)
    scores = scored(model, TEXT, by)
    ids = model.tokenizer.encode(TEXT)
    spaced = "\n".join(" ".join(line.split()) for line in TEXT.split("\n"))
    expected = spaced if kind == "words:whitespace" else TEXT
    assert "".join(score.text for score in scores) == expected
    assert sum(score.tokens for score in scores) == scores.tokens == len(ids)
    assert sum(nats for _, nats in scores.pieces) == pytest.approx(scores.nats)
    assert [score.peak for score in scores] == [max(n for _, n in score.pieces) for score in scores]
    assert ["".join(text for text, _ in score.pieces) for score in scores] == [s.text for s in scores]
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


def test_a_character_of_several_tokens_is_one_piece(make: Make) -> None:
    pieces = scored(make("bytes"), "a\u00ef\U0001f600")
    assert [(p.text, p.tokens) for p in pieces] == [("a", 1), ("\u00ef", 2), ("\U0001f600", 4)]


def test_the_first_token_is_scored_after_a_newline(characters: LoadedModel) -> None:
    after = list(scored(characters, "\nThe cat"))[1:]
    program, tokenizer = characters.program, characters.tokenizer
    expected = evaluate(program, tokenizer.encode("\nThe cat"), tokenizer)
    assert scored(characters, "The cat").nats == pytest.approx(expected.nats_per_token * 7, rel=1e-5)
    assert len(after) == 7


@given(
    cuts=st.lists(st.integers(0, len(TEXT.encode())), max_size=5).map(sorted),
    kind=st.sampled_from(["bytes", "characters"]),
)
@settings(max_examples=30)
def test_bytes_that_come_in_parts_are_the_text(make: Make, cuts: list[int], kind: str) -> None:
    model, data = make(kind), TEXT.encode()
    edges = [0, *cuts, len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(edges)]
    found, whole = tokens(model, parts), tokens(model, [data])
    assert [(s.text, s.tokens) for s in found] == [(s.text, s.tokens) for s in whole]
    assert [s.nats for s in found] == pytest.approx([s.nats for s in whole], abs=1e-4)


def test_a_line_is_scored_as_soon_as_it_ends(characters: LoadedModel) -> None:
    scorer = Scorer(characters)
    assert [list(map(len, scorer.feed(part))) for part in ("The c", "at\n", "sat")] == [[], [1], []]
    assert [score.text for batch in scorer.finish() for score in batch] == ["sat"]


def test_a_long_part_is_answered_on_the_way(characters: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.inference.scoring.reader.AT_ONCE", 20)
    found = next(batch for batch in Scorer(characters).feed("The cat sat\n" * 50) if batch)
    assert len(found) < 5


@pytest.mark.parametrize(("kind", "documents"), [("bpe", None), ("characters", "blank-lines")])
def test_a_line_end_that_may_be_part_of_more_waits_for_it(
    make: Make, kind: str, documents: str | None
) -> None:
    model = make(kind, documents)
    scorer = Scorer(model)
    first = [s.text for batch in scorer.feed("The cat\n") for s in batch]
    rest = [s.text for part in ("\n", "  sat\n") for batch in scorer.feed(part) for s in batch]
    rest += [s.text for batch in scorer.finish() for s in batch]
    assert first == [] and "".join(rest) == model.tokenizer.decode(
        model.tokenizer.encode("The cat\n\n  sat\n")
    )
    whole = scored(model, "The cat\n\n  sat\n")
    assert [s.text for s in tokens(model, ["The cat\n", "\n", "  sat\n"])] == [s.text for s in whole]


@pytest.mark.parametrize(("kind", "documents"), [("words", None), ("bpe", None), ("words", "blank-lines")])
def test_only_a_line_without_end_is_cut_however_large_the_parts_are(
    make: Make, kind: str, documents: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "The naive dog\n\n ran " * 20 + "\n"
    model, size = make(kind, documents), model_parts(monkeypatch, 64)
    whole = [(s.text, s.tokens, s.nats) for s in tokens(model, [text])]
    for step in (1, 13, size + 1):
        parts = [text[start : start + step] for start in range(0, len(text), step)]
        found = [(s.text, s.tokens, s.nats) for s in tokens(model, parts)]
        assert [row[:2] for row in found] == [row[:2] for row in whole]
        np.testing.assert_allclose([row[2] for row in found], [row[2] for row in whole], atol=1e-4)


def model_parts(monkeypatch: pytest.MonkeyPatch, size: int) -> int:
    monkeypatch.setattr("pantoum.inference.scorer.PART", size)
    return size


def test_a_line_without_end_is_given_out_in_parts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.inference.scorer.PART", 64)
    monkeypatch.setattr("pantoum.inference.scoring.units.LONGEST", 64)
    for by in ("line", "word"):
        scorer = Scorer(make("bytes"), ScoreConfig(by=by))
        found = [s for batch in scorer.feed(b"ab" * 100) for s in batch]
        assert [s.tokens for s in found] == [64, 64, 64]
        assert sum(s.tokens for batch in scorer.finish() for s in batch) == 8


@pytest.mark.filterwarnings("ignore:parts of the text are not UTF-8")
@pytest.mark.parametrize("data", [b"", b"\x00" * 99, b"\xff\xfe\x80" * 99, b"\r\n\r\r\n", b"\xef\xbb\xbfa\n"])
@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace", "bpe"])
def test_hostile_bytes_are_scored(make: Make, kind: str, data: bytes) -> None:
    for by in ("token", "word", "line"):
        for streams in (1, 3):
            found = scored(make(kind), data, by, streams=streams)
            assert found.tokens == len(make(kind).tokenizer.encode(data.decode("utf-8", "replace"))) or (
                kind == "bytes" and found.tokens == len(data)
            )


def test_lines_as_documents_are_scored_as_if_alone(make: Make) -> None:
    model = make("characters")
    together = scored(model, "The cat\nA dog\n", "line", documents=True)
    alone = scored(model, "A dog\n", "line")
    assert together.items[1].nats == pytest.approx(alone.items[0].nats, rel=1e-5)
    assert scored(model, "The cat\nA dog\n", "line").items[1].nats != pytest.approx(alone.nats, rel=1e-3)


def test_lines_as_documents_may_begin_within_a_byte_pair_piece(make: Make) -> None:
    model, texts = make("bpe"), ("The cat\n  sat down\n", "A dog ran\n  sat down\n")
    decode = model.tokenizer.decode_bytes
    piece = next(token for token in range(model.vocab_size) if decode([token]) == b"\n ")
    assert all(piece in model.tokenizer.encode(text) for text in texts)
    one, other = (scored(model, text, "line", documents=True).items[1] for text in texts)
    assert one.text == other.text == " sat down\n"
    assert one.nats == pytest.approx(other.nats, rel=1e-5)
    one, other = (scored(model, text, "line").items[1] for text in texts)
    assert one.nats != pytest.approx(other.nats, rel=1e-3)


def test_what_is_beyond_the_threshold_is_marked(characters: LoadedModel) -> None:
    plain = scored(characters, TEXT, "word")
    limit = sorted(score.peak for score in plain)[-3]
    scorer = Scorer(characters, ScoreConfig(by="word"), threshold=limit)
    marked = ScoredText("word", tuple(scorer.read([TEXT])), limit)
    assert len(marked.alerts) == 2 and all(score.peak > limit for score in marked.alerts)
    assert plain.alerts == ()


def test_what_is_not_utf8_is_said_once_and_scored(characters: LoadedModel) -> None:
    data = "The caf\u00e9 sat\n".encode() + b"The caf\xe9 \xe9\n\xff\xc3"
    with pytest.warns(UserWarning, match="not UTF-8.*--encoding") as said:
        found = list(Scorer(characters).read(data[at : at + 1] for at in range(len(data))))
    assert len(said) == 1
    assert "".join(score.text for score in found) == data.decode(errors="replace")


def test_documents_are_scored_apart(make: Make) -> None:
    model = make("characters", "lines")
    first = scored(model, "The cat\nA dog\n", "line")
    alone = scored(model, "A dog\n", "line")
    assert first.items[1].nats == pytest.approx(alone.items[0].nats, rel=1e-5)


def test_what_is_not_utf8_and_what_is_cut_is_shown_as_such(make: Make) -> None:
    assert "".join(s.text for s in scored(make("bytes"), b"a\xff\xc3")) == "a\ufffd\ufffd"
    with pytest.warns(UserWarning, match="not UTF-8"):
        assert scored(make("characters"), b"at\xc3").items[-1].tokens == 1
    assert "".join(s.text for s in scored(make("bytes"), b"\xc3\xc3\xaf")) == "\ufffd\u00ef"


def test_an_empty_text_has_no_scores(characters: LoadedModel) -> None:
    scores = scored(characters, "", "line")
    assert (len(scores), scores.tokens, scores.nats, scores.nats_per_token) == (0, 0, 0.0, None)


def test_an_unknown_unit_is_refused(characters: LoadedModel) -> None:
    with pytest.raises(SettingError, match="by is 'page': it must be one of token, word, line"):
        scored(characters, TEXT, "page")


def test_the_unk_of_a_pretokenised_text_is_shown_and_not_counted(make: Make) -> None:
    scorer = Scorer(make("words:whitespace"), ScoreConfig(by="token"))
    found = list(scorer.read(["The <unk> sat\n", "on zut <unk>\n"]))
    assert [score.text for score in found] == ["The", " <unk>", " sat", "\n", "on", " zut", " <unk>", "\n"]
    assert scorer.unknown_tokens == 1


@pytest.mark.parametrize("kind", ["words", "words:whitespace"])
def test_by_word_a_model_of_words_gives_one_figure_per_token(make: Make, kind: str) -> None:
    by_word, by_token = (scored(make(kind), TEXT, by) for by in ("word", "token"))
    assert by_word.items == by_token.items
    assert {"The", " cat", " mat", "."} <= {score.text for score in by_word} or kind == "words:whitespace"


@pytest.mark.parametrize("by", ["token", "line"])
@pytest.mark.parametrize("kind", ["bytes", "words", "bpe"])
def test_a_text_that_is_read_elsewhere_is_made_tokens_once(
    make: Make, kind: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, text = make(kind), TEXT * 30
    expected = list(Scorer(model, ScoreConfig(by=by)).read([text]))
    encoded: list[int] = []
    original = type(model.tokenizer).encode
    monkeypatch.setattr(
        type(model.tokenizer),
        "encode",
        lambda own, text: (encoded.append(len(text)), original(own, text))[1],
    )
    elsewhere = ReadElsewhere()
    scorer = Scorer(model, ScoreConfig(by=by), following=elsewhere)
    assert not list(itertools.chain(*scorer.feed(text), *scorer.feed_rest()))
    stream = OneStream(PlainReader(model), model.border, None)
    elsewhere.nats_T = np.concatenate([nats_T for _, nats_T in stream.push(elsewhere.tokens_T)])
    assert list(itertools.chain.from_iterable(scorer.finish())) == expected
    assert sum(encoded) == len(text.encode() if kind == "bytes" else text)
