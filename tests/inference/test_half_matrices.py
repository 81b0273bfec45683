"""Matrices in float16 in the file of a finished run."""

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
from pantoum.inference.export import export
from pantoum.inference.files.half_matrices import halved
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.kernels import Array


@given(arrays.arrays(np.float32, (3, 5), elements={"allow_nan": False, "allow_infinity": False}))
def test_halving_what_was_read_from_a_file_gives_the_same_file(weight_GK: Array) -> None:
    held, after = halved({"a": weight_GK})
    again, same = halved(after)
    assert again["a"].dtype == held["a"].dtype and again["a"].tobytes() == held["a"].tobytes()
    assert same["a"].tobytes() == after["a"].tobytes() and np.isfinite(after["a"]).all()


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


def test_a_file_in_float16_is_the_model_of_the_rounded_numbers(content: ModelFile, tmp_path: Path) -> None:
    held, after = halved(content.parameters)
    model = loaded(content, held, tmp_path / "half")
    exact = loaded(content, after, tmp_path / "exact")
    tokens = np.array([model.tokenizer.encode("The cat sat on the mat.")])
    logits, expected = (m.program.logits(tokens, m.program.initial_state(1))[0] for m in (model, exact))
    assert np.array_equal(logits, expected) and model.precision == "float32"
    assert all(np.array_equal(array, after[name]) for name, array in model.network.parameters.items())
    export(tmp_path / "half", "int8", tmp_path / "int8")
    assert load(tmp_path / "int8").precision == "int8"


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
