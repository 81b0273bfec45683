"""Fault test 22: documents and compressed texts made by someone who wants to harm, of eight kinds.

EPUB, DOCX, ODT, HTML, zip archives and compressed streams (gzip, bzip2, xz): markup repeated, nested, never
closed, with counts, names, namespaces and declarations without measure; parts that are missing, named often,
packed many times, damaged. PDF and RTF: ``hostile_pages``. Each is read as a training text is. It may give a
text, or be refused in one line that names the file. These are faults:

    bug       an error that is none of ours, one of several lines or without the name of the file, or a
              module or file that the process that reads documents wants too late
    memory    a compressed stream takes more than 10 times the file and 64 MB; the process that reads
              documents more than 10 times the file and 340 MB, of which 84 are its own
    time      a stream takes more than 2 s of processor time, 2 s more for each 10 MB of the file, and 12 s
              more for each GB that it expands to, which may be 1,000 times its size: bzip2 alone takes 10;
              a document more than 22 s, and 30 more for each MB

    python benchmarks/faults/hostile_documents.py [--count 20000] [--seed 0] [--first 0] [--kind html]
        [--keep FOLDER]   copies of the files that had a fault

A case is repeated from its seed and number: ``--first N --count 1``. Each 100 cases have a process of their
own, because the peak of a process never falls; the text of a file is passed on in blocks.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import lzma
import random
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from drawn_cases import Teller, in_processes, keep, parser, taken
from forked_child import fork_instead
from hostile_pages import many, pdf, rtf

BATCH = 100
MEMORY_TIMES, MEMORY_SPARE, APART_SPARE = 10, 64 << 20, 340 << 20
TIME_LEAST, TIME_PER_BYTE, TIME_PER_PASSED = 2.0, 2.0 / 10e6, 12.0 / 1e9
APART_LEAST, APART_PER_BYTE = 22.0, 30.0 / 1e6
LARGEST = 1_000_000_000
"""Bytes of one part of a document that is made here."""
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OASIS = "urn:oasis:names:tc:opendocument:xmlns"
TAGS = "p div a li pre script style title svg template table b head br"
CONTAINER = '<container><rootfiles><rootfile full-path="book.opf"/></rootfiles></container>'


def markup(draw: random.Random, tags: tuple[str, ...]) -> str:
    """A piece of markup that is none, or too much."""
    tag, times = draw.choice(tags), many(draw)
    space = "\n" * draw.randrange(2)
    names = "".join(f" x:a{number}=''" for number in range(min(times, 2000)))
    return draw.choice(
        (
            f"<{tag}>{space}" * times,
            f"<{tag}>a</{tag}>{space}" * times,
            f"</{tag}>" * times,
            f"<{tag} " * times,
            f"<{tag}/>" * times,
            f'<{tag} a="{"x" * times}">b</{tag}>',
            f'<{tag} a="x>{space}' * times,
            "".join(f"<n{number}/>" for number in range(times)),
            "<" + tag + "".join(f" a{number}=''" for number in range(times)) + "/>",
            f"<!--{'-' * times}",
            f"<!--{'a' * times}-->",
            "<![CDATA[" * times,
            "<![CDATA[" + "]" * times + "]]>",
            "<!" * times,
            "<?" * times,
            "&#" + "9" * times + ";",
            "&amp;" * times,
            "&" * times,
            "<" * times,
            " " * times,
            "\x00" * min(times, 99),
            "é\U0001f600" * times,
            f"<{'a' * times}>",
            f"<{tag} xmlns:x='{'u' * times}'>{'<x:b/>' * min(times, 5000)}</{tag}>",
            f"<{tag} xmlns:x='{'u' * times}'{names}/>",
            "".join(f"<{tag} xmlns:a{number}='u{number}'>" for number in range(min(times, 5000))),
            f"<{tag}>" * times + "a" + f"</{tag}>" * times,
        )
    )


def laughs(draw: random.Random) -> str:
    """Entities that stand for entities."""
    levels = draw.randrange(1, 12)
    if draw.random() < 0.3:
        defaults = "".join(f"a{number} CDATA 'v' " for number in range(min(many(draw), 20_000)))
        return f"<!DOCTYPE x [<!ATTLIST x {defaults}>]>"
    made = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(levels))
    return f'<!DOCTYPE x [<!ENTITY e0 "ha">{made}]>'


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Some bytes changed, cut off or added."""
    changed = bytearray(data)
    for _ in range(draw.choice((0, 0, 1, 1, 3, 30))):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    if draw.random() < 0.2:
        del changed[draw.randrange(len(changed) + 1) :]
    return bytes(changed) + draw.randbytes(draw.choice((0, 0, 0, 9)))


