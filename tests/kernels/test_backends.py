"""Both backends have the same operations, called in the same way: the reference is the interface."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from pantoum.kernels import backend, native, reference

OPERATIONS = reference.__all__
OWN = {"resume": "the native core adds to what out holds"}
"""Arguments that only one backend has, for its own use."""


def test_float64_is_numpys() -> None:
    assert backend(np.float64) is reference


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_called_in_the_same_way(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(each, name)).parameters for each in (native, reference))
    assert [each for each in ours if each not in OWN] == list(theirs)
    for argument in theirs:
        assert ours[argument].default == theirs[argument].default or argument == "coefficients"
        assert ours[argument].kind == theirs[argument].kind
