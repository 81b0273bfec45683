"""A file of a network for PyTorch: ``export --to torch``.

A safetensors file whose names are those of PyTorch's own modules where these compute the network,

    ModuleDict({"embedding": Embedding(V, E), "layers": GRU(E, H, L, batch_first=True), "head": Linear(H, V)})

so that ``load_state_dict`` takes it as it is (docs/formats.md has the lines). One-hot inputs become an
embedding that is the identity; a tied head is written out, its projection multiplied in. The embedding and
layers of each member of an ensemble stand under ``members.0``, ``members.1``, ...; the head takes their
outputs side by side.

A model that PyTorch's modules do not compute (another cell, n-grams, a large vocabulary of
one-hot inputs, counted n-grams) has the names of our parameters, which are those of
``pantoum.apps.torch.LanguageModule``, and its counts stand beside them as in a model file (``counts_file``).
``pantoum.apps.torch.load`` reads both. The metadata says which names a file has.

Shapes: V symbols, E embedding, H units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pantoum.errors import ModelFileError, SettingError
from pantoum.seams import (
    CELLS,
    Array,
    LanguageModel,
    ModelConfig,
    ModelFile,
    bounded,
    durable,
    notes_on_cache,
    plain_json,
    readable_size,
    require_filled,
    shape_of,
    shared_weight,
    tensor_layout,
)
from pantoum.seams import COUNTS_NAME as COUNTS
from pantoum.seams import member_prefix as prefix
from pantoum.seams import names_of_role as named
from pantoum.seams import parameters_under as under
from pantoum.seams import plain_weights as plain

if TYPE_CHECKING:
    from pantoum.seams import CountMixture

__all__ = [
    "OUR_NAMES",
    "TORCH_NAMES",
    "describe",
    "names_of",
    "read",
    "torch_arrays",
    "write",
]

FORMAT, VERSION = "pantoum for torch", 1
TORCH_NAMES, OUR_NAMES = "torch.nn", "pantoum.apps.torch"
FOR_TORCH = {"format": "pt"}
"""What programs that read files for PyTorch, such as transformers, look for in the metadata."""
EMBEDDING = "embedding.weight"
MOST_IDENTITY = 4096
"""The largest vocabulary whose one-hot inputs are written as an identity."""
MOST_BYTES = 2**40
BEGIN = 4096
"""Bytes within which a file says what it is."""
COUNTED = {"float32": "F32", "uint8": "U8", "uint32": "U32"}
"""The dtypes of arrays of counts."""
Arrays = dict[str, Array]


def names_of(shape: ModelConfig, vocab_size: int) -> str:
    """Which names a file of this network has."""
    one_hot = shape.embedding_size is None
    computed = CELLS[shape.cell].torch is not None and not shape.ngrams
    return TORCH_NAMES if computed and not (one_hot and vocab_size > MOST_IDENTITY) else OUR_NAMES


def torch_arrays(shape: ModelConfig, parameters: Mapping[str, Array]) -> Arrays:
    """The parameters of a network that PyTorch's modules compute, under the names of these."""
    vocab_size = len(parameters["head.bias"])
    found: Arrays = {"head.bias": parameters["head.bias"]}
    one_hot = shape.embedding_size is None
    for place in range(shape.members):
        member = prefix(shape, place)
        own = under(member, parameters)
        embedding_VE = np.eye(vocab_size, dtype=np.float32) if one_hot else own[EMBEDDING]
        found[member + EMBEDDING] = embedding_VE
        for name, array in under("stack.", own).items():
            layer, kind = name.split(".")
            found[f"{member}layers.{kind}_l{layer}"] = array
    tied = named(shape, "input") if shape.tied else ()
    found["head.weight"] = shared_weight(tied, parameters) if tied else parameters["head.weight"]
    if "head.projection.weight" in parameters:
        wide_VH = embedding_VE.astype(np.float64) @ parameters["head.projection.weight"].astype(np.float64)
        found["head.weight"] = wide_VH.astype(np.float32)
    return found


