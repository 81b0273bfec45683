"""Counted n-grams alone: how long a text takes, how large they are, and how well they predict another text.

    python benchmarks/counted_ngrams.py TRAIN TEST [--tokens words:whitespace] [--orders 2,3,4,5]

For each highest order: seconds of counting (which want an idle machine), n-grams, bytes in a model file, and
the perplexity per token of TEST. `benchmarks/kneser_ney.py` is an independent count model, for characters.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine

from pantoum.data.prepare import prepare
from pantoum.inference.files.counts_file import arrays_of
from pantoum.network.mixers.counts import MOST_ENTRIES, Counts, counted

PART = 1 << 16


def perplexity(counts: Counts, tokens_N: np.ndarray[Any, Any]) -> float:
    """The perplexity of the tokens after the first."""
    recent_BK, nats = counts.initial_state(1), 0.0
    for start in range(0, len(tokens_N) - 1, PART):
        part = tokens_N[start : start + PART + 1].astype(np.int64)
        contexts = counts.find(part[:-1, None], recent_BK)
        recent_BK = contexts.recent_BK
        nats -= float(np.log(counts.probabilities(contexts, part[1:])).sum())
    return math.exp(nats / (len(tokens_N) - 1))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--tokens", default="words:whitespace")
    parser.add_argument("--vocab-size", type=int, default=1_000_000)
    parser.add_argument("--orders", default="2,3,4,5")
    parser.add_argument("--most", type=int, default=MOST_ENTRIES, help="n-grams that are kept at most")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    words = {"vocab_size": asked.vocab_size} if asked.tokens.startswith("words") else {}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(
            [asked.train], tokens=asked.tokens, valid=asked.test, out=Path(folder) / "data", **words
        )
        train, test = np.asarray(prepared.train.tokens), np.asarray(prepared.valid.tokens)
        vocab_size = prepared.tokenizer.vocab_size
        for order in map(int, asked.orders.split(",")):
            began = time.perf_counter()
            orders = counted(train, vocab_size, order, most_entries=asked.most)
            seconds = time.perf_counter() - began
            counts = Counts(vocab_size, orders)
            size = sum(array.nbytes for array in arrays_of(vocab_size, orders).values())
            rows.append(
                {
                    "order": order,
                    "seconds": seconds,
                    "ngrams": counts.entries,
                    "bytes": size,
                    "perplexity": perplexity(counts, test),
                }
            )
            if not asked.json:
                print(rows[-1], flush=True)
    if asked.json:
        print(json.dumps({"machine": machine(), "vocab_size": vocab_size, "rows": rows}))


if __name__ == "__main__":
    main()
