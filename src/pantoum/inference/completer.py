"""Words for a text that a person types: what was read of it is not read again, and it may be learned from.

A text that goes on from the one before is the same text, and so is one of which less than half was taken
back. When another one begins, the copy of the model that ``adapt`` asks for learns from the one that is
finished.
"""

from __future__ import annotations

from pantoum.config import CompleteConfig
from pantoum.inference.adapted import adapted_to, require_out
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.next_word import Suggestion, begun_word
from pantoum.inference.session import Session
from pantoum.inference.state import State

__all__ = ["Completer"]


class Completer:
    """Suggests words after one text or another."""

    def __init__(self, model: LoadedModel, config: CompleteConfig) -> None:
        require_out(model, config.adapt, config.model_out)
        self._model, self._config = model, config
        self._session, self._read, self._typed = Session(model), "", ""

    def words(self, typed: str) -> list[Suggestion]:
        """The most probable words after a text, or for the word that it ends within."""
        taken_back = self._typed.startswith(typed) and 2 * len(typed) >= len(self._typed)
        if not (typed.startswith(self._typed) or taken_back):
            self._learn()
        before, begun = begun_word(typed)
        if not before.startswith(self._read):
            self._session.rewind(State.start(self._model))
            self._read = ""
        self._session.feed(before[len(self._read) :])
        self._read, self._typed = before, typed
        return self._session.suggest(self._config.count, begun=begun)

    def finish(self) -> None:
        """No more is typed."""
        self._learn()
        if self._config.model_out is not None:
            adapted_to(self._model, "", State.start(self._model), self._config.model_out)

    def _learn(self) -> None:
        """The text is finished."""
        if self._config.adapt and self._typed:
            text = self._typed + "\n" * (self._model.tokenizer.documents == "lines")
            self._model, _ = adapted_to(self._model, text, State.start(self._model))
            self._session, self._read = Session(self._model), ""
        self._typed = ""
