"""The reader of prompts: of one, or of several side by side, a chunk at a time, so that whoever reads them
decides how long each turn takes.

A ``Reading`` is a state, the tokens that follow it, and what is wanted on the way: only the state afterwards,
the nats of each token, the most probable tokens in the place of each, or a summary of the last layer's
outputs. ``advance`` lets several readings of one model go on by some tokens in one call of the network. With
the native core neither the neighbours nor the size of the chunks change a bit of any result.

The last token stays unread, as in a session (``inference.session``). With documents the state is zeroed
before ``<eos>`` is read.

Shapes: B readings, T tokens of a chunk, V symbols, H units, K alternatives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.inference.writing.adjusted import Drawn, log_probabilities, most_probable
from pantoum.kernels import Array
from pantoum.network.checks import require_finite
from pantoum.network.network_state import NetworkState

CHUNK = 1024
"""Tokens that one reading has read at once where nobody waits for a turn."""
LOGITS = 1 << 19
"""Logits that are held at once where alternatives are wanted."""


class Reading:
    """Some tokens that a state reads. ``alternatives``: record each token's nats, with so many tokens in its
    place. ``hidden``: the mean of the last layer's outputs, the last token's too; there is no state
    afterwards. ``rows``: takes the last layer's outputs [T,H] of all tokens that are read. ``resets_V``: the
    tokens before which the state is zeroed, where it is not the model's border alone. ``held``: what is
    pending after the tokens, where these do not say it (``text.prompt.space_held``).
    """

    def __init__(
        self,
        model: LoadedModel,
        state: State | None,
        tokens_T: Array,
        *,
        alternatives: int | None = None,
        hidden: bool = False,
        rows: list[Array] | None = None,
        resets_V: NDArray[np.bool_] | None = None,
        held: bytes | None = None,
    ) -> None:
        self.model, self.tokens_T, self._held = model, tokens_T, held
        if state is None:
            last, self._seen, self._pending = model.eos, 0, b""
            self.network = model.program.initial_state(1)
        else:
            last, self._seen, self._pending = state.last_token, state.tokens_seen, state.pending
            self.network = state.for_model(model)
        first = [] if last is None else [last]
        self._inputs = np.concatenate([np.array(first, np.int64), tokens_T.astype(np.int64)])
        self._at = 0
        self._end = len(self._inputs) if hidden else max(0, len(self._inputs) - 1)
        self.alternatives = alternatives
        self.drawn: list[Drawn | None] = []
        """Each token as the model saw it come; ``None`` for a first one that nothing stands before."""
        if alternatives is not None and not first and len(tokens_T):
            self.drawn.append(None)
        self.hidden = hidden
        self._rows = rows
        self._sum_H: Array = np.zeros(model.program.model.hidden_size)
        self.last_H: Array | None = None
        """The last layer's output after the last token."""
        self._resets_V = model.resets(np.arange(model.vocab_size)) if resets_V is None else resets_V
        if self._resets_V is not None and alternatives is None and not hidden and rows is None:
            # The state is zeroed at a border, so nothing before the last one has any influence.
            borders = np.flatnonzero(self._resets_V[self._inputs[: self._end]])
            self._at = int(borders[-1]) if borders.size else 0

    @property
    def left(self) -> int:
        """Tokens that the network has not read yet."""
        return self._end - self._at

    @property
    def mean_H(self) -> Array:
        """The mean of the last layer's outputs over all tokens that were read."""
        mean_H: Array = self._sum_H / max(1, self._at)
        return mean_H

    @property
    def kind(self) -> str:
        """What is wanted; readings of one kind go through the network together."""
        if self.hidden:
            return "hidden"
        if self.alternatives is None:
            return "state"
        return "logits" if self.alternatives else "nats"

    @property
    def state(self) -> State:
        """Where the stream stands when all is read."""
        assert self.left == 0 and not self.hidden
        last = int(self._inputs[-1]) if len(self._inputs) else None
        pending = self._held
        if pending is None:
            pending = _undecoded(self.model, self.tokens_T, self._pending)
        return State.of(self.model, self.network, last, self._seen + len(self.tokens_T), pending)

    def next(self, count: int) -> NDArray[np.int64]:
        """The next inputs, ``count`` at most."""
        return self._inputs[self._at : min(self._at + count, self._end)]

    def targets(self, count: int) -> NDArray[np.int64]:
        """The tokens that follow them."""
        return self._inputs[self._at + 1 : min(self._at + count, self._end) + 1]

    def resets(self, count: int) -> NDArray[np.bool_] | None:
        """Whether the state is zeroed before each of the next inputs; ``None``: nowhere."""
        return None if self._resets_V is None else self._resets_V[self.next(count)]

    def took(self, count: int, network: NetworkState) -> None:
        """The network has read so many."""
        self._at += count
        self.network = network

    def summarise(self, hidden_TH: Array) -> None:
        """The last layer's outputs of the next inputs."""
        if self._rows is not None:
            self._rows.append(np.array(hidden_TH, np.float32))
        if self.hidden:
            self._sum_H += hidden_TH.sum(axis=0, dtype=np.float64)
            self.last_H = hidden_TH[-1].copy()


