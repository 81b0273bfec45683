"""Beginnings that are not from nothing: another model's weights, a prepared folder, a list of texts."""

import dataclasses
import math
import random

import numpy as np
import pytest

from pantoum.config import TrainSettings
from pantoum.data.prepare import prepare
from pantoum.errors import SettingError
from pantoum.formats import checkpoint, model_file
from pantoum.inference.files.precision import plain
from pantoum.inference.loaded_model import load
from pantoum.text.tokenizer import from_spec
from pantoum.training.run.run_state import RunState
from pantoum.training.source import read_source, surprise


@pytest.fixture
def source(run):
    """A trained model's file."""
    return run("source", steps=20, learning_rate=0.02)


def test_another_models_weights_are_where_training_begins(run, source, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("the cat sat on the mat and slept.\n" * 60)
    result = run("tuned", steps=1, from_=str(source.run), texts=[str(other)], learning_rate=1e-6)
    before, after = (plain(model_file.read(path)).parameters for path in (source.model, result.model))
    assert all(np.allclose(before[name], after[name], atol=1e-4) for name in before)
    assert model_file.read(result.model).card["began_from"] == model_file.read(source.model).sha256
    assert result.steps == 1


def distance(one, other):
    """How far the matrices of two models lie apart."""
    return math.sqrt(
        sum(float(np.square(one[name] - other[name]).sum()) for name in one if one[name].ndim > 1)
    )


def test_fine_tuning_pulls_the_weights_back_to_those_it_began_from(run, source, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("mats under trees ran and slept then and a tree sat on it.\n" * 60)
    before = plain(model_file.read(source.model)).parameters
    asked = {"steps": 30, "from_": str(source.model), "texts": [str(other)], "learning_rate": 0.01}
    runs = {pull: run(f"pull-{pull}", pull=pull, **asked) for pull in (None, 20, 100)}
    moved = {
        pull: distance(before, plain(model_file.read(each.model)).parameters) for pull, each in runs.items()
    }
    assert moved[100] < 0.7 * moved[20] < 0.5 * moved[None]
    chosen = model_file.read(run("chosen", **asked).model).card["settings"]
    assert chosen["pull"] == 40 and chosen["weight_decay"] == 0


def test_a_pull_without_a_model_to_begin_from_is_refused(run):
    with pytest.raises(SettingError, match=r"pull is 20\.0: it needs a model that training begins from"):
        run(steps=1, pull=20)


@pytest.fixture
def quiet(tmp_path):
    """A text with five characters that the model of ``source`` does not know."""
    other = tmp_path / "other.txt"
    other.write_text("the cat sat on the QUIET mat and slept.\n" * 60)
    return [str(other)]


@pytest.mark.parametrize("embedding", [6, None])
def test_new_characters_begin_as_the_mean_of_the_others(run, quiet, embedding):
    first = run("first", steps=4, embedding_size=embedding)
    result = run("tuned", steps=1, from_=str(first.model), texts=quiet, learning_rate=1e-9)
    before, after = (plain(model_file.read(path)) for path in (first.model, result.model))
    known = len(before.tokenizer["characters"])
    assert after.tokenizer["characters"][:known] == before.tokenizer["characters"]
    assert sorted(after.tokenizer["characters"][known:]) == sorted("QUIET")
    assert after.card["new_symbols"] == 5 and "5 symbols of the text are new" in " ".join(result.notes)
    for name, array in before.parameters.items():
        grown = after.parameters[name]
        (axis,) = [a for a in range(array.ndim) if array.shape[a] != grown.shape[a]] or (None,)
        if axis is None:
            continue
        old, new = np.split(grown, [array.shape[axis]], axis)
        assert np.allclose(old, array, atol=1e-2), name  # the file holds few bits
        assert np.allclose(new, array.mean(axis, keepdims=True), atol=1e-2), name


def test_a_run_with_new_characters_is_resumed_to_the_byte(run, source, quiet):
    whole = run("whole", steps=6, from_=str(source.model), texts=quiet)
    run("parts", steps=6, from_=str(source.model), texts=quiet, stop_after=2)
    parts = run("parts", resume=True, texts=[])
    assert parts.finished and parts.model.read_bytes() == whole.model.read_bytes()


def test_a_vocabulary_of_words_grows_as_far_as_asked(run, tmp_path):
    first = run("first", steps=2, tokens="words", kneser_ney=None)
    known = model_file.read(first.model).tokenizer["pieces"]
    other = tmp_path / "other.txt"
    other.write_text("the cat sat on the roof of a house, and the roof was old.\n" * 40)
    size = len(known) + 4
    result = run(
        "tuned", steps=1, from_=str(first.model), texts=[str(other)], vocab_size=size, kneser_ney=None
    )
    pieces = model_file.read(result.model).tokenizer["pieces"]
    assert pieces[: len(known)] == known and pieces[len(known) :] == [" roof", " house"]
    assert any("unknown to the model's tokenizer" in note for note in result.notes)


def test_a_model_with_n_grams_reads_new_characters_as_unknown(run, quiet):
    first = run("first", steps=4, ngrams="2,3", ngram_rows=64)
    result = run("tuned", steps=1, from_=str(first.model), texts=quiet)
    assert model_file.read(result.model).tokenizer == model_file.read(first.model).tokenizer
    assert any("training tokens are unknown to the model's tokenizer" in note for note in result.notes)


def test_a_text_of_known_symbols_is_said_to_be_one(run, source, text):
    notes = run("tuned", steps=1, from_=str(source.model)).notes
    assert "the model's tokenizer knows all of the text" in notes


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"hidden_size": 99}, "hidden_size is 99: it must be 12"),
        ({"cell": "lstm"}, "cell is 'lstm': it must be gru"),
        ({"tokens": "bytes"}, "tokens is 'bytes': it must be characters"),
        ({"vocab_size": 2}, "vocab_size is 2: it must be"),
        ({"ngrams": "2,3"}, r"ngrams is \(2, 3\): it must be none"),
        ({"ngram_rows": 64}, "ngram_rows is 64: it must be none"),
    ],
)
def test_a_shape_that_contradicts_the_models_is_refused(run, source, settings, what):
    with pytest.raises(SettingError, match=what):
        run("tuned", steps=1, from_=str(source.model), **settings)


