"""Matrices as codes or in float16, in the file of a finished run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from pantoum.errors import ModelFileError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.inference.files.precision import Form, coded, halved
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.kernels import Array
from pantoum.network.spec import TABLE

FLOATS = {"allow_nan": False, "allow_infinity": False}


@pytest.mark.parametrize("form", [coded, halved])
@given(arrays.arrays(np.float32, (3, 5), elements=FLOATS))
def test_what_was_read_from_a_file_gives_the_same_file(form: Form, weight_GK: Array) -> None:
    held, after = form({"a": weight_GK})
    again, same = form(after)
    assert {name: (array.dtype, array.tobytes()) for name, array in held.items()} == {
        name: (array.dtype, array.tobytes()) for name, array in again.items()
    }
    assert same["a"].tobytes() == after["a"].tobytes() and np.isfinite(after["a"]).all()


@given(arrays.arrays(np.float32, (3, 5), elements={**FLOATS, "min_value": -(2.0**99), "max_value": 2.0**99}))
def test_codes_are_within_half_a_step_of_each_row(weight_GK: Array) -> None:
    held, after = coded({"a": weight_GK})
    largest_G = np.abs(weight_GK).max(axis=1).astype(np.float64)
    far_GK = np.abs(weight_GK.astype(np.float64) - after["a"])
    assert (far_GK <= 0.50001 * largest_G[:, None] / 126.99 + 2.0**-100).all()
    assert held["a"].dtype == np.int8 and abs(held["a"].astype(int)).max() <= 127
    assert np.array_equal(after["a"], held["a"] * held["a.scale"][:, None])


def test_many_rows_are_coded_as_each_alone() -> None:
    weight_GK = np.random.default_rng(0).standard_normal((3000, 130)).astype(np.float32)
    weight_GK[7] = 0
    held, _ = coded({"a": weight_GK})
    for row in (0, 7, 2015, 2016, 2999):
        alone, _ = coded({"a": weight_GK[row : row + 1]})
        assert np.array_equal(alone["a"][0], held["a"][row]) and alone["a.scale"][0] == held["a.scale"][row]


def test_a_vector_has_no_codes() -> None:
    held, after = coded({"bias": np.ones(3, np.float32), "none": np.ones((0, 3), np.float32)})
    assert held.keys() == after.keys() == {"bias", "none"}


def test_a_number_beyond_float16_keeps_its_matrix_in_float32() -> None:
    large = np.array([[1.0, 65_505.0]], np.float32)
    held, after = halved({"large": large, "bias": large[0]})
    assert held["large"] is large and after["large"] is large and held["bias"].dtype == np.float32
    held, _ = halved({"fits": np.array([[-65_504.0, 0.1]], np.float32)})
    assert held["fits"].dtype == np.float16


@pytest.fixture
def content(make: Callable[..., LoadedModel]) -> ModelFile:
    model = make("characters", ngrams=(2, 4))
    return ModelFile(model.config.spec(), dict(model.network.parameters), model.tokenizer.spec(), {})


def loaded(content: ModelFile, parameters: Mapping[str, Array], path: Path) -> LoadedModel:
    model_file.write(path, replace(content, parameters=dict(parameters)))
    return load(path)


@pytest.mark.parametrize("form", [coded, halved])
def test_a_small_file_is_the_model_of_the_rounded_numbers(
    content: ModelFile, tmp_path: Path, form: Form
) -> None:
    table = {TABLE: content.parameters[TABLE]}
    held, after = form({name: array for name, array in content.parameters.items() if name != TABLE})
    model = loaded(content, held | table, tmp_path / "small")
    exact = loaded(content, after | table, tmp_path / "exact")
    assert (tmp_path / "small").stat().st_size < (tmp_path / "exact").stat().st_size
    tokens = np.array([model.tokenizer.encode("The cat sat on the mat.")])
    logits, expected = (m.program.logits(tokens, m.program.initial_state(1))[0] for m in (model, exact))
    assert np.array_equal(logits, expected) and model.precision == "float32"
    for name, array in model.network.parameters.items():
        assert np.array_equal(array, (after | table)[name])
    for path in ("small", "exact"):
        export(tmp_path / path, "int8", tmp_path / f"{path} in int8")
    codes, others = (model_file.read(tmp_path / f"{path} in int8").parameters for path in ("small", "exact"))
    if form is coded:  # its codes are those of int8
        assert all(np.array_equal(array, others[name]) for name, array in codes.items())
    assert load(tmp_path / "small in int8").precision == "int8"


def test_codes_without_scales_are_refused(content: ModelFile, tmp_path: Path) -> None:
    held, _ = coded(content.parameters)
    for wrong in ({"head.weight.scale": None}, {"head.weight.scale": np.ones(3, np.float32)}):
        arrays = {name: array for name, array in (held | wrong).items() if array is not None}
        with pytest.raises(ModelFileError, match=r"parameter head\.weight"):
            loaded(content, arrays, tmp_path / "wrong")
    scale = {**content.parameters, "head.weight.scale": np.ones(len(content.parameters["head.bias"]), "f4")}
    with pytest.raises(ModelFileError, match=r"parameter head\.weight"):
        loaded(content, scale, tmp_path / "wrong")


def test_a_vector_in_float16_is_refused(content: ModelFile, tmp_path: Path) -> None:
    name = next(name for name, array in content.parameters.items() if array.ndim == 1)
    wrong = {**content.parameters, name: content.parameters[name].astype(np.float16)}
    with pytest.raises(ModelFileError, match=f"parameter {name} is .*float16"):
        loaded(content, wrong, tmp_path / "wrong")


def test_an_infinity_in_float16_is_refused(content: ModelFile, tmp_path: Path) -> None:
    held, _ = halved(content.parameters)
    name = next(name for name, array in held.items() if array.dtype == np.float16)
    held[name] = held[name].copy()
    held[name][0, 0] = np.inf
    with pytest.raises(ModelFileError, match="not finite"):
        loaded(content, held, tmp_path / "wrong")
