"""Adapting to short texts, the mixture that judges the copy, and the file that it is saved in meanwhile."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.formats.model_file import SCALE
from pantoum.inference import adapt
from pantoum.inference.adapt import Adapter, Settings
from pantoum.inference.adapt_rule import HOME, SHARE, Mixture
from pantoum.inference.adapted import EVERY, SavedMeanwhile
from pantoum.inference.loaded_model import LoadedModel, load
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


PLACE = 16


def read(mixture: Mixture, first_T: np.ndarray, second_T: np.ndarray, cuts: list[int]) -> np.ndarray:
    """The nats of a text, shared at every ``PLACE`` tokens, in calls that also end at the cuts."""
    ends = sorted({0, len(first_T), *cuts, *range(0, len(first_T), PLACE)})
    found = []
    for start, end in pairwise(ends):
        found.append(mixture.nats(first_T[start:end], second_T[start:end])[0])
        if end % PLACE == 0:
            mixture.share()
    return np.concatenate(found)


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nats of two predictors, of which now one and now the other is much the better."""
    draw = np.random.default_rng(seed)
    parts = draw.exponential(2.0, (2, count)).astype(np.float32)
    parts[draw.integers(2), : draw.integers(1, count)] *= 3
    return parts[0], parts[1]


HOMES = st.sampled_from([0.0, 0.5, 0.7, 1.0])


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 200), home=HOMES)
def test_it_loses_little_to_the_best_constant_weight(seed: int, count: int, home: float) -> None:
    first_T, second_T = drawn(seed, count)
    mixture = Mixture(home)
    with np.errstate(divide="ignore"):
        constant_K = [
            -np.logaddexp(np.log(1 - v) - first_T, np.log(v) - second_T).sum() for v in mixture.values_K
        ]
    nats_T = read(mixture, first_T, second_T, [])
    found, shares = nats_T.sum(dtype=np.float64), -(count // PLACE) * math.log(1 - SHARE)
    assert found <= (np.array(constant_K) - np.log(mixture.prior_K)).min() + shares + 1e-3
    at_home = constant_K[mixture.values_K.tolist().index(home)]
    assert found <= at_home - math.log(HOME) - (count // PLACE) * math.log(1 - SHARE * (1 - HOME)) + 1e-3


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(1, 99), max_size=8), home=HOMES)
def test_the_calls_change_no_bit(seed: int, cuts: list[int], home: float) -> None:
    first_T, second_T = drawn(seed, 100)
    whole, parted = Mixture(home), Mixture(home)
    assert np.array_equal(read(whole, first_T, second_T, []), read(parted, first_T, second_T, cuts))
    assert whole.weight == parted.weight


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_probabilities_of_all_tokens_sum_to_one(seed: int) -> None:
    draw = np.random.default_rng(seed)
    p_2V = draw.dirichlet(np.full(7, 0.3), 2) + 1e-12
    p_2V /= p_2V.sum(axis=1, keepdims=True)
    begun = drawn(seed, 30)
    total = 0.0
    for first, second in -np.log(p_2V.T):
        mixture = Mixture(0.7)
        read(mixture, *begun, [])
        total += math.exp(-float(mixture.nats(np.array([first]), np.array([second]))[0][0]))
    assert abs(total - 1.0) < 1e-5


def test_the_weight_follows_the_better_one_and_comes_back() -> None:
    good_T, bad_T = np.full(160, 1.0, np.float32), np.full(160, 1.5, np.float32)
    mixture = Mixture(0.0)
    assert mixture.weight == 0.625
    read(mixture, bad_T, good_T, [])
    assert mixture.weight > 0.97
    nats_T = read(mixture, good_T, bad_T, [])
    assert mixture.weight < 0.05 and nats_T[-1] < 1.01 < 1.4 < nats_T[0]


TEXT_BT = 2 + np.arange(1001)[None] % 7


@pytest.fixture
def saved_meanwhile_model(characters: LoadedModel) -> LoadedModel:
    weights = characters.network.parameters.items()
    sizes = {SCALE + name: np.full(len(array), 0.05, np.float32) for name, array in weights}
    return dataclasses.replace(characters, extras=sizes)


def saved_meanwhile_read(adapter: Adapter, start: int, end: int) -> bytes:
    return adapter.losses(TEXT_BT[:, start:end], TEXT_BT[:, start + 1 : end + 1]).tobytes()


def test_it_is_saved_when_it_is_time_and_something_was_learned(
    saved_meanwhile_model: LoadedModel, tmp_path: Path
) -> None:
    now, file = [0.0], tmp_path / "m.safetensors"
    adapter = Adapter(saved_meanwhile_model)
    kept = SavedMeanwhile(adapter, file, clock=lambda: now[0])
    saved_meanwhile_read(adapter, 0, 300)
    kept.meanwhile()
    assert not file.exists()
    now[0] = EVERY
    kept.meanwhile()
    learned = load(file).card["adapted"][0]["tokens"]
    assert learned == adapter.tokens == 192
    file.unlink()
    now[0] *= 2
    kept.meanwhile()
    assert not file.exists()  # nothing new
    kept.end()
    assert load(file).card["adapted"][0]["tokens"] == 300


def test_saving_meanwhile_changes_nothing(saved_meanwhile_model: LoadedModel, tmp_path: Path) -> None:
    one, other = Adapter(saved_meanwhile_model), Adapter(saved_meanwhile_model)
    kept = SavedMeanwhile(one, tmp_path / "m", clock=iter(range(0, 10**6, int(EVERY))).__next__)
    for start, end in ((0, 300), (300, 500), (500, 1000)):
        assert saved_meanwhile_read(one, start, end) == saved_meanwhile_read(other, start, end)
        kept.meanwhile()
    assert (tmp_path / "m").exists()
    ours, theirs = one.adapted().network.parameters, other.adapted().network.parameters
    assert all((array == theirs[name]).all() for name, array in ours.items())


def test_a_place_that_is_gone_ends_nothing(saved_meanwhile_model: LoadedModel, tmp_path: Path) -> None:
    adapter = Adapter(saved_meanwhile_model)
    kept = SavedMeanwhile(adapter, tmp_path / "gone" / "m", clock=iter((0.0, EVERY, EVERY)).__next__)
    saved_meanwhile_read(adapter, 0, 300)
    with pytest.warns(UserWarning, match="the adapted model was not saved"):
        kept.meanwhile()
