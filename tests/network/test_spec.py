"""The declaration of a model: what is made and stored is what it says, and nobody else looks at a name."""

from __future__ import annotations

import copy
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pantoum
from pantoum.config import CELLS, ModelConfig
from pantoum.errors import ModelFileError, SettingError
from pantoum.inference.files.precision import SPARE, require_filled
from pantoum.inference.loaded_model import _is_held
from pantoum.kernels import reference
from pantoum.network import GRU, LanguageModel
from pantoum.network.packing import Codes, Weight
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


def test_assignment_copies_into_the_blocks_array() -> None:
    cell, values = GRU(2, 3), np.ones((9, 2))
    array = cell.parameters["weight_ih"]
    cell.parameters["weight_ih"] = values
    values[...] = 5
    assert cell.parameters["weight_ih"] is array
    assert (array == 1).all()


def test_update_takes_over_all_arrays_of_another_model() -> None:
    one, other = (LanguageModel(5, hidden_size=3, num_layers=2, seed=seed) for seed in (0, None))
    other.parameters.update(one.parameters)
    for name, array in one.parameters.items():
        np.testing.assert_array_equal(other.parameters[name], array)
    other.parameters.update({"head.bias": np.ones(5)})
    assert not one.parameters["head.bias"].any()


def test_a_deep_copy_is_a_model_of_its_own() -> None:
    model = LanguageModel(5, hidden_size=3, num_layers=1)
    twin = copy.deepcopy(model)
    twin.parameters["stack.0.weight_hh"][...] = 7
    assert (twin.parameters["stack.0.weight_hh"] == 7).all()
    assert not (model.parameters["stack.0.weight_hh"] == 7).any()


def test_an_unknown_name_and_another_shape_are_refused() -> None:
    parameters = GRU(2, 3).parameters
    with pytest.raises(
        SettingError, match="parameter is 'weight': it is not one of this block's; use one of"
    ):
        parameters["weight"] = np.zeros(3)
    with pytest.raises(SettingError, match=r"parameter bias_ih is \(8,\): it must have the shape \(9,\)"):
        parameters["bias_ih"] = np.zeros(8)


@settings(max_examples=150)
@given(st.data())
def test_its_numbers_are_known_before_it_is_made(data: st.DataObject) -> None:
    config = ModelConfig(
        cell=data.draw(st.sampled_from(["rnn", "gru", "gru-before", "lstm", "mingru"])),
        hidden_size=data.draw(st.integers(3, 20)),
        num_layers=data.draw(st.integers(1, 3)),
        embedding_size=data.draw(st.none() | st.integers(3, 20)),
        ngrams=data.draw(st.sampled_from([(), (2,), (2, 5)])),
        ngram_rows=16,
    )
    vocab_size = data.draw(st.integers(3, 40))
    true = LanguageModel(vocab_size, config=config, seed=None).num_parameters
    assert number(config, vocab_size) == true


def test_what_the_arrays_cannot_fill_is_refused_before_it_is_made() -> None:
    config = ModelConfig("lstm", 65_536, 256)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="m: its configuration needs 8,779,0"):
            require_filled(config, 98, 100, Path("m"))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_what_is_nearly_filled_is_left_to_the_check_of_each_array() -> None:
    config = ModelConfig("gru", 64, 1)
    needed = number(config, 10)
    assert 0 < needed < SPARE
    require_filled(config, 10, 0, "m")
    with pytest.raises(ModelFileError):
        require_filled(ModelConfig("gru", 1024, 1), 10, 10, "m")
    exact = number(ModelConfig("gru", 2048, 1), 10) - SPARE
    require_filled(ModelConfig("gru", 2048, 1), 10, exact, "m")


WEIGHTS_OF_A_FILE_V = 11
WEIGHTS_OF_A_FILE_SHAPES: list[dict[str, Any]] = [
    *({"cell": cell} for cell in CELLS),
    {"embedding_size": 5},
    {"embedding_size": 5, "tied": True},
    {"embedding_size": 16, "tied": True},
    {"ngrams": (2, 4), "ngram_rows": 32},
    {"embedding_size": 5, "members": 2},
    {"members": 3, "ngrams": (3,), "ngram_rows": 16, "cell": "lstm"},
]


def made(shape: dict[str, Any]) -> LanguageModel:
    config = ModelConfig(**{"hidden_size": 16, "num_layers": 2, **shape})
    model = LanguageModel(WEIGHTS_OF_A_FILE_V, config=config, seed=2)
    random = np.random.default_rng(3)
    for array in model.parameters.values():
        array += random.standard_normal(array.shape).astype(np.float32) / 10
    return model


def read(program: Program) -> bytes:
    """What it makes of a text in two parts."""
    tokens, state, found = np.arange(24).reshape(2, 12) % WEIGHTS_OF_A_FILE_V, program.initial_state(2), []
    for part in (tokens[:, :5], tokens[:, 5:]):
        logits, state = program.logits(part, state)
        found.append(logits.tobytes())
    return b"".join(found + [array.tobytes() for array in state.arrays])


@pytest.mark.parametrize("shape", WEIGHTS_OF_A_FILE_SHAPES, ids=str)
def test_what_is_only_multiplied_may_go_away(shape: dict[str, Any]) -> None:
    model = made(shape)
    expected = read(Program(model))
    lent = {name: array.copy() for name, array in model.parameters.items()}
    empty = LanguageModel(WEIGHTS_OF_A_FILE_V, config=model.config, seed=None)
    program = Program(empty, lent)
    for name, array in lent.items():
        if not _is_held(declared(model.config, WEIGHTS_OF_A_FILE_V)[name]):
            array[...] = np.nan
    assert read(program) == expected
    assert not empty.parameters["head.bias"].any()


@pytest.mark.parametrize("shape", WEIGHTS_OF_A_FILE_SHAPES, ids=str)
def test_codes_are_read_as_a_program_in_int8_reads_their_weights(shape: dict[str, Any]) -> None:
    model, coded = made(shape), dict[str, Weight]()
    for name, array in model.parameters.items():
        coded[name] = Codes(*reference.quantize(array)) if array.ndim == 2 else array
        if declared(model.config, WEIGHTS_OF_A_FILE_V)[name].role in ("input", "table"):
            model.parameters[name] = coded[name].floats()  # what is looked up is looked up as floats
    expected = Program(model, precision="int8")
    if model.config.tied or model.config.embedding_size is not None:
        found, _ = Program(model, coded).logits(np.array([[3, 1]]), model.initial_state(1))
        near, _ = expected.logits(np.array([[3, 1]]), model.initial_state(1))
        np.testing.assert_allclose(found, near, atol=0.1)
        return
    assert read(Program(model, coded)) == read(expected)
