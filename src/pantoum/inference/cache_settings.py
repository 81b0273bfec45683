"""The weight and the flatness of a cache: tuned once, on the validation text, and kept in the card.

Flatness is chosen from a few values, relative to the mean square of the outputs of the last layers; for each
the best weight follows by expectation maximisation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pantoum.config import number, whole
from pantoum.config.plain import Plain
from pantoum.config.score import MOST_CACHE
from pantoum.errors import ModelFileError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.kernels import Array
from pantoum.network.mixers import ReadTokens
from pantoum.network.mixers.cache import Cache
from pantoum.network.mixers.counts import best_weight, mixed
from pantoum.network.network_state import zeros
from pantoum.network.program import Program

CARD_KEY = "cache"
TUNED_TOKENS = 10_000
"""Tokens of the validation text that it is tuned on."""
TUNED_SIZE = 1000
FLATNESS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Times the mean product of an output with itself."""
PART = 512


def tuned(
    program: Program, tokens_N: Array, eos: int | None, seconds: float | None = None
) -> dict[str, Plain]:
    """What the card says of the cache. ``eos``: the token that begins each document. With ``seconds`` fewer
    tokens are looked at where these would take longer."""
    began, allowed = time.monotonic(), math.inf if seconds is None else seconds
    tokens_N = np.asarray(tokens_N[: TUNED_TOKENS + 1]).astype(np.int64)
    parts: list[tuple[Array, Array, Array, Array, Array | None]] = []
    state = program.initial_state(1)
    for start in range(0, len(tokens_N) - 1, PART):
        if parts and time.monotonic() - began >= allowed / 2:  # the rest is for the cache itself
            break
        inputs_BT, targets_BT = (tokens_N[None, start + s : start + PART + s] for s in (0, 1))
        inputs_BT = inputs_BT[:, : targets_BT.shape[1]]
        reset_BT = None if eos is None else inputs_BT == eos
        hidden_BTH, _ = program.hidden(inputs_BT, state, reset_BT=reset_BT)
        nats_BT, _, state = program.losses(inputs_BT, targets_BT, state, reset_BT=reset_BT, predict=False)
        parts.append((hidden_BTH.swapaxes(0, 1), inputs_BT.T, targets_BT[0], nats_BT[0], reset_BT))
    scale = float(np.mean([np.square(hidden_TBH).sum(axis=2).mean() for hidden_TBH, *_ in parts]))
    caches = [Cache(TUNED_SIZE, 1.0, times / max(scale, 1e-12)) for times in FLATNESS]
    known = zeros(caches[0].states(program.model.hidden_size), 1, np.float32).arrays
    p_parts: list[list[Array]] = []
    for hidden_TBH, inputs_TB, targets_T, nats_T, reset_BT in parts:
        if p_parts and time.monotonic() - began >= allowed:
            break
        reset_TB = None if reset_BT is None else reset_BT.T
        seen = caches[0].find(ReadTokens(inputs_TB, hidden_TBH, reset_TB, None, program.vocab_size), known)
        own = np.exp(-nats_T.astype(np.float64))
        tried = [replace(seen, cache=cache).probabilities(targets_T) for cache in caches]
        p_parts.append([np.where(filled_T, p_T, own) for p_T, filled_T in tried])
        known = seen.state
    found = []
    nats_N = np.concatenate([nats_T for _, _, _, nats_T, _ in parts[: len(p_parts)]])
    for cache, *each in zip(caches, *p_parts, strict=True):
        p_N = np.concatenate(each)
        weight = best_weight(nats_N, p_N)
        loss = float(mixed(nats_N, p_N, np.full(len(p_N), weight)).mean())
        found.append((loss, 1.0 - weight, cache.flatness))
    loss, weight, flatness = min(found)
    return {
        "weight": round(weight, 4),
        "flatness": float(f"{flatness:.4g}"),
        "size": TUNED_SIZE,
        "tokens": len(nats_N),
        "nats_per_token": loss - float(nats_N.mean(dtype=np.float64)),
    }


def with_cache(model: LoadedModel, size: int) -> LoadedModel:
    """The model with a cache of the last ``size`` tokens."""
    size = whole(size, "cache", most=MOST_CACHE)
    said = model.card.get(CARD_KEY)
    if not isinstance(said, Mapping):
        raise ModelFileError(
            f"{'the model' if model.path is None else model.path} has no cache settings: training tunes "
            "them where the vocabulary has more than 512 tokens and a text is held out; leave "
            "--cache out, or train again"
        )
    weight = number(said.get("weight"), "the weight of the cache", least=0.0, most=1.0)
    flatness = number(said.get("flatness"), "the flatness of the cache", least=0.0, most=1e6)
    return replace(model, program=model.program.with_cache(Cache(size, weight, flatness)))
