"""What a person may ask of a training run, and the one line that answers what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pantoum.config import AUTO, GenerationConfig, SamplingConfig, TrainSettings, parse_softmax, spell_softmax
from pantoum.errors import SettingError


def test_nothing_given_leaves_every_choice_open() -> None:
    asked = TrainSettings()
    assert (asked.minutes, asked.steps, asked.epochs) == (None, None, None)
    assert asked.tokens == asked.cell == asked.hidden_size == asked.learning_rate == asked.clip == AUTO


def test_off_is_none_and_not_auto() -> None:
    asked = TrainSettings(embedding_size=None, clip=None, average=None)
    assert (asked.embedding_size, asked.clip, asked.average) == (None, None, None)


@pytest.mark.parametrize(
    "tokens", ["bytes", "characters", "words", "words:whitespace", "bpe:300", "bpe:whitespace:300"]
)
def test_every_kind_of_token_may_be_named(tokens: str) -> None:
    assert TrainSettings(tokens=tokens, vocab_size=300, checkpoint_every=5).tokens == tokens


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"minutes": 1, "steps": 2}, "minutes cannot be given together with --steps; give only one of them"),
        ({"minutes": 0}, "minutes is 0: it must be a number above 0"),
        ({"minutes": float("nan")}, "must be a number above 0"),
        ({"epochs": 2e6}, "epochs is 2000000.0: it must be a number above 0 and at most 1000000"),
        ({"softmax": "sampled:0"}, "softmax is 0: it must be a whole number from 1 to 16777216"),
        ({"softmax": "adaptive"}, "softmax is 'adaptive': it must be full, sampled or sampled:N"),
        ({"steps": 0.5}, "steps is 0.5: it must be a whole number of at least 1"),
        ({"stop_after": 0}, "stop_after is 0: it must be a whole number of at least 1"),
        ({"valid_fraction": 1.0}, "must be a number at least 0 and below 1"),
        (
            {"tokens": "syllables"},
            "must be bytes, characters, words, words:whitespace, bpe:N or bpe:whitespace:N",
        ),
        ({"vocab_size": 1}, "vocab_size is 1: it must be a whole number of at least 2"),
        ({"documents": "pages"}, "must be one of lines, files, blank-lines"),
        ({"cell": "cnn"}, "must be one of rnn"),
        ({"hidden_size": "large"}, "from 1 to 65536"),
        ({"num_layers": 300}, "from 1 to 256"),
        ({"embedding_size": 0}, "embedding_size is 0"),
        ({"dropout": "much"}, "must be a rate"),
        ({"tied": True, "embedding_size": None}, "tied needs an embedding"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seq_len": 2_000_000}, "from 1 to 1000000"),
        ({"optimizer": "sgd"}, "must be one of adamw, muon"),
        ({"schedule": "steps"}, "must be one of linear, trapezoid, cosine, constant"),
        ({"precision": "fp8"}, "must be one of auto, float32, bf16"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0: it must be a number above 0"),
        ({"weight_decay": -1.0}, "must be a number at least 0"),
        ({"clip": float("inf")}, "clip is inf: it must be a number above 0"),
        ({"average": 1.0}, "must be a number above 0 and below 1"),
        ({"seed": -1}, "seed is -1"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"ngrams": "2;3"}, "ngrams is '2;3': it must be whole numbers with commas between them"),
        ({"ngrams": [1]}, "ngrams is 1: it must be a whole number from 2 to 16"),
        ({"ngrams": True}, "ngrams is True: it must be a whole number from 2 to 16"),
        ({"ngram_rows": 100}, "ngram_rows is 100: it must be a power of two"),
        ({"ngram_rows": "many"}, "ngram_rows is 'many': it must be a whole number"),
        ({"ngrams": None, "ngram_rows": 64}, "ngram_rows is 64: it needs n-grams; give --ngrams as well"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_its_value_and_rule(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as refused:
        TrainSettings(**given)
    line = str(refused.value)
    assert words in line and "\n" not in line and line.rpartition("; ")[2]


@pytest.mark.parametrize("given", ["2,3,4", " 2, 3,4", (2, 3, 4), [2, 3, 4]])
def test_orders_of_n_grams_may_be_text_or_numbers(given: Any) -> None:
    asked = TrainSettings(ngrams=given)
    assert asked.ngrams == (2, 3, 4) and asked == TrainSettings(ngrams=(2, 3, 4))
    assert TrainSettings(**json.loads(json.dumps(asdict(asked)))) == asked


def test_one_order_none_and_auto() -> None:
    assert TrainSettings(ngrams=3).ngrams == TrainSettings(ngrams="3").ngrams == (3,)
    assert TrainSettings(ngrams=None).ngrams is TrainSettings(ngrams=()).ngrams is None
    assert TrainSettings().ngrams == TrainSettings(ngrams=AUTO).ngrams == AUTO


@pytest.mark.parametrize(("text", "samples"), [("full", None), ("sampled", 512), ("sampled:7", 7)])
def test_the_symbols_that_are_compared_are_spelt_as_they_are_read(text: str, samples: int | None) -> None:
    assert TrainSettings(softmax=text).softmax == text
    assert parse_softmax(text) == samples == parse_softmax(spell_softmax(samples))


def test_a_single_stop_text_is_one_text_and_not_its_letters() -> None:
    assert SamplingConfig(stop="end").stop == ("end",)  # type: ignore[arg-type]
    assert SamplingConfig(stop=("a", "b")).stop == ("a", "b")


def test_the_bounds_themselves_may_be_given() -> None:
    assert SamplingConfig(temperature=0.0, top_k=1, top_p=1.0, min_p=0.0, repetition_penalty=100.0)
    assert GenerationConfig(length=0, seed=2**63 - 1, count=100_000).model_out is None


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (SamplingConfig, {"stop": ("a", "")}, "must be a text that is not empty"),
        (SamplingConfig, {"stop": (3,)}, "must be a text that is not empty"),
        (SamplingConfig, {"temperature": -0.1}, "at least 0 and at most 100"),
        (SamplingConfig, {"temperature": "hot"}, "must be a number"),
        (SamplingConfig, {"top_k": 0}, "top_k is 0"),
        (SamplingConfig, {"top_p": 0.0}, "above 0 and at most 1"),
        (SamplingConfig, {"min_p": 1.1}, "at least 0 and at most 1"),
        (SamplingConfig, {"repetition_penalty": 0}, "above 0 and at most 100"),
        (GenerationConfig, {"length": -1}, "at least 0"),
        (GenerationConfig, {"count": 0}, "from 1 to 100000"),
        (GenerationConfig, {"seed": 2**63}, "seed is 9223372036854775808"),
    ],
)
def test_what_cannot_be_is_refused(kind: type[Any], given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        kind(**given)


PLACE = "class UpdateSettings(SettingGroup):\n"
FIELD = """
    noise: float = setting(
        0.0, "noise that is added to the gradient", partial(number, least=0.0, below=1.0), metavar="X"
    )
