"""What every unit of every layer holds after each token of a text, and which units follow a property of it.

The idea is that of Karpathy, Johnson, Fei-Fei (2015), "Visualizing and Understanding Recurrent Networks":
some units keep the position in the line, whether a quotation is open, or how deep the text is indented. A
unit's value is its layer's output; of an LSTM it is tanh of its cell, as in that paper. Units are numbered
through all layers: unit u of layer l (from 0) is ``l * hidden_size + u``; the layers of an ensemble are those
of its members, one member after the other.

Shapes: T tokens, U units of all layers, H units of one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pantoum.seams import Array, LoadedModel, require, stepper

__all__ = ["FEATURES", "MOST_TOKENS", "activations", "following"]

MOST_TOKENS = 4000
"""Tokens of a text whose activations are held at once: 25 MB for a 3 x 512 model."""


def activations(model: LoadedModel, tokens_T: NDArray[np.uint32]) -> tuple[list[str], Array]:
    """(what each token shows, empty where a character is not whole; the values [T,U] of all units after
    each); at most ``MOST_TOKENS`` tokens."""
    require(
        len(tokens_T) <= MOST_TOKENS,
        "text",
        f"{len(tokens_T)} tokens",
        f"must have at most {MOST_TOKENS:,} tokens",
        "give a part of it",
    )
    config, state = model.config, model.program.initial_state(1)
    read_1 = np.zeros(1, np.int32)
    step = stepper(model.program, read_1, state, np.empty((1, model.vocab_size), np.float32))
    each, layers = 2 if config.cell == "lstm" else 1, config.members * config.num_layers
    values_TU = np.empty((len(tokens_T), layers * config.hidden_size), np.float32)
    decoder = model.tokenizer.decoder()
    texts = []
    for values_U, token in zip(values_TU, tokens_T.tolist(), strict=True):
        if token == model.eos:
            for array in state.arrays:
                array[...] = 0
        read_1[0] = token
        step(0, 1)
        outputs = state.arrays[each - 1 : each * layers : each]
        values_U[:] = np.concatenate([array_1H[0] for array_1H in outputs])
        texts.append(decoder.push(token))
    if each == 2:
        np.tanh(values_TU, out=values_TU)
    return texts, values_TU


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


def following(
    texts: Sequence[str], values_TU: Array, feature: str, count: int
) -> tuple[list[tuple[int, float]], list[float]]:
    """The units that follow a property of the text most closely, best first, each with Pearson's correlation
    over the tokens (below 0 where it falls as the property rises), and the property after each token."""
    wanted_T = np.array(_after_tokens(texts, FEATURES[feature]))
    if not len(wanted_T):
        return [], []
    values_TU = values_TU - values_TU.mean(axis=0, dtype=np.float64)
    centred_T = wanted_T - wanted_T.mean()
    sizes_U = np.sqrt((values_TU**2).sum(axis=0)) * np.sqrt((centred_T**2).sum())
    products_U = centred_T @ values_TU
    correlations_U = np.divide(products_U, sizes_U, out=np.zeros_like(products_U), where=sizes_U > 1e-12)
    best = np.argsort(-np.abs(correlations_U), kind="stable")[:count]
    return [(int(unit), float(correlations_U[unit])) for unit in best], wanted_T.tolist()


def _after_tokens(texts: Sequence[str], feature: Callable[[str], list[float]]) -> list[float]:
    values = feature("".join(texts))
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    return [values[end - 1] if end else 0.0 for end in ends.tolist()]
