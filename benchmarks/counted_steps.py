"""What counted n-grams cost each token that is written: rounds of a batch with them and without, by turns.

    python benchmarks/counted_steps.py TEXT [--tokens characters] [--order 7] [--hidden 32] [--texts 1,64]
                                            [--precision float32] [--seconds 4] [--json]

The model has random weights, which take as long as trained ones; the counts are those of TEXT, with a weight
of one half. A round is a step of the network, the mixture and the draw, with the default sampling. Figures
are microseconds per round: the least, and the median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine

from pantoum.config import ModelConfig, SamplingConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.writing.stream_batch import StreamBatch
from pantoum.network import LanguageModel
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.program import Program
from pantoum.text.tokenizer import learner

ROUNDS = 50


def batch_of(model: LoadedModel, texts: int) -> StreamBatch:
    """Texts that never end."""
    batch = StreamBatch(model, texts)
    for stream in range(texts):
        batch.join(length=10**9, seed=0, stream=stream, sampling=SamplingConfig())
    return batch


def seconds_of(batch: StreamBatch) -> float:
    """One round, on average over some."""
    began = time.perf_counter()
    for _ in range(ROUNDS):
        batch.round()
    return (time.perf_counter() - began) / ROUNDS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokens", default="characters")
    parser.add_argument("--vocab-size", type=int)
    parser.add_argument("--order", type=int, default=7)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--texts", default="1,64")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each number of texts")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    scholar = learner(asked.tokens, asked.vocab_size, None)
    text = asked.text.read_text(encoding="utf-8")
    scholar.feed(text)
    tokenizer = scholar.learn()
    V = tokenizer.vocab_size
    tokens = np.concatenate([np.asarray(part) for part in tokenizer.encode_blocks([text])])
    counts = Counts(V, counted(tokens, V, asked.order))
    mixture = CountMixture(counts, np.full(counts.buckets, 0.5, np.float32))
    network = LanguageModel(V, config=ModelConfig("gru", asked.hidden, 1, asked.hidden))
    models = {
        "alone": LoadedModel(Program(network, precision=asked.precision), tokenizer),
        "with counts": LoadedModel(Program(network, precision=asked.precision, mixers=[mixture]), tokenizer),
    }
    rows: list[dict[str, Any]] = []
    for texts in map(int, asked.texts.split(",")):
        batches = {name: batch_of(model, texts) for name, model in models.items()}
        found: dict[str, list[float]] = {name: [] for name in batches}
        end = time.perf_counter() + asked.seconds
        while time.perf_counter() < end:
            for name, batch in batches.items():
                found[name].append(1e6 * seconds_of(batch))
        row: dict[str, Any] = {"texts": texts}
        for name, each in found.items():
            row |= {name: round(min(each), 2), f"{name}, median": round(statistics.median(each), 2)}
        row["more per token"] = round((row["with counts"] - row["alone"]) / texts, 2)
        rows.append(row)
        if not asked.json:
            print({"symbols": V, "n-grams": counts.entries, **row}, flush=True)
    if asked.json:
        print(json.dumps({"machine": machine(), "symbols": V, "ngrams": counts.entries, "rows": rows}))


if __name__ == "__main__":
    main()
