"""Each cell's scan and backward pass against NumPy, from a state that is not zero, on odd sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS
from pantoum.errors import CoreError
from pantoum.kernels import Workspace, native, reference
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.network.stepping import stepper

WITH_PRODUCTS = [name for name, spec in CELLS.items() if spec.products]
SIZES = [
    (1, 1, 1),
    (2, 3, 7),
    (30, 3, 33),
    (2, 100, 33),
    (30, 1, 7),
    (2, 16, 512),
    (5, 20, 64),
    (30, 3, 1),
    (1, 100, 7),
]
EVERY_SIZE = [(T, B, H) for T in (1, 2, 30) for B in (1, 3, 100) for H in (1, 7, 33, 512)]
ROWS = ["plain", "resets", "lengths", "resets and lengths"]


class Case:
    """One scan's arguments, and its results from any backend."""

    def __init__(self, cell: str, sizes: tuple[int, int, int], rows: str = "resets") -> None:
        self.spec, (T, B, H) = CELLS[cell], sizes
        random = np.random.default_rng(1)
        self.H, self.pair, G = H, len(self.spec.state) > 1, len(self.spec.gates) * H
        self.projection_TBG = self._normal(random, T, B, G)
        self.weight_GH = self._normal(random, G, H) * np.float32(H**-0.5)
        self.bias_H = self._normal(random, H) if self.spec.biased else None
        self.state, self.d_state = self._state(random, B), self._state(random, B)
        self.d_outputs_TBH = self._normal(random, T, B, H)
        self.reset_TB = random.random((T, B)) < 0.2 if "resets" in rows else None
        self.lengths = random.integers(0, T + 1, B) if "lengths" in rows else None

    def results(
        self, kernels: Any, precision: str = "float32", coded: bool = False, parts: int = 1
    ) -> list[Any]:
        weight = self.pack(kernels, precision, coded)
        outputs, last, tape = kernels.scan(
            self.spec,
            self.projection_TBG.copy(),
            self.state,
            weight,
            self.bias_H,
            self.reset_TB,
            self.lengths,
            parts,
            Workspace(),
        )
        d_state = self.d_state if parts == 1 else None
        back = kernels.scan_vjp(tape, self.d_outputs_TBH, d_state, tape.gates_TBG, Workspace())
        flat = [outputs, last, *back]
        flat = [part for item in flat for part in (item if isinstance(item, tuple) else (item,))]
        return [np.array(part) for part in flat if part is not None]

    def outputs(self, kernels: Any, rows: slice = slice(None), precision: str = "float32") -> Any:
        """Only the outputs, without a tape, of some of the rows."""
        state = tuple(part[rows] for part in self.state) if self.pair else self.state[rows]
        reset_TB = None if self.reset_TB is None else np.ascontiguousarray(self.reset_TB[:, rows])
        return np.array(
            kernels.scan(
                self.spec,
                self.projection_TBG[:, rows].copy(),
                state,
                self.pack(kernels, precision),
                self.bias_H,
                reset_TB,
                None,
                False,
            )[0]
        )

    def pack(self, kernels: Any, precision: str, coded: bool = False) -> Any:
        packs, start = [], 0
        for gates in self.spec.products:
            rows = self.weight_GH[start * self.H : (start + gates) * self.H]
            packs.append(kernels.pack(rows, precision, gates, coded=coded))
            start += gates
        return tuple(packs)

    def _state(self, random: np.random.Generator, rows: int) -> Any:
        states = tuple(self._normal(random, rows, self.H) for _ in range(2))
        return states if self.pair else states[0]

    @staticmethod
    def _normal(random: np.random.Generator, *shape: int) -> Any:
        return random.standard_normal(shape).astype(np.float32)


