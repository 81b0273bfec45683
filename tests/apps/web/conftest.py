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

from pantoum.apps.web import html_page
from pantoum.apps.web.module import FUSED, PLAIN, modules
from pantoum.config import ModelConfig
from pantoum.errors import PantoumError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import to_int8
from pantoum.inference.files.precision import finished_forms
from pantoum.network import LanguageModel
from pantoum.text.bpe import BpeTokenizer
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner

HERE, WEB = Path(__file__).parent, Path(html_page.__file__).parent
TEXT = "The cat sat on the mat.\nA naïve dog ran, ran and ran!\n\nThe end of the day: 12 o'clock.\n" * 3
Ask = Callable[[list[dict[str, Any]]], list[list[Any]]]


def tokenizer_of(kind: str, documents: str | None = None, text: str = TEXT) -> Tokenizer:
    """A tokenizer learned from a text."""
    if kind == "bytes":
        return ByteTokenizer(documents)
    if kind.startswith("bpe"):
        pairs = [*((number, number + 1) for number in (33, 65, 98)), (117, 105), (33, 260), (117, 47)]
        return BpeTokenizer(pairs, documents, kind)
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
def cores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both modules; a loud skip where nothing can compile them."""
    folder = tmp_path_factory.mktemp("web")
    try:
        for name, data in modules().items():
            (folder / name).write_bytes(data)
    except PantoumError as missing:
        pytest.skip(f"SKIP SKIP SKIP: {missing}")
    return folder


@pytest.fixture(scope="session")
def node() -> list[str]:
    """The command of Node with relaxed SIMD, which Node has by itself from 21 on.

    JavaScript is compiled on the main thread: a thread that compiles it may wait for a collection of garbage
    by the main thread while that waits for the compilation of a module, for ever (Node's issue 54918)."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("SKIP SKIP SKIP: Node is missing, the library for browsers was not run")
    found = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    relaxed = ["--experimental-wasm-relaxed-simd"] if int(found[1:].split(".")[0]) < 21 else []
    return [program, "--no-concurrent-recompilation", *relaxed]


@pytest.fixture(scope="session", params=[PLAIN, FUSED])
def wasm(request: pytest.FixtureRequest, cores: Path, node: list[str]) -> Path:
    """One module after the other; a loud skip where this processor has no fused multiply-add."""
    script = f'import {{ fuses }} from "{(WEB / "fused.js").as_uri()}"; process.exit(fuses() ? 0 : 1)'
    if request.param == FUSED and subprocess.run([*node, "--input-type=module", "-e", script]).returncode:
        pytest.skip("SKIP SKIP SKIP: no fused multiply-add here, the module that needs it was not run")
    return cores / str(request.param)


@pytest.fixture(scope="session")
def ask(wasm: Path, node: list[str]) -> Ask:
    """``ask([{"model": path, "calls": [[name, ...], ...]}])``: the answers of the library under Node."""

    def answers(cases: list[dict[str, Any]]) -> list[list[Any]]:
        ran = subprocess.run(
            [*node, str(HERE / "answers.mjs"), str(wasm)],
            input=json.dumps(cases, default=str),
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert ran.returncode == 0, ran.stderr
        found: list[list[Any]] = json.loads(ran.stdout)
        return found

    return answers
