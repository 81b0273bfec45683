"""State is a value: taken apart, put together, selected, and never changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.network import GRU, LSTM, Stack, concatenate_state, split_state
from pantoum.network.network_state import NetworkState, from_arrays, map_arrays, to_arrays

STACK = Stack([GRU(3, 4), LSTM(4, 5)])


@pytest.fixture
def state(random: np.random.Generator) -> Any:
    return map_arrays(lambda a: random.standard_normal(a.shape).astype(a.dtype), STACK.initial_state(3))


def assert_equal(a: Any, b: Any) -> None:
    for x, y in zip(to_arrays(a), to_arrays(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_concatenated_state_is_one_array_and_comes_apart_again(state: Any) -> None:
    array = concatenate_state(state)
    assert array.shape == (3, 4 + 5 + 5)
    assert_equal(split_state(STACK, array), state)
    assert_equal(split_state(STACK.cells[1], array[:, 4:]), state[1])


@pytest.mark.parametrize("shape", [(3, 13), (14,), (1, 3, 14)])
def test_an_array_of_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match=r"state is .*: it must have the shape \[B, 14\]"):
        split_state(STACK, np.zeros(shape))


def test_arrays_and_back(state: Any) -> None:
    assert [a.shape for a in to_arrays(state)] == [(3, 4), (3, 5), (3, 5)]
    assert_equal(from_arrays(STACK.initial_state(1), to_arrays(state)), state)
    with pytest.raises(SettingError, match="state is '2 arrays': it must be 3 for this model"):
        from_arrays(STACK.initial_state(1), to_arrays(state)[:2])


def network_state(state: Any) -> NetworkState:
    return NetworkState(tuple(to_arrays(state)))


def test_rows_of_a_models_state_are_selected_and_joined(state: Any) -> None:
    whole = network_state(state)
    parts = [whole.select([row]) for row in range(3)]
    assert len(whole) == 3 and [len(part) for part in parts] == [1, 1, 1]
    assert_equal(NetworkState.joined(parts).arrays, whole.arrays)
    assert_equal(whole.select(slice(1, 3)).arrays, NetworkState.joined(parts[1:]).arrays)
    assert_equal(whole.select(np.array([True, False, True])).arrays, whole.select([0, 2]).arrays)
    parts[0].arrays[0][...] = 9
    assert not (whole.arrays[0] == 9).any()


def test_rows_are_zeroed_in_a_new_state(state: Any) -> None:
    whole = network_state(state)
    kept = whole.copy()
    fresh = whole.zero_where(np.array([True, False, True]))
    assert_equal(whole.arrays, kept.arrays)
    assert not any(a[[0, 2]].any() for a in fresh.arrays)
    assert_equal(fresh.select([1]).arrays, whole.select([1]).arrays)
    assert fresh.arrays[0].dtype == np.float32


def test_a_state_of_another_batch_is_refused_and_one_that_is_not_finite_known(state: Any) -> None:
    whole = network_state(state)
    assert whole.finite and whole.checked(whole.copy()).shapes == whole.shapes
    with pytest.raises(SettingError, match="a state belongs to its model and its batch"):
        whole.checked(whole.select([0]))
    whole.arrays[1][2, 3] = np.nan
    assert not whole.finite
