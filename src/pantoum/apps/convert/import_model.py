"""``import``: a model of another program as a model file of ours, which computes the same.

The file is known by how it begins: safetensors (a state_dict of PyTorch), HDF5 or an archive with it (Keras),
a graph of ONNX, or the index of a checkpoint of TensorFlow 1. Nothing is unpickled, and the file is read in
another process (``seams.read_apart``). Where a text is given, both read its beginning, the source by its
own numbers and in float64.

Gates get our order, and symbols our numbers. Layers of different sizes become as wide as the widest: a unit
whose weights are all zero stays zero in every cell, so nothing changes but the time that a step takes. A
symbol that the other program lacks (``<eos>`` or ``<unk>``) gets a bias under which it is never probable.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.apps.convert import from_tensorflow
from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, of_blocks, split
from pantoum.apps.convert.foreign_vocabulary import Vocabulary, vocabulary_of
from pantoum.errors import ModelFileError, SettingError
from pantoum.seams import (
    CELLS,
    Array,
    BadFileError,
    LoadedModel,
    ModelConfig,
    ModelFile,
    Plain,
    Texts,
    bounded,
    check_path,
    declared_size,
    durable,
    evaluate,
    extensions,
    listed,
    model_file,
    of_content,
    public_call,
    read_apart,
    require_apart,
    say,
)
from pantoum.seams import parameter_count as number
from pantoum.seams import plain_weights as plain

__all__ = ["convert_file", "converted", "import_model", "of_layer", "read_source"]

HEAD = 9
MOST_READ = 4096
"""Tokens of a text that are read with both."""
PICKLED = "it is a pickle, and pantoum opens no pickles: save its state_dict with safetensors.torch.save_file"
KINDS = (
    "a state_dict in safetensors, a .weights.h5 or .keras file, an ONNX graph, or an index of TensorFlow 1"
)


@public_call
def import_model(
    file: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    vocabulary: str | os.PathLike[str] | None = None,
    tokens: str | None = None,
    text: Texts = (),
) -> dict[str, Any]:
    """Make a model of PyTorch (a state_dict in safetensors), Keras, TensorFlow 1 or ONNX a model file.

    ``vocabulary``: a file of its tokens in their order. ``tokens``: ``characters``, ``words`` or
    ``words:whitespace`` (default: by the vocabulary). ``text``: what the loss on it was and is."""
    known = None if vocabulary is None else check_path(vocabulary, "vocabulary")
    texts = listed(text, "text")
    found = convert_file(check_path(file, "file"), check_path(out, "out"), known, tokens, texts)
    say(found.pop("notes"))
    return found


def convert_file(
    file: str | os.PathLike[str],
    out: str | os.PathLike[str],
    vocabulary: str | os.PathLike[str] | None = None,
    tokens: str | None = None,
    texts: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the model of ``file`` into ``out``; the facts of it, for JSON, and notes."""
    path, target = _found(Path(file)), Path(out)
    require_apart("out", out, "the file that is imported", [path])
    require_apart("out", out, "a text that is read", texts)
    known = None if vocabulary is None else Path(vocabulary)
    importer = next((each for each in extensions.each("importers") if each.recognises(path)), None)
    loss: dict[str, Plain] | None = None
    if importer is not None:
        content, program, notes = importer.import_(path, known), "another package", list[str]()
    else:
        source = read_source(path)
        words = vocabulary_of(len(source.bias_V), known, tokens, source.tokenizer)
        program, notes = source.program, list(source.notes)
        content = converted(
            source, words, {"imported": {"from": program, "name": path.name, "sha256": _digest(path)}}
        )
        if words.left_out:
            odd = ", ".join(map(repr, words.left_out[:5]))
            notes.append(f"left out, because they cannot be tokens: {odd}")
        if texts:
            loss, more = _losses(source, words, content, target, texts)
            notes += more
    durable.clear_left_behind(target)
    sha256 = model_file.write(target, content)
    return {
        "out": os.fspath(out),
        "from": program,
        "bytes": target.stat().st_size,
        "sha256": sha256,
        "config": content.config,
        "vocab_size": declared_size(content.tokenizer),
        "loss": loss,
        "notes": notes,
    }


