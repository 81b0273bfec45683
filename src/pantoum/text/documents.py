"""Where one document ends and the next begins, and how that is carried through a text.

Inside the streams of this package a border is one character, the *sign*. With ``lines`` that is the
newline itself. With ``blank-lines`` and ``files`` it is ``\\udfff``, a lone surrogate: no text has one
(``unicode.without_surrogates`` sees to it), so it cannot be taken for text. Tokenizers give the sign the
number of ``<eos>``; decoding gives ``eos_text`` for it.

=============  ===============================================  ================
documents      the border                                       ``<eos>`` reads
=============  ===============================================  ================
lines          a line's end                                     ``\\n``
blank-lines    a line's end and all blank lines that follow     ``\\n\\n``
files          a file's end (put in by who reads the files)     nothing
None           none                                             nothing
=============  ===============================================  ================

A blank line may hold spaces and tabs, and lines may end in CR LF, which then belongs to the border. A run of
several blank lines reads back as one: that is what "it replaces the run" means.

For a list of short lines (names, words, molecules) there is a better way to train: ``--documents lines``.
Such a list (``ShortLines``) has no blank lines, hardly a line of more than ``LONGEST_LINE`` characters, and
few words per line; a poem, a program and a log have more words per line or blank lines. The first ``SAMPLE``
characters decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

BORDER_SIGN = "\udfff"
EOS_TEXT = {None: "", "lines": "\n", "blank-lines": "\n\n", "files": ""}

BLANK_WIDTH = 4096
"""Most spaces and tabs of a line that still counts as blank: what is held back needs a bound."""
LONGEST = 1 << 16
"""Most characters held back at the end of a block."""
BORDER = re.compile(rf"\r?\n(?:[ \t]{{0,{BLANK_WIDTH}}}\r?\n)+")


def sign_of(documents: str | None) -> str:
    """The one character that stands for a border in this package's streams."""
    return "\n" if documents == "lines" else BORDER_SIGN


def eos_text(documents: str | None) -> str:
    """What ``<eos>`` decodes to."""
    return EOS_TEXT[documents]


def borders(text: str, documents: str | None) -> list[str]:
    """The borders of a whole text that need not read back as they are: those between blank lines."""
    return BORDER.findall(text) if documents == "blank-lines" else []


def mark(text: str, documents: str | None) -> str:
    """A whole text with its borders as signs."""
    if documents == "lines":
        return text.replace("\r\n", "\n")
    return BORDER.sub(BORDER_SIGN, text) if documents == "blank-lines" else text


def mark_blocks(blocks: Iterable[str], documents: str | None) -> Iterator[str]:
    """The same for a text that comes in blocks, cut anywhere. At most 64 KB are held back."""
    if documents == "lines":
        held = ""
        for block in blocks:
            text = held + block
            held = "\r" if text.endswith("\r") else ""
            yield mark(text.removesuffix(held), documents)
        yield held
        return
    if documents != "blank-lines":
        yield from blocks
        return
    held = ""
    for block in blocks:
        text = held + block
        start = _undecided(text)
        held = text[start:]
        if len(held) > LONGEST:
            held = BORDER.sub("\n\n", held, count=1)  # a border of many lines is one of two
        if len(held) > LONGEST:
            start, held = len(text), ""  # a long run of stray CRs, no border
        yield BORDER.sub(BORDER_SIGN, text[:start])
    yield BORDER.sub(BORDER_SIGN, held)


def _undecided(text: str) -> int:
    """Where the end of a block begins that, with what follows it, may be a border or a longer one."""
    first = text.find("\n", len(text.rstrip(" \t\r\n")))
    if first >= 0 and len(text) - text.rfind("\n") <= BLANK_WIDTH + 2:
        return first - text.endswith("\r", 0, first)
    return len(text) - text.endswith("\r")


SAMPLE = 1 << 18
LEAST_LINES, LONGEST_LINE, MOST_WORDS = 50, 60, 2.5
ADVICE = (
    "the text looks like a list of short lines: with --documents lines each line is a document, "
    "and `pantoum generate --count 20` writes new ones"
)


class ShortLines:
    """Looks at the beginning of a text on its way."""

    def __init__(self) -> None:
        self._sample = ""

    def through(self, blocks: Iterable[str]) -> Iterator[str]:
        """The blocks themselves."""
        for block in blocks:
            if len(self._sample) < SAMPLE:
                self._sample += block[: SAMPLE - len(self._sample)]
            yield block

    @property
    def found(self) -> bool:
        """Whether it is such a list."""
        lines = self._sample.rstrip("\n").splitlines()
        lines = lines[:-1] if len(self._sample) == SAMPLE else lines
        if len(lines) < LEAST_LINES or not all(line.strip() for line in lines):
            return False
        long = sum(len(line) > LONGEST_LINE for line in lines)
        words = sum(len(line.split()) for line in lines)
        return long <= 0.01 * len(lines) and words <= MOST_WORDS * len(lines)
