"""Adapting: scored before it is learned from, the model itself never changes, any cut gives the same."""

from __future__ import annotations

import copy
import dataclasses
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import ScoreConfig
from pantoum.errors import ModelFileError, SettingError
from pantoum.formats.model_file import FIRST_KEPT, LAST_KEPT, SCALE
from pantoum.inference import adapt, adapt_rule
from pantoum.inference.adapt import Adapter, Settings
from pantoum.inference.adapt_rule import EARLY, Mixture, Rule, settings_for
from pantoum.inference.adapted import adapter_of
from pantoum.inference.evaluation import evaluate
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.scoring.protocols import ROWS
from pantoum.inference.scoring.reader import PlainReader
from pantoum.kernels import Array, precisions, without_core
from pantoum.network import LanguageModel
from pantoum.network.ensemble import join, joined_config
from pantoum.network.gradient import Gradient
from pantoum.network.mixers.cache import Cache
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.program import Program
from pantoum.network.spec import TABLE
from pantoum.text.tokenizer import learner

Make = Callable[..., LoadedModel]
FAST = Settings(chunk=8, rate=0.01, decay=0.01)


def with_scale(model: LoadedModel, size: float = 0.05) -> LoadedModel:
    extras = {
        SCALE + name: np.full(len(array), size, np.float32)
        for name, array in model.network.parameters.items()
    }
    return dataclasses.replace(model, extras=extras)


def text_of(model: LoadedModel, count: int, period: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """A text that repeats itself, which a model can learn: inputs and targets [1,T]."""
    ids_T = 2 + np.arange(count + 1) % period
    return ids_T[None, :-1].astype(np.int64), ids_T[None, 1:].astype(np.int64)


@pytest.fixture(params=["gru", "gru-before", "lstm", "mingru", "rnn"])
def model(request: pytest.FixtureRequest, make: Make) -> LoadedModel:
    return with_scale(make("characters", cell=request.param))


def test_a_rate_of_nothing_is_the_plain_model_but_for_its_codes(model: LoadedModel) -> None:
    text = text_of(model, 150)
    still = Adapter(model, Settings(rate=0.0)).losses(*text)
    programs = (
        Program(model.network, precision="int8"),
        Program(model.network, precision=precisions()[-1], purpose="train", coded=True),
    )
    plain, copy = (each.losses(*text, model.program.initial_state(1))[0] for each in programs)
    assert ((still >= np.minimum(plain, copy) - 1e-5) & (still <= np.maximum(plain, copy) + 1e-5)).all()


def test_a_text_that_adapting_hurts_costs_next_to_nothing(characters: LoadedModel, monkeypatch) -> None:
    monkeypatch.setattr(adapt, "LOST", np.inf)  # the mixture alone has to bear a copy that is worse
    model, draw = with_scale(characters), np.random.default_rng(4)
    text = draw.integers(0, model.vocab_size, (1, 3001))
    steps = dataclasses.replace(FAST, chunk=192, part=192, lower=1, rate=0.7)
    adapter = Adapter(model, steps)
    alone = Recording()
    adapter._mixture = alone
    hurt = (
        adapter.losses(text[:, :-1], text[:, 1:]).mean()
        - PlainReader(model).losses(text[:, :-1], text[:, 1:], None).mean()
    )
    nats = alone.nats_of_copy / 3000
    assert nats > 1.1 * PlainReader(model).losses(text[:, :-1], text[:, 1:], None).mean()
    assert hurt < 0.01 and 0.0 < alone.weight < 0.5
    trained, kept, adapted = (
        network.parameters["head.weight"]
        for network in (model.network, adapter.adapted().network, adapter._network)
    )
    assert np.allclose(kept - trained, alone.weight * (adapted - trained), atol=1e-6)
    assert abs(adapted - trained).max() > 0.01


class Recording(Mixture):
    """A mixture that adds up the nats of the adapted copy alone."""

    def __init__(self) -> None:
        super().__init__(home=0.0)

    nats_of_copy = 0.0

    def nats(self, first_T: np.ndarray, second_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.nats_of_copy += float(second_T.sum())
        return super().nats(first_T, second_T)


def test_what_repeats_is_predicted_better_and_the_model_stays_as_it_is(model: LoadedModel) -> None:
    before = {name: array.tobytes() for name, array in model.network.parameters.items()}
    text = text_of(model, 400)
    adapter = Adapter(model, FAST)
    nats_T = adapter.losses(*text)[0]
    plain_T = PlainReader(model).losses(*text, None)[0]
    assert np.allclose(nats_T[:8], plain_T[:8], rtol=0.05)
    assert nats_T[200:].mean() < 0.8 * plain_T[200:].mean()
    assert adapter.tokens == 400
    assert all(array.tobytes() == before[name] for name, array in model.network.parameters.items())


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(1, 49), max_size=6), documents=st.booleans(), ngrams=st.booleans())
def test_however_the_text_is_cut_the_nats_are_the_same(
    make: Make, cuts: list[int], documents: bool, ngrams: bool
) -> None:
    plain = make("characters", documents="lines" if documents else None)
    model = with_ngrams(plain) if ngrams else with_scale(plain)
    inputs_BT, targets_BT = text_of(model, 50)
    reset_BT = inputs_BT == 4 if documents else None
    whole = Adapter(model, FAST)
    want_BT = whole.losses(inputs_BT, targets_BT, reset_BT)
    parted, found, edges = Adapter(model, FAST), [], [0, *sorted(set(cuts)), 50]
    for start, end in pairwise(edges):
        part = np.s_[:, start:end]
        found.append(
            parted.losses(inputs_BT[part], targets_BT[part], None if reset_BT is None else reset_BT[part])
        )
    assert np.array_equal(np.concatenate(found, axis=1), want_BT)
    ours, theirs = (adapter.adapted().network.parameters for adapter in (whole, parted))
    assert all(np.array_equal(array, theirs[name]) for name, array in ours.items())
    assert whole.tokens == parted.tokens == 50


