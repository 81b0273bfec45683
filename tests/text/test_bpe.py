from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import FormatError, SettingError
from pantoum.text import bpe
from pantoum.text.bpe import BpeLearner, BpeTokenizer, from_spec, learner

TEXT = "the cat sat on the mat, and the other cat sat there with the hat. " * 20


def learned(text: str = TEXT, vocab_size: int = 300, documents: str | None = None) -> BpeTokenizer:
    pupil = BpeLearner(vocab_size, documents)
    pupil.feed(text)
    return pupil.learn()


def test_merges_are_learned_and_shorten_the_text() -> None:
    tokenizer = learned()
    assert 257 < tokenizer.vocab_size <= 300
    ids = tokenizer.encode(TEXT)
    assert len(ids) < len(TEXT) / 2 and tokenizer.decode(ids) == TEXT
    assert tokenizer.spec() == learned().spec()


def test_a_short_text_gives_fewer_merges() -> None:
    assert learned("ab", 1000).vocab_size == 257
    assert learned("", 1000).vocab_size == 257


def test_provisional_numbers_become_runs_of_tokens() -> None:
    pupil = BpeLearner(300, "lines")
    text = TEXT + "\nnew line\n" + "x" * 100
    numbers = [pupil.feed(text[at : at + 70]) for at in range(0, len(text), 70)]
    rest = pupil.rest
    tokenizer = pupil.learn()
    found = np.concatenate([*map(pupil.tokens, numbers), *tokenizer.encode_blocks([rest])])
    assert np.array_equal(found, tokenizer.encode(text))


@settings(max_examples=100)
@given(st.text("abc de", max_size=200))
def test_the_heap_merges_as_the_plain_loop_does(text: str) -> None:
    tokenizer = BpeTokenizer([(98, 98), (99, 100), (257, 99), (258, 257), (98, 99), (257, 257), (260, 260)])
    ids = [b + 1 for b in text.encode()]
    assert tokenizer._merge_long(ids) == tokenizer._merge_short(ids)


def test_a_word_without_end_is_merged_in_time() -> None:
    tokenizer = BpeTokenizer([(98, 98), (257, 257), (258, 258)])
    ids = tokenizer.encode("a" * 65_536)
    assert ids.tolist() == [259] * 8192


def test_it_is_used_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = learned().spec()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert from_spec(spec).decode(from_spec(spec).encode("the hat")) == "the hat"
    with pytest.raises(SettingError, match=r"bpe:300.*pip install 'pantoum\[bpe\]'"):
        learned()


def test_the_cache_of_pieces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe, "CACHED", 3)
    tokenizer = BpeTokenizer([(98, 99)])
    text = "ab c d ef ab g h i"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer._cache) <= 3


def test_many_pieces_are_repeated_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe, "MOST_REPEATED", 10)
    ranked = [("ab", 900), ("cd", 300), ("x" * 300, 50), ("ef", 1), ("gh", 1)]
    assert bpe.learn_merges(ranked, 50) == [(98, 99), (100, 101)]
    monkeypatch.setattr(bpe, "MOST_CHARACTERS", 3)
    assert bpe.learn_merges(ranked, 50) == [(98, 99)]


def test_pieces_are_repeated_as_often_as_they_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe, "BATCH", 3)
    word = bpe.LETTERS[97] + " "
    assert list(bpe._repeated([("a", 7), ("b", 0)])) == [word * 3, word * 3, word]


def test_merges_that_make_the_same_bytes_are_one() -> None:
    letter = bpe.LETTERS
    a, b, c = letter[97], letter[98], letter[99]
    merges = [[a, b], [b, c], f"{a + b} {c}", [a, b + c]]
    assert bpe._numbered(merges) == [(98, 99), (99, 100), (257, 100)]


def test_marks_stay_in_their_words_and_signs_do_not() -> None:
    pieces = bpe.PATTERNS["bpe", "\n"].findall("नमस्ते दुनिया “so”—x_y  1234\n\n  z")
    assert pieces == [
        "नमस्ते",
        " दुनिया",
        " “",
        "so",
        "”—",
        "x",
        "_",
        "y",
        " ",
        " ",
        "123",
        "4",
        "\n",
        "\n",
        " ",
        " z",
    ]


def test_white_space_alone_parts_pieces() -> None:
    pieces = bpe.PATTERNS["bpe:whitespace", "\n"].findall("CC(=O)N1  c1_2é\tz\n \nO=C")
    assert pieces == ["CC(=O)N1", " ", " c1_2é", "\t", "z", "\n", " ", "\n", "O=C"]


def test_merges_across_signs_make_a_formula_shorter() -> None:
    text = "CC(=O)Nc1ccccc1\nO=C(c1ccccc1)N\n" * 20
    lengths = []
    for kind in ("bpe", "bpe:whitespace"):
        pupil = learner(kind, 290, "lines")
        pupil.feed(text)
        again = from_spec(pupil.learn().spec())
        lengths.append(len(again.encode(text)))
        assert again.decode(again.encode(text)) == text
    assert lengths[1] < lengths[0]


@pytest.mark.parametrize(
    "change",
    [
        {"split": 2},
        {"split": True},
        {"merges": None},
        {"merges": [[1]]},
        {"merges": [[1, 257]]},
        {"merges": [[0, 1]]},
        {"merges": [[1, 2], [1, 2]]},
        {"merges": [[True, 1]]},
        {"documents": 5},
        {"merges": [[98, 98], *([257 + k, 257 + k] for k in range(40))]},
    ],
)
def test_foreign_specs_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="the tokenizer's spec"):
        from_spec({**BpeTokenizer([]).spec(), **change})


def test_merges_may_not_stand_for_more_bytes_than_the_bound() -> None:
    doubling = [[1, 1], *([257 + at, 257 + at] for at in range(16))]
    on_top = [[273, byte + 1] for byte in range(256)]
    spec = {"kind": "bpe", "documents": None, "split": 1, "merges": doubling + on_top}
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="stand for more than 33,554,432 bytes"):
            from_spec(spec)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    fewer = from_spec({**spec, "merges": doubling + on_top[:100]})
    assert len(fewer.decode_bytes([fewer.vocab_size - 1])) == (1 << 17) + 1


def test_learning_ends_where_merges_would_stand_for_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe, "MOST_BYTES", 40)
    monkeypatch.setattr(bpe, "MOST_BYTES", 40)
    short = learned()
    assert 257 < short.vocab_size < 275
    assert from_spec(short.spec()).vocab_size == short.vocab_size


@pytest.mark.parametrize(
    "merges",
    [
        [[1, 2], [1, 2]],
        [[257, 1]],
        [[0, 1]],
        [[1]],
        [[1, 2, 3]],
        [[1, True]],
        [[1, 2.0]],
        [[1, 2**70]],
        [(1, 2)],
        [[-1, 1]],
        "ab",
    ],
)
def test_merges_that_are_no_pairs_of_earlier_numbers_are_refused(merges: object) -> None:
    with pytest.raises(FormatError, match="the tokenizer's spec has"):
        from_spec({"kind": "bpe", "documents": None, "split": 1, "merges": merges})
