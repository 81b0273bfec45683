"""The declaration of a model: what is made and stored is what it says, and nobody else looks at a name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pantoum
from pantoum.config import CELLS, ModelConfig
from pantoum.network import LanguageModel
from pantoum.network.parameters import initial
from pantoum.network.program import Program
from pantoum.network.spec import declared, named, number, state_of
from pantoum.training.update.optimizer import map_blocks

V = 13
SHAPES = st.builds(
    ModelConfig,
    st.sampled_from(sorted(CELLS)),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from([None, 4]),
    ngrams=st.sampled_from([(), (2, 5)]),
    ngram_rows=st.just(16),
    members=st.integers(1, 3),
)
TIED = [
    ModelConfig("gru", 6, 2, 4, tied=True),
    ModelConfig("lstm", 4, 1, 4, tied=True),
    ModelConfig("rnn", 4, 1, 4, tied=True, members=3),
]


@settings(max_examples=25)
@given(SHAPES)
def test_a_model_has_what_is_declared(config: ModelConfig) -> None:
    model, parameters = LanguageModel(V, config=config), declared(config, V)
    assert {name: array.shape for name, array in model.parameters.items()} == {
        name: each.shape for name, each in parameters.items()
    }
    assert model.num_parameters == number(config, V)
    assert all(
        model.parameters[name].flags.f_contiguous for name, each in parameters.items() if each.by_columns
    )
    assert [array.shape for array in model.initial_state(2).arrays] == [
        (2, array.width) for array in state_of(config)
    ]
    assert model.initial_state(2).shapes == Program(model).initial_state(2).shapes


@pytest.mark.parametrize("config", [*TIED, ModelConfig("gru", 6, 2, members=2, ngrams=(2,), ngram_rows=16)])
def test_roles(config: ModelConfig) -> None:
    parameters = declared(config, V)
    assert len(named(config, "input")) == config.members
    assert len(named(config, "output")) == (not config.tied)
    assert named(config, "table") == (("ngrams.weight",) if config.ngrams else ())
    assert {each.role for each in parameters.values() if len(each.shape) == 1} == {"vector"}
    assert all(parameters[name].shape[0] % blocks == 0 for name, blocks in map_blocks(config).items())
    assert ("head.projection.weight" in map_blocks(config)) == (config.tied and config.hidden_size == 6)


def test_one_more_member_or_layer_leaves_the_others_as_they_were() -> None:
    one, more = ModelConfig("gru", 4, 1, 3), ModelConfig("gru", 4, 2, 3, members=2)
    first, second = (initial(declared(each, V).values(), 5, np.float32) for each in (one, more))
    for name in ("embedding.weight", "stack.0.weight_hh", "stack.0.bias_ih"):
        assert np.array_equal(first[name], second["members.0." + name])
        assert not np.array_equal(first[name], second["members.1." + name])


def test_no_other_module_tells_a_parameter_from_its_name() -> None:
    """``head`` and ``stack`` take their own weights by name; the names of other programs are translated."""
    own = re.compile(
        r"[\"'](head\.(weight|bias|projection)|embedding\.weight|stack\.0|ngrams\.weight)|_(ih|hh)[\"']"
    )
    root = Path(pantoum.__file__).parent
    known = {
        "network/spec.py",
        "network/head.py",
        "apps/torch/torch_file.py",
        "apps/convert/onnx_file.py",
    }
    known |= {"apps/convert/import_model.py", "apps/convert/from_torch.py"}
    found: dict[str, Any] = {
        str(file.relative_to(root)): own.findall(file.read_text(encoding="utf-8"))
        for folder in ("network", "training", "inference", "about", "report", "config")
        for file in (root / folder).rglob("*.py")
    }
    layers = {"network/stack.py", "network/blocks.py", "network/member.py"}  # weight_ih, ... of a cell
    assert {name for name, names in found.items() if names} <= known | layers
