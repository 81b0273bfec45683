"""Weights & Biases and MLflow, offline: the recipes of the guide are run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pantoum

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "elsewhere.md"


def run_recipe(package: str, folder: Path, **environment: str) -> str:
    """Run the block of the guide that imports this package, for three steps; what it prints."""
    pytest.importorskip(package)
    blocks = re.findall(r"^```text\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (recipe,) = [block for block in blocks if f"import {package}\n" in block]
    (folder / "book.txt").write_text("The cat sat on the mat.\n" * 60)
    assert recipe.count("minutes=5") == 1
    recipe = recipe.replace("minutes=5", "steps=3, hidden_size=8, num_layers=1, run='run'")
    source = Path(pantoum.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", recipe], cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(source), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_weights_and_biases_keeps_the_figures(tmp_path: Path) -> None:
    run_recipe("wandb", tmp_path, WANDB_MODE="offline", WANDB_DIR=str(tmp_path), WANDB_SILENT="true")
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    data = file.read_bytes()
    assert b"learning_rate" in data and b"tokens_per_second" in data and b"sampled" not in data


@pytest.mark.slow
def test_mlflow_keeps_the_figures(tmp_path: Path) -> None:
    address = (tmp_path / "mlruns").as_uri()
    run_recipe("mlflow", tmp_path, MLFLOW_TRACKING_URI=address, MLFLOW_ALLOW_FILE_STORE="true")
    (metric,) = tmp_path.glob("mlruns/*/*/metrics/valid")
    assert metric.read_text().split()[-1] == "3"
    assert list(tmp_path.glob("mlruns/*/*/artifacts/report.html"))
