from __future__ import annotations

import re

import numpy as np
import pytest

from pantoum.errors import FormatError, SettingError
from pantoum.text import pieces, word
from pantoum.text.numbers import UnknownCount, joined
from pantoum.text.word import WordLearner, WordTokenizer, from_spec


def learned(
    text: str, kind: str = "words", vocab_size: int | None = 100, documents: str | None = None
) -> WordTokenizer:
    pupil = WordLearner(kind, vocab_size, documents)
    pupil.feed(text)
    return pupil.learn()


def test_pieces_are_those_of_the_published_pattern() -> None:
    text = "It's  a _word_, really…\n\tYes: 3.5 % naïve 中文 x\u0301"
    assert learned(text).split(text) == re.findall(r" ?\w+| ?[^\w\s]|\s", text)


def test_the_most_frequent_are_kept_ties_by_code_point() -> None:
    tokenizer = learned("b b b a c a c z", vocab_size=5)
    assert tokenizer.pieces == [" a", " b", " c"]
    assert tokenizer.vocab_size == 5
    assert tokenizer.decode(tokenizer.encode(" b q")) == " b<unk>"


def test_a_word_is_cut_at_64_kb() -> None:
    tokenizer = learned("a" * 150_000)
    assert sorted(map(len, tokenizer.pieces)) == [150_000 - 2 * 65_536, 65_536]
    assert len(tokenizer.encode("a" * 150_000)) == 3


def test_whitespace_words_end_each_line_with_eos() -> None:
    tokenizer = learned(" = A title = \n\n the <unk> sat \n", "words:whitespace")
    assert tokenizer.eos_text == "\n" and tokenizer.documents is None
    ids = tokenizer.encode("the <unk> sat\n= the\n")
    assert tokenizer.decode(ids) == "the <unk> sat\n= the\n"
    assert ids[1] == tokenizer.unk and ids[3] == ids[-1] == 0
    assert "<unk>" not in tokenizer.pieces and "\n" not in tokenizer.pieces


@pytest.mark.parametrize("kind", ["words", "words:whitespace"])
def test_only_a_pretokenised_texts_own_unk_is_known(kind: str) -> None:
    text = "the <unk> sat\nno <unk>here <unk>\nthe rat\n"
    tokenizer = learned("the sat no <unk>here the <unk> \n", kind)
    for size in (1, 3, 100):
        lacking = UnknownCount()
        blocks = [text[at : at + size] for at in range(0, len(text), size)]
        found = joined(tokenizer.encode_blocks(blocks, lacking))
        assert np.array_equal(found, tokenizer.encode(text))
        assert lacking.count == (1 if kind == "words:whitespace" else np.count_nonzero(found == 1))


def test_a_learner_counts_the_words_that_its_vocabulary_lacks() -> None:
    pupil = WordLearner("words:whitespace", 4, None)
    lacking = UnknownCount()
    numbers = pupil.feed("b <unk> b a <unk> a c <unk> d b\n ")
    assert pupil.learn().pieces == ["b", "a"]
    assert pupil.tokens(numbers, lacking).tolist() == [2, 1, 2, 3, 1, 3, 1, 1, 1, 2]
    assert lacking.count == 2


def test_a_text_with_unk_keeps_its_whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word, "WORDS", 4)
    assert learned("a a b b c d", "words:whitespace", None).pieces == ["a", "b"]
    assert learned("a a b b c <unk> d", "words:whitespace", None).pieces == ["a", "b", "c", "d"]
    assert learned("a a b b c <unk> d", "words:whitespace", 4).pieces == ["a", "b"]
    assert learned(" a a b b <unk> d", "words", None).vocab_size == 4


def test_whitespace_at_a_blocks_end_parts_words() -> None:
    tokenizer = learned("ab cd", "words:whitespace")
    found = joined(tokenizer.encode_blocks(["ab  ", " ", "cd", "\n", " "]))
    assert found.tolist() == tokenizer.encode("ab cd\n").tolist()


def test_lines_are_documents() -> None:
    tokenizer = learned("one two\none\n", documents="lines")
    assert tokenizer.encode("one\none").tolist().count(0) == 1
    assert tokenizer.decode(tokenizer.encode("one\none\n")) == "one\none\n"


def test_a_table_that_grows_too_large_keeps_the_frequent_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_PIECES", 40)
    pupil = WordLearner("words", 6, None)
    for block in range(20):
        numbers = pupil.feed("the cat sat on " + " ".join(f"w{block * 10 + i}" for i in range(10)) + " ")
    assert not pupil.exact and len(numbers) == 0
    assert set(pupil.learn().pieces) == {" cat", " on", " sat", " "} or " the" in pupil.learn().pieces


def test_long_pieces_count_by_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_CHARACTERS", 1000)
    pupil = WordLearner("words", 6, None)
    for letter in "abcdef":
        pupil.feed("to be or not to be " + letter * 300 + " ")
    assert not pupil.exact
    assert " to" in pupil.learn()


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(SettingError, match="vocab_size is 2"):
        WordLearner("words", 2, None)


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "words", "documents": None, "pieces": "abc"},
        {"kind": "words", "documents": None, "pieces": ["a", "a"]},
        {"kind": "words", "documents": None, "pieces": ["a", ""]},
        {"kind": "words", "documents": None, "pieces": ["\udc80"]},
        {"kind": "words", "documents": "lines", "pieces": ["\n"]},
        {"kind": "words:whitespace", "documents": "files", "pieces": ["a"]},
        {"kind": "words", "documents": None, "pieces": [], "more": 1},
    ],
)
def test_foreign_specs_are_refused(spec: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="the tokenizer's spec"):
        from_spec(spec)
