"""A reader goes on where it stopped, whatever the sizes of its calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.score import Scorer
from pantoum.inference.scoring import reader as reading
from pantoum.inference.scoring.reader import OneStream, PlainReader, Reader


def tokens(model: LoadedModel, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    ids_BN = rng.integers(0, model.vocab_size, (1, 41))
    return ids_BN[:, :-1], ids_BN[:, 1:], rng.random((1, 40)) < 0.1


@pytest.mark.parametrize("cuts", [[40], [1, 2, 7, 40], [39, 40]])
def test_calls_of_any_size_are_one_reading(
    characters: LoadedModel, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, cuts: list[int]
) -> None:
    inputs_BT, targets_BT, reset_BT = tokens(characters, rng)
    nats_BT, _, _ = characters.program.losses(
        inputs_BT, targets_BT, characters.program.initial_state(1), reset_BT=reset_BT
    )
    monkeypatch.setattr(reading, "ROWS", 15)
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
