"""Where one text stands in its form: which token may come next, and a way to an end within its length.

A text always has a way to an end of at most as many tokens as are left to it. A token after which there is
none is not taken: the first one of the way takes its place. So whatever the length, the text ends with its
form, and no text comes to where nothing can follow.

Only the automaton knows whether a way still leads to an end, and asking costs as much as the way is long. So
a text is drawn *ahead*: for some tokens the way is assumed to change as it did before between the same masks,
and then the automaton is asked once. If there is a way, there was one after each of these tokens, through
those that followed. Until then they are not shown. If none is found, the text goes back to the last place
from which a way is known, and from there each token is asked about.

Where a model has a token that ends a text, that token may come as soon as the text has the form. Without
one the model ends it by leaving the form: where the text has the form, the next token is drawn among all, and
if the form does not allow it, the text is at its end, and the token is not written. So the end is as probable
as all that the model would write instead of going on.

The automaton keeps each state that a text has come to. When it is full, a new one takes its place and reads
again what the text has. If a token alone needs more than the bounds allow, the text goes the way that it has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pantoum.apps.forms.automaton import is_full
from pantoum.apps.forms.form import SKIPPED, Telling, TokenForm, Way
from pantoum.errors import SettingError

__all__ = ["BACK", "DROPPED", "FormPlace"]

DROPPED = -1
"""In the place of a token: the text has ended before it."""
BACK = -2
"""In the place of a token: the text is back where the last way is known from."""
REACH = 16
"""Tokens that a text is drawn ahead, and that its length must have to spare beyond the way."""
Move = tuple[Way, int]
"""How a way changes with a token: what comes before it, and how many of its tokens no longer come."""

MOVES: tuple[Move, ...] = (((), 1), ((), 0))
"""What it does most often."""


class _Known(NamedTuple):
    """The last place from which a way is known."""

    left: int
    spaced: bool
    way: Way


class FormPlace:
    """The place of one text."""

    __slots__ = (
        "_automaton",
        "_known",
        "_left",
        "_matcher",
        "_moves",
        "_reach",
        "_room",
        "_taken",
        "_telling",
        "_vocabulary",
        "_way",
        "ahead",
        "changed",
        "ended",
        "form",
        "free",
        "kept",
        "late",
        "mask",
        "spaced",
    )

    def __init__(self, form: TokenForm, length: int, spaced: bool, reach: int = REACH) -> None:
        """``spaced``: a space is pending (``forms.token_bytes``). ``reach``: tokens that may be drawn ahead;
        1: none."""
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
        self._reach, self._room = reach, reach - 1
        """Tokens after which a way is asked for; how many may still come before. Below 0: how many are each
        asked about."""
        self._moves: dict[tuple[bytes, bytes], Move] = {}
        """How the way changed, by the masks before a token and after it."""
        self._known = _Known(length, spaced, self._way)
        self.ahead: list[int] = []
        """The tokens after the last place from which a way is known."""
        self.late: list[int] = []
        """Tokens that were ahead and can be shown now, the last one with them."""
        self.kept: list[Any] | None = None
        """What the batch keeps of that place."""
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
        """Tokens that an end asks for at least, as far as is known."""
        return len(self._way)

    @property
    def undoable(self) -> bool:
        """Whether the next draw may be taken back, at once or later."""
        return self.free or self._room > 0

    @property
    def forced(self) -> bool:
        """Whether only one token may come next, and no end, in a text that may be drawn ahead."""
        if self.free or self._room <= 0 or self.ended or self._matcher is None:
            return False
        bits = int.from_bytes(self.mask, "little")
        return not bits & (bits - 1) and self.mask != self._vocabulary.end[self.spaced]

    def take(self, token: int) -> int:
        """The token that stands where this one was drawn: itself, the first one of the way, ``DROPPED`` or
        ``BACK``."""
        vocabulary, matcher = self._vocabulary, self._matcher
        if token == vocabulary.border:
            return token
        if matcher is None or not self._reads(token):
            self._matcher = None
            if self.ahead:
                return self._go_back()
            return DROPPED if self.free else self._go_the_way()
        mask, spaced, way = self.mask, self.spaced, self._way
        self._left -= 1
        self.spaced = vocabulary.between and vocabulary.spaced_after(token)
        if self._settle():
            self._way = ()
            if self.ahead:
                self._show(token)
            return token
        move: Move | None
        if way and way[0] == token:
            if not self.ahead:
                self._way = way[1:]
                return token
            move = MOVES[0]
        else:
            move = self._moves.get((mask, self.mask))
        if move is not None and self._room > 0 and self._left - len(way) > REACH:
            if not self.ahead:
                self._known = _Known(self._left + 1, spaced, way)
            self.ahead.append(token)
            self._room -= 1
            if move is not MOVES[1]:
                self._way = _moved(way, move)
        elif self._finds_way(move, (mask, self.mask)):
            if self.ahead:
                self._show(token)
            elif self._room <= 0:
                self._room = self._room + 1 if self._room else self._reach - 1
        elif self.ahead:
            return self._go_back()
        else:
            self._unread(1)
            self._left += 1
            self.mask, self.spaced, self.changed = mask, spaced, True
            return self._go_the_way()
        return token

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

    def _unread(self, count: int) -> bool:
        """Whether the matcher has gone back before its last tokens."""
        del self._taken[-count:]
        return self._matcher is not None and bool(self._matcher.rollback(count))

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

    def _show(self, token: int) -> None:
        """A way is known from here: what was drawn ahead can be shown."""
        self.late, self.ahead, self.kept = [*self.ahead, token], [], None
        self._room = self._reach - 1

    def _go_back(self) -> int:
        """No way is known from here, or none that is short enough."""
        tokens = len(self.ahead)
        if not self._unread(tokens + 1):
            self._matcher = None
        self._left, self.spaced, self._way = self._known
        self.ahead, self._room, self._reach = [], -1 - tokens, self._reach // 2
        self._settle()
        return BACK

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
            self._matcher, self._room = None, 0
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

    def _finds_way(self, move: Move | None, masks: tuple[bytes, bytes]) -> bool:
        """Whether there is a way from a place that another one has led to; the text has it then. ``move``:
        how the way changes, as far as is known. ``masks``: before the token and after it."""
        if self._matcher is None:  # the automaton is too large from here on
            return False
        return self._looks(move, masks) or (self._begins_anew() and self._looks(move, masks))

    def _looks(self, move: Move | None, masks: tuple[bytes, bytes]) -> bool:
        form, matcher, way, left = self.form, self._matcher, self._way, self._left
        for each in MOVES if move is None else (move, *MOVES):
            known = _moved(way, each)
            if known and len(known) <= left and form.is_way(matcher, known, self.spaced):
                self._way, self._moves[masks] = known, each
                return True
        if left < len(way):  # as near to the end as that, others are not looked for
            return False
        found = form.way(matcher, self.spaced, left, way, self._telling)
        if found is not None:
            self._way, self._moves[masks] = found, _move(way, found)
        return found is not None


def _moved(way: Way, move: Move) -> Way:
    """A way after a token."""
    begin, fewer = move
    return begin + way[fewer:] if begin or fewer else way


def _move(way: Way, found: Way) -> Move:
    """How a way became another one."""
    for fewer in range(min(len(way), SKIPPED)):
        rest = way[fewer:]
        if found[-len(rest) :] == rest:
            return found[: -len(rest)], fewer
    return found, len(way)
