"""A step of a whole model in the core: the bits of the scan path, on every path, whatever the threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pantoum.errors import CoreError
from pantoum.kernels import native
from pantoum.network import LanguageModel
from pantoum.network.state import to_arrays
from pantoum.network.stepper import ScanStepper, described, stepper

V = 70


def stepped(model: LanguageModel, precision: str, rows: int, *, scan: bool = False, size: int | None = None,
            ) -> bytes:
    """Two steps of some rows, ``size`` of them at once: logits and states."""
    random = np.random.default_rng(4)
    states = [random.standard_normal(array.shape).astype(np.float32)
              for array in to_arrays(model.initial_state(rows))]
    tokens = random.integers(0, V, rows).astype(np.int32)
    logits_CV, found = np.zeros((rows, V), np.float32), []
    make = ScanStepper if scan else stepper
    read = make(model.pack(precision), tokens, states, logits_CV)
    for _ in range(2):
        for first in range(0, rows, size or rows):
            count = min(size or rows, rows - first)
            read.step(first, count)
            found.append(logits_CV[:count].tobytes())
    return b"".join([*found, *(array.tobytes() for array in states)])


@pytest.mark.parametrize("cell", ["rnn", "gru", "gru-before", "lstm", "mingru"])
@pytest.mark.parametrize("precision", ["float32", "int8", "bf16"])
def test_a_step_is_a_scan_of_one_step(path: str, library: native.Library, cell: str, precision: str) -> None:
    if precision == "bf16" and path != "bf16":
        pytest.skip("no bf16 on this path")
    model = LanguageModel(V, 20, cell, hidden_size=66, num_layers=2, tied=True, residual=True, norm="layer")
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


def test_what_does_not_fit_is_refused_before_the_core_sees_it(library: native.Library) -> None:
    packed = LanguageModel(V, None, "gru", hidden_size=10, num_layers=2).pack()
    tokens, logits_CV = np.zeros(3, np.int32), np.zeros((3, V), np.float32)
    states = [np.zeros((3, 10), np.float32)] * 2
    for wrong, message in (((tokens, states[:1], logits_CV), "1 arrays of states for 2 layers"),
                           ((tokens.astype(np.int64), states, logits_CV), "tokens_R is int64"),
                           ((tokens, [states[0], states[1][:2]], logits_CV), "state is float32 of shape")):
        with pytest.raises(CoreError, match=message):
            native.stepper(described(packed), *wrong)
    model = described(packed)
    for layer in (replace(model.layers[0], weight_hh=native.pack(np.zeros((30, 10), np.float32))),
                  replace(model.layers[1], weight_ih=native.pack(np.zeros((30, 10), np.float32)))):
        with pytest.raises(CoreError, match="in blocks of 30: the step takes"):
            native.stepper(replace(model, layers=(layer, model.layers[1])), tokens, states, logits_CV)
