"""An ensemble and its members: K models of one shape as one model of K members, and the reverse.

The mean of logits is, up to a constant, the logarithm of the geometric mean of the members' probabilities
(Hansen and Salamon 1990). Members are trained each by itself. As one model they keep their embeddings and
stacks under ``members.0.``, ``members.1.``, ...; their heads become one over all of their outputs side by
side, divided by K, which averages the logits; what all members share (the bias of the head, tables of logits)
is one mean. A head that shares the weights of the embedding stays tied (``network.tied``), unless its width
differs: then it is written out, with its projection multiplied in.

Shapes: K members, H units, V symbols, R rows of a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pantoum.config import ModelConfig
from pantoum.kernels import Array
from pantoum.network.member import EMBEDDING, prefix
from pantoum.network.parameters import under
from pantoum.network.state import NetworkState

__all__ = ["PROJECTION", "join", "join_scales", "join_states", "joined_config", "part", "part_states"]

OWN = ("embedding.", "stack.")
"""Beginnings of the names of parameters that each member keeps."""
HEAD, BIAS, PROJECTION = "head.weight", "head.bias", "head.projection.weight"


def joined_config(config: ModelConfig, members: int) -> ModelConfig:
    """The shape of so many models of this shape as one model."""
    tied = config.tied and (members == 1 or config.embedding_size == config.hidden_size)
    return replace(config, members=members, tied=tied) if members > 1 else config


def join(config: ModelConfig, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The parameters of one model from those of its members, which have the shape ``config``."""
    if len(parts) == 1:
        return dict(parts[0])
    whole, kind = joined_config(config, len(parts)), parts[0][BIAS].dtype.type
    found = {
        prefix(whole, place) + name: array
        for place, own in enumerate(parts)
        for name, array in own.items()
        if name.startswith(OWN)
    }
    if not whole.tied:
        found[HEAD] = np.concatenate([_head(own) for own in parts], axis=1) / kind(len(parts))
    for name in _shared(parts[0]):
        found[name] = np.mean([own[name] for own in parts], axis=0, dtype=kind)
    return found


def part(config: ModelConfig, parameters: Mapping[str, Array]) -> list[dict[str, Array]]:
    """The parameters of each member of a model of the shape ``config``: the inverse of ``join``, but for the
    means."""
    if config.members == 1:
        return [dict(parameters)]
    own = tuple(prefix(config, place) for place in range(config.members))
    shared = {name: parameters[name] for name in _shared(parameters) if not name.startswith(own)}
    if config.tied:
        return [{**under(name, parameters), **shared} for name in own]
    head_VH, kind = parameters[HEAD], parameters[HEAD].dtype.type
    heads = np.split(head_VH * kind(config.members), config.members, axis=1)
    return [
        {**under(name, parameters), HEAD: np.ascontiguousarray(head), **shared}
        for name, head in zip(own, heads, strict=True)
    ]


def join_scales(config: ModelConfig, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The usual sizes of gradients (``training.update.gradient_scale``) of a model from those of its members.

    A member has 1/K of the say, so a gradient that goes through it is 1/K as large. Rows of which there is
    one for all members, those of the head among them, have the mean of the members' sizes, also divided by
    K."""
    if len(parts) == 1:
        return dict(parts[0])
    whole, found = joined_config(config, len(parts)), dict[str, Array]()
    shares = [{name: R / R.dtype.type(len(parts)) for name, R in own.items()} for own in parts]
    for place, own in enumerate(shares):
        found |= {prefix(whole, place) + name: R for name, R in own.items() if name.startswith(OWN)}
    shared = _shared(shares[0])
    if not whole.tied:
        shares = [own if HEAD in own else {HEAD: own[EMBEDDING], **own} for own in shares]
        shared = [HEAD, *shared]
    for name in shared:
        rows = [own[name] for own in shares]
        found[name] = np.mean(rows, axis=0, dtype=rows[0].dtype)
    return found


def join_states(config: ModelConfig, parts: Sequence[NetworkState]) -> NetworkState:
    """The state of one model from the states of its members. What stands after the layers (the last tokens)
    is the same for all."""
    each = config.layer_arrays
    layers = [array for own in parts for array in own.arrays[:each]]
    return NetworkState((*layers, *parts[0].arrays[each:]))


def part_states(config: ModelConfig, state: NetworkState, members: int) -> list[NetworkState]:
    """The inverse of ``join_states``."""
    each, arrays = config.layer_arrays, state.arrays
    shared = arrays[members * each :]
    return [NetworkState((*arrays[place * each : (place + 1) * each], *shared)) for place in range(members)]


def _shared(parameters: Mapping[str, Array]) -> list[str]:
    """The names of the parameters of which all members have one."""
    return [name for name in parameters if not name.startswith((*OWN, HEAD, PROJECTION))]


def _head(own: Mapping[str, Array]) -> Array:
    """A member's head [V,H]; of a tied one the embedding, with its projection multiplied in."""
    if HEAD in own:
        return own[HEAD]
    if PROJECTION not in own:
        return own[EMBEDDING]
    wide_VH = own[EMBEDDING].astype(np.float64) @ own[PROJECTION].astype(np.float64)
    return wide_VH.astype(own[EMBEDDING].dtype)
