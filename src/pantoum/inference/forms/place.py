"""Where one text stands in its form: which token may come next, and a way to an end within its length.

A text always has a way to an end of at most as many tokens as are left to it. A token after which there is
none is not taken: the first one of the way takes its place. So whatever the length, the text ends with its
form, and no text comes to where nothing can follow.

Whether a way still leads to an end is asked of the automaton after each token. A way that is some tokens old
cannot be mended: what must follow may have grown with each of them, as with brackets in brackets.

Where a model has a token that ends a text, that token may come as soon as the text has the form. Without
one the model ends it by leaving the form: where the text has the form, the next token is drawn among all, and
if the form does not allow it, the text is at its end, and the token is not written. So the end is as probable
as all that the model would write instead of going on.

If the automaton grows beyond its bounds, the text goes the way that it has.
"""

from __future__ import annotations

from typing import Any

from pantoum.errors import SettingError
from pantoum.inference.forms.form import TokenForm, Way

__all__ = ["DROPPED", "FormPlace"]

DROPPED = -1
"""In the place of a token: the text has ended before it."""


class FormPlace:
    """The place of one text."""

    __slots__ = (
        "_kept",
        "_left",
        "_matcher",
        "_vocabulary",
        "_way",
        "changed",
        "ended",
        "form",
        "free",
        "mask",
        "spaced",
    )

    def __init__(self, form: TokenForm, length: int, spaced: bool) -> None:
        """``spaced``: a space is pending (``forms.token_bytes``)."""
        self.form, self.spaced, self._left = form, spaced, length
        self._way: Way = form.shortest(spaced)
        needed = len(self._way)
        if needed > length:
            rule = f"is too short for {form.asked.kind}, whose shortest text has {needed:,} tokens"
            raise SettingError("length", length, rule, f"give {needed:,} or more")
        self._matcher: Any = form.matcher()
        self._vocabulary = form.vocabulary
        self.mask = b""
        """The bits of the tokens that may come next."""
        self.changed = True
        """Whether the row of the text has other bits."""
        self._kept = False
        """Whether the last token left the way as long as it was."""
        self.ended = False
        """Whether the text has the form and cannot go on."""
        self.free = False
        """Whether the next token is drawn among all."""
        self._settle(self._matcher.is_accepting())

    @property
    def to_go(self) -> int:
        """Tokens that an end asks for at least, as far as is known."""
        return len(self._way)

    def take(self, token: int) -> int:
        """The token that stands where this one was drawn: itself, the first one of the way, or
        ``DROPPED``."""
        vocabulary, matcher = self._vocabulary, self._matcher
        if token == vocabulary.border:
            return token
        number = token + vocabulary.shift if self.spaced else token
        if matcher is None or not matcher.consume_token(number):
            self._matcher = None
            return DROPPED if self.free else self._go_the_way()
        self._left -= 1
        mask, spaced, way = self.mask, self.spaced, self._way
        self.spaced = vocabulary.between and vocabulary.spaced_after(token)
        if self._settle(matcher.is_accepting()):
            self._way = ()
        elif way and way[0] == token:
            self._way = way[1:]
        elif not self._finds_way():
            matcher.rollback(1)
            self._left += 1
            self.mask, self.spaced, self.changed = mask, spaced, True
            return self._go_the_way()
        return token

    def release(self) -> None:
        """The text has ended."""
        if self._matcher is not None:
            self.form.give_back(self._matcher)
            self._matcher = None

    def _go_the_way(self) -> int:
        """The next token of the way is taken; the text ends where the way does."""
        vocabulary, matcher = self._vocabulary, self._matcher
        if not self._way:
            return DROPPED if vocabulary.border is None else vocabulary.border
        token, self._way = self._way[0], self._way[1:]
        accepting = not self._way
        if matcher is not None:
            if matcher.consume_token(token + vocabulary.shift if self.spaced else token):
                accepting = matcher.is_accepting()
            else:
                self._matcher = None
        self._left -= 1
        self.spaced = vocabulary.spaced_after(token)
        self._settle(accepting)
        return token

    def _settle(self, accepting: bool) -> bool:
        """What may come next; ``accepting`` again: whether the text has the form."""
        matcher, vocabulary = self._matcher, self._vocabulary
        without_border = accepting and vocabulary.border is None
        self.ended = without_border and (matcher is None or matcher.is_stopped())
        self.free = without_border and not self.ended
        if without_border:
            mask = vocabulary.all
        elif matcher is not None:
            mask = matcher.compute_bitmask()[vocabulary.part[self.spaced]]
            if mask != self.mask and mask == vocabulary.end[self.spaced] and matcher.is_error():
                matcher = self._matcher = None
        if matcher is None and not without_border:
            mask = vocabulary.only(self._way[0] if self._way else None)
        if mask != self.mask:
            self.mask, self.changed = mask, True
        return accepting

    def _finds_way(self) -> bool:
        """Whether there is a way from a place that another one has led to; the text has it then."""
        form, matcher, way, left = self.form, self._matcher, self._way, self._left
        if matcher is None:  # the automaton is too large from here on
            return False
        rest = way[1:]
        for again in (self._kept, not self._kept):
            known = way if again else rest
            if known and len(known) <= left and form.is_way(matcher, known, self.spaced):
                self._way, self._kept = known, again
                return True
        if left < len(way):  # as near to the end as that, others are not looked for
            return False
        found = form.way(matcher, self.spaced, left, way)
        if found is not None:
            self._way = found
        return found is not None
