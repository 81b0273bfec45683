"""The experiments behind ``training/recipe.py``: one short training each, at equal estimated time, on a text
cut from the TRAINING part of tiny Shakespeare. Its held-out tenth is never read here.

    python benchmarks/recipe_search.py input.txt --log search.jsonl [--only WORD,...] [--threads 1] [--list]
    python benchmarks/recipe_search.py --log search.jsonl --table

An experiment is a line of ``EXPERIMENTS``; its result a line of the log, as soon as it is known. What the log
already has is not run again, so the script may be stopped at any moment and gone on with. Time is counted in
operations, not by a clock: an update costs ``6 * work * B * T`` and what Muon's rounds cost, and a minute of
the two-core machine is ``MINUTE`` of these. So it may run beside other work, and its figures can be repeated.

Of the training part (the first nine tenths of input.txt) the last tenth judges, by ``segments:64``, the last
and the averaged weights; the better one counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pantoum import kernels
from pantoum.config import DropoutConfig, ModelConfig
from pantoum.data.batches import StatefulBatches
from pantoum.inference.evaluate import held_out_loss
from pantoum.kernels import native
from pantoum.kernels.reference.muon import NEWTON_SCHULZ
from pantoum.network import LanguageModel
from pantoum.text.character import CharacterLearner
from pantoum.training.backend import LocalBackend
from pantoum.training.optimizer import AdamW, Muon
from pantoum.training.recipe import GATES, work

MINUTE = {1: 14.0e12, 3: 47.0e12, 10: 160.0e12}
"""Operations of a run of so many minutes: 280 billion a second, less what is not training."""
MUON_COST = 1.2
"""An operation of Muon's rounds against one of training: they pack at every product."""


@dataclass(frozen=True)
class Experiment:
    """What is varied; the rest follows."""

    minutes: int = 1
    optimizer: str = "muon"
    hidden: int = 320
    layers: int = 2
    embedding: int | None = 112
    cell: str = "gru"
    batch: int = 64
    steps: int = 64
    """Time steps of an update, T."""
    rate: float = 4e-3
    rounds: int = 4
    """Of Newton-Schulz, an update."""
    muon_times: float = 5.0
    """Muon's rate as a multiple."""
    decay: float = 0.4
    """Share of the run over which the rate falls to 0."""
    warm_up: float = 0.04
    weight_decay: float = 0.01
    dropout: str = "0"
    average: float = 0.05
    """Share of the run that the averaged weights look back over."""
    clip: float = 1.0
    norm: str | None = None
    residual: bool = False
    tied: bool = False
    share: float = 1.0
    """Of the training text that is read. With this share of the model's work too, and its square of the
    operations, a long run has a short likeness: as many passes, as many parameters a character."""
    seed: int = 0