def packed(draw: random.Random, parts: list[tuple[str, str | bytes]]) -> bytes:
    """A container of these parts, of which some may be missing, doubled, or packed in another way."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts:
            if name != "mimetype" and draw.random() < 0.04:
                continue
            method = zipfile.ZIP_DEFLATED
            if draw.random() < 0.05:
                method = draw.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED))
            method = zipfile.ZIP_STORED if name == "mimetype" else method
            if name not in archive.NameToInfo:
                archive.writestr(name, content, method)
    return damaged(draw, file.getvalue()) if draw.random() < 0.4 else file.getvalue()


def html(draw: random.Random) -> tuple[str, bytes]:
    """A page of HTML."""
    tags = tuple(TAGS.split())
    text = "".join(markup(draw, tags) for _ in range(draw.randrange(1, 4)))
    head = draw.choice(
        ("", "<!doctype html><html><body>", laughs(draw), f"<meta charset={'x' * many(draw)}>")
    )
    encoding = draw.choice(("utf-8", "utf-8", "utf-8", "utf-16", "cp1252", "cp932"))
    data = f"<p>{head}{text}&e9;".encode(encoding, "replace")
    return "a.html", damaged(draw, data) if draw.random() < 0.3 else data


def docx(draw: random.Random) -> tuple[str, bytes]:
    """A DOCX document."""
    tags = ("w:p", "w:t", "w:r", "w:tab", "w:br", "w:delText", "a")
    body = "".join(markup(draw, tags) for _ in range(draw.randrange(1, 4)))
    head = laughs(draw) if draw.random() < 0.1 else ""
    encoding = draw.choice(("", "", "", "", ' encoding="zlib"', ' encoding="utf-16"', ' encoding="cp037"'))
    end = draw.choice(("</w:p></w:document>", ""))
    text = f'<?xml version="1.0"{encoding}?>{head}<w:document xmlns:w="{WORD}"><w:p>{body}<w:t>end</w:t>{end}'
    return "a.docx", packed(draw, [("[Content_Types].xml", ""), ("word/document.xml", text)])


def odt(draw: random.Random) -> tuple[str, bytes]:
    """An ODT document."""
    tags = ("text:p", "text:h", "text:s", "text:tab", "text:span", "office:annotation")
    count = draw.choice(("9" * many(draw), "1000", "-1", "1e9", "²", ""))
    body = "".join(markup(draw, tags) for _ in range(draw.randrange(1, 3)))
    spaces = f'<text:s text:c="{count}"/>'
    body += spaces * min(many(draw), LARGEST // len(spaces))
    head = laughs(draw) if draw.random() < 0.1 else ""
    names = f'xmlns:office="{OASIS}:office:1.0" xmlns:text="{OASIS}:text:1.0"'
    text = f"{head}<office:document-content {names}><text:p>{body}</text:p></office:document-content>"
    media = "application/vnd.oasis.opendocument.text"
    return "a.odt", packed(draw, [("mimetype", media), ("content.xml", text)])


def epub(draw: random.Random) -> tuple[str, bytes]:
    """An EPUB book."""
    container = draw.choice(
        (CONTAINER, CONTAINER, CONTAINER, "<container/>", markup(draw, ("rootfile", "container")), "")
    )
    items = "".join(f'<item id="i{n}" href="{n}.xhtml"/>' for n in range(draw.choice((1, 3, many(draw)))))
    order = draw.choice(
        ('<itemref idref="i0"/>' * many(draw), markup(draw, ("itemref", "item")), '<itemref idref="i1"/>')
    )
    pages = [(f"{n}.xhtml", html(draw)[1]) for n in range(draw.randrange(4))]
    parts: list[tuple[str, str | bytes]] = [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", container),
    ]
    parts.append(("book.opf", f"<package><manifest>{items}</manifest><spine>{order}</spine></package>"))
    return "a.epub", packed(draw, [*parts, *pages])


def archive(draw: random.Random) -> tuple[str, bytes]:
    """A zip archive of texts."""
    number = min(many(draw), 3000)
    names = [
        draw.choice((f"{n}.txt", f"a/{n}", f"../{n}", f".{n}", f"{n}/", "\n" * (n % 9) + str(n)))
        for n in range(number)
    ]
    contents: list[str | bytes] = [
        "a\n" * many(draw),
        draw.randbytes(99),
        "\0" * many(draw),
        "é".encode("utf-16") * 99,
    ]
    if draw.random() < 0.1:
        contents.append(b"\0" * 50_000_000)
    return "a.zip", packed(draw, [(name, draw.choice(contents[: 1 + number % 5])) for name in names])


def stream(draw: random.Random) -> tuple[str, bytes]:
    """A compressed text."""
    compress: Callable[[bytes], bytes] = draw.choice((gzip.compress, bz2.compress, lzma.compress))
    content = draw.choice((b"a\n" * many(draw), draw.randbytes(999), b"", "é".encode("utf-16") * many(draw)))
    if draw.random() < 0.1:
        content = b"\0\n"[draw.randrange(2) :] * 30_000_000
    data = compress(content)
    if len(data) < 100_000:
        data *= draw.choice((1, 1, 2, min(many(draw), 1000)))
    if draw.random() < 0.2:
        data = compress(data)
    return "a.gz", damaged(draw, data) if draw.random() < 0.5 else data


KINDS = {"html": html, "docx": docx, "odt": odt, "epub": epub, "zip": archive, "stream": stream}
APART = {"pdf": pdf, "rtf": rtf}


def case(seed: int, number: int, kind: str | None = None) -> tuple[str, str, bytes]:
    """The kind, the name and the bytes of a case."""
    draw = random.Random(f"{seed} {number}")
    kind = kind or tuple(KINDS)[number % len(KINDS)]  # by name alone: those that are read apart
    return kind, *(KINDS | APART)[kind](draw)


def fault(path: Path) -> tuple[str | None, int]:
    """What is wrong with how a file is read (``None``: nothing), and the characters that it gave."""
    from pantoum.data.sources import found
    from pantoum.data.text_reader import TextReader
    from pantoum.errors import TextError

    read = 0
    try:
        with found([path], keep_in=path.parent) as sources:
            for block in TextReader(sources.texts, "utf-8", None).blocks():
                read += len(block)
    except TextError as error:
        late = "Too many open files" in str(error) or "ImportError" in str(error)
        if late or "\n" in str(error) or path.name not in str(error):
            return f"bug: {str(error)[:200]!r}", read
    except Exception as error:
        return f"bug: {type(error).__name__}: {str(error)[:200]!r}", read
    return None, read


def expanded(data: bytes) -> int:
    """The bytes that the parts of a container have; 0 where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            return sum(part.file_size for part in container.infolist())
    except Exception:  # a damaged one raises what it likes
        return 0


