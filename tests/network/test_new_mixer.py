"""A mixer that is added from outside: one class, and every way of reading has it (CONTRIBUTING.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.kernels.reference.tables import mix_rows
from pantoum.network import LanguageModel
from pantoum.network.mixers import Found, History, Mixer, ReadTokens
from pantoum.network.program import Program
from pantoum.network.spec import StateArray
from pantoum.network.stepping import stepper

Array = np.ndarray[Any, Any]
V, B, T, WEIGHT = 9, 2, 7, np.float32(0.25)


@dataclass(frozen=True)
class Again(Mixer):
    """With the weight 1/4 the token before the last one comes again."""

    name: ClassVar[str] = "again"

    def states(self, units: int) -> tuple[StateArray, ...]:
        return (StateArray("again.recent", 1, "tokens"),)

    def find(self, read: ReadTokens, state: Sequence[Array]) -> FoundAgain:
        history = History(read.tokens_TB, state[0], read.reset_TB, read.lengths)
        return FoundAgain(history.token(1).reshape(-1), (history.after().astype(np.float32),))


@dataclass(frozen=True)
class FoundAgain(Found):
    """The token before each, as its number + 1."""

    before_N: Array
    state: tuple[Array, ...]

    def mix(self, logits_NV: Array, tokens: Array | None = None) -> Array:
        before_N = self.before_N if tokens is None else self.before_N[tokens]
        p_NV = (np.arange(1, V + 1) == before_N[:, None]).astype(np.float32)
        mix_rows(logits_NV, p_NV, np.where(before_N > 0, 1 - WEIGHT, np.float32(1)))
        return logits_NV

    def nats(self, nats_N: Array, targets_N: Array) -> Array:
        weights_N = np.where(self.before_N > 0, WEIGHT, 0)
        again_N = targets_N + 1 == self.before_N
        return -np.log((1 - weights_N) * np.exp(-nats_N) + weights_N * again_N)


@dataclass(frozen=True)
class More(Again):
    """The same as something to add: 1 to the logit of the token before the last one."""

    name: ClassVar[str] = "more"
    adds: ClassVar[bool] = True

    def find(self, read: ReadTokens, state: Sequence[Array]) -> FoundMore:
        found = super().find(read, state)
        return FoundMore(found.before_N, found.state)


@dataclass(frozen=True)
class FoundMore(FoundAgain):
    def added(self, tokens: Array | slice | None = None) -> Array:
        before_N = self.before_N if tokens is None else self.before_N[tokens]
        return (np.arange(1, V + 1) == before_N[:, None]).astype(np.float32)


@pytest.fixture
def program() -> Program:
    model = LanguageModel(V, config=ModelConfig("lstm", 5, 2, 4, ngrams=(2,), ngram_rows=16))
    return Program(model, mixers=[Again()], purpose="train")


def test_it_mixes_and_carries_its_state_however_a_text_is_cut(program: Program) -> None:
    tokens = np.random.default_rng(0).integers(0, V, (B, T))
    whole, after = program.logits(tokens, program.initial_state(B))
    plain, _ = Program(program.model).logits(tokens, program.model.initial_state(B))
    p_BTV = np.exp(plain) / np.exp(plain).sum(axis=2, keepdims=True) * (1 - WEIGHT)
    p_BTV[np.arange(B)[:, None], np.arange(1, T), tokens[:, :-1]] += WEIGHT
    np.testing.assert_allclose(np.exp(whole[:, 1:]), p_BTV[:, 1:], rtol=1e-5)
    first, state = program.logits(tokens[:, :3], program.initial_state(B))
    second, state = program.logits(tokens[:, 3:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-6)
    assert np.array_equal(state.arrays[-1], tokens[:, -1:] + 1) and len(state.arrays) == len(after.arrays)


def test_losses_and_training_see_the_mixture(program: Program) -> None:
    tokens = np.random.default_rng(1).integers(0, V, (B, T + 1))
    inputs, targets, state = tokens[:, :-1], tokens[:, 1:], program.initial_state(B)
    logits, _ = program.logits(inputs, state)
    expected = -np.take_along_axis(logits, targets[:, :, None], axis=2)[:, :, 0]
    nats, predictions, _ = program.losses(inputs, targets, state)
    np.testing.assert_allclose(nats, expected, atol=1e-5)
    assert np.array_equal(predictions, logits.argmax(axis=2))
    result = program.gradients(inputs, targets, state)
    np.testing.assert_allclose(result.nats_BT, expected, atol=1e-5)
    assert list(result.gradients) == list(program.model.parameters)


def test_it_writes_token_by_token(program: Program) -> None:
    tokens_R, logits_CV = np.array([3, 4], np.int32), np.zeros((2, V), np.float32)
    state = program.initial_state(2)
    read = stepper(program, tokens_R, state, logits_CV)
    assert program.step_parts() is None  # the core's step lacks it
    read(0, 2)
    tokens_R[...] = 5
    read(0, 2)
    expected, _ = program.logits(np.array([[3, 5], [4, 5]]), program.initial_state(2))
    np.testing.assert_allclose(logits_CV, expected[:, 1], atol=1e-6)


def test_what_adds_stands_beside_the_n_grams_and_what_is_mixed_in(program: Program) -> None:
    tokens = np.random.default_rng(2).integers(0, V, (B, T + 1))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    more = Program(program.model, mixers=[More()], purpose="train")
    logits, _ = more.logits(inputs, more.initial_state(B))
    expected, _ = Program(program.model).logits(inputs, program.model.initial_state(B))
    expected[np.arange(B)[:, None], np.arange(1, T), inputs[:, :-1]] += 1
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    result = more.gradients(inputs, targets, more.initial_state(B))
    np.testing.assert_allclose(result.nats_BT, more.losses(inputs, targets, more.initial_state(B))[0])
    both = Program(program.model, mixers=[More(), Again()])
    assert len(both.initial_state(B).arrays) == len(more.initial_state(B).arrays) + 1
    assert both.losses(inputs, targets, both.initial_state(B))[0].shape == (B, T)