ONE, THREE = Experiment(), Experiment(minutes=3, hidden=448, embedding=144, rate=3.7e-3)
TEN = Experiment(minutes=10, hidden=640, embedding=208, rate=3.1e-3)
LIKE_THREE = replace(ONE, minutes=3, share=0.5)
LIKE_TEN = replace(ONE, minutes=10, share=0.25)
EXPERIMENTS: dict[str, Experiment] = {
    "1 adamw": replace(ONE, optimizer="adamw", rate=4.4e-3),
    "1 muon": ONE,
    "1 muon 5 rounds": replace(ONE, rounds=5),
    "1 muon rate 6e-3": replace(ONE, rate=6e-3),
    "1 muon 256": replace(ONE, hidden=256, embedding=96),
    "1 muon 384": replace(ONE, hidden=384, embedding=128),
    "1 muon B 32": replace(ONE, batch=32),
    "1 muon decay 0.7": replace(ONE, decay=0.7),
    "1 muon x 3": replace(ONE, muon_times=3.0),
    "1 muon x 8": replace(ONE, muon_times=8.0),
    "1 muon B 32 T 128": replace(ONE, batch=32, steps=128),
    "1 muon T 32 B 128": replace(ONE, batch=128, steps=32),
    "1 muon B 48": replace(ONE, batch=48),
    "1 muon 3 layers 256": replace(ONE, hidden=256, layers=3, embedding=96),
    "1 muon 1 layer 512": replace(ONE, hidden=512, layers=1, embedding=128),
    "1 muon decay 0.1": replace(ONE, weight_decay=0.1),
    "1 muon clip off": replace(ONE, clip=1e9),
    "1 muon lstm": replace(ONE, cell="lstm", hidden=256),
    "1 muon one-hot": replace(ONE, embedding=None),
    "1 muon average 0.1": replace(ONE, average=0.1),
    "1 muon residual": replace(ONE, residual=True),
    "1 muon norm": replace(ONE, norm="layer"),
    "1 muon decay 1": replace(ONE, decay=1.0),
    "1 adamw decay 0.7": replace(ONE, optimizer="adamw", rate=4.4e-3, decay=0.7),
    **{f"like 3 adamw dropout {d}": replace(LIKE_THREE, optimizer="adamw", dropout=d)
       for d in ("0.1", "0.2")},
    **{f"like 3 dropout {d}": replace(LIKE_THREE, dropout=d) for d in ("0", "0.1", "0.2")},
    **{f"like 10 adamw dropout {d}": replace(LIKE_TEN, optimizer="adamw", dropout=d)
       for d in ("0.1", "0.3")},
    **{f"like 10 dropout {d}": replace(LIKE_TEN, dropout=d) for d in ("0.1", "0.2", "0.3", "0.4")},
    "like 10 variational 0.3": replace(LIKE_TEN, dropout="variational:0.3"),
    "like 10 outputs 0.5": replace(LIKE_TEN, dropout="inputs=0.1,between=0.3,outputs=0.5"),
    "like 10 256 dropout 0.2": replace(LIKE_TEN, hidden=256, embedding=96, dropout="0.2"),
    "like 10 384 dropout 0.4": replace(LIKE_TEN, hidden=384, embedding=128, dropout="0.4"),
    "like 10 dropout 0.3 decay 0.1": replace(LIKE_TEN, dropout="0.3", weight_decay=0.1),
    "3 adamw dropout 0.1": replace(THREE, optimizer="adamw", dropout="0.1"),
    "3 muon": THREE,
    "3 muon dropout 0.1": replace(THREE, dropout="0.1"),
    "3 muon 384 dropout 0.1": replace(THREE, hidden=384, embedding=128, dropout="0.1"),
    "3 muon 512 dropout 0.2": replace(THREE, hidden=512, embedding=176, dropout="0.2"),
    "3 muon variational 0.1": replace(THREE, dropout="variational:0.1"),
    "3 muon dropout 0.1 decay 0.7": replace(THREE, dropout="0.1", decay=0.7),
    "3 muon dropout 0.1 decay 0.1": replace(THREE, dropout="0.1", weight_decay=0.1),
    "10 adamw dropout 0.3": replace(TEN, optimizer="adamw", dropout="0.3"),
    "10 muon dropout 0.3": replace(TEN, dropout="0.3"),
    "10 muon dropout 0.4": replace(TEN, dropout="0.4"),
    "10 muon 512 dropout 0.3": replace(TEN, hidden=512, embedding=176, dropout="0.3"),
    "10 muon dropout 0.3 decay 0.1": replace(TEN, dropout="0.3", weight_decay=0.1),
}


def shape(each: Experiment) -> ModelConfig:
    """The model of an experiment."""
    return ModelConfig(each.cell, each.hidden, each.layers, each.embedding, each.tied, each.residual,
                       each.norm, DropoutConfig.parse(each.dropout))


def rounds(each: Experiment) -> float:
    """Operations of Muon's rounds in one update."""
    if each.optimizer != "muon":
        return 0.0
    sizes = [(each.hidden, each.hidden)] * (2 * each.layers - 1)
    sizes += [] if each.embedding is None else [(each.hidden, each.embedding)]
    products = 0.0
    for side, other in sizes:
        m, n = min(side, other), max(side, other)
        products += 1.5 * n * m * m + 0.5 * m**3
    return 2.0 * MUON_COST * GATES[each.cell] * each.rounds * products


def updates(each: Experiment, vocab_size: int) -> int:
    """How many of them the time allows."""
    training = 6.0 * work(shape(each), vocab_size) * each.batch * each.steps
    return max(1, round(MINUTE[each.minutes] * each.share**2 / (training + rounds(each))))


