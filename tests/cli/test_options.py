"""Parsing: options and files in any order, suggestions, errors that name the help of their command."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pantoum.cli.commands import commands as all_commands
from pantoum.cli.commands import module_of
from pantoum.cli.main import make_parser
from pantoum.config import TrainSettings, declared
from pantoum.config.rules import ELSEWHERE
from pantoum.config.setting import flag
from pantoum.training.recipe import choose, model_choice

Run = Callable[..., Any]


def test_pantoum_alone_prints_help(run: Run) -> None:
    done = run()
    assert (done.code, done.err) == (0, "") and done.out == run("--help").out
    assert run("--quiet").out == done.out


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("score runs/page --alert 3 german.txt", {"model": "runs/page", "text": "german.txt", "alert": "3"}),
        ("score --alert 3 runs/page", {"model": "runs/page", "text": "-"}),
        ("compare A --json B", {"runs": ["A", "B"], "json": True}),
        ("train a --steps 3 b --quiet -", {"texts": ["a", "b", "-"], "steps": 3, "quiet": True}),
        ("train --steps 3", {"texts": [], "steps": 3}),
        ("evaluate m --json a --protocol windows:9 b", {"texts": ["a", "b"], "protocol": "windows:9"}),
        ("--threads 1 generate --length -5 m --stop a --stop b", {"length": -5, "stop": ["a", "b"]}),
    ],
)
def test_options_and_files_come_in_any_order(typed: str, expected: dict[str, Any]) -> None:
    found = vars(make_parser().parse_args(typed.split()))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("typed", "words", "helper"),
    [
        ("trian", "did you mean `pantoum train`?", "pantoum"),
        ("sample x", "did you mean `pantoum generate`?", "pantoum"),
        ("help", "type `pantoum --help`", "pantoum"),
        ("xyzzy", "the commands are demo, train", "pantoum"),
        ("--learning-rate", "it is an option of `pantoum train`", "pantoum"),
        ("train x --lr 0.1", "there is no option --lr: did you mean --learning-rate?", "pantoum train"),
        ("train --hidden=8 x", "no option --hidden: did you mean --hidden-size?", "pantoum train"),
        ("train x --learnign-rate 1", "did you mean --learning-rate?", "pantoum train"),
        ("generate m --max-tokens 9", "did you mean --length?", "pantoum generate"),
        ("generate m --alert 9", "it is an option of `pantoum score`", "pantoum generate"),
        ("train x --qqqq", "there is no option --qqqq;", "pantoum train"),
        ("watch a b", "b is one argument too many", "pantoum watch"),
        ("generate", "MODEL is missing: type for example `pantoum generate runs/book", "pantoum generate"),
        ("prepare x", "--out is missing: type for example `pantoum prepare", "pantoum prepare"),
        ("train x --seq-len", "--seq-len needs a value", "pantoum train"),
    ],
)
def test_a_usage_error_says_what_to_type(run: Run, typed: str, words: str, helper: str) -> None:
    done = run(*typed.split())
    assert (done.code, done.out, len(done.lines)) == (2, "", 1)
    assert words in done.err and done.err.endswith(f"`{helper} --help` lists its options\n")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("score m --format jsno", "--format is 'jsno': did you mean json?"),
        ("train x --documents line", "did you mean lines?"),
        ("train x --cell lstn", "did you mean lstm?"),
        ("train x --optimizer sgd", "must be one of adamw, muon"),
        ("train x --tokens chars", "did you mean characters?"),
        ("train x --tokens bpe", "for example bpe:4000"),
        ("score m x --by lines", "did you mean line?"),
        ("export m --to int4 --out y", "did you mean int8?"),
    ],
)
def test_a_wrong_value_gets_a_suggestion(run: Run, typed: str, words: str) -> None:
    done = run(*typed.split())
    assert (done.code, len(done.lines)) == (1, 1) and words in done.err


def test_names_of_other_programs_lead_to_options_that_exist() -> None:
    (commands,) = (a for a in make_parser()._actions if a.dest == "command")
    known = {name for parser in commands.choices.values() for name in parser.option_names()}
    assert {flag(setting) for setting in ELSEWHERE.values()} <= known
    assert not {flag(name) for name in ELSEWHERE} & (known - {"--model", "--max-tokens"})


def test_help_gives_the_default_of_every_model_option(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    page = " ".join(run("train", "--help").out.split())
    for name, one in declared(TrainSettings).items():
        assert one.default != "auto" or one.chosen, name
        assert f"(default: {one.chosen})" in page if one.chosen else True
    sizes = [hidden for hidden, _ in model_choice.SIZES]
    assert f"{min(sizes)} to {max(sizes)}" in page and f"1 to {max(model_choice.MEMBER_EPOCHS)} with" in page
    assert f"(default: {choose.BATCH}, fewer" in page and f"(default: {choose.CHUNK}, fewer" in page
    assert f"{choose.LEAST_DROPOUT:g} to {choose.MOST_DROPOUT:g}" in page
    assert f"at most {model_choice.NGRAM_EPOCHS:g} times" in page
    for optimizer, decay in choose.WEIGHT_DECAY.items():
        assert f"{decay:g} with {optimizer}" in page


def test_every_example_of_the_help_parses() -> None:
    for name in all_commands():
        for example in re.findall(r"^  pantoum (.*?)(?:   .*| [|<>].*)?$", module_of(name).EXAMPLES, re.M):
            words = [word.strip("\"'") for word in re.findall(r'"[^"]*"|\S+', example)]
            assert make_parser().parse_args(words).command in all_commands()
