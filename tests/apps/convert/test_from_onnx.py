"""ONNX graphs: what was exported comes back as it was, and graphs of others have ONNX Runtime's logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.apps.convert.import_model import import_model
from pantoum.config import ModelConfig
from pantoum.errors import ModelFileError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.inference.loaded_model import load
from pantoum.network import LanguageModel
from pantoum.text.character import CharacterTokenizer

onnx = pytest.importorskip("onnx")
Alphabet = Callable[[Path, int], Path]
Imported = Callable[..., Any]
SHAPES = [
    ModelConfig("gru", 5, 2, 4),
    ModelConfig("gru-before", 5, 2, None),
    ModelConfig("lstm", 6, 1, 4, tied=True),
    ModelConfig("rnn", 5, 3, 5, tied=True),
]


def exported(folder: Path, shape: ModelConfig) -> Path:
    """A model file and its graph."""
    tokenizer = CharacterTokenizer("abcdefg")
    network = LanguageModel(9, config=shape, seed=1)
    content = ModelFile(shape.spec(), dict(network.parameters), tokenizer.spec(), {})
    model_file.write(folder / "m", content)
    export(folder / "m", "onnx", folder / "m.onnx")
    return folder / "m.onnx"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_was_exported_comes_back(tmp_path: Path, shape: ModelConfig) -> None:
    told = import_model(exported(tmp_path, shape), tmp_path / "n")
    before, after = load(tmp_path / "m"), load(tmp_path / "n")
    assert told["from"] == "ONNX" and after.tokenizer.spec() == before.tokenizer.spec()
    tokens = np.arange(9)[None]
    logits = [model.program.logits(tokens, model.program.initial_state(1))[0] for model in (before, after)]
    np.testing.assert_allclose(*logits, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (ModelConfig("mingru", 5, 1, 4), "operator MatMul where no"),
        (ModelConfig("gru", 5, 1, 5, ngrams=(2,), ngram_rows=64), "operator Mul where no"),
        (ModelConfig("gru", 5, 1, 5, members=2), "several embeddings"),
    ],
    ids=str,
)
def test_what_is_no_plain_model_is_refused(tmp_path: Path, shape: ModelConfig, words: str) -> None:
    path = exported(tmp_path, shape)
    with pytest.raises(ModelFileError, match=words):
        import_model(path, tmp_path / "n")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError):
        import_model(path, tmp_path / "n")


@pytest.mark.parametrize(("kind", "gates"), [("GRU", 3), ("LSTM", 4), ("RNN", 1)])
def test_a_graph_of_somebody_else_has_onnx_runtimes_logits(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, kind: str, gates: int
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    helper, random = onnx.helper, np.random.default_rng(0)
    shapes = {
        "table": (9, 4), "w": (1, 5 * gates, 4), "r": (1, 5 * gates, 5), "b": (1, 10 * gates),
        "head": (9, 5), "bias": (9,),
    }  # fmt: skip
    arrays = [
        onnx.numpy_helper.from_array((random.standard_normal(shape) / 2).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    arrays.append(onnx.numpy_helper.from_array(np.array([-1, 5]), "flat"))
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["x"]),
        helper.make_node(kind, ["x", "w", "r", "b"], ["y"], hidden_size=5),
        helper.make_node("Reshape", ["y", "flat"], ["y2"]),
        helper.make_node("Gemm", ["y2", "head", "bias"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["time", 1])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["time", 9])],
        arrays,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    tokens = random.integers(0, 9, 12)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"tokens": tokens[:, None]})
    found = imported(tmp_path / "m.onnx", tmp_path, tokens[None], alphabet(tmp_path, 9))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