def test_n_grams_go_on_from_the_models(run):
    first = run("first", steps=8, ngrams="2,3", ngram_rows=64)
    own = {"from_": str(first.model), "steps": 2, "learning_rate": 1e-6}
    for asked in ({}, {"ngrams": (2, 3)}, {"ngram_rows": 64}):
        tuned = run("tuned" + "".join(asked), **own, **asked)
        before, after = (load(each.model).network.parameters["ngrams.weight"] for each in (first, tuned))
        assert before.any() and np.allclose(before, after, atol=np.abs(before).max() / 31)  # both are codes
    for asked, what in (
        ({"ngrams": None}, "None: it must be 2, 3"),
        ({"ngram_rows": 32}, "32: it must be 64"),
    ):
        with pytest.raises(SettingError, match=what + ", as in the model of --from"):
            run("other", **own, **asked)


def test_rows_of_n_grams_that_were_not_chosen_are_said_to_say_nothing(run):
    asked = {"steps": 4, "ngram_rows": 64}
    notes = run("run", **asked, stop_after=2).notes
    assert "--ngram-rows has no effect: no n-grams were chosen (--ngrams 2,3,4 chooses them)" in notes
    assert run("run", resume=True, **asked).finished


def test_a_run_begun_from_a_model_resumes_without_it(run, source, tmp_path):
    run("tuned", steps=6, from_=str(source.model), stop_after=2)
    whole = run("whole", steps=6, from_=str(source.model))
    tuned = run("tuned", resume=True, texts=[])
    assert tuned.finished and tuned.model.read_bytes() == whole.model.read_bytes()


