"""Tokens to pieces to units: a batch at a time gives what one at a time would."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import ScoreConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scorer import Scorer
from pantoum.inference.scoring import units
from pantoum.inference.scoring.reader import OneStream, PlainReader, Reader
from pantoum.inference.scoring.units import Decoding, Grouping, Pieces, Score
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner

TEXTS = ["a", " ", "b ", "\n", " c", "", "\tde", "é\n"]


def pieces_of(texts: list[str]) -> Pieces:
    return Pieces.of(texts, np.arange(1.0, len(texts) + 1))


def grouped(texts: list[str], by: str, cuts: list[int], keeps: bool = False) -> list[Score]:
    grouping, pieces = Grouping(by, ByteTokenizer(), keeps=keeps), pieces_of(texts)
    edges = [0, *(min(cut, len(texts)) for cut in cuts), len(texts)]
    parts = [grouping.push(pieces.part(a, b)) for a, b in itertools.pairwise(edges)]
    return [*itertools.chain(*parts), *grouping.finish()]


def words(texts: list[str]) -> list[str]:
    """The rule, one piece at a time."""
    found: list[list[str]] = []
    for before, text in itertools.pairwise(["", *texts]):
        begins = text[:1].isspace() or not before or before[-1].isspace()
        if not found or (begins and "".join(found[-1]).strip()):
            found.append([])
        found[-1].append(text)
    return ["".join(word) for word in found]


@given(
    texts=st.lists(st.sampled_from(TEXTS), max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=4).map(sorted),
    by=st.sampled_from(["token", "word", "line"]),
)
@settings(max_examples=60)
def test_units_do_not_depend_on_where_batches_are_cut(texts: list[str], cuts: list[int], by: str) -> None:
    whole, found = grouped(texts, by, [], True), grouped(texts, by, cuts, True)
    assert found == whole and "".join(score.text for score in found) == "".join(texts)
    pieces = [piece for score in found for piece in score.pieces]
    assert pieces == [(text, nats) for nats, text in enumerate(texts, 1)]
    assert all(score.nats == sum(nats for _, nats in score.pieces) for score in found)
    assert all(score.odd == max(score.pieces, key=lambda piece: piece[1])[0] for score in found)
    if by == "word":
        assert [score.text for score in found] == words(texts)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5), cut=st.integers(0, 60))
@settings(max_examples=30)
def test_the_mean_is_over_each_line_and_no_piece_counts_more_than_half_a_nat(
    sizes: list[int], cut: int
) -> None:
    nats = np.random.default_rng(0).exponential(0.5, sum(sizes))
    texts = [text for size in sizes for text in [*"a" * (size - 1), "\n"]]
    pieces, grouping = Pieces.of(texts, nats), Grouping("line", ByteTokenizer(), mean=True)
    found = [score.peak for part in (pieces.part(0, cut), pieces.part(cut)) for score in grouping.push(part)]
    lines = np.split(nats, np.cumsum(sizes)[:-1])
    assert found == pytest.approx([np.minimum(line, 0.5).mean() for line in lines])


def test_peaks_are_the_highest_of_the_pieces() -> None:
    found, rest = grouped(["x", "y", "\n", "z"], "line", [])
    assert (found.text, found.peak, found.nats, found.odd) == ("xy\n", 3.0, 6.0, "\n")
    assert (rest.text, rest.peak) == ("z", 4.0)


def test_a_peak_that_is_no_number_is_one_of_its_line() -> None:
    pieces, grouping = (
        Pieces.of(["x", "y", "\n", "z\n"], np.array([5.0, np.nan, 1.0, 2.0])),
        Grouping("line", ByteTokenizer()),
    )
    found, other = grouping.push(pieces)
    assert np.isnan(found.peak) and np.isnan(found.nats) and (other.peak, other.nats) == (2.0, 2.0)


def tokenizer(kind: str) -> Tokenizer:
    if kind == "bytes":
        return ByteTokenizer()
    scholar = learner(kind, None, None)
    scholar.feed("naïve a\U0001f600b cd\n ef ")
    return scholar.learn()


@given(
    text=st.text(st.sampled_from("a \nï\U0001f600\x80"), max_size=12),
    tail=st.binary(max_size=3),
    cuts=st.lists(st.integers(0, 40), max_size=4).map(sorted),
    kind=st.sampled_from(["bytes", "characters", "words:whitespace"]),
)
@settings(max_examples=60)
def test_pieces_are_whole_characters_wherever_tokens_are_cut(
    text: str, tail: bytes, cuts: list[int], kind: str
) -> None:
    reader = tokenizer(kind)
    ids_T = reader.encode(text.encode() + tail if kind == "bytes" else text)
    edges = [0, *(min(cut, len(ids_T)) for cut in cuts), len(ids_T)]
    decoding = Decoding(reader)
    nats_T = np.arange(1.0, len(ids_T) + 1)
    parts = [decoding.push(ids_T[a:b], nats_T[a:b]) for a, b in itertools.pairwise(edges)]
    found = Pieces.joined([*parts, decoding.finish()])
    assert "".join(found.texts) == reader.decode(ids_T)
    ends = np.cumsum(found.tokens)
    assert found.tokens.sum() == len(ids_T)
    assert np.cumsum(found.nats).tolist() == [pytest.approx(end * (end + 1) / 2) for end in ends.tolist()]


@pytest.mark.parametrize("by", ["line", "word"])
def test_a_unit_without_end_is_put_together_once(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    joined, put_together = Pieces.joined, []
    monkeypatch.setattr(
        Pieces, "joined", staticmethod(lambda parts: put_together.append(joined(parts)) or put_together[-1])
    )
    (last,) = grouped(["a"] * 400, by, list(range(1, 400)))
    assert last.text == "a" * 400 and sum(len(pieces.texts) for pieces in put_together) == 400


@pytest.mark.parametrize("by", ["line", "word"])
def test_a_unit_that_is_too_long_is_cut_and_the_next_begins(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "LONGEST", 4)
    found = grouped(["a"] * 6 + ["\n"] + ["b"] * 2, by, list(range(1, 9)))
    assert [score.text for score in found] == (
        ["aaaa", "aa\n", "bb"] if by == "line" else ["aaaa", "aa", "\nbb"]
    )


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


def tokens(model: LoadedModel, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    ids_BN = rng.integers(0, model.vocab_size, (1, 41))
    return ids_BN[:, :-1], ids_BN[:, 1:], rng.random((1, 40)) < 0.1


@pytest.mark.parametrize("cuts", [[40], [1, 2, 7, 40], [39, 40]])
def test_calls_of_any_size_are_one_reading(
    characters: LoadedModel, rng: np.random.Generator, cuts: list[int]
) -> None:
    inputs_BT, targets_BT, reset_BT = tokens(characters, rng)
    nats_BT, _, _ = characters.program.losses(
        inputs_BT, targets_BT, characters.program.initial_state(1), reset_BT=reset_BT
    )
    reader = PlainReader(characters)
    found = [
        reader.losses(inputs_BT[:, a:b], targets_BT[:, a:b], reset_BT[:, a:b])
        for a, b in itertools.pairwise([0, *cuts])
    ]
    assert np.concatenate(found, axis=1) == pytest.approx(nats_BT, abs=1e-5)


def test_without_resets_the_state_is_carried(characters: LoadedModel, rng: np.random.Generator) -> None:
    inputs_BT, targets_BT, reset_BT = tokens(characters, rng)
    carried = PlainReader(characters).losses(inputs_BT, targets_BT, None)
    assert carried == pytest.approx(
        PlainReader(characters).losses(inputs_BT, targets_BT, np.zeros_like(reset_BT))
    )


def test_a_scorer_reads_through_the_reader_that_it_is_given(
    characters: LoadedModel, make: Callable[..., LoadedModel]
) -> None:
    class Doubled:
        def __init__(self) -> None:
            self._plain: Reader = PlainReader(characters)

        def losses(self, *arguments: np.ndarray) -> np.ndarray:
            return 2 * self._plain.losses(*arguments)

    plain = [s.nats for s in Scorer(characters).read(["The cat"])]
    following = OneStream(Doubled(), characters.border, None)
    doubled = [s.nats for s in Scorer(characters, following=following).read(["The cat"])]
    assert doubled == pytest.approx([2 * nats for nats in plain])
