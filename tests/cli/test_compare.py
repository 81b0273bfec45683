"""`pantoum compare`: runs side by side in a table or as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.formats import metrics_file


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    found = []
    for number, (cell, seed) in enumerate([("gru", 0), ("gru", 1), ("lstm", 0)]):
        path = tmp_path / f"run-{number}"
        path.mkdir()
        (path / "config.json").write_text(json.dumps({"settings": {"cell": cell, "seed": seed}}))
        metrics_file.append(
            path / "metrics.jsonl", {"step": 5, "valid": 2.0 - 0.1 * number, "ended": "finished"}
        )
        found.append(path)
    return found


def test_seeds_are_one_row_and_the_best_stands_first(run: Callable[..., Any], runs: list[Path]) -> None:
    done = run("compare", *runs)
    head, first, second, legend = done.out.splitlines()
    assert done.code == 0 and done.err == ""
    assert head.split() == ["run", "seeds", "cell", "validation", "updates"]
    assert first.split()[1:] == ["0", "lstm", "1.800", "5"]
    assert second.split()[1:] == ["+1", "0,1", "gru", "1.950", "±", "0.071", "5"]
    assert legend == "losses: segments:64; validation: while training"


def test_as_json(run: Callable[..., Any], runs: list[Path]) -> None:
    found = json.loads(run("compare", *runs, "--json").out)
    assert [group["settings"] for group in found["groups"]] == [{"cell": "lstm"}, {"cell": "gru"}]
    assert found["groups"][1]["figures"]["best_valid"]["runs"] == 2


def test_a_folder_that_is_no_run_is_one_line(run: Callable[..., Any], runs: list[Path]) -> None:
    done = run("compare", runs[0], runs[0] / "nothing")
    assert done.code == 1 and done.out == "" and len(done.lines) == 1 and "nothing" in done.err


def test_the_model_that_expects_a_text_most_stands_first(run: Callable[..., Any], tmp_path: Path) -> None:
    texts = {"cats": "The cat sat on the mat.\n", "codes": "x91=07; y24=88; z03=51;\n"}
    models = []
    for name, text in texts.items():
        pantoum.train(
            text=text * 60, run=str(tmp_path / name), steps=25, hidden_size=16, tokens="bytes", progress=False
        )
        models.append(str(tmp_path / name))
    for name, text in texts.items():
        (tmp_path / "letter").write_text(text[5:] * 3)
        head, first, second = run("compare", *models, "--text", tmp_path / "letter").out.splitlines()
        assert head.split() == ["bits", "per", "byte", "model"]
        assert first.split()[1] == str(tmp_path / name) and float(first.split()[0]) < float(second.split()[0])
    found = json.loads(run("compare", *models, "--text", tmp_path / "letter", "--json").out)
    assert [Path(one["model"]).name for one in found["models"]] == ["codes", "cats"]


def test_a_model_that_knows_few_words_does_not_stand_first(run: Callable[..., Any], tmp_path: Path) -> None:
    text = "The cat sat on the mat, and the dog ran over the hill to the old mill.\n"
    small = {"hidden_size": 16, "num_layers": 1, "tokens": "words", "progress": False}
    for name, size in {"few": 4, "all": 60}.items():
        pantoum.train(text=text * 60, run=str(tmp_path / name), steps=9, vocab_size=size, **small)
    (tmp_path / "letter").write_text(text * 3)
    found = json.loads(
        run("compare", tmp_path / "few", tmp_path / "all", "--text", tmp_path / "letter", "--json").out
    )["models"]
    assert [Path(one["model"]).name for one in found] == ["all", "few"]
    assert found[0]["unknown_tokens"] == 0 < found[1]["unknown_tokens"]
    assert found[1]["bits_per_byte"] < found[0]["bits_per_byte"]  # because unknown words cost it little


def test_what_is_wrong_with_a_text_names_its_file(run: Callable[..., Any], tmp_path: Path) -> None:
    text = tmp_path / "letter.txt"
    dear = "Dear K\u00e4ufer, " * 300
    pantoum.train(text=dear, run=str(tmp_path / "r"), steps=2, hidden_size=8, num_layers=1, progress=False)
    for data, told in ((b"", "letter.txt"), (b"K\xe4ufer", "letter.txt' is not UTF-8")):
        text.write_bytes(data)
        done = run("compare", tmp_path / "r", "--text", text)
        assert done.code == 1 and told in done.err
    assert run("compare", tmp_path / "r", "--text", text, "--encoding", "latin-1").code == 0


@pytest.mark.parametrize("text", ["letter.txt", "-", os.devnull])
def test_an_encoding_that_there_is_not_is_named(run: Callable[..., Any], tmp_path: Path, text: str) -> None:
    (tmp_path / "letter.txt").write_text("Dear Anne")
    pantoum.train(text="Dear Anne " * 300, run=str(tmp_path / "r"), steps=2, hidden_size=8, progress=False)
    where = tmp_path / text if text.endswith("txt") else text
    done = run("compare", tmp_path / "r", "--text", where, "--encoding", "letter.txt")
    assert done.code == 1 and "--encoding" in done.err and "'letter.txt'" in done.err
