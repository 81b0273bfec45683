"""Whether adapting ever hurts: one model reads texts near to and far from the text that it was trained on.

    python benchmarks/adapting_texts.py RUN TEXT [TEXT ...] [--tokens 50000] [--json]

The first tokens of each TEXT are read by the model itself and with `--adapt`; the second reading also gives
the loss of the adapted copy alone, which is what `--adapt` was before the two were mixed. The mark: on no
text is `--adapt` worse than the model itself by more than 0.001 nats per token, the sum of its gains is at
least that of the copy alone, and it takes at most 4 times the time (which needs an idle machine). TEXT may
be `PATH:FROM`, to read from that character on.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine

from pantoum.inference.adapt import Adapter
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.mixture import Mixture
from pantoum.inference.reader import PlainReader
from pantoum.kernels import Array

WORSE, TIMES = 0.001, 4.0


class Recorded(Mixture):
    """A mixture that adds up what the second of the two, the copy alone, would have had."""

    alone = 0.0

    def nats(self, first_T: Array, second_T: Array) -> tuple[Array, Array]:
        """As the mixture."""
        self.alone += float(second_T.sum(dtype=np.float64))
        return super().nats(first_T, second_T)


def read(model: LoadedModel, name: str, tokens: int) -> dict[str, Any]:
    """The three losses of a text, in nats per token, and the seconds of the first two."""
    path, _, begin = name.partition(":")
    text = Path(path).read_text(encoding="utf-8")[int(begin or 0) :]
    ids_T = model.tokenizer.encode(text[: 12 * tokens])[: tokens + 1].astype(np.int64)
    inputs_BT, targets_BT = ids_T[None, :-1], ids_T[None, 1:]
    began = time.perf_counter()
    plain = float(PlainReader(model).losses(inputs_BT, targets_BT, None).mean(dtype=np.float64))
    between = time.perf_counter()
    adapter, mixture = Adapter(model), Recorded()
    adapter._mixture = mixture
    adapting = float(adapter.losses(inputs_BT, targets_BT).mean(dtype=np.float64))
    ended = time.perf_counter()
    return {
        "text": name,
        "tokens": inputs_BT.size,
        "plain": plain,
        "adapting": adapting,
        "copy_alone": mixture.alone / inputs_BT.size,
        "weight": mixture.weight,
        "seconds": [between - began, ended - between],
    }


def main() -> None:
    """Read the texts and say whether the mark is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--tokens", type=int, default=50_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    model = load(asked.run)
    rows = []
    for name in asked.texts:
        rows.append(row := read(model, name, asked.tokens))
        if not asked.json:
            print(
                f"{row['text'][-40:]:<40} {row['tokens']:>8,} plain {row['plain']:.4f}  "
                f"adapt {row['plain'] - row['adapting']:+.4f}  "
                f"copy alone {row['plain'] - row['copy_alone']:+.4f}  weight {row['weight']:.3f}  "
                f"time x {row['seconds'][1] / row['seconds'][0]:.2f}",
                flush=True,
            )
    worst = max(row["adapting"] - row["plain"] for row in rows)
    gains = [sum(row["plain"] - row[key] for row in rows) for key in ("adapting", "copy_alone")]
    times = sum(row["seconds"][1] for row in rows) / sum(row["seconds"][0] for row in rows)
    report = {
        "machine": machine(),
        "rows": rows,
        "worst": worst,
        "gains": gains,
        "times": times,
        "met": worst <= WORSE and gains[0] >= gains[1] and times <= TIMES,
    }
    if asked.json:
        print(json.dumps(report))
        return
    print(
        f"worst {worst:+.4f} (mark {WORSE}), gains together {gains[0]:.4f} against {gains[1]:.4f}, "
        f"time x {times:.2f} (mark {TIMES:g}): {'met' if report['met'] else 'NOT met'}"
    )


if __name__ == "__main__":
    main()
