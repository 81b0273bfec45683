"""An ensemble and its members: K models of one shape as one model of K members, and the reverse.

The mean of logits is, up to a constant, the logarithm of the geometric mean of the members' probabilities
(Hansen and Salamon 1990). Members are trained each by itself. As one model they keep the parameters that
``network.spec`` declares for a member; their heads become one over all of their outputs side by side, divided
by K, which averages the logits; what all members share (the bias of the head, tables of logits) is one mean.
A head that shares the weights of the embedding stays tied, unless its width differs: then it is written out,
with its projection multiplied in.

Shapes: K members, H units, V symbols, R rows of a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pantoum.config import ModelConfig
from pantoum.kernels import Array
from pantoum.network.network_state import NetworkState
from pantoum.network.spec import declared, named, own_arrays, prefix


def joined_config(config: ModelConfig, members: int) -> ModelConfig:
    """The shape of so many models of this shape as one model."""
    tied = config.tied and (members == 1 or config.embedding_size == config.hidden_size)
    return replace(config, members=members, tied=tied) if members > 1 else config


def join(config: ModelConfig, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The parameters of one model from those of its members, which have the shape ``config``."""
    if len(parts) == 1:
        return dict(parts[0])
    whole = joined_config(config, len(parts))
    found = _side_by_side(whole, parts)
    for name in named(whole, "output"):
        heads = [_head(config, own) for own in parts]
        found[name] = np.concatenate(heads, axis=1) / heads[0].dtype.type(len(parts))
    for name in _means(whole):
        each = [own[name] for own in parts]
        found[name] = np.mean(each, axis=0, dtype=each[0].dtype)
    return found


def part(config: ModelConfig, parameters: Mapping[str, Array]) -> list[dict[str, Array]]:
    """The parameters of each member of a model of the shape ``config``: the inverse of ``join``, but for the
    means."""
    if config.members == 1:
        return [dict(parameters)]
    found: list[dict[str, Array]] = [{} for _ in range(config.members)]
    for name, each in declared(config, 1).items():
        if each.member is not None:
            found[each.member][name[len(prefix(config, each.member)) :]] = parameters[name]
        elif each.role == "output":
            head_VH = parameters[name] * parameters[name].dtype.type(config.members)
            for own, own_VH in zip(found, np.split(head_VH, config.members, axis=1), strict=True):
                own[name] = np.ascontiguousarray(own_VH)
        else:
            for own in found:
                own[name] = parameters[name]
    return found


def join_scales(config: ModelConfig, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The usual sizes of gradients (``training.update.learner``) of a model from those of its members.

    A member has 1/K of the say, so a gradient that goes through it is 1/K as large. Rows of which there is
    one for all members, those of the head among them, have the mean of the members' sizes, also divided by
    K."""
    if len(parts) == 1:
        return dict(parts[0])
    whole = joined_config(config, len(parts))
    shares = [{name: R / R.dtype.type(len(parts)) for name, R in own.items()} for own in parts]
    found = _side_by_side(whole, shares)
    head = named(config, "input" if config.tied else "output")[0]
    sources = {**dict.fromkeys(named(whole, "output"), head), **{name: name for name in _means(whole)}}
    for name, source in sources.items():
        rows = [own[source] for own in shares]
        found[name] = np.mean(rows, axis=0, dtype=rows[0].dtype)
    return found


def join_states(config: ModelConfig, parts: Sequence[NetworkState]) -> NetworkState:
    """The state of one model from the states of its members. What stands after the layers (the last tokens)
    is the same for all."""
    each = own_arrays(config)
    layers = [array for own in parts for array in own.arrays[:each]]
    return NetworkState((*layers, *parts[0].arrays[each:]))


def part_states(config: ModelConfig, state: NetworkState, members: int) -> list[NetworkState]:
    """The inverse of ``join_states``."""
    each, arrays = own_arrays(config), state.arrays
    shared = arrays[members * each :]
    return [NetworkState((*arrays[place * each : (place + 1) * each], *shared)) for place in range(members)]


def _side_by_side(whole: ModelConfig, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """What each member keeps."""
    return {
        name: parts[each.member][name[len(prefix(whole, each.member)) :]]
        for name, each in declared(whole, 1).items()
        if each.member is not None
    }


def _means(whole: ModelConfig) -> list[str]:
    """The names of the parameters of which all members have one, that is a mean."""
    shared = declared(whole, 1).values()
    return [each.name for each in shared if each.member is None and each.role in ("vector", "table")]


def _head(config: ModelConfig, own: Mapping[str, Array]) -> Array:
    """A member's head [V,H]; of a tied one the embedding, with its projection multiplied in."""
    if not config.tied:
        return own[named(config, "output")[0]]
    embedding_VE = own[named(config, "input")[0]]
    for name, each in declared(config, 1).items():
        if each.role == "map" and each.member is None:  # the projection
            wide_VH = embedding_VE.astype(np.float64) @ own[name].astype(np.float64)
            return wide_VH.astype(embedding_VE.dtype)
    return embedding_VE
