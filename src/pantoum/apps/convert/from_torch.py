"""Models of PyTorch: a state_dict in a safetensors file.

    embedding, nn.RNN (tanh), nn.GRU or nn.LSTM, linear head      any names before weight_ih_l0 and the like
    AWD-LSTM: encoder, rnns.N.module, decoder                     weight_hh_l0_raw is what was learned

Which array is the embedding and which the head is told by their shapes, by their biases, and where that
leaves two possibilities by their names. A head that is not in the file is the embedding. Every other array
that is left over, and every one that a layer lacks, is refused by its name: the module computes something
else then. ``torch.compile`` puts ``_orig_mod`` before names, and ``safetensors.torch.save_model`` writes of
arrays that are shared only one, and the names of the others into the metadata.

Shapes: V symbols, H units, I inputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import IO, Any

import numpy as np

from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, blocks, natural
from pantoum.seams import CELLS, Array, BadFileError, plain_json, tensor_layout

__all__ = ["reader"]

PART = re.compile(r"(.*?)(?:module\.)?(weight_ih|weight_hh|bias_ih|bias_hh)(?:_l(\d+))?(_raw)?")
PARTS = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
REFUSED = re.compile(r"_reverse$|weight_hr|(^|\.)(ngrams|members|counts)\.")
EMBEDDING = re.compile(r"emb|enc|wte", re.IGNORECASE)
COMPILED = re.compile(r"(^|\.)_orig_mod\.")
UNSAID = (
    "a state_dict does not say how its parts are used: layers are taken in the order of their names, with "
    "nothing between them"
)


def reader() -> Callable[[IO[bytes]], Iterator[bytes]]:
    """What reads such files."""
    return lambda file: blocks(_model(*_arrays(file)))


def _arrays(file: IO[bytes]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a safetensors file of anybody, each under all of its names, and the metadata."""
    data = file.read()
    length = tensor_layout.header_length(data[:8], len(data))
    rest = np.frombuffer(data, np.uint8)[8 + length :]
    metadata, tensors = tensor_layout.parse_any(data[8 : 8 + length], rest.size)
    found: dict[str, Array] = {}
    for tensor in tensors:
        array, name = tensor_layout.view(rest, tensor), COMPILED.sub(r"\1", tensor.name)
        if tensor.dtype == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        if name in found:
            raise BadFileError(f"it has {name} twice")
        found[name] = array
    for other, name in metadata.items():
        name = COMPILED.sub(r"\1", str(name))
        if name in found:
            found.setdefault(COMPILED.sub(r"\1", other), found[name])
    return found, metadata


def _model(arrays: dict[str, Array], metadata: Mapping[str, Any]) -> ForeignModel:
    refused = next((name for name in arrays if REFUSED.search(name)), None)
    if refused is not None:
        raise BadFileError(
            f"{refused} belongs to a bidirectional layer, a projection, an ensemble or n-grams",
            "only plain layers can be imported",
        )
    layers: dict[tuple[str, str], dict[str, Array]] = {}
    for name in sorted(arrays):  # what was learned comes after the copy that dropout has changed
        match = PART.fullmatch(name)
        if match is not None:
            layers.setdefault((match[1], match[3] or ""), {})[match[2]] = arrays.pop(name)
    order = sorted(layers, key=lambda key: natural(" ".join(key)))
    if not order:
        raise BadFileError("it has no weight_ih_l0", "save a recurrent model")
    for module, keys in groupby(order, key=lambda key: key[0]):
        _require_whole(module, {number: layers[module, number] for _, number in keys})
    made = tuple(_layer(layers[key]) for key in order)
    embedding_VE, head_VH, bias_V = _others(arrays, made[0].inputs, made[-1].units)
    about = _about(metadata)
    notes = () if about else (UNSAID + (", and nn.RNN with tanh" if made[0].cell == "rnn" else ""),)
    tokenizer = about.get("tokenizer")
    return ForeignModel(
        "PyTorch",
        made,
        embedding_VE,
        head_VH,
        bias_V,
        notes,
        tokenizer if isinstance(tokenizer, dict) else None,
    )


