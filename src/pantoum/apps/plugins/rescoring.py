"""A model as programs for speech and text recognition ask one: word by word, with a state per hypothesis.

``Model`` has the interface of KenLM's Python module, ``BeamModel`` that of pyctcdecode's language models.
Words are what is between spaces, probabilities are logarithms to base 10. A word is read with the space
before it, a sentence after a line break (or the border of documents), which also ends it.

    model = pantoum.apps.plugins.rescoring.Model("runs/book")
    model.score("once upon a time")             # of the whole sentence
    state, after = State(), State()
    model.BeginSentenceWrite(state)
    model.BaseScore(state, "once", after)       # of a word after a state
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from pantoum.errors import SettingError
from pantoum.seams import Array, NetworkState, load, require_finite, sentence_nats
from pantoum.seams import check_text as checked
from pantoum.seams import public_call as public

__all__ = ["BeamModel", "Model", "State"]

NATS = math.log(10)
NO_TOKENS = np.zeros(0, np.int64)


class State:
    """Where a hypothesis stands; the model writes it."""

    __slots__ = ("last", "network")

    def __init__(self) -> None:
        self.network: NetworkState | None = None
        self.last = -1
        """The token that is not read yet."""


class Model:
    """A model with KenLM's methods."""

    order = 1_000_000
    """KenLM's length of contexts; this model forgets nothing by rule."""

    @public
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._model = load(path)._loaded
        self._encoded = lru_cache(1 << 16)(self._encode)

    def __contains__(self, word: str) -> bool:
        unk = self._model.tokenizer.unk
        return unk is None or unk not in self._tokens(word, first=False)

    @public
    def score(self, sentence: str, bos: bool = True, eos: bool = True) -> float:
        """The log10 probability of a sentence."""
        return sum(score for score, _, _ in self.full_scores(sentence, bos, eos))

    @public
    def scores(self, sentences: Sequence[str]) -> list[float]:
        """The same for many sentences at once, from their beginnings to their ends, which is far faster."""
        border = [self._model.border]
        tokens = [np.concatenate([self._sentence(one), border]).astype(np.int64) for one in sentences]
        found: list[float] = (sentence_nats(self._model, tokens) / -NATS).tolist()
        return found

    @public
    def full_scores(
        self, sentence: str, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """For each word its log10 probability, the number of words up to it, and whether it is unknown; at
        last those of the end."""
        state, number = State(), 0
        (self.BeginSentenceWrite if bos else self.NullContextWrite)(state)
        for number, word in enumerate(checked(sentence, "sentence").split(), start=1):
            yield self._read(state, self._tokens(word, number == 1), state), number, word not in self
        if eos:
            yield self._read(state, self._border, state), number + 1, False

    @public
    def perplexity(self, sentence: str) -> float:
        """Per word, the end included."""
        return float(10 ** (-self.score(sentence) / (len(sentence.split()) + 1)))

    def BeginSentenceWrite(self, state: State) -> None:
        """Make the state that of the beginning of a sentence."""
        state.network, state.last = self._model.program.initial_state(1), self._model.border

    def NullContextWrite(self, state: State) -> None:
        """The same: a recurrent network always begins somewhere."""
        self.BeginSentenceWrite(state)

    @public
    def BaseScore(self, in_state: State, word: str, out_state: State) -> float:
        """The log10 probability of a word (``</s>``: of the end) after a state, and the state after it."""
        if word == "</s>":
            return self._read(in_state, self._border, out_state)
        first = in_state.last == self._model.border
        return self._read(in_state, self._tokens(checked(word, "word"), first), out_state)

    @property
    def _border(self) -> Array:
        return np.array([self._model.border])

    def _sentence(self, sentence: str) -> Array:
        words = enumerate(checked(sentence, "sentence").split())
        return np.concatenate([NO_TOKENS, *(self._tokens(word, place == 0) for place, word in words)])

    def _tokens(self, word: str, first: bool) -> Array:
        return self._encoded(word, first)

    def _encode(self, word: str, first: bool) -> Array:
        between = self._model.tokenizer.declared.spaces == "between"
        return self._model.tokenizer.encode(word if first or between else f" {word}").astype(np.int64)

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def _read(self, state: State, tokens: Array, after: State) -> float:
        if state.network is None:
            rule, advice = "must be one that was written", "call BeginSentenceWrite(state) first"
            raise SettingError("in_state", state, rule, advice)
        if not len(tokens):
            after.network, after.last = state.network, state.last
            return 0.0
        inputs_BT = np.concatenate([[state.last], tokens[:-1]])[None]
        nats_BT, _, network = self._model.program.losses(
            inputs_BT, tokens[None], state.network, reset_BT=self._model.resets(inputs_BT), predict=False
        )
        require_finite([nats_BT])
        after.network, after.last = network, int(tokens[-1])
        return float(nats_BT.sum(dtype=np.float64)) / -NATS


class BeamModel:
    """A model with the methods of pyctcdecode's ``AbstractLanguageModel``: a state for each beam."""

    order = Model.order

    @public
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        alpha: float = 0.5,
        beta: float = 1.5,
        unk_score: float = -10.0,
    ) -> None:
        """``alpha``: the weight of the model; ``beta``: what a word adds; ``unk_score``: what an unknown one
        adds."""
        self.model, self.alpha, self.beta, self.unk_score = Model(path), alpha, beta, unk_score

    def get_start_state(self) -> State:
        """The state of the beginning."""
        state = State()
        self.model.BeginSentenceWrite(state)
        return state

    def score_partial_token(self, partial_token: str) -> float:
        """Nothing is known of a word before its end."""
        return 0.0

    def score(self, prev_state: State, word: str, is_last_word: bool = False) -> tuple[float, State]:
        """(what a beam gains by a word, the state after it)."""
        after = State()
        total = self.model.BaseScore(prev_state, word, after)
        total += self.unk_score * (word not in self.model)
        if is_last_word:
            total += self.model.BaseScore(after, "</s>", State())
        return self.alpha * total * NATS + self.beta, after
