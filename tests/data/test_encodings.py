"""Texts that are not UTF-8: refused with the encodings that they may be in, read in the one that is named."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pantoum.config import TrainSettings
from pantoum.data import text_reader
from pantoum.data.prepare import differences, open_prepared, prepare
from pantoum.data.prepared_file import Prepared
from pantoum.errors import SettingError, TextError
from pantoum.text.encodings import LOOKED, guessed, sample_of

GERMAN = "Der Müller fährt früh über die Brücke, und die Bäuerin grüßt schön.\n" * 40
RUSSIAN = "Мальчик вышел из дома рано утром и пошёл по дороге к старой мельнице.\n" * 40
JAPANESE = "昨日の朝、少年は古い橋を渡って、川の向こうの村へ歩いて行きました。\n" * 40
TEXTS = [
    (GERMAN, "cp1252", "windows-1252"),
    (GERMAN, "mac_roman", "mac-roman"),
    (RUSSIAN, "cp1251", "windows-1251"),
    (RUSSIAN, "koi8_r", "koi8-r"),
    (JAPANESE, "cp932", "shift-jis"),
    (JAPANESE, "euc_jp", "euc-jp"),
]


def text_of(prepared: Prepared) -> str:
    return prepared.tokenizer.decode(prepared.train.tokens)


@pytest.mark.parametrize("tokens", ["auto", "characters", "words", "bpe:300"])
@pytest.mark.parametrize(("text", "codec", "name"), TEXTS)
def test_the_encoding_is_named_and_has_the_text_read(
    tmp_path: Path, text: str, codec: str, name: str, tokens: str
) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode(codec))
    with pytest.raises(
        TextError, match=rf"give --encoding .*{name} \('.*or read its bytes with --tokens bytes"
    ):
        prepare([tmp_path / "a.txt"], tokens=tokens, out=tmp_path / "out", valid_fraction=0.0)
    made = prepare(
        [tmp_path / "a.txt"], tokens=tokens, encoding=name, out=tmp_path / "out", valid_fraction=0.0
    )
    assert text_of(made) == text and f"a.txt is not UTF-8: reading it as {name}" in "".join(made.notes)


def test_the_word_that_is_shown_tells_the_encodings_apart() -> None:
    found = dict(guessed("Im Jahr der Brücke: Müller und Straße.\n".encode("cp1252")))
    assert found["windows-1252"] in ("Brücke:", "Müller", "Straße.") and len(set(found.values())) == len(
        found
    )


def test_a_damaged_byte_is_said_to_be_damage(tmp_path: Path) -> None:
    data = bytearray((GERMAN * 50).encode())
    data[100_000:100_001] = b"\xff"
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(TextError, match="at offset 99,999; some of it is damaged; give --encoding utf-8"):
        prepare([tmp_path / "a.txt"], out=tmp_path / "out")
    made = prepare([tmp_path / "a.txt"], encoding="utf-8", out=tmp_path / "out", valid_fraction=0.0)
    assert text_of(made) == bytes(data).decode("utf-8", "replace")


def test_no_text_in_any_encoding_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(range(1, 256)) * 9)
    with pytest.raises(TextError, match=r"it has no common encoding; .*--tokens bytes"):
        prepare([tmp_path / "a.txt"], out=tmp_path / "out")
    assert prepare([tmp_path / "a.txt"], tokens="bytes", out=tmp_path / "out").tokenizer.kind == "bytes"


def test_a_text_of_many_characters_with_damage_is_refused_too(tmp_path: Path) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 900))) * 3
    (tmp_path / "a.txt").write_bytes(text.encode() + b"\xe4")
    with pytest.raises(TextError, match="give --encoding utf-8"):
        prepare([tmp_path / "a.txt"], out=tmp_path / "out")


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(GERMAN)
    (tmp_path / "in" / "b.txt").write_bytes(GERMAN.encode("cp1252"))
    (tmp_path / "in" / "c.gz").write_bytes(gzip.compress(GERMAN.encode("cp1252")))
    (tmp_path / "in" / "d.txt").write_bytes(GERMAN.encode("utf-16"))
    made = prepare([tmp_path / "in"], encoding="windows-1252", out=tmp_path / "out", valid_fraction=0.0)
    assert text_of(made) == GERMAN * 4
    assert differences(made, [tmp_path / "in"]) == []
    (tmp_path / "in" / "a.txt").write_text(GERMAN + "!")
    again = open_prepared(tmp_path / "out", [tmp_path / "in"])
    assert text_of(again) == GERMAN + "!" + GERMAN * 3


def test_another_encoding_is_another_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(GERMAN.encode("cp1252"))
    west = prepare([tmp_path / "a.txt"], encoding="windows-1252", out=tmp_path / "w")
    mac = prepare([tmp_path / "a.txt"], encoding="mac-roman", out=tmp_path / "m")
    assert west.train.text_fingerprint != mac.train.text_fingerprint
    (tmp_path / "b.txt").write_text(GERMAN)
    named = prepare([tmp_path / "b.txt"], encoding="mac-roman", out=tmp_path / "n")
    plain = prepare([tmp_path / "b.txt"], out=tmp_path / "p")
    assert named.train.text_fingerprint == plain.train.text_fingerprint and text_of(named) in GERMAN


def test_what_is_not_in_the_encoding_that_was_named_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(GERMAN.encode("cp1252"))
    with pytest.raises(TextError, match=r"in shift-jis: it has no .*; give another --encoding"):
        prepare([tmp_path / "a.txt"], encoding="shift-jis", out=tmp_path / "out")


@pytest.mark.parametrize("name", ["windows1252x", "rot13", "base64", "punycode", "utf-7", ""])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=r"encoding is .*must be a text encoding"):
        TrainSettings(encoding=name)


def test_escapes_are_read_although_they_are_utf8_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(JAPANESE.encode("iso2022_jp"))
    made = prepare([tmp_path / "a.txt"], encoding="iso-2022-jp", out=tmp_path / "out", valid_fraction=0.0)
    assert text_of(made) == JAPANESE


def test_a_text_as_it_comes_is_read_in_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(GERMAN.encode("cp1252"))
    (tmp_path / "b.txt").write_text(GERMAN)
    for name in ("a.txt", "b.txt"):
        assert b"".join(text_reader.parts(tmp_path / name, "windows-1252")).decode() == GERMAN


def test_long_lines_are_sampled_where_they_are_not_ascii() -> None:
    line = b"a" * 5000 + " der Müller fährt".encode("cp1252") + b" b" * 3_000_000
    assert "Müller".encode("cp1252") in sample_of([line[:4096], line[4096:]])
    assert len(sample_of([("é" * 50_000).encode("cp1252")])) <= 2048


def test_the_guess_is_not_imported_for_a_text_in_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    (tmp_path / "a.txt").write_text(GERMAN)
    assert text_of(prepare([tmp_path / "a.txt"], out=tmp_path / "out", valid_fraction=0.0)) == GERMAN


@pytest.mark.parametrize("line", [b"\0\n", b"\n"])
def test_a_long_text_of_short_lines_is_not_looked_through_whole(line: bytes) -> None:
    """A file of 57 bytes expanded to 30 million lines, each of which was looked at: 13 s."""
    seen = list[int]()

    def blocks() -> Iterator[bytes]:
        for number in range(1000):
            seen.append(number)
            yield line * (1 << 18)
        yield "café\n".encode("latin-1")

    odd = line != b"\n"
    assert sample_of(blocks()) == (b"\0" if odd else "café".encode("latin-1"))
    assert len(seen) == (LOOKED // (2 << 18) + 1 if odd else 1000)
