"""Counted contexts beside a network that writes: streams share them, and what a stream has is its tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.kernels import without_core
from pantoum.network import LanguageModel
from pantoum.network.mixers.contexts import ContextMixer, ContextMixture
from pantoum.network.mixers.counts import CountMixture, Counts
from pantoum.network.mixers.counts import counted as counted_orders
from pantoum.network.program import Program
from pantoum.network.stepping import scan_stepper, stepper

V, T, B = 12, 40, 2
Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.skipif(without_core() is not None, reason="the core has contexts")


def verse() -> Array:
    return np.tile(np.random.default_rng(1).integers(0, V, 25), 8)


@pytest.fixture
def program() -> Program:
    contexts = ContextMixer([bytes([97 + v]) for v in range(V)], slot_bits=12)
    contexts.read(verse())
    contexts.join(2)
    network = LanguageModel(V, config=ModelConfig("gru", 8, 1, 4), seed=1)
    return Program(network, mixers=[ContextMixture(contexts, 0.75)])


def texts() -> Array:
    """One that was read, and one that was not."""
    return np.stack([verse()[10 : 10 + T], np.random.default_rng(2).integers(0, V, T)])


def test_what_was_read_is_expected_in_a_stream_that_comes_to_it(program: Program) -> None:
    nats_BT, _, _ = program.losses(texts()[:, :-1], texts()[:, 1:], program.initial_state(B), predict=False)
    assert nats_BT[0, 8:].mean() < 0.5 < 2.0 < nats_BT[1].mean()


@pytest.mark.parametrize("counted", [False, True])
def test_steps_of_the_core_have_the_bits_of_scans(program: Program, counted: bool) -> None:
    if counted:
        orders = counted_orders(verse(), V, 3)
        counts = Counts(V, orders)
        between = CountMixture(counts, np.full(counts.buckets, 0.6, np.float32))
        program = Program(program.model, mixers=[between, *program.mixers])
    found = []
    for make in (stepper, scan_stepper):
        tokens_R, state, logits_CV = (
            np.zeros(3, np.int32),
            program.initial_state(3),
            np.empty((2, V), np.float32),
        )
        step, seen = make(program, tokens_R, state, logits_CV), []
        for first, tokens in zip((0, 1, 1, 0, 1), texts().T[8:], strict=False):
            tokens_R[first : first + B] = tokens
            step(first, B)
            seen.append(logits_CV.copy())
        assert (step.__name__ == "mixed_step") == (make is stepper)
        found.append([*seen, *state.arrays])
    for own, other in zip(*found, strict=True):
        np.testing.assert_array_equal(own, other)
