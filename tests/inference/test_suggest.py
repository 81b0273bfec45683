"""The next word: exact where tokens are words, and found by a search elsewhere."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from math import log
from pathlib import Path

import numpy as np
import pytest

from pantoum.config import CompleteConfig
from pantoum.errors import SettingError
from pantoum.formats.model_file import SCALE
from pantoum.inference import adapt
from pantoum.inference.adapt import Settings
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.next_word import WORD, Completer, Suggestion, begun_word
from pantoum.inference.session import Session
from pantoum.model import Model
from pantoum.text.tokenizer import learner
from tests.inference.conftest import model_of

Make = Callable[..., LoadedModel]
LETTER = re.compile(r"\w")


def test_of_words_the_suggestions_are_the_most_probable_words(make: Make) -> None:
    model = Model(make("words"))
    session = model.session()
    session.feed("The cat ")
    own = [one for one in session.predict(1000) if one.token > 1 and WORD.fullmatch(one.text.strip())]
    of: dict[str, float] = {}
    for one in own:
        word = one.text.removeprefix(" ")
        of[word] = of.get(word, 0.0) + one.probability
    best = sorted(of.items(), key=lambda pair: -pair[1])[:4]
    found = model.suggest("The cat ", 4)
    assert [one.text for one in found] == [word for word, _ in best]
    assert [one.probability for one in found] == pytest.approx([p for _, p in best], rel=1e-4)


@pytest.mark.parametrize("prompt", ["The cat", "on the mat.", "A dog ran,", "sat on"])
def test_a_word_is_as_probable_as_with_all_signs_after_it(make: Make, prompt: str) -> None:
    model = Model(make("words:whitespace"))
    session = model.session()
    session.feed(prompt + " ")
    of: dict[str, float] = {}
    for one in session.predict(1000):
        word = WORD.match(one.text.strip(" "))
        if one.token > 1 and word:
            of[word[0]] = of.get(word[0], 0.0) + one.probability
    best = sorted(of.items(), key=lambda pair: -pair[1])
    for k in (1, 3, 5):
        found = model.suggest(prompt + " ", k)
        assert [one.text for one in found] == [word for word, _ in best[:k]]
        assert [one.probability for one in found] == pytest.approx([p for _, p in best[:k]], rel=1e-4)


def test_of_words_those_that_begin_so_share_all_probability(make: Make) -> None:
    found = Model(make("words")).suggest("The cat ra", 50)
    assert {one.text for one in found} == {"ran"}
    assert sum(one.probability for one in found) == pytest.approx(1.0, abs=1e-4)


def test_of_characters_a_probability_is_that_of_the_letters_and_an_end(make: Make) -> None:
    model = Model(make("characters"))
    for one in model.suggest("The ", 3):
        session = model.session()
        session.feed("The ")
        expected = 1.0
        for letter in one.text:
            expected *= next(p.probability for p in session.predict(100) if p.text == letter)
            session.feed(letter)
        unknown = {0, 1}
        expected *= sum(
            p.probability
            for p in session.predict(100)
            if p.token not in unknown and not WORD.fullmatch(p.text)
        )
        assert one.probability == pytest.approx(expected, rel=1e-3)


def every_word(session: Session, text: str, probability: float, least: float) -> Iterator[tuple[str, float]]:
    """All words after a text whose beginnings are more probable than that, one letter after the other."""
    after = [one for one in session.predict(100) if one.token > 1]
    if LETTER.search(text):
        yield text, probability * sum(one.probability for one in after if not LETTER.fullmatch(one.text))
    for one in after:
        goes_on = LETTER.fullmatch(one.text) or (one.text.isspace() and not LETTER.search(text))
        if goes_on and probability * one.probability > least:
            twin = session.fork()
            twin.feed(one.text)
            yield from every_word(twin, text + one.text, probability * one.probability, least)


@pytest.mark.parametrize(("prompt", "k"), [("The ca", 3), ("The ca", 8), ("A ", 3), ("The end", 5)])
@pytest.mark.parametrize("members", [1, 2])
def test_of_characters_nothing_more_probable_is_missed(make: Make, prompt: str, k: int, members: int) -> None:
    model = Model(make("characters", members=members))
    found = [(one.text, one.probability) for one in model.suggest(prompt, k)]
    session, (before, begun) = model.session(), begun_word(prompt)
    session.feed(before + begun)
    least = found[-1][1] * 0.999
    best = sorted(every_word(session, begun, 1.0, least), key=lambda pair: -pair[1])[:k]
    assert [word for word, _ in found] == [word for word, _ in best]
    assert [p for _, p in found] == pytest.approx([p for _, p in best], rel=1e-3)


def test_a_long_word_is_completed(make: Make) -> None:
    begun = "the" * 20
    found = Model(make("characters")).suggest(begun, 3)
    assert len(found) == 3
    assert all(one.text.startswith(begun) for one in found)


@pytest.fixture(scope="module")
def many_words() -> Model:
    """A model of words that knows 60 words, 30 of which begin with the same letter."""
    scholar = learner("words", None, None)
    scholar.feed(" ".join(f"{first}{a}{b}" for first in "xy" for a in "abcde" for b in "abcdef"))
    return Model(model_of(scholar.learn()))


def test_as_many_words_as_are_asked_for_are_found(many_words: Model) -> None:
    found = many_words.suggest("xaa ", 50)
    assert len(found) == 50
    rest = [one.probability for one in many_words.suggest("xaa ", 60)[50:]]
    assert max(rest) <= found[-1].probability


def test_a_probability_is_a_share_of_all_words_that_begin_so(many_words: Model) -> None:
    session = many_words.session()
    session.feed("xaa ")
    own = [one for one in session.predict(1000) if one.text.strip().startswith("x")]
    p_of = {one.text.strip(): one.probability / sum(each.probability for each in own) for one in own}
    for one in many_words.suggest("xaa x", 3):
        assert one.probability == pytest.approx(p_of[one.text], rel=1e-4)


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
def test_a_letter_may_be_several_tokens(make: Make, kind: str) -> None:
    """No half of a character is suggested, and letters that are several bytes are gone on with."""
    model = Model(make(kind))
    for begun in ("", "f\u00fc", "\u6f22\u5b57", "na\u00efve"):
        found = [one.text for one in model.suggest(f"The {begun}", 20)]
        assert found and all(WORD.fullmatch(word) and word.startswith(begun) for word in found)
    session = model.session()
    session.feed([*model.tokenizer.encode("The "), 1 + 0xC3] if kind == "bytes" else "The ")
    assert all(WORD.fullmatch(one.text) for one in session.suggest(5))


def test_a_word_without_an_end_takes_no_longer_than_its_tokens(make: Make) -> None:
    """It took the square of its length."""
    assert Model(make("characters")).suggest("a" * 300_000) == []


@pytest.mark.filterwarnings("ignore:not in the model's vocabulary")
@pytest.mark.parametrize("kind", ["bytes", "characters", "bpe", "words", "words:whitespace"])
def test_words_are_whole_and_go_on_with_what_is_begun(make: Make, kind: str) -> None:
    model = Model(make(kind))
    for prompt in ("", "The ", "The", "The c", "The cat sat on the ma", "Th\n", "é "):
        _, begun = begun_word(prompt)
        found = model.suggest(prompt, 5)
        probabilities = [one.probability for one in found]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(0.0 < p <= 1.0 for p in probabilities) and sum(probabilities) < 1.001
        assert all(one.text.startswith(begun) for one in found)
        assert len({one.text for one in found}) == len(found)


def test_a_session_stays_where_it_is(make: Make) -> None:
    session = Model(make("characters")).session()
    session.feed("The ca")
    before = bytes(session.state)
    assert session.suggest(2) == session.fork().suggest(2)
    assert bytes(session.state) == before
    with pytest.raises(SettingError, match="begun"):
        session.suggest(begun="two words")


@pytest.mark.parametrize("kind", ["bytes", "characters", "bpe", "bpe:whitespace", "words"])
@pytest.mark.parametrize("documents", [None, "lines"])
def test_choices_are_as_probable_as_all_of_their_tokens(make: Make, kind: str, documents: str | None) -> None:
    model = Model(make(kind, documents))
    found = model.choices("The cat", [" sat on", " ran", " sat on the mat."])
    assert sum(one.probability for one in found) == pytest.approx(1.0)
    assert sum(one.probability_per_token for one in found) == pytest.approx(1.0)
    for one in found:
        session, expected = model.session(), 0.0
        session.feed("The cat")
        for token in model.tokenizer.encode(one.text).tolist():
            expected += log(next(p.probability for p in session.predict(1000) if p.token == token))
            session.feed([token])
        assert one.log_probability == pytest.approx(expected, rel=1e-4)


def test_choices_that_are_none_are_refused(make: Make) -> None:
    model = Model(make("characters"))
    with pytest.raises(SettingError, match="choices"):
        model.choices("The", [])
    with pytest.raises(SettingError, match="choices"):
        model.choices("The", [""])


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
