"""Models side by side are one model whose logits are the mean of theirs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import ModelConfig
from pantoum.errors import SettingError
from pantoum.network import LanguageModel
from pantoum.network.ensemble import blocks, join, join_scales, joined_config, members_of
from pantoum.network.ngrams import TABLE

CELLS = ("rnn", "gru", "gru-before", "lstm", "mingru")


def joined(config, members, vocab_size):
    wide = LanguageModel.from_config(joined_config(config, len(members)), vocab_size, None, dtype=np.float64)
    wide.parameters.update(join(config, [each.parameters for each in members]))
    return wide


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(CELLS),
    st.integers(1, 4),
    st.integers(1, 7),
    st.sampled_from([None, 1, 5]),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([(), (2,), (2, 4)]),
)
def test_the_joined_models_logits_are_the_mean_of_theirs(
    cell, count, hidden, embedding, layers, residual, ngrams
):
    V, residual = 6, residual and embedding is not None
    config = ModelConfig(cell, hidden, layers, embedding, residual=residual, ngrams=ngrams, ngram_rows=16)
    members = [LanguageModel.from_config(config, V, seed, dtype=np.float64) for seed in range(count)]
    for each in members if ngrams else ():
        each.parameters[TABLE] = np.random.default_rng(count).standard_normal(each.parameters[TABLE].shape)
    wide = joined(config, members, V)
    random = np.random.default_rng(3)
    states, state = [each.initial_state(3) for each in members], wide.initial_state(3)
    for _ in range(2):  # the second time from states that are not zero
        tokens_BT = random.integers(0, V, (3, 9))
        found = [each.logits(tokens_BT, own) for each, own in zip(members, states, strict=True)]
        states = [own for _, own in found]
        logits_BTV, state = wide.logits(tokens_BT, state)
        np.testing.assert_allclose(logits_BTV, np.mean([each for each, _ in found], axis=0), atol=1e-12)


def test_the_scales_of_the_joined_gradient_are_those_of_its_rows():
    config, V = ModelConfig("gru", 3, 2, 4, ngrams=(2,), ngram_rows=16), 5
    members = [LanguageModel.from_config(config, V, seed, dtype=np.float64) for seed in (0, 1)]
    wide = joined(config, members, V)
    scales = [
        {name: np.full(len(array), 1.0 + place) for name, array in each.parameters.items()}
        for place, each in enumerate(members)
    ]
    found = join_scales(config, scales)
    assert {name: array.shape for name, array in found.items()} == {
        name: (len(array),) for name, array in wide.parameters.items()
    }
    assert found["stack.1.weight_hh"].tolist() == 3 * ([0.5] * 3 + [1.0] * 3)
    assert set(found["head.weight"].tolist()) == set(found[TABLE].tolist()) == {0.75}


@pytest.mark.parametrize("embedding", [None, 4])
def test_blocks_are_where_a_member_may_have_a_weight(embedding):
    config, V = ModelConfig("lstm", 3, 2, embedding), 5
    member = LanguageModel.from_config(config, V)
    ones = {name: np.ones_like(array) for name, array in member.parameters.items()}
    whole, wide = join(config, [ones] * 2), joined_config(config, 2)
    found = blocks(wide, whole, 2)
    assert len(found) == (4 if embedding else 3)
    assert all(np.array_equal(block, whole[name] != 0) for name, block in found.items())
    assert blocks(wide, whole, 1) == blocks(wide, whole, 5) == {}


@pytest.mark.parametrize("card", [{}, {"settings": None}, {"settings": {}}, {"settings": {"members": "3"}}])
def test_a_card_that_does_not_say_is_of_one_model(card):
    assert members_of(card) == 1 and members_of({"settings": {"members": 3}}) == 3


def test_one_member_is_itself():
    config = ModelConfig("lstm", 5, 2, 3, norm="layer")
    assert joined_config(config, 1) is config


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig("gru", 4, 1, 4, tied=True),
        ModelConfig("gru", 4, 1, 4, norm="layer"),
        ModelConfig("gru", 4, 1, None, residual=True),
    ],
)
def test_what_looks_across_units_cannot_stand_side_by_side(config):
    with pytest.raises(SettingError, match="members is 2: must be 1 with norm"):
        joined_config(config, 2)
