"""How strange a text is to a model: what it needs beyond what its card says."""

import dataclasses
import math
import random

import pytest

from pantoum.config import TrainSettings
from pantoum.data.prepare import prepare
from pantoum.text.tokenizer import from_spec
from pantoum.training.begin import read_source, surprise


@pytest.fixture
def source(run):
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


def test_it_is_the_nats_beyond_those_of_the_models_own_text(source, prepared, text):
    tokenizer = from_spec(source.tokenizer)
    own = surprise(source, prepared("own", text.read_text(), tokenizer))
    draw = random.Random(2)
    jumbled = " ".join("".join(draw.sample(line, len(line))) for line in text.read_text().splitlines())
    strange = surprise(source, prepared("strange", jumbled, tokenizer))
    assert own is not None and strange is not None
    assert 0.0 <= own <= 0.2 and strange > own + 0.5
    assert strange == round(strange, 1)


@pytest.mark.parametrize("monitor", [None, {}, {"nats_per_token": None}, "1.5", {"nats_per_token": math.nan}])
def test_a_card_that_does_not_say_gives_nothing(source, prepared, text, monitor):
    silent = dataclasses.replace(source, card={**source.card, "monitor": monitor})
    assert surprise(silent, prepared("own", text.read_text(), from_spec(source.tokenizer))) is None


def test_fine_tuning_says_what_it_found(run, tmp_path, monkeypatch):
    monkeypatch.setattr("pantoum.training.recipe.large_vocabulary.SYMBOLS", 10)
    source = run("words", steps=60, learning_rate=0.02, tokens="words")
    other = tmp_path / "other.txt"
    other.write_text("mat the cat dog on under it and. tree slept!\n" * 100)
    tuned = run("tuned", steps=2, from_=str(source.model), texts=[str(other)])
    config = (tuned.run / "config.json").read_text()
    assert "nats per token more for this text than for their own" in config