"""
SCRIPT = """
import importlib.util, sys

found = importlib.util.find_spec("pantoum.config.train")
module = sys.modules[found.name] = importlib.util.module_from_spec(found)
source = open(found.origin, encoding="utf-8").read()
head, class_, body = source.partition({place!r})
exec(compile(head + class_ + {field!r} + body, found.origin, "exec"), module.__dict__)

import inspect
import pantoum
from pantoum.cli.main import main

assert inspect.signature(pantoum.train).parameters["noise"].default == 0.0
small = ["--steps", "2", "--hidden-size", "8", "--num-layers", "1", "--quiet", "--run"]
assert main(["train", "t.txt", "--noise", "0.25", "--stop-after", "1", *small, "noisy"]) == 0
assert main(["train", "--run", "noisy", "--resume", "--noise", "0.5"]) == 1
assert main(["train", "--run", "noisy", "--resume", "--noise", "0.25", "--quiet"]) == 0
assert main(["train", "t.txt", "--noise", "2"]) == 1
assert main(["train", "t.txt", "--noise", "much"]) == 1
main(["train", "--help"])
"""


def test_an_option_of_training_is_one_field(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat sat on the mat. A dog ran!\n" * 30)
    script = SCRIPT.format(place=PLACE, field=FIELD)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "noisy" / "config.json").read_text())["settings"]["noise"] == 0.25
    assert "noise is 0.5, the run has 0.25" in done.stderr
    assert "--noise is 2.0: it must be a number at least 0 and below 1" in done.stderr
    assert "--noise is 'much': it must be a number" in done.stderr
    assert "noise that is added to the gradient (default: 0.0)" in " ".join(done.stdout.split())


def test_the_place_of_the_field_is_in_the_file() -> None:
    from pantoum.config import train

    source = Path(train.__file__).read_text(encoding="utf-8")
    assert source.count(PLACE) == 1


@pytest.mark.parametrize("flag", ["once", "option"])
def test_a_field_may_be_of_one_command_or_of_calls_alone(flag: str) -> None:
    from pantoum.config import SamplingConfig, TrainSettings, declared

    known = {**declared(TrainSettings), **declared(SamplingConfig)}
    shown = {name for name, one in known.items() if getattr(one, flag) is (flag == "once")}
    assert ("resume" in shown and "steps" not in shown) if flag == "once" else shown == {"logit_bias"}
