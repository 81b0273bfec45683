"""A head that shares the weights of the embedding: what its weight is, and where its gradient goes.

The tied head of one member is its embedding [V,E]. That of K members concatenates their embeddings,
divided by K, which averages their logits; it exists only while a program needs it.

Shapes: V symbols, E embedding, K members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pantoum.config import ModelConfig
from pantoum.kernels import Array, Workspace
from pantoum.network.gradient import Gradient, Gradients
from pantoum.network.member import EMBEDDING, prefix
from pantoum.network.packing import Weight, floats

__all__ = ["changed_rows", "tied_gradients", "tied_size", "tied_weight"]

HEAD = "head.weight"


def tied_size(config: ModelConfig) -> int | None:
    """The columns of a tied head; ``None``: it has a weight of its own."""
    return config.members * config.embedding_size if config.tied and config.embedding_size else None


def tied_weight(
    config: ModelConfig,
    weights: Mapping[str, Weight],
    workspace: Workspace | None = None,
    changed_U: Array | None = None,
) -> Array | None:
    """The weight of a tied head [V, K*E] from the parameters by name, of one member the very embedding;
    ``None``: the head has a weight of its own. With ``workspace`` its memory is used again; it may hold the
    weight already, but for the rows ``changed_U``."""
    if not config.tied:
        return None
    each = [floats(weights[prefix(config, place) + EMBEDDING]) for place in range(config.members)]
    if len(each) == 1:
        return each[0]
    (V, E), K, kind = each[0].shape, len(each), each[0].dtype.type
    found = (Workspace() if workspace is None else workspace).array("tied head", (V, K * E), kind)
    for place, embedding_VE in enumerate(each):
        columns = slice(place * E, (place + 1) * E)
        if changed_U is None:
            np.divide(embedding_VE, kind(K), out=found[:, columns])
        else:
            found[changed_U, columns] = embedding_VE[changed_U] / kind(K)
    return found


def changed_rows(config: ModelConfig, gradients: Gradients) -> Array | None:
    """The rows of the weight of the head that a step along these gradients changes; ``None``: all."""
    names = [prefix(config, place) + EMBEDDING for place in range(config.members)] if config.tied else [HEAD]
    rows = [gradients[name].rows_U for name in names]
    known = [rows_U for rows_U in rows if rows_U is not None]
    return np.unique(np.concatenate(known)) if len(known) == len(rows) else None


def tied_gradients(config: ModelConfig, head: Gradient) -> Gradients:
    """The part of the gradient of a tied head that each embedding gets, by the name of the embedding."""
    K = config.members
    if K == 1:
        return {EMBEDDING: head}
    each = np.split(head.values, K, axis=1)
    return {
        prefix(config, place) + EMBEDDING: replace(head, values=np.divide(values, values.dtype.type(K)))
        for place, values in enumerate(each)
    }
