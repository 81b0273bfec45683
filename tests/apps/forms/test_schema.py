"""Schemas as people write them: objects that may have more than they name, rules joined from parts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.apps.forms.form import token_form
from pantoum.apps.forms.schema import MOST, lean
from pantoum.config import SamplingConfig
from pantoum.errors import SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.model import Model

jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("llguidance")

Make = Callable[..., LoadedModel]
law = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
NAMES = ["a", "base", "base_unit", "größe", "x y"]
values = st.sampled_from(
    [
        {},
        True,
        {"type": "string"},
        {"type": "string", "minLength": 3, "maxLength": 9},
        {"type": "string", "pattern": "[0-9]{4}-[0-9]{2}"},
        {"type": "integer"},
        {"type": "number", "minimum": 5, "maximum": 60},
        {"type": ["string", "null"]},
        {"enum": ["first", 2, None]},
        {"const": {"a": 1}},
        {"type": "boolean", "description": "whether"},
    ]
)


def objects(part: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that name some properties, need some, and may have others."""
    return st.builds(
        lambda named, needed, other: {
            "type": "object",
            "properties": named,
            "required": [name for name in named if name in needed],
            **other,
        },
        st.dictionaries(st.sampled_from(NAMES), part, max_size=4),
        st.sets(st.sampled_from(NAMES)),
        st.sampled_from([{}, {"additionalProperties": False}, {"additionalProperties": {"type": "integer"}}]),
    )


schemas = st.recursive(
    values,
    lambda part: st.one_of(
        objects(part),
        st.builds(
            lambda each, few: {"type": "array", "items": each, "minItems": few}, part, st.integers(0, 3)
        ),
        st.lists(part, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
        st.builds(
            lambda one, needed: {**one, "anyOf": [{"required": needed}, {"required": ["a"]}]},
            objects(part),
            st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
        ),
        st.lists(objects(part), min_size=1, max_size=2).map(lambda each: {"allOf": each}),
    ),
    max_leaves=9,
)


@law
@given(schema=schemas, kind=st.sampled_from(["bytes", "bpe"]), seed=st.integers(0, 1000))
def test_every_schema_that_the_library_takes_is_written(
    make: Make, schema: Any, kind: str, seed: int
) -> None:
    model = Model(make(kind))
    try:
        (text,) = model.generate(count=1, length=900, seed=seed, min_p=None, json_schema=schema)
    except SettingError as refused:
        assert "is not supported" in str(refused)
    else:
        jsonschema.validate(json.loads(text), {} if schema is True else schema)


ITEM = {"type": "object", "properties": {"id": {"type": "integer"}, "next": {"$ref": "#/definitions/item"}}}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "an object that may have more": (
        {
            "type": "object",
            "properties": {
                "size": {"type": "object", "properties": {"base": {"type": "number"}, "height": {}}},
                "shape": {"type": "string"},
            },
            "required": ["shape", "size"],
        },
        '{"size":{},"shape":""}',
    ),
    "what is needed is not named": (
        {"type": "object", "required": ["a", "b"], "patternProperties": {"^b": {"type": "array"}}},
        '{"a":[],"b":[]}',
    ),
    "one of two is needed": (
        {
            "type": "object",
            "properties": {"user": {"type": "string"}, "key": {"type": "integer"}, "host": {"type": "null"}},
            "required": ["host"],
            "anyOf": [{"required": ["user", "pass"]}, {"required": ["key"]}],
        },
        '{"key":0,"host":null}',
    ),
    "all of several": (
        {
            "allOf": [
                {"$ref": "#/definitions/base"},
                {"properties": {"id": {"minimum": 7}}, "required": ["name"]},
            ],
            "definitions": {
                "base": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
            },
        },
        '{"id":7,"name":0}',
    ),
    "what refers to itself": (
        {"$ref": "#/definitions/item", "definitions": {"item": {**ITEM, "required": ["id"]}}},
        '{"id":0}',
    ),
    "a number of properties": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "minProperties": 2},
        '{"a":"","":0}',
    ),
    "a list of at least two": (
        {"type": "array", "minItems": 2, "items": {"type": "object", "required": ["k"]}},
        '[{"k":0},{"k":0}]',
    ),
    "a part of a string": (
        {
            "type": "object",
            "properties": {"at": {"type": "string", "pattern": "T[0-9]{2}Z"}},
            "required": ["at"],
        },
        '{"at":"T00Z"}',
    ),
    "patterns of what may be anything": (
        {
            "type": "object",
            "properties": {
                "mail": {"type": "string", "pattern": "^\\S+@\\S+$", "maxLength": 30},
                "image": {"type": "string", "pattern": "(.+/)?.+:.+"},
                "kind": {"type": "string", "pattern": "^[A-Z_]+(_DEVICE|_LAYOUT)$"},
            },
            "required": ["mail", "image", "kind"],
        },
        '{"mail":"a@a","image":"a:a","kind":"A_DEVICE"}',
    ),
    "two addresses": (
        {
            "type": "object",
            "properties": {name: {"type": "string", "format": "uri"} for name in ("from", "to")},
            "required": ["from", "to"],
        },
        '{"from":"a:","to":"a:"}',
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["bytes", "bpe"])
def test_the_shortest_text_has_what_is_required(make: Make, case: str, kind: str) -> None:
    schema, shortest = CASES[case]
    found = make(kind)
    asked = SamplingConfig(json_schema=schema).asked
    assert asked is not None
    form = token_form(found, asked)
    text = found.tokenizer.decode(form.shortest(False))
    jsonschema.validate(json.loads(text), schema)
    assert len(text) <= len(shortest), text


