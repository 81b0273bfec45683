"""All that a session knows of its past, as a value: a few kilobytes that can be kept, sent and gone on with.

A ``State`` never changes. It holds the layers' states, the last token (which the network has not read yet),
how many tokens were seen, and the bytes of a character that is not complete. No sampling settings are in
it, and no text but the few tokens that a model with n-grams keeps. Its bytes (``formats.state_file``) have
one size for a given model and carry the model's hash: another model's state is refused when a session begins
with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import StateError
from pantoum.formats import state_file
from pantoum.network import state as network_state

if TYPE_CHECKING:
    from pantoum.inference.loaded_model import LoadedModel

__all__ = ["State"]


@dataclass(frozen=True, eq=False)
class State:
    """Where a session stands. Compare with ``==``; write with ``write`` or ``bytes(state)``."""

    layers: tuple[NDArray[np.float32], ...]
    """Each layer's state of one stream, as arrays ``[1, H]`` (an LSTM's are two); last the n-grams'
    ``[1, K]``."""
    last_token: int | None
    """The token that was seen last and is read by the network next; ``None`` before the first."""
    tokens_seen: int
    """Tokens fed or written so far: the position of the next random draw."""
    pending: bytes
    """Bytes of the last tokens that do not make a whole character yet."""
    model_sha256: str
    """The model file that it belongs to."""

    def __post_init__(self) -> None:
        for array in self.layers:
            array.flags.writeable = False

    @staticmethod
    def start(model: LoadedModel) -> State:
        """The state of a new session: zero; with documents, at a document's beginning."""
        return State.of(model, model.network.initial_state(1), model.eos, 0, b"")

    @staticmethod
    def of(
        model: LoadedModel, layers: Any, last_token: int | None, tokens_seen: int, pending: bytes
    ) -> State:
        """The value of a network's state (of one row), with its own copy of the arrays."""
        copies = tuple(np.array(array, np.float32) for array in network_state.to_arrays(layers))
        return State(copies, last_token, tokens_seen, pending, model.sha256)

    def layers_for(self, model: LoadedModel) -> Any:
        """The network's own form of the layers, freshly copied; refuses another model's state."""
        if self.model_sha256 != model.sha256:
            raise StateError(
                f"the state belongs to the model with SHA-256 {self.model_sha256[:12] or 'none'}..., "
                f"not to this one ({model.sha256[:12] or 'none'}...): a state must be used with the "
                f"model that made it; load that model, or start without a state"
            )
        template = model.network.initial_state(1)
        expected = [array.shape for array in network_state.to_arrays(template)]
        found = [array.shape for array in self.layers]
        last = self.last_token
        if found != expected or (last is not None and not 0 <= last < model.network.vocab_size):
            raise StateError(
                f"the state's layers are {found}, last token {last}: this model needs {expected} "
                f"and a token below {model.network.vocab_size}; start without a state"
            )
        return network_state.from_arrays(template, [array.copy() for array in self.layers])

    def __bytes__(self) -> bytes:
        return state_file.to_bytes(self._record())

    def __eq__(self, other: object) -> bool:
        return bytes(self) == bytes(other) if isinstance(other, State) else NotImplemented

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        return f"<State after {self.tokens_seen} tokens, {len(bytes(self))} bytes>"

    @staticmethod
    def from_bytes(data: bytes) -> State:
        """The inverse of ``bytes(state)``; damaged bytes are refused."""
        return State._of_record(state_file.from_bytes(data))

    def write(self, path: str | Path) -> None:
        """Keep the state in a file, by a temporary file and a rename."""
        state_file.write(path, self._record())

    @staticmethod
    def read(path: str | Path) -> State:
        """A state from its file."""
        return State._of_record(state_file.read(path))

    @staticmethod
    def _of_record(record: state_file.StateRecord) -> State:
        layers = tuple(array.reshape(1, -1) for array in record.layers)
        return State(layers, record.last_token, record.tokens_seen, record.pending, record.model_sha256)

    def _record(self) -> state_file.StateRecord:
        flat = [array.reshape(-1) for array in self.layers]
        return state_file.StateRecord(
            flat, self.last_token, self.tokens_seen, self.pending, self.model_sha256
        )
