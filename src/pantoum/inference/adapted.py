"""What commands ask of adapting: an adapter for texts, or a copy of the model that learned from a prompt."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

import numpy as np

from pantoum.errors import SettingError
from pantoum.inference.adapt import Adapter
from pantoum.inference.files.apart import require_apart, require_place
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.text.prompt import encode_prompt, space_held

__all__ = ["adapted_to", "adapter_of", "require_out"]


def adapter_of(
    model: LoadedModel,
    adapt: bool,
    model_out: str | os.PathLike[str] | None,
    texts: Iterable[str | os.PathLike[str] | None] = (),
) -> Adapter | None:
    """The adapter that ``--adapt`` asks for; a ``--model-out`` that cannot be is refused before any work.
    ``texts``: those that are read."""
    require_out(model, adapt, model_out, texts)
    return Adapter(model) if adapt else None


def require_out(
    model: LoadedModel,
    adapt: bool,
    model_out: str | os.PathLike[str] | None,
    texts: Iterable[str | os.PathLike[str] | None] = (),
) -> None:
    """Raise ``SettingError`` if ``--model-out`` has nothing to save, or no place for it."""
    if model_out is not None:
        if not adapt:
            raise SettingError(
                "model_out",
                os.fspath(model_out),
                "keeps a model that has adapted",
                "give --adapt too, or leave it out",
            )
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
    state of the copy. If it is saved in ``model_out``, the copy is the model of that file."""
    ids_T, _ = encode_prompt(model.tokenizer, space_held(model.tokenizer, text, state.pending)[0])
    before = [] if state.last_token is None else [state.last_token]
    text_BT = np.concatenate([np.array(before, np.int64), ids_T.astype(np.int64)])[None]
    adapter = Adapter(model, state=state.for_model(model))
    inputs_BT = text_BT[:, :-1]
    adapter.read(inputs_BT, text_BT[:, 1:], None if model.eos is None else inputs_BT == model.eos)
    copy = adapter.adapted() if model_out is None else adapter.write(model_out, [{"name": "a prompt"}])
    return copy, dataclasses.replace(state, model_sha256=copy.sha256)
