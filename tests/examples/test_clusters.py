"""What the examples for clusters start: a run that goes on after its job was stopped, runs of workers."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pantoum

FOLDER = Path(__file__).parents[2] / "examples" / "clusters"
SMALL: dict[str, Any] = {"hidden_size": 8, "num_layers": 1}
TEXT = "The cat sat on the mat.\n" * 60


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # jobs are pickled
    spec.loader.exec_module(module)
    return module


def test_a_job_of_submitit_goes_on_in_the_next_one(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    (tmp_path / "t").write_text(TEXT)
    training, run = example("with_submitit").Training(), str(tmp_path / "run")
    training(str(tmp_path / "t"), run, steps=6, stop_after=2, **SMALL)
    again = training.checkpoint(str(tmp_path / "t"), run)
    assert again.result() == run
    assert pantoum.train(run=run, resume=True, progress=False).result.already


CLUSTER = """
import subprocess, sys
from dask.distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as one:
        sys.exit(subprocess.call([sys.executable, "one.py", one.scheduler_address, "a.txt", "b.txt"]))
"""


@pytest.mark.slow
def test_workers_of_dask_train_runs(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "one.py").write_text((FOLDER / "with_dask.py").read_text().replace("minutes=5", "steps=2"))
    (tmp_path / "cluster.py").write_text(CLUSTER)
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(TEXT)
    done = started(tmp_path, "cluster.py")
    assert "runs/a" in done and "runs/b" in done


@pytest.mark.slow
def test_workers_of_ray_train_one_run(tmp_path: Path) -> None:
    pytest.importorskip("ray.train")
    source = (FOLDER / "with_ray.py").read_text()
    assert source.count('"minutes": 5') == 1
    settings = '"steps": 6, "hidden_size": 8, "num_layers": 1, "seed": 1'
    (tmp_path / "one.py").write_text(source.replace('"minutes": 5', settings))
    (tmp_path / "t.txt").write_text(TEXT)
    started(tmp_path, "one.py", "t.txt", "run")
    alone = pantoum.train(
        tmp_path / "t.txt", run=str(tmp_path / "alone"), steps=6, seed=1, shards=2, progress=False, **SMALL
    )
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == alone.result.model.read_bytes()


def started(folder: Path, *command: str) -> str:
    """What a program of this folder prints."""
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=500,
        env={**os.environ, "PYTHONPATH": str(Path(pantoum.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