def work(asked: argparse.Namespace) -> None:
    """Do the cases of a process; documents are read by forks of it."""
    fork_instead()
    teller = Teller()
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("a.html", b"<p>caf\xe9"), pdf(random.Random(1)), rtf(random.Random(1))):
            (Path(folder) / name).write_bytes(data)
            fault(Path(folder) / name)  # imports what is imported once
        for number in range(asked.first, asked.first + asked.count):
            teller.begins(number, asked.kind or "")
            kind, name, data = case(asked.seed, number, asked.kind)
            path, (began, before, _) = Path(folder) / name, taken()
            path.write_bytes(data)
            what, read = fault(path)
            ended, own, apart = taken()
            took, grown = ended - began, max(own - before, apart - (APART_SPARE - MEMORY_SPARE))
            if what is None and grown > MEMORY_TIMES * len(data) + MEMORY_SPARE:
                what = f"memory: {own - before >> 20} and {apart >> 20} MB for {len(data):,} bytes"
            passed = max(read, expanded(data))
            most = TIME_LEAST + TIME_PER_BYTE * len(data) + TIME_PER_PASSED * passed
            if kind != "stream":
                most = APART_LEAST + APART_PER_BYTE * len(data)
            if what is None and took > most:
                what = f"time: {took:.1f} s for {len(data):,} bytes"
            if what is not None:
                keep(asked.keep, f"{asked.seed}-{number}", [path])
            teller.ended(number, {kind: 1}, [what] if what is not None else [], seconds=round(took, 2))
            path.unlink()


def main() -> int:
    asked = parser(__doc__, 20_000, KINDS | APART).parse_args()
    if asked.worker:
        work(asked)
        return 0
    return in_processes(__file__, asked, BATCH)


if __name__ == "__main__":
    sys.exit(main())
