"""Both backends have the same operations, called in the same way: the reference is the interface."""

from __future__ import annotations

import inspect
from types import ModuleType

import numpy as np
import pytest

from pantoum.kernels import backend, native, reference

OWN = {"resume": "the native core adds to what out holds"}
"""Arguments that only one backend has, for its own use."""


def functions(kernels: ModuleType) -> set[str]:
    return {name for name, each in vars(kernels).items() if inspect.isfunction(each) and name[0] != "_"}


OPERATIONS = functions(native) & functions(reference)


def test_float64_is_numpys() -> None:
    assert backend(np.float64) is reference


def test_none_is_missing_from_either() -> None:
    """A name that one of them lost would not be compared below."""
    assert len(OPERATIONS) == 28


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_is_called_in_the_same_way(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(each, name)).parameters for each in (native, reference))
    assert [each for each in ours if each not in OWN] == list(theirs)
    for argument in theirs:
        assert ours[argument].default == theirs[argument].default or argument == "coefficients"
        assert ours[argument].kind == theirs[argument].kind
