"""Texts as the calls of the Python interface take them, and what these calls tell while they read them."""

from __future__ import annotations

import contextlib
import itertools
import os
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pantoum.config import path, require, several
from pantoum.config import text as checked
from pantoum.errors import SettingError
from pantoum.formats.system_calls import translated
from pantoum.text.unicode import as_bytes, without_surrogates

Texts: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"
"""A text file or folder, or several; ``-`` is stdin."""
GivenText: TypeAlias = "str | bytes | Iterable[str] | Iterable[bytes]"
"""A text, a file that is open for reading, or texts one after the other."""
READ, NAME = 1 << 20, "text"
ENDS = {"lines": b"\n", "blank-lines": b"\n\n"}
"""What ends a document in a file of many."""
MOST_BYTES = 1 << 20
"""Bytes of a file that an option names."""
Prompts: TypeAlias = "list[str] | tuple[str, ...]"


def listed(texts: Texts, argument: str = "texts") -> list[str]:
    """Paths as a list of names."""
    if isinstance(texts, (str, os.PathLike)):
        return [path(texts, argument)]
    fits = isinstance(texts, (list, tuple))
    require(fits, argument, texts, "must be a path, or a list of paths", "give str or pathlib.Path")
    return [path(text, argument) for text in texts]


def listed_prompts(given: str | Iterable[str]) -> list[str]:
    """One prompt, or several."""
    if isinstance(given, str):
        return [given]
    rule, advice = "must be a text or texts, at least one", "give a str or a list of them"
    try:
        each = iter(() if isinstance(given, bytes) else given)
    except TypeError:  # also of what claims to be iterable, such as an array of no dimension
        each = iter(())
    prompts = [checked(one, "prompt") for one in each]
    require(bool(prompts), "prompt", given, rule, advice)
    return prompts


def listed_parts(parts: Iterable[str | bytes]) -> Iterable[str | bytes]:
    """The parts of a text; a text in one piece is one part."""
    if isinstance(parts, (str, bytes)):
        return [parts]
    return several(parts, "parts", "texts or bytes")


def require_kind(value: object, kind: type[Any], argument: str) -> None:
    """Raise ``SettingError`` unless an argument is of this class."""
    require(isinstance(value, kind), argument, value, f"must be a {kind.__name__}", "give one")


@contextlib.contextmanager
def named(texts: Texts, text: GivenText | None, documents: str | None) -> Iterator[list[str]]:
    """The names of the files to read, of which a text that is given itself becomes one."""
    if text is None:
        yield listed(texts)
        return
    require(not listed(texts), "texts", texts, "cannot be given together with text", "give one of the two")
    with as_files(text, documents) as names:
        yield names


@contextlib.contextmanager
def as_files(text: GivenText, documents: str | None = None) -> Iterator[list[str]]:
    """The name of a file, or of a folder of files, with this text; it exists while inside.

    Without documents, strings are joined as they are; with documents each string is one document. A
    ``str`` is text, whatever it begins with; bytes may be those of any file that is read (``data.forms``).
    Of several parts the first says which they are. A run keeps its tokens, so that it can be resumed
    without the files."""
    import tempfile  # with its compressors; most commands need neither

    from pantoum.data.forms import GIVEN

    with tempfile.TemporaryDirectory(prefix="pantoum-") as folder:
        parts = _parts(text)
        first = list(itertools.islice(parts, 1))
        strings = all(isinstance(part, str) for part in first)
        path = Path(folder, GIVEN if strings else f"{GIVEN}-of-bytes", NAME)
        path.parent.mkdir(exist_ok=True)
        written = map(as_bytes, itertools.chain(first, parts))
        if documents == "files":
            path.mkdir()
            for number, data in enumerate(written):
                with translated("write", path):
                    (path / f"{number:09}").write_bytes(data)
        else:
            end = b"" if _is_one(text) else ENDS.get(documents or "", b"")
            with path.open("wb") as file:
                for data in written:
                    with translated("write", path):
                        file.write(data if data.endswith(end) else data + end)
        yield [str(path)]


def _is_one(text: GivenText) -> bool:
    return isinstance(text, (str, bytes)) or callable(getattr(text, "read", None))


def _parts(text: Any) -> Iterator[str | bytes]:
    """The parts of a text; those of an open file are cut anywhere."""
    parts: Any = [text]
    if not isinstance(text, (str, bytes)):
        try:
            parts = iter(lambda: text.read(READ) or None, None) if _is_one(text) else iter(text)
        except TypeError:
            raise _refusal(text) from None
    for part in parts:
        if not isinstance(part, (str, bytes)):
            raise _refusal(part)
        yield part


def _refusal(value: object) -> SettingError:
    rule = "must be a text (str or bytes), an open file, or texts one after the other"
    return SettingError("text", value, rule, "give the text itself, or the path of a file as texts")


def say(notes: Iterable[str]) -> None:
    """What a person should know, as warnings."""
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)


@contextlib.contextmanager
def counting(what: str, progress: bool) -> Iterator[Callable[[int, int], None] | None]:
    """What counts progress on stderr, or nothing."""
    if not progress:
        yield None
        return
    from pantoum.report.terminal import Counter

    with Counter(what) as counter:
        yield counter


def parts(text: str | os.PathLike[str], encoding: str | None = None) -> Iterator[bytes]:
    """A text file, or stdin (``-``), as it comes: what ``Model.score_stream`` takes. ``encoding``: what it is
    in if it is not UTF-8."""
    from pantoum.config.rules import known_encoding
    from pantoum.data import text_reader

    return text_reader.parts(text, None if encoding is None else known_encoding(encoding, "encoding"))


def printable(prompt: str) -> str:
    """A prompt as it can be encoded: lone surrogates, which are no characters, are U+FFFD."""
    return without_surrogates(prompt)[0]


def whole_text(file: str, argument: str, most: int = MOST_BYTES) -> str:
    """The text of a file of at most so many bytes, which an option names."""
    from pantoum.data.sources import unreadable

    try:
        with Path(path(file, argument)).open("rb") as opened:
            data = opened.read(most + 1)
    except OSError as error:
        raise unreadable(file, error) from None
    require(len(data) <= most, argument, file, f"may have at most {most:,} bytes", "divide it into files")
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def lines(file: str, argument: str, most: int = MOST_BYTES) -> list[str]:
    """The texts of a file, a line each, in ``.jsonl`` a JSON string each; empty lines are none."""
    text, notes = without_surrogates(whole_text(file, argument, most))
    if notes:
        warnings.warn(
            f"{file} is not all in UTF-8: other bytes are read as U+FFFD", UserWarning, stacklevel=2
        )
    found = [line.removesuffix("\r") for line in text.split("\n")]
    places = [number for number, line in enumerate(found, start=1) if line.strip()]
    require(bool(places), argument, file, "has no line that is not empty", "write a text per line")
    if not file.lower().endswith(".jsonl"):
        return [found[number - 1] for number in places]
    return [_json_text(found[number - 1], argument, f"{file}, line {number}") for number in places]


def _json_text(line: str, argument: str, place: str) -> str:
    import json

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    require(isinstance(found, str), argument, place, "is not a JSON string", 'write it like "Once\\nupon"')
    return printable(str(found))
