"""Words while a person types: what is typed is read once, and with ``adapt`` it is learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pantoum.config import CompleteConfig
from pantoum.formats.model_file import SCALE
from pantoum.inference import adapt
from pantoum.inference.adapt import Settings
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.next_word import Completer, Suggestion
from pantoum.model import Model

Make = Callable[..., LoadedModel]


def trained(model: LoadedModel) -> LoadedModel:
    """As training leaves a model: with the sizes of its gradients, and no weight far off."""
    for array in model.network.parameters.values():
        array *= 0.2
    sizes = {SCALE + name: np.full(len(a), 0.05, np.float32) for name, a in model.network.parameters.items()}
    return dataclasses.replace(LoadedModel.of(model.network, model.tokenizer), extras=sizes)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large steps: what takes pages takes lines."""
    monkeypatch.setattr(adapt, "settings_for", lambda size: Settings(chunk=16, rate=0.3, decay=0.0, lower=1))


def keys(text: str) -> Iterator[str]:
    """A text as it is typed."""
    return (text[:end] for end in range(1, len(text) + 1))


def probability(found: list[Suggestion], word: str) -> float:
    return sum(one.probability for one in found if one.text == word)


@pytest.mark.filterwarnings("ignore:not in the model's vocabulary")
@pytest.mark.parametrize("kind", ["bytes", "characters", "bpe", "words"])
def test_the_answers_are_those_of_each_text_alone(make: Make, kind: str) -> None:
    model = make(kind)
    completer = Completer(model, CompleteConfig())
    texts = [*keys("The cat sat\non the m"), "The cat", "on the m", "A dog ran and", "A dog ra", ""]
    for text in texts:
        expected = Model(model).suggest(text, 3)
        found = completer.words(text)
        assert [one.text for one in found] == [one.text for one in expected]
        assert [one.probability for one in found] == pytest.approx([one.probability for one in expected])


@pytest.mark.filterwarnings("ignore:not in the model's vocabulary")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["characters", "words"])
def test_a_word_is_learned_while_it_is_typed(make: Make, kind: str) -> None:
    model = trained(make(kind))
    plain, learning = (Completer(model, CompleteConfig(count=20, adapt=adapts)) for adapts in (False, True))
    typed = "The dog ran.\n" * 60
    for end in range(0, len(typed), 7):
        learning.words(typed[:end])
    before, after = (probability(one.words(typed + "The "), "dog") for one in (plain, learning))
    assert after > max(3 * before, 0.15)


def test_an_answer_comes_before_what_is_learned(make: Make) -> None:
    model = trained(make("characters"))
    completer, plain = (Completer(model, CompleteConfig(adapt=adapts)) for adapts in (True, False))
    text = "The dog ran to the mat.\n" * 12 + "The d"
    completer.words("The d")
    assert completer.words(text) == plain.words(text)
    completer.learn()
    assert completer.words(text) != plain.words(text)


def test_lines_that_a_text_brings_were_not_typed(make: Make) -> None:
    model = trained(make("characters"))
    read, typed = (Completer(model, CompleteConfig(adapt=True)) for _ in range(2))
    text = "The dog ran.\n" * 40
    read.words(text + "The ")
    assert read.words(text + "The d") == Completer(model, CompleteConfig()).words(text + "The d")
    for line in range(40):
        typed.words(text[: 13 * line] + "The d")
    assert typed.words(text + "The d") != read.words(text + "The d")


def test_the_lines_before_a_cursor_move_on_without_being_read_again(make: Make) -> None:
    model = trained(make("characters"))
    lines = [f"The {word} sat on the mat.\n" for word in ("cat", "dog", "day", "end", "mat") * 8]
    completer, learned = Completer(model, CompleteConfig(adapt=True)), 0
    for end in range(len(lines)):
        completer.words("".join(lines[max(0, end - 3) : end]) + "The ")
        learned += len(lines[end])
    completer.learn()
    assert completer._adapter is not None
    assert completer._adapter.tokens == (learned - len(lines[-1])) // 192 * 192
    assert completer._session.state.tokens_seen == learned - len(lines[-1]) + len("The ")


@pytest.mark.usefixtures("quick")
def test_what_was_typed_is_in_the_model_that_is_saved(make: Make, tmp_path: Path) -> None:
    model, out = trained(make("words", "lines")), tmp_path / "mine.safetensors"
    completer = Completer(model, CompleteConfig(adapt=True, model_out=str(out)))
    for _ in range(30):
        for text in keys("The dog ran"):
            completer.words(text)
    completer.finish()
    before, after = (probability(Model(one).suggest("The dog ", 20), "ran") for one in (model, load(out)))
    assert after > 3 * before > 0.0
