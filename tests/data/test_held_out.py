from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pantoum
from pantoum.about.plan import make_plan
from pantoum.config import TrainSettings
from pantoum.data import held_out
from pantoum.data.held_out import Documents, Tail, last_tokens
from pantoum.data.prepare import prepare
from pantoum.errors import TextError
from pantoum.formats import token_file
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.text.byte import ByteTokenizer
from pantoum.text.character import CharacterTokenizer
from pantoum.text.word import WordTokenizer

CHARACTERS, WORDS = CharacterTokenizer(""), WordTokenizer("words", [])


def blocks(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@settings(max_examples=100)
@given(
    st.text("ab c", max_size=90),
    st.integers(1, 30),
    st.sampled_from([0, 0.1, 0.25, 0.3, 0.9]),
    st.sampled_from(["characters", "words"]),
)
def test_a_stream_is_cut_where_the_fraction_or_the_most_says(
    text: str, size: int, fraction: float, kind: str
) -> None:
    tokenizer = CHARACTERS if kind == "characters" else WORDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "MOST_TOKENS", 7)
        patch.setattr(held_out, "MOST_CHARACTERS", 20)
        split = Tail(fraction, single=kind == "characters")
        train = "".join(split.training(blocks(text, size)))
        first = int(len(text) * (1 - Fraction(str(fraction))))
        most = 0 if not fraction else 7 if kind == "characters" else 20
        assert len(train) == max(first, len(text) - most)
        train += split.too_much(tokenizer)
        assert train + split.held == text
        assert len(list(tokenizer.encode(split.held))) <= 7


def test_only_the_end_is_kept_back() -> None:
    split = Tail(0.1, single=True)
    source = ("x" * 50_000 for _ in range(40))
    passed = [len(block) for block in split.training(source)]
    assert sum(passed) == 1_800_000 and len(passed) > 30
    assert split.too_much(ByteTokenizer()) == ""


def held(count: int, fraction: float, size: int = 0) -> list[int]:
    split = Documents(fraction, "\n", size)
    text = "".join(f"{i}\n" for i in range(count))
    train = "".join(split.training(blocks(text, 17)))
    out = [int(line) for line in split.held.split()]
    assert sorted([*map(int, train.split()), *out]) == list(range(count))
    return out


def test_documents_go_by_the_hash_of_their_index() -> None:
    def check(i: int) -> int:
        return zlib.crc32(str(i).encode("ascii"))

    assert held(500, 0.1) == [i for i in range(500) if check(i) % 10 == 0]
    assert held(500, 0.25) == [i for i in range(500) if check(i) % 4 == 0]
    assert held(500, 0.3) == [i for i in range(500) if check(i) % 10 < 3]
    assert held(500, 0) == []
    assert held(500, 0.1, 6_000_000) == [i for i in range(500) if check(i) % 30 == 0]


def test_a_document_that_is_too_long_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "MOST_TOKENS", 10)
    split = Documents(0.5, "\n", 0)
    chosen = [i for i in range(40) if zlib.crc32(b"%d" % i) % 2 == 0]
    train = "".join(split.training(blocks("sixteen letters.\n" * 40, 5)))
    assert split.held == "sixteen le" and train.count("\n") == 39
    assert split.notes == [f"document {chosen[0]} is cut at 10 held-out characters; its rest is not used"]


def test_few_documents_of_which_none_is_chosen_are_noticed() -> None:
    split = Documents(0.1, "\n", 0)
    list(split.training(["a\nb\nc"]))
    assert split.forgotten and split.lowest == min((0, 1), key=lambda i: zlib.crc32(b"%d" % i))
    only = Documents(0.1, "\n", 0, only=split.lowest)
    train = "".join(only.training(["a\nb\nc"]))
    assert sorted(train + only.held) == sorted("a\nb\nc") and only.held and not only.forgotten


