"""The next word, or the rest of one that is begun: the most probable ones, with their probabilities.

A word is a run of letters, digits and underscores. Where a token is a whole word its probability is that of
the word. Elsewhere a word is several tokens. The probability of a word is that of its tokens and of anything
after them that ends it, summed over the ways in which tokens make it.
Where a character can be several tokens, letters are *spelled*: each byte above 127 is a lone surrogate.

``Completer`` follows a text that a person types: what was read of it is not read again, and it may be learned
from. A text that goes on from the one before is the same text; so is one of which less than half was taken
back, and one that has lost lines at its beginning, such as the last lines before the cursor of an editor.
With ``adapt`` a copy of the model learns from each line that was typed, when the line, or its text, is
finished. What stands before the line in which a text first comes was not typed now, and is only read.
Learning takes longer than an answer, so that a program gives its answer first, and calls ``learn`` then.

The search reads the most probable beginning first, a few of them side by side as rows of one batch. A
beginning is at least as probable as each word that it could become. So the search ends when none is left that
is more probable than the k-th word: no word was missed, unless the search had no room left or a word is
made in many ways, each of which is less probable.

Shapes: R rows that there is room for, V symbols.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from codecs import utf_8_decode
from collections.abc import Iterator, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from itertools import count
from math import exp, inf, log
from typing import NamedTuple

import numpy as np

from pantoum.config import CompleteConfig, require, text, whole
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.kernels import Array
from pantoum.network.checks import require_finite
from pantoum.network.stepping import stepper
from pantoum.text.decoder import SPACE
from pantoum.text.prompt import encode_prompt
from pantoum.text.tokenizer import Tokenizer
from pantoum.text.unicode import REPLACEMENT

FEWEST, MOST = 4, 16
"""Beginnings that are read at once: few at first, because the words that they become may rule out others;
later half as many as were read."""
ROOM = 256
"""Beginnings whose states are kept: all that a search reads."""
SORTED = 16
"""What may follow a beginning is sorted in parts of this size."""
LAST = "\U0010ffff"
PARTS = re.compile("(\\s*)([\\w\ufffd\udc80-\udcff]*)")
"""White space before a word, and the word; bytes that make no character yet belong to one."""
WORD = re.compile(r"\w+")
NONE = np.zeros(0, np.int64)


class Suggestion(NamedTuple):
    """A word that may come next."""

    text: str
    """What would follow the text."""
    probability: float


class Beginning(NamedTuple):
    """Some tokens of a word."""

    text: str
    score: float
    """Natural logarithm of its probability."""
    row: int
    """The row of the state before its last token."""
    token: int
    inside: bool
    """Whether the word has begun."""
    ended: bool
    """Whether it is a whole word."""


def begun_word(prompt: str) -> tuple[str, str]:
    """A text without the word that its end begins, and that word. Looks at this word alone."""
    at = len(prompt)
    while at and (prompt[at - 1].isalnum() or prompt[at - 1] == "_"):
        at -= 1
    return prompt[:at], prompt[at:]


class Suggester:
    """Suggests words after states of a model. One thread at a time may use it."""

    def __init__(self, model: LoadedModel) -> None:
        self._model, self._words = model, _words(model.tokenizer, tuple(model.banned))
        self._state = model.program.initial_state(ROOM)
        self._tokens_R = np.zeros(ROOM, np.int32)
        self._logits_RV = np.empty((MOST, model.vocab_size), np.float32)
        self._step = stepper(model.program, self._tokens_R, self._state, self._logits_RV)

    def after(self, state: State, k: int, begun: str = "") -> list[Suggestion]:
        """The ``k`` most probable words after a state, most probable first. ``begun``: letters of a word that
        the state has not read; the words begin with them, and their probabilities are of such words."""
        k, begun = whole(k, "k"), text(begun, "begun")
        rule = "must be letters of one word"
        require(
            begun == "" or WORD.fullmatch(begun) is not None, "begun", begun, rule, "feed what is before it"
        )
        last = self._model.border if state.last_token is None else state.last_token
        network = state.for_model(self._model)
        if last == self._model.eos:
            network = self._model.program.initial_state(1)
        for array_RH, own_1H in zip(self._state.arrays, network.arrays, strict=True):
            array_RH[0] = own_1H[0]
        spaced, words = state.pending == SPACE, self._words
        half = "" if begun or spaced or not words.by_bytes else words.spelled_bytes(state.pending)
        first = Beginning(half, 0.0, 0, last, half != "", False)
        return [
            one._replace(text=words.read(one.text))
            for one in self._found(first, k, words.spelled(begun), spaced)
        ]

    def _found(self, first: Beginning, k: int, begun: str, spaced: bool) -> list[Suggestion]:
        found, covered, read, number = dict[str, float](), 0.0 if begun else 1.0, 0, count()
        queue: list[tuple[float, int, Beginning, Iterator[Beginning]]] = []

        def add(ones: Iterator[Beginning]) -> None:
            """The most probable one of those that follow the same beginning; the others come after it."""
            one = next(ones, None)
            if one is not None and one.score > -inf:
                heappush(queue, (-one.score, next(number), one, ones))

        add(iter([first]))
        while read < ROOM:
            least, ones = _least(found, k), list[Beginning]()
            at_once = min(MOST, max(FEWEST, read // 2), ROOM - read)
            while queue and len(ones) < at_once and -queue[0][0] > least:
                _, _, one, others = heappop(queue)
                add(others)
                if one.ended:
                    if len(one.text) >= max(1, len(begun)) and self._words.is_whole(one.text):
                        _add(found, one.text, exp(one.score))
                        least = _least(found, k)
                else:
                    ones.append(one)
            if not ones:
                break
            for row, (one, log_V) in enumerate(zip(ones, self._read(ones, read), strict=True), read):
                if one.inside and len(one.text) >= len(begun) and self._words.is_whole(one.text):
                    ends = float(np.exp(log_V[self._words.ends]).sum())
                    _add(found, one.text, exp(one.score) * ends)
                need, after_space = begun[len(one.text) :], spaced and row == 0
                some, all_of_it = self._words.following(one.inside, need, after_space)
                if need:
                    covered += exp(one.score) * float(np.exp(log_V[all_of_it]).sum())
                add(self._following(one, row, np.concatenate([some, all_of_it]), log_V, after_space))
            read += len(ones)
        best_ones = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
        return [Suggestion(word, min(1.0, p / covered)) for word, p in best_ones if p > 0.0]

    def _following(
        self, one: Beginning, row: int, tokens: Array, log_V: Array, after_space: bool
    ) -> Iterator[Beginning]:
        """What a beginning, whose state is in this row, becomes by each of the tokens, the most probable one
        first."""
        tokens, logs_T = self._words.merged(tokens, log_V[tokens])
        scores = one.score + logs_T
        while len(scores):
            best = np.arange(len(scores))
            if len(scores) > SORTED:
                best = np.argpartition(-scores, SORTED)[:SORTED]
            best = best[np.argsort(-scores[best], kind="stable")]
            for token, score in zip(tokens[best].tolist(), scores[best].tolist(), strict=True):
                lead, part, ended = self._words.parts[token]
                text = one.text + (lead.removeprefix(" ") if after_space else lead) + part
                if (word := self._words.word_of(text)) is None:
                    continue
                over = len(word) < len(text)  # the bytes of another character have ended it
                ends = over or (bool(part) and ended)
                yield Beginning(word, score, row, token, one.inside or bool(part), ends)
            scores, tokens = np.delete(scores, best), np.delete(tokens, best)

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def _read(self, ones: Sequence[Beginning], first: int) -> Array:
        """The logarithms of the probabilities of what follows each. Their states are rows from the first."""
        rows, parents = slice(first, first + len(ones)), [one.row for one in ones]
        for array_RH in self._state.arrays:
            array_RH[rows] = array_RH[parents]
        self._tokens_R[rows] = [one.token for one in ones]
        self._step(first, len(ones))
        logits = self._logits_RV[: len(ones)]
        require_finite([logits])
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits


class Completer:
    """Suggests words after one text or another."""

    def __init__(self, model: LoadedModel, config: CompleteConfig) -> None:
        from pantoum.inference.adapted import adapter_of  # a session asks for words, and need not learn
        from pantoum.inference.session import Session

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
        for line, ended in due:
            self._learn(line, ended=ended)

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
            from pantoum.inference.adapted import as_state_of
            from pantoum.inference.session import Session

            model = adapter.adapted(ended=False)
            read_T, _ = encode_prompt(model.tokenizer, self._read)
            self._session = Session(model, as_state_of(model, self._session.state, read_T))


class _Beginnings:
    """Tokens by the letters with which they begin a word, or go on with one."""

    def __init__(self, texts: Sequence[tuple[str, int, bool]]) -> None:
        """``texts``: what a token writes, the token, whether the word is at its end then."""
        ranked = sorted(texts)
        self._texts = [own for own, _, _ in ranked]
        self._tokens = np.array([token for _, token, _ in ranked], np.int64)
        self._goes_on = np.array([not ended for _, _, ended in ranked], np.bool_)
        self._longest = max(map(len, self._texts), default=0)

    def agreeing(self, need: str) -> tuple[Array, Array]:
        """Tokens that write the first of these letters in a word that goes on, and those that write all."""
        parts = [self._tokens[:0]]
        for length in range(1, min(len(need), self._longest + 1)):
            same = slice(bisect_left(self._texts, need[:length]), bisect_right(self._texts, need[:length]))
            parts.append(self._tokens[same][self._goes_on[same]])
        least, most = bisect_left(self._texts, need), bisect_left(self._texts, need + LAST)
        return np.concatenate(parts), self._tokens[least:most]


class _Words:
    """What each token is to a word."""

    def __init__(self, tokenizer: Tokenizer, banned: Sequence[int]) -> None:
        never = {*banned, tokenizer.eos}
        texts = [tokenizer.decode([token]) for token in range(tokenizer.vocab_size)]
        self.by_bytes = False
        """Whether a character can be several tokens."""
        for token, own in enumerate(texts):
            data = tokenizer.decode_bytes([token]) if REPLACEMENT in own else b""
            if REPLACEMENT in data.decode("utf-8", "replace") and data != REPLACEMENT.encode():
                texts[token], self.by_bytes = self.spelled_bytes(data), True
        takes_whole = tokenizer.word_edges is not None or tokenizer.declared.spaces == "between"
        self.parts: list[tuple[str, str, bool]] = []
        """White space before it, letters of a word, and whether the word is at its end then."""
        for own in texts:
            found = PARTS.match(own)
            assert found is not None
            ended = takes_whole or found.end() < len(own)
            self.parts.append((self.spelled(found[1]), self.spelled(found[2]), ended))
        each = [
            (token, *self.parts[token]) for token in range(len(texts)) if token not in never and texts[token]
        ]
        inside = [(part, token, ended) for token, lead, part, ended in each if part and not lead]
        first = [
            (lead, part, token, ended)
            for token, lead, part, ended in each
            if part or PARTS.fullmatch(texts[token])
        ]
        self._inside = np.array([token for _, token, _ in inside], np.int64)
        self._first = np.array([token for _, _, token, _ in first], np.int64)
        self._by_inside = _Beginnings(inside)
        self._by_first = _Beginnings([(lead + part, token, ended) for lead, part, token, ended in first])
        self._by_spaced = _Beginnings(
            [(lead.removeprefix(" ") + part, token, ended) for lead, part, token, ended in first]
        )
        self.ends = np.setdiff1d(np.arange(len(texts)), [*self._inside, *banned])
        """Tokens that end a word."""
        firsts: dict[tuple[str, str], int] = {}
        self._same = np.arange(len(texts))
        """The first token that writes the same whole word, with other signs after it."""
        for token, lead, part, ended in each:
            if part and ended:
                self._same[token] = firsts.setdefault((lead, part), token)

    @staticmethod
    def spelled_bytes(data: bytes) -> str:
        """Bytes, of which a character may need several."""
        return data.decode("ascii", "surrogateescape")

    def spelled(self, text: str) -> str:
        """A text as tokens spell it."""
        return self.spelled_bytes(text.encode("utf-8", "surrogateescape")) if self.by_bytes else text

    def read(self, spelled: str) -> str:
        """The text that is spelled so."""
        return spelled.encode("utf-8", "surrogateescape").decode() if self.by_bytes else spelled

    def word_of(self, spelled: str) -> str | None:
        """The letters at the beginning, after white space; ``None`` where the bytes are no text."""
        if not self.by_bytes or spelled.isascii():
            return spelled
        try:
            text, _ = utf_8_decode(spelled.encode("ascii", "surrogateescape"), "strict", False)
        except UnicodeDecodeError:
            return None
        found = PARTS.match(text)
        assert found is not None
        return spelled if found.end() == len(text) else self.spelled(found[0] if found[2] else "")

    def is_whole(self, spelled: str) -> bool:
        """Whether no byte of a character is missing."""
        data = b"" if not self.by_bytes or spelled.isascii() else spelled.encode("ascii", "surrogateescape")
        return utf_8_decode(data, "strict", False)[1] == len(data)

    def merged(self, tokens: Array, logs_T: Array) -> tuple[Array, Array]:
        """Tokens that write the same whole word as one, with the sum of their probabilities."""
        firsts = self._same[tokens]
        kept = tokens[firsts == tokens]
        if len(kept) == len(tokens):
            return tokens, logs_T
        sums = np.bincount(firsts, weights=np.exp(logs_T))[kept]
        return kept, np.log(np.maximum(sums, np.finfo(np.float64).tiny))

    def following(self, inside: bool, need: str, spaced: bool) -> tuple[Array, Array]:
        """Tokens that go on with a word, or begin one: those that write some of the letters that it needs,
        and those that write all of them."""
        if not need:
            return NONE, self._inside if inside else self._first
        by = self._by_inside if inside else self._by_spaced if spaced else self._by_first
        return by.agreeing(need)


_words = lru_cache(maxsize=2)(_Words)
"""A large vocabulary takes a tenth of a second; a copy of a model that learns has the same one."""


def _add(found: dict[str, float], word: str, probability: float) -> None:
    found[word] = found.get(word, 0.0) + probability


def _least(found: dict[str, float], k: int) -> float:
    """Logarithm of the probability below which a word is not among the k most probable ones."""
    if len(found) < k:
        return -inf
    probability = sorted(found.values())[-k]
    return log(probability) if probability > 0.0 else -inf
