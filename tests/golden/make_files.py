"""One small file of every format, made by this version of pantoum: ``python tests/golden/make_files.py``.

They go to ``tests/golden/VERSION``, with what this version reads in them (``expected.json``).
``test_files.py`` reads the files of every version. A folder is made again only while its version is not
released: later the files of a version stay as they are, whatever changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pantoum
from pantoum.apps.logs import followed_log
from pantoum.data import prepared_file
from pantoum.formats import checkpoint

HERE = Path(__file__).parent
TEXT = "".join(f"Line {n}: the café opens at {n * 7 % 12}, “and the cat sat”.\n" for n in range(60))
SMALL: dict[str, Any] = {
    "steps": 6, "hidden_size": 7, "num_layers": 1, "embedding_size": 5, "batch_size": 2, "seq_len": 16,
    "seed": 3, "ngrams": None, "kneser_ney": None, "progress": False, "precision": "float32", "threads": 1,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "bytes-rnn": {"tokens": "bytes", "cell": "rnn", "embedding_size": None},
    "characters-gru": {"tokens": "characters", "cell": "gru", "num_layers": 2, "documents": "lines"},
    "words-gru-before": {"tokens": "words", "cell": "gru-before"},
    "words-whitespace-lstm": {"tokens": "words:whitespace", "cell": "lstm"},
    "bpe-mingru": {"tokens": "bpe:280", "cell": "mingru"},
    "bpe-whitespace-tied": {"tokens": "bpe:whitespace:280", "tied": True, "embedding_size": 7},
    "counts": {"tokens": "words", "kneser_ney": 3},
    "ngrams": {"tokens": "characters", "ngrams": (2, 3), "valid_fraction": 0},
    "ensemble": {"tokens": "characters", "members": 2, "cell": "lstm"},
}
LOG = "GET /a 200\nGET /b 200\nGET /c 404\n"
LATER = "PUT /a 500\nGET /b 200\n"


def main() -> None:
    """Make the folder of this version."""
    folder = HERE / pantoum.__version__
    if folder.exists() and "--again" not in sys.argv[1:]:
        raise SystemExit(f"{folder} exists; if {pantoum.__version__} is not released yet, give --again")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        make(Path(place), folder)
        found = readings(folder, Path(place, "read"))
    (folder / "expected.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")


def make(place: Path, folder: Path) -> None:
    """Write every file, by commands and calls that a user has."""
    (place / "text.txt").write_text(TEXT, "utf-8")
    shutil.copy(place / "text.txt", folder)
    for name, settings in MODELS.items():
        run = pantoum.train("text.txt", run=f"runs/{name}", **{**SMALL, **settings})
        shutil.copy(run.folder / "model.safetensors", folder / f"{name}.model.safetensors")
    gru, model = folder / "characters-gru.model.safetensors", pantoum.load("runs/characters-gru")
    pantoum.export(gru, to="int8", out=folder / "int8.model.safetensors", text="text.txt")
    session = model.session()
    session.feed("The cat")
    session.state.write(folder / "session.state")
    data = TEXT.encode()
    (folder / "model.archive").write_bytes(model.compress(data))
    (folder / "records.archive").write_bytes(model.compress_many(data.splitlines(keepends=True)))
    (folder / "alone.archive").write_bytes(pantoum.compress(data))
    pantoum.prepare("text.txt", "prepared", tokens="bpe:280")
    shutil.copytree("prepared", folder / "prepared")
    pantoum.train("text.txt", run="unfinished", stop_after=4, **{**SMALL, "tokens": "bytes"})
    for run_folder in ("unfinished", "runs/characters-gru"):
        left = shutil.ignore_patterns("report.html", ".*", "step-0000000[1-3]*")
        goal = shutil.copytree(run_folder, folder / Path(run_folder).name, ignore=left)
        config = json.loads((goal / "config.json").read_text("utf-8"))
        config["folder"], config["machine"] = "/home/reader", {}  # nobody's
        (goal / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    (folder / "app.log").write_text(LOG, "utf-8")
    followed(gru, folder / "app.log", folder / "score.state", LOG.count("\n"))


def readings(folder: Path, place: Path) -> dict[str, Any]:
    """What this version reads in the files of a folder; ``place``: where to work. ``exact`` is the same on
    every machine, ``core`` on every one with the native core."""
    shutil.copytree(folder, place)
    text, models = (place / "text.txt").read_text("utf-8"), {}
    exact: dict[str, Any] = {}
    core: dict[str, Any] = {}
    for path in sorted(place.glob("*.model.safetensors")):
        models[path.name.split(".")[0]] = model = pantoum.load(path)
        exact[path.name] = [
            digest(model._loaded.network.parameters), digest({"": model.tokenizer.encode(text)}),
            model.tokenizer.decode(model.tokenizer.encode("the cat sat”.")),
        ]  # fmt: skip
        nats = [one.nats for one in model.score(text, by="token")]
        core[path.name] = [float(sum(nats)).hex(), model.generate("the ", length=30, seed=1, exact=True)]
    gru = models["characters-gru"]
    state = pantoum.State.read(place / "session.state")
    exact["session.state"] = state.tokens_seen
    core["session.state"] = gru.generate("", state=state, length=30, seed=1, exact=True)
    for name, read in archives(gru).items():
        core[name] = hashlib.sha256(read((place / name).read_bytes())).hexdigest()
    prepared, _ = prepared_file.opened(place / "prepared")
    assert prepared.valid is not None
    exact["prepared"] = digest({"train": prepared.train.tokens, "valid": prepared.valid.tokens})
    found = checkpoint.newest(place / "unfinished")
    assert found is not None
    exact["checkpoint"] = [found.step, digest(found.arrays)]
    resumed = pantoum.train(run=place / "unfinished", resume=True, progress=False)
    exact["resumed"] = resumed.history[-1].step
    facts = pantoum.info(place / "characters-gru").facts
    exact["run"] = [facts["ended"], facts["texts"], facts["checkpoints"], len(facts["curve"])]
    arrays, _ = followed_log.verified(place / "score.state")
    exact["score.state"] = digest(arrays)
    with (place / "app.log").open("a") as log:
        log.write(LATER)
    rows = followed(place / "characters-gru.model.safetensors", place / "app.log", place / "score.state", 2)
    core["followed"] = [(row["line"], row["text"], row["nats"]) for row in rows]
    return {"exact": exact, "core": core}


def archives(model: Any) -> dict[str, Callable[[bytes], bytes]]:
    """What reads each archive."""
    return {
        "model.archive": model.decompress,
        "records.archive": lambda data: b"".join(model.decompress_many(data)),
        "alone.archive": pantoum.decompress,
    }


def digest(arrays: Any) -> str:
    """One for all bits of arrays with their names, types and shapes."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return sha.hexdigest()


def followed(model: Path, log: Path, state: Path, lines: int) -> list[dict[str, Any]]:
    """Let ``score --follow`` answer some lines, and end it as an administrator does."""
    options = ["--follow", log, "--state-file", state, "--format", "jsonl", "--by", "line"]
    command = [sys.executable, "-m", "pantoum", "score", model, *options]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        rows = [json.loads(process.stdout.readline()) for _ in range(lines)]
        process.send_signal(signal.SIGTERM)
    return rows


if __name__ == "__main__":
    main()
