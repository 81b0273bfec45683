"""Texts of a given form: whatever the tokenizer, the length and the draws, what is written has it."""

from __future__ import annotations

import json
import re
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum import PantoumError
from pantoum.apps.forms import form as form_module
from pantoum.apps.forms import grammar
from pantoum.apps.forms.constraint import FormPlace
from pantoum.apps.forms.form import TokenForm, token_form
from pantoum.config import AskedForm, SamplingConfig
from pantoum.errors import SettingError
from pantoum.inference.constraint import DROPPED
from pantoum.inference.loaded_model import LoadedModel
from pantoum.model import Model

jsonschema = pytest.importorskip("jsonschema")
lark = pytest.importorskip("lark")
pytest.importorskip("llguidance")

KINDS = [
    ("characters", None),
    ("characters", "lines"),
    ("bytes", None),
    ("bytes", "files"),
    ("words", None),
    ("words", "blank-lines"),
    ("words:whitespace", None),
    ("words:whitespace", "lines"),
    ("bpe", None),
    ("bpe", "lines"),
    ("bpe:whitespace", "lines"),
]
Make = Callable[..., LoadedModel]
law = settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))
SIGNS = "aehnrst 2é.,T"
sets = st.sampled_from([r"\w", r"\s", r"\d", r"\W", ".", "[a-m]", "[^a-m]", r"[\s,]", "[aeé]", r"[^\W\d]"])
atoms = st.one_of(st.text(SIGNS, min_size=1, max_size=4).map(re.escape), sets)
times = st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "??"])
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda each: f"(?:{'|'.join(each)})"),
        st.tuples(inner, times).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda one: f"(?i:{one})"),
    ),
    max_leaves=6,
)


def written(model: Model, length: int, seed: int, **form: object) -> list[str] | None:
    """Texts of a form; ``None`` where the model can write none, or none of this length."""
    try:
        return model.generate("The ", count=3, length=length, seed=seed, min_p=None, **form)
    except SettingError as problem:
        assert re.search("that this model can write|is too short for|has no known text", str(problem))
        return None


@pytest.mark.parametrize(("kind", "documents"), KINDS)
@law
@given(expression=expressions, length=st.integers(0, 20), seed=st.integers(0, 1000))
def test_every_text_matches_an_expression(
    make: Make, kind: str, documents: str | None, expression: str, length: int, seed: int
) -> None:
    for text in written(Model(make(kind, documents)), length, seed, matching=expression) or []:
        assert re.fullmatch(expression, text), (expression, text)


@pytest.mark.parametrize(
    "expression", [r"(?i:\w)", r"(?i)[-\w]", r"(?i:[\d\w.])", r"(?i)[^\W\d]", r"[^a\W]", r"(?i:[^a\W])"]
)
def test_a_class_is_the_same_whatever_the_case(expression: str, make: Make) -> None:
    # The lower case of U+0345 is itself, which is no letter; the library counts it as a case of iota.
    form = token_form(make("bytes"), AskedForm("matching", expression))
    for text in ("\u0345", "\u03b9", "a", "A", "-", "."):
        assert form.reader.matches(text) is bool(re.fullmatch(expression, text)), text


