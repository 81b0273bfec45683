"""A run whose tokens are read range by range is the run whose tokens are in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.errors import ShardError
from pantoum.formats import token_file

TEXT = "".join(f"The {i}th cat sat on mat {i * i % 17}.\n" for i in range(600))
SMALL: Any = {"hidden_size": 8, "num_layers": 1, "batch_size": 5, "seq_len": 7, "progress": False}


@pytest.mark.parametrize("tokens", ["bytes", "words"])
def test_the_model_is_the_same_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: str
) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    data = pantoum.prepare(tmp_path / "t.txt", tmp_path / "data", tokens=tokens, documents="lines").folder
    pantoum.train(data=data, run=tmp_path / "memory", steps=9, **SMALL)
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 0)
    monkeypatch.setattr(token_file, "BLOCK", 1 << 10)
    data = pantoum.prepare(tmp_path / "t.txt", tmp_path / "again", tokens=tokens, documents="lines").folder
    pantoum.train(data=data, run=tmp_path / "ranged", steps=9, stop_after=4, **SMALL)
    pantoum.train(run=tmp_path / "ranged", resume=True, progress=False)
    one, other = (tmp_path / name / "model.safetensors" for name in ("memory", "ranged"))
    assert pantoum.load(one).generate("The", length=40, seed=1) == pantoum.load(other).generate(
        "The", length=40, seed=1
    )
    assert one.read_bytes() == other.read_bytes()


def test_a_file_that_is_cut_ends_the_run_where_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 0)
    monkeypatch.setattr("pantoum.formats.token_file.LARGEST", 64)
    (tmp_path / "t.txt").write_text(TEXT)
    data = pantoum.prepare(tmp_path / "t.txt", tmp_path / "data", tokens="bytes").folder
    file = data / "prepared.safetensors"

    def cut(report: object) -> None:
        os.truncate(file, file.stat().st_size // 2)

    with pytest.raises(ShardError, match="it was cut while it was in use"):
        pantoum.train(data=data, run=tmp_path / "run", epochs=1, checkpoint_every=5, on_report=cut, **SMALL)
    assert list((tmp_path / "run" / "checkpoints").iterdir())


def test_a_damaged_text_is_refused_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    data = pantoum.prepare(tmp_path / "t.txt", tmp_path / "data", tokens="bytes").folder
    with (data / "prepared.safetensors").open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff\x01")
    with pytest.raises(ShardError, match="its SHA-256 does not match"):
        pantoum.train(data=data, run=tmp_path / "run", epochs=1, **SMALL)
