"""The experiments behind ``training/recipe``: one short training each, at equal estimated time, judged on a
part of the training text. What is held out of a text for its marks is never read here.

    python benchmarks/recipe_search.py TEXT... --log search.jsonl [--judge FILE] [--lines]
                                       [--set shakespeare] [--try "hidden=320 rate=0.006" ...] [--only
                                       NAME;...] [--tokens characters|words|words:whitespace|bpe:N] [--threads
                                       1] [--list]
    python benchmarks/recipe_search.py --log search.jsonl --table

An experiment differs from the base of its set by what ``--try`` says (``recipe_experiments``, fields of
``Experiment``); its result is a line of the log, as soon as it is known.
What the log already has is not run again, so the script may be stopped at any moment and gone on with. Time
is counted in operations, not by a clock: an update costs ``6 * work * B * T`` (without the first layer's
input product where it is made once for all symbols) and what Newton-Schulz iterations cost, and a minute of
the two-core machine is ``MINUTE`` of these. So it may run beside other work, and its figures can be repeated.

TEXT (several are joined) is cut: its last tenth is put aside unread, the last tenth of the rest judges; with
``--judge FILE`` all of TEXT is read and that file judges. The judge's text is read in 32 streams (a short one
in one), the state carried; of the last and the averaged weights the better figure counts.
"""

from __future__ import annotations

import argparse
import ast
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measured import Results, parser
from recipe_experiments import BASES, SETS

from pantoum import kernels
from pantoum.config import CELLS, DropoutConfig, ModelConfig
from pantoum.data.batches import StatefulBatches
from pantoum.kernels import native
from pantoum.kernels.reference.update import NEWTON_SCHULZ
from pantoum.network import LanguageModel
from pantoum.network.candidates import CandidateSampler
from pantoum.network.ensemble import joined_config
from pantoum.network.program import Program
from pantoum.network.spec import named
from pantoum.text.tokenizer import learner
from pantoum.training.neighbours import initial_vectors, initialise
from pantoum.training.recipe.recipe import compared, work
from pantoum.training.update.backend import LocalBackend
from pantoum.training.update.learner import MemberLearner
from pantoum.training.update.optimizer import AdamW, Muon, map_blocks
from pantoum.training.update.spelling import SpellingOptimizer, parts_of

MINUTE = 14.0e12
"""Operations of a run of one: 280 billion a second, less what is not training. Three have 47e12, ten
160e12."""
MUON_COST = 1.2
"""An operation of Newton-Schulz iterations against one of training: they pack at every product."""


@dataclass(frozen=True)
class Experiment:
    """What is varied; the rest follows."""

    operations: float = MINUTE
    optimizer: str = "muon"
    hidden: int = 256
    layers: int = 2
    embedding: int | None = 96
    cell: str = "gru"
    batch: int = 64
    steps: int = 64
    """Time steps of an update, T."""
    rate: float = 8e-3
    rounds: int = 3
    """Newton-Schulz iterations per update."""
    muon_times: float = 5.0
    """Muon's rate as a multiple."""
    decay: float = 1.0
    """Share of the run over which the rate falls to 0."""
    weight_decay: float = 0.1
    dropout: str = "0"
    average: float = 0.05
    """Share of the run that the averaged weights look back over."""
    share: float = 1.0
    """Share of the training text that is read. With its square as share of the operations, a short run
    resembles a long one: as many epochs, as many parameters per character. But it has fewer updates."""
    members: int = 1
    """Members of an ensemble; each has its share of the operations."""
    ngrams: tuple[int, ...] = ()
    ngram_rows: int = 16_384
    table_rate: float = 1.0
    """The rate of the n-grams as a multiple."""
    tied: bool = False
    samples: int | None = None
    """Symbols that an update samples to compare its targets with; ``None``: all are compared."""
    spelling: float | None = None
    """The rate of what each symbol learns by itself, where those of like spelling learn together."""
    neighbours: int | None = None
    """Within how many tokens co-occurrence is counted to initialise the embedding; ``None``: at random."""
    seed: int = 0


def shape(each: Experiment) -> ModelConfig:
    """The model of an experiment."""
    return ModelConfig(
        each.cell,
        each.hidden,
        each.layers,
        each.embedding,
        each.tied,
        DropoutConfig.parse(each.dropout),
        each.ngrams,
        each.ngram_rows,
    )