def largest_difference(ours: list[Any], theirs: list[Any]) -> float:
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    return max(float(np.abs(a - b).max() / (1 + np.abs(b).max())) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_a_gradient_goes_back_through_each_part_of_a_stream_by_itself(path: str, cell: str) -> None:
    case = Case(cell, (30, 1, 33))
    case.d_state = None
    state, reset_TB, projection_TBG, d_outputs_TBH = (
        case.state,
        case.reset_TB,
        case.projection_TBG,
        case.d_outputs_TBH,
    )
    for kernels in (native, reference):
        weight, found = case.pack(kernels, "float32"), []
        for start in (0, 10, 20):
            part, scanned = (
                np.s_[start : start + 10],
                (case.spec, projection_TBG[start : start + 10].copy(), state),
            )
            _, state, tape = kernels.scan(*scanned, weight, case.bias_H, reset_TB[part])
            found.append(kernels.scan_vjp(tape, d_outputs_TBH[part]))
        state = case.state
        scanned = case.spec, projection_TBG.copy(), state, weight, case.bias_H, reset_TB, None, 3
        *_, tape = kernels.scan(*scanned)
        d_projection, d_state, *of_weights = kernels.scan_vjp(tape, d_outputs_TBH)
        wanted = np.concatenate([np.array(each[0]) for each in found])
        assert largest_difference([d_projection], [wanted]) < 1e-6
        assert largest_difference(list(np.atleast_3d(d_state)), list(np.atleast_3d(found[0][1]))) < 1e-6
        for place, own in enumerate(of_weights, 2):
            if own is not None:
                assert largest_difference([own], [sum(np.array(each[place]) for each in found)]) < 1e-5


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("cell", CELLS)
def test_float32_is_the_reference_to_rounding(path: str, cell: str, rows: str) -> None:
    for sizes in SIZES:
        case = Case(cell, sizes, rows)
        assert largest_difference(case.results(native), case.results(reference)) < 5e-6, sizes


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_float32_is_the_reference_on_every_size(library: native.Library, cell: str) -> None:
    for sizes in EVERY_SIZE:
        case = Case(cell, sizes, "resets and lengths")
        expected = case.results(reference)
        for path in library.paths():
            if path != "generic" or np.prod(sizes) < 100_000:  # which has no speed
                library.set_isa(path)
                assert largest_difference(case.results(native), expected) < 5e-6, (path, sizes)


@pytest.mark.parametrize("rows", ["plain", "resets and lengths"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("bf16_path")
def test_bf16_is_the_reference_to_its_precision(cell: str, rows: str) -> None:
    for sizes in SIZES:
        case = Case(cell, sizes, rows)
        assert largest_difference(case.results(native, "bf16"), case.results(reference)) < 0.02, sizes


@pytest.mark.parametrize("cell", CELLS)
def test_without_a_tape_the_outputs_are_the_same(path: str, cell: str) -> None:
    case = Case(cell, (5, 9, 33))
    assert np.array_equal(case.outputs(native), case.results(native)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_has_the_same_bits_whatever_the_batch_around_it(path: str, cell: str) -> None:
    case = Case(cell, (4, 40, 33))
    whole = case.outputs(native)
    for rows in (slice(0, 1), slice(17, 20), slice(8, 40)):
        assert np.array_equal(case.outputs(native, rows), whole[:, rows])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", [(3, 40, 40), (3, 3, 300), (2, 1, 512)])
def test_float32_training_has_the_same_bits_on_every_path_and_for_any_threads(
    library: native.Library, cell: str, sizes: tuple[int, int, int]
) -> None:
    case, found = Case(cell, sizes), set()
    for name in library.paths():
        for threads in (1, 2, 3):
            library.set_isa(name)
            library.set_threads(threads)
            found.add(b"".join(array.tobytes() for array in case.results(native)))
    assert len(found) == 1


@pytest.mark.parametrize("cell", WITH_PRODUCTS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 3, 300), (3, 40, 33), (4, 1, 512), (6, 17, 70)])
def test_int8_reading_has_the_same_bits_on_every_path_and_for_any_threads(
    library: native.Library, cell: str, sizes: tuple[int, int, int]
) -> None:
    case, found = Case(cell, sizes), set()
    for name in library.paths():
        for threads in (1, 2, 3):
            library.set_isa(name)
            library.set_threads(threads)
            found.add(case.outputs(native, precision="int8").tobytes())
            one_row = case.outputs(native, slice(0, 1), "int8")
            assert np.array_equal(one_row, case.outputs(native, precision="int8")[:, :1])
    assert len(found) == 1


@pytest.mark.parametrize("cell", WITH_PRODUCTS)
def test_int8_reading_is_the_reference_to_its_gates_and_float32_to_its_codes(path: str, cell: str) -> None:
    for sizes in SIZES:
        case = Case(cell, sizes)
        ours = case.outputs(native, precision="int8")
        # A gate that differs in its last bit may turn a code, which is worth a 127th of the row's greatest.
        assert largest_difference([ours], [case.outputs(reference, precision="int8")]) < 5e-3, sizes
        assert largest_difference([ours], [case.outputs(native)]) < 0.06, sizes


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("cell", [name for name in WITH_PRODUCTS if len(CELLS[name].products) == 1])
def test_a_scan_of_codes_reads_as_int8_and_has_gradients_of_the_weights(
    path: str, cell: str, rows: str
) -> None:
    for sizes in SIZES:
        case = Case(cell, sizes, rows)
        ours = case.results(native, coded=True)
        if case.lengths is None:
            assert np.array_equal(ours[0], case.outputs(native, precision="int8")), sizes
        assert largest_difference(ours, case.results(reference, coded=True)) < 1e-2, sizes
        assert largest_difference(ours, case.results(native)) < 0.2, sizes


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.usefixtures("bf16_path")
def test_a_scan_of_codes_goes_back_through_parts_in_either_precision(precision: str) -> None:
    case = Case("gru", (30, 1, 33))
    ours = case.results(native, precision, coded=True, parts=3)
    assert largest_difference(ours, case.results(reference, coded=True, parts=3)) < 0.02
    assert largest_difference(ours, case.results(reference, parts=3)) < 0.2


def test_a_second_product_has_no_scan_of_codes_with_gradients(library: native.Library) -> None:
    with pytest.raises(CoreError, match="int8 has no gradients"):
        Case("gru-before", (2, 2, 5)).results(native, coded=True)


def test_int8_has_no_way_back(library: native.Library) -> None:
    case = Case("gru", (2, 2, 5))
    for kernels in (native, reference):
        with pytest.raises(CoreError, match="int8 has no gradients"):
            case.results(kernels, "int8")


@pytest.mark.parametrize("cell", ["gru", "gru-before", "lstm"])
@pytest.mark.usefixtures("bf16_path")
def test_bf16_training_repeats_its_bits(cell: str) -> None:
    case = Case(cell, (3, 20, 33))
    first, again = case.results(native, "bf16"), case.results(native, "bf16")
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_activations_are_within_two_units_in_the_last_place(path: str) -> None:
    x = np.concatenate(
        [np.linspace(-87, 100, 20001), np.geomspace(1e-30, 20, 20000), -np.geomspace(1e-30, 20, 20000)]
    ).astype(np.float32)
    H = len(x)
    state = np.zeros((1, H), np.float32)
    z_n = np.concatenate([x, x])[None, None].copy()
    tape: Any = native.scan(CELLS["mingru"], z_n, state, ())[2]
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    assert (np.abs(tape.gates_TBG[0, 0, :H] - exact) / np.spacing(exact.astype(np.float32))).max() < 2.5
    projection = x.reshape(1, -1, 1).copy()
    weight = (native.pack(np.zeros((1, 1), np.float32)),)
    squashed = native.scan(CELLS["rnn"], projection, np.zeros((H, 1), np.float32), weight)[0][0, :, 0]
    exact = np.tanh(x.astype(np.float64))
    assert (np.abs(squashed - exact) / np.spacing(np.abs(exact).astype(np.float32))).max() < 2.5


def test_not_a_number_goes_through(path: str) -> None:
    case = Case("gru", (3, 2, 5), "plain")
    case.projection_TBG[1, 0, 3] = np.nan
    outputs = case.results(native)[0]
    assert np.isnan(outputs[1, 0]).any() and np.isnan(outputs[2, 0]).all()
    assert not np.isnan(outputs[:, 1]).any()


def test_the_core_says_of_its_cells_what_the_table_says(library: native.Library) -> None:
    assert set(library.cells) <= {spec.kernel for spec in CELLS.values()}
    for spec in CELLS.values():
        if spec.kernel in library.cells:
            facts = library.facts(spec.kernel)
            first = spec.products[0] if spec.products else 0
            assert facts == (len(spec.gates), first, len(spec.state) > 1, spec.biased), spec.name


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_that_the_core_lacks_is_run_by_the_reference_over_the_cores_products(
    library: native.Library, monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    case = Case(cell, (5, 3, 33), "resets and lengths")
    expected = case.results(native)
    monkeypatch.setattr(library, "cells", {})
    assert largest_difference(case.results(native), expected) < 5e-6
    for path in {"bf16", "amx"} & set(library.paths() if case.spec.products else ()):
        library.set_isa(path)
        assert largest_difference(case.results(native, "bf16"), expected) < 0.02


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_of_a_cell_that_the_core_lacks_trains_scores_and_steps(
    library: native.Library, monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    random, model = np.random.default_rng(3), LanguageModel(11, 6, cell, 13, 2)
    tokens = random.integers(0, 11, (3, 8))
    begun = model.initial_state(3)
    for part in begun.arrays:
        part[...] = random.standard_normal(part.shape)

    def everything() -> list[Any]:
        state = begun.copy()
        result = Program(model, purpose="train").gradients(tokens[:, :-1], tokens[:, 1:], state)
        nats, _, _ = Program(model).losses(tokens[:, :-1], tokens[:, 1:], state)
        logits = np.zeros((3, 11), np.float32)
        stepper(Program(model), tokens[:, 0].astype(np.int32), state, logits)(0, 3)
        return [nats, logits, *state.arrays, *(d.values.copy() for d in result.gradients.values())]

    expected = everything()
    monkeypatch.setattr(library, "cells", {})
    assert largest_difference(everything(), expected) < 1e-5
