"""Find abnormal sequences of log events: pantoum beside simple detectors, on public data sets.

    python benchmarks/jobs/logs.py --adfa ADFA-LD.zip --hadoop hadoop_loghub
        --openstack openstack_parisakalaki [--runs 25] [--order random|chronological] [--json]

Every detector gives each sequence one figure; its threshold is the figure that ``--share`` of the normal
sequences of training exceed when each is judged by what was learned from others (``log_model.FOLDS`` parts).
No test sequence is looked at. "best F1" is that of the best threshold in hindsight, which the repository of
the data reports for its detectors: no user can find it. ``log_sequences`` says what the data are,
``log_detectors`` what the simple detectors are.

The means over all runs are told, with the smallest and largest F1. ``unseen``: the same on ADFA-LD without
the two of ten folders of each attack with which the figure of pantoum was chosen, on splits that are none of
these runs (docs/log/odd-lines.md).

Needs rapidfuzz (``benchmarks/requirements.txt``) for edit distances.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from log_detectors import DETECTORS
from log_model import FIGURES, FOLDS, by_folds, settings_of
from log_sequences import DATA, Data, Split, read, splits
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from measured import machine

Figures = NDArray[np.float64]


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
        held = []
        for fold in range(FOLDS):
            parts = [
                tuple(s for at, s in enumerate(split.train) if (at % FOLDS == fold) == of)
                for of in (False, True)
            ]
            held.append(detector(*parts))
        normal, abnormal = (detector(split.train, test) for test in (split.normal, data.abnormal))
        found[name] = (np.concatenate(held), normal, abnormal)
    held_out, tests = by_folds(split.train, [split.normal, data.abnormal], seed)
    for name in FIGURES:
        found[f"pantoum, {name}"] = (held_out[name], tests[0][name], tests[1][name])
    return found


def run(
    data: Data, runs: int, order: str, share: float, log: Path | None, every: int
) -> list[dict[str, dict[str, dict[str, float]]]]:
    """Each run: by detector, on all abnormal sequences and on the unseen ones."""
    results, unseen, done = [], np.array(data.unseen), _logged(log)
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
            if log is not None:
                with log.open("a") as file:
                    file.write(json.dumps([key, done[key]]) + "\n")
        results.append(done[key])
        first = results[-1][f"pantoum, {next(iter(FIGURES))}"]["all"]
        print(f"{key}: {json.dumps(first)}", file=sys.stderr, flush=True)
    return results


def _logged(log: Path | None) -> dict[str, Any]:
    """The runs that an earlier command has done."""
    if log is None or not log.exists():
        return {}
    return dict(json.loads(line) for line in log.read_text("utf-8").splitlines())


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, what in DATA.items():
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help=what)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--order", choices=("random", "chronological"), default="chronological")
    parser.add_argument("--share", type=float, default=0.25, help="normal sequences above the threshold")
    parser.add_argument(
        "--every", type=int, default=1, help="judge every N-th normal sequence alone, counted N times"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep each run here, and do none again")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    chosen = {name: getattr(options, name) for name in DATA if getattr(options, name) is not None}
    if not chosen:
        parser.error("name at least one data set")
    report: dict[str, Any] = {"machine": machine(), "order": options.order, "share": options.share}
    report |= {"runs": options.runs, "every": options.every, "pantoum": settings_of()}
    for name, path in chosen.items():
        data = read(name, path)
        found = means(run(data, options.runs, options.order, options.share, options.log, options.every))
        sizes = {"normal": len(data.normal), "abnormal": len(data.abnormal)}
        report[name] = {**sizes, "detectors": found}
        if not options.json:
            print(table(name, found), flush=True)
    if options.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
