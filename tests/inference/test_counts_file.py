"""Counted n-grams in a model file: what is written is read, what cannot be is refused in a line."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import GenerationConfig, SamplingConfig
from pantoum.errors import ModelFileError
from pantoum.formats import model_file
from pantoum.formats.model_file import SCALE, ModelFile
from pantoum.inference.adapt import Adapter
from pantoum.inference.evaluation import evaluate
from pantoum.inference.files.counts_file import arrays_of, read, with_weights
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.scoring.reader import PlainReader
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Generation
from pantoum.inference.writing.stream_batch import StreamBatch
from pantoum.kernels.reference.tables import count_rows
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.program import Program

Make = Callable[..., LoadedModel]


def arrays(tokens: Any, vocab_size: int, order: int = 4, **options: Any) -> dict[str, np.ndarray[Any, Any]]:
    orders = counted(np.asarray(tokens), vocab_size, order, **options)
    counts = Counts(vocab_size, orders)
    weights_C = np.random.default_rng(0).random(counts.buckets).astype(np.float32)
    return with_weights(arrays_of(vocab_size, orders), CountMixture(counts, weights_C))


def saved(model: LoadedModel, path: Any) -> LoadedModel:
    """The model with counts of its own text, in a file."""
    ids_T = model.tokenizer.encode("The cat sat on the mat. The dog ran and ran!\n" * 9)
    extras = arrays(ids_T, model.vocab_size, eos=model.eos)
    extras |= {
        SCALE + name: np.full(len(array), 0.05, np.float32)
        for name, array in model.network.parameters.items()
    }
    content = ModelFile(
        model.config.spec(), dict(model.network.parameters), model.tokenizer.spec(), {}, extras
    )
    model_file.write(path, content)
    return load(path)


@settings(max_examples=40)
@given(
    tokens=st.lists(st.integers(0, 299), min_size=2, max_size=60),
    repeated=st.integers(1, 400),
    order=st.integers(2, 5),
    most=st.sampled_from([10**6, 310]),
)
def test_what_is_written_is_read(tokens: list[int], repeated: int, order: int, most: int) -> None:
    text = np.array(tokens * repeated)
    held = arrays(text, 300, order, most_entries=most)
    found = read(held, 300)
    assert found is not None and np.array_equal(found.weights_C, held["counts.weights"])
    written = Counts(300, counted(text, 300, order, most_entries=most))
    inputs_TB, targets_T = text[:50, None], text[1:51]
    inputs_TB = inputs_TB[: len(targets_T)]
    given = []
    for counts in (written, found.counts):
        contexts = counts.find(inputs_TB, counts.initial_state(1))
        given.append(counts.probabilities(contexts, targets_T))
        assert abs(count_rows(counts.tree, contexts.nodes_KN).sum(axis=1) - 1).max() < 1e-5
    assert np.array_equal(*given)


def test_an_n_gram_takes_five_bytes_at_most() -> None:
    draw = np.random.default_rng(1)
    tokens = np.minimum(draw.zipf(1.3, 30_000), 9_000) - 1
    held = arrays(tokens, 9_000, 5)
    entries = Counts(9_000, counted(tokens, 9_000, 5)).entries
    assert sum(array.nbytes for array in held.values()) < 5 * entries


def spoil(name: str, change: Callable[[Any], Any]) -> Any:
    return lambda held: held.update({name: change(held[name].copy())})


def first(value: int) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array.flat[0] = value
        return array

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held.pop("counts.weights"),
        lambda held: held.pop("counts.discounts"),
        lambda held: held.pop("counts.2.counts"),
        lambda held: held.pop("counts.3.tokens"),
        lambda held: held.pop("counts.2.children"),
        spoil("counts.weights", lambda array: array[1:]),
        spoil("counts.weights", first(2)),
        spoil("counts.discounts", first(-1)),
        spoil("counts.discounts", lambda array: array[:, :2]),
        spoil("counts.discounts", lambda array: array[:1]),
        spoil("counts.2.counts", first(0)),
        spoil("counts.2.counts", first(255)),
        spoil("counts.2.counts", lambda array: array[1:]),
        spoil("counts.2.children", first(200)),
        spoil("counts.2.tokens", first(250)),
        spoil("counts.2.tokens", lambda array: array[:, [0, 0]]),
        spoil("counts.3.tokens", lambda array: array[::-1].copy()),
        spoil("counts.1.counts", lambda array: array * 0),
        spoil("counts.1.counts", lambda array: array[1:]),
        spoil("counts.2.children", lambda array: array.astype(np.float32)),
    ],
)
def test_counts_that_cannot_be_are_refused(change: Callable[[Any], Any]) -> None:
    held = arrays(np.random.default_rng(1).integers(0, 9, 300), 9)
    assert read(held, 9) is not None and read({}, 9) is None
    change(held)
    with pytest.raises(ValueError, match=r"^its "):
        read(held, 9)


def test_a_file_with_spoiled_counts_is_refused(make: Make, tmp_path: Any) -> None:
    path = tmp_path / "model.safetensors"
    saved(make("words"), path)
    content = model_file.read(path)
    extras = {**content.extras, "counts.weights": content.extras["counts.weights"][1:]}
    model_file.write(path, dataclasses.replace(content, extras=extras))
    with pytest.raises(ModelFileError, match="weights beside the counts"):
        load(path)


@pytest.mark.parametrize("documents", [None, "lines"])
def test_a_model_with_counts_reads_writes_and_keeps_its_state(
    make: Make, documents: str | None, tmp_path: Any
) -> None:
    model = saved(make("words", documents=documents), tmp_path / "model.safetensors")
    assert model.program.counts is not None
    ids_T = model.tokenizer.encode("The dog sat on the mat.\nThe cat ran and ran!\n" * 40)
    found = evaluate(model.program, ids_T, model.tokenizer, compress=False)
    alone = evaluate(Program(model.network), ids_T, model.tokenizer, compress=False)
    parts = evaluate(model.program, ids_T, model.tokenizer, "segments:4", compress=False)
    assert found.accuracy is not None and alone.accuracy is not None
    inputs_BT, targets_BT = ids_T[None, :-1].astype(np.int64), ids_T[None, 1:]
    reset_BT = None if documents is None else inputs_BT == model.eos
    logits_BTV, _ = model.program.logits(inputs_BT, model.program.initial_state(1), reset_BT=reset_BT)
    assert math.isclose(found.accuracy, (logits_BTV.argmax(axis=2) == targets_BT).mean(), abs_tol=0.01)
    assert found.nats_per_token < alone.nats_per_token
    assert abs(parts.nats_per_token - found.nats_per_token) < 0.05

    session = Session(model)
    session.feed("The cat sat on")
    state = State.from_bytes(bytes(session.state))
    assert len(state.layers) == len(model.network.initial_state(1).arrays) + 1
    total = sum(one.probability for one in session.predict(model.vocab_size))
    assert abs(total - 1) < 1e-5
    sampling = SamplingConfig(temperature=1.0, min_p=None)
    many = Generation(model, state, sampling, GenerationConfig(length=12, seed=5, count=3, exact=True))
    for _ in many:
        pass
    one = Generation(model, state, sampling, GenerationConfig(length=12, seed=5, exact=True))
    for _ in one:
        pass
    assert one.texts[0].text == many.texts[0].text
    batch = StreamBatch(model)
    stream = batch.join(state, length=12, sampling=sampling, seed=5, alternatives=3)
    for _ in batch:
        pass
    drawn = stream.drawn()
    whole_T = np.array([state.last_token, *(one.token for one in drawn)])[None]
    nats_BT, _, _ = model.program.losses(whole_T[:, :-1], whole_T[:, 1:], state.for_model(model))
    np.testing.assert_allclose(nats_BT[0], [-one.log_probability for one in drawn], atol=1e-3)
    assert abs(nats_BT.sum() - stream.nats) < 1e-2


def test_a_model_with_counts_adapts_and_keeps_them(make: Make, tmp_path: Any) -> None:
    model = saved(make("words"), tmp_path / "model.safetensors")
    ids_T = model.tokenizer.encode("The dog sat on the mat. The cat ran.\n" * 60).astype(np.int64)
    text = ids_T[None, :-1], ids_T[None, 1:]
    adapter = Adapter(model)
    nats = adapter.losses(*text).mean()
    assert nats < PlainReader(model).losses(*text, None).mean()
    kept = load(adapter.write(tmp_path / "adapted.safetensors").path)
    assert kept.program.counts is not None
    assert PlainReader(kept).losses(*text, None).mean() < PlainReader(model).losses(*text, None).mean()
