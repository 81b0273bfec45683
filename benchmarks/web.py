"""The core as WebAssembly beside the native one: tokens per second of one text on one thread, in one run.

    python benchmarks/web.py                                 # a 3 x 512 GRU in int8 and in float32
    python benchmarks/web.py --model book.safetensors --json
    npm install --prefix peers onnxruntime-web && python benchmarks/web.py --onnx-web peers

Native, Node (with either module) and Chromium take turns; each writes the same text, and the texts must be
the same. Chromium is left out where it is missing; its time is by the clock, that of the others the
processor's. ONNX Runtime Web takes turns too where it is given. What counts are the ratios of the best turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("PANTOUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import measured
import web_peers
from browser_programs import node_command

import pantoum
from pantoum.apps.web import html_page
from pantoum.apps.web.module import FUSED, PLAIN, modules
from pantoum.config import ModelConfig
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import to_int8
from pantoum.network import LanguageModel
from pantoum.text.character import CharacterTokenizer

WEB = Path(html_page.__file__).parent
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;:!?'-\n"
NODE = """
import { readFileSync } from "node:fs";
import { load } from "INDEX";
const model = await load(readFileSync(process.argv[2]), { module: readFileSync(process.argv[3]) });
const settings = JSON.parse(process.argv[4]);
const run = () => {
  const writing = model.generate(settings);
  for (const _ of writing);
  return writing.text;
};
run();
const began = process.cpuUsage();
const text = run();
const { user, system } = process.cpuUsage(began);
console.log(JSON.stringify({ text, seconds: (user + system) / 1e6 }));
"""
PAGE = """async (settings) => {
  await pantoum.generate(settings);
  const began = performance.now();
  const text = await pantoum.generate(settings);
  return { text, seconds: (performance.now() - began) / 1000 };
}"""


def made(folder: Path, precision: str) -> Path:
    """A 3 x 512 GRU of characters with random weights."""
    tokenizer = CharacterTokenizer(CHARACTERS)
    config = ModelConfig("gru", 512, 3, 64)
    network = LanguageModel(tokenizer.vocab_size, config=config, seed=1)
    content = ModelFile(config.spec(), dict(network.parameters), tokenizer.spec(), {})
    path = folder / f"{precision}.safetensors"
    model_file.write(path, to_int8(content) if precision == "int8" else content)
    return path


def native(path: Path, settings: dict[str, Any]) -> tuple[str, float]:
    """The text, and seconds."""
    model = pantoum.load(path)
    model.generate(**settings)
    began = time.process_time()
    text = model.generate(**settings)
    return text, time.process_time() - began


def node(path: Path, wasm: Path, script: Path, settings: dict[str, Any]) -> tuple[str, float]:
    """The same under Node."""
    command = [*node_command(), str(script), str(path), str(wasm), json.dumps(settings)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found["text"], found["seconds"]


def chromium(page: Path, settings: dict[str, Any]) -> tuple[str, float]:
    """The same in the page, in Chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page()
        shown.goto(page.as_uri())
        shown.wait_for_selector("body[data-ready=true]", state="attached")
        found = shown.evaluate(PAGE, settings)
        browser.close()
    return found["text"], found["seconds"]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a model file in place of the two that are made")
    parser.add_argument(
        "--onnx-web", type=Path, metavar="FOLDER", help="where npm has installed onnxruntime-web"
    )
    parser.add_argument("--length", type=int, default=1500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    settings = {"prompt": "The ", "length": arguments.length, "seed": 1, "exact": True}
    report: dict[str, Any] = {"machine": measured.machine(), "length": arguments.length, "rates": {}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        script = folder / "run.mjs"
        for name, data in modules().items():
            (folder / name).write_bytes(data)
        script.write_text(NODE.replace("INDEX", (WEB / "index.js").as_uri()))
        files = (
            {arguments.model.stem: arguments.model}
            if arguments.model
            else {precision: made(folder, precision) for precision in ("int8", "float32")}
        )
        peers = web_peers.files(folder, made(folder, "float32")) if arguments.onnx_web else {}
        for name, path in files.items():
            page = folder / f"{name}.html"
            pantoum.export(path, "html", page)
            runs = {
                "native": lambda path=path: native(path, settings),
                "node": lambda path=path: node(path, folder / FUSED, script, settings),
                "node, plain": lambda path=path: node(path, folder / PLAIN, script, settings),
            }
            if shutil.which("chromium") or shutil.which("google-chrome"):
                runs["chromium"] = lambda page=page: chromium(page, settings)
            best = dict.fromkeys([*runs, *(f"onnx {form}" for form in peers)], float("inf"))
            texts = set()
            for _ in range(arguments.turns):
                for who, run in runs.items():
                    text, seconds = run()
                    texts.add(text)
                    best[who] = min(best[who], seconds)
                for form, file in peers.items():
                    seconds = web_peers.seconds(arguments.onnx_web, folder, file, arguments.length)
                    best[f"onnx {form}"] = min(best[f"onnx {form}"], seconds)
            assert len(texts) == 1, "the texts differ"
            rates = {who: arguments.length / seconds for who, seconds in best.items()}
            shares = {who: rate / rates["native"] for who, rate in rates.items()}
            report["rates"][name] = {
                "tokens_per_second": rates,
                "of_native": shares,
                "page_bytes": page.stat().st_size,
            }
    if arguments.json:
        json.dump(report, sys.stdout)
        return
    print(report["machine"])
    for name, found in report["rates"].items():
        print(f"{name}: the page has {found['page_bytes']:,} bytes")
        for who, rate in found["tokens_per_second"].items():
            print(f"  {who:13} {rate:8.0f} tokens per second, {found['of_native'][who]:.2f} of native")


if __name__ == "__main__":
    main()
