"""All that a session knows of its past, as a value: a few kilobytes that can be kept, sent and resumed from.

A ``State`` never changes, so a copy of it is itself. It holds the states of the layers, the last token (which
the network has not read yet), the number of tokens seen, and the bytes of an incomplete character. It has no
sampling settings, and no text but the few tokens that a model with n-grams keeps. Its bytes
(``formats.state_file``) have one size for a given model and carry the model's hash: a session refuses the
state of another model. A pickled state is its bytes, which are verified.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pantoum.config import path as checked_path
from pantoum.config import require, whole
from pantoum.config.calls import public
from pantoum.errors import SettingError, StateError
from pantoum.formats import state_file
from pantoum.formats.state_file import StateRecord
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network.network_state import NetworkState

LARGE = 1e6
"""Numbers in a state are rarely larger: one that has such numbers is tried before it is used."""


@dataclass(frozen=True, eq=False)
class State(StateRecord):
    """The state of a session, as in a state file. Compare with ``==``; write with ``write`` or
    ``bytes(state)``."""

    layers: tuple[NDArray[np.float32], ...]
    """Each layer's state of one stream, as arrays ``[1, H]`` (an LSTM's are two); last the n-grams'
    ``[1, K]``."""
    _known: tuple[LoadedModel, NetworkState] | None = field(default=None, init=False, repr=False)
    """The model in this process that made it, or that it was found to fit, and its form there."""

    def __post_init__(self) -> None:
        self._check()
        for array in self.layers:
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Callable[[bytes], State], tuple[bytes]]:
        return State.from_bytes, (bytes(self),)

    def __copy__(self) -> State:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> State:
        return self

    @staticmethod
    def required(value: object) -> State:
        """The state that a value is; anything else is refused."""
        if not isinstance(value, State):
            raise SettingError("state", value, "must be a State", "give session.state, or State.read(path)")
        return value

    def _check(self) -> None:
        """Refuse values that no state has; whether it fits a model is checked when it meets one."""
        layers, last, sha256 = self.layers, self.last_token, self.model_sha256
        arrays = isinstance(layers, tuple) and all(isinstance(array, np.ndarray) for array in layers)
        advice = "take a state from a session, or State.read(path)"
        fits = arrays and all(array.dtype == np.float32 and array.ndim == 2 for array in layers)
        require(fits, "layers", layers, "must be a tuple of float32 arrays [1,H]", advice)
        if last is not None:
            object.__setattr__(self, "last_token", whole(last, "last_token", least=0, most=2**32 - 2))
        seen = whole(self.tokens_seen, "tokens_seen", least=0, most=2**63 - 1)
        object.__setattr__(self, "tokens_seen", seen)
        require(isinstance(self.pending, bytes), "pending", self.pending, "must be bytes", advice)
        require(isinstance(sha256, str), "model_sha256", sha256, "must be a text", advice)

    @staticmethod
    def start(model: LoadedModel) -> State:
        """The state of a new session: zero; with documents, at a document's beginning."""
        return State.of(model, model.program.initial_state(1), model.eos, 0, b"")

    @staticmethod
    def of(
        model: LoadedModel, network: NetworkState, last_token: int | None, tokens_seen: int, pending: bytes
    ) -> State:
        """The value of a network's state (of one row), with its own copy of the arrays."""
        copies = tuple(np.array(array, np.float32) for array in network.arrays)
        state, own = State(copies, last_token, tokens_seen, pending, model.sha256), NetworkState(copies)
        if not _is_large(own):
            object.__setattr__(state, "_known", (model, own))
        return state

    def for_model(self, model: LoadedModel) -> NetworkState:
        """The network's own form of the layers, read-only; refuses another model's state. What this model
        made, or has met before, is not checked again."""
        if self._known is not None and self._known[0] is model:
            return self._known[1]
        if self.model_sha256 != model.sha256:
            raise StateError(
                f"the state belongs to the model with SHA-256 {self.model_sha256[:12] or 'none'}..., "
                f"not to this one ({model.sha256[:12] or 'none'}...): a state must be used with the "
                f"model that made it; load that model, or start without a state"
            )
        network = NetworkState(self.layers)
        expected = model.program.initial_state(1).shapes
        found = network.shapes
        last = self.last_token
        if found != expected or (last is not None and not 0 <= last < model.vocab_size):
            raise StateError(
                f"the state's layers are {found}, last token {last}: this model needs {expected} "
                f"and a token below {model.vocab_size}; a state with a cache needs a cache of the "
                "same size, and a state without one needs none; start without a state"
            )
        if _is_large(network):
            _require_readable(model, network, model.border if last is None else last)
        object.__setattr__(self, "_known", (model, network))
        return network

    def __bytes__(self) -> bytes:
        return state_file.to_bytes(self)

    def __eq__(self, other: object) -> bool:
        return bytes(self) == bytes(other) if isinstance(other, State) else NotImplemented

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        arrays = sum(4 + array.nbytes for array in self.layers)
        size = state_file.HEAD.size + arrays + state_file.DIGEST_SIZE
        return f"<State after {self.tokens_seen} tokens, {size} bytes>"

    @staticmethod
    @public
    def from_bytes(data: bytes) -> State:
        """The inverse of ``bytes(state)``; damaged bytes are refused."""
        fits = isinstance(data, (bytes, bytearray, memoryview))
        require(fits, "data", data, "must be the bytes of a state", "give bytes(state)")
        return State._of_record(state_file.from_bytes(bytes(data)))

    @public
    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, by a temporary file and a rename."""
        state_file.write(checked_path(path, "path"), self)

    @staticmethod
    @public
    def read(path: str | os.PathLike[str]) -> State:
        """A state from its file."""
        return State._of_record(state_file.read(checked_path(path, "path")))

    @staticmethod
    def _of_record(record: StateRecord) -> State:
        layers = tuple(array.reshape(1, -1) for array in record.layers)
        return State(layers, record.last_token, record.tokens_seen, record.pending, record.model_sha256)


def _is_large(network: NetworkState) -> bool:
    """Whether a number is so large that the state must be tried, or is not finite."""
    return not all(bool((np.abs(array) <= LARGE).all()) for array in network.arrays)


@np.errstate(over="ignore", invalid="ignore")
def _require_readable(model: LoadedModel, network: NetworkState, last: int) -> None:
    """Refuse a state from which the model's next scores are not finite. It is read together with others, in a
    batch for example, and would end them all."""
    logits_BV, after = model.program.last_logits(np.array([[last]]), network)
    if not (np.isfinite(logits_BV).all() and after.finite):
        raise StateError(
            "the state's numbers are so large that the model's scores after it are not finite: it is damaged "
            "or was changed; use another copy of it, or start without a state"
        )
