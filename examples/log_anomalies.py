"""Odd lines in a log: a model of ordinary lines finds them, and two baselines show what that is worth.

    python examples/log_anomalies.py                       a minute of training, some two minutes in all
    python examples/log_anomalies.py --steps 100 --lines 3000 --new 800      a short form

In order: ordinary lines are made (``log_lines``) and a model is trained on them, as anybody would on a log of
their own; a new log with odd lines planted is scored line by line, each line marked whose most surprising
token is beyond ``auto:0.1%``: a threshold that one in a thousand held-out ordinary lines is beyond. The
same lines are judged by a character trigram model (Witten-Bell smoothing, the same figure: the most
surprising character) and by xz (by how many bytes a line makes the packed end of the training log longer),
with thresholds learned on the same held-out lines by the same rule.

The lines carry the time but no date: a date that never came before would surprise in every line, in any
model. The same in a shell:

    pantoum train app.log --minutes 1
    pantoum score runs/app new.log --alert auto:0.1% | grep '^!'
"""

from __future__ import annotations

import argparse
import lzma
import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from log_lines import KINDS, Line, clean, planted

import pantoum

SHARE = 0.001
XZ_WINDOW = 16_000
"""Bytes at the training log's end that xz packs before each line: it has to do so again for every line."""
XZ_HELD = 1000
PACKED = [{"id": lzma.FILTER_LZMA1, "preset": 6, "dict_size": 1 << 16}]


class Trigram:
    """The probability of a character after the two before it, mixed with those after one and none."""

    def __init__(self, text: str) -> None:
        self.counts: list[defaultdict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(3)]
        for order, counts in enumerate(self.counts):
            for end in range(order, len(text)):
                counts[text[end - order : end]][text[end]] += 1
        self.totals = [{past: found.total() for past, found in counts.items()} for counts in self.counts]

    def nats(self, past: str, character: str) -> float:
        """Of one character after at least two others."""
        chance = 1 / 256
        for order, counts in enumerate(self.counts):
            context = past[len(past) - order :]
            total = self.totals[order].get(context)
            if total is not None:
                kinds = len(counts[context])
                chance = (counts[context][character] + kinds * chance) / (total + kinds)
        return -math.log(chance)

    def peaks(self, lines: Iterable[str]) -> list[float]:
        """The most surprising character of each line."""
        past, found = "\n\n", []
        for line in lines:
            nats = []
            for character in line + "\n":
                nats.append(self.nats(past, character))
                past = past[-1] + character
            found.append(max(nats))
        return found


def growth(before: bytes, lines: Iterable[str]) -> list[float]:
    """The bytes by which each line alone makes the packed text before it longer."""

    def size(data: bytes) -> int:
        return len(lzma.compress(data, lzma.FORMAT_RAW, filters=PACKED))

    alone = size(before)
    return [float(size(before + line.encode() + b"\n") - alone) for line in lines]


@dataclass(frozen=True)
class Judged:
    """What a detector made of the new log."""

    name: str
    threshold: float
    marked: list[bool]
    figures: list[float]
    odd: list[str | None]

    def recall(self, kind: str | None = None) -> float:
        """The share of odd lines (of one kind) that are marked."""
        found = [m for m, o in zip(self.marked, self.odd, strict=True) if o is not None and kind in (None, o)]
        return sum(found) / len(found) if found else math.nan

    @property
    def precision(self) -> float:
        """The share of marked lines that are odd."""
        right = [o is not None for m, o in zip(self.marked, self.odd, strict=True) if m]
        return sum(right) / len(right) if right else math.nan

    @property
    def average_precision(self) -> float:
        """The mean of the precision at each odd line, from the highest figure down: no threshold in it."""
        order = sorted(range(len(self.odd)), key=lambda at: -self.figures[at])
        right, found = 0, []
        for rank, at in enumerate(order, 1):
            if self.odd[at] is not None:
                right += 1
                found.append(right / rank)
        return sum(found) / len(found)


