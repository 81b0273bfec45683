"""A model for the decoders of flashlight (speech and text recognition): a state for each beam.

    LexiconDecoder(options, trie, FlashlightModel("runs/book", words), ...)

``words`` are those of the decoder's dictionary in the order of their numbers. Scores are those of
``rescoring.Model``, logarithms to base 10 as in flashlight's own ``KenLM``. What was scored is kept
until the next ``start``, so beams with the same words share a state.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from flashlight.lib.text.decoder import LM, LMState

from pantoum.apps.plugins.rescoring import Model, State

__all__ = ["FlashlightModel"]

END = -1


class FlashlightModel(LM):
    """A model as flashlight's ``LM``."""

    def __init__(self, path: str | os.PathLike[str], words: Sequence[str]) -> None:
        super().__init__()
        self._model = Model(path)
        self._words = {**dict(enumerate(words)), END: "</s>"}
        self._found: dict[LMState, tuple[State, float]] = {}

    def start(self, start_with_nothing: bool) -> LMState:
        """The state of the beginning."""
        begun, state = State(), LMState()
        self._model.BeginSentenceWrite(begun)
        self._found = {state: (begun, 0.0)}
        return state

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """(the state after a word, the log10 probability of the word)."""
        after = state.child(usr_token_idx)
        if after not in self._found:
            made = State()
            score = self._model.BaseScore(self._found[state][0], self._words[usr_token_idx], made)
            self._found[after] = made, score
        return after, self._found[after][1]

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The same for the end of the text."""
        return self.score(state, END)
