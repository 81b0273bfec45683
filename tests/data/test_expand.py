"""The text in compressed files and in other encodings: exact, bounded, and damage is said."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pantoum.data import expand, text_reader
from pantoum.data.expand import decompressed, transcoded
from pantoum.data.forms import HEAD, form_of
from pantoum.data.prepare import prepare
from pantoum.data.sources import found
from pantoum.data.text_reader import TextReader
from pantoum.errors import TextError

TEXT = ("Über allen Gipfeln ist Ruh, in allen Wipfeln spürest du kaum einen Hauch.\n" * 99).encode()
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def zstd() -> Callable[[bytes], bytes]:
    module = expand._zstd()
    if module is None:
        pytest.skip("no zstd here")
    made: Callable[[bytes], bytes] = module.compress
    return made


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("ending", [*COMPRESS, "zst"])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_the_text_comes_out_exactly_also_of_several_streams(ending: str, size: int) -> None:
    compress = COMPRESS[ending] if ending in COMPRESS else zstd()
    data = compress(TEXT) + compress(b"and more\n")
    form = form_of(data[:HEAD])
    assert b"".join(decompressed(form, "t", len(data), cut(data, size))) == TEXT + b"and more\n"


@pytest.mark.parametrize("ending", [*COMPRESS, "zst"])
def test_damage_is_one_error(ending: str) -> None:
    compress = COMPRESS[ending] if ending in COMPRESS else zstd()
    data = compress(random.Random(1).randbytes(3000).hex().encode())
    form = form_of(data[:HEAD])
    flipped = data[:900] + bytes([data[900] ^ 255]) + data[901:]
    unseen = [flipped] if ending == "zst" else []  # zstd has no checksum unless it is asked for
    for broken in (data[:-1], data[:40], flipped, data + b"garbage", data + data[:20]):
        if broken in unseen:
            continue
        with pytest.raises(TextError, match=r"cannot read 't': .* damaged or cut short"):
            list(decompressed(form, "t", len(broken), [broken]))


def test_a_bomb_is_refused_before_it_fills_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "ALWAYS", 1 << 20)
    machine = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join(machine.compress(bytes(1 << 20)) for _ in range(8)) + machine.flush()
    seen = 0
    with pytest.raises(TextError, match="expands to more than 1,000 times its size"):
        for block in decompressed(form_of(data), "bomb", len(data) // 4, [data]):
            seen += len(block)
    assert seen <= 4 << 20


def test_what_is_inside_must_be_a_text() -> None:
    data = gzip.compress(b"%PDF-1.7\n\xff")
    with pytest.raises(TextError, match="it contains a PDF document; unpack it first"):
        list(decompressed(form_of(data), "t", len(data), [data]))
    data = gzip.compress(TEXT.decode().encode("utf-16"))
    assert b"".join(decompressed(form_of(data), "t", len(data), [data])) == TEXT


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_becomes_utf8(encoding: str) -> None:
    data = TEXT.decode().encode(encoding)
    form = form_of(data[:HEAD])
    assert b"".join(transcoded(form, "t", cut(data, 3))) == TEXT
    with pytest.raises(TextError, match="damaged or cut short"):
        list(transcoded(form, "t", [data[:-1]]))


def test_zstd_without_its_extra_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "_zstd", lambda: None)
    data = b"\x28\xb5\x2f\xfd" + bytes(9)
    with pytest.raises(TextError, match=r"pip install 'pantoum\[zstd\]' reads it, or unpack it: zstd -d"):
        list(decompressed(form_of(data), "t.zst", len(data), [data]))


def test_the_same_text_gives_the_same_tokens_however_it_is_kept(tmp_path: Path) -> None:
    kept = {"t.txt": TEXT, "t.gz": gzip.compress(TEXT), "t16.txt": TEXT.decode().encode("utf-16")}
    shards = []
    for name, data in kept.items():
        (tmp_path / name).write_bytes(data)
        prepared = prepare([tmp_path / name], out=tmp_path / f"{name}.out")
        shards.append((prepared.tokenizer.spec(), bytes(prepared.train.tokens)))
        assert prepared.facts["texts"][0]["size"] == len(data)
        assert b"".join(text_reader.parts(tmp_path / name)) == TEXT
    assert shards[0] == shards[1] == shards[2]


def test_a_folder_of_compressed_texts_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for ending, compress in COMPRESS.items():
        (tmp_path / "in" / f"a.{ending}").write_bytes(compress(ending.encode()))
    with found([tmp_path / "in"], keep_in=tmp_path) as sources:
        assert "".join(TextReader(sources.texts, "utf-8", None).blocks()) == "bz2gzxz"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_bomb_is_refused_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "ALWAYS", 1 << 18)
    monkeypatch.setattr(expand, "MOST_TIMES", 10)
    data = bz2.compress(("a" * (1 << 20)).encode(encoding))
    with pytest.raises(TextError, match="expands to more than 10 times its size"):
        for _ in decompressed(form_of(data[:HEAD]), "t", len(data), cut(data, 1 << 16)):
            pass
