"""Exported models: int8 is an ordinary model that costs little; PyTorch's file has PyTorch's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from pantoum.apps.torch import torch_file
from pantoum.config import CELLS, ModelConfig
from pantoum.errors import CoreError, ModelFileError, SettingError, StateError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference import exporting
from pantoum.inference.evaluation import evaluate
from pantoum.inference.exporting import export
from pantoum.inference.files.counts_file import arrays_of, with_weights
from pantoum.inference.files.precision import plain, shape_of
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.session import Session
from pantoum.network import LanguageModel
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.program import Program

TEXT = "The cat sat on the mat.\nA dog ran, ran and ran!\nThe end of the day.\n" * 4


def write(path: Path, model: LoadedModel, **shape: Any) -> Path:
    config = {**model.config.spec(), **shape}
    network = LanguageModel(model.vocab_size, config=ModelConfig.from_spec(config), seed=3)
    for name, array in network.parameters.items():
        array *= 2
        if name == "ngrams.weight":
            array[...] = np.random.default_rng(1).standard_normal(array.shape)
    content = ModelFile(network.config.spec(), dict(network.parameters), model.tokenizer.spec(), {"a": 1})
    model_file.write(path, content)
    return path


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "text.txt").write_text(TEXT)
    return str(tmp_path / "text.txt")


SHAPES: list[dict[str, Any]] = [
    *({"cell": cell} for cell in CELLS),
    {"embedding_size": None},
    {"tied": True},
    {"ngrams": (2, 3), "ngram_rows": 64},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_int8_is_an_ordinary_model_near_the_first(
    characters: LoadedModel, tmp_path: Path, text: str, shape: dict[str, Any]
) -> None:
    first = write(tmp_path / "m", characters, **shape)
    told = export(first, "int8", tmp_path / "n", [text])
    model = load(tmp_path / "n")
    tokens = model.tokenizer.encode(TEXT)
    found = evaluate(model.program, tokens, model.tokenizer, compress=False).nats_per_token
    expected = evaluate(load(first).program, tokens, model.tokenizer, compress=False).nats_per_token
    cost = told["cost"]
    assert (cost["int8"], cost["float32"]) == (pytest.approx(found), pytest.approx(expected))
    assert 0 < abs(cost["nats_per_token"]) < 0.05 and cost["tokens"] == len(tokens) - 1
    assert model.card["int8"]["cost"] == cost and model.card["a"] == 1
    assert model.sha256 == told["sha256"] != load(first).sha256
    assert Session(model).generate(20, seed=1) == Session(load(tmp_path / "n")).generate(20, seed=1)


def test_the_float32_parameters_are_what_the_codes_stand_for(characters: LoadedModel, tmp_path: Path) -> None:
    first = write(tmp_path / "m", characters)
    assert export(first, "int8", tmp_path / "n")["cost"] is None
    model, before = load(tmp_path / "n"), load(first).network.parameters
    for name, array in model.network.parameters.items():
        scale = abs(before[name]).max() / 127 if array.ndim == 2 else 0
        np.testing.assert_allclose(array, before[name], atol=0.51 * scale)
    assert plain(model_file.read(first)).sha256 == load(first).sha256
    with pytest.raises(ValueError, match="read-only"):
        model.network.parameters["head.bias"] += 1


def test_a_state_of_the_float32_model_is_refused(characters: LoadedModel, tmp_path: Path) -> None:
    first = write(tmp_path / "m", characters)
    export(first, "int8", tmp_path / "n")
    session = Session(load(first))
    session.feed("The")
    with pytest.raises(StateError):
        Session(load(tmp_path / "n"), session.state)


def test_int8_of_int8_and_the_model_over_itself_are_refused(characters: LoadedModel, tmp_path: Path) -> None:
    first = write(tmp_path / "m", characters)
    export(first, "int8", tmp_path / "n")
    for arguments, words in (
        ((tmp_path / "n", "int8", tmp_path / "o"), "is already"),
        ((first, "int8", first), "is the model itself"),
        ((first, "int4", tmp_path / "o"), r"must be one of int8, .*torch"),
        ((first, "torch", tmp_path / "o", ["x"]), "measures what int8 costs"),
    ):
        with pytest.raises(SettingError, match=words):
            export(*arguments)
    assert not (tmp_path / "o").exists()


def test_damaged_codes_and_unknown_precisions_are_refused(characters: LoadedModel, tmp_path: Path) -> None:
    made = exporting.to_int8(model_file.read(write(tmp_path / "m", characters)))
    codes = made.parameters["head.weight"].copy()
    codes[0, 0] = -128
    unscaled = {name: array for name, array in made.parameters.items() if name != "head.weight.scale"}
    for changes, error in (
        ({"parameters": {**made.parameters, "head.weight": codes}}, CoreError),
        ({"parameters": unscaled}, ModelFileError),
        ({"config": {**made.config, "precision": "int4"}}, SettingError),
    ):
        content = ModelFile(**{**vars(made), **changes})
        model_file.write(tmp_path / "n", content)
        with pytest.raises(error):
            load(tmp_path / "n")
    floats = {**made.parameters, "head.weight": made.parameters["head.weight"].astype(np.float32)}
    with pytest.raises(ModelFileError, match="has the name of a scale"):
        exporting.to_int8(ModelFile(made.config | {"precision": "float32"}, floats, {}, {}))
    assert shape_of(made.config)[1] == "int8"


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_pytorchs_file_has_pytorchs_names(characters: LoadedModel, tmp_path: Path, cell: str) -> None:
    first = write(tmp_path / "m", characters, cell=cell, embedding_size=None)
    export(first, "torch", tmp_path / "t")
    found = safetensors.numpy.load_file(tmp_path / "t")
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    layers = {f"layers.{name}_l{layer}" for name in names for layer in (0, 1)}
    assert set(found) == layers | {"embedding.weight", "head.weight", "head.bias"}
    V = characters.tokenizer.vocab_size
    assert np.array_equal(found["embedding.weight"], np.eye(V))
    expected = load(first).network.parameters["stack.1.weight_hh"]
    assert np.array_equal(found["layers.weight_hh_l1"], expected)


def test_a_tied_head_is_written_out(characters: LoadedModel, tmp_path: Path) -> None:
    first = write(tmp_path / "m", characters, tied=True)
    export(first, "torch", tmp_path / "t")
    found, own = safetensors.numpy.load_file(tmp_path / "t"), load(first).network.parameters
    expected = own["embedding.weight"] @ own["head.projection.weight"]
    np.testing.assert_allclose(found["head.weight"], expected, atol=1e-6)


def test_a_tied_head_of_members_is_their_embeddings_side_by_side(
    characters: LoadedModel, tmp_path: Path
) -> None:
    first = write(tmp_path / "m", characters, tied=True, members=3, embedding_size=16)
    own = load(first).network.parameters
    assert "head.weight" not in own
    export(first, "torch", tmp_path / "t")
    found = safetensors.numpy.load_file(tmp_path / "t")["head.weight"]
    each = [own[f"members.{place}.embedding.weight"] / np.float32(3) for place in range(3)]
    np.testing.assert_array_equal(found, np.concatenate(each, axis=1))
    export(first, "int8", tmp_path / "n")
    in_float32, in_int8 = (load(path).program for path in (first, tmp_path / "n"))
    assert in_int8.head.weight.precision == "int8"
    tokens = np.arange(12)[None] % characters.vocab_size
    logits = [each.logits(tokens, each.initial_state(1))[0] for each in (in_float32, in_int8)]
    np.testing.assert_allclose(*logits, atol=0.05)


@pytest.mark.parametrize("embedding_size", [None, 8])
def test_members_of_an_ensemble_have_pytorchs_names_each(
    characters: LoadedModel, tmp_path: Path, embedding_size: int | None
) -> None:
    first = write(tmp_path / "m", characters, members=2, embedding_size=embedding_size)
    export(first, "torch", tmp_path / "t")
    found, own = safetensors.numpy.load_file(tmp_path / "t"), load(first).network.parameters
    for place in (0, 1):
        of, name = own[f"members.{place}.stack.1.weight_hh"], f"members.{place}.layers.weight_hh_l1"
        np.testing.assert_array_equal(found[name], of)
        assert len(found[f"members.{place}.embedding.weight"]) == characters.vocab_size
    np.testing.assert_array_equal(found["head.weight"], own["head.weight"])
    assert found["head.weight"].shape == (characters.vocab_size, 32) and len(found) == 2 + 2 * 9


OURS: list[dict[str, Any]] = [
    {"cell": "gru-before"},
    {"cell": "mingru", "embedding_size": None},
    {"ngrams": (2, 3), "ngram_rows": 64, "members": 2},
]


@pytest.mark.parametrize("shape", OURS, ids=str)
def test_what_pytorchs_modules_do_not_compute_has_our_names(
    characters: LoadedModel, tmp_path: Path, shape: dict[str, Any]
) -> None:
    first = write(tmp_path / "m", characters, **shape)
    assert export(first, "torch", tmp_path / "t")["names"] == "pantoum.apps.torch"
    found, own = safetensors.numpy.load_file(tmp_path / "t"), load(first).network.parameters
    assert set(found) == set(own)
    for name, array in own.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "shape", [*SHAPES, *OURS, {"members": 2}, {"members": 2, "embedding_size": None}], ids=str
)
def test_an_exported_network_is_read_again(
    characters: LoadedModel, tmp_path: Path, shape: dict[str, Any]
) -> None:
    first = write(tmp_path / "m", characters, **shape)
    export(first, "torch", tmp_path / "t")
    (found, counts), own = torch_file.read(tmp_path / "t"), load(first).network
    assert counts is None
    tokens, begun = characters.tokenizer.encode(TEXT)[None, :9], characters.tokenizer.encode("The")[None]
    logits = []
    for network in (found, own):
        program = Program(network)
        _, state = program.logits(begun, program.initial_state(1))
        logits.append(program.logits(tokens, state)[0])
    np.testing.assert_allclose(*logits, atol=1e-5)


def test_an_exported_int8_model_has_the_values_of_its_codes(characters: LoadedModel, tmp_path: Path) -> None:
    export(write(tmp_path / "m", characters), "int8", tmp_path / "n")
    export(tmp_path / "n", "torch", tmp_path / "t")
    own = load(tmp_path / "n").network.parameters["head.weight"]
    np.testing.assert_array_equal(torch_file.read(tmp_path / "t")[0].parameters["head.weight"], own)


def test_a_damaged_file_for_pytorch_is_refused(characters: LoadedModel, tmp_path: Path) -> None:
    first, exported, bad = write(tmp_path / "m", characters), tmp_path / "t", tmp_path / "bad"
    export(first, "torch", exported)
    data = exported.read_bytes()
    for changed, words in (
        (first.read_bytes(), "was not written by `pantoum export --to torch`"),
        (data[:-4], "cut short"),
        (data[:30], "cut short"),
        (b"", "too short"),
        (data.replace(b'hidden_size\\":16', b'hidden_size\\":17'), "its configuration needs"),
        (data.replace(b'num_layers\\":2', b'num_layers\\":9'), "its configuration needs"),
        (data[:-4] + b"\x00\x00\xc0\x7f", "not finite"),
        (data.replace(b"layers.weight_ih_l0", b"layers.weight_ih_l1"), "."),
    ):
        assert changed != data
        bad.write_bytes(changed)
        with pytest.raises(ModelFileError, match=words):
            torch_file.read(bad)


def test_counts_go_into_the_file_and_damaged_ones_are_refused(
    characters: LoadedModel, tmp_path: Path
) -> None:
    first, V = model_file.read(write(tmp_path / "m", characters)), characters.vocab_size
    orders = counted(np.asarray(characters.tokenizer.encode(TEXT)), V, 3)
    counts = Counts(V, orders)
    weights_C = np.full(counts.buckets, 0.25, np.float32)
    extras = with_weights(arrays_of(V, orders), CountMixture(counts, weights_C))
    model_file.write(tmp_path / "n", ModelFile(**{**vars(first), "extras": extras}))
    assert export(tmp_path / "n", "torch", tmp_path / "t")["names"] == "pantoum.apps.torch"
    network, found = torch_file.read(tmp_path / "t")
    assert found is not None and np.array_equal(found.weights_C, weights_C)
    assert found.counts.entries == counts.entries and network.vocab_size == V
    data = (tmp_path / "t").read_bytes()
    for changed, words in (
        (data.replace(b"counts.2.tokens", b"counts.9.tokens"), "counts.2.tokens is missing"),
        (data.replace(weights_C.tobytes(), (-weights_C).tobytes()), "from 0 to 1"),
    ):
        assert changed != data and len(changed) == len(data)
        (tmp_path / "bad").write_bytes(changed)
        with pytest.raises(ModelFileError, match=words):
            torch_file.read(tmp_path / "bad")


@pytest.mark.parametrize("to", ["int8", "torch"])
def test_counts_of_another_type_are_refused_in_a_line(
    characters: LoadedModel, tmp_path: Path, to: str
) -> None:
    first, V = model_file.read(write(tmp_path / "m", characters)), characters.vocab_size
    orders = counted(np.asarray(characters.tokenizer.encode(TEXT)), V, 3)
    counts = Counts(V, orders)
    extras = with_weights(arrays_of(V, orders), CountMixture(counts, np.ones(counts.buckets, np.float32)))
    extras["counts.weights"] = extras["counts.weights"].astype(np.float16)
    model_file.write(tmp_path / "n", ModelFile(**{**vars(first), "extras": extras}))
    with pytest.raises(ModelFileError, match=r"counts.weights is float16 .*: it must be float32") as caught:
        export(tmp_path / "n", to, tmp_path / "t")
    assert "\n" not in str(caught.value) and not (tmp_path / "t").exists()


def test_one_hot_words_are_too_many_for_an_identity() -> None:
    assert torch_file.names_of(ModelConfig(), 4096) == "torch.nn"
    assert torch_file.names_of(ModelConfig(), 4097) == "pantoum.apps.torch"


def test_a_tied_head_is_read_in_int8_too(characters: LoadedModel, tmp_path: Path) -> None:
    export(write(tmp_path / "m", characters, tied=True), "int8", tmp_path / "n")
    assert load(tmp_path / "n").program.head.weight.precision == "int8"
