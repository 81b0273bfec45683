"""Whether two checkouts give the same bits: models, texts, scores and states of sixty runs.

    python benchmarks/same_bits.py ../before .          # two checkouts with a built core each

A child process per checkout trains each run for some steps on the source of Python's standard library,
interrupts and resumes some, and prints digests: of all tensors of the model file, of the whole file, of the
newest checkpoint, of a text, of a score, of a state, of an adapted evaluation. The parent compares them.
``--out FILE`` keeps the digests of the second checkout, ``--json`` prints the differences as one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from measured import parser

if TYPE_CHECKING:
    from pantoum import Model

Options = dict[str, object]

SMALL: Options = {"hidden_size": 24, "num_layers": 2, "batch_size": 6, "seq_len": 12, "steps": 14}
OFF, LEFT_OUT = "off", "left out"
"""For None, and for a setting of ``SMALL`` that a run does without."""
RUNS: list[Options] = [
    *({"cell": cell, "optimizer": optimizer} for cell in ("rnn", "gru", "gru-before", "lstm", "mingru")
      for optimizer in ("adamw", "muon")),
    *({"cell": cell, "precision": "bf16"} for cell in ("rnn", "gru", "gru-before", "lstm", "mingru")),
    *({"cell": cell, "resumed": 5} for cell in ("gru", "lstm", "mingru")),
    *({"embedding_size": size} for size in (OFF, 8, 24)),
    *({"tied": True, "embedding_size": size} for size in (10, 24)),
    *({"dropout": rate} for rate in ("0.3", "variational:0.2", "inputs=0.1,between=0.2,outputs=0.3")),
    *({"members": 3, **more} for more in ({}, {"tied": True, "embedding_size": 10}, {"ngrams": "2,3"})),
    *({"ngrams": orders} for orders in ("2", "2,3,4")),
    *({"tokens": kind} for kind in ("bytes", "characters", "words", "words:whitespace", "bpe:300")),
    *({"documents": kind, **more} for kind in ("lines", "blank-lines")
      for more in ({}, {"tokens": "words"})),
    *({"schedule": kind} for kind in ("constant", "cosine")),
    *({"clip": clip} for clip in (OFF, 0.1)),
    *({"average": average} for average in (OFF, 0.9)),
    *({"weight_decay": 0.0}, {"learning_rate": 0.01}, {"seed": 7}, {"valid_fraction": 0.0}),
    *({"shards": 2}, {"shards": 3, "cell": "lstm"}),
    *({"tokens": "words", "vocab_size": 6000, "tied": True, "embedding_size": 16, "optimizer": kind}
      for kind in ("adamw", "muon")),
    *({"num_layers": layers} for layers in (1, 3)),
    *({"tokens": "words", "resumed": 6}, {"members": 2, "resumed": 4}, {"ngrams": "2,3", "resumed": 7}),
    *({"further": 20}, {"further": 20, "members": 2}, {"epochs": 1, "steps": LEFT_OUT, "hidden_size": 8}),
]  # fmt: skip


def digest(*parts: bytes) -> str:
    """A short digest of bytes."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def tensors(file: Path) -> list[bytes]:
    """Names and bytes of the tensors of a safetensors file, by name, but for what a checkpoint says in words:
    it has seconds in it."""
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = {
        name: each
        for name, each in json.loads(data[8 : 8 + size]).items()
        if name not in ("__metadata__", "state")
    }
    found = []
    for name, each in sorted(header.items()):
        begin, end = each["data_offsets"]
        found += [name.encode(), str(each["shape"]).encode(), data[8 + size + begin : 8 + size + end]]
    return found


def one_run(options: Options, text: Path, folder: Path) -> dict[str, str]:
    """Train, and digest what came of it."""
    import pantoum

    settings = {**SMALL, "threads": 2, **options}
    resumed, further = settings.pop("resumed", None), settings.pop("further", None)
    settings = {
        name: None if value == OFF else value for name, value in settings.items() if value != LEFT_OUT
    }
    if resumed:
        pantoum.train(str(text), run=str(folder), stop_after=resumed, **settings)
        pantoum.train(run=str(folder), resume=True)
    else:
        pantoum.train(str(text), run=str(folder), **settings)
    if further:
        pantoum.train(run=str(folder), resume=True, steps=further)
    model, file = pantoum.load(folder), folder / "model.safetensors"
    sample = text.read_text("utf-8")[5000:5600]
    session = model.session()
    session.feed(sample[:200])
    newest = sorted((folder / "checkpoints").iterdir())[-1]
    inside = sorted(newest.glob("*.safetensors")) if newest.is_dir() else [newest]  # a folder before
    twins = model.generate("def ", length=40, seed=4, count=3)
    return {
        "tensors": digest(*tensors(file)),
        "file": digest(file.read_bytes()),
        "checkpoint": digest(*(part for each in inside for part in tensors(each))),
        "text": digest(model.generate("import ", length=120, seed=3).encode(), "\n".join(twins).encode()),
        "score": digest(repr(list(model.score(sample, by="word"))).encode()),
        "state": digest(bytes(session.state)),
        "adapted": digest(repr(model.evaluate(text=sample, adapt=True)).encode()),
        "cached": digest(repr(cached(model, sample)).encode()),
    }


def cached(model: Model, sample: str) -> object:
    """An evaluation with a cache, where the model has settings of one."""
    import pantoum

    try:
        return model.evaluate(text=sample, cache=50)
    except pantoum.PantoumError:
        return None


def child() -> None:
    """All runs of the checkout that Python imports, a line of JSON each."""
    import ast

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch) / "text.txt"
        sources = [Path(module.__file__ or "") for module in (ast, argparse, subprocess, tempfile)]
        text.write_text("".join(each.read_text("utf-8") for each in sources)[:90_000])
        for number, options in enumerate(RUNS):
            try:
                found = one_run(options, text, Path(scratch) / str(number))
            except Exception as problem:
                found = {"error": f"{type(problem).__name__}: {problem}"[:200]}
            print(json.dumps({"options": options, **found}), flush=True)


def main() -> None:
    """Run both checkouts, and compare."""
    options = parser(__doc__)
    options.add_argument("checkouts", nargs=2, help="the one before and the one after")
    options.add_argument("--out", type=Path)
    arguments = options.parse_args()
    found = []
    for checkout in arguments.checkouts:
        source = Path(checkout).resolve() / "src"
        environment = {**os.environ, "PYTHONPATH": str(source), "SAME_BITS_CHILD": "1"}
        lines = subprocess.run(
            [sys.executable, __file__], env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.splitlines()
        found.append([json.loads(line) for line in lines])
    if arguments.out:
        arguments.out.write_text("\n".join(json.dumps(each) for each in found[1]) + "\n")
    differ = []
    for before, after in zip(*found, strict=True):
        parts = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
        if parts:
            differ.append(
                {"options": before["options"], "differ": sorted(parts), "after": after.get("error")}
            )
    failed = sum("error" in each for each in found[1])
    if arguments.json:
        print(json.dumps({"runs": len(found[0]), "failed": failed, "differ": differ}, indent=1))
        return
    print(f"{len(found[0])} runs, {failed} not possible in the second checkout, {len(differ)} differ")
    for each in differ:
        print(" ", each["options"], "differ in", ", ".join(each["differ"]), each["after"] or "")


if __name__ == "__main__":
    child() if os.environ.get("SAME_BITS_CHILD") else main()
