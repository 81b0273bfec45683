"""A schema of a few texts of another one: objects of what is required, arrays and strings of no more than
they must have.

A search for a text of a schema goes through what may follow. Where an object may have any property, that is
so much that the end is not found. A lean schema leaves next to no choice. Whether a text of it is one of the
schema, too, is asked of the schema itself, so that a rule may be left out here: the text is refused then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["lean"]

Rules = dict[str, Any]
TextOf = Callable[[str], str | None]

DIGIT: Rules = {"enum": list(range(10))}
"""A short value in the place of any, and of any number."""
PLAIN = r'[^"\\\x00-\x1f\x7f]'
"""A character that stands for itself in a string."""
MOST = 20_000
"""Schemas in one at most. One that is referred to counts each time."""
PATTERNS = 8
"""Expressions of which a text is looked for at most."""
DEFINITIONS = ("$defs", "definitions")
OBJECT = {
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "minProperties",
    "maxProperties",
}
ARRAY = {"items", "prefixItems", "minItems", "maxItems"}
STRING = {"minLength", "maxLength", "pattern", "format"}
NUMBER = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
CHOICES = {"anyOf", "oneOf"}
RULES = OBJECT | ARRAY | STRING | NUMBER | CHOICES | {"type", "const", "enum"}
"""Rules of a schema beside those that name other schemas whose rules it has, too."""
SIGN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
"""A sign of an expression, and a class of signs."""


def lean(schema: Any, text_of: TextOf) -> Any:
    """The schema of a few short texts. ``text_of``: a text that an expression matches, if one is known.
    ``RecursionError`` where it has too many schemas in schemas."""
    maker = _Lean(schema, text_of)
    found = maker.of(schema)
    for part, name in maker.named:
        found.setdefault(part, {})[name] = maker.of(schema[part][name])
    return found


class _Lean:
    """What makes the schemas within one lean, up to a number of them."""

    def __init__(self, root: Any, text_of: TextOf) -> None:
        self._root, self._left, self._text_of = root, MOST, text_of
        self._texts: dict[str, str | None] = {}
        self.named: list[tuple[str, str]] = []
        """The definitions that stay by themselves, as they are met."""

    def of(self, schema: Any) -> Any:
        """A lean schema."""
        if schema is True:
            return DIGIT
        if not isinstance(schema, dict):
            return schema
        rules = self._rules(schema)
        if not rules and self._stays(schema.get("$ref", "")):
            return {"$ref": schema["$ref"]}
        later = list[Rules]()
        for each in self._others(schema):
            if not CHOICES.isdisjoint(each.keys() & rules.keys()):
                later.append({name: each.pop(name) for name in CHOICES & each.keys()})
            rules = _both(rules, each)
        choices = rules.pop("anyOf", []) or rules.pop("oneOf", [])
        if choices:
            joined = rules or later
            return {
                "anyOf": [self.of({**rules, "allOf": [each, *later]} if joined else each) for each in choices]
            }
        return self._alone(rules)

    def _rules(self, schema: Rules) -> Rules:
        self._left -= 1
        if self._left < 0:
            raise RecursionError
        return {name: value for name, value in schema.items() if name in RULES}

    def _others(self, schema: Rules) -> list[Rules]:
        """The rules of all schemas that this one names as its own."""
        named = [self._referred(schema["$ref"])] if "$ref" in schema else []
        found = list[Rules]()
        for each in [*named, *schema.get("allOf", ())]:
            if isinstance(each, dict):
                found += [self._rules(each), *self._others(each)]
        return found

    def _stays(self, reference: str) -> bool:
        """Whether a reference is to a definition, which is made lean once."""
        _, part, name, *more = [*reference.split("/"), "", ""]
        if part not in DEFINITIONS or any(more) or name not in self._root.get(part, {}):
            return False
        if (part, name) not in self.named:
            self.named.append((part, name))
        return True

    def _referred(self, reference: str) -> Any:
        """The schema that is meant; an empty one where it is not in this schema."""
        found = self._root if reference.startswith("#") else {}
        for name in reference.split("/")[1:]:
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else {}
        return found

    def _alone(self, rules: Rules) -> Rules:
        """What a value must be by rules of its own."""
        if not rules:
            return DIGIT
        if not rules.keys().isdisjoint(("const", "enum")):
            return rules
        kinds = rules.get("type", ())
        kinds = {kinds} if isinstance(kinds, str) else set(kinds)
        if kinds and kinds <= {"number", "integer"} and rules.keys().isdisjoint(NUMBER):
            return DIGIT
        found = dict(rules)
        if "object" in kinds or not rules.keys().isdisjoint(OBJECT):
            found = self._object(found)
        if "array" in kinds or not rules.keys().isdisjoint(ARRAY):
            found["maxItems"] = found.get("minItems", 0)
            if "items" in found:
                found["items"] = self.of(found["items"])
            if "prefixItems" in found:
                found["prefixItems"] = [self.of(each) for each in found["prefixItems"]]
        if "pattern" in rules:
            found["pattern"] = _whole(rules["pattern"])
            text = self._text(found["pattern"])
            if text is not None and found.get("minLength", 0) <= len(text) <= found.get(
                "maxLength", len(text)
            ):
                return {"const": text}
        elif "string" in kinds and "format" not in rules:
            found["pattern"] = f"^{PLAIN}{{{found.get('minLength', 0)}}}$"
        return found

    def _text(self, pattern: str) -> str | None:
        """A text of an expression; none after one for which none was found, which can take half a second."""
        texts = self._texts
        if pattern not in texts and len(texts) < PATTERNS and None not in texts.values():
            self._texts[pattern] = self._text_of(pattern.removeprefix("^").removesuffix("$"))
        return self._texts.get(pattern)

    def _object(self, rules: Rules) -> Rules:
        """An object of the properties that it must have: of those with a name the first ones."""
        found = {name: value for name, value in rules.items() if name not in OBJECT}
        known, needed = rules.get("properties", {}), rules.get("required", ())
        names = [*(n for n in known if n in needed), *(n for n in needed if n not in known)]
        fewest = rules.get("minProperties", 0)
        names += [n for n in known if n not in names][: max(0, fewest - len(names))]
        found["properties"] = {name: self.of(_property(name, rules)) for name in names}
        found.update(required=names, additionalProperties=False)
        if fewest > len(names):
            kinds = rules.get("patternProperties", {})
            found["patternProperties"] = {_whole(pattern): self.of(each) for pattern, each in kinds.items()}
            found["additionalProperties"] = not kinds and self.of(rules.get("additionalProperties", True))
            found["minProperties"] = found["maxProperties"] = fewest
        return found


def _property(name: str, rules: Rules) -> Any:
    """The schema of a property. Of one that is not named: of all that it may be, since whether an expression
    matches its name can take very long in Python."""
    known = rules.get("properties", {})
    if name in known:
        return known[name]
    found, rest = True, rules.get("additionalProperties", True)
    kinds = rules.get("patternProperties", {}).values()
    for each in kinds if kinds and rest is False else (*kinds, rest):
        found = _joined(found, each)
    return found


def _whole(pattern: str) -> str:
    """An expression that a whole string has, where the one that is asked for may stand within it."""
    inner = pattern.removeprefix("^")
    inner = inner if inner.endswith("\\$") else inner.removesuffix("$")
    return pattern if set("^$") & set(SIGN.sub("", inner)) else f"^(?:{inner})$"


def _both(one: Rules, other: Rules) -> Rules:
    """The rules of two schemas; where they have one of the same name that cannot be joined, that of the
    first."""
    found = {**other, **one}
    if "required" in one and "required" in other:
        found["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    if not OBJECT.isdisjoint(one) and not OBJECT.isdisjoint(other):
        names = {**one.get("properties", {}), **other.get("properties", {})}
        found["properties"] = {n: _joined(_property(n, one), _property(n, other)) for n in names}
        rest = (each.get("additionalProperties", True) for each in (one, other))
        found["additionalProperties"] = _joined(*rest)
    return found


def _joined(one: Any, other: Any) -> Any:
    """A schema of what two have."""
    if one is True or other is False:
        return other
    return one if other is True or one is False else {"allOf": [one, other]}
