"""Segments give the tokens of a text in order, and what one stream gives except near their beginnings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.inference.evaluation import evaluate
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scoring import protocols, reader
from pantoum.inference.scoring.reader import Following, OneStream, PlainReader, Segments
from pantoum.network import LanguageModel, stepping
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program
from pantoum.network.stepping import SteppedLosses

Make = Callable[..., LoadedModel]
Array = np.ndarray


class Counting:
    """A program whose nats are the number of inputs that a row has read since its state was zero."""

    def initial_state(self, rows: int) -> NetworkState:
        return NetworkState((np.zeros((rows, 1)),))

    def losses(
        self, inputs_BT: Array, targets_BT: Array, state: NetworkState, **_: object
    ) -> tuple[Array, Array, NetworkState]:
        nats_BT = state.arrays[0] + np.arange(1, inputs_BT.shape[1] + 1)
        # Past its end a row reads its last input again: it does not read on.
        nats_BT -= np.maximum(np.arange(inputs_BT.shape[1]) - (inputs_BT - inputs_BT[:, :1]), 0)
        assert (targets_BT == inputs_BT + 1).all()
        return nats_BT, targets_BT, NetworkState((nats_BT[:, -1:],))

    def hidden(self, inputs_BT: Array, state: NetworkState, **_: object) -> tuple[Array, NetworkState]:
        nats_BT, _, state = self.losses(inputs_BT, inputs_BT + 1, state)
        return nats_BT[:, :, None], state


def all_of(following: Following, parts: list[Array]) -> tuple[Array, Array]:
    found = [scored for part in parts for scored in following.push(part)]
    found += following.finish()
    return np.concatenate([ids for ids, _ in found]), np.concatenate([nats for _, nats in found])


def counting(streams: int) -> Segments:
    program: Any = Counting()
    return Segments(program, streams, 0, None)


@given(count=st.integers(1, 400), streams=st.integers(2, 5), part=st.integers(1, 120))
@settings(max_examples=60)
def test_every_token_once_in_order_and_after_enough_others(count: int, streams: int, part: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "LONGEST", 20)
        patch.setattr(reader, "PART", 13)
        patch.setattr(protocols, "ROWS", 11)
        patch.setattr(protocols, "WARM_TOKENS", 6)
        patch.setattr(protocols, "LEAST_SPAN", 8)
        ids_T = np.arange(1, count + 1)
        found, read_T = all_of(counting(streams), [ids_T[a : a + part] for a in range(0, count, part)])
    assert (found == ids_T).all()
    # A token was read after all tokens before it, or after the six that warm and those of its segment and
    # of the segments that continue it.
    assert ((read_T == ids_T) | (read_T > 6)).all()
    assert read_T[: min(count, 8)].tolist() == list(range(1, min(count, 8) + 1))


def test_segments_in_int8_are_read_by_steps_with_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(LanguageModel(30, 8, hidden_size=20, num_layers=2), precision="int8")
    ids_T = np.random.default_rng(4).integers(0, 30, 600)
    monkeypatch.setattr(protocols, "WARM_TOKENS", 6)
    monkeypatch.setattr(protocols, "LEAST_SPAN", 10)
    calls = list[int]()
    losses = SteppedLosses.losses

    def counted(steps: SteppedLosses, inputs_BT: Array, *rest: Any) -> Any:
        calls.append(len(inputs_BT))
        return losses(steps, inputs_BT, *rest)

    monkeypatch.setattr(SteppedLosses, "losses", counted)
    _, stepped_T = all_of(Segments(program, 40, 0, np.arange(30) == 3), [ids_T])
    assert set(calls) == {40}  # the 39 rows that warm are read without an output layer
    monkeypatch.setattr(stepping, "FEWEST_STREAMS", 41)
    _, scanned_T = all_of(Segments(program, 40, 0, np.arange(30) == 3), [ids_T])
    np.testing.assert_array_equal(stepped_T, scanned_T)


def test_a_block_continues_the_last_segment_of_the_block_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LONGEST", 600)
    _, read_T = all_of(counting(2), [np.arange(1, 2401)])
    begins = [place for place, (before, here) in enumerate(pairwise(read_T), 1) if here != before + 1]
    assert begins == [600, 1800]  # and not 1200, where the second block begins
    assert read_T[599:601].tolist() == [600, protocols.WARM_TOKENS + 1]


@pytest.mark.parametrize("streams", [2, 5, 64])
def test_a_text_of_one_block_has_the_nats_of_an_evaluation_by_segments(make: Make, streams: int) -> None:
    model = make("characters")
    ids_T = np.random.default_rng(5).integers(2, model.vocab_size, 2700)
    nats_T = np.empty(len(ids_T), np.float32)
    text_T = np.concatenate([[model.border], ids_T])
    evaluate(model.program, text_T, model.tokenizer, f"segments:{streams}", compress=False, nats_T=nats_T)
    found = all_of(Segments(model.program, streams, model.border, None), [ids_T[:100], ids_T[100:]])[1]
    assert found == pytest.approx(nats_T, abs=1e-5)


def test_one_stream_and_segments_agree_where_documents_zero_the_state(make: Make) -> None:
    model = make("characters", "lines")
    text = "".join(f"The cat ran {'on' * (n % 7)}.\n" for n in range(400))
    ids_T = model.tokenizer.encode(text).astype(np.int64)
    resets_V = np.arange(model.vocab_size) == model.eos
    plain = all_of(OneStream(PlainReader(model), model.border, resets_V), [ids_T])[1]
    found = all_of(Segments(model.program, 8, model.border, resets_V), [ids_T])[1]
    assert found == pytest.approx(plain, abs=1e-4)


def test_a_short_text_is_one_stream() -> None:
    following = counting(64)
    _, nats_T = all_of(following, [np.arange(1, 1001), np.arange(0)])
    assert nats_T.tolist() == list(range(1, 1001))
    assert list(following.finish()) == []
