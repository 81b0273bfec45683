"""A step of a whole model in the core: the bits of the scan path, on every path, whatever the threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.errors import CoreError
from pantoum.kernels import RowCodes, StepPart, native
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.network.spec import TABLE
from pantoum.network.stepping import scan_stepper, stepper

V = 70


def with_ngrams(vocab_size: int, orders: tuple[int, ...], rows: int, **shape: Any) -> LanguageModel:
    """A model whose table is not zeros, as it is at first."""
    config = ModelConfig(**shape, ngrams=orders, ngram_rows=rows)
    model = LanguageModel(vocab_size, config=config)
    table_WV = model.parameters["ngrams.weight"]
    table_WV[...] = np.random.default_rng(5).standard_normal(table_WV.shape)
    return model


def stepped(
    model: LanguageModel,
    precision: str,
    rows: int,
    *,
    scan: bool = False,
    size: int | None = None,
    fresh: bool = False,
    table: Any = None,
) -> bytes:
    """Two steps of some rows, ``size`` of them at once: logits and states."""
    random, V = np.random.default_rng(4), model.vocab_size
    state = model.initial_state(rows)
    states = list(state.arrays)
    for array in states:
        array[...] = random.standard_normal(array.shape)
    if model.config.ngrams:  # of a few rows not all tokens are there, of one in four none
        states[-1][...] = np.sort(random.integers(-V // 4, V + 1, states[-1].shape).clip(0), axis=1)
        states[-1][::4] = 0
    if fresh:
        for array in states:
            array[...] = 0
    tokens = random.integers(0, V, rows).astype(np.int32)
    logits_CV, found = np.zeros((rows, V), np.float32), []
    make = scan_stepper if scan else stepper
    weights = model.parameters if table is None else {**model.parameters, TABLE: table}
    read = make(Program(model, weights, precision=precision), tokens, state, logits_CV)
    for _ in range(2):
        for first in range(0, rows, size or rows):
            count = min(size or rows, rows - first)
            read(first, count)
            found.append(logits_CV[:count].tobytes())
        tokens[...] = tokens[::-1].copy()
    return b"".join([*found, *(array.tobytes() for array in states)])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", ["float32", "int8", "bf16"])
def test_a_step_is_a_scan_of_one_step(path: str, library: native.Library, cell: str, precision: str) -> None:
    if precision == "bf16" and not library.has_bf16:
        pytest.skip("no bf16 on this path")
    model = LanguageModel(V, config=ModelConfig(cell, 66, 2, 20, tied=True))
    for threads, rows in ((1, 1), (2, 1), (2, 5), (2, 40)):
        library.set_threads(threads)
        assert stepped(model, precision, rows) == stepped(model, precision, rows, scan=True)


@pytest.mark.parametrize("cell", ["gru", "gru-before", "lstm"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_every_path_any_threads_and_any_batch_give_the_same_bits(
    library: native.Library, cell: str, precision: str
) -> None:
    model = LanguageModel(V, None, cell, hidden_size=150, num_layers=2)
    found = set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads in (1, 2, 3):
            library.set_threads(threads)
            found.add(stepped(model, precision, 16))
    assert len(found) == 1
    alone = {stepped(model, precision, 16, size=size)[-1000:] for size in (1, 3, 16)}
    assert len(alone) == 1


@pytest.mark.parametrize("members", [2, 3, 5])
@pytest.mark.parametrize("cell", ["gru", "gru-before", "lstm"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_step_of_an_ensemble_is_a_scan_of_one_step_whoever_takes_its_members(
    path: str, library: native.Library, cell: str, precision: str, members: int
) -> None:
    config = ModelConfig(cell, 70, 2, 70, members=members, ngrams=(2, 3), ngram_rows=32)
    model, found = LanguageModel(V, config=config), set()
    model.parameters["ngrams.weight"] = np.random.default_rng(2).standard_normal((64, V))
    for threads in (1, 2, 3):
        library.set_threads(threads)
        for rows in (1, 5, 40):
            bits = stepped(model, precision, rows)
            assert bits == stepped(model, precision, rows, scan=True)
            found.add((rows, bits))
    assert len(found) == 3


def parts_of(model: LanguageModel) -> list[StepPart]:
    return Program(model).step_parts() or []


def changed(parts: list[StepPart], place: int, **values: Any) -> list[StepPart]:
    """With other values in one of the parts."""
    other = StepPart(parts[place].kind, {**parts[place].values, **values})
    return [*parts[:place], other, *parts[place + 1 :]]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", ["float32", "int8", "bf16"])
@pytest.mark.parametrize(("vocab_size", "orders", "table_rows"), [(7, (2,), 16), (98, (3, 4, 5), 1024)])
def test_ngrams_add_what_they_add_in_a_scan(
    path: str,
    library: native.Library,
    cell: str,
    precision: str,
    vocab_size: int,
    orders: tuple[int, ...],
    table_rows: int,
) -> None:
    if precision == "bf16" and not library.has_bf16:
        pytest.skip("no bf16 on this path")
    model = with_ngrams(vocab_size, orders, table_rows, cell=cell, hidden_size=100, num_layers=2)
    for threads in (1, 2):
        library.set_threads(threads)
        for rows in (1, 3, 17, 100):
            for fresh in (True, False):
                native_bits = stepped(model, precision, rows, fresh=fresh)
                assert native_bits == stepped(model, precision, rows, fresh=fresh, scan=True)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_ngrams_have_the_same_bits_on_every_path_whatever_the_batch(
    library: native.Library, precision: str
) -> None:
    model = with_ngrams(97, (2, 3, 16), 32, cell="gru", hidden_size=150, num_layers=2)
    found, alone = set(), set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads in (1, 2, 3):
            library.set_threads(threads)
            found.add(stepped(model, precision, 20))
            alone.add(stepped(model, precision, 20, size=1)[-1000:])
    assert len(found) == 1 and alone == {found.pop()[-1000:]}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_coded_table_gives_the_bits_of_its_floats_on_every_path_whatever_the_batch(
    library: native.Library, precision: str
) -> None:
    model = with_ngrams(97, (2, 3, 16), 32, cell="gru", hidden_size=150, num_layers=2)
    model.parameters[TABLE][::3] = 0
    coded, found = RowCodes.of(model.parameters[TABLE]), set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads in (1, 2):
            library.set_threads(threads)
            found.add(stepped(model, precision, 20, table=coded))
    found |= {stepped(model, precision, 20, table=table) for table in (coded.floats(), coded[:])}
    assert found == {stepped(model, precision, 20, scan=True, table=coded)}


def test_each_token_kept_finds_another_row(library: native.Library) -> None:
    model = with_ngrams(11, (2, 4), 1 << 16, hidden_size=8, num_layers=1)
    packed, found = Program(model), []
    for changed in range(-1, 3):
        state = model.initial_state(1)
        states = state.arrays
        states[-1][...] = [[3, 5, 7]]
        if changed >= 0:
            states[-1][0, changed] = 9
        logits_CV = np.zeros((1, 11), np.float32)
        read = stepper(packed, np.array([4], np.int32), state, logits_CV)
        read(0, 1)
        found.append(logits_CV.tobytes())
        assert states[-1].tolist()[0][-1] == 5
        states[0][...] = 0
        states[-1][...] = [[3, 5, 7]]  # the same again, now that the addresses are kept
        read(0, 1)
        assert logits_CV.tobytes() == found[0]
    assert len(set(found)) == 4


def test_what_a_state_holds_and_can_be_no_token_counts_as_none(library: native.Library) -> None:
    model, found = with_ngrams(11, (2, 4), 32, hidden_size=8, num_layers=1), []
    for make in (stepper, scan_stepper):
        state = model.initial_state(5)
        states = state.arrays
        states[-1][...] = [[np.nan] * 3, [np.inf] * 3, [-1e30] * 3, [3e38, 0.5, -0.0], [1.5, 2**31, 9]]
        logits_CV = np.zeros((5, 11), np.float32)
        make(Program(model), np.arange(5, dtype=np.int32), state, logits_CV)(0, 5)
        found.append(logits_CV.tobytes() + states[-1].tobytes())
    assert found[0] == found[1] and states[-1].tolist()[3:] == [[0, 0, 4], [0, 9, 5]]


def test_what_does_not_fit_is_refused_before_the_core_sees_it(library: native.Library) -> None:
    parts = parts_of(with_ngrams(V, (2, 4), 32, hidden_size=10, num_layers=2))
    tokens, logits_CV = np.zeros(3, np.int32), np.zeros((3, V), np.float32)
    layers, recent = [np.zeros((3, 10), np.float32)] * 2, np.zeros((3, 3), np.float32)
    read_only = recent.copy()
    read_only.flags.writeable = False
    for wrong, message in (
        ((tokens.astype(np.int64), [*layers, recent], logits_CV), "tokens is int64"),
        ((tokens, [layers[0], layers[1][:2], recent], logits_CV), "hidden is float32 of shape"),
        *(
            ((tokens, [*layers, each], logits_CV), "recent is")
            for each in (recent[:, :2], recent.astype(np.float64), recent.T, recent[:2], read_only)
        ),
    ):
        with pytest.raises(CoreError, match=message):
            native.stepper(parts, *wrong)
    table_RV = parts[-1].values["table_RV"]
    with pytest.raises(CoreError, match="rows is"):
        native.stepper(
            changed(parts, len(parts) - 1, table_RV=table_RV.astype(np.float16)),
            tokens,
            [*layers, recent],
            logits_CV,
        )