def factor(each: Experiment, progress: float) -> float:
    """The rate's share: up, constant, down to 0."""
    return min(1.0, progress / each.warm_up if each.warm_up else 1.0, (1.0 - progress) / each.decay)


def run(each: Experiment, train: Any, valid: Any, tokenizer: Any) -> dict[str, Any]:
    """Train, judge, and say what came of it."""
    vocab_size, precision = tokenizer.vocab_size, kernels.precisions()[-1]
    model = LanguageModel.from_config(shape(each), vocab_size, each.seed)
    optimizer = (AdamW(model.parameters, each.weight_decay) if each.optimizer == "adamw" else
                 Muon(model.parameters, each.weight_decay, GATES[each.cell], precision,
                      times=each.muon_times, coefficients=NEWTON_SCHULZ[:1] * each.rounds))
    count = updates(each, vocab_size)
    average = 1.0 - 1.0 / max(10.0, each.average * count)
    backend = LocalBackend(model, optimizer, seed=each.seed, average=average, precision=precision)
    batches = StatefulBatches(train, each.batch, each.steps)
    state, streams = backend.initial_state(each.batch), np.arange(each.batch)
    began, recent = time.process_time(), list[float]()
    for step in range(count):
        inputs_BT, targets_BT, reset_BT, _ = next(batches)
        result = backend.gradients(inputs_BT, targets_BT, reset_BT, state, step, streams)
        backend.update(each.rate * factor(each, (step + 0.5) / count), each.clip)
        state = result.state
        recent = [*recent[-49:], result.loss]
    judged = {}
    for averaged in (False, True):
        network = LanguageModel.from_config(shape(each), vocab_size, seed=None)
        network.parameters.update(backend.weights(averaged) or {})
        judged["averaged" if averaged else "last"] = held_out_loss(network, valid, tokenizer, "segments:64")
    tokens = count * each.batch * each.steps
    return {**asdict(each), "updates": count, "tokens": tokens, "passes": tokens / len(train),
            "work": work(shape(each), vocab_size), "training": float(np.mean(recent)), **judged,
            "nats": min(judged.values()), "cpu_seconds": time.process_time() - began}


def known(log: Path) -> dict[str, dict[str, Any]]:
    """The results so far."""
    lines = log.read_text().splitlines() if log.exists() else []
    return {found["name"]: found for found in map(json.loads, lines)}


def table(log: Path) -> None:
    """Print the results, the best of each length first."""
    for found in sorted(known(log).values(), key=lambda each: (each["minutes"], each["nats"])):
        print(f"{found['nats']:.4f}  {found['name']:34} last {found['last']:.4f}  averaged "
              f"{found['averaged']:.4f}  training {found['training']:.3f}  {found['updates']:5} updates  "
              f"{found['passes']:.1f} passes")


def main() -> None:
    """Run what the log has not."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, nargs="?")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--only", help="names that begin with one of these, parted by commas")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    if asked.table:
        return table(asked.log)
    begin = tuple(asked.only.split(",")) if asked.only else ("",)
    chosen = {name: each for name, each in EXPERIMENTS.items() if name.startswith(begin)}
    if asked.list:
        return print("\n".join(chosen))
    if asked.text is None:
        parser.error("a text is needed: tiny Shakespeare's input.txt")
    if kernels.without_core() is None:
        native.core().set_threads(asked.threads)
    text = asked.text.read_text(encoding="utf-8")
    text = text[: len(text) * 9 // 10]
    cut = len(text) * 9 // 10
    learner = CharacterLearner(None, None)
    learner.feed(text[:cut])
    tokenizer = learner.learn()
    read, valid = tokenizer.encode(text[:cut]), tokenizer.encode(text[cut:])
    for name, each in chosen.items():
        if name in known(asked.log):
            continue
        print(f"{name}: {updates(each, tokenizer.vocab_size)} updates", file=sys.stderr, flush=True)
        train = read[: int(len(read) * each.share)]
        found = {"name": name, **run(each, train, valid, tokenizer)}
        with asked.log.open("a") as log:
            log.write(json.dumps(found) + "\n")
        print(f"  {found['nats']:.4f}", file=sys.stderr, flush=True)
    return None


if __name__ == "__main__":
    main()
