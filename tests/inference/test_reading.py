"""Prompts that are read side by side end where each would have ended alone, however they are cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.reading import Reading, advance
from pantoum.inference.scoring.reader import PlainReader
from pantoum.inference.session import Session
from pantoum.kernels import without_core

Make = Callable[..., LoadedModel]
TEXTS = ["The cat sat on the mat.", "A na", "", "The end of the day: 12 o'clock.\nA dog"]
needs_core = pytest.mark.skipif(without_core() is not None, reason="promised by the native core")


def read(readings: Sequence[Reading], tokens: int) -> None:
    while left := [reading for reading in readings if reading.left]:
        advance(left, tokens)


@needs_core
@settings(max_examples=30)
@given(tokens=st.integers(1, 70), order=st.permutations(range(len(TEXTS))))
@pytest.mark.parametrize(
    ("kind", "documents", "cell", "ngrams"),
    [
        ("characters", None, "gru", (2, 3)),
        ("bytes", None, "lstm", ()),
        ("characters", "lines", "mingru", (2,)),
    ],
)
def test_states_are_those_of_sessions(
    make: Make,
    kind: str,
    documents: str | None,
    cell: str,
    ngrams: tuple[int, ...],
    tokens: int,
    order: list[int],
) -> None:
    model = make(kind, documents, cell, ngrams=ngrams)
    sessions = [Session(model) for _ in TEXTS]
    for number, session in enumerate(sessions):
        session.feed("The dog" * number)
    readings = [
        Reading(model, sessions[number].state, model.tokenizer.encode(TEXTS[number])) for number in order
    ]
    read(readings, tokens)
    for number, reading in zip(order, readings, strict=True):
        sessions[number].feed(reading.tokens_T)
        assert bytes(reading.state) == bytes(sessions[number].state)


@needs_core
def test_nats_are_those_of_the_reader_beside_others_and_in_chunks(make: Make) -> None:
    model = make("characters")
    tokens = [model.tokenizer.encode(text).astype(np.int64) for text in (TEXTS[0], TEXTS[3])]
    for alternatives in (0, 3):
        readings = [Reading(model, None, tokens_T, alternatives=alternatives) for tokens_T in tokens]
        read(readings, 9)
        for tokens_T, reading in zip(tokens, readings, strict=True):
            nats_T = PlainReader(model).losses(tokens_T[None, :-1], tokens_T[None, 1:], None)[0]
            assert reading.drawn[0] is None
            found = [one for one in reading.drawn if one is not None]
            assert [one.token for one in found] == tokens_T[1:].tolist()
            assert [-one.log_probability for one in found] == pytest.approx(nats_T.tolist(), abs=2e-6)
            assert all(len(one.alternatives) == alternatives for one in found)


def test_the_hidden_states_are_the_sessions(make: Make) -> None:
    model = make("bytes")
    tokens_T = model.tokenizer.encode(TEXTS[3])
    hidden_TH = Session(model).feed(tokens_T, hidden=True)
    reading = Reading(model, None, tokens_T, hidden=True)
    read([reading], 7)
    assert reading.last_H == pytest.approx(hidden_TH[-1], abs=1e-6)
    assert reading.mean_H == pytest.approx(hidden_TH.mean(axis=0), abs=1e-6)
