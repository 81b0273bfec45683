"""Words for a text that a person types: what was read of it is not read again, and it may be learned from.

A text that goes on from the one before is the same text; so is one of which less than half was taken back,
and one that has lost lines at its beginning, such as the last lines before the cursor of an editor. With
``adapt`` a copy of the model learns from each line that was typed, when the line, or its text, is finished.
What stands before the line in which a text first comes was not typed now, and is only read. Learning takes
longer than an answer, so that a program gives its answer first, and calls ``learn`` then.
"""

from __future__ import annotations

import numpy as np

from pantoum.config import CompleteConfig
from pantoum.inference.adapted import adapter_of, as_state_of
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.next_word import Suggestion, begun_word
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.text.prompt import encode_prompt

__all__ = ["Completer"]


class Completer:
    """Suggests words after one text or another."""

    def __init__(self, model: LoadedModel, config: CompleteConfig) -> None:
        self._adapter = adapter_of(model, config.adapt, config.model_out)
        self._config = config
        self._session, self._read, self._typed = Session(model), "", ""
        self._learned = 0
        """Where in the text the first line begins that was not learned from, or is due."""
        self._due: list[tuple[str, bool]] = []
        """What is to be learned from, and whether its text ends with it."""
        self._last_learned: int | None = None
        """The last token that the adapter has read of this text."""

    def words(self, typed: str) -> list[Suggestion]:
        """The most probable words after a text, or for the word that it ends within."""
        self.learn()
        self._follow(typed)
        before, begun = begun_word(typed)
        if not before.startswith(self._read):
            self._session.rewind(State.start(self._session.model))
            self._read = ""
        self._session.feed(before[len(self._read) :])
        self._read = before
        return self._session.suggest(self._config.count, begun=begun)

    def learn(self) -> None:
        """Learn from the lines that are finished."""
        due, self._due = self._due, []
        for text, ended in due:
            self._learn(text, ended=ended)

    def finish(self) -> None:
        """No more is typed."""
        self._due.append((self._typed[self._learned :], True))
        self.learn()
        if self._adapter is not None and self._config.model_out is not None:
            self._adapter.write(self._config.model_out, [{"name": "what was typed"}])

    def _follow(self, typed: str) -> None:
        """From the text before to this one."""
        former = self._typed
        gone = former.find(typed[: typed.find("\n") + 1]) if "\n" in typed else -1
        if gone > 0 and typed.startswith(former[gone:]) and not typed.startswith(former):
            former, self._read = former[gone:], self._read[gone:]
            self._learned = max(0, self._learned - gone)
        taken_back = former.startswith(typed) and 2 * len(typed) >= len(former)
        lines = typed.rfind("\n") + 1
        if not former or not (typed.startswith(former) or taken_back):
            self._due.append((former[self._learned :], True))
            self._learned = lines
        elif lines > self._learned:
            self._due.append((typed[self._learned : lines], False))
            self._learned = lines
        self._typed = typed

    def _learn(self, text: str, *, ended: bool) -> None:
        """Learn from a part of a text; ``ended``: its last one. Weights change with each whole chunk."""
        adapter, last = self._adapter, self._last_learned
        if ended:
            self._last_learned = None
        if adapter is None or not text:
            return
        ids_T, _ = encode_prompt(adapter.model.tokenizer, text if text.endswith("\n") else text + "\n")
        targets_T = ids_T.astype(np.int64)
        inputs_T = np.concatenate([[adapter.model.border if last is None else last], targets_T[:-1]])
        borders_T = adapter.model.resets(inputs_T)
        reset_T = np.zeros(len(inputs_T), bool) if borders_T is None else borders_T
        reset_T[0] |= last is None
        learned = adapter.tokens
        adapter.read(inputs_T[None], targets_T[None], reset_T[None])
        if not ended:
            self._last_learned = int(targets_T[-1])
        if adapter.tokens > learned:
            model = adapter.adapted(ended=False)
            read_T, _ = encode_prompt(model.tokenizer, self._read)
            self._session = Session(model, as_state_of(model, self._session.state, read_T))
