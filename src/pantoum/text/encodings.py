"""Which encoding bytes are in that are not UTF-8, and text read in the encoding that was named.

A guess is never acted upon: a wrong one gives noise that nobody sees before the model writes it. What is
found is told, with a word of the text as it reads, and the option that has it read so. charset-normalizer
says how odd a text is in an encoding; it is imported only for a text that is not UTF-8.
"""

from __future__ import annotations

import codecs
import importlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from pantoum.config.rules import codec_of, encoding_name
from pantoum.errors import TextError

COMMON = (
    "cp1252", "cp1250", "cp1251", "iso8859_15", "iso8859_2", "mac_roman", "koi8_r", "koi8_u", "cp932",
    "euc_jp", "gb18030", "big5", "cp949", "cp1253", "iso8859_7", "cp1254", "cp1255", "cp1256", "cp1257",
    "cp866", "cp850", "cp437", "cp852", "mac_cyrillic", "iso8859_5", "iso2022_jp", "utf_16_le", "utf_16_be",
)  # fmt: skip
"""Encodings that texts are found in, common ones first."""
RARER = 0.003
"""How much less odd a text must be in an encoding than in the one before it, to be taken for it; of 0 to
0.01 this named all of 240 texts (docs/log/files.md)."""
MOST_NAMED = 4
DAMAGED = 0.5
"""Share of what is not ASCII up to which a text is UTF-8 with damage, and not in another encoding."""
SAMPLE, LONGEST = 1 << 14, 1024
"""Bytes that are looked at: of lines that are not ASCII; of each at most so many."""
LOOKED = 2 << 20
"""Bytes of blocks with any of these that are looked through: a small file may expand to gigabytes of them."""
SHOWN = 24
HEAD = 1024
"""Bytes in which a page must say its encoding (HTML, 13.2.3.2)."""
CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{2,40})"""
    rb"""|^\s*<\?xml[^>]{0,80}?encoding\s*=\s*["']([\w.:-]{2,40})""",
    re.IGNORECASE,
)
ON_PAGES = {"ascii": "cp1252", "iso8859_1": "cp1252", "iso8859_9": "cp1254"}
"""Encodings that pages say, and the larger ones that they mean (Encoding Standard, 4.2)."""


class NotUtf8Error(TextError):
    """Bytes that are not UTF-8 where they must be."""


def not_utf8(name: str, offset: int, byte: int, blocks: Iterable[bytes]) -> NotUtf8Error:
    """The one wording of "this is not UTF-8": where, and how the text reads in which encoding."""
    source = repr(name) if name != "the text" else name
    return NotUtf8Error(
        f"{source} is not UTF-8: byte 0x{byte:02x} at offset {offset:,}; "
        + advice(sample_of(blocks), "give --encoding" if name != "the text" else "decode it from")
    )


def advice(sample: bytes, how: str = "give --encoding") -> str:
    """What to do with a text that is not UTF-8."""
    found = guessed(sample)
    if not found:
        return f"it has no common encoding; if you know it, {how} NAME"
    if found[0][0] == "utf-8":
        return f"some of it is damaged; {how} utf-8 ({found[0][1]!r}) to read that as U+FFFD"
    return f"{how} " + " or ".join(f"{name} ({word!r})" for name, word in found)


def sample_of(blocks: Iterable[bytes]) -> bytes:
    """Lines of a text that are not ASCII, each once."""
    found: dict[bytes, None] = {}
    size, rest, looked = 0, b"", 0
    for block in chain(blocks, [b"\n"]):
        if looked >= LOOKED:
            break
        if block.isascii() and not any(odd in block for odd in (b"\0", b"\x1b")):
            begin, _, end = block.partition(b"\n")  # what lies between is not looked for line by line
            block = begin + b"\n" + end[end.rfind(b"\n") + 1 :] if b"\n" in block else block
        else:
            looked += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in (*lines, rest) if len(rest) > LONGEST else lines:
            if line.isascii() and b"\x1b" not in line and b"\0" not in line:
                continue
            part = line if len(line) <= LONGEST else _around(line)
            size += 0 if part in found else len(part)
            found[part] = None
            if size >= SAMPLE:
                return b"\n".join(found)
        rest = rest if len(rest) <= LONGEST else b""
    return b"\n".join(found)


