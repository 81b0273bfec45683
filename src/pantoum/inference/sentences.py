"""The probabilities of many short texts, each read by itself.

What several texts begin with is read once, token by token: lists of hypotheses, as recognisers of speech make
them, and minimal pairs have much in common. As soon as no other text has the same beginning, the rest of a
text is read with the rests of others side by side.

Shapes: B sentences, T tokens, R rests of sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pantoum.inference.loaded_model import LoadedModel
from pantoum.kernels import Array, Workspace
from pantoum.network.checks import require_finite
from pantoum.network.network_state import NetworkState

__all__ = ["sentence_nats"]

TOKENS_AT_ONCE = 1 << 14


@np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
def sentence_nats(model: LoadedModel, tokens: Sequence[Array]) -> Array:
    """The nats of each sentence, after the border of documents or a line break."""
    found, workspace = np.zeros(len(tokens)), Workspace()
    order = sorted(range(len(tokens)), key=lambda number: tokens[number].tolist())
    ends = np.cumsum([len(tokens[number]) for number in order]) // TOKENS_AT_ONCE
    for rows in np.split(np.array(order, np.int64), np.flatnonzero(np.diff(ends)) + 1):
        lengths_B = np.array([len(tokens[row]) for row in rows])
        text_BT = np.full((len(rows), 1 + max([1, *lengths_B])), model.border, np.int64)
        for line, row in enumerate(rows):
            text_BT[line, 1 : 1 + lengths_B[line]] = tokens[row]
        found[rows] = _Reading(model, text_BT, lengths_B, workspace).nats_B
    return found


class _Reading:
    """Some sentences, sorted; ``text_BT`` begins with what stands before them."""

    def __init__(self, model: LoadedModel, text_BT: Array, lengths_B: Array, workspace: Workspace) -> None:
        self._model, self._workspace = model, workspace
        self._text_BT, self._lengths_B = text_BT, lengths_B
        self.nats_B = np.zeros(len(lengths_B))
        rests = [part for part in self._beginnings() if part[0].size]
        if rests:
            rows_R, steps_R = (np.concatenate([part[place] for part in rests]) for place in (0, 1))
            self._rests(rows_R, steps_R, NetworkState.joined([state for _, _, state in rests]))

    def _beginnings(self) -> Iterator[tuple[Array, Array, NetworkState]]:
        """Read what several sentences begin with; (sentences, steps, their states) of those that go on alone
        from this step."""
        state, rows = self._model.program.initial_state(1), np.flatnonzero(self._lengths_B)
        places = np.zeros(len(rows), np.int64)  # of each sentence in the state
        for step in range(self._text_BT.shape[1] - 1):
            going = self._lengths_B[rows] > step
            rows, places = rows[going], places[going]
            keys = places * self._model.vocab_size + self._text_BT[rows, step + 1]
            _, first, which, times = np.unique(
                keys, return_index=True, return_inverse=True, return_counts=True
            )
            shared = times > 1
            alone = ~shared[which]
            yield rows[alone], np.full(alone.sum(), step), state.select(places[alone])
            if not shared.any():
                return
            chosen = first[shared]
            text_B2 = self._text_BT[rows[chosen], step : step + 2]
            nats, state = self._losses(text_B2[:, :1], text_B2[:, 1:], state.select(places[chosen]))
            rows, places = rows[~alone], (np.cumsum(shared) - 1)[which[~alone]]
            self.nats_B[rows] += nats[places]

    def _rests(self, rows_R: Array, steps_R: Array, state: NetworkState) -> None:
        """Read these sentences from these steps on, those of similar length side by side."""
        lengths_R = self._lengths_B[rows_R] - steps_R
        order, place = np.argsort(-lengths_R, kind="stable"), 0
        while place < len(order):
            T = int(lengths_R[order[place]])
            some = order[place : place + max(1, TOKENS_AT_ONCE // T)]
            place += len(some)
            columns_RT = np.minimum(steps_R[some, None] + np.arange(T + 1), self._text_BT.shape[1] - 1)
            text_RT = self._text_BT[rows_R[some, None], columns_RT]
            nats, _ = self._losses(text_RT[:, :-1], text_RT[:, 1:], state.select(some), lengths_R[some])
            self.nats_B[rows_R[some]] += nats

    def _losses(
        self, inputs_BT: Array, targets_BT: Array, state: NetworkState, lengths: Array | None = None
    ) -> tuple[Array, NetworkState]:
        """(the nats of each row, the state after it)."""
        nats_BT, _, state = self._model.program.losses(
            inputs_BT,
            targets_BT,
            state,
            reset_BT=self._model.resets(inputs_BT),
            lengths=lengths,
            workspace=self._workspace,
            predict=False,
        )
        require_finite([nats_BT])
        return nats_BT.sum(axis=1, dtype=np.float64), state
