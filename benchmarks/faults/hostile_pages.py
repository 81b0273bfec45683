"""PDF and RTF documents made by someone who wants to harm, for ``hostile_documents.py``.

PDF: objects that name each other in circles, names, numbers and arrays without measure, streams packed many
times or by filters that lie, tables of contents that are wrong, fonts that map everything to everything. RTF:
groups never closed, numbers out of range, destinations and code pages that nobody knows.
"""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Callable

__all__ = ["many", "pdf", "rtf"]

NUMBERS = ("0", "-1", "1e9", "9" * 40, "2147483648", "-9223372036854775809", "3.4.5", "+-7", "null", "")
FILTERS: dict[str, Callable[[bytes], bytes]] = {
    "FlateDecode": lambda data: zlib.compress(data, 9),
    "ASCIIHexDecode": lambda data: data.hex().encode() + b">",
    "ASCII85Decode": lambda data: base64.a85encode(data) + b"~>",
    "RunLengthDecode": lambda data: b"".join(bytes((0, byte)) for byte in data[:2000]) + b"\x80",
    "LZWDecode": lambda data: b"\x80" + data,
    "DCTDecode": lambda data: b"\xff\xd8" + data,
    "JBIG2Decode": lambda data: data,
    "Crypt": lambda data: data,
    "None": lambda data: data,
}
LARGEST = 4 << 20
"""Characters of one repeated part: what is drawn would otherwise multiply to gigabytes here, before anything
is read."""
OPERATORS = ("Tj", "TJ", "'", "Td", "Tf", "Tm", "BT", "ET", "q", "Q", "cm", "Do", "BI", "EI", "BDC", "T*")


def many(draw: random.Random) -> int:
    """How often something is repeated: mostly a little, sometimes very often."""
    return int(10 ** draw.uniform(0, draw.choice((2, 3, 5.3))))


def value(draw: random.Random, depth: int = 0) -> str:
    """Something that a dictionary may hold."""
    times = min(many(draw), 20_000)
    return draw.choice(
        (
            draw.choice(NUMBERS),
            f"{draw.randrange(9)} 0 R",
            f"/{'N' * times}",
            f"({'(' * times}{')' * draw.choice((0, times))})",
            f"<{'4' * times}>",
            "[" * times + "]" * draw.choice((0, times)),
            "<<" * times,
            "<< /A " * times + "1" + " >>" * times,
            f"[{'1 0 R ' * times}]",
            f"[{' '.join(value(draw, depth + 1) for _ in range(3))}]" if depth < 3 else "true",
        )
    )


