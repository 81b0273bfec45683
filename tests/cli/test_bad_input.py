"""Every mistake is one line that names the argument and what to do; nothing that was saved is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.inference.state import State

Run = Callable[..., Any]

SMALL = ("--steps", "1", "--hidden-size", "8", "--num-layers", "1")

# (arguments, exit code, what the line must name). {t} text, {m} run, {d} a folder made for the test.
MISTAKES = [
    (["train", "{d}/empty.txt", *SMALL], 1, ["empty"]),
    (["train", "{d}/one.txt", *SMALL], 1, ["too short", "at least 2"]),
    (["train", "{d}/missing.txt", *SMALL], 1, ["missing.txt"]),
    (["train", *SMALL], 1, ["no text was given"]),
    (
        ["train", "{d}/latin1.txt", "--tokens", "characters", *SMALL],
        1,
        ["latin1.txt", "offset", "--tokens bytes"],
    ),
    (["train", "{d}/latin1.txt", "--tokens", "words", *SMALL], 1, ["latin1.txt", "offset"]),
    (["train", "{t}", "--valid", "{d}/nothing.txt", *SMALL], 1, ["nothing.txt"]),
    (["train", "{t}", "--wrong", "1"], 2, ["--wrong", "--help"]),
    (["train", "{t}", "--hidden", "8"], 2, ["--hidden", "--help"]),
    (["train", "{t}", "--num-layers", "0"], 1, ["--num-layers", "0", "from 1 to"]),
    (["train", "{t}", "--num-layers", "many"], 1, ["--num-layers", "many", "whole number"]),
    (["train", "{t}", "--minutes", "-1"], 1, ["--minutes", "-1", "above 0"]),
    (["train", "{t}", "--minutes", "nan"], 1, ["--minutes", "nan"]),
    (["train", "{t}", "--steps", "3", "--minutes", "1"], 1, ["--minutes", "together with --steps"]),
    (["train", "{t}", "--cell", "transformer"], 1, ["--cell", "transformer", "mingru"]),
    (["train", "{t}", "--tokens", "letters"], 1, ["--tokens", "letters", "characters"]),
    (["train", "{t}", "--dropout", "2"], 1, ["--dropout", "2"]),
    (["train", "{t}", "--ngrams", "1,2", *SMALL], 1, ["--ngrams", "1", "from 2 to 16"]),
    (["train", "{t}", "--ngrams", "two", *SMALL], 1, ["--ngrams", "two", "--ngrams 2,3,4"]),
    (["train", "{t}", "--ngram-rows", "1000", *SMALL], 1, ["--ngram-rows", "1000", "power of two"]),
    (["train", "{t}", "--ngrams", "none", "--ngram-rows", "64"], 1, ["--ngram-rows", "needs n-grams"]),
    (["train", "{t}", "--ngrams", "2,3", "--ngram-rows", "8388608", *SMALL], 1, ["--ngrams", "1 GiB"]),
    (["train", "{t}", "--from", "{m}", "--ngrams", "2", *SMALL[:2]], 1, ["--ngrams", "must be none"]),
    (["train", "{t}", "--run", "{m}", *SMALL], 1, ["mats", "exists", "--resume"]),
    (["train", "{t}", "--run", "{t}", *SMALL], 1, ["mats.txt", "is a file"]),
    (["train", "--run", "{d}/no-run", "--resume"], 1, ["no-run", "does not exist"]),
    (["train", "{t}", "--run", "{t}/run", *SMALL], 1, ["mats.txt"]),
    (["train", "{t}", "--threads", "0"], 1, ["--threads", "0"]),
    (["generate", "{d}/missing.safetensors"], 1, ["missing.safetensors"]),
    (["generate", "{d}"], 1, ["model.safetensors", "pantoum train"]),
    (["generate", "{t}"], 1, ["mats.txt"]),
    (["generate", "{d}/cut.safetensors"], 1, ["cut.safetensors"]),
    (["generate", "{d}/flipped.safetensors"], 1, ["flipped.safetensors"]),
    (["generate", "{m}", "--temperature", "-1"], 1, ["--temperature", "-1", "at least 0"]),
    (["generate", "{m}", "--temperature", "hot"], 1, ["--temperature", "hot"]),
    (["generate", "{m}", "--top-p", "2"], 1, ["--top-p", "2", "at most 1"]),
    (["generate", "{m}", "--top-k", "0"], 1, ["--top-k", "0"]),
    (["generate", "{m}", "--min-p", "-0.1"], 1, ["--min-p", "-0.1"]),
    (["generate", "{m}", "--repetition-penalty", "0"], 1, ["--repetition-penalty", "0"]),
    (["generate", "{m}", "--length", "-5"], 1, ["--length", "-5", "at least 0"]),
    (["generate", "{m}", "--count", "0"], 1, ["--count", "0"]),
    (["generate", "{m}", "--seed", "-1"], 1, ["--seed", "-1"]),
    (["generate", "{m}", "--stop", ""], 1, ["--stop", "empty"]),
    (["generate", "{m}", "--count", "2", "--state-out", "{d}/s"], 1, ["--state-out", "--count"]),
    (["generate", "{m}", "--state-in", "{t}"], 1, ["mats.txt"]),
    (["generate", "{m}", "--state-in", "{d}/other.state"], 1, ["belongs to the model"]),
    (["generate", "{m}", "--length", "1", "--seed", "1", "--state-out", "{t}/s"], 1, ["mats.txt"]),
    (["evaluate", "{m}", "{t}", "--protocol", "segments"], 1, ["--protocol", "segments", "windows:N"]),
    (["evaluate", "{m}", "{t}", "--protocol", "windows:0"], 1, ["--protocol", "windows:0"]),
    (["evaluate", "{m}", "{d}/missing.txt"], 1, ["missing.txt"]),
    (["evaluate", "{m}", "{d}/empty.txt"], 1, ["empty"]),
    (["evaluate", "{m}", "{d}/one.txt"], 1, ["at least 2"]),
    (["evaluate", "{m}"], 2, ["TEXT"]),
    (["score", "{m}", "{d}/missing.txt"], 1, ["missing.txt"]),
    (["score", "{m}", "{d}"], 1, ["{d}"]),
    (["score", "{m}", "{t}", "--by", "page"], 1, ["--by", "page", "line"]),
    (["score", "{m}", "{t}", "--format", "pdf"], 1, ["--format", "pdf"]),
    (["score", "{m}", "{t}", "--streams", "0"], 1, ["--streams", "0"]),
    (["score", "{m}", "{t}", "--alert", "often"], 1, ["--alert", "often", "auto:P%"]),
    (["score", "{m}", "{t}", "--alert", "auto:90%"], 1, ["--alert", "auto:90%", "50"]),
    (["score", "{m}", "{t}", "--alert-text", "{t}"], 1, ["--alert-text is", "auto:P%"]),
    (["score", "{m}", "{t}", "--documents", "--alert", "auto:1%"], 1, ["--alert is", "by --alert-text FILE"]),
    (["score", "{m}", "{t}", "--alert", "auto:1%", "--alert-text", "{d}/none"], 1, ["{d}/none"]),
    (["prepare", "{t}"], 2, ["--out"]),
    (["prepare", "{d}/empty.txt", "--out", "{d}/p"], 1, ["empty"]),
    (["prepare", "{t}", "--out", "{t}/p"], 1, ["mats.txt"]),
    (["info", "{d}/missing"], 1, ["missing", "does not exist"]),
    (["info", "{t}"], 1, ["mats.txt", "run folder"]),
    (["info", "{d}"], 1, ["run folder"]),
    (["demo", "--minutes", "0"], 1, ["--minutes", "0"]),
    (["doctor", "now"], 2, ["now"]),
    (["dance"], 2, ["dance"]),
]


@pytest.fixture
def made(tmp_path: Path, trained: Path) -> Path:
    """A folder of files that are not what they should be."""
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "one.txt").write_bytes(b"a")
    (tmp_path / "latin1.txt").write_bytes(b"caf\xe9 au lait " * 200)
    model = (trained / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(model[: len(model) // 2])
    (tmp_path / "flipped.safetensors").write_bytes(model[:-100] + bytes([model[-100] ^ 1]) + model[-99:])
    State((np.zeros((1, 16), np.float32),), None, 0, b"", "ab" * 32).write(tmp_path / "other.state")
    return tmp_path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "code", "names"),
    MISTAKES,
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_a_mistake_is_one_line(
    run: Run,
    made: Path,
    text: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    names: list[str],
) -> None:
    monkeypatch.chdir(made)
    saved = snapshot(trained)

    def filled(word: str) -> str:
        return word.format(t=text, m=trained, d=made)

    done = run(*map(filled, arguments))
    assert done.code == code, done
    assert len(done.lines) == 1, done.err
    assert done.out == "" or arguments[0] == "generate"
    assert "Traceback" not in done.err
    for name in names:
        assert filled(name) in done.err, done.err
    assert snapshot(trained) == saved
    assert not (made / "runs").exists() or not any((made / "runs").iterdir())


def test_a_text_shorter_than_the_batch_works_smaller_with_a_warning(run: Run, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("abcdefgh" * 8)
    done = run(
        "train",
        tmp_path / "short.txt",
        "--run",
        tmp_path / "run",
        *SMALL,
        "--batch-size",
        64,
        "--seq-len",
        64,
        "--valid-fraction",
        0,
    )
    assert done.code == 0, done
    assert "batch" in done.err or "shorter" in done.err or "small" in done.err
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.skipif(os.name != "posix" or not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(trained: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pantoum", "generate", str(trained), "--seed", "1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "'stdout': No space left" in done.stderr
