"""Where one text stands in its form: which token may come next, and a way to an end within its length.

A text always has a way to an end of at most as many tokens as are left to it. A token after which there is
none is not taken: the first one of the way takes its place. So whatever the length, the text ends with its
form, and no text comes to where nothing can follow.

Where a model has a token that ends a text, that token may come as soon as the text has the form. Without
one the model ends it by leaving the form: where the text has the form, the next token is drawn among all, and
if the form does not allow it, the text is at its end, and the token is not written. So the end is as probable
as all that the model would write instead of going on.

If the automaton grows beyond its bounds, the text goes the way that it has.
"""

from __future__ import annotations

from typing import Any

from pantoum.errors import SettingError
from pantoum.inference.forms.form import Form, Way
from pantoum.kernels import Array

__all__ = ["DROPPED", "Place"]

DROPPED = -1
"""In the place of a token: the text has ended before it."""


class Place:
    """The place of one text."""

    __slots__ = ("_kept", "_left", "_matcher", "_way", "ended", "form", "free", "spaced")

    def __init__(self, form: Form, length: int, spaced: bool) -> None:
        """``spaced``: a space is pending (``forms.vocabulary``)."""
        self.form, self.spaced, self._left = form, spaced, length
        self._way: Way = form.shortest(spaced)
        needed = len(self._way)
        if needed > length:
            rule = f"is too short for {form.asked.kind}, whose shortest text has {needed:,} tokens"
            raise SettingError("length", length, rule, f"give {needed:,} or more")
        self._matcher: Any = form.matcher()
        self._kept = False
        """Whether the way from one place to the next stayed as it was."""
        self.ended = False
        """Whether the text has the form and cannot go on."""
        self.free = False
        """Whether the next token is drawn among all."""
        self._settle(self._matcher.is_accepting())

    def allow(self, address: int, words_W: Array) -> None:
        """Write which tokens may come next, as bits, to an array and its address."""
        if self.free:
            words_W.fill(0xFFFFFFFF)
            return
        matcher, vocabulary = self._matcher, self.form.vocabulary
        if matcher is not None:
            matcher.unsafe_compute_mask_ptr(address, words_W.nbytes)
            if not matcher.is_error():
                if self.spaced and vocabulary.shift:
                    half = vocabulary.shift // 32
                    words_W[: len(words_W) - half] = words_W[half:]
                return
            self._matcher = None
        words_W.fill(0)
        token = self._way[0] if self._way else vocabulary.border
        assert token is not None
        words_W[token // 32] = 1 << token % 32

    def take(self, token: int) -> int:
        """The token that stands where this one was drawn: itself, the first one of the way, or
        ``DROPPED``."""
        vocabulary, matcher = self.form.vocabulary, self._matcher
        if token == vocabulary.border:
            return token
        number = token + vocabulary.shift if self.spaced else token
        if self.free:
            if not matcher.try_consume_tokens((number,)):
                return DROPPED
        elif matcher is None or not matcher.consume_token(number):
            self._matcher = None
            return self._go_the_way()
        self._left -= 1
        accepting = matcher.is_accepting()
        spaced = vocabulary.spaced_after(token)
        if accepting:
            self._way = ()
        elif not self._finds_way(token, spaced):
            matcher.rollback(1)
            self._left += 1
            return self._go_the_way()
        self.spaced = spaced
        self._settle(accepting)
        return token

    def release(self) -> None:
        """The text has ended."""
        if self._matcher is not None:
            self.form.give_back(self._matcher)
            self._matcher = None

    def _go_the_way(self) -> int:
        """The next token of the way is taken; the text ends where the way does."""
        vocabulary, matcher = self.form.vocabulary, self._matcher
        if not self._way:
            return DROPPED if vocabulary.border is None else vocabulary.border
        token, self._way = self._way[0], self._way[1:]
        accepting = not self._way
        if matcher is not None:
            if not matcher.consume_token(token + vocabulary.shift if self.spaced else token):
                self._matcher = None
            else:
                accepting = matcher.is_accepting()
        self._left -= 1
        self.spaced = vocabulary.spaced_after(token)
        self._settle(accepting)
        return token

    def _settle(self, accepting: bool) -> None:
        without_border = accepting and self.form.vocabulary.border is None
        self.ended = without_border and (self._matcher is None or self._matcher.is_stopped())
        self.free = without_border and not self.ended

    def _finds_way(self, token: int, spaced: bool) -> bool:
        """Whether there is a way from the place after a token; the text has it then."""
        form, matcher, way, left = self.form, self._matcher, self._way, self._left
        rest = way[1:]
        if way and way[0] == token:
            self._way = rest
            return True
        for again in (self._kept, not self._kept):
            known = way if again else rest
            if known and len(known) <= left and form.is_way(matcher, known, spaced):
                self._way, self._kept = known, again
                return True
        if left < len(way):  # as near to the end as that, others are not looked for
            return False
        found = form.way(matcher, spaced, left, way)
        if found is not None:
            self._way = found
        return found is not None
