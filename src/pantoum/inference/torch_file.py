"""A file that plain PyTorch loads: ``torch.nn.GRU``, ``LSTM`` or ``RNN`` between an embedding and a head.

A safetensors file whose names are those of

    ModuleDict({"embedding": Embedding(V, E), "layers": GRU(E, H, L, batch_first=True), "head": Linear(H, V)})

so that ``load_state_dict`` takes it as it is (docs/formats.md has the lines). One-hot inputs become an
embedding that is the identity; a tied head is written out, its projection multiplied in. The embedding and
layers of each member of an ensemble stand under ``members.0``, ``members.1``, ...; the head takes their
outputs side by side. What PyTorch's modules cannot compute is refused: another cell, normalisation,
residuals, n-grams.

Shapes: V symbols, E embedding, H units.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pantoum.config import CELLS, ModelConfig
from pantoum.errors import SettingError
from pantoum.formats import durable, plain_json, tensor_layout
from pantoum.formats.model_file import ModelFile
from pantoum.inference.precision import plain, shape_of
from pantoum.kernels import Array
from pantoum.network.language_model import prefix
from pantoum.network.parameters import under

__all__ = ["arrays_for_torch", "write"]

MOST_IDENTITY = 4096
"""The largest vocabulary whose one-hot inputs are written as an identity."""
MOST_SPEC = 900_000
"""Bytes of a tokenizer's spec that fit the header."""
Arrays = dict[str, Array]


def arrays_for_torch(shape: ModelConfig, parameters: Mapping[str, Array]) -> Arrays:
    """The parameters under the names of PyTorch's modules; ``SettingError`` where these cannot be."""
    vocab_size = len(parameters["head.bias"])
    _require(shape, vocab_size)
    found: Arrays = {"head.bias": parameters["head.bias"]}
    one_hot = shape.embedding_size is None
    for place in range(shape.members):
        member = prefix(shape, place)
        own = under(member, parameters)
        embedding_VE = np.eye(vocab_size, dtype=np.float32) if one_hot else own["embedding.weight"]
        found[member + "embedding.weight"] = embedding_VE
        for name, array in under("stack.", own).items():
            layer, kind = name.split(".")
            found[f"{member}layers.{kind}_l{layer}"] = array
    found["head.weight"] = parameters.get("head.weight", embedding_VE)
    if "head.projection.weight" in parameters:
        wide_VH = embedding_VE.astype(np.float64) @ parameters["head.projection.weight"].astype(np.float64)
        found["head.weight"] = wide_VH.astype(np.float32)
    return found


def write(path: Path, content: ModelFile) -> None:
    """Write the file; what is in it beside the arrays stands in its one metadata text, as JSON."""
    shape, _ = shape_of(content.config)
    found = arrays_for_torch(shape, plain(content).parameters)
    spec = content.tokenizer if len(plain_json.encode(content.tokenizer)) <= MOST_SPEC else None
    about = {
        "format": "pantoum for torch",
        "version": 1,
        "module": CELLS[shape.cell].torch,
        "config": shape.spec(),
        "made_from": content.sha256,
        "tokenizer": spec,
    }
    arrays = {name: ("F32", array) for name, array in found.items()}
    header, order = tensor_layout.header_bytes(arrays, plain_json.encode(about).decode())
    durable.write_file(path, [header, *tensor_layout.data_chunks(arrays, order)])


def _require(shape: ModelConfig, vocab_size: int) -> None:
    def refuse(what: object, rule: str) -> None:
        raise SettingError("to", "torch", f"cannot hold {what}: {rule}", "export it to int8, or use it here")

    if CELLS[shape.cell].torch is None:
        refuse(f"the cell {shape.cell}", "torch.nn has GRU with its reset after the product, LSTM and RNN")
    if shape.norm or shape.residual:
        refuse("normalisation" if shape.norm else "residuals", "torch.nn has nothing between its layers")
    if shape.ngrams:
        refuse("n-grams", "torch.nn has no table of them; --ngrams none trains without")
    if shape.embedding_size is None and vocab_size > MOST_IDENTITY:
        refuse(f"one-hot inputs of {vocab_size:,} symbols", "the identity would be too large")