def write(path: Path, content: ModelFile) -> str:
    """Write the file, and return which names it has; what is in it beside the arrays stands in its one
    metadata text, as JSON."""
    shape, _ = shape_of(content.config)
    parameters = plain(content).parameters
    counts = {name: array for name, array in content.extras.items() if name.startswith(COUNTS)}
    names = OUR_NAMES if counts else names_of(shape, len(parameters["head.bias"]))
    found = torch_arrays(shape, parameters) if names == TORCH_NAMES else dict(parameters)
    about = {
        "format": FORMAT,
        "version": VERSION,
        "names": names,
        "module": CELLS[shape.cell].torch,
        "config": shape.spec(),
        "made_from": content.sha256,
        "tokenizer": content.tokenizer,
    }
    arrays = {name: ("F32", array) for name, array in found.items()}
    arrays |= {name: (COUNTED[array.dtype.name], array) for name, array in counts.items()}
    try:
        header, order = tensor_layout.header_bytes(arrays, plain_json.encode(about).decode(), FOR_TORCH)
    except ValueError:  # the tokenizer: by its bytes, its escapes or its parts
        header, order = tensor_layout.header_bytes(
            arrays, plain_json.encode({**about, "tokenizer": None}).decode(), FOR_TORCH
        )
    durable.write_file(path, [header, *tensor_layout.data_chunks(arrays, order)])
    return names


def describe(path: Path, start: bytes) -> tuple[dict[str, Any], list[tuple[str, str]]] | None:
    """What ``pantoum info`` says of such a file: facts, and rows for people; ``None`` for another file."""
    if not _begins_so(path):
        return None
    try:
        about, tensors, _ = _parsed(path)
        ModelConfig.from_spec(about.get("config"))  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError, SettingError) as problem:
        raise ModelFileError(f"cannot read {str(path)!r}: {problem}; export the model again") from problem
    theirs = about.get("names") == TORCH_NAMES
    numbers, tokenizer = sum(prod(tensor.shape) for tensor in tensors), about.get("tokenizer")
    facts = {
        "bytes": path.stat().st_size,
        "names": about.get("names"),
        "module": about.get("module"),
        "numbers": numbers,
        "made_from": about.get("made_from"),
        "config": about.get("config"),
    }
    loads = "nn.Module.load_state_dict, or pantoum.apps.torch.load" if theirs else "pantoum.apps.torch.load"
    kind = tokenizer.get("kind") if isinstance(tokenizer, dict) else None
    rows = [
        ("numbers", f"{numbers:,} in {len(tensors)} arrays ({readable_size(path.stat().st_size)})"),
        ("names", f"those of {'torch.nn' if theirs else 'pantoum.apps.torch'}: {loads} reads it"),
        ("tokens", str(kind) if kind else "none: the tokenizer stayed in the model"),
        ("made from", f"SHA-256 {about.get('made_from')}"),
        ("use", "in PyTorch; pantoum itself uses the model that it was exported from"),
    ]
    return facts, rows


def verify(path: Path) -> str:
    """Read the whole file; what was done, in words."""
    read(path)
    return "it loads"


def _begins_so(path: Path) -> bool:
    """Whether a file begins as these do; nothing else of it is looked at."""
    try:
        with bounded.opened(path, ModelFileError) as (file, _):
            start = bytearray(BEGIN)
            bounded.fill(file, memoryview(start))
    except ModelFileError:
        return False
    return FORMAT.encode() in start


def _parsed(path: Path) -> tuple[dict[str, Any], list[tensor_layout.Tensor], Any]:
    """What the file says of itself, where its arrays stand, and their bytes."""
    data = bounded.read_small(path, MOST_BYTES, ModelFileError)
    length = tensor_layout.header_length(data[:8], len(data))
    rest = np.frombuffer(data, np.uint8)[8 + length :]
    metadata, tensors = tensor_layout.parse_any(data[8 : 8 + length], rest.size)
    about: Any = plain_json.decode(str(metadata.get("pantoum")).encode())
    if not isinstance(about, dict) or about.get("format") != FORMAT or about.get("version") != VERSION:
        raise ValueError("it was not written by `pantoum export --to torch`")
    return about, tensors, rest


