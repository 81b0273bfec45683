from __future__ import annotations

import pytest

from pantoum.errors import FormatError, SettingError, TextError
from pantoum.text.character import CharacterLearner, CharacterTokenizer, from_spec


def learned(text: str, vocab_size: int | None = None, documents: str | None = None) -> CharacterTokenizer:
    pupil = CharacterLearner(vocab_size, documents)
    pupil.feed(text)
    return pupil.learn()


def test_numbers_go_by_frequency_then_code_point() -> None:
    tokenizer = learned("cccbaab😀é")
    assert tokenizer.characters == "cabé😀"
    assert tokenizer.encode("cab").tolist() == [2, 3, 4]
    assert (tokenizer.eos, tokenizer.unk, tokenizer.vocab_size) == (0, 1, 7)


def test_what_is_not_known_is_unk_and_reads_as_the_replacement_sign() -> None:
    tokenizer = learned("ab")
    assert tokenizer.encode("axb😀").tolist() == [2, 1, 3, 1]
    assert tokenizer.decode([2, 1]) == "a\ufffd"
    assert "a" in tokenizer and "x" not in tokenizer and "ab" not in tokenizer


def test_a_vocabulary_size_keeps_the_most_frequent() -> None:
    assert learned("aaabbc", vocab_size=4).characters == "ab"
    with pytest.raises(SettingError, match="vocab_size is 2"):
        CharacterLearner(2, None)


def test_the_border_is_no_character() -> None:
    assert learned("a\nb\n", documents="lines").characters == "ab"
    tokenizer = learned("a\udfffb", documents="files")
    assert tokenizer.characters == "ab"
    assert tokenizer.decode([2, 0, 3]) == "ab"


def test_more_than_256_characters_need_wider_numbers() -> None:
    text = "".join(map(chr, range(0x100, 0x300))) + "plain 😀"
    tokenizer = learned(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode("plain")) == "plain"


def test_bytes_must_be_utf8() -> None:
    with pytest.raises(
        TextError, match=r"the text is not UTF-8: byte 0xff at offset 2; decode it from windows-1252"
    ):
        learned("ab").encode(b"ab\xff")
    with pytest.raises(TextError, match="decode it from utf-16"):
        learned("ab").encode(b"\xff\xfea\x00")


def test_asking_for_tokens_before_learning_is_a_mistake_of_ours() -> None:
    pupil = CharacterLearner(None, None)
    with pytest.raises(AssertionError):
        pupil.tokens(pupil.feed("a"))


@pytest.mark.parametrize("characters", [3, "aa", "a\ud800", "a\n"])
def test_foreign_specs_are_refused(characters: object) -> None:
    with pytest.raises(FormatError, match="the tokenizer's spec has"):
        from_spec({"kind": "characters", "documents": "lines", "characters": characters})