@pytest.mark.parametrize(
    ("expression", "texts", "others"),
    [
        (r"\bword\b( \w+)*", ["word", "word a"], ["words", "word "]),
        (r"(a|ab)\b[.!]", ["a.", "ab!"], ["a", "abc"]),
        (r"a\Bb|x\by", ["ab"], ["xy", "x"]),
        (r"(ab$|a$b|c\Z)", ["ab", "c"], ["aab", "a"]),
        (r"(?m)^a|^b$", ["a", "b"], ["a\n", ""]),
        (r"((25[0-5]|1?\d?\d)(\.|$)){4}", ["1.2.3.4", "255.0.0.1."], ["1.2.3", "1234"]),
    ],
)
def test_anchors_that_must_hold_or_cannot(
    make: Make, expression: str, texts: list[str], others: list[str]
) -> None:
    form = token_form(make("bytes"), AskedForm("matching", expression))
    assert [text for text in (*texts, *others) if re.fullmatch(expression, text)] == texts
    assert [text for text in (*texts, *others) if form.reader.matches(text)] == texts


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@pytest.mark.parametrize(
    "expression",
    [
        r".+@.+\..+",
        r"[^@\s]+@[^@\s]+\.[^@\s]+",
        r"\S+@\w+\.\w+",
        "<meta.*?charset=(.+?)[>]",
        "[a-z ]*a[a-z ]{24}b",
        r"https?://[^\s/$.?#].[^\s]*",
        r"(?i)<([a-z]+)[^>]*>.*</[a-z]+>",
    ],
)
def test_everyday_expressions_are_written(make: Make, kind: str, expression: str) -> None:
    model = Model(make(kind))
    for text in model.generate(count=4, seed=3, length=60, min_p=None, matching=expression):
        assert re.fullmatch(expression, text)


SCHEMAS = [
    {"type": "object"},
    {"type": "array", "items": {"type": ["integer", "null"]}, "maxItems": 3},
    {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 5}, "b": {"enum": [1, True, None, "x"]}},
        "required": ["b"],
        "additionalProperties": False,
    },
    {"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 3, "maximum": 8}]},
    {"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}, "maxItems": 2}}},
]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@law
@given(length=st.integers(1, 40), seed=st.integers(0, 1000))
def test_every_text_is_json_of_a_schema(
    make: Make, kind: str, schema: dict[str, object], length: int, seed: int
) -> None:
    for text in written(Model(make(kind)), length, seed, json_schema=schema) or []:
        jsonschema.validate(json.loads(text), schema)


FIELDS = {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "integer"}, "minItems": 2}}
RECORD = {"type": "object", "properties": FIELDS, "required": ["a", "b"], "additionalProperties": False}
SPACED = ['{"a":1,"b":[1,2]}', '{"a": 1, "b": [1, 2]}', '{\n"a" : 1,\t"b":[1, 2]}', '{"a":  1,"b":[1,2]}']


@pytest.mark.parametrize(
    ("guidance", "right"),
    [
        (None, SPACED[:2]),
        ({"whitespace_flexible": True}, SPACED),
        ({"disable_any_whitespace": False}, SPACED),
        ({"disable_any_whitespace": True}, SPACED[:1]),
        ({"whitespace_pattern": "[ ]{0,2}"}, [SPACED[0], SPACED[1], SPACED[3]]),
    ],
)
def test_white_space_of_json(make: Make, guidance: dict[str, Any] | None, right: list[str]) -> None:
    schema = RECORD if guidance is None else {**RECORD, "x-guidance": guidance}
    form = token_form(make("bytes"), AskedForm("json_schema", json.dumps(schema)))
    found = []
    for text in SPACED:
        text_place = FormPlace(form, 300, False)
        if all(text_place.take(token) == token for token in make("bytes").tokenizer.encode(text)):
            found.append(text)
    assert found == right
    assert [text for text in SPACED if form.reader.matches(text)] == (right if guidance else SPACED)


def test_a_model_of_white_space_writes_json_with_values(make: Make) -> None:
    tokenizer = make("bytes").tokenizer
    liked = {int(token): 6.0 for token in tokenizer.encode(" \n")}
    texts = Model(make("bytes")).generate(
        count=60, seed=1, length=80, json_schema=RECORD, min_p=None, logit_bias=liked
    )
    for text in texts:
        jsonschema.validate(json.loads(text), RECORD)
    assert sum(json.loads(text) != {"a": 0, "b": [0, 0]} for text in texts) >= 55


GRAMMARS = [
    'start: sum\nsum: sum "+" part | part\npart: NUMBER | "(" sum ")"\nNUMBER: /[0-9]+/\n',
    'start: "a" start "n" | "d"\n',
    'start: (pair ",")* pair\npair: WORD "=" WORD\nWORD: /[a-z]{1,4}/\n',
]


