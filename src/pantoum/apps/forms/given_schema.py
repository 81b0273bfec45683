r"""A schema as llguidance is given it.

It lets any character of a string stand by its number (``\u0061``), also in the name of a property that a
schema does not name. There it takes a name with a number for another one than it is: ``"\u0061"`` may have
any value where ``"a"`` may not. The names that match an expression it reads as they are. So properties that
may have any name are asked for by an expression that each name matches. Where the library joins the rules of
several schemas it does not join that one, or refuses it beside others: there no character may stand by its
number.

A format that JSON Schema does not have (``path``, ``password``) says nothing, and the library refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["given_schema"]

COMBINING = {"anyOf", "oneOf", "$ref"}
BESIDE = {"properties", "required", "additionalProperties", "minProperties"}
"""Rules for objects that the library joins with those of the schemas beside them."""
FORMATS = {
    "date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6",
    "uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template", "json-pointer",
    "relative-json-pointer", "regex",
}  # fmt: skip
"""Those of JSON Schema (draft 2020-12, Validation 7.3)."""


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