def operators(draw: random.Random) -> bytes:
    """What draws a page."""
    found = ["BT /F1 12 Tf 72 720 Td (One line.) Tj"]
    for _ in range(draw.randrange(4)):
        one = draw.choice(("(a)", "[(a) -9999 (b)]", "/F1 12", "/X1", "1 0 0 1 5 5", value(draw)))
        drawn = f"{one} {draw.choice(OPERATORS)} "
        found.append(drawn * min(many(draw), 20_000, max(1, LARGEST // len(drawn))))
    return draw.choice((" ", "\n")).join([*found, "ET"]).encode("latin-1")


def stream(draw: random.Random, content: bytes, more: str = "") -> bytes:
    """A stream, packed by some filters, of a length that may be wrong."""
    names = draw.choices(tuple(FILTERS), k=draw.choice((0, 0, 1, 1, 2, 5)))
    if draw.random() < 0.1:
        content, names = content + b"( ) Tj " * 3_000_000, ["FlateDecode"] * draw.choice((1, 2, 3))
    for name in reversed(names):
        content = FILTERS[name](content[: 1 << 25])
    packed = f"/Filter [{' '.join('/' + name for name in names)}]" if names else ""
    if draw.random() < 0.2:
        numbers = draw.choice(("12", "2", "99")), draw.choice(NUMBERS)
        packed += " /DecodeParms << /Predictor {} /Columns {} >>".format(*numbers)
    length = len(content) if draw.random() < 0.8 else draw.choice(NUMBERS)
    head = f"<< {more} {packed} /Length {length} >>\nstream\n".encode("latin-1")
    return head + content + draw.choice((b"\nendstream", b"\nendstream", b""))


def characters(draw: random.Random) -> bytes:
    """Which code of a font stands for which character."""
    high, ranges = draw.choice(("ffff", "ffffffff", "00", "5")), min(many(draw), 5000)
    to = draw.choice(("<0041>", "[<0041>]", f"<{'0041' * ranges}>", "<d800>", ""))
    found = f"<00> <{high}> {to}\n" * min(ranges, 200)
    return f"{ranges} beginbfrange\n{found}endbfrange\n1 beginbfchar\n<41> <>\nendbfchar".encode()


def pdf(draw: random.Random) -> tuple[str, bytes]:
    """A PDF document."""
    circle = "/Resources << /XObject << /X1 7 0 R >> >>"
    kids = draw.choice(("3 0 R", "3 0 R", "2 0 R", "3 0 R " * min(many(draw), 3000), "9 0 R", value(draw)))
    entry = f"/{draw.choice(('Rotate', 'MediaBox', 'Annots', 'Contents'))} {value(draw)}"
    page = "/Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources"
    page += " << /Font << /F1 5 0 R >> /XObject << /X1 7 0 R >> >>"
    encoding = value(draw) if draw.random() < 0.3 else "/WinAnsiEncoding"
    plain = f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding {encoding} >>"
    mapped = "<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /DescendantFonts [5 0 R] "
    texts = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {draw.choice(('1', *NUMBERS))} >>",
        f"<< {page} {entry if draw.random() < 0.3 else ''} >>",
        draw.choice((plain, plain, mapped + "/ToUnicode 6 0 R >>", value(draw))),
    )
    catalog, pages, one, font = (text.encode("latin-1") for text in texts)
    packed = f"/Type /ObjStm /N {draw.choice(NUMBERS)} /First {draw.choice(NUMBERS)}"
    objects = (
        catalog,
        pages,
        one,
        stream(draw, operators(draw)),
        font,
        stream(draw, characters(draw)),
        stream(draw, b"/X1 Do " + operators(draw), f"/Type /XObject /Subtype /Form {circle}"),
        stream(draw, b"1 0 2 5 (a) (b)", packed),
    )
    made, places = b"%PDF-1.5\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(made) + (draw.randrange(-9, 9) if draw.random() < 0.05 else 0))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % max(0, place) for place in places)
    odd = (f"/Prev {len(made)}", "/Encrypt 8 0 R /ID [<00> <00>]", f"/Size {draw.choice(NUMBERS)}")
    end = f"trailer\n<< /Size 9 /Root 1 0 R {draw.choice(('', '', '', *odd))} >>\nstartxref\n"
    end += f"{draw.choice((len(made), len(made), len(made), *NUMBERS))}\n%%EOF\n"
    return "a.pdf", made + b"xref\n0 9\n0000000000 65535 f \n" + table + end.encode("latin-1")


def rtf(draw: random.Random) -> tuple[str, bytes]:
    """An RTF document."""
    parts = []
    for _ in range(draw.randrange(1, 5)):
        times, number = many(draw), draw.choice(NUMBERS)
        parts.append(
            draw.choice(
                (
                    "{" * times,
                    "}" * times,
                    "{a" * times + "}" * times,
                    f"\\u{number}?" * min(times, 20_000),
                    "\\u55357?\\u56832?\\u-10179 ?",
                    f"\\uc{number} \\u233 abc",
                    "\\'" + draw.choice(("e9", "zz", "8", "", "ff" * times)),
                    f"\\bin{number} " + "\x00" * min(times, 999),
                    f"{{\\fonttbl{{\\f0\\fcharset{number} Arial;}}}}\\f{number} a\\'e9",
                    f"\\ansicpg{draw.choice((number, '932', '1251', '65001', '99999'))} \\'82\\'a0",
                    f"{{\\*\\{'x' * times} a}}",
                    f"\\{'x' * times}",
                    f"\\par{number} " * min(times, 20_000),
                    f"{{\\pict\\wbitmap0 {'ff' * times}}}",
                    "\\" * times,
                    "\\\n" * times,
                    "é\U0001f600" * times,
                    f"\\trowd\\cell{number}\\row" * min(times, 20_000),
                    '{\\field{\\*\\fldinst HYPERLINK "' + "a" * times + '"}{\\fldrslt b}}',
                    "{\\upr{a}{\\*\\ud{b}}}" * min(times, 20_000),
                )
            )
        )
    text = "{\\rtf1\\ansi " + "One line.\\par ".join(parts) + draw.choice(("}", "", "}}", "} after"))
    return "a.rtf", text.encode(draw.choice(("latin-1", "utf-8", "cp932")), "replace")
