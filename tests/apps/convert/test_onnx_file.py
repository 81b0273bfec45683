"""A model in ONNX Runtime has the logits and the states that it has here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.apps.convert import onnx_file
from pantoum.config import CELLS, ModelConfig
from pantoum.errors import SettingError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export, to_int8
from pantoum.inference.files.counts_file import arrays_of, with_weights
from pantoum.inference.files.precision import plain
from pantoum.inference.loaded_model import of_content
from pantoum.network import LanguageModel
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.program import Program
from pantoum.text.character import CharacterTokenizer

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SHAPES = [
    *(ModelConfig(cell, 7, 2, 5) for cell in CELLS),
    *(ModelConfig(cell, 6, 1, None) for cell in CELLS),
    ModelConfig("lstm", 8, 2, 5, tied=True),
    ModelConfig("gru", 6, 1, 6, tied=True, members=3),
    ModelConfig("mingru", 6, 2, None, members=2, ngrams=(2, 3), ngram_rows=64),
    ModelConfig("gru", 5, 1, 4, ngrams=(3, 5, 16), ngram_rows=1 << 10),
]


def content_of(shape: ModelConfig, vocab_size: int = 12, seed: int = 0) -> ModelFile:
    """A model file of random weights."""
    network, random = LanguageModel(vocab_size, config=shape, seed=None), np.random.default_rng(seed)
    for array in network.parameters.values():
        # A state that grows would carry the rounding of both programs away from each other.
        array[...] = random.standard_normal(array.shape) / max(2, array.shape[-1] ** 0.5)
    tokenizer = CharacterTokenizer("".join(map(chr, range(97, 95 + vocab_size))))
    return ModelFile(shape.spec(), dict(network.parameters), tokenizer.spec(), {})


def opened(path: Path) -> Any:
    """The file in ONNX Runtime, after its checker."""
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Without VNNI sums of int8 products may be clipped at 16 bits, unless precision is asked for.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def require_same(content: ModelFile, path: Path, batch_size: int, steps: tuple[int, ...]) -> None:
    """Both read the same tokens in chunks of so many steps, from zeros on."""
    onnx_file.write(path, content)
    session = opened(path)
    config = ModelConfig.from_spec(content.config)
    vocab_size = len(content.parameters["head.bias"])
    network = LanguageModel(vocab_size, config=config, seed=None)
    network.parameters.update(content.parameters)
    program, random = Program(network), np.random.default_rng(1)
    state = program.initial_state(batch_size)
    names = [given.name for given in session.get_inputs()][1:]
    assert [f"next.{name}" for name in names] == [given.name for given in session.get_outputs()][1:]
    theirs = list(state.arrays)
    for T in steps:
        tokens = random.integers(0, vocab_size, (batch_size, T))
        expected, state = program.logits(tokens, state)
        fed = {"tokens": tokens, **dict(zip(names, theirs, strict=True))}
        logits, *theirs = session.run(None, fed)
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
        for own, other in zip(state.arrays, theirs, strict=True):
            np.testing.assert_allclose(other, own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_onnx_runtime_gives_the_same_logits(shape: ModelConfig, tmp_path: Path) -> None:
    require_same(content_of(shape), tmp_path / "m.onnx", 3, (5, 1, 2))


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_without_an_operator_is_its_equations(
    cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = {name: replace(one, onnx=None) for name, one in CELLS.items()}
    monkeypatch.setattr(onnx_file, "CELLS", unknown)
    require_same(content_of(ModelConfig(cell, 6, 2, 5)), tmp_path / "m.onnx", 2, (4, 3))
    operators = {node.op_type for node in onnx.load(str(tmp_path / "m.onnx")).graph.node}
    assert "Scan" in operators and not operators & {"GRU", "LSTM", "RNN"}


@st.composite
def shapes(draw: st.DrawFn) -> ModelConfig:
    members, size = draw(st.integers(1, 3)), draw(st.integers(1, 24))
    embedding = draw(st.none() | st.integers(1, 12))
    tied = embedding is not None and draw(st.booleans())
    if tied and members > 1:
        embedding = size
    orders = draw(st.lists(st.integers(2, 16), unique=True, max_size=3))
    return ModelConfig(
        draw(st.sampled_from(sorted(CELLS))),
        size,
        draw(st.integers(1, 3)),
        embedding,
        tied=tied,
        ngrams=tuple(sorted(orders)),
        ngram_rows=2 ** draw(st.integers(4, 12)),
        members=members,
    )


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes(), st.integers(3, 40), st.integers(1, 4), st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_drawn_models_are_the_same(
    tmp_path: Path, shape: ModelConfig, vocab_size: int, batch_size: int, steps: list[int]
) -> None:
    require_same(content_of(shape, vocab_size), tmp_path / "m.onnx", batch_size, tuple(steps))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_int8_model_has_the_probabilities_that_it_has_here(shape: ModelConfig, tmp_path: Path) -> None:
    """Codes of the inputs are others, one scale for all of them, so logits differ by the steps of a code."""
    content = to_int8(content_of(shape))
    onnx_file.write(tmp_path / "m.onnx", content)
    session, model = (
        opened(tmp_path / "m.onnx"),
        of_content(content, tmp_path / "m", lambda: plain(content).parameters),
    )
    state = model.program.initial_state(2)
    tokens = np.random.default_rng(1).integers(0, model.vocab_size, (2, 5))
    expected, _ = model.program.logits(tokens, state)
    names = [given.name for given in session.get_inputs()][1:]
    logits, *_ = session.run(None, {"tokens": tokens, **dict(zip(names, state.arrays, strict=True))})
    assert np.abs(logits - expected).max() < 0.05 * max(1.0, np.abs(expected).max())
    graph = onnx.load(str(tmp_path / "m.onnx")).graph
    assert sum(array.data_type == onnx.TensorProto.INT8 for array in graph.initializer) >= shape.num_layers


def test_the_file_says_what_it_is_and_is_the_same_each_time(tmp_path: Path) -> None:
    content = content_of(SHAPES[0])
    model_file.write(tmp_path / "m", content)
    found = export(tmp_path / "m", "onnx", tmp_path / "m.onnx")
    data = (tmp_path / "m.onnx").read_bytes()
    assert found["bytes"] == len(data) and found["notes"] == []
    export(tmp_path / "m", "onnx", tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == data
    (about,) = onnx.load(str(tmp_path / "m.onnx")).metadata_props
    assert about.key == "pantoum" and found["made_from"] in about.value and '"characters"' in about.value


def test_counted_ngrams_are_refused(tmp_path: Path) -> None:
    content = content_of(SHAPES[0])
    orders = counted(np.arange(60) % 12, 12, 3)
    counts = Counts(12, orders)
    weights_C = np.full(counts.buckets, 0.25, np.float32)
    extras = with_weights(arrays_of(12, orders), CountMixture(counts, weights_C))
    model_file.write(tmp_path / "m", replace(content, extras=extras))
    with pytest.raises(SettingError, match="counted n-grams, which this model has; use --to torch"):
        export(tmp_path / "m", "onnx", tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
