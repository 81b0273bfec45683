"""ONNX graphs: what was exported comes back as it was, and graphs of others have ONNX Runtime's logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.apps.convert.import_model import convert_file
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
    told = convert_file(exported(tmp_path, shape), tmp_path / "n")
    before, after = load(tmp_path / "m"), load(tmp_path / "n")
    assert told["from"] == "ONNX" and after.tokenizer.spec() == before.tokenizer.spec()
    tokens = np.arange(9)[None]
    logits = [model.program.logits(tokens, model.program.initial_state(1))[0] for model in (before, after)]
    np.testing.assert_allclose(*logits, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (ModelConfig("mingru", 5, 1, 4), r"operator \w+, which plain"),
        (ModelConfig("gru", 5, 1, 5, ngrams=(2,), ngram_rows=64), r"operator \w+, which plain"),
        (ModelConfig("gru", 5, 1, 5, members=2), r"operator Concat, which plain"),
    ],
    ids=str,
)
def test_what_is_no_plain_model_is_refused(tmp_path: Path, shape: ModelConfig, words: str) -> None:
    path = exported(tmp_path, shape)
    with pytest.raises(ModelFileError, match=words):
        convert_file(path, tmp_path / "n")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError):
        convert_file(path, tmp_path / "n")


def graph(folder: Path, kind: str, gates: int, change: Callable[[dict[str, Any], list[Any]], None]) -> Path:
    """A graph of somebody else over nine symbols, after a change of its arrays and nodes."""
    helper, random = onnx.helper, np.random.default_rng(0)
    shapes = {
        "table": (9, 4), "w": (1, 5 * gates, 4), "r": (1, 5 * gates, 5), "b": (1, 10 * gates),
        "head": (9, 5), "bias": (9,),
    }  # fmt: skip
    arrays: dict[str, Any] = {
        name: (random.standard_normal(shape) / 2).astype(np.float32) for name, shape in shapes.items()
    }
    arrays["flat"] = np.array([-1, 5])
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["x"]),
        helper.make_node(kind, ["x", "w", "r", "b"], ["y", "last"], hidden_size=5),
        helper.make_node("Reshape", ["y", "flat"], ["y2"]),
        helper.make_node("Gemm", ["y2", "head", "bias"], ["logits"], transB=1),
    ]
    change(arrays, nodes)
    made = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["time", 1])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["time", 9])],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


@pytest.mark.parametrize(("kind", "gates"), [("GRU", 3), ("LSTM", 4), ("RNN", 1)])
def test_a_graph_of_somebody_else_has_onnx_runtimes_logits(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, kind: str, gates: int
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    graph(tmp_path, kind, gates, lambda arrays, nodes: None)
    random = np.random.default_rng(1)
    tokens = random.integers(0, 9, 12)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"tokens": tokens[:, None]})
    found = imported(tmp_path / "m.onnx", tmp_path, tokens[None], alphabet(tmp_path, 9))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def stateful(arrays: dict[str, Any], nodes: list[Any]) -> None:
    arrays["h0"] = np.ones((1, 1, 5), np.float32)
    nodes[1].input.extend(["", "h0"])


def scaled(arrays: dict[str, Any], nodes: list[Any]) -> None:
    arrays["two"] = np.float32(2)
    nodes[3].input[0] = "y3"
    nodes.insert(3, onnx.helper.make_node("Mul", ["y2", "two"], ["y3"]))


def shifted(arrays: dict[str, Any], nodes: list[Any]) -> None:
    arrays["one"] = np.array(1)
    nodes[0].input[1] = "tokens2"
    nodes.insert(0, onnx.helper.make_node("Add", ["tokens", "one"], ["tokens2"]))


def biased(arrays: dict[str, Any], nodes: list[Any]) -> None:
    nodes[1].input[3] = "b2"
    nodes.insert(0, onnx.helper.make_node("Neg", ["b"], ["b2"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [(stateful, "a state that is not zero"), (scaled, "operator Mul"), (shifted, "operator Add"),
     (biased, "not constants")],
)  # fmt: skip
def test_what_the_graph_does_beside_is_refused(
    tmp_path: Path, alphabet: Alphabet, change: Callable[..., None], words: str
) -> None:
    with pytest.raises(ModelFileError, match=words):
        convert_file(graph(tmp_path, "GRU", 3, change), tmp_path / "n", alphabet(tmp_path, 9))


def test_what_is_computed_of_shapes_is_no_part_of_the_model(
    tmp_path: Path, alphabet: Alphabet, imported: Imported
) -> None:
    """As PyTorch's exporter writes a graph whose length is open, with its constants in a file beside it."""
    tokens = np.random.default_rng(1).integers(0, 9, (1, 12))
    plain = graph(tmp_path, "GRU", 3, lambda arrays, nodes: None)
    expected = imported(plain, tmp_path, tokens, alphabet(tmp_path, 9))

    def shaped(arrays: dict[str, Any], nodes: list[Any]) -> None:
        arrays["two"], arrays["zero"] = np.array(2), np.float32(0)
        make = onnx.helper.make_node
        nodes[3:3] = [make("Shape", ["y2"], ["s"]), make("Mul", ["s", "two"], ["s2"])]
        nodes[3:3] = [make("Expand", ["zero", "s"], ["zeros"]), make("Reshape", ["y2", "s2"], ["y3"])]
        nodes[1].input.extend(["", "zeros"])
        nodes[-1].input[0] = "y3"

    path = graph(tmp_path, "GRU", 3, shaped)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    assert "m.onnx.data" in path.read_bytes().decode("latin-1")
    found = imported(path, tmp_path, tokens, alphabet(tmp_path, 9))
    np.testing.assert_array_equal(found, expected)


