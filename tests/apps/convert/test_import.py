"""``pantoum import``: what is told, and that the model is used as any."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

Run = Callable[..., Any]


@pytest.fixture
def lstm(tmp_path: Path) -> Path:
    """A state_dict, and beside it a vocabulary."""
    random = np.random.default_rng(0)
    shapes = {"encoder.weight": (6, 3), "decoder.weight": (6, 4), "decoder.bias": (6,)}
    shapes |= {"rnn.weight_ih_l0": (16, 3), "rnn.weight_hh_l0": (16, 4)}
    arrays = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    safetensors.numpy.save_file(arrays, tmp_path / "lstm.safetensors")
    (tmp_path / "words.txt").write_text("<unk>\nthe\ncat\n</s>\nsat\n<pad>\n")
    (tmp_path / "t.txt").write_text("the cat sat\nthe dog sat\n")
    return tmp_path / "lstm.safetensors"


def test_an_imported_model_writes_scores_and_trains_further(run: Run, lstm: Path, tmp_path: Path) -> None:
    out, text = tmp_path / "m.safetensors", tmp_path / "t.txt"
    done = run("import", lstm, "--vocabulary", tmp_path / "words.txt", "--out", out, "--text", text)
    assert done.code == 0 and "from PyTorch; 1 x 4 lstm, 6 tokens" in done.out
    assert "7 targets" in done.out and done.lines[-1] == f"pantoum generate {out}"
    assert run("generate", out, "--prompt", "the", "--length", 4, "--seed", 1).code == 0
    assert "imported from" in run("info", out).out
    assert json.loads(run("evaluate", out, text, "--json").out)["unknown_tokens"] == 1
    assert run("train", text, "--from", out, "--steps", 2, "--run", tmp_path / "r", "--quiet").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "vocabulary is None: it is missing"),
        (["--vocabulary", "t.txt"], "must have as many tokens as the model has symbols, 6, not 2"),
        (["--vocabulary", "words.txt", "--tokens", "bpe:300"], "must be characters, words"),
        (["--vocabulary", "words.txt", "--out", "lstm.safetensors"], "which would be lost"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, lstm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    out = [] if "--out" in words else ["--out", "n.safetensors"]
    done = run("import", "lstm.safetensors", *words, *out)
    assert done.code == 1 and said in done.err and len(done.lines) == 1
    assert not (tmp_path / "n.safetensors").exists()
