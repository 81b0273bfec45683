"""Find odd lines in a log with a model of ordinary lines, and compare with two baselines.

    python examples/log_anomalies.py                       one minute of training, about two in total
    python examples/log_anomalies.py --steps 100 --lines 3000 --new 800      a shorter run

The program makes ordinary lines (``log_lines``) and trains a model on them, as you would on your own log.
Then it scores a new log with planted odd lines. A line is marked if its most surprising token exceeds
``auto:0.1%``, the threshold that one in a thousand held-out ordinary lines exceeds. Two baselines judge the
same lines, with thresholds learned on the same held-out lines by the same rule: a character trigram model
(Witten-Bell smoothing, the most surprising character) and xz (the number of bytes that a line adds to the
compressed end of the training log).

The lines have a time but no date: a new date would be surprising in every line, for any model. The same in a
shell:

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
"""Bytes at the end of the training log that xz compresses before each line, again for every line."""
XZ_HELD = 1000
PACKED = [{"id": lzma.FILTER_LZMA1, "preset": 6, "dict_size": 1 << 16}]


class Trigram:
    """The probability of a character after the last two, interpolated with lower orders (Witten-Bell)."""

    def __init__(self, text: str) -> None:
        self.counts: list[defaultdict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(3)]
        for order, counts in enumerate(self.counts):
            for end in range(order, len(text)):
                counts[text[end - order : end]][text[end]] += 1
        self.totals = [{past: found.total() for past, found in counts.items()} for counts in self.counts]

    def nats(self, past: str, character: str) -> float:
        """The surprisal of one character after ``past``, which has at least two characters."""
        chance = 1 / 256
        for order, counts in enumerate(self.counts):
            context = past[len(past) - order :]
            total = self.totals[order].get(context)
            if total is not None:
                kinds = len(counts[context])
                chance = (counts[context][character] + kinds * chance) / (total + kinds)
        return -math.log(chance)

    def peaks(self, lines: Iterable[str]) -> list[float]:
        """The surprisal of the most surprising character of each line."""
        past, found = "\n\n", []
        for line in lines:
            nats = []
            for character in line + "\n":
                nats.append(self.nats(past, character))
                past = past[-1] + character
            found.append(max(nats))
        return found


def growth(before: bytes, lines: Iterable[str]) -> list[float]:
    """The number of bytes that each line alone adds to the compressed ``before``."""

    def size(data: bytes) -> int:
        return len(lzma.compress(data, lzma.FORMAT_RAW, filters=PACKED))

    alone = size(before)
    return [float(size(before + line.encode() + b"\n") - alone) for line in lines]


@dataclass(frozen=True)
class Judged:
    """The verdict of one detector on the new log."""

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
        """The mean precision at each odd line, from the highest figure down; it needs no threshold."""
        order = sorted(range(len(self.odd)), key=lambda at: -self.figures[at])
        right, found = 0, []
        for rank, at in enumerate(order, 1):
            if self.odd[at] is not None:
                right += 1
                found.append(right / rank)
        return sum(found) / len(found)


def judge(name: str, held: Sequence[float], figures: list[float], odd: list[str | None]) -> Judged:
    """Mark lines above the threshold that at most ``SHARE`` of the held-out lines exceed."""
    threshold = sorted(held)[-1 - int(SHARE * len(held))]
    return Judged(name, threshold, [figure > threshold for figure in figures], figures, odd)


def table(found: Sequence[Judged]) -> str:
    """One row per detector; recall by kind on the right."""
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
    """Make the logs, train, score, compare."""
    parser = argparse.ArgumentParser(description="find odd lines in a log with a model of ordinary lines")
    parser.add_argument("--lines", type=int, default=20_000, help="ordinary lines to train on")
    parser.add_argument("--new", type=int, default=4000, help="lines of the new log")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument(
        "--steps", type=int, default=None, help="budget in steps instead of minutes, with a small model"
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
        f"{run.evaluation.nats_per_token:.3f} nats per character on held-out lines "
        f"({run.evaluation.bits_per_byte:.2f} bits per byte, xz {run.evaluation.xz_bits_per_byte:.2f})"
    )


def _examples(model: Judged, new: Sequence[Line]) -> None:
    """Print some lines that the model found, missed and marked wrongly."""
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
