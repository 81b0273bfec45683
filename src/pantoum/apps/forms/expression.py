r"""A regular expression of Python's ``re`` in the syntax of Rust, which llguidance reads: same matches.

Python checks the expression first, so a mistake is told with its position. Then the few things are rewritten
that the two read differently: ``\w`` and ``\s``, a brace or bracket that stands for itself, ``{,n}``. What
cannot mean the same is refused: a part of a text cannot be at the beginning or the end of a line alone.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import NoReturn

from pantoum.errors import SettingError
from pantoum.seams import require

__all__ = ["in_rust"]

LONGEST = 20_000
"""Characters of an expression."""
CLASSES = "wsd"
"""Letters of the classes that this Python and the library read by tables of other versions of Unicode."""
LAST = 0x3FFFF
"""No character beyond this one is in such a class."""
COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")
OPENING = re.compile(r"\(\?(?:(P<\w+>)|([a-zA-Z-]*)[:)]|P=|<?[=!]|\(|>|#)")
"""What follows the parenthesis of a group: a name, flags, or what is refused."""
REFUSED = {
    "(?P": "a reference to a group",
    "(?=": "look-around",
    "(?!": "look-around",
    "(?<": "look-around",
    "(?(": "a condition",
    "(?>": "an atomic group",
    "(?#": "a comment",
}
CODED = re.compile(r"\\(?:0[0-7]{0,2}|[0-3][0-7]{2}|x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|N\{[^}]*\})")
"""A character by its number or name."""
ADVICE = "the whole text must match, so that it needs no anchors and no look-around"


def in_rust(pattern: str, argument: str) -> str:
    """The expression in the other syntax; ``SettingError`` with its position where there is a mistake."""
    rule = f"has {len(pattern):,} characters: at most {LONGEST:,} can be used"
    require(len(pattern) <= LONGEST, argument, pattern, rule, "give a shorter one, or a grammar")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as problem:
        what = "is nested too deeply" if isinstance(problem, RecursionError) else f"is wrong: {problem}"
        raise SettingError(argument, pattern, what, "mend it there") from None
    return _Rewriting(pattern, argument).all()


class _Rewriting:
    """Goes through an expression once, from left to right."""

    def __init__(self, pattern: str, argument: str) -> None:
        self._whole, self._argument, self._at = pattern, argument, 0
        begin = re.match(r"(\(\?[a-z]+\))?(?:\^|\\A)+", pattern)
        self._pattern = pattern if begin is None else (begin[1] or "") + pattern[begin.end() :]
        end = re.search(r"(?<!\\)((?:\\\\)*)(?:\$|\\Z)+$", self._pattern)
        if end is not None and not _in_class(self._pattern, end.end(1)):
            self._pattern = self._pattern[: end.end(1)]
        self._repeated = False
        """Whether what stands before is a repetition."""

    def all(self) -> str:
        """The expression."""
        found = []
        while self._at < len(self._pattern):
            found.append(self._next())
        return "".join(found)

    def _next(self) -> str:
        sign, repeated, self._repeated = self._pattern[self._at], self._repeated, False
        if sign == "\\":
            return f"(?-i:{self._escape()})" if self._at_class() else self._escape()
        if sign == "[":
            return self._class()
        if sign == "(":
            return self._opening()
        count = COUNT.match(self._pattern, self._at)
        if sign in "*+?" or (count is not None and (count[1] or count[2])):
            if sign == "+" and repeated:
                self._refuse("a possessive repetition")
            self._repeated = not (sign == "?" and repeated)
            if count is None:
                return self._take(1)
            self._at = count.end()
            return f"{{{count[1] or 0}{count[2]}{count[3]}}}"
        if sign in "^$":
            self._refuse(f"{sign} within it")
        return self._take(1) if sign in "|)." else _point(ord(self._take(1)))

    def _opening(self) -> str:
        group = OPENING.match(self._pattern, self._at)
        if group is None:
            return self._take(1)
        name, flags = group[1], group[2]
        if name is None and (flags is None or set(flags) - set("isu-")):
            self._refuse(REFUSED.get(group[0][:3], f"the group {group[0]}..."))
        return self._take(len(group[0]))

    def _take(self, count: int) -> str:
        taken = self._pattern[self._at : self._at + count]
        self._at += count
        return taken

    def _escape(self, within: bool = False) -> str:
        letter = self._pattern[self._at + 1]
        if letter.lower() in CLASSES:
            self._at += 2
            return f"[{'^' * letter.isupper()}{_elements(letter.lower())}]"
        if letter in "AZbB" and not (within and letter == "b"):
            self._refuse(f"\\{letter} within it")
        found = CODED.match(self._pattern, self._at)
        if found is None and letter.isdigit():
            self._refuse("a reference to a group")
        escape = self._take(2 if found is None else len(found[0]))
        return _point(ord(_meant(escape)))

    def _class(self) -> str:
        began = self._at
        opening = self._take(2 if self._pattern.startswith("[^", self._at) else 1)
        found, classes = list[str](), list[str]()
        while self._pattern[self._at] != "]" or not (found or classes):
            if self._at_class():
                classes.append(self._escape(True))
                continue
            found.append(self._element())
            if self._pattern[self._at] == "-" and self._pattern[self._at + 1] != "]":
                found.append(self._take(1))
                found.append(self._element())
        self._take(1)
        if not classes:
            return f"{opening}{''.join(found)}]"
        if opening == "[^":
            whole = self._pattern[began : self._at]
            signs = re.sub(r"\\(.)", lambda m: "" if m[1].lower() in CLASSES else m[1], whole, flags=re.S)
            if signs.lower() != signs.upper() and re.search(r"\(\?[a-z]*i", self._pattern):
                self._refuse(f"letters beside a class in {whole} where case is ignored")
            return f"(?-i:[^{''.join(found + classes)}])"
        own = [f"[{''.join(found)}]"] if found else []
        return f"(?:{'|'.join([*own, *(f'(?-i:{one})' for one in classes)])})"

    def _at_class(self) -> bool:
        r"""Whether a class such as ``\w`` follows. It contains the same characters whatever the flags; the
        library would add every character that has another case in the class."""
        return self._pattern[self._at] == "\\" and self._pattern[self._at + 1].lower() in CLASSES

    def _element(self) -> str:
        """One character of a class, or a class within it."""
        return self._escape(True) if self._pattern[self._at] == "\\" else _point(ord(self._take(1)))

    def _refuse(self, what: str) -> NoReturn:
        raise SettingError(self._argument, self._whole, f"has {what}, which cannot be kept to", ADVICE)


@cache
def _elements(letter: str) -> str:
    """What this Python counts to a class, as the elements of one."""
    known = "".join(map(chr, (*range(0xD800), *range(0xE000, LAST))))
    found = (match[0] for match in re.finditer(rf"\{letter}+", known))
    return "".join(f"{_point(ord(run[0]))}-{_point(ord(run[-1]))}" for run in found)


def _meant(escape: str) -> str:
    """The character that an escape of Python means."""
    if escape[1] in "01234567":
        return chr(int(escape[1:], 8))
    if len(escape) > 2 or escape[1] in "abfnrtv":
        return escape.encode("ascii").decode("unicode_escape")
    return escape[1]


def _point(number: int) -> str:
    """A character that stands for itself; letters and digits as they are."""
    sign = chr(number)
    return sign if sign.isascii() and sign.isalnum() else f"\\x{{{number:x}}}"


def _in_class(pattern: str, place: int) -> bool:
    """Whether a place is between brackets."""
    inside, at = False, 0
    while at < place:
        if pattern[at] == "\\":
            at += 1
        elif inside:
            inside = pattern[at] != "]"
        elif pattern[at] == "[":
            inside = True
            at += pattern.startswith("^", at + 1)
            at += pattern.startswith("]", at + 1)
        at += 1
    return inside
