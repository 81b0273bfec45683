"""Training in a page beside native training on one thread: a 2 x 128 GRU, batches of 32 x 64, in one run.

    python benchmarks/web_training.py
    python benchmarks/web_training.py --text input.txt --minute    also the loss after a minute of each

Native and Node, with either module, take turns, with the same text, recipe and updates; their losses must be
the same to the bit. What counts is the ratio of the best turns, in processor time. Node and Chromium
have one engine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("PANTOUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import measured
import numpy as np
from browser_programs import node_command

from pantoum.apps.web import html_page
from pantoum.apps.web.module import FUSED, PLAIN, modules
from pantoum.config import TrainSettings
from pantoum.data.batches import StatefulBatches
from pantoum.text.character import CharacterTokenizer
from pantoum.text.tokenizer import learner
from pantoum.training.assembly import make_backend
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import Outlook
from pantoum.training.update.schedule import Schedule

WEB = Path(html_page.__file__).parent
UNITS, LAYERS, STEPS = 128, 2, 1000
LETTERS = 100_000
"""Characters of a text that is trained on in batches of 32 x 64."""
NODE = """
import { readFileSync } from "node:fs";
import { train } from "INDEX";
const [text, module] = process.argv.slice(2, 4).map((file) => readFileSync(file));
const { steps, seconds, ...settings } = JSON.parse(process.argv[4]);
const training = await train(text, settings, { module });
training.next();
const losses = [];
const began = process.cpuUsage();
const gone = () => {
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6;
};
while (losses.length < steps && gone() < seconds) losses.push(training.next());
console.log(JSON.stringify({ losses, seconds: gone() }));
"""


def native(text: str, asked: dict[str, float]) -> dict[str, Any]:
    """The losses of so many steps after the first one, or of so many seconds; and the seconds."""
    scholar = learner("characters", None, None)
    scholar.feed(text)
    tokenizer = scholar.learn()
    assert isinstance(tokenizer, CharacterTokenizer)
    tokens = tokenizer.encode(text)
    settings = TrainSettings(steps=STEPS, hidden_size=UNITS, num_layers=LAYERS)
    recipe = choose(settings, Outlook(len(tokens), tokenizer.vocab_size, steps=STEPS))
    batches = StatefulBatches(tokens, recipe.batch_size, recipe.seq_len)
    backend, schedule = make_backend(recipe, tokenizer.vocab_size), Schedule(recipe.schedule, recipe.warm_up)
    state, streams = backend.initial_state(batches.batch_size), np.arange(batches.batch_size)
    losses: list[float] = []
    began, seconds = time.process_time(), 0.0
    for step in range(STEPS):
        result = backend.gradients(next(batches), state, step, streams)
        backend.update(recipe.learning_rate * schedule.factor((step + 0.5) / STEPS), recipe.clip)
        state = result.state
        if step == 0:
            began = time.process_time()
            continue
        losses.append(result.loss)
        seconds = time.process_time() - began
        if len(losses) >= asked["steps"] or seconds >= asked["seconds"]:
            break
    return {"losses": losses, "seconds": seconds}


def node(text: Path, wasm: Path, script: Path, asked: dict[str, float]) -> dict[str, Any]:
    """The same under Node; a run of `STEPS` steps, of which these are the first."""
    settings = {**asked, "units": UNITS, "layers": LAYERS}
    command = [*node_command(), str(script), str(text), str(wasm), json.dumps(settings)]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    return found


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", type=Path, help="its first 100,000 characters in place of drawn ones")
    parser.add_argument("--steps", type=int, default=20, help="of a turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--minute", action="store_true", help="also the loss after a minute of each")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    draw = random.Random(1)
    text = "".join(draw.choices("etaoin shrdlu.\n", k=LETTERS))
    if arguments.text:
        text = arguments.text.read_text("utf-8")[:LETTERS]
    report: dict[str, Any] = {"machine": measured.machine()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file, script = folder / "text.txt", folder / "run.mjs"
        file.write_text(text, "utf-8")
        for name, data in modules().items():
            (folder / name).write_bytes(data)
        script.write_text(NODE.replace("INDEX", (WEB / "index.js").as_uri()))
        turn = {"steps": arguments.steps, "seconds": 1e9}
        runs = {
            "native": lambda turn: native(text, turn),
            "node": lambda turn: node(file, folder / FUSED, script, turn),
            "node, plain": lambda turn: node(file, folder / PLAIN, script, turn),
        }
        best = dict.fromkeys(runs, float("inf"))
        losses = set()
        for _ in range(arguments.turns):
            for who, run in runs.items():
                found = run(turn)
                best[who] = min(best[who], found["seconds"] / arguments.steps)
                losses.add(json.dumps(found["losses"]))
        assert len(losses) == 1, "the losses differ"
        shares = {who: best["native"] / seconds for who, seconds in best.items()}
        report |= {"seconds_per_step": best, "of_native": shares}
        if arguments.minute:
            turn = {"steps": STEPS, "seconds": 60.0}
            ended = {who: run(turn) for who, run in runs.items()}
            report["minute"] = {
                who: {"steps": 1 + len(found["losses"]), "loss": float(np.mean(found["losses"][-20:]))}
                for who, found in ended.items()
            }
    if arguments.json:
        json.dump(report, sys.stdout)
        return
    print(report["machine"])
    for who, seconds in report["seconds_per_step"].items():
        share = report["of_native"][who]
        print(f"{who:11} {1000 * seconds:7.1f} ms per step, {share:.2f} of native")
    for who, found in report.get("minute", {}).items():
        print(f"{who:11} after a minute: {found['steps']:,} steps, loss of the last 20 {found['loss']:.3f}")


if __name__ == "__main__":
    main()
