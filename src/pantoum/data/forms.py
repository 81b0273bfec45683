"""What a file is, by its first bytes: a text, a compressed text, a document, or no text at all.

The content decides, not the name, with one exception: markup is read as a document only where the name ends
with ``.html``, ``.htm`` or ``.xhtml``. So a person who wants to learn markup gives the file another ending.
Strings that a Python program gives (``given``) are text whatever they hold: they stand in a folder ``GIVEN``.

Packages read what is no plain text (``pantoum.readers``): an entry point of that group names a function
``reader(head, name)`` of the first 64 KiB of a file and its name. It gives a function that reads such a file,
from its beginning to text in UTF-8, piece by piece; or ``None`` where the file is not of its kind. Texts at
an address, ``s3://bucket/corpus/``, are read likewise (``pantoum.addresses``).
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from pantoum import extensions
from pantoum.config.plain import quoted
from pantoum.errors import TextError

GIVEN = "pantoum-given-strings"
"""The name of a folder in which every file is a text: each was a string."""
HEAD = 1 << 16
"""Bytes at the beginning of a file that decide what it is."""
SAMPLE = 4096
UTF16_SHARE = 0.3
"""Share of zero bytes at odd or even places from which a text without a byte order mark is UTF-16."""


@dataclass(frozen=True)
class Form:
    """What a file is."""

    name: str
    """As messages say it: ``a gzip file``."""
    kind: str
    """``text``, ``encoded`` (``codec``), ``compressed`` (``codec``), ``document`` (``codec``), ``binary``
    (nothing known, but no text), or ``refused``."""
    codec: str = ""
    """The encoding, the compression or the document format."""
    advice: str = "give a text file"
    """What to do with a file that is refused."""
    needs: str = ""
    """A package of the extra ``documents`` that reads it."""

    def advice_for(self, name: str) -> str:
        """The advice for a file of this name."""
        return self.advice.replace("FILE", quoted(name))

    @property
    def readable(self) -> bool:
        """Whether its text can be read, by what is installed."""
        return self.kind in ("text", "encoded", "compressed", "document") and (
            not self.needs or find_spec(self.needs) is not None
        )


TEXT = Form("a text", "text")
PAGE = Form("an HTML page", "document", "html")
BINARY = Form("binary data", "binary")
IMAGE, SOUND, PROGRAM = "an image", "an audio or video file", "an executable program"
CONVERT = "save it as plain text, .docx or .odt first"
EXTRA = "pip install 'pantoum[documents]' reads it"
UNPACK = "unpack it and give the folder"
SAFETENSORS = Form("a safetensors file", "refused", advice="`pantoum info FILE` describes it")

SIGNATURES: tuple[tuple[int, bytes, Form], ...] = (
    (0, b"\xff\xfe\x00\x00", Form("UTF-32", "encoded", "utf-32-le")),
    (0, b"\x00\x00\xfe\xff", Form("UTF-32", "encoded", "utf-32-be")),
    (0, codecs.BOM_UTF16_LE, Form("UTF-16", "encoded", "utf-16-le")),
    (0, codecs.BOM_UTF16_BE, Form("UTF-16", "encoded", "utf-16-be")),
    (0, b"\x1f\x8b", Form("a gzip file", "compressed", "gzip")),
    (0, b"\xfd7zXZ\x00", Form("an xz file", "compressed", "xz")),
    (0, b"\x28\xb5\x2f\xfd", Form("a zstd file", "compressed", "zstd")),
    (30, b"mimetypeapplication/epub+zip", Form("an EPUB book", "document", "epub")),
    (30, b"mimetypeapplication/vnd.oasis.opendocument.text", Form("an ODT document", "document", "odt")),
    (30, b"mimetypeapplication/vnd.oasis", Form("an OpenDocument file", "refused", advice=CONVERT)),
    (0, b"PK\x03\x04", Form("a zip archive", "document", "zip")),
    (
        0,
        b"%PDF-",
        Form(
            "a PDF document",
            "document",
            "pdf",
            f"{EXTRA}, or extract its text first: pdftotext FILE FILE.txt",
            "pypdf",
        ),
    ),
    (
        0,
        b"{\\rtf",
        Form("an RTF document", "document", "rtf", f"{EXTRA}, or {CONVERT}", "striprtf"),
    ),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Form("an old Office document", "refused", advice=CONVERT)),
    (0, b"7z\xbc\xaf\x27\x1c", Form("a 7z archive", "refused", advice=UNPACK)),
    (0, b"Rar!\x1a\x07", Form("a RAR archive", "refused", advice=UNPACK)),
    (0, b"\x04\x22\x4d\x18", Form("an lz4 file", "refused", advice="unpack it: lz4 -d FILE")),
    (0, b"\x1f\x9d", Form("a compress file", "refused", advice="unpack it: uncompress FILE")),
    (0, b"\x89PNG\r\n\x1a\n", Form(IMAGE, "refused")),
    (0, b"\xff\xd8\xff", Form(IMAGE, "refused")),
    (0, b"II*\x00", Form(IMAGE, "refused")),
    (0, b"MM\x00*", Form(IMAGE, "refused")),
    (0, b"OggS\x00", Form(SOUND, "refused")),
    (0, b"fLaC\x00", Form(SOUND, "refused")),
    (0, b"ID3\x03\x00", Form(SOUND, "refused")),
    (0, b"ID3\x04\x00", Form(SOUND, "refused")),
    (0, b"\x1a\x45\xdf\xa3", Form(SOUND, "refused")),
    (0, b"\x7fELF", Form(PROGRAM, "refused")),
    (0, b"MZ\x90\x00", Form(PROGRAM, "refused")),
    (0, b"\xcf\xfa\xed\xfe", Form(PROGRAM, "refused")),
    (0, b"\xca\xfe\xba\xbe", Form(PROGRAM, "refused")),
    (0, b"\x00asm", Form(PROGRAM, "refused")),
    (0, b"SQLite format 3\x00", Form("an SQLite database", "refused")),
    (0, b"\x93NUMPY", Form("a NumPy array", "refused")),
    (0, b"\x89HDF\r\n", Form("an HDF5 file", "refused")),
)
"""Offset, bytes, form; the first that fits. No text has these bytes there."""
LETTERS: tuple[tuple[int, bytes, Form], ...] = (
    (0, b"GIF87a", Form(IMAGE, "refused")),
    (0, b"GIF89a", Form(IMAGE, "refused")),
    (8, b"WEBP", Form(IMAGE, "refused")),
    (8, b"WAVE", Form(SOUND, "refused")),
    (4, b"ftyp", Form(SOUND, "refused")),
    (0, b"PAR1", Form("a Parquet file", "refused", advice="export its text column first")),
    (8, b'{"', SAFETENSORS),
    (257, b"ustar", Form("a tar archive", "refused", advice=UNPACK)),
    (4, b"1AY&SY", Form("a bzip2 file", "compressed", "bzip2")),
    (
        0,
        b"PANTOUMS",
        Form("a saved state", "refused", advice="use it with `pantoum generate MODEL --state-in FILE`"),
    ),
)
"""The same of letters that a text may begin with: they count only in a file that is no text."""
MARKUP = (".html", ".htm", ".xhtml")
PACKED = {
    ".docx": Form("a Word document", "document", "docx"),
    ".xlsx": Form("an Excel workbook", "refused", advice="save its text column as .txt or .csv first"),
    ".pptx": Form("a PowerPoint presentation", "refused", advice=CONVERT),
}
"""Documents that are zip archives, of which only the name tells which."""


def form_of(head: bytes, name: str = "") -> Form:
    """The form of a file that begins with ``head`` and is called ``name``."""
    page = PAGE if name.lower().endswith(MARKUP) and b"<" in head else None
    for offset, signature, form in (*SIGNATURES, *(() if _is_text(head) else LETTERS)):
        if head.startswith(signature, offset):
            if form.codec == "zip":
                return PACKED.get(name[-5:].lower(), form)
            return page if page and form.kind == "encoded" else form
    return page or (_with_zeros(head) if b"\x00" in head else TEXT)


def _is_text(head: bytes) -> bool:
    """Whether it is UTF-8 without zero bytes; its end may be cut within a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head