def read_source(path: Path) -> ForeignModel:
    """The model of a file, by how it begins."""
    with bounded.opened(path, ModelFileError) as (opened, _):
        head = opened.read(HEAD)
    beside, arguments = list[Path](), list[str]()
    if from_tensorflow.is_index(path):
        kind, beside = "from_tensorflow", sorted(path.parent.glob(f"{escape(path.stem)}.data-*-of-*"))
        arguments = [each.name.removeprefix(path.stem) for each in beside]
    elif head[8:] == b"{":
        kind = "from_torch"
    elif head.startswith((b"\x89HDF\r\n\x1a\n", b"PK\x03\x04")):
        kind = "from_keras"
    elif head.startswith(b"\x08"):  # the version of a protobuf's form
        kind, arguments = "from_onnx", [f"{path.name}.data"]
        beside = [each for each in (path.with_name(arguments[0]),) if each.is_file()]
        if find_spec("onnx") is None:
            rule, advice = "needs the package `onnx`", "run: pip install 'pantoum[onnx]'"
            raise SettingError("file", str(path), rule, advice)
    else:
        advice = PICKLED if head.startswith(b"\x80") else f"give {KINDS}"
        raise ModelFileError(f"cannot import {str(path)!r}: it is not a file that can be imported; {advice}")
    subject, size = f"cannot import {str(path)!r}", sum(each.stat().st_size for each in [path, *beside])
    reader = f"{__package__}.{kind}:reader"
    blocks = read_apart(reader, arguments, [path, *beside], subject, "save it again", ModelFileError)
    try:
        return of_blocks(blocks, EXPANDS * size + LEAST)
    except BadFileError as problem:
        raise ModelFileError(f"{subject}: {problem}; {problem.advice or 'save it again'}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ModelFileError(f"{subject}: its content is unexpected ({problem}); save it again") from None


def _found(path: Path) -> Path:
    """The file; a checkpoint of TensorFlow also goes by its name without an ending."""
    index = path.with_name(f"{path.name}.index")
    return index if not path.exists() and index.exists() else path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        hasher = hashlib.sha256()
        while part := file.read(bounded.READ_SIZE):
            hasher.update(part)
    return hasher.hexdigest()


def _losses(
    source: ForeignModel, words: Vocabulary, content: ModelFile, target: Path, texts: Sequence[str]
) -> tuple[dict[str, Plain], list[str]]:
    """The loss of the beginning of a text before and after, nats per token by ``carried``."""
    from pantoum.seams import prepare

    prepared = prepare(list(texts), tokenizer=words.tokenizer, valid_fraction=0.0, out=None)
    ours_N = prepared.train.tokens[: MOST_READ + 1].astype("int64")
    theirs_N = words.numbers_V[ours_N]
    if (theirs_N < 0).any():
        rule = "has tokens that the vocabulary of the source lacks, so the two losses cannot be compared"
        raise SettingError("text", list(texts), rule, "give a text that it can read")
    model: LoadedModel = of_content(content, target, lambda: plain(content).parameters)
    after = evaluate(model.program, ours_N.astype("uint32"), model.tokenizer, "carried", compress=False)
    before = float(source.nats(theirs_N).mean())
    found: dict[str, Plain] = {
        "protocol": "carried",
        "tokens": after.tokens,
        "before": before,
        "after": after.nats_per_token,
    }
    return found, prepared.notes


NEVER = -100.0
EXPANDS, LEAST = 10, 64 << 20
"""What a model may become: ten times as many numbers or bytes, and 64 MB of them."""


def converted(source: ForeignModel, vocabulary: Vocabulary, card: dict[str, Plain]) -> ModelFile:
    """The content of a model file."""
    numbers_V = vocabulary.numbers_V
    embedding_VE, tied = source.embedding_VE, source.tied
    units = max(layer.units for layer in source.layers)
    width = None if embedding_VE is None else embedding_VE.shape[1]
    shape = ModelConfig(source.layers[0].cell, units, len(source.layers), width, tied=tied)
    most = EXPANDS * source.numbers + LEAST // 4
    if number(shape, len(numbers_V)) > most:
        raise ModelFileError(
            f"this {source.program} model would become more than ten times as large: its layers have very "
            f"different sizes, and all get the {units:,} units of the widest; it cannot be imported"
        )
    parameters: dict[str, Array] = {}
    if embedding_VE is not None:
        parameters["embedding.weight"] = _rows(embedding_VE, numbers_V, 0.0)
    for place, layer in enumerate(source.layers):
        inputs = units if place else layer.inputs
        for name, array in of_layer(layer, units, inputs).items():
            if place == 0 and embedding_VE is None and name == "weight_ih":
                array = _rows(array.T, numbers_V, 0.0).T
            parameters[f"stack.{place}.{name}"] = np.ascontiguousarray(array, np.float32)
    if not tied:
        parameters["head.weight"] = _widened(_rows(source.head_VH, numbers_V, 0.0), units)
    elif width is not None and width != units:
        parameters["head.projection.weight"] = np.eye(width, units, dtype=np.float32)
    parameters["head.bias"] = _rows(source.bias_V, numbers_V, NEVER)
    return ModelFile(shape.spec(), parameters, vocabulary.tokenizer.spec(), card)


def _rows(array: Array, numbers_V: Array, missing: float) -> Array:
    """The rows of symbols in our order."""
    found = np.full((len(numbers_V), *array.shape[1:]), missing, np.float32)
    known = numbers_V >= 0
    found[known] = array[numbers_V[known]]
    return found


def _widened(array: Array, columns: int) -> Array:
    found = np.zeros((len(array), columns), np.float32)
    found[:, : array.shape[1]] = array
    return found


def of_layer(layer: SourceLayer, units: int, inputs: int) -> dict[str, Array]:
    """The parameters of a layer with so many units and inputs."""
    cell = CELLS[layer.cell]

    def ordered(array: Array) -> Array:
        blocks = split(array, layer.gates)
        return np.concatenate([_padded(blocks[gate], units) for gate in cell.gates])

    biases = {"bias_ih": layer.bias_ih, "bias_hh": layer.bias_hh}
    if not cell.hidden_bias:
        biases = {"bias_ih": layer.bias_ih + layer.bias_hh}
    weights = {
        "weight_ih": _widened(ordered(layer.weight_ih), inputs),
        "weight_hh": _widened(ordered(layer.weight_hh), units),
    }
    return weights | {name: ordered(bias) for name, bias in biases.items()}


def _padded(block: Array, rows: int) -> Array:
    found = np.zeros((rows, *block.shape[1:]), np.float32)
    found[: len(block)] = block
    return found
