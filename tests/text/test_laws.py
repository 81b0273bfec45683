"""Laws that hold for every tokenizer and every text."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.text.bpe import BpeTokenizer
from pantoum.text.byte import ByteTokenizer
from pantoum.text.documents import mark, mark_blocks
from pantoum.text.numbers import joined
from pantoum.text.tokenizer import Tokenizer, from_spec, learner

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text(
    st.sampled_from("ab \n\r\t.,_1é中😀'"), max_size=120
)
pytestmark = pytest.mark.usefixtures("runes")
KINDS = ["bytes", "characters", "words", "bpe", "bpe:whitespace", "runes"]
DOCUMENTS = [None, "lines", "files"]  # blank-lines: a run reads back as one, see test_documents

MERGES = BpeTokenizer([(98, 99), (33, 98), (257, 100), (258, 258), (33, 33), (196, 170)])


def made(kind: str, text: str, documents: str | None) -> Tokenizer:
    """A tokenizer that knows all of ``text``."""
    if kind == "bytes":
        return ByteTokenizer(documents)
    if kind.startswith("bpe"):
        return BpeTokenizer(MERGES.merges, documents, kind)
    pupil = learner(kind, 10_000, documents)
    pupil.feed(text)
    return pupil.learn()


@pytest.mark.parametrize("documents", DOCUMENTS)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(TEXTS)
def test_decoding_gives_the_text_back(kind: str, documents: str | None, text: str) -> None:
    tokenizer = made(kind, text, documents)
    ids, read = tokenizer.encode(text), text.replace("\r\n", "\n") if documents == "lines" else text
    assert tokenizer.decode(ids) == read
    assert tokenizer.decode_bytes(ids) == read.encode("utf-8")
    assert ids.dtype == np.uint32 and (ids < tokenizer.vocab_size).all()
    assert np.array_equal(tokenizer.encode(text.encode("utf-8")), ids)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(TEXTS)
def test_decoding_token_by_token_never_splits_a_character(kind: str, text: str) -> None:
    tokenizer = made(kind, text, None)
    decoder = tokenizer.decoder()
    shown = ""
    for token in tokenizer.encode(text).tolist():
        shown += decoder.push(token)
        assert text.startswith(shown)
    assert shown + decoder.finish() == text


@pytest.mark.parametrize("kind", [*KINDS, "words:whitespace"])
@settings(max_examples=40)
@given(st.data())
def test_a_decoder_goes_on_from_what_another_had_pending(kind: str, data: st.DataObject) -> None:
    tokenizer = made(kind, "some text é中 that is known", None)
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=30))
    decoder, shown = tokenizer.decoder(), ""
    for token in ids:
        shown += decoder.push(token)
        assert len(decoder.pending) <= 3
        decoder = tokenizer.decoder(pending=decoder.pending)
    assert shown + decoder.finish() == tokenizer.decode(ids)


@pytest.mark.parametrize("documents", [None, "lines", "blank-lines"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(TEXTS, st.lists(st.integers(0, 120), max_size=5))
def test_blocks_cut_anywhere_give_the_same_numbers(
    kind: str, documents: str | None, text: str, cuts: list[int]
) -> None:
    tokenizer = made(kind, mark(text, documents), documents)
    if kind == "bytes":
        text = text.encode("utf-8").decode("latin-1")
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[a:b] for a, b in pairwise(edges)]
    marked = list(mark_blocks(parts, documents))
    assert "".join(marked) == mark(text, documents)
    whole = text.encode("latin-1") if kind == "bytes" else text
    assert np.array_equal(joined(tokenizer.encode_blocks(marked)), tokenizer.encode(whole))


@pytest.mark.parametrize("documents", [None, "lines", "blank-lines"])
@pytest.mark.parametrize("kind", ["characters", "words", "words:whitespace", "runes"])
@settings(max_examples=40)
@given(TEXTS, st.integers(1, 40))
def test_provisional_numbers_become_the_tokenizers(
    kind: str, documents: str | None, text: str, size: int
) -> None:
    if kind == "words:whitespace" and documents == "blank-lines":
        return
    pupil = learner(kind, 12, documents)
    marked = mark(text, documents)
    numbers = [pupil.feed(marked[at : at + size]) for at in range(0, len(marked), size)]
    rest = pupil.rest
    tokenizer = pupil.learn()
    assert tokenizer.vocab_size <= 12
    found = [*map(pupil.tokens, numbers), *tokenizer.encode_blocks([rest])]
    assert np.array_equal(joined(found), tokenizer.encode(text))


@pytest.mark.parametrize("documents", [None, "lines"])
@pytest.mark.parametrize("kind", [*KINDS, "words:whitespace"])
@settings(max_examples=30)
@given(TEXTS)
def test_a_spec_is_plain_and_comes_back_the_same(kind: str, documents: str | None, text: str) -> None:
    tokenizer = made(kind, text, documents)
    spec = json.dumps(tokenizer.spec(), sort_keys=True)
    again = from_spec(json.loads(spec))
    assert json.dumps(again.spec(), sort_keys=True) == spec
    assert np.array_equal(again.encode(text), tokenizer.encode(text))
    assert (again.kind, again.vocab_size, again.documents, again.eos_text) == (
        tokenizer.kind,
        tokenizer.vocab_size,
        tokenizer.documents,
        tokenizer.eos_text,
    )


@pytest.mark.parametrize("kind", [*KINDS, "words:whitespace"])
@settings(max_examples=40)
@given(TEXTS)
def test_lengths_of_pieces_add_up(kind: str, text: str) -> None:
    tokenizer = made(kind, text, None)
    if kind == "bytes":
        text = text.encode("utf-8").decode("latin-1")
    lengths = tokenizer.token_lengths(text)
    if lengths or kind != "words:whitespace":
        assert sum(characters for characters, _ in lengths) == len(text)
    blocks = tokenizer.encode_blocks([text])
    assert sum(tokens for _, tokens in lengths) == sum(map(len, blocks))