def _require_whole(module: str, layers: Mapping[str, Mapping[str, Array]]) -> None:
    """The layers of a module are numbered from 0 on, and have the same arrays."""
    numbers = sorted(layers) if "" in layers else [str(number) for number in range(len(layers))]
    needed = set().union(*layers.values())
    needed = PARTS if needed & {"bias_ih", "bias_hh"} else {"weight_ih", "weight_hh"}
    for number in numbers:
        for part in sorted(needed - set(layers.get(number, ()))):
            name = f"{module}{part}{number and f'_l{number}'}"
            raise BadFileError(f"{name} is missing, and other arrays of its module are there")


def _about(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of ``pantoum export --to torch`` says of itself."""
    try:
        about: Any = plain_json.decode(str(metadata.get("pantoum")).encode())
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def _layer(parts: Mapping[str, Array]) -> SourceLayer:
    weight_hh = parts["weight_hh"]
    rows, units = weight_hh.shape if weight_hh.ndim == 2 else (0, 0)
    cells = [cell for cell in CELLS.values() if cell.torch and len(cell.gates) * units == rows]
    if not rows or not cells or any(array.dtype.kind != "f" for array in parts.values()):
        raise BadFileError(
            f"weight_hh has the shape {weight_hh.shape}, which no nn.RNN, nn.GRU or nn.LSTM has",
            "its rows must be 1, 3 or 4 times its columns",
        )
    none = np.zeros(rows, np.float32)
    weights = parts["weight_ih"], weight_hh, parts.get("bias_ih", none), parts.get("bias_hh", none)
    return SourceLayer(cells[0].name, "".join(cells[0].gates), *weights)


def _others(arrays: Mapping[str, Array], inputs: int, units: int) -> tuple[Array | None, Array, Array]:
    """(embedding or None, head, its bias); nothing else may be there."""
    matrices = {name: array for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind == "f"}
    biased = [name for name in matrices if _bias(name, arrays)]
    first: dict[tuple[Any, bytes], str] = {}
    copies: dict[str, str] = {}
    for name in list(matrices):  # fastai's embedding is in the file twice
        if name not in biased:
            array = matrices[name]
            copies[name] = first.setdefault((array.shape, array.tobytes()), name)
            if copies[name] != name:
                del matrices[name]
    heads = [name for name in biased if matrices[name].shape[1] == units]
    embeddings = [name for name in matrices if name not in heads and matrices[name].shape[1] == inputs]
    if not heads:
        without = [name for name in embeddings if not EMBEDDING.search(name)]
        heads = without or [name for name in matrices if name not in embeddings]
        embeddings = [name for name in embeddings if name not in heads]
    if not heads and len(embeddings) == 1 and inputs == units:
        heads = embeddings
    if len(heads) != 1 or len(embeddings) > 1:
        raise BadFileError(
            f"its embedding and output layer cannot be identified among {_listed(matrices) or 'no matrices'}",
            "it must have one of each at most",
        )
    head_VH, bias = matrices[heads[0]], _bias(heads[0], arrays)
    if bias is None:
        biases = [name for name, array in arrays.items() if array.shape == (len(head_VH),)]
        bias = biases[0] if len(biases) == 1 else None
    used = {heads[0], bias, *embeddings}
    left = [name for name in arrays if name not in used and copies.get(name) not in used]
    if left:
        raise BadFileError(
            f"it has arrays that belong to no embedding, layer or output layer: {_listed(left)}",
            "only an embedding, nn.RNN, nn.GRU or nn.LSTM and a linear layer can be imported",
        )
    bias_V = np.zeros(len(head_VH), np.float32) if bias is None else arrays[bias]
    return matrices[embeddings[0]] if embeddings else None, head_VH, bias_V


def _bias(name: str, arrays: Mapping[str, Array]) -> str | None:
    """The name of the bias beside a weight."""
    beside = f"{name.removesuffix('weight')}bias"
    fits = name.endswith("weight") and beside in arrays and arrays[beside].shape == arrays[name].shape[:1]
    return beside if fits else None


def _listed(names: Any) -> str:
    """Some names, for a message."""
    order = sorted(names)
    return ", ".join(order[:8]) + (f" and {len(order) - 8} more" if len(order) > 8 else "")
