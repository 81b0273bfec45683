"""Encodings of text by name."""

from __future__ import annotations

import codecs
from contextlib import suppress

from pantoum.config.rules import nearest
from pantoum.errors import SettingError

NAMES = {
    "utf-8": "utf_8", "utf-16": "utf_16", "utf-16-le": "utf_16_le", "utf-16-be": "utf_16_be",
    "windows-1250": "cp1250", "windows-1251": "cp1251", "windows-1252": "cp1252", "windows-1253": "cp1253",
    "windows-1254": "cp1254", "windows-1255": "cp1255", "windows-1256": "cp1256", "windows-1257": "cp1257",
    "windows-1258": "cp1258", "iso-8859-1": "latin_1", "iso-8859-2": "iso8859_2", "iso-8859-5": "iso8859_5",
    "iso-8859-7": "iso8859_7", "iso-8859-9": "iso8859_9", "iso-8859-15": "iso8859_15", "koi8-r": "koi8_r",
    "koi8-u": "koi8_u", "mac-roman": "mac_roman", "mac-cyrillic": "mac_cyrillic", "shift-jis": "cp932",
    "euc-jp": "euc_jp", "iso-2022-jp": "iso2022_jp", "gb18030": "gb18030", "big5": "big5", "euc-kr": "cp949",
}  # fmt: skip
"""The names that people know, and Python's codecs; every codec of text is known by its own name, too."""
LARGER = {"shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
"""Codecs that lack characters of what goes by their names, and those that have them (Encoding Standard)."""
NO_TEXT = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "utf_7")


def codec_of(name: str) -> str | None:
    """Python's codec for an encoding, as ``codecs.lookup`` takes it; ``None``: there is none for text."""
    try:
        codec = codecs.lookup(name)
        codecs.getincrementaldecoder(name)
        with suppress(UnicodeError):
            b"a".decode(name)  # refused where it is no encoding of text, but of bytes or of strings
    except (LookupError, ValueError):
        return None
    plain = codec.name.replace("-", "_")
    return None if plain in NO_TEXT else LARGER.get(plain, plain)


def encoding_name(codec: str) -> str:
    """The name that people know for a codec."""
    return next((name for name, each in NAMES.items() if each == codec), codec)


def known_encoding(name: object, argument: str) -> str:
    """The name of an encoding, if it is one."""
    if isinstance(name, str) and codec_of(name) is not None:
        return name
    meant = nearest(name, NAMES) if isinstance(name, str) else None
    advice = "give for example windows-1252 or shift-jis" if meant is None else f"did you mean {meant}?"
    raise SettingError(argument, name, "must be an encoding of text that Python knows", advice)