@pytest.mark.parametrize("grammar", GRAMMARS)
@law
@given(length=st.integers(1, 30), seed=st.integers(0, 1000))
def test_every_text_is_of_a_grammar(make: Make, grammar: str, length: int, seed: int) -> None:
    for text in written(Model(make("bytes")), length, seed, grammar=grammar) or []:
        lark.Lark(grammar).parse(text)


@pytest.mark.parametrize(("kind", "documents"), KINDS)
@law
@given(choices=st.lists(st.sampled_from(["The cat", "a", "The", "ran and ran!", "é", "zebra"]), min_size=1))
def test_one_of_the_choices_is_written(
    make: Make, kind: str, documents: str | None, choices: list[str]
) -> None:
    assert set(written(Model(make(kind, documents)), 20, 1, choices=choices) or choices) <= set(choices)


@pytest.mark.parametrize(("kind", "documents"), KINDS)
def test_a_text_with_a_form_is_the_same_in_any_batch(make: Make, kind: str, documents: str | None) -> None:
    model = Model(make(kind, documents))
    asked = {"matching": r"(?s:[T ]?\w+( ?\w+)*.*)", "length": 30, "min_p": None}
    alone = [model.generate("The", seed=seed, **asked) for seed in range(5)]
    batch = model.batch()
    plain = model.generate("A", seed=9, length=50, exact=True)
    streams = [batch.start("The", seed=seed, **asked) for seed in range(5)]
    other = batch.start("A", seed=9, length=50)
    batch.round()
    batch.park(streams[1])
    batch.park(other)
    for _ in range(3):
        batch.round()
    batch.resume(streams[1])
    batch.resume(other)
    texts = dict.fromkeys([*streams, other], "")
    again = model.batch()
    found = dict.fromkeys((again.start("The", seed=seed, **asked) for seed in range(5)), "")
    for stream, text in again:
        found[stream] += text
    assert list(found.values()) == alone
    for stream, text in batch:
        texts[stream] += text
    assert all(one.endswith(text) for one, text in zip([*alone, plain], texts.values(), strict=True))


LONG: list[dict[str, Any]] = [
    {"grammar": 'start: list\nlist: "T" (list | /[a-z]/)* "."\n'},
    {"grammar": "start: /[a]{5}e|[an]{5}Z/\n"},
    {"json_schema": {"type": "array", "items": {}}},
    {"matching": "([a-z]{1,5} ){9,}"},
    {"matching": "(?s:.*)dog ran"},
]


@pytest.mark.parametrize("form", LONG)
@pytest.mark.parametrize(("kind", "documents"), [("characters", "lines"), ("bytes", None), ("bpe", "files")])
@law
@given(length=st.integers(20, 120), seed=st.integers(0, 1000))
def test_a_long_text_has_its_form(
    make: Make, kind: str, documents: str | None, form: dict[str, Any], length: int, seed: int
) -> None:
    model = make(kind, documents)
    asked = SamplingConfig(**form).asked
    assert asked is not None
    for text in written(Model(model), length, seed, **form) or []:
        assert token_form(model, asked).reader.matches(text), text


@pytest.mark.parametrize("kind", ["bytes", "characters"])
def test_the_first_way_has_no_token_that_it_need_not_have(make: Make, kind: str) -> None:
    form = token_form(make(kind), AskedForm("matching", "([a-z]{1,9} ){30,}"))
    assert len(form.shortest(False)) == 60


