"""The library for browsers gives the texts, scores and states of Python, for all that a file can hold."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.config import GenerationConfig, SamplingConfig
from pantoum.inference.files.counts_file import arrays_of, with_weights
from pantoum.model import Model
from pantoum.network.mixers.counts import CountMixture, Counts, counted

pytestmark = pytest.mark.slow
TEXT = "The cat sat on the mat. The dog ran and ran!\n" * 9
CELLS = ["rnn", "gru", "gru-before", "lstm", "mingru"]
SHAPES: list[dict[str, Any]] = [
    *({"cell": cell, "form": form} for cell in CELLS for form in ("float32", "coded", "halved", "int8")),
    *({"embedding_size": None, "form": form} for form in ("float32", "int8")),
    *(
        {"tied": True, "embedding_size": size, "form": form}
        for size in (8, 24)
        for form in ("float32", "int8")
    ),
    *({"members": 3, "form": form} for form in ("coded", "int8")),
    {"members": 2, "tied": True, "embedding_size": 24},
    *({"ngrams": (2, 3), "form": form} for form in ("float32", "coded", "int8")),
    {"ngrams": (2, 4), "members": 2, "form": "coded", "cell": "lstm"},
]
KINDS = [
    *((kind, None) for kind in ("bytes", "characters", "words", "words:whitespace", "bpe", "bpe:whitespace")),
    *(
        (kind, documents)
        for kind in ("bytes", "characters", "words", "bpe", "bpe:whitespace")
        for documents in ("lines", "blank-lines")
    ),
]
PROMPTS = ["", "The cat", "the mat.\n\nA dög ", "“12” o’clock… \U0001f600 "]
SETTINGS: list[dict[str, Any]] = [
    {"length": 60, "seed": 1},
    {"length": 50, "seed": 2**40, "temperature": 0.6, "exact": True},
    {"length": 40, "seed": 3, "top_k": 5, "min_p": None, "repetition_penalty": 1.3},
    {"length": 40, "seed": 4, "top_p": 0.7, "min_p": 0.1, "stop": ["a", "he"]},
    {"length": 30, "seed": 5, "greedy": True},
]


def almost(found: Any, right: Any) -> bool:
    """Whether scores are the same; where counts are mixed in, logarithms are those of the library."""
    if not isinstance(right, list):
        return bool(found == right)
    figures = [[s.pop(name) for name in ("nats", "peak")] for s in right]
    own = [[s.pop(name) for name in ("nats", "peak")] for s in found]
    return found == right and own == [pytest.approx(each, rel=1e-6) for each in figures]


def expected(model: Model, prompt: str, settings: dict[str, Any]) -> dict[str, Any]:
    how = {name: value for name, value in settings.items() if name in ("length", "seed", "exact")}
    sampling = {name: value for name, value in settings.items() if name not in how}
    if "stop" in sampling:
        sampling["stop"] = tuple(sampling["stop"])
    writing = model.generation(prompt, GenerationConfig(**how), SamplingConfig(**sampling))
    for _ in writing:
        pass
    (text,) = writing.texts
    state = base64.b64encode(bytes(writing.state())).decode()
    return {
        "text": text.text,
        "tokens": text.tokens,
        "nats": text.nats,
        "stopped": text.stopped,
        "state": state,
    }


def compare(ask: Any, files: list[Path], counts: bool = False) -> int:
    cases, wanted = [], []
    for file in files:
        model, calls, own = pantoum.load(file), [], []
        for prompt in PROMPTS:
            for settings in SETTINGS:
                calls.append(["generate", {"prompt": prompt, **settings}])
                own.append(expected(model, prompt, settings))
            for by in ("token", "word", "line"):
                calls.append(["score", prompt, by])
                own.append(
                    [
                        {"text": s.text, "nats": s.nats, "tokens": s.tokens, "peak": s.peak}
                        for s in model.score(prompt, by)
                    ]
                )
        cases.append({"model": str(file), "calls": calls})
        wanted.append(own)
    compared = 0
    for case, found, own in zip(cases, ask(cases), wanted, strict=True):
        assert len(found) == len(own), found[0]
        for call, answer, right in zip(case["calls"], found, own, strict=True):
            if call[0] == "generate" and isinstance(answer, dict) and "nats" in answer:
                # The nats of a word that was drawn again are a logarithm of NumPy.
                assert answer.pop("nats") == pytest.approx(right.pop("nats"), rel=1e-9), call
            assert almost(answer, right) if counts else answer == right, call
            compared += 1
    return compared


@pytest.mark.filterwarnings("ignore")
def test_of_every_shape_and_form(write: Any, ask: Any) -> None:
    assert compare(ask, [write(**shape) for shape in SHAPES]) > 500


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "documents"), [("words", None), ("characters", "lines")])
def test_with_counted_ngrams(write: Any, learn: Any, ask: Any, kind: str, documents: Any) -> None:
    tokenizer = learn(kind, documents)
    orders = counted(tokenizer.encode(TEXT), tokenizer.vocab_size, 4, eos=0 if documents else None)
    counts = Counts(tokenizer.vocab_size, orders)
    weights_C = np.random.default_rng(0).random(counts.buckets).astype(np.float32)
    extras = with_weights(arrays_of(tokenizer.vocab_size, orders), CountMixture(counts, weights_C))
    assert (
        compare(
            ask, [write(kind, documents, form=form, extras=extras) for form in ("coded", "int8")], counts=True
        )
        > 50
    )


@pytest.mark.filterwarnings("ignore")
def test_of_every_tokenizer(write: Any, ask: Any) -> None:
    assert compare(ask, [write(kind, documents, form="coded") for kind, documents in KINDS]) > 200


def test_sessions_fork_go_back_and_suggest(write: Any, ask: Any) -> None:
    file = write("words", form="coded", ngrams=(2, 3))
    session = pantoum.load(file).session()
    session.feed("The cat ")
    predicted = session.predict(3)
    text = session.generate(30, seed=5)
    state = base64.b64encode(bytes(session.state)).decode()
    calls = [["session", "The cat ", {"length": 30, "seed": 5}], ["suggest", "The cat ", 3]]
    ((written, suggested),) = ask([{"model": str(file), "calls": calls}])
    assert written == {"text": text, "forked": text, "again": text, "state": state}
    assert [one["token"] for one in suggested] == [one.token for one in predicted]
    found = [one["probability"] for one in suggested]
    assert found == pytest.approx([one.probability for one in predicted])
