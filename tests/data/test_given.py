"""Texts that are given as Python values: strings are text, bytes are what a file of them would be."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from pantoum.data.given import GivenText, as_files
from pantoum.data.prepare import prepare
from pantoum.errors import TextError

ODD = [
    "%PDF-1.7 is how a document may begin",
    "{\\rtf1 is how notes begin",
    "PK\x03\x04 are the letters of Phil Katz",
    "GIF89a\0 has a zero byte",
    "w\0i\0d\0e\0 \0l\0e\0t\0t\0e\0r\0s\0",
]


def read(text: GivenText, documents: str | None, folder: Path) -> str:
    with as_files(text, documents) as names:
        found = prepare(names, tokens="characters", documents=documents, valid_fraction=0.0, out=folder)
    assert not any("left out" in note for note in found.notes)
    return found.tokenizer.decode(np.asarray(found.train.tokens))


@pytest.mark.parametrize("documents", [None, "lines", "blank-lines", "files"])
@pytest.mark.parametrize("odd", ODD)
def test_strings_are_text_whatever_they_begin_with(tmp_path: Path, odd: str, documents: str | None) -> None:
    found = read([odd, "The cat sat", odd, "on the mat"], documents, tmp_path)
    assert found.count(odd) == 2 and "The cat sat" in found and "on the mat" in found
    assert found.startswith(odd)


def test_a_string_and_a_file_of_strings_are_text(tmp_path: Path) -> None:
    assert read(ODD[0], None, tmp_path / "a") == read(io.StringIO(ODD[0]), None, tmp_path / "b") == ODD[0]


def test_bytes_are_read_as_a_file_of_them(tmp_path: Path) -> None:
    data = gzip.compress(b"The cat sat", mtime=0)
    assert read(data, None, tmp_path / "a") == read(io.BytesIO(data), None, tmp_path / "b") == "The cat sat"


@pytest.mark.parametrize("text", ["", b""])
def test_a_message_names_no_temporary_file(tmp_path: Path, text: GivenText) -> None:
    with pytest.raises(TextError, match="there is nothing in 'text'; give a text"):
        read(text, None, tmp_path)
