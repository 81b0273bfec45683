"""What is written does not depend on where, or beside whom: processors, threads, neighbours, a way through a
file. Text, log-probabilities and the state afterwards are compared byte for byte."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pantoum.config import ModelConfig, SamplingConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.stream_batch import Stream, StreamBatch
from pantoum.kernels import native, without_core
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.text.byte import ByteTokenizer

pytestmark = pytest.mark.skipif(without_core() is not None, reason="promised by the native core")

PROMPT = "Where the wind bites, 12 na\u00efve d\u00e9j\u00e0-vus"
SAMPLING = SamplingConfig(temperature=1.1, top_k=60, top_p=0.95, repetition_penalty=1.2)
LENGTH = 24
Found = tuple[str, tuple[float, ...], bytes]


@pytest.fixture(scope="module")
def network() -> LanguageModel:
    """A model of an odd size; its weights are random, and large enough for answers that differ."""
    network = LanguageModel(257, config=ModelConfig("gru", 130, 2, 24), seed=4)
    for array in network.parameters.values():
        array *= 2
    return network


@pytest.fixture
def core() -> Iterator[native.Library]:
    loaded = native.core()
    isa, threads = loaded.isa, loaded.threads
    yield loaded
    loaded.set_isa(isa)
    loaded.set_threads(threads)


def model_of(network: LanguageModel, precision: str) -> LoadedModel:
    return LoadedModel(Program(network, precision=precision), ByteTokenizer(), sha256="ab" * 32)


def join(batch: StreamBatch, prompt: str = PROMPT, seed: int = 7) -> Stream:
    session = Session(batch.model)
    session.feed(prompt)
    return batch.join(session.state, length=LENGTH, sampling=SAMPLING, seed=seed)


def followed(batch: StreamBatch, stream: Stream) -> Found:
    """One stream's text, log-probabilities and last state, while all write."""
    text, log_probabilities = "", []
    while not stream.ended:
        text += "".join(piece for one, piece in batch.round() if one is stream)
        log_probabilities.append(stream.log_probability)
    return text, tuple(log_probabilities), bytes(stream.state)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_every_path_threads_and_batch_write_the_same_bytes(
    core: native.Library, network: LanguageModel, precision: str
) -> None:
    found = set[Found]()
    for isa in core.paths():
        core.set_isa(isa)
        model = model_of(network, precision)
        for threads in (1, 2):
            core.set_threads(threads)
            for neighbours in (0, 15):
                batch = StreamBatch(model)
                for number in range(neighbours):
                    join(batch, "neighbour " * (number % 3), seed=number)
                found.add(followed(batch, join(batch)))
    assert len(found) == 1
    assert all(np.isfinite(next(iter(found))[1]))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_neighbours_that_come_and_are_cancelled_and_a_way_through_a_file_change_nothing(
    network: LanguageModel, precision: str
) -> None:
    model = model_of(network, precision)
    expected = followed(batch := StreamBatch(model), join(batch))

    batch = StreamBatch(model)
    others = [join(batch, "x" * number, seed=number) for number in range(8)]
    stream = join(batch)
    others += [join(batch, "y" * number, seed=number) for number in range(8)]
    text, log_probabilities = "", []
    while not stream.ended:
        text += "".join(piece for one, piece in batch.round() if one is stream)
        log_probabilities.append(stream.log_probability)
        if others:
            batch.leave(others.pop(len(others) // 2))
        else:
            join(batch, "late")
    assert (text, tuple(log_probabilities), bytes(stream.state)) == expected

    # Saved half-way and restored beside others. The penalty's window belongs to a writing and is left out.
    plain = SamplingConfig(temperature=1.1)
    whole, half = StreamBatch(model), StreamBatch(model)
    session = Session(model)
    session.feed(PROMPT)
    one = whole.join(session.state, length=LENGTH, sampling=plain, seed=7)
    first = half.join(session.state, length=LENGTH // 2, sampling=plain, seed=7)
    expected, begun = followed(whole, one), followed(half, first)
    restored = StreamBatch(model)
    for number in range(15):
        join(restored, seed=number)
    later = restored.join(State.from_bytes(begun[2]), length=LENGTH - LENGTH // 2, sampling=plain, seed=7)
    rest = followed(restored, later)
    assert (begun[0] + rest[0], begun[1] + rest[1], rest[2]) == expected
