"""Tokens to pieces to units: a batch at a time gives what one at a time would."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.inference.scoring import units
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
