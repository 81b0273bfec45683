"""Find abnormal sequences of log events: pantoum beside simple detectors, on public data sets.

    python benchmarks/jobs/logs.py --adfa ADFA-LD.zip --hadoop hadoop_loghub
        --openstack openstack_parisakalaki [--runs 25] [--order random|chronological] [--json]

Every detector gives each sequence one figure; its threshold is the figure that ``--share`` of the normal
sequences of training exceed when each is judged by what was learned from others (``FOLDS`` parts). No test
sequence is looked at. "best F1" is that of the best threshold in hindsight, which the repository of the data
reports for its detectors: no user can find it. ``log_sequences`` says what the data are, ``log_detectors``
what the simple detectors are.

A model of pantoum: each event is a token, each sequence a document. What is tested is judged by a model of
all of training. The validation text of each model is its training text, so the weights beside the counts hold
what was counted for certain: the network has next to no part in it, and none of its size and steps matters
(docs/log/odd-lines.md says what a trained one does). Its figures are those that ``pantoum score`` gives: what
``--alert-by mean`` compares with a threshold, the detector (decision 056), and the mean of the whole nats.

The means over all runs are told, with the smallest and largest F1. ``unseen``: the same on ADFA-LD without
the two of ten folders of each attack with which the figure of pantoum was chosen, on splits that are none of
these runs.

Needs rapidfuzz (``benchmarks/requirements.txt``) for edit distances.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from log_detectors import DETECTORS
from log_sequences import DATA, Data, Sequence, Split, read, splits
from numpy.typing import NDArray

import pantoum

sys.path.insert(0, str(Path(__file__).parents[1]))
from measured import Results, machine, parser

Figures = NDArray[np.float64]
FOLDS = 6
FIGURES = ("alert by mean", "whole nats")
TRAINING: dict[str, Any] = {"steps": 20, "hidden_size": 32, "num_layers": 1, "kneser_ney": 8}
TEXTS = {"tokens": "words:whitespace", "documents": "lines"}


def parts(train: tuple[Sequence, ...], fold: int) -> tuple[tuple[Sequence, ...], ...]:
    """(what is learned from, what is judged by it)."""
    return tuple(tuple(s for at, s in enumerate(train) if (at % FOLDS == fold) == of) for of in (False, True))


def by_folds(
    train: tuple[Sequence, ...], tests: Iterable[tuple[Sequence, ...]], seed: int
) -> tuple[dict[str, Figures], list[dict[str, Figures]]]:
    """(figures of the training sequences, held out; figures of each test), by the name of the figure."""
    held: dict[str, list[float]] = {name: [] for name in FIGURES}
    for fold in range(FOLDS):
        learned, judged = parts(train, fold)
        for name, figures in _figures(_trained(learned, seed), judged).items():
            held[name].extend(figures)
    model = _trained(train, seed)
    found = [{name: np.array(figures) for name, figures in _figures(model, test).items()} for test in tests]
    return {name: np.array(figures) for name, figures in held.items()}, found


def _trained(train: Iterable[Sequence], seed: int) -> pantoum.Model:
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder) / "train.txt", Path(folder) / "same.txt"]
        for name in names:
            name.write_text(_text(train), "ascii")
        run = pantoum.train(
            names[0],
            valid=names[1],
            run=Path(folder) / "run",
            seed=seed,
            progress=False,
            **TRAINING,
            **TEXTS,
        )
        return run.model


def _figures(model: pantoum.Model, sequences: Iterable[Sequence]) -> dict[str, list[float]]:
    scores = list(model.score_stream([_text(sequences)], alert_by="mean", streams=64))
    means = [score.nats / score.tokens for score in scores]
    return dict(zip(FIGURES, ([score.peak for score in scores], means), strict=True))


def _text(sequences: Iterable[Sequence]) -> str:
    return "".join(" ".join(sequence) + "\n" for sequence in sequences)


def area(normal: Figures, abnormal: Figures) -> float:
    """The area under the ROC curve: how often an abnormal sequence has the higher figure; ties count half."""
    rising = np.sort(normal)
    below = np.searchsorted(rising, abnormal, "left") + np.searchsorted(rising, abnormal, "right")
    return float(below.mean() / (2 * len(normal)))


def f1(normal: Figures, abnormal: Figures, threshold: float) -> float:
    """F1 where everything above the threshold is called abnormal."""
    found, wrong = int((abnormal > threshold).sum()), int((normal > threshold).sum())
    return 2 * found / (len(abnormal) + found + wrong)


def best_f1(normal: Figures, abnormal: Figures) -> float:
    """F1 of the best of all thresholds."""
    thresholds = np.unique(np.concatenate([normal, abnormal, [-np.inf]]))
    wrong = len(normal) - np.searchsorted(np.sort(normal), thresholds, "right")
    found = len(abnormal) - np.searchsorted(np.sort(abnormal), thresholds, "right")
    return float((2 * found / (len(abnormal) + found + wrong)).max())


def judged(held: Figures, normal: Figures, abnormal: Figures, share: float) -> dict[str, float]:
    """The figures of one detector in one run."""
    threshold = float(np.quantile(held, 1.0 - share, method="higher"))
    return {
        "f1": f1(normal, abnormal, threshold),
        "area": area(normal, abnormal),
        "best_f1": best_f1(normal, abnormal),
        "false_alarms": float((normal > threshold).mean()),
        "found": float((abnormal > threshold).mean()),
    }


def figures_of(split: Split, data: Data, seed: int) -> dict[str, tuple[Figures, Figures, Figures]]:
    """(held-out, normal, abnormal) figures of each detector."""
    found = {}
    for name, detector in DETECTORS.items():
        held = [detector(*parts(split.train, fold)) for fold in range(FOLDS)]
        normal, abnormal = (detector(split.train, test) for test in (split.normal, data.abnormal))
        found[name] = (np.concatenate(held), normal, abnormal)
    held_out, tests = by_folds(split.train, [split.normal, data.abnormal], seed)
    for name in FIGURES:
        found[f"pantoum, {name}"] = (held_out[name], tests[0][name], tests[1][name])
    return found


def run(
    data: Data, runs: int, order: str, share: float, file: Path | None, every: int
) -> list[dict[str, dict[str, dict[str, float]]]]:
    """Each run: by detector, on all abnormal sequences and on the unseen ones."""
    results, unseen, log = [], np.array(data.unseen), Results(file)
    done = dict(log.lines)
    for number, split in enumerate(splits(data, runs, order)):
        key = f"{data.name} {order} {share} {number}" + (f" {every}" if every > 1 else "")
        if key not in done:
            some = replace(split, normal=split.normal[::every])
            done[key] = {
                name: {
                    "all": judged(held, normal.repeat(every), abnormal, share),
                    "unseen": judged(held, normal.repeat(every), abnormal[unseen], share),
                }
                for name, (held, normal, abnormal) in figures_of(some, data, number).items()
            }
            log.add([key, done[key]])
        results.append(done[key])
        first = results[-1][f"pantoum, {next(iter(FIGURES))}"]["all"]
        print(f"{key}: {json.dumps(first)}", file=sys.stderr, flush=True)
    return results


def means(results: list[dict[str, dict[str, dict[str, float]]]]) -> dict[str, Any]:
    """By detector and part: the means, and the smallest and largest F1."""
    found: dict[str, Any] = {}
    for name in results[0]:
        for part in ("all", "unseen"):
            rows = [result[name][part] for result in results]
            figures = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
            least, most = (pick(row["f1"] for row in rows) for pick in (min, max))
            found.setdefault(name, {})[part] = {**figures, "least_f1": least, "most_f1": most}
    return found


def table(name: str, found: Mapping[str, Any]) -> str:
    """One row per detector, in percent."""
    lines = [
        f"{name:22} {'F1':>5} {'(least, most)':>14} {'area':>6} {'best F1':>8} {'alarms':>7} {'found':>6}"
    ]
    for detector, parts in found.items():
        r = {key: 100 * value for key, value in parts["all"].items()}
        spread = f"({r['least_f1']:.1f}, {r['most_f1']:.1f})"
        lines.append(
            f"{detector:22} {r['f1']:5.1f} {spread:>14} {r['area']:6.1f} {r['best_f1']:8.1f} "
            f"{r['false_alarms']:7.1f} {r['found']:6.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the data sets that were named, run, report."""
    options = parser(__doc__)
    for name, what in DATA.items():
        options.add_argument(f"--{name}", type=Path, metavar="PATH", help=what)
    options.add_argument("--runs", type=int, default=25)
    options.add_argument("--order", choices=("random", "chronological"), default="chronological")
    options.add_argument("--share", type=float, default=0.25, help="normal sequences above the threshold")
    options.add_argument("--every", type=int, default=1, help="judge every N-th normal one, counted N times")
    options.add_argument("--log", type=Path, metavar="FILE", help="store each run here, and do none again")
    asked = options.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    chosen = {name: getattr(asked, name) for name in DATA if getattr(asked, name) is not None}
    if not chosen:
        options.error("name at least one data set")
    report: dict[str, Any] = {"machine": machine(), "order": asked.order, "share": asked.share}
    report |= {"runs": asked.runs, "every": asked.every, "pantoum": {**TRAINING, **TEXTS, "folds": FOLDS}}
    for name, path in chosen.items():
        data = read(name, path)
        found = means(run(data, asked.runs, asked.order, asked.share, asked.log, asked.every))
        sizes = {"normal": len(data.normal), "abnormal": len(data.abnormal)}
        report[name] = {**sizes, "detectors": found}
        if not asked.json:
            print(table(name, found), flush=True)
    if asked.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