def test_an_empty_document_is_not_the_one_to_hold_out() -> None:
    lowest = min(range(4), key=lambda i: zlib.crc32(b"%d" % i))
    documents = ["" if i == lowest else "abc"[i % 3] * 9 for i in range(4)]
    split = Documents(0.01, "\n", 0)
    list(split.training(["\n".join([*documents, "end"])]))
    assert split.forgotten and split.lowest != lowest


@pytest.mark.parametrize("text", ["a", "a\n", "a\n"[:1]])
def test_one_document_is_learned_from(text: str) -> None:
    split = Documents(0.1, "\n", 0)
    assert "".join(split.training([text])) == text and not split.forgotten
    assert split.too_much(CHARACTERS) == ""


def test_the_last_pieces_that_are_few_enough() -> None:
    assert last_tokens([(3, 1), (2, 2), (4, 1)], 3) == 3
    assert last_tokens([(3, 1), (2, 2), (4, 1)], 4) == 0
    assert last_tokens([(3, 1), (2, 2), (4, 1)], 2) == 5
    assert last_tokens([], 2) == 0


def test_a_share_whose_decimals_do_not_end_holds_out_that_share() -> None:
    for share in (1 / 3, 0.1 * 3, 1 / 7):
        split = Documents(share, "\n", 4000)
        trained = "".join(split.training(["a\n" * 3000]))
        assert abs(len(split.held) / 6000 - share) < 0.05 and len(trained) + len(split.held) == 6000


@pytest.mark.parametrize("text", ["abc\n\n", "\nabc", "\n\nabc\n\n\n"])
def test_the_only_document_that_says_something_is_learned_from(text: str) -> None:
    split = Documents(0.1, "\n", len(text))
    assert "abc" in "".join(split.training([text])) and not split.forgotten


TEXT = "The cat sat on the mat. A dog ran, and ran.\n" * 60


@pytest.mark.parametrize("tokens", ["auto", "bytes", "words", "bpe:300"])
@pytest.mark.parametrize("documents", [None, "lines"])
def test_tokens_in_memory_are_those_of_a_folder(
    tokens: str, documents: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text(TEXT)
    asked = {"tokens": tokens, "documents": documents}
    folder = prepare([tmp_path / "text"], out=tmp_path / "out", **asked)
    monkeypatch.setattr("pantoum.formats.durable.new_file", None)
    held = prepare([tmp_path / "text"], out=None, **asked)
    assert held.folder is None and held.tokenizer.spec() == folder.tokenizer.spec()
    assert (held.facts, held.notes) == (folder.facts, folder.notes)
    for own, kept in ((held.train, folder.train), (held.valid, folder.valid)):
        assert own is not None and kept is not None
        assert own.tokens.dtype == kept.tokens.dtype and own.count == kept.count
        assert np.array_equal(own.tokens, kept.tokens) and not own.tokens.flags.writeable
        assert np.array_equal(own.read(3, 20), kept.read(3, 20))


def test_a_text_that_is_large_is_held_in_a_file_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [np.arange(number, number + 90, dtype=np.uint32) for number in range(7)]
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 100)
    stored = token_file.held(iter(blocks), 300)
    assert stored.tokens.dtype == np.uint16 and np.array_equal(stored.tokens, np.concatenate(blocks))
    assert np.array_equal(np.concatenate(list(stored.blocks())), stored.tokens)


def test_a_text_that_is_too_short_is_refused_in_memory_too(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a")
    with pytest.raises(TextError, match="too short"):
        prepare([tmp_path / "text"], out=None)


def test_evaluating_and_planning_write_no_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").write_text(TEXT)
    monkeypatch.setattr("pantoum.formats.durable.new_file", None)
    network = LanguageModel(257, 8, hidden_size=8, num_layers=1)
    found = pantoum.Model(LoadedModel.of(network, ByteTokenizer())).evaluate([tmp_path / "text"])
    assert found.tokens == len(TEXT) - 1
    plan = make_plan(TrainSettings(steps=3), [str(tmp_path / "text")])
    assert plan.training_tokens + plan.held_out_tokens == len(TEXT)
