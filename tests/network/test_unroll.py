"""Unrolling: the gradient is exact, lengths and resets do what they say, every row is a stream of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.config import DropoutConfig
from pantoum.data import StatefulBatches
from pantoum.errors import PantoumError, SettingError
from pantoum.network import (
    GRU,
    LSTM,
    LanguageModel,
    Stack,
    concatenate_state,
    cross_entropy,
    split_state,
    unroll,
    unroll_vjp,
)
from pantoum.network.blocks import Block
from pantoum.network.network_state import map_arrays, to_arrays

Random = np.random.Generator
Make = Callable[[int, int], Block]
MakeState = Callable[[Block, int], Any]

SITUATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lengths": {"lengths": np.array([5, 2, 0])},
    "resets": {"reset_BT": np.array([[1, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]], bool)},
    "lengths and resets": {
        "lengths": np.array([4, 5, 1]),
        "reset_BT": np.array([[0, 1, 0, 0, 1], [1, 0, 0, 0, 1], [0, 1, 0, 1, 0]], bool),
    },
}
B, T, E, H = 3, 5, 4, 4


def dot(a: Any, b: Any) -> float:
    """The inner product of two states, or of two arrays."""
    return sum(float(np.vdot(x, y)) for x, y in zip(to_arrays(a), to_arrays(b), strict=True))


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_the_pullback_is_the_central_difference(
    make_block: Make, random: Random, random_state: MakeState, situation: dict[str, Any]
) -> None:
    """Along a random direction of each array: a wrong entry anywhere shows."""
    block = make_block(E, H)
    x, state = random.standard_normal((B, T, E)), random_state(block, B)
    d_outputs, d_state = random.standard_normal((B, T, H)), random_state(block, B)

    def loss() -> float:
        outputs, last = unroll(block, x, state, dropout_key=(5, 6), **situation)
        return dot(outputs, d_outputs) + dot(last, d_state)

    _, _, pullback = unroll_vjp(block, x, state, dropout_key=(5, 6), **situation)
    d_x, d_initial, gradients = pullback(d_outputs, d_state)
    assert list(gradients) == list(block.parameters)
    pairs = [("x", x, d_x), *[(name, block.parameters[name], d) for name, d in gradients.items()]]
    pairs += [("state", a, d) for a, d in zip(to_arrays(state), to_arrays(d_initial), strict=True)]
    for name, array, gradient in pairs:
        direction, kept = random.standard_normal(array.shape), array.copy()
        array[...] = kept + 1e-6 * direction
        above = loss()
        array[...] = kept - 1e-6 * direction
        below = loss()
        array[...] = kept
        expected = (above - below) / 2e-6
        assert dot(gradient, direction) == pytest.approx(expected, rel=1e-6, abs=1e-7), name


def test_a_pullback_may_be_called_again(make_block: Make, random: Random, random_state: MakeState) -> None:
    block = make_block(E, H)
    x, d_outputs = random.standard_normal((B, T, E)), random.standard_normal((B, T, H))
    outputs, _, pullback = unroll_vjp(block, x, random_state(block, B), dropout_key=(1, 2))
    before, first = outputs.copy(), pullback(d_outputs)
    kept = [first[0].copy(), *(d.copy() for d in first[2].values())]
    second = pullback(d_outputs)
    for a, b in zip(kept, [second[0], *second[2].values()], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(outputs, before)


def test_unroll_and_unroll_vjp_agree(make_block: Make, random: Random, random_state: MakeState) -> None:
    block = make_block(E, H)
    x, state, lengths = random.standard_normal((B, T, E)), random_state(block, B), np.array([2, 5, 3])
    outputs, last = unroll(block, x, state, lengths)
    again, last_again, _ = unroll_vjp(block, x, state, lengths)
    np.testing.assert_array_equal(outputs, again)
    for a, b in zip(to_arrays(last), to_arrays(last_again), strict=True):
        np.testing.assert_array_equal(a, b)


def row_of(state: Any, row: int) -> Any:
    return map_arrays(lambda a: a[[row]], state)


def test_past_a_rows_length_outputs_are_zero_and_the_state_is_copied(
    make_block: Make, random: Random, random_state: MakeState
) -> None:
    block = make_block(E, H)
    x, state, lengths = random.standard_normal((B, T, E)), random_state(block, B), [3, 0, 5]
    outputs, last = unroll(block, x, state, lengths)
    for row, length in enumerate(lengths):
        assert not outputs[row, length:].any()
        expected = row_of(state, row)
        if length:
            alone, expected = unroll(block, x[row : row + 1, :length], expected)
            np.testing.assert_allclose(outputs[row, :length], alone[0], rtol=1e-12)
        for a, b in zip(to_arrays(row_of(last, row)), to_arrays(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_what_lies_past_a_rows_length_does_not_matter(make_block: Make, random: Random) -> None:
    block = make_block(E, H)
    x, lengths = random.standard_normal((B, T, E)), np.array([3, 1, 5])
    spoiled = x.copy()
    spoiled[0, 3:] = spoiled[1, 1:] = np.nan
    _, _, pullback = unroll_vjp(block, x, None, lengths)
    outputs, _, spoiled_pullback = unroll_vjp(block, spoiled, None, lengths)
    d_outputs = random.standard_normal((B, T, H))
    assert np.isfinite(outputs).all()
    for a, b in zip(pullback(d_outputs)[2].values(), spoiled_pullback(d_outputs)[2].values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_reset_begins_the_row_anew(make_block: Make, random: Random, random_state: MakeState) -> None:
    block = make_block(E, H)
    x, state = random.standard_normal((1, 6, E)), random_state(block, 1)
    reset = np.array([[False, False, True, False, False, False]])
    outputs, last = unroll(block, x, state, reset_BT=reset)
    first, _ = unroll(block, x[:, :2], state)
    second, last_of_second = unroll(block, x[:, 2:])
    np.testing.assert_allclose(outputs, np.concatenate([first, second], axis=1), rtol=1e-12)
    for a, b in zip(to_arrays(last), to_arrays(last_of_second), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@given(cut=st.integers(1, 4))
def test_two_chunks_with_the_state_handed_on_are_one(cut: int) -> None:
    random, lstm = np.random.default_rng(cut), LSTM(E, H, dtype=np.float64)
    x = random.standard_normal((B, T, E))
    whole, last = unroll(lstm, x)
    first, carried = unroll(lstm, x[:, :cut])
    second, carried = unroll(lstm, x[:, cut:], carried)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-12)
    np.testing.assert_allclose(carried[1], last[1], rtol=1e-12)


def test_dropout_is_off_without_a_key_and_repeats_with_one(random: Random) -> None:
    x = random.standard_normal((B, T, E))
    stack = Stack([GRU(E, H, dtype=np.float64)], dropout=DropoutConfig(0.5, 0.5, 0.5))
    plain = Stack(stack.cells)
    np.testing.assert_array_equal(unroll(stack, x)[0], unroll(plain, x)[0])
    once, again = unroll(stack, x, dropout_key=(1, 2))[0], unroll(stack, x, dropout_key=(1, 2))[0]
    np.testing.assert_array_equal(once, again)
    for other in ((1, 3), (2, 2)):
        assert (unroll(stack, x, dropout_key=other)[0] != once).any()


def test_streams_split_over_two_calls_meet_the_same_masks(make_block: Make, random: Random) -> None:
    block = make_block(E, H)
    x = random.standard_normal((4, T, E))
    whole, _ = unroll(block, x, dropout_key=(1, 2))
    parts = [
        unroll(block, x[rows], dropout_key=(1, 2), streams=np.array(rows))[0] for rows in ([0, 3], [2, 1])
    ]
    np.testing.assert_allclose(whole[[0, 3, 2, 1]], np.concatenate(parts), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"inputs_BTE": np.zeros((B, T, E + 1))},
            r"inputs_BTE is \(3, 5, 5\): it must have the shape \[B, T, 4\]",
        ),
        ({"inputs_BTE": np.zeros((B, 0, E))}, r"inputs_BTE is \(3, 0, 4\): it must have the shape"),
        ({"inputs_BTE": np.full((B, T, E), "a")}, r"inputs_BTE is 'str32': it must be an array of numbers"),
        ({"initial_state": np.zeros((B + 1, H))}, r"state is \(4, 4\): it must have the shape \(3, 4\)"),
        ({"initial_state": (np.zeros((B, H)),) * 2}, r"state is .*; carry the state of the same batch"),
        (
            {"initial_state": "zero"},
            r"state is 'str': it must be a state of this block; start from initial_state",
        ),
        ({"lengths": [1, 2]}, r"lengths is \[1, 2\]: it must be 3 whole numbers; give one length per row"),
        ({"lengths": [1.0, 2.0, 3.0]}, r"lengths is \[1.0, 2.0, 3.0\]: it must be 3 whole numbers"),
        ({"lengths": [1, 2, 6]}, r"lengths is \[1, 2, 6\]: it must be from 0 to 5"),
        (
            {"reset_BT": np.zeros((B, T))},
            r"reset_BT is 'float64 \(3, 5\)': it must be bool of shape \(3, 5\)",
        ),
        ({"dropout_key": 3}, r"dropout_key is 3: it must be a pair \(seed, step\)"),
        ({"dropout_key": (1, -1)}, r"dropout_key is -1: it must be a whole number"),
        ({"dropout_key": (1, 1), "streams": [0, 1]}, r"streams is \[0, 1\]: it must be 3 whole numbers"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        unroll(GRU(E, H), **{"inputs_BTE": np.zeros((B, T, E)), **arguments})


def test_a_pullback_takes_gradients_of_its_own_shapes(random: Random) -> None:
    _, last, pullback = unroll_vjp(LSTM(E, H), random.standard_normal((B, T, E)))
    with pytest.raises(
        SettingError, match=r"d_outputs_BTH is \(3, 5, 5\): it must have the shape \(3, 5, 4\)"
    ):
        pullback(np.zeros((B, T, H + 1)))
    with pytest.raises(SettingError, match=r"state is \(2, 4\)"):
        pullback(np.zeros((B, T, H)), map_arrays(lambda a: a[:2], last))


class NoArray:
    """What NumPy cannot make an array of."""

    def __array__(self, *asked: Any, **also: Any) -> Any:
        raise RuntimeError("no array")


BAD: list[Any] = [
    *(None, True, -1, 0, 1.5, float("nan"), 2**63, 10**30, 1j, object(), NoArray(), object),
    *("", "x", b"x", [], [None], [[1], [2, 3]], ["a", 3], (), (1,), (1, 1.5), {}, {1}, range(3)),
    *(np.array(3), np.array(["a"]), np.array([None]), np.zeros((2, 0, 3)), np.ones((2, 3, 3), np.int8)),
    *(np.full((2, 3, 3), "a"), np.full((2, 3, 3), 1j), np.full((2, 3, 3), None), np.datetime64("2020")),
]
X, LOGITS = np.ones((2, 3, 3), np.float32), np.zeros((2, 4), np.float32)
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "GRU": (GRU, {"input_size": 3, "hidden_size": 3, "reset": "after", "seed": 0}),
    "LSTM": (LSTM, {"input_size": 3, "hidden_size": 3, "seed": 0}),
    "Stack": (Stack, {"cells": [GRU(3, 3)], "dropout": None}),
    "LanguageModel": (
        LanguageModel,
        {"vocab_size": 3, "embedding_size": 2, "cell": "rnn", "hidden_size": 3, "num_layers": 1, "seed": 0},
    ),
    "initial_state": (GRU(3, 3).initial_state, {"batch_size": 2}),
    "step": (GRU(3, 3).step, {"x_BE": X[:, 0], "state": None}),
    "scan": (LSTM(3, 3).scan, {"x_BTE": X, "state": None, "lengths": None, "reset_BT": None}),
    "unroll": (
        unroll,
        {"cell": GRU(3, 3), "inputs_BTE": X, "initial_state": None, "dropout_key": (0, 1), "streams": None},
    ),
    "pullback": (unroll_vjp(GRU(3, 3), X)[2], {"d_outputs_BTH": X, "d_state": None}),
    "concatenate_state": (concatenate_state, {"state": LSTM(3, 3).initial_state(2)}),
    "split_state": (split_state, {"block": LSTM(3, 3), "array": np.ones((2, 6), np.float32)}),
    "cross_entropy": (cross_entropy, {"logits": LOGITS, "targets": [1, 3]}),
    "StatefulBatches": (
        StatefulBatches,
        {"tokens": np.arange(30), "batch_size": 2, "seq_len": 3, "cursor": None},
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("call", CALLS)
def test_only_pantoum_errors_come_out(call: str) -> None:
    function, good = CALLS[call]
    function(**good)
    wrong = []
    for name in good:
        for bad in BAD:
            if "size" in name and isinstance(bad, int) and bad > 2**60:
                continue  # more memory than there is
            try:
                function(**{**good, name: bad})
            except PantoumError as error:
                assert "\n" not in str(error)
            except Exception as error:
                wrong.append(f"{name}={type(bad).__name__}: {type(error).__name__}: {error}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: unroll(GRU(3, 3), [[[1, 2, 3]], [[1, 2]]]),
            "inputs_BTE is 'object': it must be an array of",
        ),
        (
            lambda: unroll(GRU(3, 3), X[:, :0]),
            r"\(2, 0, 3\): it must have .* \[B, T, 3\], with no side empty",
        ),
        (lambda: GRU(3, 3, seed=-1), "seed is -1: it must be a whole number of at least 0"),
        (lambda: Stack([GRU(3, 3)], dropout=0.5), "dropout is 0.5: it must be a DropoutConfig"),
        (lambda: concatenate_state((X[0], X[:1, 0])), "one batch; give the state of a cell or a stack"),
    ],
)
def test_a_wrong_value_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()