def read(path: Path) -> tuple[LanguageModel, CountMixture | None]:
    """The network of such a file, and the counts beside it if there are any. A tied head that was written out
    is read as a head of its own."""
    try:
        about, tensors, rest = _parsed(path)
        spec = about.get("config")
        counted = [tensor.name.startswith(COUNTS) for tensor in tensors]
        fits = (
            tensor.dtype in (COUNTED.values() if of_counts else ("F32",))
            for tensor, of_counts in zip(tensors, counted, strict=True)
        )
        if not isinstance(spec, dict) or not all(fits):
            raise ValueError("its configuration or the dtype of an array is not that of such a file")
        arrays = {tensor.name: tensor_layout.view(rest, tensor) for tensor in tensors}
        for name, array in arrays.items():
            if array.dtype.name == "float32":
                tensor_layout.require_finite(name, "F32", array)
        counts = {name: arrays.pop(name) for name in list(arrays) if name.startswith(COUNTS)}
        shape = ModelConfig.from_spec(spec)
        if about.get("names", TORCH_NAMES) == TORCH_NAMES:
            shape, arrays = _our_names(shape, arrays)
        network = _network(shape, arrays, path)
        if not counts:
            return network, None
        from pantoum.seams import counts_file

        return network, counts_file.read(counts, network.vocab_size)
    except ModelFileError:
        raise
    except (ValueError, TypeError, MemoryError) as problem:
        raise ModelFileError(f"cannot use {str(path)!r}: {problem}; export the model again") from None


def _our_names(shape: ModelConfig, arrays: Mapping[str, Array]) -> tuple[ModelConfig, Arrays]:
    """The inverse of ``torch_arrays``."""
    found: Arrays = {name: array for name, array in arrays.items() if name.startswith("head.")}
    for place in range(shape.members):
        member = prefix(shape, place)
        own = under(member, arrays)
        embedding_VE = own.get(EMBEDDING)
        if shape.embedding_size is not None and embedding_VE is not None:
            found[member + EMBEDDING] = embedding_VE
        elif embedding_VE is None or not np.array_equal(embedding_VE, np.eye(len(embedding_VE))):
            raise ValueError("its embedding is missing or not the identity, which one-hot inputs need")
        for name, array in under("layers.", own).items():
            kind, _, layer = name.rpartition("_l")
            found[f"{member}stack.{layer}.{kind}"] = array
    return replace(shape, tied=False), found


def _network(shape: ModelConfig, arrays: Arrays, path: Path) -> LanguageModel:
    bias_V = arrays.get("head.bias")
    if bias_V is None or bias_V.ndim != 1 or not bias_V.size:
        raise ValueError("its head.bias is missing")
    numbers = sum(array.size for array in arrays.values())
    require_filled(shape, len(bias_V), numbers, path)
    network = LanguageModel(len(bias_V), config=shape, seed=None)
    found = {name: array.shape for name, array in arrays.items()}
    needed = {name: array.shape for name, array in network.parameters.items()}
    if found != needed:
        name = min(name for name in {*needed, *found} if needed.get(name) != found.get(name))
        raise ValueError(
            f"its parameter {name} is {found.get(name, 'missing')} but its configuration needs "
            f"{needed.get(name, 'none of that name')}"
        )
    network.parameters.update(arrays)
    return network


def export(content: ModelFile, out: Path, texts: Sequence[str]) -> dict[str, Any]:
    """``pantoum export --to torch``."""
    names = write(out, content)
    ours = f"in Python: pantoum.apps.torch.load({str(out)!r}); plain PyTorch has no module for it"
    return {
        "names": names,
        "notes": notes_on_cache(content, "the file for torch"),
        "hints": [ours] if names == OUR_NAMES else [],
    }
