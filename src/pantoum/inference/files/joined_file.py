"""Model files of before ensembles were kept as their members: one wide model with zeros beside the blocks.

Until the members had names of their own, K models of H units were stored as one of K * H units: input vectors
one after the other, maps block by block on the diagonal of each gate, heads side by side and divided by K.
``taken_apart`` gives such a file as it would be written today, exactly: each number is where it belongs, and
what was zero beside the blocks is left out. A model that only looks so, because numbers stand beside its
blocks, stays what it is: one wide model.

Shapes: K members, H units, C columns of a map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pantoum.config import ModelConfig
from pantoum.formats.model_file import SCALE as ROOTS
from pantoum.formats.model_file import ModelFile
from pantoum.inference.files.precision import PRECISION, SCALE, shape_of
from pantoum.kernels import Array
from pantoum.network.member import prefix
from pantoum.network.state import NetworkState

__all__ = ["state_taken_apart", "taken_apart"]

EMBEDDING = "embedding.weight"


def taken_apart(content: ModelFile) -> ModelFile:
    """The content as it would be written today."""
    count = _members_of(content.card)
    shape, _ = shape_of(content.config)
    if count == 1 or shape.members > 1 or shape.hidden_size % count or (shape.embedding_size or 0) % count:
        return content
    try:
        return _of_members(content, shape, count)
    except ValueError:  # its arrays do not fit its configuration: who builds the network names the wrong one
        return content


def state_taken_apart(config: ModelConfig, state: NetworkState) -> NetworkState:
    """A state of such a model, written before, as its members have it; any other as it is."""
    layers = state.arrays[: config.layer_arrays]
    width = config.members * config.hidden_size
    if config.members == 1 or any(array.shape[1:] != (width,) for array in layers):
        return state
    parts = [np.split(array, config.members, axis=1) for array in layers]
    apart = [np.ascontiguousarray(own[place]) for place in range(config.members) for own in parts]
    return NetworkState((*apart, *state.arrays[len(layers) :]))


def _of_members(content: ModelFile, shape: ModelConfig, count: int) -> ModelFile:
    embedding = None if shape.embedding_size is None else shape.embedding_size // count
    member = replace(shape, hidden_size=shape.hidden_size // count, embedding_size=embedding)
    config = replace(member, members=count)
    if not all(_is_blocks(member, count, name, array) for name, array in content.parameters.items()):
        return content
    spec = {**config.spec(), **{key: content.config[key] for key in (PRECISION,) if key in content.config}}
    roots = {name[len(ROOTS) :]: array for name, array in content.extras.items() if name.startswith(ROOTS)}
    extras = {name: array for name, array in content.extras.items() if not name.startswith(ROOTS)}
    extras |= {ROOTS + name: array for name, array in _apart(config, roots).items()}
    return replace(content, config=spec, parameters=_apart(config, content.parameters), extras=extras)


def _members_of(card: Mapping[str, object]) -> int:
    """How many members a model with this card has."""
    settings = card.get("settings")
    members = settings.get("members") if isinstance(settings, Mapping) else None
    return members if isinstance(members, int) and 1 < members <= 64 else 1


def _apart(config: ModelConfig, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays by their names of today: parameters, scales of their rows, or the sizes of their gradients."""
    found = {}
    for name, array in arrays.items():
        plain = name.removesuffix(SCALE)
        for place in range(config.members):
            if plain == EMBEDDING:
                own = np.split(array, config.members, axis=1)[place] if array.ndim == 2 else array
            elif plain.startswith("stack."):
                own = _block(config, plain, array, place)
            else:
                found[name] = array
                break
            found[prefix(config, place) + name] = np.ascontiguousarray(own)
    return found


def _gates(member: ModelConfig, members: int, array: Array) -> Array:
    """A parameter of the stack [G,C] or [G] as [gates, K, H, ...]."""
    H = member.hidden_size
    gates: Array = array.reshape(len(array) // (members * H), members, H, *array.shape[1:])
    return gates


def _one_hot(member: ModelConfig, name: str) -> bool:
    return name == "stack.0.weight_ih" and member.embedding_size is None


def _block(config: ModelConfig, name: str, array: Array, place: int) -> Array:
    """One member's part."""
    own: Array = _gates(config, config.members, array)[:, place]
    own = own.reshape(-1, *array.shape[1:])
    if array.ndim == 1 or _one_hot(config, name):
        return own
    return np.split(own, config.members, axis=1)[place]


def _is_blocks(member: ModelConfig, members: int, name: str, array: Array) -> bool:
    """Whether a parameter has zeros beside its blocks, where it is a map of the stack."""
    if not name.startswith("stack.") or array.ndim != 2 or _one_hot(member, name):
        return True
    gates = _gates(member, members, array)
    width = array.shape[1] // members
    return not any(
        gates[:, place, :, : place * width].any() or gates[:, place, :, (place + 1) * width :].any()
        for place in range(members)
    )
