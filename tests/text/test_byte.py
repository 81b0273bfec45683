from __future__ import annotations

import numpy as np
import pytest

from pantoum.errors import FormatError, SettingError
from pantoum.text.byte import ByteTokenizer, from_spec


def test_byte_b_is_number_b_plus_one() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.encode(bytes(range(256))).tolist() == list(range(1, 257))
    assert (tokenizer.vocab_size, tokenizer.eos, tokenizer.unk) == (257, 0, None)
    assert tokenizer.decode_bytes(np.arange(257)) == bytes(range(256))


def test_bytes_that_are_no_utf8_are_tokens_too() -> None:
    ids = ByteTokenizer().encode(b"a\xff\x00")
    assert ByteTokenizer().decode_bytes(ids) == b"a\xff\x00"
    assert ByteTokenizer().decode(ids) == "a\ufffd\x00"


def test_eos_stands_for_the_border() -> None:
    assert ByteTokenizer("lines").encode("a\n\nb").tolist() == [98, 0, 0, 99]
    assert ByteTokenizer("blank-lines").encode("a\n \n\nb\n").tolist() == [98, 0, 99, 11]
    assert ByteTokenizer("blank-lines").decode([98, 0, 99]) == "a\n\nb"


def test_lone_surrogates_are_replaced_and_said() -> None:
    with pytest.warns(UserWarning, match="lone surrogates"):
        ids = ByteTokenizer().encode("a\udc80b")
    assert ByteTokenizer().decode(ids) == "a\ufffdb"


def test_numbers_outside_of_the_vocabulary_are_refused() -> None:
    for bad in ([257], [-1]):
        with pytest.raises(SettingError, match="from 0 to 256"):
            ByteTokenizer().decode(bad)
    with pytest.raises(SettingError, match="ids is -1"):
        ByteTokenizer().decoder().push(-1)


def test_foreign_specs_are_refused() -> None:
    with pytest.raises(FormatError, match="keys"):
        from_spec({"kind": "bytes"})
    with pytest.raises(FormatError, match="documents 'pages'"):
        from_spec({"kind": "bytes", "documents": "pages"})
