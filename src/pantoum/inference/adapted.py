"""What commands ask of adapting: an adapter for texts, a copy of the model that learned from a prompt, and
the file that an adapted model is saved in."""

from __future__ import annotations

import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pantoum.config import require
from pantoum.config.plain import Plain
from pantoum.config.rules import require_apart, require_place
from pantoum.data import prepared_file
from pantoum.errors import FormatError, StorageError
from pantoum.inference.adapt import Adapter
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.kernels import Array, without_core
from pantoum.kernels.native.context_tables import exp_of
from pantoum.network.head import BIAS
from pantoum.network.mixers.contexts import MOST_SYMBOLS, ContextMixer
from pantoum.text.prompt import encode_prompt, space_held

MOST_PRIMED = 1 << 21
"""Tokens of the training text that counted contexts read first, those of its end."""
MIXED = 1 << 18
"""Those of its end from which it also learns how to mix contexts, in three times the time."""
PRIMED_SLOT_BITS = 24
"""160 MB of slots and runs: a megabyte of text fills them."""
EVERY = 300.0
"""Seconds between two saves of an adapted model."""


def adapter_of(
    model: LoadedModel,
    adapt: bool,
    model_out: str | os.PathLike[str] | None,
    texts: Iterable[str | os.PathLike[str] | None] = (),
) -> Adapter | None:
    """The adapter that ``--adapt`` asks for; a ``--model-out`` that cannot be is refused before any work.
    ``texts``: those that are read."""
    require_out(model, adapt, model_out, texts)
    return Adapter(model, contexts=contexts_beside(model)) if adapt else None


def contexts_beside(model: LoadedModel) -> ContextMixer | None:
    """Counted contexts that read along with an adapter. They have read the training text, where the model
    lies in the folder of its run: a model file holds no text. ``None``: for words, where they gain less than
    they cost, and without the core."""
    if model.vocab_size > MOST_SYMBOLS or without_core() is not None:
        return None
    texts = [model.tokenizer.decode_bytes([number]) for number in range(model.vocab_size)]
    tokens_T = _training_tokens(model)
    if tokens_T is not None:
        counts_V = np.bincount(tokens_T, minlength=model.vocab_size)
    else:  # about as often as the head finds them before it knows anything
        bias_V = model.network.parameters[BIAS].astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # reading reports what is not finite
            below_V = np.nan_to_num(bias_V - np.max(bias_V), nan=-12.0, neginf=-12.0)
        counts_V = (exp_of(np.maximum(below_V, np.float32(-12))) * np.float32(1 << 20)).astype(np.int64)
    if tokens_T is None:
        contexts = ContextMixer(texts, counts_V)
    else:
        contexts = ContextMixer(texts, counts_V, slot_bits=PRIMED_SLOT_BITS)
        resets_T = None if model.eos is None else np.roll(tokens_T == model.eos, 1)
        for part, learn in ((np.s_[:-MIXED], contexts.count), (np.s_[-MIXED:], contexts.read)):
            learn(tokens_T[part], resets_T=None if resets_T is None else resets_T[part])
        contexts.remember_from_here()
    contexts.join(2)  # the copy and the model itself
    return contexts


def _training_tokens(model: LoadedModel) -> NDArray[np.int64] | None:
    """The end of the text that the model was trained on, if it lies beside it."""
    if model.path is None:
        return None
    try:
        train = prepared_file.opened(model.path.parent / "data")[0].train
        if train.tokenizer_fingerprint != prepared_file.tokenizer_fingerprint(model.tokenizer):
            return None
        return train.read(train.count - MOST_PRIMED, train.count).astype(np.int64)
    except FormatError:
        return None


def require_out(
    model: LoadedModel,
    adapt: bool,
    model_out: str | os.PathLike[str] | None,
    texts: Iterable[str | os.PathLike[str] | None] = (),
) -> None:
    """Raise ``SettingError`` if ``--model-out`` has nothing to save, or no place for it."""
    if model_out is not None:
        rule, advice = "saves an adapted model", "give --adapt too, or leave it out"
        require(adapt, "model_out", os.fspath(model_out), rule, advice)
        require_apart("model_out", model_out, "the model itself", [model.path])
        require_apart("model_out", model_out, "a text that is read", texts)
        require_place("model_out", model_out)


def adapted_to(
    model: LoadedModel,
    text: str,
    state: State,
    model_out: str | os.PathLike[str] | None = None,
) -> tuple[LoadedModel, State]:
    """A copy of the model that has learned from a text that continues from ``state``, and that state as a
    state of the copy. If it is saved in ``model_out``, the copy is the model of that file, and adapts without
    contexts, which no model file holds."""
    ids_T, _ = encode_prompt(model.tokenizer, space_held(model.tokenizer, text, state.pending)[0])
    before = [] if state.last_token is None else [state.last_token]
    text_BT = np.concatenate([np.array(before, np.int64), ids_T.astype(np.int64)])[None]
    inputs_BT = text_BT[:, :-1]
    contexts = contexts_beside(model) if model_out is None and inputs_BT.size else None
    adapter = Adapter(model, state=state.for_model(model), contexts=contexts)
    adapter.read(inputs_BT, text_BT[:, 1:], model.resets(inputs_BT))
    copy = adapter.adapted() if model_out is None else adapter.write(model_out, [{"name": "a prompt"}])
    return copy, as_state_of(copy, state, text_BT[0, :0])


def as_state_of(copy: LoadedModel, state: State, read_T: Array) -> State:
    """A state of a model as one of a copy that has adapted. Contexts, which a state of the model itself does
    not know of, see these tokens, the last that were read."""
    added = copy.program.initial_state(1).arrays[len(state.layers) :]
    for recent_1K in added:
        known_T = read_T[:-1][-recent_1K.shape[1] :]  # the last one is read next
        recent_1K[0, recent_1K.shape[1] - len(known_T) :] = known_T + 1
    return dataclasses.replace(state, layers=(*state.layers, *added), model_sha256=copy.sha256)


class SavedMeanwhile:
    """The file that an adapted model is saved in: at the end of the text, and meanwhile every few minutes.

    A monitor may run for months and end by a power cut. What it loses then is what came after the last save.
    Saving changes nothing that is read later: a chunk that is not complete is learned from at the end
    only."""

    def __init__(
        self,
        adapter: Adapter,
        path: str | Path,
        texts: Sequence[Mapping[str, Plain]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``texts``: what the adapter reads, for the card."""
        self._adapter, self._path, self._texts, self._clock = adapter, Path(path), texts, clock
        self._saved, self._at = adapter.tokens, clock()

    def meanwhile(self) -> None:
        """Save if it is time and there is something new. A full disk ends no monitor: it is said."""
        if self._clock() - self._at < EVERY or self._adapter.tokens == self._saved:
            return
        try:
            self._adapter.write(self._path, self._texts, ended=False)
        except StorageError as error:
            warnings.warn(f"the adapted model was not saved: {error}", UserWarning, stacklevel=2)
        self._saved, self._at = self._adapter.tokens, self._clock()

    def end(self) -> None:
        """Save at the end of the text."""
        self._adapter.write(self._path, self._texts)
