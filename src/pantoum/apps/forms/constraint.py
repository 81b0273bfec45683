"""Where one text stands in its form: which token may come next, and a way to an end within its length; the
entry point ``pantoum.constraints`` of this app.

A text always has a way to an end of at most as many tokens as are left to it. A token after which there is
none is not taken: the first one of the way takes its place. So whatever the length, the text ends with its
form, and no text comes to where nothing can follow.

Most tokens change the way as a token did before between the same masks; such a change is tried first, and a
way is searched where it does not lead to an end.

Where a model has a token that ends a text, that token may come as soon as the text has the form. Without
one the model ends it by leaving the form: where the text has the form, the next token is drawn among all, and
if the form does not allow it, the text is at its end, and the token is not written. So the end is as probable
as all that the model would write instead of going on.

The automaton keeps each state that a text has come to. When it is full, a new one takes its place and reads
again what the text has. If a token alone needs more than the bounds allow, the text goes the way that it has.
"""

from __future__ import annotations

from typing import Any

from pantoum.apps.forms.form import SKIPPED, Telling, TokenForm, token_form
from pantoum.apps.forms.form_reader import FormReader
from pantoum.apps.forms.grammar import is_full
from pantoum.apps.forms.token_bytes import Way
from pantoum.errors import SettingError
from pantoum.seams import DROPPED, AskedForm, LoadedModel

__all__ = ["FormPlace", "constraint", "reader"]

Move = tuple[Way, int]
"""How a way changes with a token: what comes before it, and how many of its tokens no longer come."""

MOVES: tuple[Move, ...] = (((), 1), ((), 0))
"""What it does most often."""


def constraint(model: LoadedModel, asked: AskedForm, length: int, spaced: bool) -> FormPlace:
    """A text of a model that has the form."""
    return FormPlace(token_form(model, asked), length, spaced)


def reader(asked: AskedForm) -> FormReader:
    """What says which texts have the form."""
    return FormReader(asked)


