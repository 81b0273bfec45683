"""Drawn models write, score and stand the same natively, under Node, in Chromium and under wasmtime.

    python benchmarks/same_in_browsers.py --log same.jsonl [--count 2000] [--seed 1]

Both modules run, the plain one and the fused one. A case is a drawn model, prompt and seed, with drawn
settings: its text, its state and the scores of the prompt are compared, byte for byte. The log gets a line
per model; the same command goes on after the last one. What Node's library does with the module's memory is
recorded and done again under wasmtime, where the whole memory must be the same after every case. Chromium is
left out where it is missing.

Two figures are not those of the core: logarithms of the library, where counted n-grams are mixed in or a word
was drawn again. They may differ by one part in a million.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ.setdefault("PANTOUM_THREADS", "1")

import measured
import numpy as np
from browser_programs import ANSWERS, CHROMIUM, NODE, node_command

import pantoum
from pantoum.apps.web import html_page
from pantoum.apps.web.module import modules
from pantoum.config import GenerationConfig, ModelConfig, SamplingConfig
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import to_int8
from pantoum.inference.files.compact_matrices import finished_forms
from pantoum.inference.files.counts_file import arrays_of, with_weights
from pantoum.network import LanguageModel
from pantoum.network.mixers.count_mixture import CountMixture
from pantoum.network.mixers.counted_ngrams import Counts
from pantoum.network.mixers.counting import counted
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner

WEB = Path(html_page.__file__).parent
CASES_A_MODEL = 5
TEXT = (
    "The cat sat on the mat.\nA naïve dog ran, ran and ran!\n\nThe end of the day: 12 o'clock.\n“So?”\n" * 3
)


def drawn_tokenizer(draw: random.Random) -> Tokenizer:
    """One of every kind that needs no other package, of one long text or of documents."""
    documents = draw.choice([None, None, "lines", "blank-lines"])
    kind = draw.choice(["characters", "characters", "bytes", "words", "words:whitespace"])
    if kind == "bytes":
        return ByteTokenizer(documents)
    scholar = learner(kind, None, None if kind == "words:whitespace" else documents)
    scholar.feed(TEXT)
    return scholar.learn()


def drawn_model(draw: random.Random) -> ModelFile:
    """A small network of any shape, in any form."""
    tokenizer = drawn_tokenizer(draw)
    units, size = draw.choice([1, 7, 16, 24, 33, 40]), draw.choice([None, 5, 16, 24])
    shape: dict[str, Any] = {
        "cell": draw.choice(["rnn", "gru", "gru", "gru-before", "lstm", "mingru"]),
        "hidden_size": units,
        "num_layers": draw.randint(1, 3),
        "embedding_size": size,
        "members": draw.choice([1, 1, 2, 3]),
        "tied": size is not None and draw.random() < 0.3,
        "ngrams": draw.choice([(), (), (2,), (2, 3), (2, 4)]),
        "ngram_rows": 64,
    }
    shape["tied"] = shape["tied"] and shape["members"] == 1
    config = ModelConfig(**shape)
    network = LanguageModel(tokenizer.vocab_size, config=config, seed=draw.getrandbits(30))
    scale = draw.choice([0.5, 1.0, 3.0])
    for array in network.parameters.values():
        array *= scale
    tables = ["ngrams.weight"] if config.ngrams else []
    for table in tables:  # which begins at 0, and of which a text uses some rows
        rows_RV = network.parameters[table]
        rows_RV[::3] = np.random.default_rng(draw.getrandbits(30)).standard_normal(rows_RV[::3].shape)
    parameters = dict(network.parameters)
    form = draw.choice(["float32", "coded", "halved", "int8", "int8"])
    forms = finished_forms(tables)
    if form in ("coded", "halved"):
        parameters = forms[-1 if form == "halved" else 0](parameters, tables)[0]
    extras = {}
    if draw.random() < 0.1 and tokenizer.vocab_size < 300:
        eos = 0 if tokenizer.documents else None
        orders = counted(tokenizer.encode(TEXT), tokenizer.vocab_size, 4, eos=eos)
        counts = Counts(tokenizer.vocab_size, orders)
        weights_C = np.random.default_rng(draw.getrandbits(30)).random(counts.buckets).astype(np.float32)
        extras = with_weights(arrays_of(tokenizer.vocab_size, orders), CountMixture(counts, weights_C))
    content = ModelFile(config.spec(), parameters, tokenizer.spec(), {}, extras)
    return to_int8(content) if form == "int8" else content


def drawn_case(draw: random.Random) -> dict[str, Any]:
    """A prompt, and settings of which each is left out half of the time."""
    begin = draw.randrange(len(TEXT) // 3)
    prompt = draw.choice(["", TEXT[begin : begin + draw.randrange(60)], "A dög \U0001f600 "])
    settings: dict[str, Any] = {
        "length": draw.randrange(1, 80),
        "seed": draw.getrandbits(draw.choice([8, 62])),
    }
    choices = {
        "temperature": round(draw.random() * 2, 3),
        "top_k": draw.randint(1, 40),
        "top_p": max(round(1 - draw.random(), 3), 0.001),
        "min_p": draw.choice([None, 0.01, 0.2]),
        "repetition_penalty": round(0.8 + draw.random(), 3),
        "exact": True,
        "stop": draw.sample(["a", "he", "\n", "ran"], 2),
    }
    settings |= {name: value for name, value in choices.items() if draw.random() < 0.4}
    if draw.random() < 0.1:
        settings["greedy"] = True
    return {"prompt": prompt, "settings": settings}


def native(model: pantoum.Model, case: dict[str, Any]) -> dict[str, Any]:
    """What Python answers."""
    how = {name: case["settings"][name] for name in ("length", "seed", "exact") if name in case["settings"]}
    sampling = {name: value for name, value in case["settings"].items() if name not in how}
    if "stop" in sampling:
        sampling["stop"] = tuple(sampling["stop"])
    writing = model.generation(case["prompt"], GenerationConfig(**how), SamplingConfig(**sampling))
    for _ in writing:
        pass
    (text,) = writing.texts
    scores = [
        {"text": one.text, "nats": one.nats, "tokens": one.tokens, "peak": one.peak}
        for one in model.score(case["prompt"], "token")
    ]
    return {
        "text": text.text,
        "tokens": text.tokens,
        "nats": text.nats,
        "stopped": text.stopped,
        "state": base64.b64encode(bytes(writing.state())).decode(),
        "scores": scores,
    }


def same(found: dict[str, Any], right: dict[str, Any], counts: bool) -> bool:
    """Whether two answers are the same."""

    def near(one: float, other: float) -> bool:
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)

    if counts:
        scores = zip(found["scores"], right["scores"], strict=True)
        for one, other in scores:
            if not (near(one["nats"], other["nats"]) and near(one["peak"], other["peak"])):
                return False
        found, right = {**found, "scores": []}, {**right, "scores": []}
    if not near(found["nats"], right["nats"]):
        return False
    return {**found, "nats": 0} == {**right, "nats": 0}


def told(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cases for JavaScript, whose numbers cannot hold a seed."""
    return [
        {**case, "settings": {**case["settings"], "seed": str(case["settings"]["seed"])}} for case in cases
    ]


