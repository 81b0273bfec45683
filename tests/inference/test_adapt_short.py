"""Adapting to a short text: nothing is known of it yet, and nothing is lost by that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from pantoum.formats.model_file import SCALE
from pantoum.inference import adapt
from pantoum.inference.adapt import Adapter, Settings
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scoring.reader import PlainReader
from pantoum.network.mixers.cache import Cache

Make = Callable[..., LoadedModel]
FAST = Settings(chunk=32, rate=0.01, decay=0.01)
SHORT = 250
"""Tokens, for which 0.001 nats per token are 0.25."""


def with_cache(model: LoadedModel) -> LoadedModel:
    """The model with a cache, and with sizes of its gradients."""
    parameters = model.network.parameters
    sizes = {SCALE + name: np.full(len(array), 0.05, np.float32) for name, array in parameters.items()}
    program = model.program.with_cache(Cache(50, 0.15, 0.0))
    return dataclasses.replace(model, program=program, extras=sizes)


def written(model: LoadedModel, draw: np.random.Generator) -> np.ndarray:
    """A text drawn from a model and its cache, than which nothing predicts it better."""
    ids, state = [int(draw.integers(model.vocab_size))], model.program.initial_state(1)
    while len(ids) <= SHORT:
        logs_BV, state = model.program.last_logits(np.array([ids[-1:]]), state)
        p_V = np.exp(logs_BV[0].astype(np.float64))
        ids.append(int(draw.choice(len(p_V), p=p_V / p_V.sum())))
    return np.array(ids)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_a_short_text_is_not_worse_for_adapting_than_its_cache_alone(
    make: Make, kind: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt, "_coded", lambda model: model.program)  # what int8 costs is measured elsewhere
    model, draw = with_cache(make(kind)), np.random.default_rng(seed)
    few, V = draw.integers(0, model.vocab_size, 2), model.vocab_size
    often_T = draw.random(SHORT + 1) < 0.05
    mixed_T = np.where(often_T, few[draw.integers(0, 2, SHORT + 1)], draw.integers(0, V, SHORT + 1))
    for ids_T in (
        written(model, draw),
        mixed_T,
        draw.integers(0, V, SHORT + 1),
        few[np.arange(SHORT + 1) % 2],
    ):
        text = ids_T[None, :-1], ids_T[None, 1:]
        adapter = Adapter(model, FAST)
        assert adapter.losses(*text).mean() <= PlainReader(model).losses(*text, None).mean() + 0.001
