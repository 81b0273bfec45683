"""Counted contexts that learn while they read: what they promise whatever the text."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import CoreError
from pantoum.kernels import without_core
from pantoum.network.mixers import contexts
from pantoum.network.mixers.contexts import ContextMixer

BYTES = [bytes([number]) for number in range(256)]
pytestmark = pytest.mark.skipif(without_core() is not None, reason="the core has them")


def mixer(beside: int = 0, slot_bits: int = 14) -> ContextMixer:
    own = ContextMixer(BYTES, slot_bits=slot_bits)
    if beside:
        own.join(beside)
    return own


def tokens_of(text: bytes) -> np.ndarray:
    return np.frombuffer(text, np.uint8).astype(np.int64)


VERSE = tokens_of(
    b"The moon upon the water, the water on the stone,\nand nobody to tell it to, and nobody alone.\n" * 6
)


def test_without_the_core_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    with pytest.raises(CoreError, match=r"need the native core, and PANTOUM_ISA is numpy; install"):
        mixer()


def test_what_was_said_before_is_expected_again() -> None:
    nats_T = mixer().read(VERSE)
    once = len(VERSE) // 6
    assert nats_T[0] == pytest.approx(np.log(256), rel=0.1)
    assert nats_T[once : 2 * once].mean() < 0.3 < 2.5 < nats_T[:once].mean()
    assert nats_T[-once:].mean() < 0.02


@settings(max_examples=6)
@given(
    cuts=st.lists(st.integers(1, len(VERSE) - 1), max_size=6),
    resets=st.lists(st.integers(0, 200), max_size=3),
)
def test_however_the_text_is_cut_the_nats_are_the_same(cuts: list[int], resets: list[int]) -> None:
    resets_T = np.isin(np.arange(len(VERSE)), resets)
    parted, edges = mixer(), [0, *sorted(set(cuts)), len(VERSE)]
    found = [parted.read(VERSE[start:end], None, resets_T[start:end]) for start, end in pairwise(edges)]
    assert np.array_equal(np.concatenate(found), mixer().read(VERSE, None, resets_T))


@settings(max_examples=12)
@given(text=st.binary(max_size=60), beside=st.integers(0, 2))
def test_what_is_coded_by_chances_is_decoded_by_them(text: bytes, beside: int) -> None:
    draw, tokens_T = np.random.default_rng(5), tokens_of(text)
    logits_TNV = draw.standard_normal((len(text), beside, 256)).astype(np.float32) if beside else None
    nats = mixer(beside).read(tokens_T, logits_TNV).sum()
    chances_Q = mixer(beside).chances(tokens_T, logits_TNV)
    assert len(chances_Q) == 8 * len(text)
    assert nats == pytest.approx(-np.log((chances_Q >> 1) / 2**22).sum(), rel=1e-4)
    decider, place, decoded = mixer(beside).decider(), 0, []
    for t in range(len(text)):
        right, symbol = decider.begin(None if logits_TNV is None else logits_TNV[t]), -1
        while symbol < 0:
            outcome = int(chances_Q[place] & 1)
            assert chances_Q[place] >> 1 == (right if outcome else 2**22 - right)
            right, symbol = decider.decide(outcome)
            place += 1
        decoded.append(symbol)
    assert bytes(decoded) == text


def test_the_probabilities_are_about_those_that_reading_then_gives() -> None:
    """Not exactly: reading learns from each decision on the path of a symbol before the next."""
    own = mixer()
    own.read(VERSE[:300])
    probabilities_V = own.probabilities()
    assert abs(probabilities_V.sum() - 1) < 1e-5 and (probabilities_V > 0).all()
    for symbol in (int(VERSE[300]), 7, 250):
        nats = own.copy().read(np.array([symbol]))[0]
        assert nats == pytest.approx(-np.log(probabilities_V[symbol]), rel=0.2, abs=1e-4)


def test_before_anything_is_read_a_network_is_believed() -> None:
    logits_TV = np.random.default_rng(2).standard_normal((1, 256)).astype(np.float32)
    expected_V = np.exp(logits_TV[0].astype(np.float64))
    found_V = mixer(beside=1).probabilities(logits_TV)
    np.testing.assert_allclose(found_V, expected_V / expected_V.sum(), rtol=0.1)


def test_contexts_end_where_a_document_begins() -> None:
    one, other = mixer(), mixer()
    one.read(VERSE)
    other.read(VERSE)
    begins_T = np.arange(60) == 0
    nats = [one.read(VERSE[:60]), other.read(VERSE[:60], None, begins_T)]
    assert nats[1][0] > 3 * nats[0][0] and nats[1][30:].sum() < 3  # what was learned stays


def test_counting_is_learning_without_predicting() -> None:
    own, reader, fresh = mixer(), mixer(), mixer()
    own.count(VERSE)
    reader.read(VERSE)
    for name in ("slots", "runs", "matches", "history"):
        assert np.array_equal(getattr(own._tables, name), getattr(reader._tables, name))
    for name in ("maps", "links", "weights"):  # they say what counts mean where they predict
        assert np.array_equal(getattr(own._tables, name), getattr(fresh._tables, name))
    assert own.read(VERSE[:100]).mean() < 0.5 * mixer().read(VERSE[:100]).mean()


def test_a_line_ends_where_lines_do() -> None:
    """After each line of any length one of 30 letters: neither its letters nor the line above say where it
    ends."""
    draw = np.random.default_rng(3)
    lengths = [length for _ in range(120) for length in (int(draw.integers(1, 20)), 30)]
    text_T = np.concatenate([[*draw.integers(97, 99, length), 10] for length in lengths])
    nats_T = mixer(slot_bits=16).read(text_T)
    ends_of_long = np.flatnonzero(text_T == 10)[1::2]
    assert nats_T[ends_of_long[-40:]].mean() < 0.5


def test_frequent_symbols_take_fewer_decisions() -> None:
    counts_V = np.bincount(VERSE, minlength=256)
    own = ContextMixer(BYTES, counts_V, slot_bits=14)
    assert len(own.chances(VERSE)) < 5 * len(VERSE)


def test_a_state_goes_on_as_the_reader_would_have() -> None:
    own, other, resets_T = mixer(1), mixer(1), np.arange(200) % 90 == 89
    own.read(VERSE[:200], None, resets_T)
    other.resume(own.kept())
    assert sum(array.nbytes for array in own.kept().values()) < own.nbytes / 100
    begins_T = np.arange(len(VERSE) - 200) == 0
    assert np.array_equal(own.copy().read(VERSE[200:]), other.copy().read(VERSE[200:]))
    assert np.array_equal(own.read(VERSE[200:], None, begins_T), other.read(VERSE[200:], None, begins_T))


def test_a_state_begins_where_both_have_read_the_same() -> None:
    own, other = mixer(), mixer()
    for each in (own, other):
        each.read(VERSE[:300])
        each.remember_from_here()
    own.read(VERSE[300:])
    kept = own.kept()
    with pytest.raises(ValueError, match="training text"):
        mixer().resume(kept)
    other.resume(kept)
    assert np.array_equal(own.read(VERSE), other.read(VERSE))
    assert len(zlib.decompress(kept["text"].tobytes())) == 2 * (len(VERSE) - 300)


def test_a_full_reader_begins_anew_with_what_was_said_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "READ_AGAIN", 200)
    own, fresh = mixer(), mixer()
    own.read(VERSE[:400], None, np.arange(400) == 250)
    own.begin_anew()
    fresh.count(VERSE[200:400], np.arange(200) == 50)
    assert not own.is_full and np.array_equal(own._tables.slots, fresh._tables.slots)
    other = mixer()
    other.resume(own.kept())
    assert np.array_equal(own.read(VERSE), other.read(VERSE))


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [("text", 3, 256), ("borders", 0, -1), ("borders", 0, 51), ("links", 5, np.nan), ("curves", 5, 1e9)],
)
def test_a_forged_state_is_refused(name: str, place: int, value: float) -> None:
    own, kinds = mixer(), {"text": np.uint16, "borders": np.int64}
    own.read(VERSE[:50], None, np.arange(50) == 20)
    kept = own.kept()
    forged = np.frombuffer(zlib.decompress(kept[name].tobytes()), kinds.get(name, np.float32)).copy()
    forged[place] = value
    for data in (zlib.compress(forged.tobytes()), zlib.compress(forged.tobytes()[1:]), b"no"):
        with pytest.raises(ValueError):
            mixer().resume({**kept, name: np.frombuffer(data, np.uint8)})
    for numbers in ([-1, 0, 50, 14, 0], [0, 0, 1 << 40, 14, 0], [0, 0, 50, 13, 0], [0, 0, 50]):
        with pytest.raises(ValueError):
            mixer().resume({**kept, "numbers": np.array(numbers)})
    with pytest.raises(KeyError):
        mixer().resume({})


def test_what_comes_before_a_symbol_may_be_another_text() -> None:
    own = mixer(2)
    own.read(VERSE[:400])
    before, given = own.copy(), np.zeros((2, 256), np.float32)
    found_V = own.probabilities(given, VERSE[20:45])
    assert abs(found_V.sum() - 1) < 1e-5 and found_V[VERSE[45]] > 0.8
    assert own.probabilities(given, tokens_of(b"qqqq"))[VERSE[45]] < 0.2
    assert np.array_equal(before.read(VERSE[400:]), own.read(VERSE[400:]))
