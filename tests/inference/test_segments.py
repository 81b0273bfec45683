"""Segments side by side give the text's tokens in order, and what one stream gives but near their
beginnings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.inference import segments
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.reader import PlainReader
from pantoum.inference.segments import Following, OneStream, Segments

Make = Callable[..., LoadedModel]
Array = np.ndarray


class Counting:
    """A reader whose nats say which input was read after how many others of its row; a reset counts anew."""

    def __init__(self, streams: int) -> None:
        self.read_B = np.zeros(streams, np.int64)
        self.rows = streams

    def losses(self, inputs_BT: Array, targets_BT: Array, reset_BT: Array) -> Array:
        assert (targets_BT == inputs_BT + 1).all()
        found = np.empty(inputs_BT.shape)
        for t in range(inputs_BT.shape[1]):
            self.read_B = np.where(reset_BT[:, t], 0, self.read_B) + 1
            found[:, t] = self.read_B
        return found


def all_of(following: Following, parts: list[Array]) -> tuple[Array, Array]:
    found = [scored for part in parts for scored in following.push(part)]
    found += following.finish()
    return np.concatenate([ids for ids, _ in found]), np.concatenate([nats for _, nats in found])


@given(count=st.integers(1, 400), streams=st.integers(2, 5), part=st.integers(1, 120))
@settings(max_examples=40, deadline=None)
def test_every_token_once_in_order_and_after_enough_others(count: int, streams: int, part: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("LONGEST", 20), ("WARM", 6), ("LEAST", 8)):
            patch.setattr(segments, name, value)
        ids_T = np.arange(1, count + 1)
        following = Segments(Counting, streams, 0, None)
        found, read_T = all_of(following, [ids_T[a : a + part] for a in range(0, count, part)])
    assert (found == ids_T).all()
    # A token has been read after all before it, or after at least the six that warm.
    assert ((read_T == ids_T) | (read_T > 6)).all()
    assert read_T[: min(count, 7)].tolist() == list(range(1, min(count, 7) + 1))


def test_one_stream_and_segments_agree_where_documents_zero_the_state(make: Make) -> None:
    model = make("characters", "lines")
    text = "".join(f"The cat ran {'on' * (n % 7)}.\n" for n in range(400))
    ids_T = model.tokenizer.encode(text).astype(np.int64)
    resets_V = np.arange(model.vocab_size) == model.eos
    plain = all_of(OneStream(lambda n: PlainReader(model, n), model.border, resets_V), [ids_T])[1]
    found = all_of(Segments(lambda n: PlainReader(model, n), 8, model.border, resets_V), [ids_T])[1]
    assert found == pytest.approx(plain, abs=1e-4)


def test_a_short_text_is_one_stream(make: Make) -> None:
    made: list[int] = []

    def reader(streams: int) -> Counting:
        made.append(streams)
        return Counting(streams)

    _, nats_T = all_of(Segments(reader, 64, 0, None), [np.arange(1, 101), np.arange(0)])
    assert made == [1] and nats_T.tolist() == list(range(1, 101))
    assert list(Segments(reader, 64, 0, None).finish()) == []
