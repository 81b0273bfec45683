from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.text.bpe import BpeTokenizer
from pantoum.text.byte import ByteTokenizer
from pantoum.text.character import CharacterTokenizer
from pantoum.text.prompt import encode_prompt, prompt_places
from pantoum.text.tokenizer import Tokenizer
from pantoum.text.word import WordTokenizer

LETTERS = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '-.\n")
WORDS = WordTokenizer("words", ["It", "'", "s", " naive", " cafe", "."])
ALL = [
    LETTERS,
    WORDS,
    ByteTokenizer(),
    BpeTokenizer([]),
    CharacterTokenizer("ab", "blank-lines"),
    WordTokenizer("words:whitespace", ["a", "b"]),
]


def read(tokenizer: Tokenizer, prompt: str | bytes) -> tuple[str, list[str]]:
    ids, notes = encode_prompt(tokenizer, prompt)
    return tokenizer.decode(ids), notes


def test_typographic_signs_and_accents_are_folded() -> None:
    text, notes = read(LETTERS, "it’s “naïve” caf\u00e9 — e\u0301…\tﬁn ½")
    assert text == "it's 'naive' cafe - e... fin " + "\ufffd"
    assert len(notes) == 2 and "'’' as \"'\"" in notes[0] and notes[1].endswith("'½'")


def test_words_are_folded_whole() -> None:
    text, notes = read(WORDS, "It’s naïve café. Zut")
    assert text == "It's naive cafe.<unk>"
    assert notes[1] == "not in the model's vocabulary, read as unknown: ' Zut'"


def test_a_symbol_is_named_once_and_many_are_counted() -> None:
    _, notes = read(LETTERS, "☃☃☃")
    assert notes == ["not in the model's vocabulary, read as unknown: '☃'"]
    _, notes = read(LETTERS, "".join(map(chr, range(0x4E00, 0x4E20))))
    assert notes[0].endswith("and 24 more")


def test_what_is_known_is_left_alone() -> None:
    assert read(CharacterTokenizer("é’"), "é’é") == ("é’é", [])
    assert read(CharacterTokenizer("ab", "blank-lines"), "a\n\nb") == ("a\n\nb", [])


def test_lone_surrogates_are_replaced_and_said_once() -> None:
    text, notes = read(ByteTokenizer(), "a\udc80\udc81")
    assert text == "a\ufffd\ufffd" and len(notes) == 1 and "surrogates" in notes[0]


def test_a_prompt_that_is_not_utf8() -> None:
    assert read(ByteTokenizer(), b"a\xff") == ("a\ufffd", [])
    text, notes = read(BpeTokenizer([]), b"a\xff")
    assert text == "a\ufffd" and "not UTF-8" in notes[0]
    assert read(BpeTokenizer([]), "a\ufffd".encode()) == ("a\ufffd", [])


@pytest.mark.parametrize("tokenizer", ALL, ids=lambda t: t.kind)
@settings(max_examples=40)
@given(st.text(max_size=40) | st.binary(max_size=40))
def test_no_prompt_crashes(tokenizer: Tokenizer, prompt: str | bytes) -> None:
    ids, _ = encode_prompt(tokenizer, prompt)
    assert (ids < tokenizer.vocab_size).all()


@pytest.mark.parametrize("tokenizer", ALL, ids=lambda t: t.kind)
def test_a_prompt_of_1_mb(tokenizer: Tokenizer) -> None:
    ids, notes = encode_prompt(tokenizer, "añ☃ 0\x00\n" * 125_000)
    assert len(ids) > 100_000 and len(notes) <= 2 and all(len(note) < 400 for note in notes)


def test_the_unk_of_a_pretokenised_text_is_a_word_of_a_prompt() -> None:
    tokenizer = WordTokenizer("words:whitespace", ["the", "cat"])
    assert read(tokenizer, "the <unk> cat") == ("the <unk> cat", [])
    text, notes = read(tokenizer, "the <unk> dog")
    assert text == "the <unk> <unk>"
    assert notes == ["not in the model's vocabulary, read as unknown: 'dog'"]


def places(tokenizer: Tokenizer, prompt: str) -> list[tuple[str, int]]:
    """Each token of a prompt, as it reads, and where it begins."""
    ids, _ = encode_prompt(tokenizer, prompt)
    begins = prompt_places(tokenizer, prompt, ids)
    return [(tokenizer.decode([token]), begin) for token, begin in zip(ids.tolist(), begins, strict=True)]


def test_a_token_begins_where_its_symbol_stands_in_the_prompt() -> None:
    assert places(LETTERS, "x\r\ny") == [("x", 0), ("\n", 2), ("y", 3)]
    assert places(LETTERS, "\ufb01x") == [("f", 0), ("i", 0), ("x", 1)]
    assert places(LETTERS, "\u6c34a")[1] == ("a", 1)
    found = places(WORDS, "Zutalors naive cafe.")
    assert [begin for _, begin in found] == [0, 8, 14, 19]
    joined = places(WORDS, "It na\u200dive cafe.")  # what is folded to nothing joins two words
    assert [begin for _, begin in joined] == [0, 2, 9, 14]
    blank = CharacterTokenizer("ab", "blank-lines")
    assert [begin for _, begin in places(blank, "a\n \n\nb")] == [0, 1, 5]
    assert [begin for _, begin in places(ByteTokenizer(), "a\u00e9b")] == [0, 1, 1, 2]


@given(prompt=st.text(st.sampled_from("ab z.\u2019\u200d\ufb01\u0301\r\n\n\t\u6c34\ud83d"), max_size=30))
@settings(max_examples=200)
def test_places_ascend_within_the_prompt(prompt: str) -> None:
    for tokenizer in ALL:
        ids, _ = encode_prompt(tokenizer, prompt)
        begins = prompt_places(tokenizer, prompt, ids)
        assert len(begins) == len(ids) and begins == sorted(begins)
        assert all(0 <= begin <= len(prompt) for begin in begins)
