"""State is a value: taken apart, put together, selected, and never changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.network import GRU, LSTM, Stack, concatenate_state, split_state
from pantoum.network.state import from_arrays, map_arrays, reset_rows, select_rows, stack_rows, to_arrays

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
    with pytest.raises(SettingError, match=r"state is .*: must have the shape \[B, 14\]"):
        split_state(STACK, np.zeros(shape))


def test_arrays_and_back(state: Any) -> None:
    assert [a.shape for a in to_arrays(state)] == [(3, 4), (3, 5), (3, 5)]
    assert_equal(from_arrays(STACK.initial_state(1), to_arrays(state)), state)
    with pytest.raises(SettingError, match="state is '2 arrays': must be 3 for this model"):
        from_arrays(STACK.initial_state(1), to_arrays(state)[:2])


def test_rows_are_selected_and_joined(state: Any) -> None:
    parts = [select_rows(state, [row]) for row in range(3)]
    assert_equal(stack_rows(parts), state)
    parts[0][0][...] = 9
    assert not (state[0] == 9).any()


def test_rows_are_reset_in_a_new_state(state: Any) -> None:
    kept = map_arrays(np.copy, state)
    fresh = reset_rows(state, np.array([True, False, True]))
    assert_equal(state, kept)
    assert not any(a[[0, 2]].any() for a in to_arrays(fresh))
    assert_equal(select_rows(fresh, [1]), select_rows(state, [1]))
    assert fresh[0].dtype == np.float32
