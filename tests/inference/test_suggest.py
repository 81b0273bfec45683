"""The next word: exact where tokens are words, and found by a search elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import log

import pytest

from pantoum.errors import SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.next_word import WORD, begun_word
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
