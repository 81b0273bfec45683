"""The core's calls are made from its header: a field that does not fit is refused before the core sees it."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from pantoum.errors import CoreError
from pantoum.kernels.native import library
from pantoum.kernels.native.declaration import Declaration

CORE = Path(__file__).parents[2] / "core"
TOY = """
#define PANTOUM_ABI 3
/* out = factor * x + bias, in blocks. */
typedef struct {
  const float* x;       /* [count, depth] */
  const float* bias;    /* [depth + 1] or null: none */
  float* out;           /* [count, depth] */
  void* panels;
  const float* const* arrays; /* [count] of them */
  int64_t count, depth; /* sizes */
  int32_t precision;
} pantoum_toy_args;
#define PANTOUM_VECTOR_OPERATIONS(X) X(toy)
"""


@pytest.fixture
def toy(tmp_path: Path) -> Declaration:
    header = tmp_path / "toy.h"
    header.write_text(TOY)
    return Declaration(header)


def floats(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.zeros(shape, np.float32)


def test_sizes_come_from_the_arrays(toy: Declaration) -> None:
    out, arrays = floats(2, 3), np.zeros(2, np.uintp)
    struct = toy.filler("toy")(x=floats(2, 3), out=out, arrays=arrays, precision=1, panels=64)
    assert toy.abi == 3 and toy.operations == ("toy",)
    assert (struct.count, struct.depth, struct.precision, struct.panels) == (2, 3, 1, 64)  # type: ignore[attr-defined]
    assert struct.bias is None and struct.out == out.ctypes.data  # type: ignore[attr-defined]
    assert [name for name, *_ in toy.structs["toy"]._fields_][-2:] == ["depth", "precision"]
    assert toy.structs["toy"]._fields_[-1][1] is ctypes.c_int32


@pytest.mark.parametrize(
    ("field", "array", "message"),
    [
        ("x", floats(6), r"x is float32 of shape \(6,\)"),
        ("x", floats(2, 3).astype(np.float64), "x is float64"),
        ("x", floats(2, 6)[:, ::2], "strides"),
        ("bias", floats(3), r"\[depth \+ 1\] = \(4,\)"),
        ("out", floats(3, 2), r"out is .*\[count, depth\] = \(2, 3\)"),
        ("arrays", floats(2), "arrays is float32"),
    ],
)
def test_what_does_not_fit_is_refused(toy: Declaration, field: str, array: object, message: str) -> None:
    fields = {"x": floats(2, 3), "out": floats(2, 3), "arrays": np.zeros(2, np.uintp), "bias": floats(4)}
    with pytest.raises(CoreError, match=message):
        toy.filler("toy")(**{**fields, field: array}, precision=0)


def test_only_what_is_written_must_be_writable(toy: Declaration) -> None:
    frozen = floats(2, 3)
    frozen.flags.writeable = False
    fields = {"arrays": np.zeros(2, np.uintp), "precision": 0}
    toy.filler("toy")(x=frozen, out=floats(2, 3), **fields)
    with pytest.raises(CoreError, match="not writable"):
        toy.filler("toy")(x=floats(2, 3), out=frozen, **fields)


def test_a_size_that_is_given_is_what_the_arrays_must_have(toy: Declaration) -> None:
    fields = {"x": floats(2, 3), "out": floats(2, 3), "arrays": np.zeros(2, np.uintp), "precision": 0}
    with pytest.raises(CoreError, match=r"x is .* = \(2, 4\)"):
        toy.filler("toy")(**fields, depth=4)


def test_every_struct_of_the_core_can_be_filled() -> None:
    declaration = Declaration(CORE / "pantoum_core.h")
    for name in declaration.structs:
        assert callable(declaration.filler(name))
    assert set(declaration.operations) <= set(declaration.structs)


@pytest.mark.skipif(not library.FILE.exists(), reason="no core here")
def test_the_header_beside_the_library_is_the_cores() -> None:
    assert library.HEADER.read_bytes() == (CORE / "pantoum_core.h").read_bytes()