def test_an_adapted_model_saved_and_loaded_gives_the_same_nats(characters: LoadedModel, tmp_path) -> None:
    model = with_scale(characters)
    adapter = Adapter(model, FAST)
    adapter.losses(*text_of(model, 90))
    written = adapter.write(tmp_path / "adapted.safetensors", [{"name": "a.txt"}])
    saved, memory = load(tmp_path / "adapted.safetensors"), adapter.adapted()
    other = text_of(model, 60, period=5)
    nats = PlainReader(saved).losses(*other, None)
    assert saved.sha256 == written.sha256 and saved.path == written.path
    assert np.array_equal(nats, PlainReader(memory).losses(*other, None))
    assert not np.array_equal(nats, PlainReader(model).losses(*other, None))
    assert saved.card["adapted"] == [
        {
            "tokens": 90,
            "weight": round(adapter._mixture.weight, 4),
            "texts": [{"name": "a.txt"}],
            "from_sha256": "ab" * 32,
            "from_precision": "float32",
            "settings": dataclasses.asdict(FAST),
        }
    ]
    again = Adapter(saved, FAST).write(tmp_path / "again.safetensors", [{"name": "b.txt"}])
    assert [one["texts"] for one in again.card["adapted"]] == [[{"name": "a.txt"}], [{"name": "b.txt"}]]


def test_a_card_tells_the_first_and_the_last_times_and_how_many_there_were(
    characters: LoadedModel, tmp_path
) -> None:
    model = with_scale(characters)
    for time in range(FIRST_KEPT + LAST_KEPT + 3):
        model = Adapter(model, FAST).write(tmp_path / "adapted.safetensors", [{"name": str(time)}])
        told = [one["texts"][0]["name"] for one in model.card["adapted"]]
        if time < FIRST_KEPT + LAST_KEPT:
            assert told == [str(each) for each in range(time + 1)] and "adapted_times" not in model.card
    assert told == ["0", "1", *(str(each) for each in range(5, 13))]
    assert model.card["adapted_times"] == 13


def of_many_words(make: Make) -> LoadedModel:
    """A model whose steps compare their targets with samples."""
    scholar = learner("words", 9000, None)
    scholar.feed(" ".join(f"w{number}" for number in range(8000)))
    tokenizer = scholar.learn()
    network = LanguageModel(tokenizer.vocab_size, config=make("words").config, seed=4)
    return with_scale(LoadedModel(Program(network), tokenizer))