class Node:
    """The library in a process of its own; ``answers`` also leaves the record of the memory at ``record``."""

    def __init__(self, folder: Path, wasm: Path) -> None:
        script = folder / f"{wasm.stem}.mjs"
        text = NODE.replace("ANSWERS", ANSWERS).replace("CORE", (WEB / "core.js").as_uri())
        script.write_text(text.replace("MODEL", (WEB / "model.js").as_uri()))
        self.record = folder / f"{wasm.stem}.json"
        self._process = subprocess.Popen(
            [*node_command(), str(script), str(wasm)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def answers(self, path: Path, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What the library answers to the cases of a model."""
        assert self._process.stdin is not None and self._process.stdout is not None
        asked = {"model": str(path), "cases": told(cases), "record": str(self.record)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        found: list[dict[str, Any]] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Chromium:
    """The library in a tab."""

    @staticmethod
    def begun(stack: ExitStack) -> Any:
        """Chromium, where there is one."""
        from playwright.sync_api import sync_playwright

        program = shutil.which("chromium") or shutil.which("google-chrome")
        if program is None:
            return None
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        stack.callback(browser.close)
        return browser

    def __init__(self, browser: Any, wasm: Path) -> None:
        self._page = browser.new_page()
        for name in ("core", "model"):
            script = html_page.bundled(WEB / f"{name}.js")
            kind = name.capitalize()
            self._page.evaluate(
                f"() => {{ window.{kind} = (() => {{ {script}\nreturn ${name}.{kind}; }})(); }}"
            )
        self._module = base64.b64encode(wasm.read_bytes()).decode()

    def answers(self, path: Path, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What the library answers to the cases of a model."""
        model = base64.b64encode(path.read_bytes()).decode()
        found: list[dict[str, Any]] = self._page.evaluate(
            CHROMIUM.replace("ANSWERS", ANSWERS), [self._module, model, told(cases)]
        )
        return found


class Wasmtime:
    """The module under wasmtime, which does what Node has recorded."""

    def __init__(self, wasm: Path, record: Path) -> None:
        from wasmtime import Engine, Module

        self._record = record
        self._engine = Engine()
        self._module = Module.from_file(self._engine, str(wasm))

    def differences(self) -> int:
        """The number of cases after which the memory differs from that under Node."""
        from wasmtime import Instance, Store

        store = Store(self._engine)
        exports = Instance(store, self._module, []).exports(store)
        memory = exports["memory"]
        different = 0
        for name, *rest in json.loads(self._record.read_text()):
            if name == "write":
                memory.write(store, base64.b64decode(rest[1]), rest[0])
            elif name == "memory":
                found = hashlib.sha256(memory.read(store, 0, memory.data_len(store))).hexdigest()
                different += found != rest[0]
            else:
                value = exports[name](store, *map(signed, rest[0]))
                assert rest[1] is None or value == int(rest[1]), name
        return different


def signed(word: str) -> int:
    """An argument as wasmtime takes it: addresses have a sign there."""
    value = int(word)
    return struct.unpack("<i", struct.pack("<I", value))[0] if 2**31 <= value < 2**32 else value


def batches(seed: int, done: int, count: int) -> Iterator[tuple[int, ModelFile, list[dict[str, Any]]]]:
    """Models with their cases, from the first that is not done."""
    for number in range(done, -(-count // CASES_A_MODEL)):
        draw = random.Random(f"{seed} {number}")
        yield number, drawn_model(draw), [drawn_case(draw) for _ in range(CASES_A_MODEL)]


def compared(who: dict[str, Any], path: Path, content: ModelFile, cases: list[dict[str, Any]]) -> list[str]:
    """What differs, in words."""
    model_file.write(path, content)
    model = pantoum.load(path)
    right = [native(model, case) for case in cases]
    wrong = []
    for name, contestant in who.items():
        if isinstance(contestant, Wasmtime):
            different = contestant.differences()
            wrong += [f"{name}: {different} cases"] if different else []
            continue
        for case, own, other in zip(cases, contestant.answers(path, cases), right, strict=True):
            if not same(own, other, bool(content.extras)):
                wrong.append(f"{name}: {json.dumps({'case': case, 'found': own, 'native': other})}")
    return wrong


def main() -> int:
    """Compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of symbols that a drawn prompt has and a model has not
    lines = arguments.log.read_text().splitlines() if arguments.log.exists() else []
    logged = [json.loads(line) for line in lines]
    if not logged:
        arguments.log.write_text(json.dumps({"machine": measured.machine()}) + "\n")
    done = sum("model" in line for line in logged)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        path = folder / "model.safetensors"
        who: dict[str, Any] = {}
        browser = Chromium.begun(stack)
        for name, data in modules().items():
            wasm = folder / name
            wasm.write_bytes(data)
            node = Node(folder, wasm)
            stack.callback(node.close)
            who |= {f"node {wasm.stem}": node, f"wasmtime {wasm.stem}": Wasmtime(wasm, node.record)}
            if browser is not None:
                who[f"chromium {wasm.stem}"] = Chromium(browser, wasm)
        for number, content, cases in batches(arguments.seed, done, arguments.count):
            wrong = compared(who, path, content, cases)
            line = {"model": number, "cases": len(cases), "by": list(who), "wrong": wrong}
            with arguments.log.open("a") as log:
                log.write(json.dumps(line) + "\n")
            logged.append(line)
    cases_done = sum(line.get("cases", 0) for line in logged)
    wrong_models = [line["model"] for line in logged if line.get("wrong")]
    print(f"{cases_done} cases compared; differences in models {wrong_models or 'none'}")
    return int(bool(wrong_models))


if __name__ == "__main__":
    sys.exit(main())