def _around(line: bytes) -> bytes:
    """A part of a long line, from the word in which the first byte lies that is not ASCII."""
    odd = re.search(rb"[^\x01-\x7f]", line)
    first = 0 if odd is None else odd.start()
    begin = line.rfind(b" ", max(0, first - LONGEST // 2), first) + 1
    return line[begin : begin + LONGEST]


def guessed(sample: bytes) -> list[tuple[str, str]]:
    """The encodings that bytes may be in, likely ones first, each with a word as it reads."""
    text = sample.decode("utf-8", "replace")
    odd, strange = text.count("\ufffd"), sum(not char.isascii() for char in text)
    if 0 < odd <= DAMAGED * strange:
        place = text.index("\ufffd")
        return [("utf-8", text[max(0, place - SHOWN) : place + SHOWN].split("\n")[-1])]
    charset: Any = importlib.import_module("charset_normalizer")
    ranked: list[tuple[float, str]] = []
    for match in charset.from_bytes(sample, cp_isolation=list(COMMON), enable_fallback=False):
        places = [
            COMMON.index(name) for name in (match.encoding, *match.could_be_from_charset) if name in COMMON
        ]
        if places:
            ranked.append((match.chaos + RARER * min(places), COMMON[min(places)]))
    texts: dict[str, str] = {}
    for _, codec in sorted(ranked):
        read = sample.decode(codec, "replace")
        if read not in texts.values() and len(texts) < MOST_NAMED:
            texts[codec] = read
    word = _telling(sample, list(texts))
    return [(encoding_name(codec), word.decode(codec, "replace")[:SHOWN]) for codec in texts]


def _telling(sample: bytes, names: list[str]) -> bytes:
    """The word by which the encodings can best be told from each other."""
    words = [word for word in re.split(rb"[\x00-\x20]+", sample) if not word.isascii()] or [sample]
    return max(words[:500], key=lambda word: len({word.decode(name, "replace") for name in names}))


def read_in(encoding: str, label: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """A text in the encoding that was named, as UTF-8. In UTF-8 itself what is damaged becomes U+FFFD."""
    codec = codec_of(encoding) or encoding
    decoder = codecs.getincrementaldecoder(codec)("replace" if codec == "utf_8" else "strict")
    first = True
    try:
        for block in chain(blocks, [None]):
            text = decoder.decode(block or b"", final=block is None)
            if first and text:
                text, first = text.removeprefix("\ufeff"), False
            yield text.encode("utf-8", "replace")
    except UnicodeError as error:
        what = str(error)
        if isinstance(error, UnicodeDecodeError):
            what = f"it has no {error.object[error.start : error.start + 4].hex(' ')}"
        raise TextError(
            f"cannot read {label!r} in {encoding}: {what}; give another --encoding, or leave it out to "
            "see which it may be"
        ) from None


def page_text(data: bytes, label: str, encoding: str | None) -> str:
    """The text of a page of HTML: in the encoding that it says, in UTF-8, or in the one that was named."""
    for codec in (_declared(data), "utf_8", None if encoding is None else codec_of(encoding)):
        if codec is not None:
            try:
                return data.decode(codec)
            except UnicodeError:
                continue
    try:
        return data.decode(
            "utf-8", "strict" if encoding is None or codec_of(encoding) != "utf_8" else "replace"
        )
    except UnicodeDecodeError as error:
        raise not_utf8(label, error.start, data[error.start], [data]) from None


def _declared(data: bytes) -> str | None:
    """The codec of the encoding that a page says it is in."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf_8_sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf_16"
    found = CHARSET.search(data[:HEAD])
    codec = None if found is None else codec_of((found[1] or found[2]).decode("ascii", "replace"))
    if codec is None or codec.startswith("utf_16"):  # in which what it says could not be read so far
        return None
    return ON_PAGES.get(codec, codec)