def judge(name: str, held: Sequence[float], figures: list[float], odd: list[str | None]) -> Judged:
    """Mark what is beyond the figure that at most ``SHARE`` of the held-out lines are beyond."""
    threshold = sorted(held)[-1 - int(SHARE * len(held))]
    return Judged(name, threshold, [figure > threshold for figure in figures], figures, odd)


def table(found: Sequence[Judged]) -> str:
    """All detectors side by side; recall by kind on the right."""
    head = ["", "threshold", "precision", "recall", "average precision", *KINDS]
    rows = [head] + [
        [
            j.name,
            f"{j.threshold:.2f}",
            f"{j.precision:.2f}",
            f"{j.recall():.2f}",
            f"{j.average_precision:.3f}",
        ]
        + [f"{j.recall(kind):.2f}" for kind in KINDS]
        for j in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if not at else cell.rjust(w)
            for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def main(argv: list[str] | None = None) -> list[Judged]:
    """Make, train, score, compare."""
    parser = argparse.ArgumentParser(description="odd lines in a log, found by a model of ordinary ones")
    parser.add_argument("--lines", type=int, default=20_000, help="ordinary lines to learn from")
    parser.add_argument("--new", type=int, default=4000, help="lines of the new log")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument(
        "--steps", type=int, default=None, help="a budget in steps instead (and a small model)"
    )
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)

    ordinary = [line.text for line in clean(asked.lines, asked.seed)]
    new = planted(asked.new, asked.new // 40, asked.seed + 1)
    odd, texts = [line.odd for line in new], [line.text for line in new]
    planted_count = sum(kind is not None for kind in odd)
    print(f"{len(ordinary):,} ordinary lines, {len(new):,} new ones, {planted_count} of them odd")

    budget: dict[str, Any] = {"minutes": asked.minutes}
    if asked.steps is not None:
        budget = {"steps": asked.steps, "hidden_size": 128, "num_layers": 1, "learning_rate": 0.01}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "app.log")
        log.write_text("".join(line + "\n" for line in ordinary), encoding="utf-8")
        run = pantoum.train(log, run=str(Path(folder, "run")), **budget)
        print(f"trained {run.result.steps:,} steps in {run.result.seconds:.0f} s: {_loss(run)}")
        scores = run.model.score("".join(text + "\n" for text in texts), alert=f"auto:{100 * SHARE:g}%")
    peaks, marked = [s.peak for s in scores], [s.alert for s in scores]
    model = Judged("this model", scores.threshold or math.nan, marked, peaks, odd)

    known, held = ordinary[: len(ordinary) * 9 // 10], ordinary[len(ordinary) * 9 // 10 :]
    trigram = Trigram("\n".join(known) + "\n")
    end = ("\n".join(known) + "\n").encode()[-XZ_WINDOW:]
    found = [
        model,
        judge("trigram", trigram.peaks(held), trigram.peaks(texts), odd),
        judge("xz", growth(end, held[:XZ_HELD]), growth(end, texts), odd),
    ]
    print(table(found))
    _examples(model, new)
    return found


def _loss(run: pantoum.Run) -> str:
    if run.evaluation is None:
        return "nothing held out"
    return (
        f"{run.evaluation.nats_per_token:.3f} nats a character on held-out lines "
        f"({run.evaluation.bits_per_byte:.2f} bits a byte, xz {run.evaluation.xz_bits_per_byte:.2f})"
    )


def _examples(model: Judged, new: Sequence[Line]) -> None:
    """Some lines that the model found, missed and marked wrongly."""
    groups: dict[str, list[str]] = {"found": [], "missed": [], "marked although ordinary": []}
    for line, mark, peak in zip(new, model.marked, model.figures, strict=True):
        group = (
            "found"
            if mark and line.odd
            else "missed"
            if line.odd
            else "marked although ordinary"
            if mark
            else ""
        )
        if group:
            groups[group].append(f"  {peak:6.2f}  {(line.odd or ''):<16} {line.text!r}")
    for name, lines in groups.items():
        print(f"{name}: {len(lines)}")
        print("\n".join(lines[:4]))


if __name__ == "__main__":
    main()