@np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
def advance(readings: Sequence[Reading], tokens: int) -> int:
    """Let readings of one model and kind go on by about ``tokens`` tokens in all, at least one each; how many
    were read."""
    model, kind = readings[0].model, readings[0].kind
    B, program = len(readings), model.program
    if kind == "logits":
        tokens = min(tokens, max(1, LOGITS // model.vocab_size))
    T = max(1, min(tokens // B, max(reading.left for reading in readings)))
    lengths_B = np.array([min(T, reading.left) for reading in readings])
    inputs_BT = _padded([reading.next(T) for reading in readings], T)
    reset_BT = _resets(readings, inputs_BT)
    state = NetworkState.joined([reading.network for reading in readings])
    lengths = None if (lengths_B == T).all() else lengths_B
    if kind == "nats":
        targets_BT = _padded([reading.targets(T) for reading in readings], T)
        nats_BT, _, state = program.losses(
            inputs_BT, targets_BT, state, reset_BT=reset_BT, lengths=lengths, predict=False
        )
        require_finite([nats_BT])
        for reading, nats_T, target_T in zip(readings, nats_BT, targets_BT, strict=True):
            count = min(T, reading.left)
            pairs = zip(target_T[:count].tolist(), (-nats_T[:count]).tolist(), strict=True)
            reading.drawn += [Drawn(token, given) for token, given in pairs]
    elif kind == "logits":
        logits_BTV, state = program.logits(inputs_BT, state, reset_BT=reset_BT, lengths=lengths)
        for reading, logits_TV in zip(readings, logits_BTV, strict=True):
            targets = reading.targets(T).tolist()
            own_TV = log_probabilities(logits_TV[: len(targets)])
            require_finite([own_TV])
            reading.drawn += [
                Drawn(token, nats, top)
                for token, nats, top in zip(
                    targets,
                    own_TV[np.arange(len(targets)), targets].tolist(),
                    most_probable(own_TV, reading.alternatives or 0),
                    strict=True,
                )
            ]
    else:
        hidden_BTH, state = program.hidden(inputs_BT, state, reset_BT=reset_BT, lengths=lengths)
        require_finite([hidden_BTH, *state.arrays])
        for reading, hidden_TH, count in zip(readings, hidden_BTH, lengths_B.tolist(), strict=True):
            if count:
                reading.summarise(hidden_TH[:count])
    for row, (reading, count) in enumerate(zip(readings, lengths_B.tolist(), strict=True)):
        reading.took(count, state.select([row]))
    return int(lengths_B.sum())


def read_all(reading: Reading) -> None:
    """Let one reading go on to its end."""
    while reading.left:
        advance([reading], CHUNK)


def _padded(parts: Sequence[NDArray[np.int64]], T: int) -> NDArray[np.int64]:
    padded_BT = np.zeros((len(parts), T), np.int64)
    for row_T, part in zip(padded_BT, parts, strict=True):
        row_T[: len(part)] = part
    return padded_BT


def _resets(readings: Sequence[Reading], inputs_BT: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    rows = [reading.resets(inputs_BT.shape[1]) for reading in readings]
    if all(row_T is None for row_T in rows):
        return None
    reset_BT = np.zeros(inputs_BT.shape, bool)
    for into_T, row_T in zip(reset_BT, rows, strict=True):
        if row_T is not None:
            into_T[: len(row_T)] = row_T
    return reset_BT


def _undecoded(model: LoadedModel, tokens_T: Array, pending: bytes) -> bytes:
    """The bytes at the end that do not make a whole character; four tokens back is far enough."""
    decoder = model.tokenizer.decoder(pending=pending if len(tokens_T) < 4 else b"")
    for token in tokens_T[-4:].tolist():
        decoder.push(token)
    return decoder.pending
