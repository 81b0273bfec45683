r"""What an expression spells out, and a way to an end through it.

Where an expression allows anything (``.*c1ccccc1.*``), every token may follow, and no search that looks at
what may follow finds its way to an end. The pieces that the expression spells out are that way: each of them
is tried as one step, in the order in which they stand.
"""

from __future__ import annotations

import re
from typing import Any

from pantoum.apps.forms.token_bytes import TokenBytes

__all__ = ["literals", "way_through"]

Way = tuple[int, ...]

PART = re.compile(
    r"\\(?P<sign>[^\w])|(?P<other>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P<\w+>|[a-zA-Z-]*:?))?|[)|.^$])"
    r"|(?P<count>[*?]|\{\d*,?\d*\})|(?P<plus>\+)|(?P<plain>.)",
    re.DOTALL,
)
MOST_LITERALS, MOST_STEPS, MOST_TRIALS = 16, 64, 20_000
MOST_SINGLES = 16
"""Tokens that are tried at a place, letters and digits first."""
MOST_ALIKE, MOST_SINCE = 4, 3
"""Places that are kept of those after which the same may follow, as many tokens after the same piece; and
after how many such tokens it does not matter how many there were."""


def literals(pattern: str) -> list[str]:
    """The longest pieces of an expression that stand for themselves, in their order."""
    found, run = list[str](), ""
    for part in PART.finditer(pattern):
        if part["count"]:
            run = run[:-1]
        sign = part["sign"] or part["plain"]
        if sign:
            run += sign
        elif run:
            found.append(run)
            run = ""
    pieces = [*found, run] if run else found
    longest = sorted(range(len(pieces)), key=lambda at: -len(pieces[at]))[:MOST_LITERALS]
    return [pieces[at] for at in sorted(longest)]


def way_through(
    vocabulary: TokenBytes, pattern: str, matcher: Any, spaced: bool, trials: int = MOST_TRIALS
) -> Way | None:
    """A way from the beginning, where the matcher is, to an end; ``None`` where none was found in so many
    trials."""
    steps = [ways for piece in literals(pattern) if (ways := _ways_of(vocabulary, piece))]
    level = [(matcher, spaced, (), (0, 0))]
    for _ in range(MOST_STEPS):
        ends, following = list[Way](), dict[Any, Any]()
        for matcher, is_spaced, way, (index, since) in level:
            after = (index, min(since + 1, MOST_SINCE))
            plain = sorted(
                vocabulary.worth_trying(vocabulary.mask(matcher, is_spaced)),
                key=lambda token: _rank(vocabulary.texts[token]),
            )
            singles = [((token,), after) for token in plain[:MOST_SINGLES]]
            spelled = [(tokens, (at + 1, 0)) for at in range(index, len(steps)) for tokens in steps[at]]
            for tokens, after in (*singles, *spelled):
                trials -= 1
                twin, numbers = matcher.deep_copy(), vocabulary.numbers(tokens, is_spaced)
                if trials < 0 or twin.try_consume_tokens(numbers) < len(numbers):
                    continue
                place = (twin, vocabulary.spaced_after(tokens[-1]), (*way, *tokens), after)
                if twin.is_accepting():
                    ends.append(place[2])
                elif not twin.is_error():
                    alike = following.setdefault((vocabulary.mask(twin, place[1]), place[1], after), [])
                    alike.append(place)
                    alike.sort(key=lambda one: len(one[2]))
                    del alike[MOST_ALIKE:]
        if ends:
            return min(ends, key=len)
        level = [one for alike in following.values() for one in alike]
    return None


def _rank(text: bytes) -> int:
    """The place of a token among those that are tried: words after a space, then letters and digits."""
    word = text.removeprefix(b" ")
    return 2 if not word.isalnum() else int(word == text)


def _ways_of(vocabulary: TokenBytes, piece: str) -> list[Way]:
    """A text as tokens, and where spaces belong to words, with the words alone."""
    word = piece.strip(" ")
    texts = dict.fromkeys((piece, f" {word}", word) if word else (piece,))
    return [tokens for text in texts if (tokens := _tokens_of(vocabulary, text))]


def _tokens_of(vocabulary: TokenBytes, piece: str) -> Way:
    """A text as tokens, always the longest that fits; empty where the vocabulary lacks some of it."""
    for spaced in (False, True):
        data, found = piece.encode("utf-8", "replace"), list[int]()
        while data:
            tokens = vocabulary.by_text[spaced]
            size = next((n for n in range(min(len(data), 64), 0, -1) if data[:n] in tokens), 0)
            if not size:
                break
            found.append(tokens[data[:size]])
            data, spaced = data[size:], vocabulary.spaced_after(found[-1])
        else:
            return tuple(found)
    return ()
