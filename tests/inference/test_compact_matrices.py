"""Matrices as codes or in float16, in the file of a finished run."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from pantoum.about.file import inspect
from pantoum.errors import ModelFileError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.inference.files.precision import SPARE, Form, coded, compacted, halved, parts_of, row_codes
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.kernels import Array, RowCodes, without_core
from pantoum.kernels.native.step import CoreStepper
from pantoum.network.spec import TABLE
from pantoum.network.stepping import stepper

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


PARTS = USED, EXPONENTS, CODES = parts_of(TABLE)


@pytest.fixture
def compact_table_content(make: Callable[..., LoadedModel]) -> ModelFile:
    """A model with a table of which some rows were never used."""
    model = make("characters", ngrams=(2, 4))
    parameters = {name: array.copy() for name, array in model.network.parameters.items()}
    parameters[TABLE][::3] = 0
    return ModelFile(model.config.spec(), parameters, model.tokenizer.spec(), {})


def written(compact_table_content: ModelFile, path: Path, **changed: Any) -> Path:
    held, _ = compacted(compact_table_content.parameters, [TABLE])
    model_file.write(path, replace(compact_table_content, parameters={**held, **changed}))
    return path


def test_a_file_gives_the_model_whose_table_was_coded(
    compact_table_content: ModelFile, tmp_path: Path
) -> None:
    _, after = compacted(compact_table_content.parameters, [TABLE])
    small, plain = written(compact_table_content, tmp_path / "small"), tmp_path / "plain"
    model_file.write(plain, replace(compact_table_content, parameters=after))
    ours, theirs = load(small), load(plain)
    assert isinstance(ours.program.mixer("ngrams").weight_RV, RowCodes)  # in memory too
    tokens = np.array([ours.tokenizer.encode("The cat sat on the mat.")])
    logits, expected = (m.program.logits(tokens, m.program.initial_state(1))[0] for m in (ours, theirs))
    assert np.array_equal(logits, expected)
    for name, array in theirs.network.parameters.items():
        assert np.array_equal(ours.network.parameters[name], array)
    assert inspect(small).facts["parameters"] == inspect(plain).facts["parameters"]


def test_a_table_of_coarse_codes_is_held_in_a_sixth_of_float32_or_less(
    compact_table_content: ModelFile,
) -> None:
    table_RV = np.random.default_rng(0).standard_normal((4096, 65)).astype(np.float32)
    table_RV[::4] = 0
    held, _ = compacted({TABLE: table_RV}, [TABLE], 31)
    assert sum(array.nbytes for array in held.values()) < table_RV.nbytes / 6


def test_a_table_of_nothing_or_of_few_rows_stays_as_it_is() -> None:
    for table_RV in (np.zeros((64, 5), np.float32), np.ones((4, 5), np.float32)):
        assert compacted({TABLE: table_RV}, [TABLE])[0].keys() == {TABLE}
    few = np.zeros((1 << 20, 64), np.float32)  # 256 MB to train on, of a file of some bytes
    few[7] = 1
    assert compacted({TABLE: few}, [TABLE])[0].keys() == {TABLE}


def wrong(kind: str, held: dict[str, Any]) -> dict[str, Any]:
    """Parts that are not a table."""
    used, exponents, codes = (held[name].copy() for name in PARTS)
    bomb = zlib.compress(bytes(SPARE * 2), 9)
    return {
        "row marked": {USED: used ^ np.uint8(1)},
        "row missing": {EXPONENTS: exponents[:-1]},
        "no rows": {USED: used * 0, EXPONENTS: exponents[:0]},
        "cut": {CODES: codes[:-9]},
        "more after it": {CODES: np.concatenate([codes, codes[:4]])},
        "not zlib": {CODES: codes[::-1].copy()},
        "bomb": {CODES: np.frombuffer(bomb, np.uint8)},
        "-128": {CODES: np.frombuffer(zlib.compress(b"\x80" * len(zlib.decompress(codes))), np.uint8)},
        "infinite": {EXPONENTS: exponents * 0 + np.int8(127)},
        "kinds": {EXPONENTS: exponents.view(np.uint8)},
        "wider": {CODES: np.frombuffer(zlib.compress(bytes(len(exponents) * 999)), np.uint8)},
        "longer": {USED: np.concatenate([used, used * 0])},
    }[kind]


KINDS = "row marked,row missing,no rows,cut,more after it,not zlib,bomb,-128,infinite,kinds,wider,longer"


@pytest.mark.parametrize("kind", KINDS.split(","))
def test_what_is_no_table_is_refused(compact_table_content: ModelFile, tmp_path: Path, kind: str) -> None:
    held, _ = compacted(compact_table_content.parameters, [TABLE])
    path = written(compact_table_content, tmp_path / "m", **wrong(kind, held))
    with pytest.raises(ModelFileError, match=r"(its table|parameter) ngrams\.weight .*use another copy"):
        load(path)


def test_a_part_that_is_missing_or_a_second_table_is_refused(
    compact_table_content: ModelFile, tmp_path: Path
) -> None:
    held, _ = compacted(compact_table_content.parameters, [TABLE])
    for name in PARTS:
        parameters = {key: array for key, array in held.items() if key != name}
        model_file.write(tmp_path / "m", replace(compact_table_content, parameters=parameters))
        with pytest.raises(ModelFileError, match=r"its table|parameter ngrams\.weight"):
            load(tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"ngrams\.weight"):
        load(
            written(compact_table_content, tmp_path / "n", **{TABLE: compact_table_content.parameters[TABLE]})
        )


def test_int8_of_a_compact_file_keeps_its_codes_and_reads_in_one_call(
    compact_table_content: ModelFile, tmp_path: Path
) -> None:
    small = written(compact_table_content, tmp_path / "small")
    export(small, "int8", tmp_path / "int8")
    before, after = model_file.read(small), model_file.read(tmp_path / "int8")
    assert all(np.array_equal(before.parameters[name], after.parameters[name]) for name in PARTS)
    model = load(tmp_path / "int8")
    tokens, logits = np.zeros(1, np.int32), np.zeros((1, model.vocab_size), np.float32)
    made = stepper(model.program, tokens, model.program.initial_state(1), logits)
    assert isinstance(getattr(made, "__self__", None), CoreStepper) or without_core() is not None


def test_the_codes_of_a_file_are_those_of_its_table(compact_table_content: ModelFile) -> None:
    held, after = compacted(compact_table_content.parameters, [TABLE])
    assert np.array_equal(
        row_codes(held, TABLE, compact_table_content.parameters[TABLE].shape).floats(), after[TABLE]
    )
    again, _ = compacted(after, [TABLE])
    assert all(np.array_equal(held[name], again[name]) for name in PARTS)
