"""What a person asks of a text, as a grammar of llguidance, and the matchers of it.

What is wrong with a grammar is said in a line. An automaton is built while texts are written, and replaced
when it is full.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pantoum.apps.forms.expression import in_rust
from pantoum.apps.forms.schema import given_schema, lean
from pantoum.errors import SettingError

if TYPE_CHECKING:
    from pantoum.seams import AskedForm

__all__ = [
    "Automaton",
    "dense_grammar_of",
    "grammar_of",
    "is_full",
    "lean_grammar_of",
    "library",
    "matcher_of",
    "parts_of",
    "refused",
]

FREELY = '%llguidance {"no_forcing": true}'
"""What must come is written with any tokens, not those of one way to cut it."""
ESCAPES = {"json_allow_general_unicode_escapes": True}
"""Any character of a string can be written by its number, as JSON has it."""
NO_NUMBERS = {**ESCAPES, "json_allowed_escapes": 'bfnrt"\\'}
"""No character by its number."""
COMPACT = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
"""A space after a comma or colon, or none. Where any white space may stand, a small model writes nothing
else."""
DENSE = {"whitespace_flexible": False}
"""No white space between the signs of JSON."""
NOWHERE = "disable_any_whitespace"
"""What other engines call ``DENSE``."""
STATES, ITEMS, SYMBOLS = 20_000, 20_000, 50_000
"""Bounds of an automaton: states of its lexer (a kilobyte each), items of a step, symbols of a grammar."""
FUEL, STEP_FUEL = 400_000, 50_000
"""Steps that building an automaton may take, some 10 ms, and that a token may take: some 4 ms."""
PARTS, FEW_PARTS, STACK = 10_000, 100, 128 << 20
"""Rules, groups and objects of a grammar or schema at most. The library goes from each into the next on the
stack, up to 5 KB each, and ends the process where that is full. So more than a few get a stack of their own;
what is not used of it takes no memory."""
STACK_SIZE = threading.Lock()
"""The size of the stacks of new threads is that of the whole process."""
PART = re.compile(r"[\w\]})]\s*:|[\[{(]")
QUOTED = re.compile(r'"(?:\\.|[^"\\\n])*"|/(?![/*])(?:\\.|[^/\\\n])+/|(?://|#)[^\n]*')
"""Texts, expressions and comments of a grammar."""
POOL = 256
"""Matchers that are kept for the next texts."""
INTERSECTION = re.compile(r"^start[ \t]*:[ \t]*(\w+(?:[ \t]*&[ \t]*\w+)+)[ \t]*$", re.MULTILINE)
ADVICE = {
    "matching": "give a simpler expression",
    "json_schema": "change the schema",
    "grammar": "fix it; docs/how-to/forms.md shows a complete one",
    "choices": "give fewer or shorter ones",
}


def library(argument: str) -> Any:
    """llguidance, which this setting needs."""
    try:
        import llguidance
    except ImportError:
        rule, advice = "needs the package llguidance, which is missing", "pip install 'pantoum[forms]'"
        raise SettingError(argument, None, rule, advice, shown=False) from None
    return llguidance


def grammar_of(asked: AskedForm, spaced: bool = False) -> str:
    """The grammar of what is asked, in Lark. ``spaced``: white space may stand wherever JSON has it."""
    try:
        asked.text.encode()
    except UnicodeEncodeError:
        rule = "has lone surrogates, which are not characters"
        raise SettingError(asked.kind, asked.text, rule, "give it in UTF-8") from None
    if asked.kind == "grammar":
        token = re.search(r"<[^\s>]*>?", QUOTED.sub('""', asked.text))
        if token is not None:
            rule = f"has {token[0]}, which stands for a token and not for a text"
            raise SettingError(asked.kind, asked.text, rule, "write a text between quotes")
        return f"{asked.text}\n{FREELY}"
    if asked.kind == "json_schema":
        text, numbers = given_schema(asked.text)
        return _of_schema(text, {**(ESCAPES if numbers else NO_NUMBERS), **({} if spaced else COMPACT)})
    expression = (
        in_rust(asked.text, asked.kind)
        if asked.kind == "matching"
        else "|".join(map(_literal, json.loads(asked.text)))
    )
    found = json.loads(library(asked.kind).LLMatcher.grammar_from_regex(expression))
    return f"{found['grammars'][0]['lark_grammar']}\n{FREELY}"


def parts_of(asked: AskedForm, spaced: bool = False) -> list[str]:
    """The grammars whose texts have the form all at once: those of the parts where the first rule of a
    grammar is ``start: a & b & ...``, and one otherwise."""
    grammar = grammar_of(asked, spaced)
    start = INTERSECTION.search(grammar) if asked.kind == "grammar" else None
    if start is None:
        return [grammar]
    before, after = grammar[: start.start(1)], grammar[start.end(1) :]
    return [f"{before}{part.strip()}{after}" for part in start[1].split("&")]


def lean_grammar_of(asked: AskedForm, text_of: Callable[[str], str | None]) -> str | None:
    """The grammar of a few short texts of a schema, which most often match it; ``None`` where the schema is
    too large. ``text_of``: a text that an expression matches, if one is known."""
    with suppress(RecursionError):
        return _of_schema(json.dumps(lean(json.loads(given_schema(asked.text)[0]), text_of)), DENSE)
    return None


def dense_grammar_of(asked: AskedForm) -> str | None:
    """The grammar of those texts of a schema that have no white space between their signs."""
    return _of_schema(given_schema(asked.text)[0], DENSE) if asked.kind == "json_schema" else None


def _of_schema(schema: str, guidance: dict[str, Any]) -> str:
    """The grammar of a schema. What its own ``x-guidance`` says of white space, or else, comes first."""
    schema = {"true": "{}"}.get(schema.strip(), schema.strip())
    if '"x-guidance"' in schema:
        with suppress(ValueError, RecursionError, AttributeError):
            whole = json.loads(schema)
            own = dict(whole.pop("x-guidance"))
            if isinstance(own.get(NOWHERE), bool):
                own["whitespace_flexible"] = not own.pop(NOWHERE)
            if any(name.startswith("whitespace") for name in own):
                guidance = {name: value for name, value in guidance.items() if name not in COMPACT}
            schema, guidance = json.dumps(whole, allow_nan=False), {**guidance, **own}
    if schema.startswith("{"):
        rest = schema[1:].lstrip()
        schema = f'{{"x-guidance":{json.dumps(guidance)}{"" if rest == "}" else ","}{rest}'
    return f"start: %json {schema}\n{FREELY}"


def matcher_of(tokens: Any, grammar: str, asked: AskedForm, step_fuel: int | None = STEP_FUEL) -> Any:
    """A matcher at the beginning of a text; ``SettingError`` where there can be none. ``step_fuel``: steps
    that a token may take; ``None``: as many as the library has it."""
    found = library(asked.kind)
    limits = found.LLParserLimits(
        initial_lexer_fuel=FUEL,
        step_lexer_fuel=step_fuel,
        step_max_items=ITEMS,
        max_lexer_states=STATES,
        max_grammar_size=SYMBOLS,
        verbose_errors=False,
    )

    def made() -> Any:
        return found.LLMatcher(tokens, grammar, log_level=0, limits=limits)

    parts = len(PART.findall(QUOTED.sub('""', grammar)))
    if parts > PARTS:
        rule = f"has {parts:,} rules, groups and objects: at most {PARTS:,} are supported"
        raise SettingError(asked.kind, asked.text, rule, ADVICE[asked.kind])
    matcher = made() if parts <= FEW_PARTS else _deeply(made)
    if matcher.is_error():
        raise refused(asked, matcher.get_error())
    return matcher


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


def _deeply(made: Callable[[], Any]) -> Any:
    """What a call gives that may need a large stack."""
    with ThreadPoolExecutor(1) as deep:
        with STACK_SIZE:
            usual = threading.stack_size(STACK)
            try:
                ahead = deep.submit(made)
            finally:
                threading.stack_size(usual)
        return ahead.result()


def _literal(text: str) -> str:
    return "".join(f"\\x{{{ord(sign):x}}}" for sign in text)


def refused(asked: AskedForm, message: str) -> SettingError:
    """The error of a form that cannot be: what the library says, in one line."""
    place = re.match(r"(?:at )?(\d+)\((\d+)\): ", message)
    reason = re.search(r"^error: (.*)", message, re.MULTILINE)
    told = reason[1] if reason is not None else message.partition("\n")[0]
    if place is not None and reason is None:
        told = told[place.end() :]
    where = f" at line {place[1]}, column {place[2]}" if place is not None and asked.kind == "grammar" else ""
    if "oneOf" in told:
        rule = "has oneOf with alternatives of which a text may match several, which is not supported"
        advice = "give anyOf, or alternatives that exclude one another: by type, or by a const of a property"
        return SettingError(asked.kind, asked.text, rule, advice)
    rule = f"is not supported{where}: {' '.join(told.split())[:300]}"
    return SettingError(asked.kind, asked.text, rule, ADVICE[asked.kind])
