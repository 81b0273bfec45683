"""Whether adapting ever hurts: models read texts near to and far from the texts that they were trained on.

    python benchmarks/adapting_texts.py RESULTS --model RUN TEXT [TEXT ...] [--model RUN TEXT ...] ...
                                        [--tokens 50000] [--cache 2000] [--set chunk=64,rate=0.01,...]
                                        [--json]

The first tokens of each TEXT are read by the model itself and with `--adapt`; the second reading also gives
the loss of the adapted copy alone, which is what `--adapt` was before the two were mixed. TEXT may be
`PATH:FROM`, to read from that character on. `--set` reads with other settings (`adapt_rule.Settings`). Models
of words and of characters are asked alike; a loss is in nats per token. `--cache` reads each text with a
cache of so many tokens, too, both ways.

A row is one text and one model (a finished run or a model file; nothing is trained here): a line in RESULTS
as soon as it is known. What is there is not done again, so the script may be stopped at any moment and the
same command goes on. Without `--model` it prints what is there.

The marks: on no text is `--adapt` worse than the model itself by more than 0.001 nats per token; the sum of
its gains is at least that of the copy alone; it takes at most 4 times the processor time of plain reading.
With a cache it is no worse than without, nor than the model itself with one.
Losses do not depend on what else runs on the machine; times do, so give it one thread (`PANTOUM_THREADS=1
OMP_NUM_THREADS=1`) and take the ratio for a hint unless the machine is idle.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine

from pantoum.inference.adapt import Adapter
from pantoum.inference.adapt_rule import Settings, settings_for
from pantoum.inference.cache_settings import with_cache
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.mixture import Mixture
from pantoum.inference.scoring.reader import PlainReader
from pantoum.kernels import Array

WORSE, TIMES = 0.001, 4.0


class Recorded(Mixture):
    """A mixture that adds up what the second of the two, the copy alone, would have had."""

    alone = 0.0

    def nats(self, first_T: Array, second_T: Array) -> tuple[Array, Array]:
        """As the mixture."""
        self.alone += float(second_T.sum(dtype=np.float64))
        return super().nats(first_T, second_T)


def read(model: LoadedModel, name: str, tokens: int, size: int, changed: dict[str, float]) -> dict[str, Any]:
    """The losses of a text; with ``size`` those with a cache of so many tokens as ``cached``."""
    settings = replace(settings_for(model.vocab_size), **changed)
    path, _, begin = name.partition(":")
    text = Path(path).read_text(encoding="utf-8")[int(begin or 0) :]
    ids_T = model.tokenizer.encode(text[: 12 * tokens])[: tokens + 1].astype(np.int64)
    row = both_ways(model, ids_T, settings)
    if size:
        row["cached"] = both_ways(with_cache(model, size), ids_T, settings)
    return row


def both_ways(model: LoadedModel, ids_T: Array, settings: Settings) -> dict[str, Any]:
    """The three losses of a text, in nats per token, and the processor seconds of the first two."""
    inputs_BT, targets_BT = ids_T[None, :-1], ids_T[None, 1:]
    began = time.process_time()
    plain = float(PlainReader(model).losses(inputs_BT, targets_BT, None).mean(dtype=np.float64))
    between = time.process_time()
    adapter, mixture = Adapter(model, settings), Recorded(home=0.0)
    adapter._mixture = mixture
    adapting = float(adapter.losses(inputs_BT, targets_BT).mean(dtype=np.float64))
    ended = time.process_time()
    return {
        "plain": plain,
        "adapting": adapting,
        "copy_alone": mixture.alone / inputs_BT.size,
        "weight": mixture.weight,
        "seconds": [between - began, ended - between],
    }


def marks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each mark, what was measured, and whether it is met."""
    gains = [sum(row["plain"] - row[key] for row in rows) for key in ("adapting", "copy_alone")]
    worst = max(row["adapting"] - row["plain"] for row in rows)
    times = sum(row["seconds"][1] for row in rows) / sum(row["seconds"][0] for row in rows)
    found = [
        {"what": "nats worse than plain, at most", "found": worst, "mark": WORSE, "met": worst <= WORSE},
        {"what": "sum of gains", "found": gains[0], "mark": gains[1], "met": gains[0] >= gains[1]},
        {"what": "times plain reading", "found": times, "mark": TIMES, "met": times <= TIMES},
    ]
    with_both = [(row["cached"]["adapting"], row) for row in rows if "cached" in row]
    for what, beside in (
        ("without a cache", lambda row: row["adapting"]),
        ("the model with a cache", lambda row: row["cached"]["plain"]),
    ):
        if with_both:
            worst = max(nats - beside(row) for nats, row in with_both)
            said = f"with a cache, nats worse than {what}"
            found.append({"what": said, "found": worst, "mark": WORSE, "met": worst <= WORSE})
    return found


def shown(row: dict[str, Any]) -> str:
    """A row as a line."""
    plain, (first, second) = row["plain"], row["seconds"]
    cached = row.get("cached")
    said = "" if cached is None else f"  with a cache {cached['plain']:.4f}, adapt {cached['adapting']:.4f}"
    return (
        f"{row['unit']:<10} {row['text'][-40:]:<40} {row['tokens']:>8,} plain {plain:.4f}  "
        f"adapt {plain - row['adapting']:+.4f}  copy alone {plain - row['copy_alone']:+.4f}  "
        f"weight {row['weight']:.3f}  time x {second / first:.2f}{said}"
    )


def show(rows: list[dict[str, Any]]) -> None:
    """Every text, then the marks of each kind of tokens."""
    print("\n".join(map(shown, rows)))
    for unit in dict.fromkeys(row["unit"] for row in rows):
        own = [row for row in rows if row["unit"] == unit]
        print(f"{unit}, {len(own)} texts")
        for mark in marks(own):
            said = "met   " if mark["met"] else "MISSED"
            print(f"  {said} {mark['what']}: {mark['found']:.4f}, mark {mark['mark']:.4g}")


def known(results: Path) -> list[dict[str, Any]]:
    """The rows that are done; a line that was cut off is none."""
    rows = []
    for line in results.read_text(encoding="utf-8").splitlines() if results.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def main() -> None:
    """Read the texts that are not done, and say whether the marks are met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="a file of one line of JSON per row")
    parser.add_argument(
        "--model", nargs="+", action="append", default=[], help="a run or model file, and the texts it reads"
    )
    parser.add_argument("--tokens", type=int, default=50_000)
    parser.add_argument("--cache", type=int, default=0, help="tokens of a cache, which is read with, too")
    parser.add_argument("--set", default="", help="settings in place of the usual ones, with commas between")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    changed = {name: json.loads(value) for name, value in re.findall(r"(\w+)=([^,]+)", asked.set)}
    for run, *texts in asked.model:
        model = load(run)
        for text in texts:
            key = {"model": model.sha256, "text": text, "tokens": asked.tokens, "set": changed}
            key |= {"cache": asked.cache} if asked.cache else {}
            if any(key.items() <= row.items() for row in known(asked.results)):
                continue
            row = {**key, "unit": model.tokenizer.kind, "run": run, "machine": machine()}
            row |= read(model, text, asked.tokens, asked.cache, changed)
            with asked.results.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
            print(shown(row), file=sys.stderr, flush=True)
    rows = known(asked.results)
    if not rows:
        parser.error(f"{asked.results} has no rows yet: give --model RUN TEXT ...")
    if asked.json:
        return print(json.dumps({"rows": rows, "marks": marks(rows)}))
    return show(rows)


if __name__ == "__main__":
    main()
