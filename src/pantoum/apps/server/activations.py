"""What every unit of every layer holds after each token of a text, and which units follow a property of it.

The idea is that of Karpathy, Johnson, Fei-Fei (2015), "Visualizing and Understanding Recurrent Networks":
some units keep the position in the line, whether a quotation is open, or how deep the text is indented. A
unit's value is its layer's output; of an LSTM it is tanh of its cell, as in that paper. Units are numbered
through all layers: unit u of layer l (from 0) is ``l * hidden_size + u``; the layers of an ensemble are those
of its members, one member after the other.

A ``UnitReading`` goes through a text by some tokens at a time, as ``inference.reading`` does, so that whoever
reads decides how long each turn takes. It holds the values of the units that were asked for, and of all
others sums alone.

Shapes: T tokens, U units of all layers, K units that were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pantoum.seams import Array, LoadedModel, Reading, require, stepper

__all__ = ["FEATURES", "MOST_TOKENS", "UnitReading", "after_tokens", "require_tokens", "shown_tokens"]

MOST_TOKENS = 4000
"""Tokens that a text may have."""


def shown_tokens(model: LoadedModel, tokens_T: NDArray[np.uint32]) -> list[str]:
    """What each token shows; empty where a character is not whole."""
    decoder = model.tokenizer.decoder()
    return [decoder.push(token) for token in tokens_T.tolist()]


def require_tokens(tokens_T: NDArray[np.uint32]) -> None:
    """Refuse a text that is too long."""
    rule = f"must have at most {MOST_TOKENS:,} tokens"
    require(len(tokens_T) <= MOST_TOKENS, "text", f"{len(tokens_T)} tokens", rule, "give a part of it")


class UnitReading(Reading):
    """A text that is read for the values of ``units``, or, with the value of a property after each token
    [T], for the correlation of every unit with it."""

    def __init__(
        self,
        model: LoadedModel,
        tokens_T: NDArray[np.uint32],
        units: Sequence[int] = (),
        property_T: Sequence[float] | None = None,
    ) -> None:
        require_tokens(tokens_T)
        super().__init__(model, None, tokens_T, hidden=True)
        T, config = len(tokens_T), model.config
        self.layers = config.members * config.num_layers
        U = self.layers * config.hidden_size
        for unit in units:
            require(
                unit < U, "units", unit, f"is not a unit of this model: they are 0 to {U - 1}", "give another"
            )
        self._units_K = np.array(units, np.int64)
        self.values_TK = np.empty((T, len(units)), np.float32)
        self._property_T = None if property_T is None else np.array(property_T, np.float64)
        self._first_U: Array | None = None
        self._sums_3U = np.zeros((3, U))
        self._state = model.program.initial_state(1)
        self._read_1 = np.zeros(1, np.int32)
        logits_1V = np.empty((1, model.vocab_size), np.float32)
        self._step = stepper(model.program, self._read_1, self._state, logits_1V)

    @property
    def kind(self) -> str:
        """These are not read side by side: each goes on by itself."""
        return "units"

    @property
    def left(self) -> int:
        """Tokens that were not read yet."""
        return len(self.tokens_T) - self._at

    def advance(self, tokens: int) -> int:
        """Read on by so many tokens at most; how many were read."""
        lstm = self.model.config.cell == "lstm"
        each = 2 if lstm else 1
        end = min(self._at + tokens, len(self.tokens_T))
        for at in range(self._at, end):
            token = int(self.tokens_T[at])
            if token == self.model.eos:
                for array in self._state.arrays:
                    array[...] = 0
            self._read_1[0] = token
            self._step(0, 1)
            outputs = self._state.arrays[each - 1 : each * self.layers : each]
            values_U = np.concatenate([array_1H[0] for array_1H in outputs])
            if lstm:
                np.tanh(values_U, out=values_U)
            self.values_TK[at] = values_U[self._units_K]
            if self._property_T is not None:
                self._sum(values_U.astype(np.float64), float(self._property_T[at]))
        count, self._at = end - self._at, end
        return count

    def _sum(self, values_U: Array, value: float) -> None:
        """The sums of the correlations. Each unit counts from its first value, so that one that never changes
        has none at all."""
        if self._first_U is None:
            self._first_U = values_U
        own_U = values_U - self._first_U
        self._sums_3U[0] += own_U
        self._sums_3U[1] += own_U * own_U
        self._sums_3U[2] += own_U * value

    def following(self, count: int) -> list[tuple[int, float]]:
        """The units that follow the property most closely, best first, each with Pearson's correlation over
        the tokens (below 0 where it falls as the property rises)."""
        assert self._property_T is not None and not self.left
        T = len(self._property_T)
        if not T:
            return []
        sum_U, squares_U, products_U = self._sums_3U
        mean = self._property_T.mean()
        size = np.sqrt(((self._property_T - mean) ** 2).sum())
        sizes_U = np.sqrt(np.maximum(0.0, squares_U - sum_U * sum_U / T)) * size
        products_U = products_U - mean * sum_U
        correlations_U = np.divide(products_U, sizes_U, out=np.zeros_like(sizes_U), where=sizes_U > 1e-12)
        best = np.argsort(-np.abs(correlations_U), kind="stable")[:count]
        return [(int(unit), float(correlations_U[unit])) for unit in best]


def line_length(text: str) -> list[float]:
    """After each character: how many stand in its line."""
    found, count = [], 0
    for character in text:
        count = 0 if character == "\n" else count + 1
        found.append(float(count))
    return found


def quotes(text: str) -> list[float]:
    """After each character: 1 within double quotes, 0 outside. A blank line ends a quotation."""
    found, inside, before = [], 0.0, ""
    for character in text:
        if character == '"':
            inside = 1.0 - inside
        elif character in "“”":
            inside = float(character == "“")
        elif character == "\n" and before == "\n":
            inside = 0.0
        found.append(inside)
        before = character
    return found


def indentation(text: str) -> list[float]:
    """After each character: the white space that its line begins with, a tab as four spaces."""
    found, depth, leading = [], 0.0, True
    for character in text:
        if character == "\n":
            depth, leading = 0.0, True
        elif leading and character in " \t":
            depth += 4.0 if character == "\t" else 1.0
        else:
            leading = False
        found.append(depth)
    return found


FEATURES: dict[str, Callable[[str], list[float]]] = {
    "line-length": line_length,
    "quotes": quotes,
    "indentation": indentation,
}


def after_tokens(texts: Sequence[str], feature: str) -> list[float]:
    """A property of a text after each of its tokens."""
    values = FEATURES[feature]("".join(texts))
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    return [values[end - 1] if end else 0.0 for end in ends.tolist()]