def rounds(each: Experiment) -> float:
    """Operations of Newton-Schulz iterations in one update."""
    if each.optimizer != "muon":
        return 0.0
    sizes = [(each.hidden, each.hidden)] * (2 * each.layers - 1)
    sizes += [] if each.embedding is None else [(each.hidden, each.embedding)]
    products = 0.0
    for side, other in sizes:
        m, n = min(side, other), max(side, other)
        products += 1.5 * n * m * m + 0.5 * m**3
    return 2.0 * MUON_COST * len(CELLS[each.cell].gates) * each.rounds * products


def updates(each: Experiment, vocab_size: int) -> int:
    """How many of them the time allows."""
    model = shape(each)
    made = work(model, compared(vocab_size, each.samples))
    by_table = not model.dropout.inputs and vocab_size < each.batch * each.steps
    if model.embedding_size is not None and by_table:
        made -= len(CELLS[each.cell].gates) * each.hidden * model.embedding_size
    an_update = 6.0 * made * each.batch * each.steps + rounds(each)
    return max(1, round(each.operations * each.share**2 / each.members / an_update))


def run(each: Experiment, train: Any, judge: Any, texts: list[str], eos: int | None) -> dict[str, Any]:
    """Train, judge, and say what came of it; ``texts``: of the symbols."""
    vocab_size = len(texts)
    count, parts_VO = updates(each, vocab_size), None if each.spelling is None else parts_of(texts)
    counts_V = np.bincount(train, minlength=vocab_size)
    vectors_VE = None
    if each.neighbours is not None:
        assert each.embedding is not None
        vectors_VE = initial_vectors(train, vocab_size, each.embedding, each.neighbours, each.seed, parts_VO)
    seeds = range(each.seed, each.seed + each.members)
    backend = LocalBackend([member(each, counts_V, count, seed, parts_VO, vectors_VE) for seed in seeds])
    batches = StatefulBatches(train, each.batch, each.steps, eos=eos)
    state, streams = backend.initial_state(each.batch), np.arange(each.batch)
    began, recent = time.process_time(), list[float]()
    for step in range(count):
        result = backend.gradients(next(batches), state, step, streams)
        progress = (step + 0.5) / count
        backend.update(each.rate * min(1.0, progress / 0.04, (1.0 - progress) / each.decay), 1.0)
        state = result.state
        recent = [*recent[-49:], result.loss]
    judged = {}
    for averaged in (False, True):
        kept = joined_config(shape(each), each.members)
        network = LanguageModel(vocab_size, config=kept, seed=None)
        program = Program(network, backend.weights(averaged))
        judged["averaged" if averaged else "last"] = loss(program, judge, eos)
    tokens = count * each.batch * each.steps
    return {
        **asdict(each),
        "updates": count,
        "tokens": tokens,
        "passes": tokens / len(train),
        "training": float(np.mean(recent)),
        **judged,
        "nats": min(judged.values()),
        "cpu_seconds": time.process_time() - began,
    }


def member(
    each: Experiment, counts_V: Any, count: int, seed: int, parts_VO: Any = None, vectors_VE: Any = None
) -> MemberLearner:
    """One member at the start of its training of ``count`` updates; ``counts_V``: of the symbols."""
    precision = kernels.precisions()[-1]
    model = LanguageModel(len(counts_V), config=shape(each), seed=seed)
    if vectors_VE is not None:
        initialise(model, vectors_VE)
    tables = {name: model.parameters[name] for name in named(model.config, "table")}
    others = {name: array for name, array in model.parameters.items() if name not in tables}
    optimizer: AdamW | SpellingOptimizer = (
        AdamW(others, each.weight_decay, tables, each.table_rate)
        if each.optimizer == "adamw"
        else Muon(
            others,
            each.weight_decay,
            map_blocks(model.config),
            precision,
            tables=tables,
            table_rate=each.table_rate,
            times=each.muon_times,
            coefficients=NEWTON_SCHULZ[:1] * each.rounds,
        )
    )
    if parts_VO is not None:
        optimizer = SpellingOptimizer(optimizer, model, parts_VO, each.spelling or 0.0)
    average = 1.0 - 1.0 / max(10.0, each.average * count)
    sampler = None if each.samples is None else CandidateSampler(counts_V, each.samples, seed)
    return MemberLearner(model, optimizer, seed=seed, average=average, precision=precision, sampler=sampler)


