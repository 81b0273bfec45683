"""The probabilities of many short texts, each read by itself, those of similar length side by side.

Shapes: B sentences, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pantoum.inference.finite import require_finite
from pantoum.inference.loaded_model import LoadedModel
from pantoum.kernels import Array

__all__ = ["sentence_nats"]

TOKENS_AT_ONCE = 1 << 14


@np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
def sentence_nats(model: LoadedModel, tokens: Sequence[Array]) -> Array:
    """The nats of each sentence, after the border of documents or a line break."""
    program, found = model.program, np.zeros(len(tokens))
    order = sorted(range(len(tokens)), key=lambda number: -len(tokens[number]))
    place = 0
    while place < len(order):
        T = max(1, len(tokens[order[place]]))
        rows = order[place : place + max(1, TOKENS_AT_ONCE // T)]
        place += len(rows)
        lengths = np.array([len(tokens[row]) for row in rows])
        targets_BT = np.zeros((len(rows), T), np.int64)
        for line, row in enumerate(rows):
            targets_BT[line, : lengths[line]] = tokens[row]
        inputs_BT = np.concatenate([np.full((len(rows), 1), model.border), targets_BT[:, :-1]], axis=1)
        state = program.initial_state(len(rows))
        nats_BT, _, _ = program.losses(inputs_BT, targets_BT, state, lengths=lengths, predict=False)
        require_finite([nats_BT])
        found[rows] = nats_BT.sum(axis=1, dtype=np.float64)
    return found
