"""The checks of single values, for settings and for arguments.

Each takes the value and the name of its argument. It raises ``SettingError``, which names the argument, its
value, the rule and what to do next, or returns the value as plain Python has it: a NumPy integer becomes an
``int``, so that a setting can be compared, kept in JSON and passed to the core. With its bounds
(``partial(whole, most=256)``) a check is the rule of a setting.
"""

from __future__ import annotations

import codecs
import math
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from numbers import Integral, Real
from pathlib import Path
from typing import Literal, TypeVar

from pantoum.errors import SettingError

AUTO = "auto"
ELSEWHERE = {
    "block_size": "seq_len",
    "bptt": "seq_len",
    "dtype": "precision",
    "lr": "learning_rate",
    "max_iters": "steps",
    "max_new_tokens": "length",
    "max_tokens": "length",
    "n_embd": "hidden_size",
    "n_layer": "num_layers",
    "num_samples": "count",
    "regex": "matching",
    "workers": "threads",
}
"""Names that other programs use, and the setting that means the same: for suggestions alone."""
LEAST_BEGINNING = 3
"""Letters from which the beginning of a word stands for it in a suggestion."""
Auto = Literal["auto"]
Value = TypeVar("Value")
MOST = 2**63 - 1


def require(condition: bool, argument: str, value: object, rule: str, advice: str) -> None:
    """Raise ``SettingError`` unless ``condition`` holds."""
    if not condition:
        raise SettingError(argument, value, rule, advice)


def whole(value: object, argument: str, *, least: int = 1, most: int | None = None) -> int:
    """A whole number within bounds, as an ``int``. Without ``most`` it must fit a 64-bit integer."""
    fits = isinstance(value, Integral) and not isinstance(value, bool)
    found = int(value) if isinstance(value, Integral) and fits else least - 1
    bounds = f"of at least {least}" if most is None and found <= MOST else f"from {least} to {most or MOST}"
    fits = least <= found <= (MOST if most is None else most)
    require(fits, argument, value, f"must be a whole number {bounds}", "give such a number")
    return found


def number(
    value: object,
    argument: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """A finite number within bounds, as an ``int`` or a ``float``."""
    words = [
        f"above {above:.12g}" if above is not None else "",
        f"at least {least:.12g}" if least is not None else "",
        f"at most {most:.12g}" if most is not None else "",
        f"below {below:.12g}" if below is not None else "",
    ]
    rule = "must be a number " + " and ".join(w for w in words if w)
    x = _float(value)
    fits = (
        math.isfinite(x)
        and (above is None or x > above)
        and (least is None or x >= least)
        and (most is None or x <= most)
        and (below is None or x < below)
    )
    require(fits, argument, value, rule, "give such a number")
    return int(value) if isinstance(value, Integral) else x


def _float(value: object) -> float:
    """The number that a value is; NaN where it is none, or too large for a ``float``."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (OverflowError, ValueError):
        return math.nan


def one_of(value: object, argument: str, choices: Collection[str]) -> str:
    """One of the named choices; for a mistyped one the nearest is suggested."""
    if isinstance(value, str) and value in choices:
        return str(value)
    meant = nearest(value, choices) if isinstance(value, str) else None
    advice = "choose one of them" if meant is None else f"did you mean {meant}?"
    raise SettingError(argument, value, "must be one of " + ", ".join(choices), advice)


def nearest(typed: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that a mistyped one is closest to; ``None`` where none is closer than ``cutoff``, from 0
    (anything) to 1 (the same)."""
    from difflib import get_close_matches  # only a mistake pays for the import

    word, known = str(typed).lower(), list(known)
    longer = [name for name in known if len(word) >= LEAST_BEGINNING and name.startswith(word)]
    found = longer or get_close_matches(word, known, n=1, cutoff=cutoff)
    return found[0] if found else None


def meant(typed: str, known: Collection[str]) -> str | None:
    """The known setting that a name probably stands for: the one that other programs call so, else the one of
    nearest spelling."""
    name = ELSEWHERE.get(typed.lower().replace("-", "_"), "")
    return name if name in known else nearest(typed, known)


def text(value: object, argument: str) -> str:
    """A ``str``."""
    require(isinstance(value, str), argument, value, "must be a text (str)", "give a text")
    return str(value)


def texts(value: object, argument: str) -> tuple[str, ...]:
    """One text, or several; none is empty."""
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)):
        raise SettingError(argument, value, "must be a text, or a list of texts", "leave it out otherwise")
    for each in given:
        rule = "must be a text that is not empty"
        require(isinstance(each, str) and each != "", argument, each, rule, "leave it out otherwise")
    return tuple(map(str, given))


def some_texts(value: object, argument: str) -> tuple[str, ...]:
    """One text, or several; none is empty, and one must be there."""
    found = texts(value, argument)
    require(found != (), argument, value, "must have at least one text", "give one, or leave it out")
    return found


def several(values: Iterable[Value], argument: str, what: str) -> Iterator[Value]:
    """An iterator over values; ``SettingError`` where they are not iterable."""
    try:
        return iter(values)
    except TypeError:
        rule, advice = f"must be {what}, one after the other", "give a list of them"
        raise SettingError(argument, values, rule, advice) from None


def path(value: object, argument: str) -> str:
    """The path of a file or folder, as a ``str``."""
    try:
        found = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    except Exception:  # of an object that is no path after all
        found = None
    fits = isinstance(found, str) and "\0" not in found
    rule = "must be a path (str or pathlib.Path) without NUL characters"
    require(fits, argument, value, rule, "give such a path")
    require(found != "", argument, value, "must not be empty", "give a name, or . for this folder")
    return str(found)


def truth(value: object, argument: str) -> bool:
    """``True`` or ``False``, as Python or NumPy has them."""
    fits = isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")
    require(fits, argument, value, "must be True or False", "give one of them")
    return bool(value)


def function(value: Value, argument: str) -> Value:
    """A function, or ``None``."""
    fits = value is None or callable(value)
    require(fits, argument, value, "must be a function or None", "leave it out otherwise")
    return value


def require_place(argument: str, out: str | os.PathLike[str]) -> None:
    """Raise ``SettingError`` if no file can be there."""
    target = Path(out)
    if target.is_dir() or not target.parent.is_dir():
        rule = "must be a file in a folder that exists"
        raise SettingError(argument, os.fspath(out), rule, "give another file")


def require_apart(
    argument: str, out: str | os.PathLike[str], what: str, read: Iterable[str | os.PathLike[str] | None]
) -> None:
    """Raise ``SettingError`` if a file that is to be written is one of these, or lies in one of these folders
    already. Names that are no files here, such as ``-`` or an address, are passed over."""
    target = Path(out)
    if not target.exists():
        return
    for name in read:
        path = None if name is None else Path(name)
        if path is None or not path.exists():
            continue
        inside = path.is_dir() and path.resolve() in target.resolve().parents
        if inside or target.samefile(path):
            raise SettingError(
                argument, os.fspath(out), f"is {what}, which would be lost", "give another file"
            )


ENCODINGS = {
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
    return next((name for name, each in ENCODINGS.items() if each == codec), codec)


def known_encoding(name: object, argument: str) -> str:
    """The name of an encoding, if it is one."""
    if isinstance(name, str) and codec_of(name) is not None:
        return name
    meant = nearest(name, ENCODINGS) if isinstance(name, str) else None
    advice = "give for example windows-1252 or shift-jis" if meant is None else f"did you mean {meant}?"
    raise SettingError(argument, name, "must be a text encoding that Python knows", advice)
