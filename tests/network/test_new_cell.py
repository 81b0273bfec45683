"""A cell from outside: its equations and its row, and the rest of pantoum has it (CONTRIBUTING.md)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import pantoum
from pantoum.config import CELLS, CellSpec, ModelConfig
from pantoum.kernels.reference.cell import Backward, Forward, Given, Taped, sigmoid_slope, tanh_slope
from pantoum.network import LanguageModel
from pantoum.network.program import Program

Array = np.ndarray


def forward(x: Given) -> Forward:
    """The update-gate RNN of Collins et al. (2017), gates z n."""
    z, n = x.sigmoid(x.sums[0] + x.inputs[0]), x.tanh(x.sums[1] + x.inputs[1])
    return Forward((z, n), n + z * (x.h - n))


def backward(x: Taped, d_h: Array, d_c: Array) -> Backward:
    z, n = x.gates
    return Backward((d_h * (x.h - n) * sigmoid_slope(z), d_h * (1 - z) * tanh_slope(n)), d_h * z)


@pytest.fixture(autouse=True)
def ugrnn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    equations = ModuleType("ugrnn")
    equations.__dict__.update(forward=forward, backward=backward)
    monkeypatch.setitem(sys.modules, "pantoum.kernels.reference.ugrnn", equations)
    monkeypatch.setitem(CELLS, "ugrnn", CellSpec("ugrnn", "UGRNN", ("z", "n"), (2,)))  # type: ignore[arg-type]
    yield


def test_its_gradients_are_those_of_its_equations() -> None:
    random = np.random.default_rng(0)
    model = LanguageModel(7, config=ModelConfig("ugrnn", 5, 2, 4), dtype=np.float64)
    tokens = random.integers(0, 7, (3, 7))
    state = model.initial_state(3)
    for array in state.arrays:
        array[...] = random.standard_normal(array.shape)
    batch = tokens[:, :-1], tokens[:, 1:], state
    found = Program(model, purpose="train").gradients(*batch).gradients
    for name in ("stack.0.weight_hh", "stack.1.weight_ih", "stack.1.bias_ih"):
        values, losses = model.parameters[name].reshape(-1), []
        for change in (1e-5, -2e-5):
            values[3] += change
            losses.append(Program(model).losses(*batch)[0].mean())
        values[3] += 1e-5
        assert found[name].values.reshape(-1)[3] == pytest.approx(np.subtract(*losses) / 2e-5, rel=1e-6)


def test_it_trains_scores_and_writes(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat sat on the mat. A dog ran!\n" * 30)
    sizes = {"cell": "ugrnn", "hidden_size": 8, "num_layers": 2, "steps": 4}
    pantoum.train(str(tmp_path / "t.txt"), run=str(tmp_path / "run"), stop_after=2, **sizes)
    pantoum.train(run=str(tmp_path / "run"), resume=True)
    model = pantoum.load(tmp_path / "run")
    assert model.evaluate(text="The cat ran!").nats_per_token > 0
    assert len(model.generate("The ", length=5, seed=1)) >= 5
    session = model.session()
    session.feed("A dog")
    assert model.session(session.state).state == session.state