def _with_zeros(head: bytes) -> Form:
    """UTF-16 without a byte order mark, where zeros stand at every second place; else binary data."""
    sample = head[: SAMPLE - SAMPLE % 2]
    pairs = len(sample) // 2
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    for zeros, others, codec in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if pairs >= 4 and zeros >= 2 * UTF16_SHARE * pairs and others == 0:
            return Form("UTF-16", "encoded", codec)
    return BINARY


Reader: TypeAlias = Callable[[BinaryIO], Iterator[bytes]]


class DocumentFile(io.FileIO):
    """A document that is open to be read, and how it is called."""

    def __init__(self, path: Path, label: str, encoding: str | None) -> None:
        super().__init__(path, "rb")
        self.path, self.label = path, label
        self.encoding = encoding
        """The encoding that was named for texts that do not say theirs."""


def form_in(head: bytes, name: str) -> Form:
    """What a file is: by what pantoum knows, or by an installed package that reads it."""
    form = form_of(head, name)
    if form.kind == "document" or (form == TEXT and not _others()):
        return form
    if form.kind != "compressed" and _reader(head, name) is not None:
        return Form("a document", "document", "other")
    return form


def reader_of(path: Path, label: str) -> Reader:
    """What reads a document; ``TextError`` where no installed package does."""
    with path.open("rb") as file:
        found = _reader(file.read(HEAD), path.name)
    if found is None:
        advice = "save it as plain text, or install pantoum again"
        raise TextError(f"cannot read {label!r}: no installed package reads such documents; {advice}")
    return found


def _others() -> list[str]:
    return [name for name in extensions.names("readers") if name != "documents"]


def _reader(head: bytes, name: str) -> Reader | None:
    return next(filter(None, (reader(head, name) for reader in extensions.each("readers"))), None)


ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(://|::)")  # one letter is a disk of Windows


def is_address(text: str) -> bool:
    """Whether a text names a file at an address, and not a path of this machine."""
    return ADDRESS.match(text) is not None


def remote_files(text: str) -> list[Any]:
    """The files that an address means: itself, or those of a folder that are not hidden. Each has its
    ``address``, as it is shown; its ``name`` in records, without the folder that was given; its ``size``
    (``None``: the server does not say); ``in_folder``, whether a folder was given; ``same(other)``, whether
    another one is this file; and ``open()``, which gives its bytes, to be read once."""
    found: list[Any] = extensions.find("addresses", "texts")(text)
    return found
