"""An automaton of a form. It is built while texts are written, and replaced when it is full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pantoum.apps.forms.grammar import matcher_of

if TYPE_CHECKING:
    from pantoum.seams import AskedForm

__all__ = ["Automaton", "is_full"]

POOL = 256
"""Matchers that are kept for the next texts."""


class Automaton:
    """What matchers of one form share: each state that a text has come to, as many as may be kept."""

    def __init__(self, tokens: Any, grammar: str, asked: AskedForm) -> None:
        self._first = matcher_of(tokens, grammar, asked)
        self._pool: list[Any] = []

    def matcher(self) -> Any:
        """A matcher at the beginning of a text."""
        try:
            return self._pool.pop()
        except IndexError:
            return self._first.deep_copy()

    def matcher_after(self, tokens: list[int]) -> Any | None:
        """A matcher that has read these, as a text alone reads them; ``None``: there is no room for it."""
        matcher = self.matcher()
        for token in tokens:
            matcher.compute_bitmask()
            if not matcher.consume_token(token):
                return None
        return None if is_full(matcher) else matcher

    def give_back(self, matcher: Any) -> None:
        """Nobody needs this matcher any more."""
        if len(self._pool) < POOL and not matcher.is_error() and matcher.reset():
            self._pool.append(matcher)


def is_full(matcher: Any) -> bool:
    """Whether the automaton of a matcher has no room for what comes here. All its matchers find nothing from
    then on."""
    matcher.compute_bitmask()
    return bool(matcher.is_error()) and "too many" in matcher.get_error()