def loss(program: Program, text: Any, eos: int | None) -> float:
    """Nats per token of a text laid out as streams side by side."""
    streams = 32 if len(text) > 50_000 else 1
    length = (len(text) - 1) // streams
    inputs_BL, targets_BL = (text[at : at + streams * length].reshape(streams, length) for at in (0, 1))
    state, total = program.initial_state(streams), 0.0
    for at in range(0, length, 128):
        inputs_BT, targets_BT = inputs_BL[:, at : at + 128], targets_BL[:, at : at + 128]
        nats_BT, _, state = program.losses(
            inputs_BT, targets_BT, state, reset_BT=None if eos is None else inputs_BT == eos
        )
        total += float(nats_BT.sum(dtype=np.float64))
    return total / targets_BL.size


def experiments(asked: argparse.Namespace) -> dict[str, Experiment]:
    """Those that are asked for, by name."""
    base = BASES.get(asked.set, {})
    changes = SETS.get(asked.set, {}) | {
        f"{asked.set} {words}".strip(): changed(words) for words in asked.tries
    }
    begin = tuple(asked.only.split(";")) if asked.only else ("",)
    return {name: Experiment(**base | change) for name, change in changes.items() if name.startswith(begin)}


def changed(words: str) -> dict[str, Any]:
    """The fields that ``hidden=320 cell=lstm ngrams=(2,3)`` sets."""
    pairs = (word.split("=", 1) for word in words.split())
    kinds = Experiment.__annotations__
    return {name: value if kinds[name] == "str" else ast.literal_eval(value) for name, value in pairs}


def table(log: Path) -> None:
    """Print the results, the best of each length first."""
    for found in sorted(Results(log).lines, key=lambda each: (each["operations"], each["nats"])):
        print(
            f"{found['nats']:.4f}  {found['name']:28} last {found['last']:.4f}  averaged "
            f"{found['averaged']:.4f}  training {found['training']:.3f}  {found['updates']:5} updates  "
            f"{found['passes']:.1f} passes"
        )


def read(asked: argparse.Namespace) -> tuple[Any, Any, list[str], int | None]:
    """(tokens to train on, tokens that judge, texts of the symbols, the token that begins a document)."""
    text = "".join(path.read_text(encoding="utf-8") for path in asked.text)
    if asked.judge is None:
        text = text[: len(text) * 9 // 10]
        text, judge = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    else:
        judge = asked.judge.read_text(encoding="utf-8")
    scholar = learner(asked.tokens, None, None)
    scholar.feed(text)
    tokenizer = scholar.learn()
    eos = int(tokenizer.encode("\n")[0]) if asked.lines else None
    texts = [tokenizer.decode([symbol]) for symbol in range(tokenizer.vocab_size)]
    return np.asarray(tokenizer.encode(text)), np.asarray(tokenizer.encode(judge)), texts, eos


def main() -> None:
    """Run what the log has not."""
    options = parser(__doc__)
    options.add_argument("text", type=Path, nargs="*")
    options.add_argument("--log", type=Path, required=True)
    options.add_argument("--judge", type=Path, help="the text that judges; without it a part of TEXT")
    options.add_argument("--lines", action="store_true", help="each line is a document")
    options.add_argument("--tokens", default="characters", help="the tokenizer; its vocabulary is TEXT's own")
    options.add_argument("--set", choices=[*BASES, *SETS], default="shakespeare")
    options.add_argument("--try", dest="tries", action="append", default=[""], metavar="FIELD=VALUE ...")
    options.add_argument("--only", help="names that begin with one of these, parted by semicolons")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--list", action="store_true")
    options.add_argument("--table", action="store_true")
    asked = options.parse_args()
    if asked.table:
        return table(asked.log)
    chosen = experiments(asked)
    if asked.list:
        return print("\n".join(chosen))
    if not asked.text:
        options.error("a text is needed, say tiny Shakespeare's input.txt")
    if kernels.without_core() is None:
        native.core().set_threads(asked.threads)
    tokens, judge, texts, eos = read(asked)
    results = Results(asked.log)
    known = {line["name"] for line in results.lines}
    for name, each in chosen.items():
        if name in known:
            continue
        print(f"{name}: {updates(each, len(texts))} updates", file=sys.stderr, flush=True)
        found = run(each, tokens[: int(len(tokens) * each.share)], judge, texts, eos)
        results.add({"name": name, **found})
        print(f"  {found['nats']:.4f}", file=sys.stderr, flush=True)
    return None


if __name__ == "__main__":
    main()