def test_no_way_is_lost_where_words_follow_one_another(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    searches, way = list[object](), TokenForm.way
    monkeypatch.setattr(TokenForm, "way", lambda *given: searches.append(way(*given)) or searches[-1])
    model = Model(make("bytes"))
    model.generate(count=20, seed=1, length=400, min_p=None, matching="([a-z]{1,9} ){30,}")
    assert None not in searches


@pytest.mark.parametrize("form", [LONG[0], *LONG[2:5]])
@pytest.mark.parametrize(("kind", "documents"), [("characters", "lines"), ("bytes", None)])
def test_a_text_stands_in_each_round_where_it_would_stand_beside_another(
    make: Make, kind: str, documents: str | None, form: dict[str, Any]
) -> None:
    def rounds(seed: int, beside: bool) -> list[tuple[str, int, float, float, Any]]:
        batch, found, text = Model(make(kind, documents)).batch(), [], ""
        with suppress(SettingError):
            stream = batch.start("", seed=seed, length=200, min_p=None, **form)
            if beside:
                other = batch.start("A", seed=9, length=900, matching="[a-z ]{900}")
            while not stream.ended:
                text += "".join(piece.text for piece in batch.round() if piece.stream is stream)
                found.append((text, stream.tokens, stream.nats, stream.log_probability, stream.state))
                assert batch.written == stream.tokens + (other.tokens if beside else 0)
        return found

    for seed in range(2):
        assert rounds(seed, False) == rounds(seed, True)


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@pytest.mark.parametrize(
    "word",
    [
        {"format": "date"},
        {"format": "date-time"},
        {"format": "email"},
        {"format": "uuid"},
        {"pattern": "^[0-9]{5}(-[0-9]{4})?$"},
        {"pattern": "^[A-Z]{3}[0-9a-f]{12}$"},
        {"pattern": "^DE[0-9]{20}$"},
    ],
    ids=str,
)
def test_words_of_many_digits_within_objects_and_lists(make: Make, kind: str, word: dict[str, Any]) -> None:
    fields = {"n": {"type": "integer"}, "word": {"type": "string", **word}}
    row = {"type": "object", "properties": fields, "required": ["n", "word"], "additionalProperties": False}
    for schema in (row, {"type": "array", "items": row, "minItems": 2}):
        for seed, length in enumerate((140, 400)):
            text = Model(make(kind)).generate(seed=seed, length=length, json_schema=schema)
            jsonschema.validate(json.loads(str(text)), schema)


def test_a_longer_value_than_that_of_the_shortest_text_can_be_gone_on_from(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Such a value meets the way to the end where the shorter one has ended.
    found, way = list[object](), TokenForm.way
    monkeypatch.setattr(TokenForm, "way", lambda *given: found.append(way(*given)) or found[-1])
    values = ["a", "b" * 40, True, {"key": "other"}]
    schema = {"type": "array", "minItems": 30, "maxItems": 30, "items": {"enum": values}}
    texts = Model(make("bytes")).generate(count=4, seed=3, length=4000, min_p=None, json_schema=schema)
    assert {repr(value) for text in texts for value in json.loads(text)[:25]} == {repr(one) for one in values}
    assert found and None not in found


def test_a_list_may_get_one_more_object_that_asks_for_many_tokens(make: Make) -> None:
    # White space may stand between all of them, so that a search has many places to go on from.
    names = ["a_long_name_of_a_property", "another_long_name_of_a_property", "the_last_name_of_all"]
    properties = {name: {"type": "string", "pattern": "^[a-z]{1,9}$"} for name in names}
    item = {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
    schema = {"type": "array", "minItems": 1, "maxItems": 3, "items": item}
    texts = Model(make("bytes")).generate(count=9, seed=1, length=900, min_p=None, json_schema=schema)
    assert {len(json.loads(text)) for text in texts} == {1, 2, 3}


def test_a_session_stands_after_the_text_that_left_its_form(make: Make) -> None:
    model = Model(make("characters"))
    session = model.session()
    session.feed("The cat")
    text = session.generate(length=200, seed=3, matching="[ a-z]*", min_p=None)
    other = model.session()
    other.feed("The cat" + text)
    assert text and session.state.tokens_seen == other.state.tokens_seen
    assert session.generate(20, seed=1) == other.generate(20, seed=1)


@pytest.mark.parametrize("schema", [{}, True, {"type": "object"}])
def test_a_string_of_json_may_have_any_character_by_its_number(make: Make, schema: object) -> None:
    asked = SamplingConfig(json_schema=schema).asked
    assert asked is not None
    form = token_form(make("bytes"), asked)
    assert form.reader.matches(r'{"\u0041": ["\u00e9\ud83d\ude00"]}')
    assert not form.reader.matches(r'{"a": "\ud83d"}')


def test_a_long_text_is_judged_in_small_steps(make: Make) -> None:
    schema = {"type": "string", "maxLength": 500, "pattern": r"^(?:\S+\s+){0,49}\S+$"}
    form = token_form(make("bytes"), AskedForm("json_schema", json.dumps(schema)))
    for words in (40, 60, 2):
        assert form.reader.matches(json.dumps("word " * words + "end")) is (words < 50)


def test_a_stop_string_counts_where_what_is_before_it_matches(make: Make) -> None:
    model = Model(make("bytes"))
    for seed in range(5):
        texts = model.generate(count=5, seed=seed, length=60, matching="(ab|b)*c?a*", stop="b", min_p=None)
        assert all(re.fullmatch("(ab|b)*c?a*", text) for text in texts)


def test_greedy_penalties_bias_and_records_keep_to_a_form(make: Make) -> None:
    model = Model(make("bytes"))
    for more in (
        {"greedy": True},
        {"repetition_penalty": 3.0},
        {"frequency_penalty": 2.0, "logit_bias": {98: -100.0, 99: 50.0}},
        {"top_k": 1, "temperature": 5.0},
        {"unique": True, "count": 3},
        {"n_best": 2},
    ):
        found = model.generate("x", length=30, seed=1, matching="(a|b)+c", **more)
        for one in found if isinstance(found, list) else [found]:
            assert re.fullmatch("(a|b)+c", getattr(one, "text", one))


@pytest.mark.parametrize("kind", [{"ngrams": (2, 3)}, {"members": 2}, {"cell": "lstm"}])
def test_every_model_keeps_to_a_form(make: Make, kind: dict[str, Any]) -> None:
    model = Model(make("characters", **kind))
    found = model.generate("The cat sat ", count=3, length=30, seed=2, matching="[a-z]+( [a-z]+)+")
    assert all(re.fullmatch("[a-z]+( [a-z]+)+", text) for text in found)


def test_nats_are_those_of_the_model_itself(make: Make) -> None:
    from pantoum.config import GenerationConfig

    model = Model(make("characters", "lines"))
    sampling = SamplingConfig(matching="[a-z]+( [a-z]+)+", min_p=None)
    written = model.generation("", GenerationConfig(length=9, seed=4), sampling)
    for _ in written:
        pass
    (text,) = written.texts
    plain = model.score(text.text, by="token")
    assert text.nats - sum(score.nats for score in plain) == pytest.approx(
        0.0 if text.stopped is None else -text.stream.log_probability, abs=1e-4
    )


def chain(rules: int) -> str:
    """Rules that are one in the other."""
    return "start: r0\n" + "".join(f"r{n}: r{n + 1}\n" for n in range(rules)) + f'r{rules}: "a"\n'


REFERENCES = {f"r{n}": {"items": {"$ref": f"#/$defs/r{n + 1}"}} for n in range(1500)} | {"r1500": {}}


@pytest.mark.parametrize(
    "form", [{"grammar": chain(9000)}, {"json_schema": {"$ref": "#/$defs/r0", "$defs": REFERENCES}}]
)
def test_what_goes_deep_into_itself_does_not_end_the_process(make: Make, form: dict[str, Any]) -> None:
    assert Model(make("bytes")).generate(seed=1, length=20, **form)


@pytest.mark.parametrize("own", ["%llguidance {}\n", '%llguidance {"no_forcing": false}\n'])
def test_a_grammar_with_settings_of_the_library_is_written_with_any_tokens(make: Make, own: str) -> None:
    text = Model(make("bytes")).generate(seed=1, length=20, grammar=own + 'start: "the <cat>" /[a-z ]+/\n')
    assert re.fullmatch("the <cat>[a-z ]+", text)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"matching": "(a"}, "missing \\), unterminated subpattern at position 0"),
        ({"matching": r"(a)\1"}, "a reference to a group"),
        ({"matching": "Z{3}"}, "can write: its vocabulary lacks 'Z'"),
        ({"matching": r"\S+@\w+"}, "can write: its vocabulary lacks '@'"),
        ({"matching": r"\w+\b.+"}, r"has \\b where it does not always hold"),
        ({"matching": r"x\by"}, "has an anchor that can never hold"),
        ({"matching": "(a$|c)\n"}, r"has \$ where it does not always hold"),
        ({"matching": "(?m)a\n^b"}, r"has \^ where it does not always hold"),
        ({"matching": r"(?a)\w+"}, "has the flag ASCII"),
        ({"matching": "[a-z]{40}"}, "length is 30: it is too short .* 40 tokens; give 40 or more"),
        ({"json_schema": "{"}, "is not JSON: .* line 1 column 2"),
        ({"json_schema": {"type": "strin"}}, "Invalid type: strin"),
        ({"json_schema": {"not": {}}}, "Unimplemented keys"),
        (
            {"json_schema": {"oneOf": [{"type": "number"}, {"minimum": 3}]}},
            "has oneOf .* several.*; give anyOf",
        ),
        ({"json_schema": {"type": "object"}}, "at its beginning must come '{'"),
        ({"grammar": 'start: "a" x\nx: foo'}, "at line 2, column 4: unknown name"),
        ({"grammar": "strat: /a/"}, "no start rule found"),
        ({"choices": []}, r"choices is \[\]: it must have at least one text"),
        ({"choices": ["\ud800"]}, "has lone surrogates, which are not characters; give it in UTF-8"),
        ({"grammar": 'start: "a" <end> // <none>'}, "has <end>, which stands for a token and not for a text"),
        ({"grammar": 'start: "a" | <[3-5]>'}, r"has <\[3-5\]>, which stands for a token"),
        ({"grammar": chain(10_001)}, r"has 10,00\d rules, groups and objects: at most 10,000 are supported"),
        ({"choices": [""]}, "must be a text that is not empty"),
        ({"choices": ["a"], "matching": "a"}, "cannot be given together with --matching"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_token(
    characters: LoadedModel, form: dict[str, object], told: str
) -> None:
    batch = Model(characters).batch()
    with pytest.raises(PantoumError, match=told) as raised:
        batch.start(length=30, **form)
    assert "\n" not in str(raised.value) and len(batch) == 0


def test_an_automaton_that_is_too_large_is_what_the_error_names(make: Make) -> None:
    schema = {"type": "string", "maxLength": 5000, "pattern": r"^(?:\S+\s+){0,99}\S+$"}
    with pytest.raises(SettingError, match="is not supported: lexer error: too many expressions"):
        Model(make("bytes")).generate(length=9, json_schema=schema)


@pytest.mark.parametrize(
    "form",
    [
        {"matching": "((((a{1,99}){1,99}){1,99}){1,99})"},
        {"matching": "(a?){5000}a{5000}"},
        {"matching": "(.*a){30}"},
        {"matching": "(?:[ab]*a[ab]{18})c"},
        {"matching": "(" * 90 + ")" * 90},
        {"json_schema": json.loads('{"items":' * 60 + "{}" + "}" * 60)},
        {"json_schema": {"type": "string", "pattern": "^(a?){5000}a{5000}$"}},
        {"json_schema": {"type": "array", "minItems": 100_000}},
        {"json_schema": {"type": "string", "minLength": 50_000, "maxLength": 90_000}},
        {"grammar": "start: r40\n" + "".join(f"r{n + 1}: r{n} r{n}\n" for n in range(40)) + 'r0: "x" |\n'},
        {"choices": ["a" * 400 + str(number) for number in range(500)]},
    ],
)
def test_a_bomb_ends_soon(make: Make, form: dict[str, object]) -> None:
    model, begun = Model(make("bytes")), time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(SettingError):
        model.generate("a", length=100, seed=1, **form)
    assert time.process_time() - begun < 4.0  # a second on a machine that does nothing else
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_what_words_cannot_write_is_searched_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every word may follow, and none leads to an end: no space stands after the last one.
    model = Model(make("words:whitespace"))
    for _ in range(2):
        with pytest.raises(SettingError, match=r"has no known text of fewer than 1\d,\d+ tokens"):
            model.generate("The ", length=100, seed=1, matching="([a-z]{1,5} ){9,}")
        monkeypatch.setattr(TokenForm, "_search", None)


def test_an_error_names_what_is_lacking_where_a_search_could_go_on(make: Make) -> None:
    # As white space of JSON, the letter T may come for ever.
    with pytest.raises(SettingError, match=r"tokens: after 'T?ra' must come 'nZ'"):
        Model(make("characters")).generate(grammar='start: "T"* ("Z" | "ranZ")')


def test_an_error_shows_the_end_of_a_long_text(make: Make) -> None:
    with pytest.raises(SettingError, match=r"can write: after \.\.\.'a{40}' must come 'a?Z'"):
        Model(make("characters")).generate(grammar="start: /a{50}Z/")


@pytest.mark.parametrize("documents", [None, "lines"])
@pytest.mark.parametrize("kind", ["characters", "bpe"])
@pytest.mark.parametrize("pattern", [".*at on.*", "The .{2,12} on .+ a.*", ".*ran, .* ran.*"])
def test_what_is_spelled_out_comes_among_all_that_may(
    make: Make, kind: str, documents: str | None, pattern: str
) -> None:
    model = Model(make(kind, documents))
    texts = model.generate(matching=pattern, count=6, seed=1, length=60, min_p=None)
    assert all(re.fullmatch(pattern, text) for text in texts)


@pytest.mark.parametrize("pattern", ["(?s:.*)dog ran", ".* ran the.* cat", "[a-z ]*on the dog"])
def test_words_that_are_spelled_out_have_a_space_between_them(make: Make, pattern: str) -> None:
    texts = Model(make("words:whitespace")).generate(matching=pattern, count=6, seed=1, length=40, min_p=None)
    assert all(re.fullmatch(pattern, text) for text in texts)


@pytest.mark.parametrize("pattern", [r"\w+ \w+ \w+", r"\w+( \w+){4,9}", r"(?s:.*)the (.*)cat"])
@pytest.mark.parametrize("kind", ["words", "words:whitespace"])
def test_words_write_expressions_of_words(make: Make, kind: str, pattern: str) -> None:
    texts = Model(make(kind)).generate(matching=pattern, count=6, seed=1, length=40, min_p=None)
    assert all(re.fullmatch(pattern, text) for text in texts)


def test_a_part_may_hold_parts_of_its_own_where_the_rest_is_spelled_out(make: Make) -> None:
    pattern = r"at ([^n]|n[^n]*n)+n\."
    texts = Model(make("characters", "lines")).generate(matching=pattern, count=40, seed=1, length=60)
    assert all(re.fullmatch(pattern, text) for text in texts)
    assert any(text.count("n") > 2 for text in texts)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"grammar": "start: /[a]{5}e|[an]{5}Z/\n"}, "nnnnnnnn"),
        ({"grammar": 'start: list\nlist: "T" (list | /[a-z]/)* "."\n'}, "T" * 60 + "a" * 20),
        ({"matching": "[a]{70}[e]|[an]{70}[Z]"}, "n" * 90),
    ],
)
def test_no_token_leads_to_where_the_vocabulary_lacks_what_must_come(
    make: Make, form: dict[str, Any], text: str
) -> None:
    # The same tokens may follow whether the end can be written or not.
    model = make("characters")
    tokenizer = model.tokenizer
    asked = SamplingConfig(**form).asked
    assert asked is not None
    found = token_form(model, asked)
    text_place, written = FormPlace(found, 300, False), []
    for token in tokenizer.encode(text):
        written.append(text_place.take(token))
        if text_place.ended or written[-1] == DROPPED:
            break
    tokens = [token for token in written if token != DROPPED]
    assert found.reader.matches(tokenizer.decode(tokens))


