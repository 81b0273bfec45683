"""A text that is given as Python values (``text=``), as the files that training and evaluating read.

It may be a ``str`` or ``bytes``, a file that is open for reading, or strings one after the other. Without
documents, strings are joined as they are; with documents each string is one document. A ``str`` is text,
whatever it begins with; bytes may be those of any file that is read (``forms``). Of several parts the first
says which they are. The files live until the block ends; a run keeps its tokens, so that it can be resumed
without them.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from pantoum.data.forms import GIVEN
from pantoum.errors import SettingError
from pantoum.formats.system_calls import translated
from pantoum.text.unicode import as_bytes

GivenText: TypeAlias = "str | bytes | Iterable[str] | Iterable[bytes]"
"""A text, a file that is open for reading, or texts one after the other."""
READ = 1 << 20
NAME = "text"
ENDS = {"lines": b"\n", "blank-lines": b"\n\n"}
"""What ends a document in a file of many."""


@contextmanager
def as_files(text: GivenText, documents: str | None = None) -> Iterator[list[str]]:
    """The name of a file, or of a folder of files, with this text; it exists while inside."""
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
