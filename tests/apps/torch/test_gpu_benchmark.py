"""``benchmarks/gpu.py`` runs from one command, and says that a CPU says nothing of GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pantoum

pytestmark = pytest.mark.oracle
SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "gpu.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(pantoum.__file__).parents[1])}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_every_contestant_is_measured(torch: Any) -> None:
    done = run("--device", "cpu", "--shape", "tiny", "--seconds", "0.03", "--no-compile", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    found = {(row["contestant"], row["cell"], row["precision"]) for row in report["speed"]}
    assert len(found) == len(report["speed"]) == 8
    assert all(0 < row["least"] <= row["tokens_per_second"] <= row["most"] for row in report["speed"])
    assert all(row["of_matrix_product"] > 0 for row in report["speed"])
    assert {row["of_torch_nn"] for row in report["speed"] if row["contestant"] == "torch.nn"} == {1.0}
    assert report["device"] == "CPU: this says nothing of GPUs" and report["machine"]["pantoum"]
    if not torch.cuda.is_available():
        refused = run("--device", "cuda")
        assert refused.returncode == 1 and "nothing is claimed for GPUs" in refused.stderr