@pytest.mark.parametrize("kind", ["bytes", "characters"])
def test_texts_do_not_depend_on_how_many_states_an_automaton_keeps(
    make: Make, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A full automaton is replaced, whichever texts have filled it."""
    expression = "|".join(f"{sign}[a-z .]{{8,14}}{sign.upper()}?" for sign in "aehinorst")
    drawn: Callable[[], list[str]] = lambda: Model(make(kind)).generate(  # noqa: E731
        count=30, seed=3, length=60, matching=expression, min_p=None
    )
    found = drawn()
    made: list[object] = []
    whole = grammar.Automaton.__init__

    def counted(self: grammar.Automaton, *arguments: Any) -> None:
        made.append(self)
        whole(self, *arguments)

    monkeypatch.setattr(grammar.Automaton, "__init__", counted)
    monkeypatch.setattr(grammar, "STATES", 100)
    form_module._KNOWN.clear()
    few = drawn()
    form_module._KNOWN.clear()
    assert len(made) > 1 and few == found
    assert all(re.fullmatch(expression, text) for text in found)


def test_a_text_that_alone_fills_an_automaton_goes_the_way_that_it_has(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar, "STATES", 20)
    form_module._KNOWN.clear()
    texts = Model(make("bytes")).generate(count=8, seed=1, length=60, matching="([a-z .]{40})?x?", min_p=None)
    form_module._KNOWN.clear()
    assert all(re.fullmatch("([a-z .]{40})?x?", text) for text in texts)


@pytest.mark.parametrize("kind", ["characters", "words:whitespace", "bpe"])
def test_texts_drawn_again_are_those_of_the_model_that_have_the_form(make: Make, kind: str) -> None:
    model, expression = Model(make(kind, "lines")), r"[^aeiou]*[aeiou].*"
    free = model.generate(count=80, seed=5, length=30, min_p=None)
    fitting = [text for text in free if re.fullmatch(expression, text)]
    assert 5 < len(fitting) < len(free)
    again = model.generate(count=5, seed=5, length=30, min_p=None, matching=expression, redraw=True)
    assert again == fitting[:5]
    both = model.generate(
        count=5, seed=5, length=30, min_p=None, matching=expression, redraw=True, unique=True
    )
    assert both == list(dict.fromkeys(fitting))[:5]


def test_an_intersection_has_what_all_of_its_rules_have(make: Make) -> None:
    model = Model(make("characters", "lines"))
    crossed = "start: SHORT & even\nSHORT: /.{1,12}/\neven: (/./ /./)*\n"
    texts = model.generate(count=5, seed=5, length=30, min_p=None, grammar=crossed, redraw=True)
    free = model.generate(count=80, seed=5, length=30, min_p=None)
    assert texts == [text for text in free if 1 <= len(text) <= 12 and len(text) % 2 == 0][:5]
    with pytest.raises(SettingError, match=r"intersection of rules, .*; add redraw, or give one rule"):
        model.generate(length=30, grammar=crossed)
    with pytest.raises(SettingError, match="unknown name"):
        model.generate(length=30, grammar="start: a & b\na: /a/\nb: c\n", redraw=True)


def test_drawing_again_says_what_it_needs_and_what_it_lacked(make: Make) -> None:
    model = Model(make("bytes"))
    with pytest.raises(SettingError, match="redraw needs a form; give --matching"):
        model.generate(redraw=True)
    with pytest.raises(
        PantoumError, match=r"only 0 of 2 .* among 140: 140 lacked the form.*leave --redraw out"
    ):
        model.generate(count=2, length=5, matching="[0-9]{30}", redraw=True, exact=True)
    with pytest.raises(PantoumError, match=r"without documents .* give --length N --exact"):
        model.generate(length=5, matching="[0-9]{5}", redraw=True)