def test_no_other_file_is_read(tmp_path: Path, alphabet: Alphabet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret").write_bytes(bytes(36))
    path = graph(tmp_path, "GRU", 3, lambda arrays, nodes: None)
    model = onnx.load(path)
    constant = onnx.numpy_helper.from_array(np.zeros(9, np.float32), "bias")
    constant.ClearField("raw_data")
    constant.data_location = onnx.TensorProto.EXTERNAL
    constant.external_data.add(key="location", value="secret")
    kept = [tensor for tensor in model.graph.initializer if tensor.name != "bias"]
    for where in ("initializer", "node"):
        del model.graph.initializer[:]
        model.graph.initializer.extend([*kept, *([constant] if where == "initializer" else [])])
        if where == "node":
            model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["bias"], value=constant))
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ModelFileError, match="is in another file"):
            convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))


def test_a_product_that_becomes_far_larger_is_refused(tmp_path: Path, alphabet: Alphabet) -> None:
    def wide(arrays: dict[str, Any], nodes: list[Any]) -> None:
        arrays |= {"column": np.ones((40_000, 1), np.float32), "row": np.ones((1, 40_000), np.float32)}
        nodes[3:] = [
            onnx.helper.make_node("MatMul", ["y2", "column"], ["a"]),
            onnx.helper.make_node("MatMul", ["a", "row"], ["logits"]),
        ]

    with pytest.raises(ModelFileError, match="40,000 rows for 5 units"):
        convert_file(graph(tmp_path, "GRU", 3, wide), tmp_path / "n", alphabet(tmp_path, 9))


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_graphs_of_pytorchs_default_exporter(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, kind: str
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.emb, self.out = torch.nn.Embedding(9, 4), torch.nn.Linear(5, 9)
            self.rnn = getattr(torch.nn, kind)(4, 5, 2, batch_first=True)

        def forward(self, tokens: Any) -> Any:
            return self.out(self.rnn(self.emb(tokens))[0])

    torch.manual_seed(0)
    model, tokens = Model().eval(), torch.randint(0, 9, (2, 7))
    dim = torch.export.Dim
    shapes = ({0: dim("batch"), 1: dim("time")},)
    torch.onnx.export(model, (tokens,), str(tmp_path / "m.onnx"), dynamo=True, dynamic_shapes=shapes)
    found = imported(tmp_path / "m.onnx", tmp_path, tokens.numpy(), alphabet(tmp_path, 9))
    np.testing.assert_allclose(found, model(tokens).detach().numpy(), atol=1e-5)
