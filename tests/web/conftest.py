"""The library for browsers under Node, and small models of every kind as files."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.errors import PantoumError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import to_int8
from pantoum.inference.files.compact_matrices import finished_forms
from pantoum.network import LanguageModel
from pantoum.text.bpe import BpeTokenizer
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner
from pantoum.web.module import module

HERE = Path(__file__).parent
TEXT = "The cat sat on the mat.\nA naïve dog ran, ran and ran!\n\nThe end of the day: 12 o'clock.\n" * 3
Ask = Callable[[list[dict[str, Any]]], list[list[Any]]]


def tokenizer_of(kind: str, documents: str | None = None, text: str = TEXT) -> Tokenizer:
    """A tokenizer learned from a text."""
    if kind == "bytes":
        return ByteTokenizer(documents)
    if kind == "bpe":
        return BpeTokenizer(
            [(number, number + 1) for number in (33, 65, 98)] + [(117, 105), (33, 260)], documents
        )
    scholar = learner(kind, None, documents)
    scholar.feed(text)
    return scholar.learn()


def content_of(
    tokenizer: Tokenizer,
    form: str = "float32",
    seed: int = 3,
    extras: Mapping[str, Any] | None = None,
    **shape: Any,
) -> ModelFile:
    """A model with random weights, large enough that its answers differ; ``form``: float32, coded, halved,
    int8."""
    sizes = {"hidden_size": 24, "num_layers": 2, "embedding_size": 8, "ngram_rows": 64, **shape}
    config = ModelConfig(**sizes)
    network = LanguageModel(tokenizer.vocab_size, config=config, seed=seed)
    for array in network.parameters.values():
        array *= 3
    tables = ["ngrams.weight"] if config.ngrams else []
    for table in tables:  # which begins at 0, and of which a text uses some rows
        rows_RV = network.parameters[table]
        rows_RV[::3] = np.random.default_rng(seed).standard_normal(rows_RV[::3].shape)
    parameters = dict(network.parameters)
    forms = finished_forms(tables)
    if form in ("coded", "halved"):
        parameters = forms[-1 if form == "halved" else 0](parameters, tables)[0]
    content = ModelFile(
        config.spec(), parameters, tokenizer.spec(), {"made": "by a test"}, dict(extras or {})
    )
    return to_int8(content) if form == "int8" else content


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(kind, documents=None, form="float32", **shape)``: the file of a model."""
    made = iter(range(10_000))

    def build(kind: str = "characters", documents: str | None = None, **more: Any) -> Path:
        path = tmp_path / f"{next(made)}.safetensors"
        model_file.write(path, content_of(tokenizer_of(kind, documents), **more))
        return path

    return build


@pytest.fixture
def learn() -> Callable[..., Tokenizer]:
    """``learn(kind, documents=None)``: the tokenizer of ``write``."""
    return tokenizer_of


@pytest.fixture(scope="session")
def wasm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module; a loud skip where nothing can compile it."""
    path = tmp_path_factory.mktemp("web") / "pantoum.wasm"
    try:
        path.write_bytes(module())
    except PantoumError as missing:
        pytest.skip(f"SKIP SKIP SKIP: {missing}")
    return path


@pytest.fixture(scope="session")
def ask(wasm: Path) -> Ask:
    """``ask([{"model": path, "calls": [[name, ...], ...]}])``: the answers of the library under Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("SKIP SKIP SKIP: Node is missing, the library for browsers was not run")

    def answers(cases: list[dict[str, Any]]) -> list[list[Any]]:
        ran = subprocess.run(
            [node, str(HERE / "answers.mjs"), str(wasm)],
            input=json.dumps(cases, default=str),
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert ran.returncode == 0, ran.stderr
        found: list[list[Any]] = json.loads(ran.stdout)
        return found

    return answers
