"""The kernel interface: a backend has every listed operation, under the same argument names."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from pantoum.kernels import backend, interface, reference

OPERATIONS = sorted(name for name in vars(interface.Kernels) if not name.startswith("_"))


def test_float64_is_numpys() -> None:
    assert backend(np.float64) is reference


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_reference_has_it_under_the_same_names(name: str) -> None:
    listed = getattr(interface.Kernels, name)
    expected = [argument for argument in inspect.signature(listed).parameters if argument != "self"]
    assert list(inspect.signature(getattr(reference, name)).parameters) == expected
