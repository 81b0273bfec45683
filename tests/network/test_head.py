"""The head and the loss: nats over exactly the targets given."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.config import ModelConfig
from pantoum.errors import SettingError
from pantoum.kernels import Workspace, reference
from pantoum.network import LanguageModel, cross_entropy
from pantoum.network.head import Head
from pantoum.network.packing import Packer


def test_even_logits_cost_the_logarithm_of_the_vocabulary() -> None:
    assert cross_entropy(np.zeros((2, 3, 7)), np.ones((2, 3), int)) == pytest.approx(math.log(7))


@given(shift=st.floats(-1e4, 1e4))
def test_a_constant_added_to_all_logits_changes_nothing(shift: float) -> None:
    logits = np.random.default_rng(0).standard_normal((4, 5))
    assert cross_entropy(logits + shift, np.arange(4)) == pytest.approx(cross_entropy(logits, np.arange(4)))


def test_integer_logits_are_numbers_too_and_are_left_alone() -> None:
    logits = np.array([[3, 0], [0, 3]])
    assert cross_entropy(logits, np.array([0, 1])) == pytest.approx(math.log(1 + math.exp(-3)))
    assert logits.tolist() == [[3, 0], [0, 3]]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros(3, int), r"targets is \(3,\): it must have the logits' shape without V, \(2,\)"),
        (np.array([0, 5]), "targets is 'int64 from 0 to 5': it must be whole numbers from 0 to 4"),
        (np.array([-1, 0]), "targets is 'int64 from -1 to 0'"),
        (np.array([0.0, 1.0]), "targets is 'float64"),
    ],
)
def test_targets_that_do_not_fit_are_named(targets: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        cross_entropy(np.zeros((2, 5)), targets)


@pytest.mark.parametrize("embedding_size", [None, 4, 6])
def test_losses_logits_and_gradients_agree(random: np.random.Generator, embedding_size: int | None) -> None:
    config = ModelConfig("gru", 6, 1, embedding_size, tied=embedding_size is not None)
    weights = LanguageModel(9, config=config, dtype=np.float64).parameters
    assert ("head.projection.weight" in weights) == (embedding_size == 4)
    packed = Head(weights, Packer(reference), ["embedding.weight"] if config.tied else [])
    hidden, targets = random.standard_normal((20, 6)), random.integers(0, 9, 20)
    nats, predictions = packed.losses(hidden, targets)
    logits = packed.logits(hidden)
    assert nats.mean() == pytest.approx(cross_entropy(logits, targets))
    np.testing.assert_array_equal(predictions, logits.argmax(axis=1))
    again, same, d_hidden, _, _ = packed.gradients(hidden, targets, Workspace())
    np.testing.assert_allclose(again, nats)
    np.testing.assert_array_equal(same, predictions)
    direction = random.standard_normal(hidden.shape)
    above, below = (packed.losses(hidden + e * direction, targets)[0].mean() for e in (1e-6, -1e-6))
    assert (d_hidden * direction).sum() == pytest.approx((above - below) / 2e-6)
    given = random.standard_normal(logits.shape)
    *_, d_given = packed.gradients(hidden, targets, Workspace(), given.copy())
    direction = random.standard_normal(given.shape)
    above, below = (cross_entropy(logits + given + e * direction, targets) for e in (1e-6, -1e-6))
    assert (d_given * direction).sum() == pytest.approx((above - below) / 2e-6)


EDITS = {
    "pantoum.config.model_config": [
        ("    members: int = 1\n", "    gain: bool = False\n    members: int = 1\n"),
    ],
    "pantoum.network.spec": [
        (
            '    yield Parameter("head.bias"',
            "    if config.gain:\n"
            '        yield Parameter("head.gain", (H,), "vector")\n'
            '    yield Parameter("head.bias"',
        ),
    ],
    "pantoum.network.head": [
        (
            "        self.bias_V = floats(weights[BIAS])\n",
            "        self.bias_V = floats(weights[BIAS])\n"
            '        self.gain_H = 1 + floats(weights["head.gain"]) if "head.gain" in weights else None\n',
        ),
        (
            "return hidden_NH if self.projection is None",
            "if self.gain_H is not None:\n"
            "            hidden_NH = hidden_NH * self.gain_H\n"
            "        return hidden_NH if self.projection is None",
        ),
        (
            "        if self.projection is None:\n            return nats_N, predictions_N, d_NE,",
            "        if self.gain_H is not None:\n"
            '            gradients["head.gain"] = Gradient((d_NE * hidden_NH).sum(axis=0))\n'
            "            d_NE = d_NE * self.gain_H\n"
            "        if self.projection is None:\n            return nats_N, predictions_N, d_NE,",
        ),
        (
            "    def step_part(self) -> StepPart:\n",
            "    def step_part(self) -> StepPart | None:\n"
            "        if self.gain_H is not None:\n"
            "            return None\n",
        ),
    ],
}
SCRIPT = """
from importlib.machinery import SourceFileLoader

edited, plain = {edits!r}, SourceFileLoader.get_code

def get_code(loader, name):
    if name not in edited:
        return plain(loader, name)
    source = loader.get_source(name)
    for place, put in edited.pop(name):
        assert source.count(place) == 1, (name, place)
        source = source.replace(place, put)
    return compile(source, loader.path, "exec")

SourceFileLoader.get_code = get_code

import numpy as np
from pantoum.config import ModelConfig
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.network.stepping import stepper

random = np.random.default_rng(0)
model = LanguageModel(7, config=ModelConfig("gru", 5, 2, 4, gain=True), dtype=np.float64)
gain = model.parameters["head.gain"]
gain[...] = random.standard_normal(5)
tokens = random.integers(0, 7, (3, 7))
batch = tokens[:, :-1], tokens[:, 1:], model.initial_state(3)
found = Program(model, purpose="train").gradients(*batch).gradients
for name in ("head.gain", "stack.0.weight_hh"):
    values, losses = model.parameters[name].reshape(-1), []
    for change in (1e-5, -2e-5):
        values[3] += change
        losses.append(Program(model).losses(*batch)[0].mean())
    values[3] += 1e-5
    np.testing.assert_allclose(found[name].values.reshape(-1)[3], (losses[0] - losses[1]) / 2e-5, rtol=1e-6)

written = LanguageModel(7, config=ModelConfig("gru", 5, 2, 4, gain=True))
written.parameters["head.gain"][...] = gain
program, state = Program(written), written.initial_state(3)
tokens_R, logits_CV = np.ascontiguousarray(tokens[:, 0], np.int32), np.zeros((3, 7), np.float32)
stepper(program, tokens_R, state, logits_CV)(0, 3)
expected, _ = program.logits(tokens[:, :1], program.initial_state(3))
np.testing.assert_allclose(logits_CV, expected[:, 0], atol=1e-6)
assert not edited
"""


def test_a_parameter_of_the_head_is_three_files() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(edits=EDITS)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