def test_a_large_vocabulary_is_sampled_however_the_text_is_cut(make: Make) -> None:
    model = of_many_words(make)
    network, text = model.network, text_of(model, 120)
    whole, parted = Adapter(model, FAST), Adapter(model, FAST)
    nats_T = whole.losses(*text)[0]
    found = [parted.losses(*(each[:, start : start + 11] for each in text))[0] for start in range(0, 120, 11)]
    assert np.array_equal(np.concatenate(found), nats_T) and whole.tokens == 120
    assert nats_T[60:].mean() < 0.95 * PlainReader(model).losses(*text, None)[0, 60:].mean()
    assert np.isfinite(whole.adapted().network.parameters["head.weight"]).all()
    moved_V = (whole._network.parameters["head.weight"] != network.parameters["head.weight"]).any(axis=1)
    assert 100 < moved_V.sum() < len(moved_V)


@pytest.mark.parametrize("vocabulary", ["small", "large"])
def test_the_copy_reads_each_token_once(make: Make, vocabulary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = of_many_words(make) if vocabulary == "large" else with_scale(make("words"))
    read, forward = [0, 0], Program._forward

    def counting(program: Program, tokens_TB: np.ndarray, *rest: Any) -> Any:
        read[program.precision == "int8"] += tokens_TB.size
        return forward(program, tokens_TB, *rest)

    monkeypatch.setattr(Program, "_forward", counting)
    ids_T = np.concatenate([text_of(model, 120)[0][0]] * 24)[: 2 * ROWS + 1]
    evaluate(model.program, ids_T, model.tokenizer, adapter=Adapter(model, Settings()), compress=False)
    last = 2 * ROWS % Settings().chunk  # is read again, to be learned from at the end of the text
    assert read == [2 * ROWS + last, 2 * ROWS]


def test_a_cache_and_counts_adapt_the_same_however_the_text_is_cut(make: Make) -> None:
    one = of_many_words(make)
    ids_T = np.random.default_rng(3).integers(2, 40, 121)
    counts = Counts(one.vocab_size, counted(ids_T, one.vocab_size, 3))
    mixture = CountMixture(counts, np.full(counts.buckets, 0.7, np.float32))
    program = Program(one.network, mixers=[mixture, Cache(20, 0.3, 0.5)])
    model, text = dataclasses.replace(one, program=program), (ids_T[None, :-1], ids_T[None, 1:])
    whole, parted = Adapter(model, FAST), Adapter(model, FAST)
    nats_T = whole.losses(*text)[0]
    found = [parted.losses(*(each[:, start : start + 11] for each in text))[0] for start in range(0, 120, 11)]
    np.testing.assert_allclose(np.concatenate(found), nats_T, atol=1e-4)
    without = Adapter(one, FAST).losses(*text)[0]
    assert nats_T.mean() < without.mean() - 0.5


def with_cache(model: LoadedModel, weight: float) -> LoadedModel:
    return dataclasses.replace(model, program=model.program.with_cache(Cache(50, weight, 0.0)))


def test_with_a_cache_that_misleads_adapting_is_as_good_as_without_one(make: Make) -> None:
    model = of_many_words(make)
    text = text_of(model, 1000, period=333)  # no word is among the last 50
    fixed = PlainReader(with_cache(model, 0.5)).losses(*text, None)
    assert fixed.mean() > PlainReader(model).losses(*text, None).mean() + 0.6
    without, found = (Adapter(each, FAST).losses(*text) for each in (model, with_cache(model, 0.5)))
    assert found.mean() < without.mean() + 0.01


@pytest.mark.parametrize("still", ["the copy", "the model itself"])
def test_a_cache_that_knows_more_than_its_card_says_counts_for_more(
    make: Make, still: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_cache(of_many_words(make), 0.2)
    ids_T = np.random.default_rng(6).integers(2, 12, 1001)  # ten words of thousands, in no order
    text = ids_T[None, :-1], ids_T[None, 1:]
    fixed = PlainReader(model).losses(*text, None).mean()
    adapter = Adapter(model, dataclasses.replace(FAST, rate=0.0))
    if still == "the copy":  # only the other one may learn of it
        monkeypatch.setattr(adapter, "_own_cache", Still(0.5))
    else:
        monkeypatch.setattr(adapter, "_plain_cache", Still(0.5))
    found = adapter.losses(*text).mean()
    assert fixed - 0.75 < found < fixed - 0.5  # at most ln 2: it may count for twice as much


class Still(Mixture):
    """Never believes in the cache."""

    def nats(self, first_T: np.ndarray, second_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return first_T, np.zeros(len(first_T))


def test_every_member_of_an_ensemble_adapts(make: Make, tmp_path) -> None:
    one = make("characters")
    config, network = one.config, one.network
    others = [LanguageModel(network.vocab_size, config=config, seed=seed) for seed in (5, 6, 7)]
    wide = LanguageModel(network.vocab_size, config=joined_config(config, 4), seed=None)
    wide.parameters.update(join(config, [network.parameters, *(each.parameters for each in others)]))
    joined = with_scale(dataclasses.replace(one, program=Program(wide)), 0.05 / 4)
    adapter, text = Adapter(joined, FAST), text_of(one, 400)
    nats_T, alone_T = adapter.losses(*text)[0], Adapter(with_scale(one), FAST).losses(*text)[0]
    assert nats_T[200:].mean() < 0.8 * PlainReader(joined).losses(*text, None)[0, 200:].mean()
    assert nats_T[200:].mean() < 1.2 * alone_T[200:].mean()
    kept = load(adapter.write(tmp_path / "adapted.safetensors").path)
    for place in range(4):
        name = f"members.{place}.stack.1.weight_hh"
        assert abs(kept.network.parameters[name] - wide.parameters[name]).max() > 1e-4


def with_ngrams(one: LoadedModel) -> LoadedModel:
    """The same network with a table beside it, some of whose rows training used."""
    config = dataclasses.replace(one.config, ngrams=(2, 3), ngram_rows=256)
    network = LanguageModel(one.vocab_size, config=config, seed=None)
    draw = np.random.default_rng(2)
    network.parameters.update(one.network.parameters)
    network.parameters[TABLE] = 0.3 * draw.standard_normal(network.parameters[TABLE].shape)
    model = with_scale(dataclasses.replace(one, program=Program(network)))
    model.extras[SCALE + TABLE][...] *= draw.random(512) < 0.2
    return model


def test_of_the_n_grams_only_those_that_were_read_move(characters: LoadedModel, tmp_path) -> None:
    model, plain = with_ngrams(characters), with_scale(characters)
    adapter, text = Adapter(model, FAST), text_of(model, 400)
    nats_T, plain_T = adapter.losses(*text)[0], PlainReader(model).losses(*text, None)[0]
    assert nats_T[200:].mean() < 0.5 * plain_T[200:].mean()
    assert nats_T[200:].mean() < Adapter(plain, FAST).losses(*text)[0, 200:].mean()
    saved = adapter.write(tmp_path / "adapted.safetensors")
    moved = (saved.network.parameters[TABLE] != model.network.parameters[TABLE]).any(axis=1)
    ngrams = model.program.mixer("ngrams")
    rows_NO, _ = ngrams.rows_of(text[0].T, np.zeros((1, ngrams.kept)))
    assert np.array_equal(np.flatnonzero(moved), np.unique(rows_NO))
    assert len(np.unique(rows_NO)) < 30 and np.isfinite(saved.network.parameters[TABLE]).all()
    other = text_of(model, 60, period=5)
    assert np.array_equal(
        PlainReader(load(tmp_path / "adapted.safetensors")).losses(*other, None),
        PlainReader(saved).losses(*other, None),
    )


def test_a_table_leaves_the_networks_speeds_as_they_are(characters: LoadedModel) -> None:
    alone, beside = Rule(with_scale(characters), FAST), Rule(with_ngrams(characters), FAST)
    assert all(np.array_equal(speeds_R, beside._speeds[name]) for name, speeds_R in alone._speeds.items())
    assert all(np.array_equal(backs_R, beside._backs[name]) for name, backs_R in alone._backs.items())


def test_a_weight_that_is_zero_moves_too(characters: LoadedModel, tmp_path) -> None:
    network = copy.deepcopy(characters.network)
    network.parameters["stack.0.weight_hh"][:, 0] = 0  # as int8 leaves small weights
    own = dataclasses.replace(characters, program=Program(network))
    adapter = Adapter(with_scale(own), FAST)
    adapter.losses(*text_of(characters, 100))
    assert adapter.write(tmp_path / "kept.safetensors").network.parameters["stack.0.weight_hh"][:, 0].any()


def test_the_pull_brings_the_weights_back_to_the_trained_ones(characters: LoadedModel) -> None:
    model = with_scale(characters)
    adapter = Adapter(model, Settings(chunk=8, rate=1.0, decay=1.0, clip=1e-9))
    adapter.losses(*text_of(model, 80))
    found = adapter.adapted().network.parameters
    assert all(np.allclose(array, found[name], atol=1e-6) for name, array in model.network.parameters.items())


def test_no_text_throws_the_weights_away(characters: LoadedModel) -> None:
    model = with_scale(characters)
    adapter = Adapter(model, dataclasses.replace(FAST, rate=100.0))
    draw = np.random.default_rng(0)
    for size in (1, 7, 300, 8, 64):
        ids_T = draw.integers(0, model.vocab_size, size + 1)
        with np.errstate(all="ignore"):
            adapter.losses(ids_T[None, :-1], ids_T[None, 1:])
    assert all(np.isfinite(array).all() for array in adapter.adapted().network.parameters.values())


SAMPLED: list[dict[str, Any]] = [
    {"tied": True, "embedding_size": 9},
    {"tied": True, "embedding_size": 12},
    {"tied": True, "embedding_size": 12, "members": 3},
    {"embedding_size": 9, "members": 2},
    {"embedding_size": None},
]


@pytest.mark.parametrize("rate", [0.01, 30.0])  # with 30 copies are lost, so that all rows change
@pytest.mark.parametrize("shape", SAMPLED, ids=str)
def test_rows_that_did_not_change_need_not_be_packed_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any], rate: float
) -> None:
    monkeypatch.setattr(adapt_rule, "WHOLE_VOCABULARY", 1000)
    monkeypatch.setattr(adapt_rule, "SAMPLES", 60)
    scholar = learner("words", 2000, None)
    scholar.feed(
        " ".join(f"w{number}" for number in range(1300))
    )  # an embedding of more has gradients of rows
    tokenizer = scholar.learn()
    config = dataclasses.replace(make("words").config, hidden_size=12, num_layers=1, **shape)
    network = LanguageModel(tokenizer.vocab_size, config=config, seed=2)
    model = with_scale(LoadedModel(Program(network), tokenizer))
    inputs_BT, targets_BT = text_of(model, 350, period=90)

    def read() -> tuple[np.ndarray, Adapter]:
        adapter, start, found = Adapter(model, dataclasses.replace(FAST, rate=rate)), 0, []
        for size in (3, 40, 1, 4, 100, 202):  # whole chunks, and such that arrive in parts
            part = np.s_[:, start : start + size]
            found.append(adapter.losses(inputs_BT[part], targets_BT[part])[0])
            start += size
        return np.concatenate(found), adapter

    (few_T, few), changed = read(), adapt.changed_rows
    seen = []

    def all_rows(*given: Any) -> None:
        seen.append(changed(*given))

    monkeypatch.setattr(adapt, "changed_rows", all_rows)
    all_T, whole = read()
    assert any(rows_U is not None and len(rows_U) < model.vocab_size for rows_U in seen)
    assert (few.times_lost > 0) == (rate > 1.0)
    np.testing.assert_array_equal(few_T, all_T)
    for name, array in few._network.parameters.items():
        np.testing.assert_array_equal(array, whole._network.parameters[name])


def test_words_are_learned_from_in_shorter_chunks(make: Make) -> None:
    assert settings_for(512).chunk == 192 and settings_for(513).chunk == 32
    model = with_scale(make("characters"))
    assert Adapter(model).settings == settings_for(model.vocab_size)
    assert Adapter(model, FAST).settings == FAST


def test_a_copy_that_is_lost_goes_back(characters: LoadedModel) -> None:
    model, text = with_scale(characters), text_of(characters, 400)
    adapter = Adapter(model, dataclasses.replace(FAST, rate=30.0))
    nats_T = adapter.losses(*text)[0]
    assert adapter.times_lost > 2
    assert nats_T.mean() < PlainReader(model).losses(*text, None).mean() + 0.02
    still = Adapter(model, dataclasses.replace(FAST, rate=0.01))
    still.losses(*text)
    assert still.times_lost == 0


@pytest.mark.parametrize(("tokens", "lost"), [(24, 48.0), (576, 144.0)])
def test_the_further_behind_a_copy_is_the_further_it_goes_back(
    characters: LoadedModel, tokens: int, lost: float
) -> None:
    model = with_scale(characters)
    adapter = Adapter(model, FAST)
    adapter.losses(*text_of(model, FAST.chunk * 3))
    trained = model.network.parameters
    for behind, share in ((lost, 1.0), (1.001 * lost, 0.5), (10 * lost, 0.05), (1e6 * lost, 0.0)):
        before = {name: array - trained[name] for name, array in adapter._network.parameters.items()}
        assert any(array.any() for array in before.values())
        adapter._behind, adapter._in_window = behind, tokens
        adapter._end_chunk()
        for name, array in adapter._network.parameters.items():
            np.testing.assert_allclose(array - trained[name], share * before[name], rtol=0.01, atol=1e-6)


def test_a_copy_that_was_lost_goes_on_in_smaller_steps(characters: LoadedModel, monkeypatch) -> None:
    model, text = with_scale(characters), text_of(characters, 800)

    def read() -> tuple[float, int]:
        adapter = Adapter(model, dataclasses.replace(FAST, rate=30.0))
        return float(adapter.losses(*text)[0].mean()), adapter.times_lost

    smaller, some = read()
    monkeypatch.setattr(adapt, "SLOWER", 1.0)
    same, many = read()
    assert 0 < some < many and smaller < same


def test_a_gradient_that_is_not_finite_is_passed_over(characters: LoadedModel, monkeypatch) -> None:
    model = with_scale(characters)
    adapter = Adapter(model, FAST)
    rule = adapter._rule
    monkeypatch.setattr(rule, "_kernels", type("Broken", (), {"global_norm": staticmethod(lambda _: np.nan)}))
    adapter.losses(*text_of(model, 20))
    found = adapter.adapted().network.parameters
    assert all(np.array_equal(array, found[name]) for name, array in model.network.parameters.items())


def test_memory_does_not_grow_with_the_text(characters: LoadedModel) -> None:
    adapter = Adapter(with_scale(characters), FAST)
    adapter.losses(*text_of(adapter.model, 8 * EARLY + 200))  # the longer chunks of later have begun
    held = adapter._workspace.nbytes
    adapter.losses(*text_of(adapter.model, 3000))
    assert adapter._workspace.nbytes == held and adapter._begun_3BT.shape[2] < 8 * FAST.later


@pytest.mark.parametrize("size", [7, 31, 1000])
def test_later_chunks_are_longer_however_the_text_is_cut(characters: LoadedModel, size: int) -> None:
    adapter, learned = Adapter(with_scale(characters), FAST), list[tuple[int, float]]()
    step = adapter._rule.step
    adapter._rule.step = lambda *given: learned.append(given[2:]) or step(*given)
    inputs_BT, targets_BT = text_of(adapter.model, 8 * EARLY + 33 * FAST.later)
    for start in range(0, inputs_BT.shape[1], size):
        part = np.s_[:, start : start + size]
        adapter.losses(inputs_BT[part], targets_BT[part])
    assert [targets for targets, _ in learned] == [8] * EARLY + [8 * FAST.later] * 4
    moves = [targets / 8 * pace for targets, pace in learned]
    assert moves == pytest.approx([1.0] * EARLY + [FAST.later**0.5] * 4)


def test_of_a_text_that_comes_at_once_only_an_incomplete_chunk_is_read_twice(characters: LoadedModel) -> None:
    adapter, begun = Adapter(with_scale(characters), FAST), list[int]()
    begin = adapter._begin_chunk
    adapter._begin_chunk = lambda text_3BT: begun.append(text_3BT.shape[2]) or begin(text_3BT)
    adapter.losses(*text_of(adapter.model, 8 * EARLY + 5 * 8 * FAST.later + 3))
    assert begun == [3]


def test_a_step_goes_as_far_as_its_targets_and_the_pace_say(characters: LoadedModel) -> None:
    model = with_scale(characters)
    rule, moves = Rule(model, dataclasses.replace(FAST, decay=0.0)), list[Array]()
    name, weight = next(iter(model.network.parameters.items()))
    for targets, pace in ((8, 1.0), (32, 0.5)):
        weights, gradients = {name: weight.copy()}, {name: Gradient(np.full_like(weight, 1e-3))}
        rule.step(weights, gradients, targets, pace)
        moves.append(weights[name] - weight)
    assert moves[0].any()
    np.testing.assert_allclose(moves[1], 2 * moves[0], rtol=0.02)


@pytest.mark.skipif(without_core() is not None, reason="promised by the native core")
def test_a_large_vocabulary_with_n_grams_has_the_logits_of_a_chunk_once(make: Make) -> None:
    scholar = learner("words", 9000, None)
    scholar.feed(" ".join(f"w{number}" for number in range(8000)))
    tokenizer = scholar.learn()
    config = dataclasses.replace(make("words").config, ngrams=(2,), ngram_rows=16)
    network = LanguageModel(tokenizer.vocab_size, config=config, seed=4)
    adapter = Adapter(with_scale(LoadedModel(Program(network), tokenizer)))
    text, chunk = text_of(adapter.model, 1000), adapter.settings.chunk
    tracemalloc.start()
    try:
        adapter.losses(*text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = sum(array.nbytes for array in network.parameters.values())
    # The logits of the chunk; the n-grams' that are read by the model itself; gradients, copies of rows.
    assert peak < 4 * (chunk * tokenizer.vocab_size + (1 << 22)) + 5 * held


@pytest.mark.parametrize("documents", [None, "lines"])
def test_evaluating_with_an_adapter(make: Make, documents: str | None) -> None:
    model = with_scale(make("characters", documents=documents))
    ids_T = model.tokenizer.encode("The cat sat on the mat.\nA dog ran and ran.\n" * 30)
    plain = evaluate(model.program, ids_T, model.tokenizer)
    found = evaluate(model.program, ids_T, model.tokenizer, adapter=Adapter(model, FAST))
    assert found.adapt and not plain.adapt and "carried, adapting" in str(found)
    assert found.tokens == plain.tokens and found.nats_per_token < plain.nats_per_token
    assert found.accuracy > plain.accuracy


def test_only_one_text_in_order_can_be_followed(characters: LoadedModel) -> None:
    adapter = Adapter(with_scale(characters))
    ids_T = np.arange(2, 12)
    with pytest.raises(SettingError, match="must be carried with --adapt"):
        evaluate(characters.program, ids_T, characters.tokenizer, "segments:4", adapter=adapter)
    with pytest.raises(SettingError, match="streams"):
        ScoreConfig(streams=2, adapt=True)


BIAS = "adapt.head.bias"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda extras: extras.pop(BIAS), "has no adapt.head.bias: --adapt needs"),
        (lambda extras: extras.update({BIAS: np.ones(3, np.float32)}), r"float32 \(3,\): it must be"),
        (lambda extras: extras.update({BIAS: extras[BIAS].astype(np.float64)}), "float64"),
        (lambda extras: extras.update({BIAS: -extras[BIAS]}), "not below 0"),
        (lambda extras: [array.fill(0) for array in extras.values()], "must be above 0"),
    ],
)
def test_a_model_without_sizes_of_gradients_says_what_to_do(characters: LoadedModel, spoil, words) -> None:
    model = with_scale(characters)
    spoil(model.extras)
    with pytest.raises(ModelFileError, match=words):
        Adapter(model)


def test_where_an_adapted_model_may_go(characters: LoadedModel, tmp_path) -> None:
    own = tmp_path / "model.safetensors"
    own.write_bytes(b"")
    model = dataclasses.replace(with_scale(characters), path=own)
    assert adapter_of(model, False, None) is None
    assert isinstance(adapter_of(model, True, tmp_path / "new.safetensors"), Adapter)
    with pytest.raises(SettingError, match="give --adapt too"):
        adapter_of(model, False, tmp_path / "new.safetensors")
    with pytest.raises(SettingError, match="it is the model itself, which would be lost"):
        adapter_of(model, True, own)
    for bad in (tmp_path, tmp_path / "none" / "new.safetensors"):
        with pytest.raises(SettingError, match="in a folder that exists"):
            adapter_of(model, True, bad)
