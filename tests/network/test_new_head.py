"""A parameter of the head in three files: a setting, what it is, and what it does (CONTRIBUTING.md).

The three modules get lines here as if these stood in their files; nothing else is changed.
"""

from __future__ import annotations

import subprocess
import sys

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
