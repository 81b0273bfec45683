"""A form over the tokens of a model: matchers of it, and the shortest way from a place in it to an end.

llguidance says which token may follow; whether an end is reached within the length is asked here. A search
goes through the tokens level by level, with a few places of each level that allow different tokens. What it
finds is an ending that was tried, so every text that keeps to one has the form. Whether there is no shorter
one is not proven.

Shapes: V symbols.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from pantoum.apps.forms.expression import examples
from pantoum.apps.forms.form_reader import FormReader
from pantoum.apps.forms.grammar import (
    ADVICE,
    Automaton,
    dense_grammar_of,
    is_full,
    lean_grammar_of,
    library,
    matcher_of,
    parts_of,
    refused,
)
from pantoum.apps.forms.token_bytes import Steps, TokenBytes, Way, way_of
from pantoum.errors import SettingError
from pantoum.seams import Tokenizer

if TYPE_CHECKING:
    from pantoum.seams import AskedForm, LoadedModel

__all__ = ["SKIPPED", "TokenForm", "Way", "token_form"]

Telling = dict[bytes, list[int]]
"""The tokens to try after each mask: in an earlier search each of them led to another mask."""
TRIALS_AT_FIRST, TRIALS = 30_000, 2_000
"""Tokens that a search tries: before the first text, and while one is written (some 10 ms)."""
BEAM = 6
"""Places of each level of a search that is deep rather than wide: white space that may stand anywhere brings
the same places to every level."""
SKIPPED = 64
"""Tokens of the way from the place before, beyond any of which a search may join it."""
RECENT = 2
"""Places before one that are compared with it: words that signs join, such as 0-0-0, come again and again."""
COPY = 250
"""Tokens of a text whose matcher costs as much to copy as one token to try."""
ASKED, PER_TOKEN = 1 / 4, 1 / 16
"""What it costs to ask about a way, and per token that is gone of it, in tokens that are tried."""
MASKS = 1000
"""Masks of which is kept which tokens tell what follows apart."""
SHOWN = 40
"""Characters of a text that an error shows."""
SHORTENED = 200_000
"""Tokens that are looked at (0.1 us each) to shorten the first way."""
KEPT = 64
"""Forms of one tokenizer that are kept for the next texts."""


class _Reached(NamedTuple):
    """A place that a search has come to."""

    matcher: Any
    spaced: bool
    steps: Steps
    mask: bytes
    idle: int
    """Tokens after which the same could follow as shortly before: some of them do not lead on."""
    run: int
    """How many of them were the last ones. Of places of equal ``idle`` that of the longest run, as in the
    digits of a date, has come farther than those that were idle before it, in white space."""
    recent: tuple[bytes, ...]
    """The masks of the places before."""

    def after(self, matcher: Any, spaced: bool, token: int, mask: bytes) -> _Reached:
        """The place to which a token leads."""
        recent = (self.mask, *self.recent[: RECENT - 1])
        idle = mask in recent
        run = self.run + 1 if idle else 0
        return _Reached(matcher, spaced, (token, self.steps), mask, self.idle + idle, run, recent)

    def allows(self, token: int) -> bool:
        """Whether the mask has a token."""
        return bool(self.mask[token >> 3] >> (token & 7) & 1)


class TokenForm:
    """What the texts of one form share. Threads may share it."""

    def __init__(self, vocabulary: TokenBytes, asked: AskedForm) -> None:
        self.vocabulary, self.asked = vocabulary, asked
        self._grammar, *others = parts_of(asked)
        if others:
            rule = "is an intersection of rules, which cannot be followed token by token"
            raise SettingError(asked.kind, asked.text, rule, "add redraw, or give one rule", shown=False)
        self.automaton = Automaton(vocabulary.tokens, self._grammar, asked)
        """The automaton that the next texts begin in."""
        self._shortest: dict[bool, tuple[Way | str, Telling]] = {}
        """Per ``spaced`` the shortest text, or why there is none, and what the search for it has told."""
        self.wide = False
        """Whether so much may follow that no search finds its way to an end: only what the expression spells
        out does, and a place after which the same may follow can be another one."""

    @cached_property
    def reader(self) -> FormReader:
        """What says whether a text that is there has the form."""
        return FormReader(self.asked)

    def anew(self, full: Automaton) -> Automaton:
        """An automaton in the place of one that is full."""
        if self.automaton is full:
            self.automaton = Automaton(self.vocabulary.tokens, self._grammar, self.asked)
        return self.automaton

    def _matcher(self) -> Any:
        """A matcher at the beginning of a text, of an automaton that is not full."""
        automaton = self.automaton
        matcher = automaton.matcher()
        return self.anew(automaton).matcher() if is_full(matcher) else matcher

    def shortest(self, spaced: bool) -> Way:
        """The shortest text; ``SettingError`` where this vocabulary can write none."""
        return self.begun(spaced)[0]

    def begun(self, spaced: bool) -> tuple[Way, Telling]:
        """The shortest text, and what the search for it has told: where each text begins, so that what it
        becomes does not depend on others."""
        found = self._shortest.get(spaced)
        if found is None:
            told: Telling = {}
            way = self._shortest_of_all(spaced, told)
            found = self._shortest[spaced] = way if isinstance(way, str) else self._shorter(way, spaced), told
        way, telling = found
        if isinstance(way, str):
            raise SettingError(self.asked.kind, self.asked.text, way, ADVICE[self.asked.kind])
        return way, telling

    def is_way(self, matcher: Any, way: Way, spaced: bool) -> bool:
        """Whether these tokens lead to an end."""
        return self._gone(matcher, way, spaced) > len(way)

    def _gone(self, matcher: Any, way: Way, spaced: bool) -> int:
        """How many of these tokens, and of an end after them, may follow one another."""
        gone: int = matcher.validate_tokens([*self.vocabulary.numbers(way, spaced), self.vocabulary.ends[-1]])
        return gone

    def way(self, matcher: Any, spaced: bool, most: int, before: Way, telling: Telling) -> Way | None:
        """A way of at most so many tokens to an end. ``before``: the one from the place before."""
        if most <= 0:
            return None
        if self.wide:
            text = self.shortest(spaced)
            rests = (text[begin:] for begin in range(max(0, len(text) - most), len(text)))
            for rest in sorted(rests, key=len):
                if self.is_way(matcher, rest, spaced):
                    return rest
        mask = self.vocabulary.mask(matcher, spaced)
        begin = _Reached(matcher, spaced, None, mask, 0, 0, ())
        for trials, beam in ((TRIALS // 4, 1), (TRIALS // 2, BEAM)):
            found = self._look(begin, most, trials, before, telling, beam)[0]
            if found is not None:
                return found
        return self._search(begin, most, TRIALS, before, telling)[0]

    def _search(
        self, begin: _Reached, most: int, trials: int, before: Way, telling: Telling
    ) -> tuple[Way | None, Way, int | None]:
        """(a way to an end, if one was found; the way to the last place, of the first text, where something
        was lacking that was not lacking before; the tokens after which it gave up, ``None`` where it tried
        all). ``before``: a way that another place had; one that leads to where its rest goes on is enough."""
        found, stuck, gone = self._look(begin, most, trials, before, telling)
        if found is None and gone is None and telling:  # what told masks apart elsewhere may not do so here
            return self._look(begin, most, trials, before, {})
        return found, stuck, gone

    def _look(
        self,
        begin: _Reached,
        most: int,
        trials: float,
        before: Way,
        telling: Telling,
        beam: int | None = None,
    ) -> tuple[Way | None, Way, int | None]:
        """As ``_search``. ``beam``: places of each level from which it goes on, those that were idle least. A
        copy of a matcher costs as much as its text is long, so the last token of a place takes the matcher
        itself."""
        vocabulary, joints = self.vocabulary, dict[int, list[int]]()
        stuck, lacking, first = begin.steps, set[bytes](), trials > TRIALS
        for at, token in enumerate(before[:SKIPPED]):
            joints.setdefault(token, []).append(at)
        level = [begin]
        for depth in range(1, most + 1):
            following: dict[tuple[bytes, bool], list[_Reached]] = {}
            for one in level:
                told: dict[bytes, int] = {}
                known = telling.get(one.mask)
                tokens = vocabulary.worth_trying(one.mask) if known is None else known
                for left, token in zip(range(len(tokens) - 1, -1, -1), tokens, strict=True):
                    trials -= 1
                    if trials < 0:
                        return None, way_of(stuck), depth - 1
                    copied = left > 0 or one is begin
                    trials -= copied * (depth // COPY)
                    twin = one.matcher.deep_copy() if copied else one.matcher
                    if not twin.consume_token(token + vocabulary.shift if one.spaced else token):
                        continue
                    after = vocabulary.spaced_after(token)
                    if twin.is_accepting():
                        return way_of((token, one.steps)), (), None
                    mask = vocabulary.mask(twin, after)
                    if not twin.is_error():
                        told.setdefault(mask, token)
                        reached = one.after(twin, after, token, mask)
                        _keep(following.setdefault((mask, after), []), reached)
                if known is None and len(telling) < MASKS:
                    telling[one.mask] = list(told.values())
                if first and not told:
                    lack = one.mask if tokens else one.matcher.compute_ff_bytes()
                    stuck = stuck if lack in lacking else one.steps
                    lacking.add(lack)
            level = [one for places in following.values() for one in places]
            if not level:
                break
            if beam is not None:
                level = sorted(level, key=lambda place: (place.idle, -place.run))[:beam]
            for one in level if before else ():
                for at in sorted(
                    at for token, places in joints.items() if one.allows(token) for at in places
                ):
                    rest = before[at:]
                    if depth + len(rest) > most:
                        continue
                    if trials < 0:
                        return None, way_of(stuck), depth - 1
                    gone = self._gone(one.matcher, rest, one.spaced)
                    if gone > len(rest):
                        return way_of(one.steps) + rest, (), None
                    trials -= ASKED + PER_TOKEN * gone
        return None, way_of(stuck), None

    def _way_of(self, grammar: str, spaced: bool, beam: int | None) -> Way | None:
        """The shortest text of a grammar, if it has one that has the form."""
        try:
            matcher = matcher_of(self.vocabulary.tokens, grammar, self.asked)
        except SettingError:  # no text, or more than the bounds allow
            return None
        begin = _Reached(matcher, spaced, None, self.vocabulary.mask(matcher, spaced), 0, 0, ())
        way = self._look(begin, TRIALS_AT_FIRST, TRIALS_AT_FIRST // 5, (), {}, beam)[0]
        return way if way is not None and self.is_way(self._matcher(), way, spaced) else None

    def _shorter(self, way: Way, spaced: bool) -> Way:
        """A way without the tokens that it need not have. How a way changes with a token is then the same
        wherever the same may follow, as in the letters of a word."""
        matcher, looked, at = self._matcher(), 0, 0
        while at < len(way) and looked < SHORTENED:
            rest = way[:at] + way[at + 1 :]
            gone = self._gone(matcher, rest, spaced)
            looked += gone
            if gone > len(rest):
                way = rest
            else:
                at += 1
        return way

    def _examples(self, pattern: str) -> Iterator[str]:
        """Short texts that an expression matches."""
        return examples(
            pattern, self.vocabulary.signs, lambda text: self.vocabulary.written(text, False) is not None
        )

    def _example(self, pattern: str) -> str | None:
        return next(self._examples(pattern), None)

    def _spelled_out(self, spaced: bool) -> tuple[Way | None, str]:
        """(A way that the expression itself shows; a short text of it, whether it can be written or not)."""
        short = ""
        for text in self._examples(self.asked.text):
            short = short or text
            way = self.vocabulary.written(text, spaced)
            if way is not None and self.is_way(self._matcher(), way, spaced):
                return way, short
            if self.vocabulary.lacking(short) is not None:
                break
        return None, short

    def _shortest_of_all(self, spaced: bool, telling: Telling) -> Way | str:
        """The shortest text, or why this vocabulary can write none."""
        matcher, vocabulary = self._matcher(), self.vocabulary
        if matcher.is_accepting():
            return ()
        begin = _Reached(matcher, spaced, None, vocabulary.mask(matcher, spaced), 0, 0, ())
        if self.asked.kind == "json_schema":
            ways = [self._search(begin, TRIALS_AT_FIRST, TRIALS, (), telling)[0]]
            lean = None if is_full(matcher) else lean_grammar_of(self.asked, self._example)
            if lean is not None:
                ways.append(self._way_of(lean, spaced, 1))
            found = min((way for way in ways if way is not None), key=len, default=None)
            if found is not None:
                return found
        through, short = self._spelled_out(spaced) if self.asked.kind == "matching" else (None, "")
        most, trials = (TRIALS_AT_FIRST,) * 2 if through is None else (len(through) - 1, TRIALS)
        found, stuck, gone = self._search(begin, most, trials, (), telling)
        if found is not None:
            return found
        if through is not None:
            self.wide = True
            return through
        if is_full(matcher):
            return refused(self.asked, matcher.get_error()).rule
        dense = None if gone is None else dense_grammar_of(self.asked)
        found = None if dense is None else self._way_of(dense, spaced, None)
        if found is not None:
            return found
        numbers = vocabulary.numbers(stuck, spaced)
        text = b"".join(vocabulary.texts[number] for number in numbers).decode("utf-8", "replace")
        matcher.try_consume_tokens(numbers)
        needed = matcher.compute_ff_bytes().decode("utf-8", "replace")
        rule = "has no text that this model can write"
        lacking = vocabulary.lacking(short)
        if lacking is not None:
            return f"{rule}: its vocabulary lacks {lacking!r}"
        if gone is not None:
            rule = f"has no known text of fewer than {gone:,} tokens"
        if text or gone is None:
            after = f"after {'...' * (len(text) > SHOWN)}{text[-SHOWN:]!r}"
            rule += f": {after if text else 'at its beginning'}"
            following = self.reader.following(text).decode("ascii", "replace")
            needed = needed or (following if len(following) == 1 else "")
            rule += f" must come {needed!r}" if needed else " the rule needs what the vocabulary lacks"
        if short and not needed:
            rule += f", as for {short[:SHOWN]!r}"
        return rule


def _keep(alike: list[_Reached], one: _Reached) -> None:
    """One more place that goes on as these do: the one that was idle least stays, and the one that was most.
    Where a text must only be long enough, it is the idle one that comes to its end."""
    insort(alike, one, key=lambda place: (place.idle, -place.run))
    if len(alike) > 2:
        del alike[1]


_KNOWN: WeakKeyDictionary[Tokenizer, tuple[TokenBytes, OrderedDict[tuple[str, str], TokenForm]]]
_KNOWN = WeakKeyDictionary()


def token_form(model: LoadedModel, asked: AskedForm) -> TokenForm:
    """The form of what is asked, over the tokens of a model; made once."""
    found = library(asked.kind)
    known = _KNOWN.get(model.tokenizer)
    if known is None:
        known = _KNOWN[model.tokenizer] = TokenBytes(found, model), OrderedDict()
    vocabulary, forms = known
    key = (asked.kind, asked.text)
    form = forms.get(key)
    if form is None:
        form = TokenForm(vocabulary, asked)
    forms[key] = form
    forms.move_to_end(key)
    while len(forms) > KEPT:
        forms.popitem(last=False)
    return form
