"""The head and the loss: nats over exactly the targets given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.config import ModelConfig
from pantoum.errors import SettingError
from pantoum.kernels import Workspace, reference
from pantoum.network import LanguageModel, cross_entropy
from pantoum.network.head import Head
from pantoum.network.packing import Packer


def test_even_logits_cost_the_logarithm_of_the_vocabulary() -> None:
    assert cross_entropy(np.zeros((2, 3, 7)), np.ones((2, 3), int)) == pytest.approx(math.log(7))


@given(shift=st.floats(-1e4, 1e4))
def test_a_constant_added_to_all_logits_changes_nothing(shift: float) -> None:
    logits = np.random.default_rng(0).standard_normal((4, 5))
    assert cross_entropy(logits + shift, np.arange(4)) == pytest.approx(cross_entropy(logits, np.arange(4)))


def test_integer_logits_are_numbers_too_and_are_left_alone() -> None:
    logits = np.array([[3, 0], [0, 3]])
    assert cross_entropy(logits, np.array([0, 1])) == pytest.approx(math.log(1 + math.exp(-3)))
    assert logits.tolist() == [[3, 0], [0, 3]]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros(3, int), r"targets is \(3,\): it must have the logits' shape without V, \(2,\)"),
        (np.array([0, 5]), "targets is 'int64 from 0 to 5': it must be whole numbers from 0 to 4"),
        (np.array([-1, 0]), "targets is 'int64 from -1 to 0'"),
        (np.array([0.0, 1.0]), "targets is 'float64"),
    ],
)
def test_targets_that_do_not_fit_are_named(targets: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        cross_entropy(np.zeros((2, 5)), targets)


@pytest.mark.parametrize("embedding_size", [None, 4, 6])
def test_losses_logits_and_gradients_agree(random: np.random.Generator, embedding_size: int | None) -> None:
    config = ModelConfig("gru", 6, 1, embedding_size, tied=embedding_size is not None)
    weights = LanguageModel(9, config=config, dtype=np.float64).parameters
    assert ("head.projection.weight" in weights) == (embedding_size == 4)
    packed = Head(weights, Packer(reference), ["embedding.weight"] if config.tied else [])
    hidden, targets = random.standard_normal((20, 6)), random.integers(0, 9, 20)
    nats, predictions = packed.losses(hidden, targets)
    logits = packed.logits(hidden)
    assert nats.mean() == pytest.approx(cross_entropy(logits, targets))
    np.testing.assert_array_equal(predictions, logits.argmax(axis=1))
    again, same, d_hidden, _, _ = packed.gradients(hidden, targets, Workspace())
    np.testing.assert_allclose(again, nats)
    np.testing.assert_array_equal(same, predictions)
    direction = random.standard_normal(hidden.shape)
    above, below = (packed.losses(hidden + e * direction, targets)[0].mean() for e in (1e-6, -1e-6))
    assert (d_hidden * direction).sum() == pytest.approx((above - below) / 2e-6)
    given = random.standard_normal(logits.shape)
    *_, d_given = packed.gradients(hidden, targets, Workspace(), given.copy())
    direction = random.standard_normal(given.shape)
    above, below = (cross_entropy(logits + given + e * direction, targets) for e in (1e-6, -1e-6))
    assert (d_given * direction).sum() == pytest.approx((above - below) / 2e-6)
