r"""A regular expression of Python's ``re``: the same in the syntax of Rust, which llguidance reads, and a
short text that it matches.

Both are made from the tree that Python parses, so a mistake is named with its position. The whole text must
match. So an anchor adds nothing where it must hold (``\b`` between a letter and a point), and is refused
where it does not always hold. References, look-around and what else no automaton can keep to is refused, too.
"""

from __future__ import annotations

import re
import string
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, reduce
from itertools import chain, combinations, product
from typing import Any, NamedTuple, NoReturn

from pantoum.errors import SettingError
from pantoum.seams import require

try:
    from re import _parser as parser  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_parse as parser

__all__ = ["examples", "in_rust"]

LONGEST = 20_000
"""Characters of an expression, and of the text of one."""
CATEGORIES = {
    f"CATEGORY_{negated}{name}": "\\" + (name[0] if negated else name[0].lower())
    for name in ("DIGIT", "SPACE", "WORD")
    for negated in ("", "NOT_")
}
"""As they are written."""
REFUSED = {
    "GROUPREF": "a reference to a group",
    "GROUPREF_EXISTS": "a condition",
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repetition",
}
ANCHORS = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": r"\A",
    "AT_END": "$",
    "AT_END_STRING": r"\Z",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
}
SPACE_THERE, ONE_MORE = 1, 2
"""What may be taken of a repetition: a space, where it may be one; once what it repeats."""
MOST_VARIED = 4
"""Repetitions that are varied."""
UNROLLED = 32
"""Repetitions of a part with anchors are written one by one, up to so many: each stands beside others."""
MOST_PARTS = 20_000
"""Sequences that are written at most: repetitions may lie in repetitions."""
ADVICE = "the whole text must match, so it needs no anchors and no look-around"
KNOWN_FLAGS = re.IGNORECASE | re.DOTALL | re.UNICODE | re.VERBOSE | re.MULTILINE

Kinds = frozenset[str]
"""What may stand beside a place: a character of a word, another one, or the edge of the text."""
EDGE, WORD, OTHER = (frozenset([kind]) for kind in ("edge", "word", "other"))
NONE: Kinds = frozenset()
Tree = Sequence[tuple[Any, Any]]


class _Edges(NamedTuple):
    """The kinds of the first and the last character of what a part matches, and whether it may be empty."""

    first: Kinds
    last: Kinds
    empty: bool

    def then(self, other: _Edges) -> _Edges:
        """The edges of this part followed by the other one."""
        first = self.first | other.first if self.empty else self.first
        last = self.last | other.last if other.empty else other.last
        return _Edges(first, last, self.empty and other.empty)


NOTHING = _Edges(NONE, NONE, True)


def in_rust(pattern: str, argument: str) -> str:
    """The expression in the other syntax; ``SettingError`` with its position where there is a mistake."""
    rule = f"has {len(pattern):,} characters: at most {LONGEST:,} can be used"
    require(len(pattern) <= LONGEST, argument, pattern, rule, "give a shorter one, or a grammar")
    try:
        tree = _parsed(pattern)
        return _Rust(tree.state.flags, pattern, argument).whole(tree)
    except (re.error, OverflowError, RecursionError) as problem:
        what = "is nested too deeply" if isinstance(problem, RecursionError) else f"is wrong: {problem}"
        raise SettingError(argument, pattern, what, "fix it there") from None


