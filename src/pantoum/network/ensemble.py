"""Several models of one shape as one wider model, whose logits are the mean of theirs.

The mean of logits is, up to a constant, the logarithm of the geometric mean of the models' probabilities: an
ensemble (Hansen and Salamon 1990). Side by side, K models of H units are one ordinary model of K * H units:
input vectors one after the other, maps block by block on the diagonal of each gate, heads side by side and
divided by K, and of their n-grams' tables the mean. So whoever reads, writes, adapts or exports a model needs
to know nothing of it; what it costs are the zeros beside the blocks.

Where layers look across their units (normalisation), where the head shares the embedding's weights or
one-hot inputs are added to outputs, there is no such model.

Shapes: K members, H units, E embedding, V symbols, G = gates * H rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pantoum.config import ModelConfig
from pantoum.errors import SettingError
from pantoum.kernels import Array
from pantoum.network.ngrams import TABLE

__all__ = ["blocks", "join", "join_scales", "joined_config", "joins", "members_of"]


def joined_config(config: ModelConfig, members: int) -> ModelConfig:
    """The shape of ``members`` models of this shape side by side."""
    if members == 1:
        return config
    if not joins(config):
        raise SettingError(
            "members",
            members,
            "must be 1 with norm, with tied, or with residual over one-hot"
            " inputs: such models cannot stand side by side",
            "leave members out",
        )
    embedding = None if config.embedding_size is None else members * config.embedding_size
    return replace(config, hidden_size=members * config.hidden_size, embedding_size=embedding)


def joins(config: ModelConfig) -> bool:
    """Whether models of this shape can stand side by side."""
    return config.norm is None and not config.tied and not (config.residual and config.embedding_size is None)


def join(config: ModelConfig, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The parameters of the joined model from those of its members, which have the shape ``config``."""
    count, found = len(parts), {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        if name == "embedding.weight":
            found[name] = np.concatenate(arrays, axis=1)
        elif name == "head.weight":
            found[name] = np.concatenate(arrays, axis=1) / arrays[0].dtype.type(count)
        elif name in ("head.bias", TABLE):
            found[name] = np.mean(arrays, axis=0, dtype=arrays[0].dtype)
        else:
            one_hot = name == "stack.0.weight_ih" and config.embedding_size is None
            found[name] = _blocks(arrays, config.hidden_size, one_hot)
    return found


def members_of(card: Mapping[str, Any]) -> int:
    """How many models a model with this training card is."""
    settings = card.get("settings")
    members = settings.get("members") if isinstance(settings, Mapping) else None
    return members if isinstance(members, int) and members > 1 else 1


def blocks(config: ModelConfig, parameters: Mapping[str, Array], members: int) -> dict[str, Array]:
    """Of each map of a joined model, whose shape is ``config``, what is a member's and no zero beside the
    blocks; nothing of a model that is but one, or cannot be so many."""
    if members == 1 or any(size % members for size in (config.hidden_size, config.embedding_size or 0)):
        return {}
    found = {}
    for name, array in parameters.items():
        one_hot = name == "stack.0.weight_ih" and config.embedding_size is None
        if name.startswith("stack.") and array.ndim == 2 and not one_hot:
            rows, columns = (size // members for size in array.shape)
            found[name] = _blocks(
                [np.ones((rows, columns), bool)] * members, config.hidden_size // members, False
            )
    return found


def join_scales(config: ModelConfig, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The usual size of each row's gradient in the joined model, from those of the members' rows.

    A member has 1/K of the say, so a gradient that goes through it is 1/K as large; rows that all members
    share (a symbol's vector, the head's) have the mean."""
    count, found = len(parts), {}
    for name in parts[0]:
        rows = [part[name] / part[name].dtype.type(count) for part in parts]
        shared = name in ("embedding.weight", "head.weight", "head.bias", TABLE)
        found[name] = (
            np.mean(rows, axis=0, dtype=rows[0].dtype) if shared else _blocks(rows, config.hidden_size, False)
        )
    return found


def _blocks(arrays: Sequence[Array], hidden_size: int, shared_columns: bool) -> Array:
    """Vectors [G] or maps [G,C] of the members as one [K*G] or [K*G, K*C], gate by gate."""
    first, count = arrays[0], len(arrays)
    gates, columns = len(first) // hidden_size, first.shape[1:]
    wide = columns if shared_columns or not columns else (count * columns[0],)
    joined = np.zeros((gates, count, hidden_size, *wide), first.dtype)
    for place, array in enumerate(arrays):
        block = array.reshape(gates, hidden_size, *columns)
        if wide == columns:
            joined[:, place] = block
        else:
            joined[:, place, :, place * columns[0] : (place + 1) * columns[0]] = block
    return joined.reshape(gates * count * hidden_size, *wide)
