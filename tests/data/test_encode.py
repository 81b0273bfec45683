from __future__ import annotations

import bz2
import hashlib
import lzma
from pathlib import Path

import numpy as np
import pytest

from pantoum.data.compressed import sizes_of
from pantoum.data.encode import compressed_sizes, encode_texts
from pantoum.errors import TextError
from pantoum.text.byte import ByteTokenizer
from pantoum.text.character import CharacterTokenizer
from pantoum.text.word import WordTokenizer


def test_texts_become_one_array_with_what_they_were(tmp_path: Path) -> None:
    for name, text in (("1", "abé"), ("2", "xa")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    encoded = encode_texts([tmp_path / "1", tmp_path / "2"], CharacterTokenizer("abé"), compress=True)
    assert encoded.tokens.tolist() == [2, 3, 4, 1, 2] and encoded.tokens.dtype == np.uint8
    assert (encoded.characters, encoded.bytes, encoded.unknown) == (5, 6, 1)
    assert encoded.files[1]["sha256"] == hashlib.sha256(b"xa").hexdigest()
    assert encoded.compressed is not None and encoded.compressed.bytes == 6


def test_documents_are_those_of_the_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a\n\n\nb")
    encoded = encode_texts([tmp_path / "t"], ByteTokenizer("blank-lines"))
    assert encoded.tokens.tolist() == [98, 0, 99] and encoded.compressed is None
    assert (encoded.characters, encoded.unknown) == (4, 0)


def test_the_array_outlives_its_file(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(bytes(range(256)) * 10_000)
    seen: list[tuple[int, int]] = []
    encoded = encode_texts([tmp_path], ByteTokenizer(), report=lambda *done: seen.append(done))
    assert encoded.tokens[-1] == 256 and len(encoded.tokens) == seen[-1][0] == 2_560_000


def test_an_empty_text_is_an_error_and_one_without_words_is_empty(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("")
    with pytest.raises(TextError, match="the text is empty"):
        encode_texts([tmp_path / "t"], ByteTokenizer())
    (tmp_path / "t").write_text("  ")
    assert len(encode_texts([tmp_path / "t"], WordTokenizer("words:whitespace", [])).tokens) == 0


def test_compressed_sizes_are_those_of_xz_and_bz2(tmp_path: Path) -> None:
    data = b"".join(b"line %d of a text\n" % i for i in range(20_000))
    sizes = sizes_of([data[:1000], data[1000:]])
    assert sizes.bytes == len(data) and sizes.bz2 == len(bz2.compress(data, 9))
    assert sizes.xz == len(lzma.compress(data, preset=9))
    assert sizes_of([data, data, data], largest=30_000).bytes == 30_000
    (tmp_path / "t").write_bytes(data)
    assert compressed_sizes([tmp_path / "t"]) == sizes
