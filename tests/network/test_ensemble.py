"""An ensemble: its logits are the mean of its members', its members come out as they went in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import CELLS, ModelConfig
from pantoum.errors import SettingError
from pantoum.network import LanguageModel
from pantoum.network.ensemble import join, join_scales, join_states, joined_config, part, part_states
from pantoum.network.gradient import Gradient
from pantoum.network.program import Program
from pantoum.network.spec import TABLE

V = 6


def members_of(config, count):
    members = [LanguageModel(V, config=config, seed=seed, dtype=np.float64) for seed in range(count)]
    for seed, each in enumerate(members):
        if TABLE in each.parameters:
            each.parameters[TABLE] = np.random.default_rng(seed).standard_normal(each.parameters[TABLE].shape)
        each.parameters["head.bias"] = np.random.default_rng(seed).standard_normal(V)
    return members


def joined(config, members):
    whole = LanguageModel(V, config=joined_config(config, len(members)), seed=None, dtype=np.float64)
    whole.parameters.update(join(config, [each.parameters for each in members]))
    return whole


SHAPES = st.builds(
    ModelConfig,
    st.sampled_from(sorted(CELLS)),
    st.integers(1, 7),
    st.integers(1, 3),
    st.sampled_from([None, 1, 5]),
    ngrams=st.sampled_from([(), (2,), (2, 4)]),
    ngram_rows=st.just(16),
)


@settings(max_examples=25)
@given(SHAPES, st.integers(1, 4), st.booleans(), st.booleans())
def test_its_logits_are_the_mean_of_its_members(config, count, tied, square):
    if square:
        config = replace(config, embedding_size=config.hidden_size)
    config = replace(config, tied=tied and config.embedding_size is not None)
    members = members_of(config, count)
    whole = joined(config, members)
    random, program = np.random.default_rng(3), Program(whole)
    states = [each.initial_state(3) for each in members]
    state = whole.initial_state(3)
    for _ in range(2):  # the second time from states that are not zero
        tokens_BT = random.integers(0, V, (3, 9))
        found = [Program(each).logits(tokens_BT, own) for each, own in zip(members, states, strict=True)]
        states = [own for _, own in found]
        logits_BTV, state = program.logits(tokens_BT, state)
        np.testing.assert_allclose(logits_BTV, np.mean([each for each, _ in found], axis=0), atol=1e-12)
    for one, other in zip(part_states(config, state, count), states, strict=True):
        assert all(np.allclose(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))
    again = join_states(config, part_states(config, state, count))
    assert all(a is b for a, b in zip(state.arrays, again.arrays, strict=True))


@settings(max_examples=15)
@given(SHAPES, st.integers(1, 4), st.booleans())
def test_its_members_come_out_as_they_went_in(config, count, tied):
    if tied:
        config = replace(config, embedding_size=config.hidden_size, tied=True)
    members = members_of(config, count)
    whole = joined(config, members)
    for one, other in zip(part(whole.config, whole.parameters), members, strict=True):
        assert one.keys() == other.parameters.keys()
        for name, array in one.items():
            if name not in ("head.bias", TABLE):  # of which the mean is kept
                np.testing.assert_allclose(array, other.parameters[name], rtol=1e-15)


@pytest.mark.parametrize("shape", [{"embedding_size": 4}, {"embedding_size": 3, "tied": True}], ids=str)
def test_gradients_of_an_ensemble_are_the_central_differences(shape):
    config = ModelConfig("lstm", 3, 2, ngrams=(2,), ngram_rows=16, **shape)
    model, random = joined(config, members_of(config, 3)), np.random.default_rng(0)
    inputs, targets = random.integers(0, V, (2, 2, 7))
    state = Program(model).logits(inputs, model.initial_state(2))[1]

    def found():
        return Program(model, purpose="train").gradients(inputs, targets, state)

    gradients = found().gradients
    assert list(gradients) == list(model.parameters)
    for name, parameter in model.parameters.items():
        dense = gradients[name].whole(parameter.shape)
        place = tuple(random.integers(0, size) for size in parameter.shape)
        kept, losses = parameter[place], []
        for step in (1e-6, -1e-6):
            parameter[place] = kept + step
            losses.append(found().loss)
        parameter[place] = kept
        assert dense[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-8), name


def test_the_scales_of_its_gradient_are_those_of_its_rows():
    config = ModelConfig("gru", 3, 2, 4, ngrams=(2,), ngram_rows=16)
    members = members_of(config, 2)
    scales = [
        {name: np.full(len(array), 1.0 + place) for name, array in each.parameters.items()}
        for place, each in enumerate(members)
    ]
    found = join_scales(config, scales)
    assert {name: array.shape for name, array in found.items()} == {
        name: (len(array),) for name, array in joined(config, members).parameters.items()
    }
    assert set(found["members.0.stack.1.weight_hh"]) == {0.5} and set(
        found["members.1.embedding.weight"]
    ) == {1}
    assert set(found["head.weight"].tolist()) == set(found[TABLE].tolist()) == {0.75}


@pytest.mark.parametrize(("embedding_size", "stays"), [(3, True), (2, False)])
def test_a_tied_head_stays_tied_if_it_needs_no_projection(embedding_size, stays):
    config = ModelConfig("gru", 3, 1, embedding_size, tied=True)
    members = members_of(config, 3)
    whole = joined(config, members)
    assert whole.config.tied == stays and ("head.weight" in whole.parameters) != stays
    scales = [{name: np.ones(len(array)) for name, array in each.parameters.items()} for each in members]
    assert join_scales(config, scales).keys() == whole.parameters.keys()


def test_one_member_is_itself():
    config = ModelConfig("lstm", 5, 2, 3, tied=True)
    assert joined_config(config, 1) is config and "members" not in config.spec()
    with pytest.raises(SettingError, match="tied needs an embedding as wide as the layers if there are"):
        replace(config, members=2)
    with pytest.raises(SettingError, match="members is 65: it must be a whole number"):
        replace(config, members=65, tied=False)


def test_a_gradient_of_few_rows_is_the_same_as_one_that_is_zero_beside_them():
    rows, whole = Gradient(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 3])), np.zeros((4, 2))
    whole[[1, 3]] = rows.values
    for gradient in (rows, Gradient(whole)):
        table = np.arange(8.0).reshape(4, 2)
        reached = gradient.reached(table)
        reached -= gradient.values
        gradient.put(table, reached)
        np.testing.assert_array_equal(table, np.arange(8.0).reshape(4, 2) - whole)
        np.testing.assert_array_equal(gradient.whole((4, 2)), whole)
