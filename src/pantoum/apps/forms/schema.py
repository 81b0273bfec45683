r"""A schema as llguidance is given it, and a lean one: of a few texts of it.

*Given.* The library lets any character of a string stand by its number (``\u0061``), also in the name of a
property that a schema does not name. There it takes a name with a number for another one than it is:
``"\u0061"`` may have any value where ``"a"`` may not. The names that match an expression it reads as they
are. So properties that may have any name are asked for by an expression that each name matches. Where the
library joins the rules of several schemas it does not join that one, or refuses it beside others: there no
character may stand by its number.

A format that JSON Schema does not have (``path``, ``password``) says nothing, and the library refuses it.

*Lean*: objects of what is required, arrays and strings of no more than they must have. A search for a text of
a schema goes through what may follow. Where an object may have any property, that is so much that the end is
not reached. A lean schema leaves next to no choice. Whether a text of it is one of the schema, too, is asked
of the schema itself, so that a rule may be left out here: the text is refused then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["given_schema", "lean"]

COMBINING = {"anyOf", "oneOf", "$ref"}
BESIDE = {"properties", "required", "additionalProperties", "minProperties"}
"""Rules for objects that the library joins with those of the schemas beside them."""
FORMATS = {
    "date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6",
    "uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template", "json-pointer",
    "relative-json-pointer", "regex",
}  # fmt: skip
"""Those of JSON Schema (draft 2020-12, Validation 7.3)."""
Rules = dict[str, Any]
TextOf = Callable[[str], str | None]

DIGIT: Rules = {"enum": list(range(10))}
"""A short value in the place of any, and of any number."""
PLAIN = r'[^"\\\x00-\x1f\x7f]'
"""A character that stands for itself in a string."""
MOST = 20_000
"""Schemas in one at most. One that is referred to counts each time."""
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


def given_schema(text: str) -> tuple[str, bool]:
    """(JSON of the same schema; whether characters may stand by their numbers in it). What is no JSON, or too
    deep, is given as it is: the library says so."""
    try:
        return _given(json.loads(text), text)
    except (ValueError, RecursionError):
        return text, False


def _given(schema: Any, text: str) -> tuple[str, bool]:
    parts = list(_parts(schema))
    unknown = [one for one in parts if isinstance(one.get("format"), str) and one["format"] not in FORMATS]
    for one in unknown:
        del one["format"]
    is_open, joined = any(map(_is_open, parts)), any(map(_is_joined, parts))
    for one in parts if is_open and not joined else ():
        if _is_open(one) and one.get("additionalProperties") in (None, True, {}):
            one.update(patternProperties={"": {}}, additionalProperties=False)
    if unknown or (is_open and not joined):
        text = json.dumps(schema, allow_nan=False)
    return text, not any(map(_is_open, parts))


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """All schemas in one, those that it refers to, and the values of ``default`` and the like, which say
    nothing."""
    if isinstance(schema, list):
        for each in schema:
            yield from _parts(each)
    elif isinstance(schema, dict):
        yield schema
        for name, value in schema.items():
            if name in ("properties", "patternProperties", "$defs", "definitions") and isinstance(
                value, dict
            ):
                value = list(value.values())
            if name not in ("const", "enum"):
                yield from _parts(value)


def _is_open(one: dict[str, Any]) -> bool:
    """Whether an object names properties and may have others."""
    named = one.get("properties") or one.get("patternProperties")
    return bool(named) and one.get("additionalProperties") is not False


def _is_joined(one: dict[str, Any]) -> bool:
    """Whether the library joins rules of several schemas here, or the names of this one have rules."""
    return (
        "patternProperties" in one or "allOf" in one or bool(COMBINING & one.keys() and BESIDE & one.keys())
    )


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
            text = self._text_of(found["pattern"].removeprefix("^").removesuffix("$"))
            if text is not None and found.get("minLength", 0) <= len(text) <= found.get(
                "maxLength", len(text)
            ):
                return {"const": text}
        elif "string" in kinds and "format" not in rules:
            found["pattern"] = f"^{PLAIN}{{{found.get('minLength', 0)}}}$"
        return found

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
