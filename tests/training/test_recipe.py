"""What is chosen where a person did not choose, and that what they chose stands."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.config import DropoutConfig, ModelConfig, TrainSettings
from pantoum.training.recipe import Outlook, Recipe, choose, work

MEGABYTE = Outlook(tokens=1_000_000, vocab_size=65, steps=500)


def test_a_megabyte_of_text_gets_the_measured_recipe():
    recipe = choose(TrainSettings(steps=500), MEGABYTE)
    assert (recipe.model.cell, recipe.model.num_layers, recipe.model.hidden_size) == ("gru", 2, 384)
    assert (recipe.model.embedding_size, recipe.batch_size, recipe.seq_len) == (128, 64, 64)
    assert (recipe.learning_rate, recipe.schedule, recipe.optimizer) == (4e-3, "trapezoid", "adamw")
    assert not recipe.model.dropout.active


def test_two_minutes_of_two_cores_get_the_same_model():
    two_minutes = Outlook(1_000_000, 65, operations=1.8e13)
    assert choose(TrainSettings(minutes=2), two_minutes).model.hidden_size == 384


@given(st.integers(2, 10**8), st.integers(10**8, 10**16), st.sampled_from([27, 65, 257, 20_000]))
def test_more_time_never_means_a_smaller_model_and_sizes_always_fit(tokens, operations, vocab):
    small, large = (choose(TrainSettings(), Outlook(tokens, vocab, operations=float(operations * more)))
                    for more in (1, 4))
    assert work(small.model, vocab) <= work(large.model, vocab)
    for recipe in (small, large):
        assert 1 <= recipe.batch_size <= 64 and 8 <= recipe.seq_len <= 64
        assert 5e-4 <= recipe.learning_rate <= 8e-3 and recipe.average is not None


@given(st.integers(2, 10**8), st.integers(1, 10**6))
def test_with_steps_the_sizes_come_from_the_text_alone(tokens, steps):
    one = choose(TrainSettings(steps=1), Outlook(tokens, 65, steps=1))
    other = choose(TrainSettings(steps=steps), Outlook(tokens, 65, steps=steps))
    plain = dataclasses.replace(other.model, dropout=DropoutConfig())
    assert plain == dataclasses.replace(one.model, dropout=DropoutConfig())
    assert (one.batch_size, one.seq_len) == (other.batch_size, other.seq_len)


@pytest.mark.parametrize(("epochs", "rate"), [(1, 0.0), (5, 0.1), (20, 0.2), (100, 0.3)])
def test_what_is_read_often_is_dropped_more(epochs, rate):
    outlook = Outlook(50_000, 65, epochs=epochs)
    assert choose(TrainSettings(epochs=epochs), outlook).model.dropout == DropoutConfig(rate, rate, rate)


def test_small_texts_get_small_batches():
    tiny = choose(TrainSettings(steps=9), Outlook(500, 30, steps=9))
    assert tiny.batch_size * tiny.seq_len * 7 <= 500


def test_what_was_chosen_stands():
    asked = TrainSettings(steps=5, cell="lstm", hidden_size=48, num_layers=3, embedding_size=None,
                          batch_size=7, seq_len=11, learning_rate=0.5, schedule="constant", clip=None,
                          average=None, weight_decay=0.0, dropout="variational:0.25", norm="layer",
                          residual=True, seed=9)
    recipe = choose(asked, Outlook(10_000, 65, steps=5))
    dropout = DropoutConfig.parse("variational:0.25")
    assert recipe.model == ModelConfig("lstm", 48, 3, None, False, True, "layer", dropout)
    assert (recipe.batch_size, recipe.seq_len, recipe.learning_rate, recipe.seed) == (7, 11, 0.5, 9)
    assert (recipe.clip, recipe.average, recipe.weight_decay, recipe.warm_up) == (None, None, 0.0, 0.0)


def test_another_models_weights_keep_their_shape_and_get_a_lower_rate():
    source = ModelConfig("gru", 384, 2, 128)
    recipe = choose(TrainSettings(steps=500), MEGABYTE, source=source)
    assert dataclasses.replace(recipe.model, dropout=source.dropout) == source
    assert recipe.learning_rate == pytest.approx(1.2e-3)


def test_work_counts_the_parameters_of_products():
    assert work(ModelConfig("gru", 512, 3, None), 98) == 3 * 512 * 512 * 5 + 512 * 98
    assert work(ModelConfig("mingru", 8, 2, 4), 10) == 2 * 8 * 4 + 2 * 8 * 8 + 8 * 10


def test_goes_through_json_and_has_its_reasons():
    recipe = choose(TrainSettings(), Outlook(10**6, 65, operations=1e13))
    again = Recipe.from_spec(json.loads(json.dumps(recipe.spec())))
    assert again == dataclasses.replace(recipe, reasons=())
    assert any("multiply-adds" in reason for reason in recipe.reasons) and len(recipe.reasons) == 5
