"""How probable each of given continuations of a text is: classification with a language model.

A continuation is scored as what follows the text, without what comes after it. Of several, longer ones are
less probable for their length alone, so there are two shares: by the probability of the whole continuation,
and by that per token (the geometric mean), which does not depend on the number of tokens.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pantoum.config import require
from pantoum.config.rules import some_texts
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.reading import CHUNK, Reading, advance
from pantoum.inference.state import State
from pantoum.kernels import Array
from pantoum.text.prompt import encode_prompt, space_held

__all__ = ["Continuation", "choices_after"]


class Continuation(NamedTuple):
    """A continuation among others, and how probable it is."""

    text: str
    log_probability: float
    """Natural logarithm of the probability of all its tokens, one after the other."""
    tokens: int
    probability: float
    """Its share in the probabilities of all choices."""
    probability_per_token: float
    """Its share where each counts as its tokens do on average."""


def choices_after(model: LoadedModel, state: State, choices: Sequence[str]) -> list[Continuation]:
    """The choices in their order."""
    each = some_texts(choices, "choices")
    readings = []
    for one in each:
        own, _ = space_held(model.tokenizer, one, state.pending)
        tokens_T, notes = encode_prompt(model.tokenizer, own)
        rule = "has no token of this model"
        require(len(tokens_T) > 0, "choices", one, rule, "give a text with a letter")
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=3)
        begun = State.of(model, state.for_model(model), _last(model, state), state.tokens_seen, state.pending)
        readings.append(Reading(model, begun, tokens_T, alternatives=0))
    while unread := [reading for reading in readings if reading.left]:
        advance(unread, CHUNK)
    logs_N = np.array([sum(one.log_probability for one in r.drawn if one is not None) for r in readings])
    sizes_N = np.array([len(reading.tokens_T) for reading in readings])
    columns = (each, logs_N.tolist(), sizes_N.tolist(), _shares(logs_N), _shares(logs_N / sizes_N))
    return [Continuation(*values) for values in zip(*columns, strict=True)]


def _last(model: LoadedModel, state: State) -> int:
    """The token that a text goes on after; a text without one begins after a border."""
    return model.border if state.last_token is None else state.last_token


def _shares(logs_N: Array) -> list[float]:
    shares_N = np.exp(logs_N - logs_N.max())
    shares: list[float] = (shares_N / shares_N.sum()).tolist()
    return shares