class FormPlace:
    """The place of one text."""

    def __init__(self, form: TokenForm, length: int, spaced: bool) -> None:
        """``spaced``: a space is pending (``forms.token_bytes``)."""
        self.form, self.spaced, self._left = form, spaced, length
        self._way, telling = form.begun(spaced)
        self._telling: Telling = dict(telling)
        needed = len(self._way)
        if needed > length:
            rule = f"is too short for {form.asked.kind}, whose shortest text has {needed:,} tokens"
            raise SettingError("length", length, rule, f"give {needed:,} or more")
        self._automaton = form.automaton
        self._matcher: Any = self._automaton.matcher()
        self._taken: list[int] = []
        """What the matcher has read."""
        self._vocabulary = form.vocabulary
        self._moves: dict[tuple[bytes, bytes], Move] = {}
        """How the way changed, by the masks before a token and after it."""
        self.mask = b""
        """The bits of the tokens that may come next."""
        self.changed = True
        """Whether the row of the text has other bits."""
        self.ended = False
        """Whether the text has the form and cannot go on."""
        self.free = False
        """Whether the next token is drawn among all."""
        self._settle()

    @property
    def to_go(self) -> int:
        """Tokens that an end needs at least, as far as is known."""
        return len(self._way)

    def take(self, token: int) -> int:
        """The token that stands where this one was drawn: itself, the first one of the way, or
        ``DROPPED``."""
        vocabulary = self._vocabulary
        if token == vocabulary.border:
            return token
        if self._matcher is None or not self._reads(token):
            self._matcher = None
            return DROPPED if self.free else self._go_the_way()
        mask, spaced, way = self.mask, self.spaced, self._way
        self._left -= 1
        self.spaced = vocabulary.between and vocabulary.spaced_after(token)
        if self._settle():
            self._way = ()
        elif way and way[0] == token:
            self._way = way[1:]
        elif not self._finds_way((mask, self.mask)):
            del self._taken[-1]
            if self._matcher is not None:
                self._matcher.rollback(1)
            self._left += 1
            self.mask, self.spaced, self.changed = mask, spaced, True
            return self._go_the_way()
        return token

    def matches(self, text: str) -> bool:
        """Whether a text has the form."""
        return self.form.reader.matches(text)

    def release(self) -> None:
        """The text has ended."""
        if self._matcher is not None:
            self._automaton.give_back(self._matcher)
            self._matcher = None

    def _reads(self, token: int) -> bool:
        """Whether a token may come next; the matcher has read it then."""
        number = token + self._vocabulary.shift if self.spaced else token
        if self._matcher.consume_token(number) or (
            self._begins_anew() and self._matcher.consume_token(number)
        ):
            self._taken.append(number)
            return True
        return False

    def _begins_anew(self) -> bool:
        """Whether the automaton was full and a new one has read the text again."""
        if not is_full(self._matcher):
            return False
        for _ in range(2):  # one that others have begun may be full, too
            self._automaton = self.form.anew(self._automaton)
            matcher = self._automaton.matcher_after(self._taken)
            if matcher is not None:
                self._matcher = matcher
                return True
        return False

    def _go_the_way(self) -> int:
        """The next token of the way is taken; the text ends where the way does."""
        vocabulary = self._vocabulary
        if not self._way:
            return DROPPED if vocabulary.border is None else vocabulary.border
        token, self._way = self._way[0], self._way[1:]
        if self._matcher is not None and not self._reads(token):
            self._matcher = None
        self._left -= 1
        self.spaced = vocabulary.spaced_after(token)
        self._settle()
        return token

    def _settle(self) -> bool:
        """What may come next; whether the text is known to have the form."""
        matcher, vocabulary = self._matcher, self._vocabulary
        if matcher is None:
            self._settle_on_way()
            return False
        if self.free and matcher.is_accepting():  # as before the last token
            self.ended = matcher.is_stopped()
            self.free = not self.ended
            return True
        bits = matcher.compute_bitmask()
        accepting = bool(bits[vocabulary.end_byte] & vocabulary.end_bit)
        mask = bits[vocabulary.part[self.spaced]]
        self.free = False
        if accepting and mask == vocabulary.end[self.spaced] and matcher.is_error():
            if self._begins_anew():
                return self._settle()
            self._matcher = None
            self._settle_on_way()
            return False
        if accepting and vocabulary.border is None:
            mask = vocabulary.all
            self.ended = matcher.is_stopped()
            self.free = not self.ended
        if mask != self.mask:
            self.mask, self.changed = mask, True
        return accepting

    def _settle_on_way(self) -> None:
        """What the way has next, where the automaton is too large."""
        self.free = False
        self.ended = not self._way and self._vocabulary.border is None
        self.mask, self.changed = self._vocabulary.only(self._way[0] if self._way else None), True

    def _finds_way(self, masks: tuple[bytes, bytes]) -> bool:
        """Whether there is a way from a place that another one has led to; the text has it then. ``masks``:
        before the token and after it."""
        if self._matcher is None:  # the automaton is too large from here on
            return False
        return self._looks(masks) or (self._begins_anew() and self._looks(masks))

    def _looks(self, masks: tuple[bytes, bytes]) -> bool:
        way, left, likely = self._way, self._left, self._moves.get(masks)
        for move in MOVES if likely is None else (likely, *MOVES):
            known = move[0] + way[move[1] :]
            if known and len(known) <= left and self.form.is_way(self._matcher, known, self.spaced):
                self._way, self._moves[masks] = known, move
                return True
        if left < len(way):  # as near to the end as that, others are not looked for
            return False
        found = self.form.way(self._matcher, self.spaced, left, way, self._telling)
        if found is not None:
            self._way, self._moves[masks] = found, _move(way, found)
        return found is not None


def _move(way: Way, found: Way) -> Move:
    """How a way became another one."""
    for fewer in range(min(len(way), SKIPPED)):
        rest = way[fewer:]
        if found[-len(rest) :] == rest:
            return found[: -len(rest)], fewer
    return found, len(way)
