"""Many models at once: in processes of joblib and dask, each with the threads that it was given."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum import kernels
from pantoum.config.processors import thread_limit, usable_processors
from pantoum.errors import SettingError

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "many_models.py"
TEXT = "".join(f"The {i}th cat sat on mat {i * i % 17}.\n" for i in range(300))
SMALL: Any = {"steps": 2, "hidden_size": 8, "num_layers": 1, "progress": False}
ONE = """
import os, sys, threading, pantoum
from pantoum import kernels

def train(number, threads):
    seen, before = [], set(threading.enumerate())
    def look(report):
        seen.append(None if kernels.without_core() else kernels.native.core().threads)
    run = pantoum.train("t.txt", run=f"{sys.argv[1]}-{number}", steps=4, hidden_size=48, num_layers=1,
                        progress=False, threads=threads, on_report=look, seed=number % 2)
    left = [each.name for each in threading.enumerate() if each not in before]
    return seen, left, run.evaluation.nats_per_token, os.getpid()
"""
JOBLIB = (
    ONE
    + """
from joblib import Parallel, delayed
if __name__ == "__main__":
    threads = int(sys.argv[2]) or None
    print(repr(Parallel(n_jobs=2)(delayed(train)(number, threads) for number in range(4))))
"""
)
DASK = (
    ONE
    + """
from dask.distributed import Client
if __name__ == "__main__":
    threads = int(sys.argv[2]) or None
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        print(repr(client.gather([client.submit(train, number, threads) for number in range(4)])))
"""
)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "t.txt").write_text(TEXT)
    return tmp_path / "t.txt"


def run_program(code: str, folder: Path, *arguments: str) -> Any:
    (folder / "program.py").write_text(code)
    hidden = ("OMP_NUM_THREADS", "PANTOUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "program.py", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return eval(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 0])
@pytest.mark.parametrize(("package", "code"), [("joblib", JOBLIB), ("dask.distributed", DASK)])
def test_workers_keep_to_their_threads_and_leave_none(
    text: Path, package: str, code: str, threads: int
) -> None:
    pytest.importorskip(package, reason=f"SKIP SKIP SKIP: {package} is missing")
    found = run_program(code, text.parent, "run", str(threads))
    allowed = threads or (max(1, usable_processors() // 2) if package == "joblib" else 1)
    for seen, left, _, _ in found:
        assert seen and set(seen) <= {None, allowed} and left == []
    assert 1 <= len({process for *_, process in found} - {os.getpid()}) <= 2
    losses = [loss for _, _, loss, _ in found]
    assert losses[0] == losses[2] != losses[1] == losses[3]  # the same settings give the same model anywhere


@pytest.mark.slow
@pytest.mark.parametrize(("package", "flag"), [("joblib", []), ("dask.distributed", ["--dask"])])
def test_a_sweep_of_twelve_settings_over_two_workers_is_one_table(
    text: Path, package: str, flag: list[str]
) -> None:
    pytest.importorskip(package, reason=f"SKIP SKIP SKIP: {package} is missing")
    command = [sys.executable, str(EXAMPLE), "t.txt", "--steps", "2", "--out", "many", *flag]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, cwd=text.parent, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    folders = sorted(path.name for path in (text.parent / "many").iterdir() if path.name != "text")
    assert len(folders) == 12 and "gru-64-0.002" in folders and "lstm-128-0.01" in folders
    for name in ("cell", "hidden-size", "learning-rate", "nats"):
        assert name in done.stdout
    assert sum(folder in done.stdout for folder in folders) == 12


def test_the_example_trains_what_it_says(text: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("example_many_models", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    chosen = list(module.settings())
    assert len(chosen) == 12 == len({repr(each) for each in chosen})
    data = str(pantoum.prepare(text, tmp_path / "data").folder)
    small = {"cell": "gru", "hidden_size": 8, "learning_rate": 0.01}
    folder = module.train(str(tmp_path), data, 1, {"steps": 2}, small)
    assert Path(folder).name == "gru-8-0.01" and (Path(folder) / "model.safetensors").exists()


@pytest.mark.skipif(kernels.without_core() is not None, reason="needs the native core")
def test_threads_are_those_of_the_call_and_then_those_before(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PANTOUM_THREADS", raising=False)
    core = kernels.native.core()
    before, seen, active = core.threads, [], threading.active_count()

    def look(report: object) -> None:
        seen.append((core.threads, os.environ["PANTOUM_THREADS"]))

    for threads in (1, 3):
        pantoum.train(text, run=tmp_path / f"{threads}", threads=threads, on_report=look, **SMALL)
        assert set(seen) == {(threads, str(threads))}
        seen.clear()
    with pytest.raises(SettingError, match="minutes"):
        pantoum.train(text, run=tmp_path / "no", threads=2, minutes=-1)
    assert core.threads == before and "PANTOUM_THREADS" not in os.environ
    assert threading.active_count() <= active
    with pytest.raises(SettingError, match="threads is 0: it must be a whole number from 1 to 1024"):
        pantoum.train(text, run=tmp_path / "no", threads=0, **SMALL)


def test_without_the_core_threads_have_no_effect_and_that_is_said(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    with pytest.warns(UserWarning, match="threads 2 has no effect on NumPy"):
        pantoum.train(text, run=tmp_path / "run", threads=2, **SMALL)


@pytest.mark.parametrize(
    ("own", "others", "limit"),
    [
        ("3", "1", 3),
        ("", "1", 1),
        ("", "2,4", 2),
        ("", "", None),
        ("", "many", None),
        ("0", "1", 1),
        ("", "0", None),
    ],
)
def test_the_limits_of_others_count_where_ours_is_not_set(own: str, others: str, limit: int | None) -> None:
    if limit is not None and own == "":
        limit = min(limit, usable_processors())
    assert thread_limit({"PANTOUM_THREADS": own, "OMP_NUM_THREADS": others}) == limit
    assert thread_limit({"OMP_NUM_THREADS": "4000"}) == usable_processors()
