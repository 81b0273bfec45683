"""Parameters: a dict whose arrays are the block's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.network import GRU, LanguageModel


def test_assignment_copies_into_the_blocks_array() -> None:
    cell, values = GRU(2, 3), np.ones((9, 2))
    array = cell.parameters["weight_ih"]
    cell.parameters["weight_ih"] = values
    values[...] = 5
    assert cell.parameters["weight_ih"] is array
    assert (array == 1).all()


def test_update_takes_over_all_arrays_of_another_model() -> None:
    one, other = (LanguageModel(5, hidden_size=3, num_layers=2, seed=seed) for seed in (0, None))
    other.parameters.update(one.parameters)
    for name, array in one.parameters.items():
        np.testing.assert_array_equal(other.parameters[name], array)
    other.parameters.update({"head.bias": np.ones(5)})
    assert not one.parameters["head.bias"].any()


def test_a_deep_copy_is_a_model_of_its_own() -> None:
    model = LanguageModel(5, hidden_size=3, num_layers=1)
    twin = copy.deepcopy(model)
    twin.parameters["stack.0.weight_hh"][...] = 7
    assert (twin.parameters["stack.0.weight_hh"] == 7).all()
    assert not (model.parameters["stack.0.weight_hh"] == 7).any()


def test_an_unknown_name_and_another_shape_are_refused() -> None:
    parameters = GRU(2, 3).parameters
    with pytest.raises(
        SettingError, match="parameter is 'weight': it is not one of this block's; use one of"
    ):
        parameters["weight"] = np.zeros(3)
    with pytest.raises(SettingError, match=r"parameter bias_ih is \(8,\): it must have the shape \(9,\)"):
        parameters["bias_ih"] = np.zeros(8)
