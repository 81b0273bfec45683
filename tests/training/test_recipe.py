"""What is chosen where a person did not choose, and that what they chose stands."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.config import DropoutConfig, ModelConfig, TrainSettings
from pantoum.errors import SettingError
from pantoum.training.recipe import large_vocabulary
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import Outlook, Recipe, work

MEGABYTE = Outlook(tokens=1_000_000, vocab_size=65, steps=500)


def test_a_megabyte_of_text_gets_the_measured_recipe():
    recipe = choose(TrainSettings(steps=500), MEGABYTE)
    assert (recipe.model.cell, recipe.model.num_layers, recipe.model.hidden_size) == ("gru", 2, 384)
    assert (recipe.model.embedding_size, recipe.batch_size, recipe.seq_len) == (128, 64, 64)
    assert (recipe.learning_rate, recipe.schedule, recipe.optimizer) == (6.93e-3, "linear", "muon")
    assert not recipe.model.dropout.active


def test_a_minute_of_two_cores_gets_the_model_that_was_best_in_it():
    recipe = choose(TrainSettings(minutes=1), Outlook(1_000_000, 65, operations=1.4e13))
    assert (recipe.model.num_layers, recipe.model.hidden_size) == (2, 224)


def test_ten_minutes_of_two_cores_get_the_ensemble_that_was_best_in_them():
    recipe = choose(TrainSettings(minutes=10), Outlook(1_000_000, 65, operations=1.25e14))
    assert (recipe.members, recipe.model.num_layers, recipe.model.hidden_size) == (2, 2, 320)


def test_few_members_where_each_could_not_read_the_text_often():
    members = {
        tokens: choose(TrainSettings(minutes=1), Outlook(tokens, 65, operations=1.1e13)).members
        for tokens in (20_000, 200_000, 500_000, 5_000_000)
    }
    assert members == {20_000: 4, 200_000: 2, 500_000: 2, 5_000_000: 1}


def test_a_short_text_gets_a_small_model_however_much_time_there_is():
    a_poem = Outlook(16_000, 61, operations=1.4e15)
    recipe = choose(TrainSettings(minutes=60), a_poem)
    assert (recipe.model.num_layers, recipe.model.hidden_size) == (2, 128)
    assert recipe.model.dropout.kind == "variational"


def test_models_side_by_side_where_one_alone_would_read_the_text_too_often():
    def members(tokens, operations, **asked):
        return choose(TrainSettings(minutes=1, **asked), Outlook(tokens, 65, operations=operations))

    assert members(1_000_000, 1.4e13).members == 1
    three = members(1_000_000, 4.7e13)
    assert three.members > 1 and three.kept == dataclasses.replace(three.model, members=three.members)
    assert three.model.hidden_size < members(1_000_000, 4.7e13, members=1).model.hidden_size
    assert three.work(65) == three.members * work(three.model, 65)
    assert members(20_000_000, 4.7e13).members == 1
    assert members(1_000_000, 4.7e13).members > 1
    assert members(1_000_000, 4.7e13, hidden_size=96).kept.hidden_size == 96
    assert choose(TrainSettings(steps=500), MEGABYTE).members == 1


def test_a_model_to_start_from_keeps_its_members():
    source = ModelConfig("gru", 64, 1, 16)
    outlook = Outlook(20_000, 65, operations=1e14)
    assert choose(TrainSettings(minutes=1), outlook, source=source).members == 1
    with pytest.raises(SettingError, match="members is 2: it must be 1, as in the model of --from"):
        choose(TrainSettings(minutes=1, members=2), outlook, source=source)
    three = choose(TrainSettings(minutes=1), outlook, source=dataclasses.replace(source, members=3))
    assert (three.members, three.model.members, three.kept.members) == (3, 1, 3)


def test_muon_where_its_rounds_are_cheap_beside_the_update():
    wide = TrainSettings(steps=500, hidden_size=1536)
    assert choose(wide, MEGABYTE).optimizer == "adamw"
    assert choose(dataclasses.replace(wide, batch_size=256), MEGABYTE).optimizer == "muon"
    assert choose(dataclasses.replace(wide, optimizer="muon"), MEGABYTE).optimizer == "muon"


@pytest.mark.parametrize("asked", [{"learning_rate": 1e-3}, {"schedule": "constant"}])
def test_a_rate_that_a_person_gives_is_adams(asked):
    assert choose(TrainSettings(steps=500), MEGABYTE).optimizer == "muon"
    assert choose(TrainSettings(steps=500, **asked), MEGABYTE).optimizer == "adamw"
    assert choose(TrainSettings(steps=500, optimizer="muon", **asked), MEGABYTE).optimizer == "muon"


@given(st.integers(2, 10**8), st.integers(10**8, 10**16), st.sampled_from([27, 65, 257, 20_000]))
def test_more_time_never_means_a_smaller_model_and_sizes_always_fit(tokens, operations, vocab):
    small, large = (
        choose(TrainSettings(), Outlook(tokens, vocab, operations=float(operations * more)))
        for more in (1, 4)
    )
    assert work(small.model, vocab) <= work(large.model, vocab)
    for recipe in (small, large):
        assert 1 <= recipe.batch_size <= 64 and 8 <= recipe.seq_len <= 64
        assert (
            5e-4 <= recipe.learning_rate <= (16e-3 if vocab <= 512 else 32e-3) and recipe.average is not None
        )


@given(st.integers(2, 10**8), st.integers(1, 10**6))
def test_with_steps_the_sizes_come_from_the_text_alone(tokens, steps):
    one = choose(TrainSettings(steps=1), Outlook(tokens, 65, steps=1))
    other = choose(TrainSettings(steps=steps), Outlook(tokens, 65, steps=steps))
    plain = dataclasses.replace(other.model, dropout=DropoutConfig())
    assert plain == dataclasses.replace(one.model, dropout=DropoutConfig())
    assert (one.batch_size, one.seq_len) == (other.batch_size, other.seq_len)


def test_what_is_read_often_is_dropped_more():
    found = [
        choose(TrainSettings(epochs=passes), Outlook(50_000, 65, epochs=passes)).model.dropout
        for passes in (1, 6, 20, 100)
    ]
    assert not found[0].active
    assert 0 < found[1].between < found[2].between < found[3].between <= 0.35
    assert all(dropout.kind == "variational" for dropout in found[1:])


def test_a_long_text_has_no_dropout_for_some_epochs():
    def chosen(tokens, epochs):
        settings = TrainSettings(epochs=epochs, hidden_size=320, num_layers=2)
        return choose(settings, Outlook(tokens, 65, epochs=epochs)).model.dropout

    assert not chosen(500_000, 16).active and chosen(500_000, 17).active and chosen(400_000, 16).active


def test_n_grams_stand_beside_the_network_where_a_text_is_long_for_its_time():
    works, a_minute = 5_000_000, 1.4e13

    def chosen(tokens=works, vocab_size=98, operations=a_minute, **asked):
        return choose(TrainSettings(minutes=1, **asked), Outlook(tokens, vocab_size, operations=operations))

    beside = chosen().model
    assert beside.ngrams and len(beside.ngrams) * beside.ngram_rows * 98 <= 1.2e7
    assert chosen(vocab_size=256).model.ngram_rows < beside.ngram_rows
    assert chosen(vocab_size=20_000).model.ngrams == chosen(tokens=20_000).model.ngrams == ()
    assert chosen(ngrams=None).model.ngrams == chosen(hidden_size=96).model.ngrams == ()
    given = chosen(tokens=100_000, ngrams="2,7", ngram_rows=64).model
    assert (given.ngrams, given.ngram_rows) == ((2, 7), 64)
    assert choose(TrainSettings(steps=500), MEGABYTE).model.ngrams == ()


def test_the_more_epochs_the_less_n_grams_learn_in_each_and_the_larger_other_steps_are():
    def chosen(epochs, source=None, **asked):
        asked = {"ngrams": (3, 4), "hidden_size": 288, "optimizer": "muon", "dropout": "0", **asked}
        return choose(TrainSettings(epochs=epochs, **asked), Outlook(10**6, 65, epochs=epochs), source=source)

    found = [chosen(epochs) for epochs in (1, 2.5, 5, 7.5, 100)]
    assert [recipe.table_rate for recipe in found] == [1.0, 1.0, 0.5, 0.33, 0.025]
    assert [recipe.learning_rate for recipe in found] == [0.008, 0.008, 0.008, 0.012, 0.016]
    assert any("table rate 0.5" in reason for reason in found[2].reasons)
    assert chosen(7.5, dropout="0.2").learning_rate == 0.012
    assert chosen(7.5, optimizer="adamw").learning_rate == chosen(1, optimizer="adamw").learning_rate
    assert chosen(7.5, ngrams=None).table_rate == 1.0 and "table_rate" not in chosen(1).spec()
    trained = ModelConfig("gru", 288, 1, 96, ngrams=(3, 4))
    of_trained = {"ngrams": "auto", "hidden_size": "auto", "source": trained}
    assert chosen(7.5, **of_trained).table_rate == 1.0
    assert chosen(7.5, **of_trained).learning_rate == chosen(1, **of_trained).learning_rate


def test_small_texts_get_small_batches():
    tiny = choose(TrainSettings(steps=9), Outlook(500, 30, steps=9))
    assert tiny.batch_size * tiny.seq_len * 7 <= 500


def test_what_was_chosen_stands():
    asked = TrainSettings(
        steps=5,
        cell="lstm",
        hidden_size=48,
        num_layers=3,
        embedding_size=None,
        batch_size=7,
        seq_len=11,
        learning_rate=0.5,
        schedule="constant",
        clip=None,
        average=None,
        weight_decay=0.0,
        dropout="variational:0.25",
        seed=9,
    )
    recipe = choose(asked, Outlook(10_000, 65, steps=5))
    dropout = DropoutConfig.parse("variational:0.25")
    assert recipe.model == ModelConfig("lstm", 48, 3, None, False, dropout)
    assert (recipe.batch_size, recipe.seq_len, recipe.learning_rate, recipe.seed) == (7, 11, 0.5, 9)
    assert (recipe.clip, recipe.average, recipe.weight_decay, recipe.warm_up) == (None, None, 0.0, 0.0)


def test_another_models_weights_keep_their_shape_and_get_a_lower_rate():
    source = ModelConfig("gru", 384, 2, 128)
    recipe = choose(TrainSettings(steps=500), MEGABYTE, source=source)
    assert dataclasses.replace(recipe.model, dropout=source.dropout) == source
    assert recipe.learning_rate == pytest.approx(1.73e-3)


def test_work_counts_the_parameters_of_products():
    assert work(ModelConfig("gru", 512, 3, None), 98) == 3 * 512 * 512 * 5 + 512 * 98
    assert work(ModelConfig("mingru", 8, 2, 4), 10) == 2 * 8 * 4 + 2 * 8 * 8 + 8 * 10


def test_goes_through_json_and_has_its_reasons():
    recipe = choose(TrainSettings(), Outlook(10**6, 65, operations=1e13))
    again = Recipe.from_spec(json.loads(json.dumps(recipe.spec())))
    assert again == dataclasses.replace(recipe, reasons=())
    assert any("multiply-adds" in reason for reason in recipe.reasons) and len(recipe.reasons) == 8


def test_a_large_vocabulary_is_sampled_and_counts_for_what_a_step_compares():
    words = Outlook(2_000_000, 33_278, operations=1e14)
    recipe = choose(TrainSettings(minutes=10), words)
    assert recipe.samples == 512 and any("sampled:512" in reason for reason in recipe.reasons)
    full = choose(TrainSettings(minutes=10, softmax="full"), words)
    assert full.samples is None and recipe.model.hidden_size > full.model.hidden_size
    assert (
        recipe.work(33_278)
        < recipe.work_to_read(33_278)
        == full.work(33_278) + (work(recipe.model, 33_278) - work(full.model, 33_278))
    )
    assert choose(TrainSettings(minutes=10), Outlook(2_000_000, 4096, operations=1e14)).samples is None
    assert choose(TrainSettings(steps=9, softmax="sampled:7"), MEGABYTE).samples == 7
    assert Recipe.from_spec(json.loads(json.dumps(recipe.spec()))).samples == 512


def test_n_grams_add_to_all_logits_so_nothing_is_sampled():
    words = Outlook(2_000_000, 8000, operations=1e14)
    assert choose(TrainSettings(minutes=10, ngrams=(2,)), words).samples is None
    with pytest.raises(SettingError, match="softmax is 'sampled': it must be full with n-grams"):
        choose(TrainSettings(minutes=10, ngrams=(2,), softmax="sampled"), words)


def test_a_tied_head_goes_by_way_of_its_projection():
    model = ModelConfig("gru", 8, 1, 4, tied=True)
    assert work(model, 50) == 3 * 8 * (8 + 4) + 4 * (8 + 50)


WIKITEXT = Outlook(2_088_628, 33_278, operations=1e14)


def test_words_get_one_wide_layer_that_shares_its_embedding():
    recipe = choose(TrainSettings(minutes=10), WIKITEXT)
    assert (recipe.model.num_layers, recipe.model.hidden_size, recipe.model.embedding_size) == (1, 384, 384)
    assert recipe.model.tied and recipe.members == 1 and recipe.samples and recipe.kneser_ney
    assert (recipe.batch_size, recipe.seq_len) == (64, 32)
    assert any("shares the embedding of 384: 33,278 symbols" in reason for reason in recipe.reasons)
    longer = choose(TrainSettings(minutes=60), dataclasses.replace(WIKITEXT, operations=6e14))
    assert longer.model.dropout.outputs > recipe.model.dropout.outputs > 0


def test_words_are_learned_at_a_higher_rate_the_fewer_updates_there_are():
    def chosen(updates, vocab, source=None, **more):
        sizes = {"hidden_size": 288, "num_layers": 1, "batch_size": 64, "seq_len": 64}
        settings = TrainSettings(steps=updates, **sizes, **more)
        outlook = Outlook(2_000_000, vocab, steps=updates)
        return choose(settings, outlook, source=source).learning_rate

    assert [chosen(updates, 98) for updates in (300, 2441, 100_000)] == [0.008, 0.008, 0.016]
    assert [chosen(updates, 9000) for updates in (300, 1000, 2250, 4000, 100_000)] == [
        0.032,
        0.032,
        0.0213,
        0.016,
        0.00506,
    ]
    begun = [chosen(updates, vocab, neighbours=5) for vocab in (9000, 33_000) for updates in (300, 100_000)]
    assert {*begun, chosen(300, 33_000)} == {0.0208} and chosen(300, 33_000, neighbours=None) == 0.032
    timeless = choose(
        TrainSettings(minutes=1, optimizer="muon", neighbours=None), Outlook(1000, 9000, operations=0.0)
    )
    assert timeless.learning_rate > 0 and any("1 updates of a large" in why for why in timeless.reasons)
    trained = ModelConfig("gru", 288, 1, 288, tied=True)
    assert chosen(300, 9000, trained) == chosen(300, 98, trained) == 0.002


def test_a_model_of_words_goes_the_further_the_stranger_the_text_and_the_fewer_the_updates():
    trained = ModelConfig("gru", 288, 1, 288, tied=True)

    def chosen(steps, surprise, vocab=9000, **settings):
        outlook = Outlook(2_000_000, vocab, steps=steps, surprise=surprise)
        asked = TrainSettings(steps=steps, batch_size=64, seq_len=64, **settings)
        return choose(asked, outlook, source=trained)

    found = [chosen(1000, surprise).learning_rate for surprise in (0.0, 0.5, 1.0, 4.0)]
    assert found == [0.0008, 0.0044, 0.008, 0.008]
    assert [chosen(steps, 1.0).learning_rate for steps in (10, 250, 4000)] == [0.0192, 0.016, 0.0056]
    assert chosen(1000, None).learning_rate == chosen(1000, 1.0, vocab=98).learning_rate == 0.002
    assert any("0.5 nats per token higher on this text" in why for why in chosen(1000, 0.5).reasons)
    assert chosen(1000, 1.0, learning_rate=1e-4).learning_rate == 1e-4


def test_more_time_for_the_same_words_means_more_epochs_not_a_larger_model():
    def chosen(tokens, operations):
        outlook = dataclasses.replace(WIKITEXT, tokens=tokens, operations=operations)
        return choose(TrainSettings(minutes=60, members=1), outlook)

    ten, sixty = chosen(WIKITEXT.tokens, 1e14), chosen(WIKITEXT.tokens, 1e15)
    assert (ten.model.hidden_size, sixty.model.hidden_size) == (384, 512)
    assert chosen(WIKITEXT.tokens, 1e16).model.hidden_size == 512
    assert any(
        "2,088,628 tokens of text, with at most 0.9 weights of the layers" in why for why in sixty.reasons
    )
    assert not any("weights of the layers" in why for why in ten.reasons)
    assert chosen(10 * WIKITEXT.tokens, 1e15).model.hidden_size == 768
    assert choose(TrainSettings(minutes=60, hidden_size=768), WIKITEXT).model.hidden_size == 768


def test_members_of_words_need_time_to_read_the_text_often():
    def chosen(operations, **settings):
        outlook = dataclasses.replace(WIKITEXT, operations=operations)
        return choose(TrainSettings(minutes=60, **settings), outlook)

    five, twenty, sixty, days = (chosen(operations) for operations in (1e14, 3.4e14, 1.25e15, 1e17))
    assert [each.members for each in (five, twenty, sixty, days)] == [1, 2, 3, 3]
    assert (twenty.model.hidden_size, sixty.model.hidden_size) == (448, 512)
    assert any("3 members: each has time to read the text 14" in why for why in sixty.reasons)
    assert chosen(1e17, members=1).members == chosen(1e17, hidden_size=512).members == 1


def test_wide_layers_of_words_are_updated_by_muon_too():
    words = Outlook(2_000_000, 33_278, steps=20_000)
    assert choose(TrainSettings(steps=20_000, hidden_size=768), words).optimizer == "muon"
    assert choose(TrainSettings(steps=20_000, hidden_size=1536), words).optimizer == "adamw"
    characters = dataclasses.replace(words, vocab_size=98)
    wide = TrainSettings(steps=20_000, hidden_size=768, seq_len=32)
    assert choose(wide, characters).optimizer == "adamw"


def test_words_are_dropped_only_where_they_are_read_often():
    def dropped(epochs, source=None, tokens=2_000_000):
        outlook = Outlook(tokens, 20_000, epochs=epochs)
        return choose(TrainSettings(epochs=epochs), outlook, source=source).model.dropout.outputs

    found = [dropped(epochs) for epochs in (1, 2, 4, 9, 100, 1000)]
    assert found[:2] == [0.0, 0.0] and 0.0 < found[2] < found[3] < found[4] <= found[5] == 0.5
    assert dropped(9, tokens=200_000_000) < found[3]  # of so long a text less is learned by heart
    trained = ModelConfig("gru", 288, 1, 288, tied=True)
    assert [dropped(epochs, trained) for epochs in (2, 4, 9, 100)] == [0.0, 0.2, 0.3, 0.5]


def test_words_of_like_spelling_learn_together_each_less_by_itself_the_more_epochs():
    def chosen(epochs, vocab=33_000, source=None, **settings):
        outlook = Outlook(2_000_000, vocab, epochs=epochs)
        return choose(TrainSettings(epochs=epochs, **settings), outlook, source=source).spelling

    found = [chosen(epochs) for epochs in (0.1, 2, 5, 10, 1000)]
    assert found[:2] == [0.5, 0.5] and found[1] > found[2] > found[3] > found[4] > 0
    slower = [chosen(epochs, optimizer="adamw") for epochs in (0.1, 5)]  # whose learning rate is lower
    assert slower[0] == 1.0 and slower[1] > found[2]
    assert chosen(9, vocab=4000) == 1.0  # pieces are frequent
    assert chosen(5, vocab=512) is chosen(5, embedding_size=None) is chosen(5, spelling=None) is None
    assert chosen(5, source=ModelConfig("gru", 288, 1, 288, tied=True)) is None
    assert (chosen(5, spelling=0.3), chosen(5, vocab=98, spelling=0)) == (0.3, 0.0)


def test_embeddings_of_words_start_from_co_occurrence_except_in_fine_tuning():
    def chosen(vocab=33_000, source=None, **settings):
        outlook = Outlook(2_000_000, vocab, epochs=5)
        return choose(TrainSettings(epochs=5, **settings), outlook, source=source).neighbours

    assert chosen(vocab=9000) is None  # symbols as frequent as pieces
    assert chosen() == 10 and chosen(vocab=98, neighbours=3) == chosen(neighbours=3) == 3
    assert chosen(vocab=512) is chosen(embedding_size=None) is chosen(neighbours=None) is None
    source = ModelConfig("gru", 288, 1, 288, tied=True)
    assert chosen(source=source) is chosen(source=source, neighbours=None) is None
    for refused in ({"embedding_size": None}, {"source": source}):
        with pytest.raises(SettingError, match="neighbours is 3: it needs a new embedding"):
            chosen(neighbours=3, **refused)


def test_who_asks_for_an_output_layer_of_its_own_gets_one():
    assert not choose(TrainSettings(minutes=10, tied=False), WIKITEXT).model.tied
    assert not choose(TrainSettings(minutes=10, embedding_size=None), WIKITEXT).model.tied
    two = choose(TrainSettings(minutes=10, members=2), WIKITEXT)
    assert two.members == 2 and two.model.tied and two.kept.tied
    assert not choose(TrainSettings(minutes=10), dataclasses.replace(WIKITEXT, vocab_size=512)).model.tied


@given(
    st.integers(2, 10**8),
    st.integers(2, 512),
    st.one_of(st.integers(10**8, 10**16).map(float), st.none()),
    st.integers(1, 10**6),
)
def test_small_vocabularies_never_ask_what_large_ones_choose(tokens, vocab_size, operations, steps):
    outlook = Outlook(tokens, vocab_size, operations=operations, steps=None if operations else steps)
    settings = TrainSettings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_vocabulary, "SIZES", ())
        patch.setattr(large_vocabulary, "MEMBER_EPOCHS", None)
        patch.setattr(large_vocabulary, "MOST_PER_TOKEN", None)
        patch.setattr(large_vocabulary, "ROUNDS_COST", None)
        patch.setattr(large_vocabulary, "embedding_size", None)
        patch.setattr(large_vocabulary, "dropout", None)
        patch.setattr(large_vocabulary, "spelling", None)
        patch.setattr(large_vocabulary, "neighbours", None)
        recipe = choose(settings, outlook)
    assert not recipe.model.tied and recipe.kneser_ney is None and recipe.samples is None
