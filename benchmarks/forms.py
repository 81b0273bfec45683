"""Texts of a given form: whether all of them have it, and what a form costs.

    python benchmarks/forms.py check [--texts 200] [--seed 1] [--log FILE]
    python benchmarks/forms.py rates [MODEL] [--seconds 3]
    python benchmarks/forms.py bombs
    python benchmarks/forms.py schemas FOLDER [--every 1]

``check`` writes texts of 50 expressions, 50 schemas and 10 grammars with models of random weights and every
tokenizer, of two lengths, and looks at each with ``re``, ``jsonschema`` and ``lark``. ``--texts``: of each
form, with all tokenizers together. With ``--log`` a run that was ended goes on.
``rates`` compares tokens per second of processor time with a form and without, in turns: one text, and 256
that begin together, from the first call to the last token. Forms that the model cannot write are left out.
Without a model it is two of random weights and about 98 symbols. Set PANTOUM_THREADS=1: a thread that waits
for work uses processor time.
``bombs`` tells the processor time and memory that hostile forms take until they are refused, or until 100
bytes of them are written, each in a process of its own (mark: 1 s).
``schemas`` writes a text of at most 3,000 tokens for each schema of MaskBench (``maskbench/data`` of
guidance-ai/jsonschemabench), with models of random weights, and looks at each with ``jsonschema``.
``--every 5``: for one file of five.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import lark
import measured

import pantoum
from pantoum.errors import SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.model import Model
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.text.bpe import BpeTokenizer
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner

TEXT = (
    "".join(map(chr, range(32, 127))) * 2
    + 'The cat sat on the mat.\nAnna, Bob & Zoë: {"name": "Anna", "age": 12, "tags": [true, null]}\n' * 20
)
LENGTHS = (60, 15)
BATCH = 250
"""Texts that are written side by side."""
KINDS = ("characters", "bytes", "bpe", "words", "words:whitespace")
EXPRESSIONS = [
    "[A-Z][a-z]+", "[A-Z][a-z]{3,7}", r"\d{4}-\d\d-\d\d", r"\w+", r"\w+( \w+)*", "(the|cat|sat)+", ".*",
    ".+", "a{20}", "[ab]{3,30}", "(ab|ba)*c?", "x?y?z?", r"[^\n]{5,}", r"\S+\s\S+", r"(\w+, )*\w+",
    "(?i)the cat", r"[\w.]+@\w+\.[a-z]{2,3}", r"\+?\d+( \d+){2,4}", r"#[0-9a-f]{6}", "(?:[01]{8} ){1,4}",
    r"-?\d+(\.\d+)?", r"\$\d{1,3}(,\d{3})*", r"[A-Z]{2}\d{2}( [A-Z0-9]{4}){3}", r"([a-z]+=\d+;)+",
    r"\"[^\"]*\"", r"\([^()]*\)", "(a|b|cd)(e|f)g*", "(([ab]c)*d)+", "(?s:.{12})", r"\W+", r"[\s\d]+",
    "(one|two|three)( (one|two|three))*", "a|", "(a*b*)*", "(a?){3}b", "[a-c&&d]+", "[[]a]",
    r"\x41\u0042+", "Zo[eë]", "(?:a.c){2,}", "[]-]+x", "[a-z]+?[0-9]??", "(very )*good",
    r"\d+ (cats?|dogs?)", "No|Yes", "[^aeiou]+", r"(\d\d:){2}\d\d", "~+|/+", r"[!-/:-@]+", "e(e|E)e",
    "q[u ]", "(?:ha){2,9}!",
]  # fmt: skip
PARTS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "integer"},
    {"type": "number", "minimum": 0, "maximum": 50},
    {"type": "boolean"},
    {"enum": ["a", 1, None]},
    {"type": "string", "maxLength": 4},
    {"type": "string", "pattern": "^[a-z]+$"},
    {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
    {"type": "object"},
    {"anyOf": [{"type": "null"}, {"type": "string", "minLength": 2}]},
]
SCHEMAS: list[dict[str, Any]] = [
    *PARTS,
    *({"type": "array", "items": part, "minItems": 1, "maxItems": 4} for part in PARTS),
    *({"type": "object", "properties": {"x": part}, "required": ["x"]} for part in PARTS),
    *(
        {"type": "object", "properties": {"name": one, "age": two}, "additionalProperties": False}
        for one, two in zip(PARTS, PARTS[3:] + PARTS[:3], strict=True)
    ),
    *({"type": "array", "prefixItems": [part, {"const": "end"}], "items": False} for part in PARTS),
]
GRAMMARS = [
    'start: sum\nsum: sum "+" part | part\npart: NUMBER | "(" sum ")"\nNUMBER: /[0-9]+/\n',
    'start: "a" start "n" | "d"\n',
    'start: (pair ",")* pair\npair: WORD "=" WORD\nWORD: /[a-z]{1,4}/\n',
    'start: list\nlist: "(" (list | ATOM)* ")"\nATOM: /[a-z]/\n',
    'start: line+\nline: KEY ":" VALUE ";"\nKEY: /[a-z]+/\nVALUE: /[0-9]+/\n',
    'start: "if " cond " then " word\ncond: word "<" NUMBER\nword: /[a-z]+/\nNUMBER: /[0-9]+/\n',
    'start: tag\ntag: "<a>" tag* "</a>" | "<b/>"\n',
    'start: NAME (" & " NAME)*\nNAME: "Anna" | "Bob"\n',
    'start: bits\nbits: "0" bits "0" | "1" bits "1" | "x"\n',
    'start: WORD ("." | "!" | "?")\nWORD: /[A-Z][a-z]*/\n',
]


def model_of(kind: str, documents: str | None, layers: int = 2, size: int = 24) -> Model:
    """A model of random weights."""
    tokenizer: Tokenizer
    if kind == "bytes":
        tokenizer = ByteTokenizer(documents)
    elif kind == "bpe":
        tokenizer = BpeTokenizer([(n, n + 1) for n in (33, 65, 98, 102)] + [(11, 33), (98, 111)], documents)
    else:
        scholar = learner(kind, None, documents)
        scholar.feed(TEXT)
        tokenizer = scholar.learn()
    network = LanguageModel(tokenizer.vocab_size, 16, hidden_size=size, num_layers=layers, seed=3)
    return Model(LoadedModel(Program(network), tokenizer, {}, sha256="ab" * 32))


def is_of_grammar(grammar: str) -> Callable[[str], bool]:
    """What says whether a text is of a grammar."""
    parser = lark.Lark(grammar, parser="earley")

    def found(text: str) -> bool:
        try:
            parser.parse(text)
        except lark.exceptions.LarkError:
            return False
        return True

    return found


def is_json_of(schema: dict[str, Any]) -> Callable[[str], bool]:
    """What says whether a text is JSON that a schema accepts."""
    validator = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)(schema)
    return lambda text: bool(validator.is_valid(json.loads(text)))


def all_forms() -> list[tuple[dict[str, Any], Callable[[str], object]]]:
    """Each form as keywords, with what says whether a text has it."""
    warnings.simplefilter("ignore")  # of what Python will read otherwise one day
    return [
        *(({"matching": each}, re.compile(each).fullmatch) for each in EXPRESSIONS),
        *(({"json_schema": each}, is_json_of(each)) for each in SCHEMAS),
        *(({"grammar": each}, is_of_grammar(each)) for each in GRAMMARS),
    ]


def check(texts: int, seed: int, log: Path | None) -> int:
    """Texts of all forms; how many do not have theirs. What ``log`` tells of is not written again."""
    forms, written, wrong = all_forms(), Counter[int](), 0
    results = measured.Results(log)
    done = {tuple(key): (found, bad) for *key, found, bad in results.lines}
    each = -(-texts // (2 * len(KINDS) * len(LENGTHS)))
    for kind, documents in itertools.product(KINDS, (None, "lines")):
        model = model_of(kind, documents)
        for number, length in itertools.product(range(len(forms)), LENGTHS):
            key = (kind, documents, number, length, seed, each)
            if key not in done:
                found = texts_of(model, each, length, seed, forms[number][0])
                bad = [text for text in found if not forms[number][1](text)]
                done[key] = len(found), len(bad)
                for text in bad:
                    print(f"WRONG {key} {text!r}", flush=True)
                results.add([*key, *done[key]])
            written[number] += done[key][0]
            wrong += done[key][1]
        print(f"{kind} {documents}: {written.total():,} texts so far, {wrong} wrong", flush=True)
    least = min(written[number] for number in range(len(forms)))
    print(f"{written.total():,} texts of {len(forms)} forms, {least:,} or more of each, {wrong} wrong")
    return wrong


def texts_of(model: Model, count: int, length: int, seed: int, form: dict[str, Any]) -> list[str]:
    """Texts of a form; none where the model can write none of this length."""
    found: list[str] = []
    with suppress(SettingError):
        while len(found) < count:
            more = min(BATCH, count - len(found))
            number = seed * count + len(found)
            found += model.generate("", count=more, length=length, seed=number, min_p=None, **form)
    return found


def schemas(folder: Path, every: int) -> int:
    """A text of each schema; how many do not have theirs."""
    found = Counter[str]()
    for kind in ("characters", "bpe"):
        model = model_of(kind, None)
        for path in sorted(folder.glob("*.json"))[::every]:
            schema = json.loads(path.read_text("utf-8"))["schema"]
            begun = time.process_time()
            try:
                text = str(model.generate("", length=3000, seed=1, json_schema=json.dumps(schema)))
            except SettingError as error:
                verdict = "refused" if "is not supported" in error.rule else "not found"
                told = error.rule
            else:
                verdict, told = ("right" if is_json_of(schema)(text) else "WRONG"), text
            found[f"{kind}, {verdict}"] += 1
            if verdict in ("not found", "WRONG"):
                took = time.process_time() - begun
                print(f"{kind} {path.name} {verdict} after {took:.1f} s: {told[:200]!r}", flush=True)
    print(json.dumps(found))
    return sum(count for verdict, count in found.items() if verdict.endswith("WRONG"))


ITEM = {
    "type": "object",
    "properties": {
        "description_of_the_item": {"type": "string", "pattern": "^[a-z]{1,9}$"},
        "number_of_pieces_in_stock": {"type": "integer", "maximum": 99},
        "is_it_available_for_delivery": {"type": "boolean"},
    },
    "required": ["description_of_the_item", "number_of_pieces_in_stock", "is_it_available_for_delivery"],
    "additionalProperties": False,
}
"""Most characters of such an object are those of names."""
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "free": {"matching": "(?s:.*)"},
    "words": {"matching": "([a-z]{1,9} ){45,}"},
    "schema": {
        "json_schema": {"type": "array", "minItems": 12, "items": {"type": "string", "pattern": "^[a-z ]+$"}}
    },
    "names": {"json_schema": {"type": "array", "minItems": 2, "maxItems": 3, "items": ITEM}},
    "literal": {"matching": r"(Dear Sir or Madam, I am writing to you about the [a-z]{2,9} of May\. ){6}"},
}
LENGTH = 500
"""Tokens of a text."""


def rates(name: Path | None, seconds: float) -> None:
    """Tokens per second of processor time, of each form in turns."""
    print(json.dumps(measured.machine()))
    models = {str(name): pantoum.load(name)} if name is not None else {}
    for layers, size in ((2, 128), (3, 512)) if name is None else ():
        models[f"{layers} x {size}"] = model_of("characters", None, layers, size)
    for (shape, model), count in itertools.product(models.items(), (1, 256)):
        forms = {form: asked for form, asked in FORMS.items() if can_write(model, asked)}
        spent, tokens, turn = dict.fromkeys(forms, 0.0), dict.fromkeys(forms, 0), 0
        while turn < 2 or spent["plain"] < seconds:
            for form, asked in forms.items():
                found, took = written(model, count, turn, asked)
                if turn:  # the first one makes the automaton
                    tokens[form], spent[form] = tokens[form] + found, spent[form] + took
            turn += 1
        for form in forms:
            rate, share = (
                tokens[form] / spent[form],
                spent["plain"] / tokens["plain"] * tokens[form] / spent[form],
            )
            print(f"{shape} {count:4} texts  {form:8} {rate:10,.0f} tokens/s  {share:.2f}", flush=True)


def can_write(model: Model, asked: dict[str, Any]) -> bool:
    """Whether the vocabulary of a model has texts of a form."""
    try:
        written(model, 1, 0, asked)
    except SettingError:
        return False
    return True


def written(
    model: Model, count: int, seed: int, asked: dict[str, Any], length: int = LENGTH
) -> tuple[int, float]:
    """Tokens of texts that were begun together, and the seconds that these took."""
    begun, batch = time.process_time(), model.batch()
    streams = [
        batch.start("The ", length=length, seed=seed, stream=number, **asked) for number in range(count)
    ]
    while len(batch):
        batch.round()
    return sum(stream.tokens for stream in streams), time.process_time() - begun


BOMBS: dict[str, dict[str, Any]] = {
    "quantifiers in quantifiers": {"matching": "((((a{1,99}){1,99}){1,99}){1,99})"},
    "5,000 that may be missing": {"matching": "(a?){5000}a{5000}"},
    "5,000 in a schema": {"json_schema": {"type": "string", "pattern": "^(a?){5000}a{5000}$"}},
    "30 times anything": {"matching": "(.*a){30}"},
    "2^18 states": {"matching": "(?:[ab]*a[ab]{18})c"},
    "90 groups in groups": {"matching": "(" * 90 + ")" * 90},
    "a schema 60 deep": {"json_schema": json.loads('{"items":' * 60 + "{}" + "}" * 60)},
    "a schema 400 deep": {"json_schema": json.loads('{"items":' * 400 + "{}" + "}" * 400)},
    "100,000 items": {"json_schema": {"type": "array", "minItems": 100_000}},
    "50,000 characters": {"json_schema": {"type": "string", "minLength": 50_000, "maxLength": 90_000}},
    "a pattern of words": {
        "json_schema": {"type": "string", "maxLength": 5000, "pattern": r"^(?:\S+\s+){0,99}\S+$"}
    },
    "every part of a schema": {
        "json_schema": {"anyOf": [{"properties": {f"p{n}": {"type": "string"}}} for n in range(300)]}
    },
    "2^40 letters": {
        "grammar": "start: r40\n" + "".join(f"r{n + 1}: r{n} r{n}\n" for n in range(40)) + 'r0: "x" |\n'
    },
    "a rule of itself": {"grammar": "start: start start | start | \n"},
    "500 long choices": {"choices": ["a" * 400 + str(number) for number in range(500)]},
}


def bombs() -> None:
    """Each in a process of its own."""
    model = model_of("bytes", None)
    model.generate("a", length=9, seed=1, matching="a+")
    for name, form in BOMBS.items():
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            begun, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            told = "written"
            try:
                model.generate("a", length=100, seed=1, **form)
            except SettingError as error:
                told = f"refused: {error.rule[:60]}"
            took, peak = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(f"{name:28} {took:6.2f} s {(peak - before) / 1024:7.1f} MB  {told}", flush=True)
            os._exit(0)
        os.waitpid(child, 0)


def main(arguments: list[str]) -> int:
    """Run a part."""
    options = measured.parser(__doc__)
    options.add_argument("part", choices=("check", "rates", "bombs", "schemas"))
    options.add_argument("model", nargs="?", type=Path, help="or FOLDER")
    options.add_argument("--texts", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--log", type=Path)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--every", type=int, default=1)
    asked = options.parse_args(arguments)
    parts: dict[str, Callable[[], int | None]] = {
        "check": lambda: check(asked.texts, asked.seed, asked.log),
        "rates": lambda: rates(asked.model, asked.seconds),
        "bombs": bombs,
        "schemas": lambda: schemas(asked.model, asked.every),
    }
    return int(bool(parts[asked.part]()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
