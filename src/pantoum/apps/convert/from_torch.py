"""Models of PyTorch: a state_dict in a safetensors file.

    embedding, nn.RNN (tanh), nn.GRU or nn.LSTM, linear head      any names before weight_ih_l0 and the like
    AWD-LSTM: encoder, rnns.N.module, decoder                     weight_hh_l0_raw is what was learned

Which array is the embedding and which the head is told by their shapes, by their biases, and where that
leaves two possibilities by their names. A head that is not in the file is the embedding.

Shapes: V symbols, H units, I inputs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, natural
from pantoum.errors import ModelFileError
from pantoum.seams import CELLS, Array, bounded, plain_json, tensor_layout

__all__ = ["read", "read_arrays"]

MOST_BYTES = 2**40
PART = re.compile(r"(.*?)(?:module\.)?(weight_ih|weight_hh|bias_ih|bias_hh)(?:_l(\d+))?(_raw)?")
REFUSED = re.compile(r"_reverse$|weight_hr|(^|\.)(ngrams|members|counts)\.")
EMBEDDING = re.compile(r"emb|enc|wte", re.IGNORECASE)
FLOATS = ("F64", "F32", "F16", "BF16")


def read(path: Path) -> ForeignModel:
    """The model of such a file."""
    arrays, metadata = read_arrays(path)
    refused = next((name for name in arrays if REFUSED.search(name)), None)
    if refused is not None:
        raise ModelFileError(
            f"cannot import {str(path)!r}: {refused} belongs to a layer of two directions, a projection, an "
            "ensemble or n-grams; only plain layers can be imported"
        )
    layers: dict[tuple[str, str], dict[str, Array]] = {}
    for name in sorted(arrays):  # what was learned comes after the copy that dropout has changed
        match = PART.fullmatch(name)
        if match is not None:
            layers.setdefault((match[1], match[3] or ""), {})[match[2]] = arrays.pop(name)
    order = sorted(layers, key=lambda key: natural(" ".join(key)))
    made = tuple(_layer(layers[key], path) for key in order)
    if not made:
        raise ModelFileError(f"cannot import {str(path)!r}: it has no weight_ih_l0; save a recurrent model")
    embedding_VE, head_VH, bias_V = _others(arrays, made[0].inputs, made[-1].units, path)
    return ForeignModel("PyTorch", made, embedding_VE, head_VH, bias_V, tokenizer=_tokenizer(metadata))


def read_arrays(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The float arrays of a safetensors file of anybody, and its metadata."""
    try:
        data = bounded.read_small(path, MOST_BYTES, ModelFileError)
        length = tensor_layout.header_length(data[:8], len(data))
        rest = np.frombuffer(data, np.uint8)[8 + length :]
        metadata, tensors = tensor_layout.parse_any(data[8 : 8 + length], rest.size)
        found: dict[str, Array] = {}
        for tensor in tensors:
            if tensor.dtype in FLOATS:
                array = tensor_layout.view(rest, tensor)
                tensor_layout.require_finite(tensor.name, tensor.dtype, array)
                if tensor.dtype == "BF16":
                    array = (array.astype(np.uint32) << 16).view(np.float32)
                found[tensor.name] = array
    except ModelFileError:
        raise
    except (ValueError, MemoryError) as problem:
        raise ModelFileError(f"cannot import {str(path)!r}: {problem}; save it again") from None
    return found, metadata


def _tokenizer(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """That of a file of ``pantoum export --to torch``."""
    try:
        about = plain_json.decode(str(metadata.get("pantoum")).encode())
    except ValueError:
        return None
    found = about.get("tokenizer") if isinstance(about, dict) else None
    return found if isinstance(found, dict) else None


def _layer(parts: Mapping[str, Array], path: Path) -> SourceLayer:
    if not {"weight_ih", "weight_hh"} <= set(parts) or parts["weight_hh"].ndim != 2:
        raise ModelFileError(f"cannot import {str(path)!r}: a layer is without weight_ih or weight_hh")
    rows, units = parts["weight_hh"].shape
    cells = [cell for cell in CELLS.values() if cell.torch and len(cell.gates) * units == rows]
    if not cells:
        raise ModelFileError(
            f"cannot import {str(path)!r}: weight_hh of the shape {rows, units} is that of no nn.RNN, nn.GRU "
            "or nn.LSTM; its rows must be 1, 3 or 4 times its columns"
        )
    none = np.zeros(rows, np.float32)
    weights = parts["weight_ih"], parts["weight_hh"], parts.get("bias_ih", none), parts.get("bias_hh", none)
    return SourceLayer(cells[0].name, "".join(cells[0].gates), *weights)


def _others(
    arrays: Mapping[str, Array], inputs: int, units: int, path: Path
) -> tuple[Array | None, Array, Array]:
    """(embedding or None, head, its bias)."""
    matrices = {name: array for name, array in arrays.items() if array.ndim == 2}
    biased = [name for name in matrices if _bias(name, arrays) is not None]
    for name in list(matrices):  # fastai's embedding is in the file twice
        same = (other for other in matrices if other != name and other not in biased)
        if name not in biased and any(np.array_equal(matrices[name], matrices[other]) for other in same):
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
        raise ModelFileError(
            f"cannot import {str(path)!r}: its embedding and output layer cannot be told among "
            f"{', '.join(sorted(matrices)) or 'no matrices'}; it must have one of each at most"
        )
    head_VH = matrices[heads[0]]
    biases = [array for array in arrays.values() if array.shape == (len(head_VH),)]
    bias_V = _bias(heads[0], arrays)
    if bias_V is None:
        bias_V = biases[0] if len(biases) == 1 else np.zeros(len(head_VH), np.float32)
    return matrices[embeddings[0]] if embeddings else None, head_VH, bias_V


def _bias(name: str, arrays: Mapping[str, Array]) -> Array | None:
    """The bias beside a weight."""
    bias = arrays.get(f"{name.removesuffix('weight')}bias") if name.endswith("weight") else None
    return bias if bias is not None and bias.shape == arrays[name].shape[:1] else None
