"""The table of n-grams in the file of a finished run: what comes back, and which files are refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.about.file import inspect
from pantoum.errors import ModelFileError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.inference.files.precision import SPARE, compacted, parts_of, row_codes
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.kernels import RowCodes, without_core
from pantoum.kernels.native.step import CoreStepper
from pantoum.network.spec import TABLE
from pantoum.network.stepping import stepper

PARTS = USED, EXPONENTS, CODES = parts_of(TABLE)


@pytest.fixture
def content(make: Callable[..., LoadedModel]) -> ModelFile:
    """A model with a table of which some rows were never used."""
    model = make("characters", ngrams=(2, 4))
    parameters = {name: array.copy() for name, array in model.network.parameters.items()}
    parameters[TABLE][::3] = 0
    return ModelFile(model.config.spec(), parameters, model.tokenizer.spec(), {})


def written(content: ModelFile, path: Path, **changed: Any) -> Path:
    held, _ = compacted(content.parameters, [TABLE])
    model_file.write(path, replace(content, parameters={**held, **changed}))
    return path


def test_a_file_gives_the_model_whose_table_was_coded(content: ModelFile, tmp_path: Path) -> None:
    _, after = compacted(content.parameters, [TABLE])
    small, plain = written(content, tmp_path / "small"), tmp_path / "plain"
    model_file.write(plain, replace(content, parameters=after))
    ours, theirs = load(small), load(plain)
    assert isinstance(ours.program.mixer("ngrams").weight_RV, RowCodes)  # in memory too
    tokens = np.array([ours.tokenizer.encode("The cat sat on the mat.")])
    logits, expected = (m.program.logits(tokens, m.program.initial_state(1))[0] for m in (ours, theirs))
    assert np.array_equal(logits, expected)
    for name, array in theirs.network.parameters.items():
        assert np.array_equal(ours.network.parameters[name], array)
    assert inspect(small).facts["parameters"] == inspect(plain).facts["parameters"]


def test_a_table_of_coarse_codes_is_held_in_a_sixth_of_float32_or_less(content: ModelFile) -> None:
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
def test_what_is_no_table_is_refused(content: ModelFile, tmp_path: Path, kind: str) -> None:
    held, _ = compacted(content.parameters, [TABLE])
    path = written(content, tmp_path / "m", **wrong(kind, held))
    with pytest.raises(ModelFileError, match=r"(its table|parameter) ngrams\.weight .*use another copy"):
        load(path)


def test_a_part_that_is_missing_or_a_second_table_is_refused(content: ModelFile, tmp_path: Path) -> None:
    held, _ = compacted(content.parameters, [TABLE])
    for name in PARTS:
        parameters = {key: array for key, array in held.items() if key != name}
        model_file.write(tmp_path / "m", replace(content, parameters=parameters))
        with pytest.raises(ModelFileError, match=r"its table|parameter ngrams\.weight"):
            load(tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"ngrams\.weight"):
        load(written(content, tmp_path / "n", **{TABLE: content.parameters[TABLE]}))


def test_int8_of_a_compact_file_keeps_its_codes_and_reads_in_one_call(
    content: ModelFile, tmp_path: Path
) -> None:
    small = written(content, tmp_path / "small")
    export(small, "int8", tmp_path / "int8")
    before, after = model_file.read(small), model_file.read(tmp_path / "int8")
    assert all(np.array_equal(before.parameters[name], after.parameters[name]) for name in PARTS)
    model = load(tmp_path / "int8")
    tokens, logits = np.zeros(1, np.int32), np.zeros((1, model.vocab_size), np.float32)
    made = stepper(model.program, tokens, model.program.initial_state(1), logits)
    assert isinstance(getattr(made, "__self__", None), CoreStepper) or without_core() is not None


def test_the_codes_of_a_file_are_those_of_its_table(content: ModelFile) -> None:
    held, after = compacted(content.parameters, [TABLE])
    assert np.array_equal(row_codes(held, TABLE, content.parameters[TABLE].shape).floats(), after[TABLE])
    again, _ = compacted(after, [TABLE])
    assert all(np.array_equal(held[name], again[name]) for name in PARTS)