@pytest.mark.parametrize("case", CASES)
def test_a_text_of_any_length_ends_in_time(make: Make, case: str) -> None:
    schema, model = CASES[case][0], Model(make("bytes"))
    for length in (50, 65, 300):
        for text in model.generate(count=5, length=length, seed=length, min_p=None, json_schema=schema):
            jsonschema.validate(json.loads(text), schema)


def test_long_schemas_of_many_required_properties_are_written_soon(make: Make) -> None:
    names = [f"the_name_of_property_{number}" for number in range(60)]
    kinds = [{"type": "string", "minLength": 2}, {"type": "number"}, {"type": "array", "minItems": 1}, {}]
    properties = {name: kinds[at % len(kinds)] for at, name in enumerate(names)}
    schema = {"type": "object", "properties": properties, "required": names}
    text = Model(make("bytes")).generate(length=4000, seed=1, json_schema=schema)
    jsonschema.validate(json.loads(str(text)), schema)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"properties": {"a": {"type": "object"}}}, r'{"\u0061":4}'),
        ({"patternProperties": {"^a": {"type": "object"}}}, r'{"\u0061b":4}'),
        ({"type": "array", "items": {"properties": {"a": {"type": "object"}}}}, r'[{"\u0061":4}]'),
        (
            {"properties": {"a": {"type": "object"}}, "anyOf": [{"required": ["b"]}, {"required": ["c"]}]},
            r'{"b":1,"\u0061":4}',
        ),
        (
            {"allOf": [{"properties": {"a": {"type": "object"}}}, {"properties": {"b": {"type": "object"}}}]},
            r'{"\u0061":4}',
        ),
        (
            {"properties": {"a": {"type": "object"}}, "additionalProperties": {"type": "integer"}},
            r'{"\u0061":4}',
        ),
        ({"$ref": "#/x", "x": {"properties": {"a": {"type": "object"}}}}, r'{"\u0061":4}'),
    ],
)
def test_no_property_evades_its_rule_by_numbers_in_its_name(make: Make, schema: object, text: str) -> None:
    asked = SamplingConfig(json_schema=schema).asked
    assert asked is not None
    assert not token_form(make("bytes"), asked).reader.matches(text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"properties": {"a": {"type": "string"}}, "additionalProperties": False}, r'{"a":"\u00e9"}'),
        ({"properties": {"a": {"type": "string"}}}, r'{"a":"\u00e9","b":["\u00e9"]}'),
        ({"properties": {"a": {"type": "string"}}}, r'{"é":1,"\n\u0001":2,"":3,"aa":4}'),
        ({"properties": {"gr\u00f6\u00dfe": {"type": "integer"}}}, '{"größe":1}'),
        ({"additionalProperties": {"type": "string"}}, r'{"\u00e9":"\u00e9"}'),
        ({"properties": {"properties": {"type": "integer"}}}, '{"properties":1,"patternProperties":[]}'),
    ],
)
def test_characters_may_stand_by_their_numbers_elsewhere(make: Make, schema: object, text: str) -> None:
    jsonschema.validate(json.loads(text), schema)
    asked = SamplingConfig(json_schema=schema).asked
    assert asked is not None
    assert token_form(make("bytes"), asked).reader.matches(text)


@pytest.mark.parametrize("kind", ["path", "password", "binary", "a-format-of-their-own"])
def test_a_format_that_json_schema_does_not_have_says_nothing(make: Make, kind: str) -> None:
    item = {"type": "object", "properties": {"at": {"type": "string", "format": kind}}, "required": ["at"]}
    schema = {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 1, "$defs": {"item": item}}
    for text in Model(make("bytes")).generate(count=3, length=200, seed=1, json_schema=schema):
        jsonschema.validate(json.loads(text), schema)


@pytest.mark.parametrize("kind", ["regex", "uri-reference", "json-pointer"])
def test_a_format_that_cannot_be_kept_to_is_refused(make: Make, kind: str) -> None:
    with pytest.raises(SettingError, match=f"Unknown format: {kind}"):
        Model(make("bytes")).generate(length=200, json_schema={"type": "string", "format": kind})


PLAIN = {f"plain_{number}": {"type": "string"} for number in range(9)}


@pytest.mark.parametrize(
    "named",
    [
        {f"b{n}": {"type": "string", "pattern": f"^(a?){{{n}}}a{{{n}}}$"} for n in range(3000, 3008)},
        {f"b{n}": {"type": "string", "pattern": f"^(\\w+\\W+){{{n}}}\\d{{9}}x@$"} for n in range(5, 13)},
        {"a" * 40 + "!": {}},
    ],
    ids=["many that may be missing", "words of anything", "a name"],
)
def test_a_bomb_beside_plain_properties_ends_soon(make: Make, named: dict[str, Any]) -> None:
    schema = {"properties": {**PLAIN, **named}, "required": [*PLAIN, *named]}
    schema = {"allOf": [schema, {"patternProperties": {"^(a+)+$": {"type": "string"}}}]}
    begun = time.process_time()
    with suppress(SettingError):
        Model(make("bytes")).generate(length=300, seed=1, json_schema=schema)
    assert time.process_time() - begun < 6.0  # a second on a machine that does nothing else


def test_what_becomes_too_large_is_left() -> None:
    deep: Any = {}
    for _ in range(20):
        deep = {"allOf": [{"properties": {"a": deep, "b": deep}, "required": ["a", "b"]}]}
    with pytest.raises(RecursionError):
        lean(deep, lambda pattern: None)
    assert MOST < 2**20
