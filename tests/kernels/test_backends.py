"""Both backends have the same operations, called in the same way: the reference is the interface."""

from __future__ import annotations

import inspect
from types import ModuleType

import numpy as np
import pytest

from pantoum.kernels import Workspace, backend, native, reference

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


def test_the_same_name_and_shape_is_the_same_array() -> None:
    workspace = Workspace()
    array = workspace.array("a", (2, 3), np.float32)
    assert workspace.array("a", (2, 3), np.float32) is array
    assert workspace.array("b", (2, 3), np.float32) is not array
    assert (array.shape, array.dtype, array.flags.c_contiguous) == ((2, 3), np.float32, True)


def test_a_smaller_shape_uses_the_same_memory_and_a_larger_one_grows_it() -> None:
    workspace = Workspace()
    large = workspace.array("a", (4, 6), np.float32)
    small = workspace.array("a", (3, 2), np.float32)
    assert np.shares_memory(large, small)
    assert small.flags.c_contiguous
    assert workspace.nbytes == 96
    workspace.array("a", (5, 6), np.float32)
    assert workspace.nbytes == 120
    assert workspace.array("a", (2,), np.float64).dtype == np.float64


def test_scopes_are_apart_and_kept() -> None:
    workspace = Workspace()
    one, two = (workspace.scope(name).array("a", (2,), np.float32) for name in ("1", "2"))
    assert not np.shares_memory(one, two)
    assert workspace.scope("1").array("a", (2,), np.float32) is one
    assert workspace.nbytes == 16


def test_other_things_are_made_once() -> None:
    workspace, made = Workspace(), []
    for _ in range(2):
        workspace.kept("pack", lambda: made.append(1))
    assert made == [1]


def test_what_holds_for_one_operation_is_there_once() -> None:
    workspace = Workspace()
    one, two = (workspace.scope(name).passing.array("a", (2,), np.float32) for name in ("1", "2"))
    assert one is two is workspace.passing.array("a", (2,), np.float32)
    assert workspace.nbytes == 8 and workspace.scope("1").nbytes == 0
