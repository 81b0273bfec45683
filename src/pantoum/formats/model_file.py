"""The model file: one self-contained container, all that is needed to use a model.

What is in it (byte for byte: docs/formats.md): in the metadata the configuration of the model and the
training card; the parameters under their own names; ``extras.*``, arrays for later use (running means for
adapting, a filter); ``tokenizer``, the specification of the tokenizer as JSON in a uint8 array. Whether names
and shapes make up a network is checked by whoever builds the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from pantoum.config.plain import Plain
from pantoum.errors import ModelFileError
from pantoum.formats import container, plain_json, tensor_layout
from pantoum.formats.container import Content, Kind
from pantoum.formats.tensor_layout import Array

TOKENIZER = "tokenizer"
EXTRAS = "extras."
SCALE = "adapt."
"""Among the extras, before a parameter's name: the usual size of each row of its gradient."""
COUNTS = "counts."
"""Among the extras, before the names of the arrays of counted n-grams."""
TOKENIZER_LIMIT = 64 << 20
"""300,000 words of a script that JSON escapes have some 25 MB."""
CARD_GROWS = 100_000
"""Bytes that a card gains while a run goes on: curve, figures, peaks."""
USE_ANOTHER = "use another copy of it, or train again"
DTYPES = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int8": "I8", "uint8": "U8", "uint32": "U32"}
"""The dtypes of the arrays of a model; uint16 are the bits of bfloat16."""
MODEL = Kind("model", 1, ModelFileError, USE_ANOTHER, DTYPES, "card")


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a model file holds."""

    config: dict[str, Plain]
    """The network's shape: ``ModelConfig.spec()`` and the vocabulary's size."""
    parameters: dict[str, Array]
    """Weights by name: float32, float16, or bfloat16 bits (uint16), int8, uint8, uint32."""
    tokenizer: dict[str, Plain]
    """``Tokenizer.spec()``."""
    card: dict[str, Any]
    """How it was trained: fingerprints of the texts, loss with its protocol, settings, curve."""
    extras: dict[str, Array] = field(default_factory=dict)
    """Arrays beside the weights, by name."""
    sha256: str = ""
    """The digest of the file that it was read from; ``write`` ignores it."""
    path: Path | None = field(default=None, compare=False)
    """The file that it was read from, if it was one."""


def write(path: Path | str, model: ModelFile) -> str:
    """Write a model file whole or not at all, and return its SHA-256."""
    with MODEL.refused(path):
        arrays = _named_arrays(model)
    return container.write(path, MODEL, _body(model), arrays)


def require_writable(model: ModelFile) -> None:
    """``ModelFileError`` where ``write`` would refuse such a model once its card has grown by ``CARD_GROWS``.

    A run asks this before it trains. Only names, shapes and sizes are looked at, no array's values.
    """
    try:
        header, _ = container.header(MODEL, _body(model), _named_arrays(model))
        if len(header) + CARD_GROWS > tensor_layout.HEADER_LIMIT:
            raise ValueError(
                f"its header would have {len(header) + CARD_GROWS:,} bytes, more than the "
                f"{tensor_layout.HEADER_LIMIT:,} allowed"
            )
    except (ValueError, TypeError) as problem:
        raise ModelFileError(
            f"a model of this shape and text cannot be written: {problem}; give fewer layers, fewer words or "
            "shorter names of texts"
        ) from None


def read(path: Path | str) -> ModelFile:
    """Read and verify a model file."""
    content = container.read(path, MODEL)
    with MODEL.told(path):
        return replace(_model(content), path=Path(path))


def parsed(data: bytes, path: Path | str) -> ModelFile:
    """The content of the bytes of a model file, verified; ``path`` names it in errors."""
    content = container.parsed(data, path, MODEL)
    with MODEL.told(path):
        return _model(content)


def is_model_file(path: Path | str) -> bool:
    """Whether a file begins like a model file of ours."""
    return container.begins(path, MODEL)


def _body(model: ModelFile) -> Mapping[str, Plain]:
    return {"config": model.config, "card": model.card}


def _named_arrays(model: ModelFile) -> dict[str, Array]:
    """Every array under its name in the file."""
    for name in model.parameters:
        if name == TOKENIZER or name.startswith(EXTRAS):
            raise ValueError(f"the parameter name {name!r} is taken by the format")
    spec = plain_json.encode(model.tokenizer)
    if len(spec) > TOKENIZER_LIMIT:
        raise ValueError(f"its tokenizer has {len(spec):,} bytes, more than the {TOKENIZER_LIMIT:,} allowed")
    extras = {EXTRAS + name: array for name, array in model.extras.items()}
    return {**model.parameters, **extras, TOKENIZER: np.frombuffer(spec, np.uint8)}


def _model(content: Content) -> ModelFile:
    """The model of a verified file; ``ValueError`` says what is wrong with it."""
    body, arrays = content.body, content.arrays
    for key in ("config", "card"):
        if not isinstance(body.get(key), dict):
            raise ValueError(f"its {key} is missing")
    spec = arrays.pop(TOKENIZER, None)
    if spec is None or spec.dtype != np.uint8 or spec.ndim != 1 or spec.size > TOKENIZER_LIMIT:
        raise ValueError("its tokenizer is missing")
    tokenizer = plain_json.decode(spec.tobytes())
    if not isinstance(tokenizer, dict):
        raise ValueError("its tokenizer is missing")
    extras = {name[len(EXTRAS) :]: arrays.pop(name) for name in list(arrays) if name.startswith(EXTRAS)}
    return ModelFile(body["config"], arrays, tokenizer, body["card"], extras, content.sha256)


MOST = 100
"""Texts that are named one by one."""
FIRST_KEPT, LAST_KEPT = 2, 8
"""How often a card tells of adapting, from the first time and up to the last: each may name 100 texts, and
the header of a file is bounded."""


def named_texts(texts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The texts that a card names: what a model learned from, adapted to, or was measured on. A folder may
    hold 100,000 files, and the header of a file is bounded. ``texts``: name without its folder, size and
    SHA-256 of the first, as far as they are known. Where there are more, ``all_texts``: the number of all,
    their size, the SHA-256 of the list of their hashes."""
    named: dict[str, Plain] = {"texts": [_named(text) for text in texts[:MOST]]}
    if len(texts) > MOST:
        hashes = plain_json.encode([text.get("sha256") for text in texts])
        named["all_texts"] = {
            "number": len(texts),
            "size": sum(text.get("size", 0) for text in texts),
            "sha256": sha256(hashes).hexdigest(),
        }
    return named


def _named(text: Mapping[str, Plain]) -> dict[str, Plain]:
    known = {key: text[key] for key in ("size", "sha256") if key in text}
    return {"name": PurePath(str(text["name"])).name, **known}


def told_times(card: Mapping[str, Plain], now: Plain) -> dict[str, Plain]:
    """What the card of a model that has adapted once more says of all times; ``adapted_times`` is how many
    there were, where not all of them are told."""
    before, times = card.get("adapted"), card.get("adapted_times")
    told = [*(before if isinstance(before, list) else []), now]
    number = max(len(told), times + 1 if isinstance(times, int) else 0)
    if len(told) > FIRST_KEPT + LAST_KEPT:
        told = [*told[:FIRST_KEPT], *told[-LAST_KEPT:]]
    return {"adapted": told, **({"adapted_times": number} if number > len(told) else {})}
