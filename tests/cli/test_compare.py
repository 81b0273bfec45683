"""`pantoum compare`: runs side by side in a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
    head, first, second = done.out.splitlines()
    assert done.code == 0 and done.err == ""
    assert head.split() == ["run", "seeds", "cell", "validation", "updates"]
    assert first.split()[1:] == ["0", "lstm", "1.800", "5"]
    assert second.split()[1:] == ["+1", "0,1", "gru", "1.950", "±", "0.071", "5"]


def test_as_json(run: Callable[..., Any], runs: list[Path]) -> None:
    found = json.loads(run("compare", *runs, "--json").out)
    assert [group["settings"] for group in found["groups"]] == [{"cell": "lstm"}, {"cell": "gru"}]
    assert found["groups"][1]["figures"]["best_valid"]["runs"] == 2


def test_a_folder_that_is_no_run_is_one_line(run: Callable[..., Any], runs: list[Path]) -> None:
    done = run("compare", runs[0], runs[0] / "nothing")
    assert done.code == 1 and done.out == "" and len(done.lines) == 1 and "nothing" in done.err