def _parsed(pattern: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parser.parse(pattern)


class _NeverError(Exception):
    """No text matches this part."""


class _Rust:
    """Writes a tree."""

    def __init__(self, flags: int, pattern: str, argument: str) -> None:
        self._pattern, self._argument, self._flags, self._anchored = pattern, argument, flags, False
        self._edges: dict[int, _Edges] = {}
        """By the identity of a part, all of which live as long as this."""
        self._made, self._left = list[Tree](), MOST_PARTS

    def whole(self, tree: Tree) -> str:
        """All of it, where no flag is set outside."""
        self._check_flags(self._flags)
        self._anchored = _has_anchor(tree)
        found = self._possible(tree, EDGE, EDGE, self._flags)
        if found is None:
            self._refuse("an anchor that can never hold")
        return f"(?i:{found})" if self._flags & re.IGNORECASE else found

    def _sequence(self, tree: Tree, before: Kinds, after: Kinds, flags: int) -> str:
        """Parts in their order. ``before``, ``after``: what may stand around them."""
        self._left -= 1
        if not self._left:
            raise RecursionError
        if not self._anchored:
            return "".join(self._part(part, before, after, flags) for part in tree)
        follows = [after]
        for part in reversed(tree):
            edges = self._edges_of(part)
            follows.append(edges.first | follows[-1] if edges.empty else edges.first)
        written = []
        for part, after_part in zip(tree, reversed(follows[:-1]), strict=True):
            written.append(self._part(part, before, after_part, flags))
            edges = self._edges_of(part)
            before = edges.last | before if edges.empty else edges.last
        return "".join(written)

    def _part(self, part: tuple[Any, Any], before: Kinds, after: Kinds, flags: int) -> str:
        kind, value = str(part[0]), part[1]
        if kind in REFUSED:
            self._refuse(REFUSED[kind])
        if kind == "LITERAL":
            return _point(value)
        if kind == "NOT_LITERAL":
            return f"[^{_point(value)}]"
        if kind == "ANY":
            return "(?s:.)" if flags & re.DOTALL else r"[^\n]"
        if kind == "IN":
            return self._class(value, flags)
        if kind == "AT":
            return self._anchor(str(value), before, after, flags)
        if kind == "BRANCH":
            each = (self._possible(one, before, after, flags) for one in value[1])
            return _either([written for written in each if written is not None])
        if kind == "SUBPATTERN":
            _, more, less, inner = value
            self._check_flags(more)
            flags = (flags | more) & ~less
            case = "-i" if less & re.IGNORECASE else "i" if more & re.IGNORECASE else ""
            return f"(?{case}:{self._sequence(inner, before, after, flags)})"
        fewest, most, inner = value  # a repetition
        if most <= UNROLLED and _has_anchor(inner):
            rest = list[tuple[Any, Any]]()
            for _ in range(most - fewest):
                rest = [(parser.MAX_REPEAT, (0, 1, [*inner, *rest]))]
                self._made.append(rest)
            if (fewest, most) != (0, 1):
                return self._sequence([*list(inner) * fewest, *rest], before, after, flags)
        edges = self._edges_of_all(inner)
        if most > 1:
            before, after = before | edges.last, after | edges.first
        found = self._possible(inner, before, after, flags)
        if found is None and fewest:
            raise _NeverError
        if found is None or not most:
            return ""
        return f"(?:{found}){{{fewest},{'' if most == parser.MAXREPEAT else most}}}"

    def _possible(self, tree: Tree, before: Kinds, after: Kinds, flags: int) -> str | None:
        """A sequence; ``None`` where no text matches it."""
        try:
            return self._sequence(tree, before, after, flags)
        except _NeverError:
            return None

    def _class(self, elements: Tree, flags: int) -> str:
        if any(str(kind) == "CATEGORY" for kind, _ in elements):
            # This Python and the library read such a class by tables of other versions of Unicode, and the
            # library would add every character that has another case.
            return f"(?-i:[{_characters(_source(elements), flags & re.IGNORECASE)}])"
        negated = str(elements[0][0]) == "NEGATE"
        own = ("-".join(map(_point, _ends(value))) for _, value in elements[negated:])
        return f"[{'^' * negated}{''.join(own)}]"

    def _anchor(self, kind: str, before: Kinds, after: Kinds, flags: int) -> str:
        """Nothing, where an anchor holds whatever stands around it; ``_NeverError`` where it never does."""
        if kind in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
            holds = {one == "edge" for one in before}
        elif kind in ("AT_END", "AT_END_STRING"):
            holds = {one == "edge" for one in after}
        else:
            between = {(one == "word", other == "word") for one in before for other in after}
            holds = {(one != other) == (kind == "AT_BOUNDARY") for one, other in between}
        lines = kind == "AT_BEGINNING" and flags & re.MULTILINE and before >= OTHER
        if lines or (kind == "AT_END" and after >= OTHER):  # what stands there may be the end of a line
            holds = {True, False}
        if len(holds) > 1 or (before == after == EDGE and kind == "AT_NON_BOUNDARY"):
            self._refuse(f"{ANCHORS[kind]} where it does not always hold")
        if holds == {False}:
            raise _NeverError
        return ""

    def _edges_of_all(self, tree: Tree) -> _Edges:
        return reduce(_Edges.then, map(self._edges_of, tree), NOTHING)

    def _edges_of(self, part: tuple[Any, Any]) -> _Edges:
        found = self._edges.get(id(part))
        if found is None:
            found = self._edges[id(part)] = self._new_edges(str(part[0]), part[1])
        return found

    def _new_edges(self, kind: str, value: Any) -> _Edges:
        if kind == "LITERAL":
            own = _kind(value)
            return _Edges(own, own, False)
        if kind == "IN":
            own = _kinds(_source(value))
            return _Edges(own, own, False)
        if kind in ("ANY", "NOT_LITERAL"):
            return _Edges(WORD | OTHER, WORD | OTHER, False)
        if kind == "SUBPATTERN":
            return self._edges_of_all(value[3])
        if kind == "BRANCH":
            each = list(map(self._edges_of_all, value[1]))
            first, last = (reduce(frozenset.union, sets) for sets in list(zip(*each, strict=True))[:2])
            return _Edges(first, last, any(one.empty for one in each))
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            inner = self._edges_of_all(value[2])
            return inner._replace(empty=inner.empty or not value[0])
        return NOTHING

    def _check_flags(self, flags: int) -> None:
        unknown = re.RegexFlag(flags & ~KNOWN_FLAGS)
        if unknown:
            self._refuse(f"the flag {unknown.name}")

    def _refuse(self, what: str) -> NoReturn:
        raise SettingError(self._argument, self._pattern, f"has {what}, which is not supported", ADVICE)


def examples(pattern: str, signs: Sequence[str], writes: Callable[[str], bool]) -> Iterator[str]:
    """Short texts that a whole expression matches: the shortest, then some with more where it repeats.
    ``signs``: the characters to take where several match, the best ones first. ``writes``: whether a text can
    be written, which decides between alternatives."""
    try:
        tree = _parsed(pattern)
        first = _Example(signs, writes, {})
        yield first.of(tree, tree.state.flags)
        places = range(min(first.repeats, MOST_VARIED))
        for count in places:
            for varied in combinations(places, count + 1):
                for how in product((SPACE_THERE, ONE_MORE), repeat=count + 1):
                    variant = _Example(signs, writes, dict(zip(varied, how, strict=True)))
                    yield variant.of(tree, tree.state.flags)
    except (re.error, OverflowError, RecursionError, LookupError):
        return


class _Example:
    """Goes through a tree once."""

    def __init__(
        self, signs: Sequence[str], writes: Callable[[str], bool], varied: Mapping[int, int]
    ) -> None:
        """``varied``: repetitions of which one more is taken, by the order in which they are met."""
        self._signs, self._known, self._writes, self._varied = signs, set(signs), writes, varied
        self.repeats = 0
        """Repetitions that were met of which more could be taken."""

    def of(self, tree: Tree, flags: int) -> str:
        """``LookupError``: there is none, or it is too long."""
        text = "".join(self._part(str(kind), value, flags) for kind, value in tree)
        if len(text) > LONGEST:
            raise LookupError
        return text

    def _part(self, kind: str, value: Any, flags: int) -> str:
        if kind == "LITERAL":
            sign = chr(value)
            if flags & re.IGNORECASE and sign not in self._known and sign.swapcase() in self._known:
                return sign.swapcase()
            return sign
        if kind == "ANY":
            return self._sign(r"(?s:.)" if flags & re.DOTALL else ".", 0, ())
        if kind == "NOT_LITERAL":
            return self._sign(f"[^{_coded(value)}]", flags, ())
        if kind == "IN":
            return self._sign(f"[{_source(value)}]", flags, value)
        if kind == "BRANCH":
            texts = [self.of(each, flags) for each in value[1]]
            return min(texts, key=lambda text: (not self._writes(text), len(text)))
        if kind == "SUBPATTERN":
            return self.of(value[3], (flags | value[1]) & ~value[2])
        if kind == "AT":
            return ""
        fewest, most, inner = value
        how = None
        if most > fewest:
            how = self._varied.get(self.repeats)
            self.repeats += 1
        usual = self._signs
        if how == SPACE_THERE:
            self._signs = [" ", *usual]
        text = self.of(inner, flags) if most else ""
        self._signs, times = usual, fewest or int(how is not None)
        if times * len(text) > LONGEST:
            raise LookupError
        return text * times

    def _sign(self, pattern: str, flags: int, elements: Tree) -> str:
        """The first character that matches."""
        matches = re.compile(pattern, flags & re.IGNORECASE).match
        listed = (chr(_ends(value)[0]) for kind, value in elements if str(kind) in ("LITERAL", "RANGE"))
        found = next(
            filter(matches, chain(self._signs, listed, string.printable, map(chr, range(0xD800)))), None
        )
        if found is None:
            raise LookupError
        return found


@cache
def _characters(source: str, flags: int) -> str:
    """What this Python counts to a class, as the elements of one."""
    runs = re.finditer(f"[{source}]+", _all_characters(), flags)
    return "".join(f"{_point(ord(run[0][0]))}-{_point(ord(run[0][-1]))}" for run in runs)


@cache
def _all_characters() -> str:
    return "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))


def _source(elements: Tree) -> str:
    """A class as Python writes it, without its brackets."""
    return "".join(
        "^"
        if str(kind) == "NEGATE"
        else CATEGORIES[str(value)]
        if str(kind) == "CATEGORY"
        else "-".join(map(_coded, _ends(value)))
        for kind, value in elements
    )


def _either(texts: Sequence[str]) -> str:
    if not texts:
        raise _NeverError
    return f"(?:{'|'.join(texts)})"


def _has_anchor(tree: Tree) -> bool:
    """Whether a part says what stands beside it."""
    return "AT_" in str(tree)


def _ends(value: Any) -> tuple[int, ...]:
    """The first and the last character of a range, or the one that stands alone."""
    return value if isinstance(value, tuple) else (value,)


def _coded(number: int) -> str:
    return f"\\U{number:08x}"


def _point(number: int) -> str:
    """A character that stands for itself; letters and digits as they are."""
    sign = chr(number)
    return sign if sign.isascii() and sign.isalnum() else f"\\x{{{number:x}}}"


def _kind(number: int) -> Kinds:
    return WORD if chr(number).isalnum() or chr(number) == "_" else OTHER


@cache
def _kinds(source: str) -> Kinds:
    """The kinds of the characters of a class."""
    each = ((WORD, r"(?=\w)"), (OTHER, r"(?=\W)"))
    return NONE.union(*(kind for kind, which in each if re.search(f"{which}[{source}]", _all_characters())))