def test_a_prepared_folder_serves_many_runs(run, text, tmp_path):
    prepare([text], tokens="bytes", out=tmp_path / "tokens")
    one = run("one", steps=2, data=str(tmp_path / "tokens"), texts=[])
    other = run("other", steps=2, tokens="bytes")
    assert not (one.run / "data").exists() and one.model.read_bytes() == other.model.read_bytes()
    with pytest.raises(SettingError, match="tokens is 'characters': it must be bytes"):
        run("third", steps=2, data=str(tmp_path / "tokens"), texts=[], tokens="characters")


@pytest.mark.parametrize("asked", [{"valid": "none.txt"}, {"valid_fraction": 0.5}, {"vocab_size": 7}])
def test_what_a_prepared_folder_has_decided_is_not_ignored(run, text, tmp_path, asked):
    prepare([text], out=tmp_path / "tokens")
    with pytest.raises(SettingError, match=f"{next(iter(asked))} is .*prepared"):
        run("third", steps=2, data=str(tmp_path / "tokens"), texts=[], **asked)


def test_a_folder_prepared_with_another_tokenizer_than_the_models_is_refused(run, source, text, tmp_path):
    prepare([text], tokens="bytes", out=tmp_path / "tokens")
    with pytest.raises(SettingError, match=r"data is .*another tokenizer than the model's"):
        run("tuned", steps=1, from_=str(source.model), data=str(tmp_path / "tokens"), texts=[])


def test_an_epoch_is_the_training_text_once(run):
    result = run(epochs=0.5)
    state = RunState.from_spec(checkpoint.newest(result.run).state)
    steps_per_epoch = (state.cursor["tokens"] - 1) // 64
    assert result.steps == -(-steps_per_epoch // 2)


def test_a_held_out_part_too_short_to_score_is_none(run, tmp_path):
    short = tmp_path / "short.txt"
    short.write_text("abcdefghij")
    assert run(steps=2, texts=[str(short)], batch_size=1, seq_len=4).validation is None


@pytest.fixture
def surprise_source(run):
    """A model of words, trained on a few of them."""
    found = run("source", steps=60, learning_rate=0.02, tokens="words")
    return read_source(TrainSettings(from_=str(found.model)))


@pytest.fixture
def prepared(tmp_path):
    """Prepare a text under a name, by the tokenizer of the model or of its own."""

    def go(name, content, tokenizer=None):
        (tmp_path / name).write_text(content)
        out = tmp_path / f"{name}.data"
        return prepare([tmp_path / name], tokens="words", tokenizer=tokenizer, valid_fraction=0, out=out)

    return go


def test_it_is_the_nats_beyond_those_of_the_models_own_text(surprise_source, prepared, text):
    tokenizer = from_spec(surprise_source.tokenizer)
    own = surprise(surprise_source, prepared("own", text.read_text(), tokenizer))
    draw = random.Random(2)
    jumbled = " ".join("".join(draw.sample(line, len(line))) for line in text.read_text().splitlines())
    strange = surprise(surprise_source, prepared("strange", jumbled, tokenizer))
    assert own is not None and strange is not None
    assert 0.0 <= own <= 0.2 and strange > own + 0.5
    assert strange == round(strange, 1)


@pytest.mark.parametrize("monitor", [None, {}, {"nats_per_token": None}, "1.5", {"nats_per_token": math.nan}])
def test_a_card_that_does_not_say_gives_nothing(surprise_source, prepared, text, monitor):
    silent = dataclasses.replace(surprise_source, card={**surprise_source.card, "monitor": monitor})
    assert surprise(silent, prepared("own", text.read_text(), from_spec(surprise_source.tokenizer))) is None


def test_fine_tuning_says_what_it_found(run, tmp_path, monkeypatch):
    monkeypatch.setattr("pantoum.training.recipe.large_vocabulary.SYMBOLS", 10)
    surprise_source = run("words", steps=60, learning_rate=0.02, tokens="words")
    other = tmp_path / "other.txt"
    other.write_text("mat the cat dog on under it and. tree slept!\n" * 100)
    tuned = run("tuned", steps=2, from_=str(surprise_source.model), texts=[str(other)])
    config = (tuned.run / "config.json").read_text()
    assert "nats per token higher on this text than on their own" in config
