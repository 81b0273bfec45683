"""``torchrun`` starts the ranks: they train what one process trains; who is lost or differs is named."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.errors import SettingError

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
SOURCE = Path(pantoum.__file__).parents[1]
SIZES = ["--hidden-size", "12", "--num-layers", "1", "--batch-size", "6", "--seq-len", "8"]
SIZES += ["--shards", "2", "--quiet"]
DIES = """
import os, signal, sys
from pantoum.apps.ranks.backend import Worker
honest, left = Worker.update, [4]
def update(*words, **more):
    left[0] -= 1
    if left[0] == 0 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    honest(*words, **more)
Worker.update, sys.argv[0] = update, "pantoum"
from pantoum.__main__ import entry
entry()
"""
"""Rank 1 dies in its fourth update, once."""


@pytest.fixture
def text(torch: Any, tmp_path: Path) -> Path:
    draw = random.Random(2)
    words = ["north", "south", "east", "west", "wind", "rain", "sun", "and"]
    path = tmp_path / "story.txt"
    path.write_text("".join(" ".join(draw.choices(words, k=6)) + "\n" for _ in range(150)))
    return path


def torchrun(
    folder: Path, *arguments: str, script: str | None = None, restarts: int = 0
) -> subprocess.CompletedProcess[str]:
    """``pantoum train`` on two ranks of one thread; ``script``: Python in place of it."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launcher += ["--max-restarts", str(restarts)]
    # Without the two dashes torchrun takes --run for one of its own options.
    launcher += (
        ["-m", "--", "pantoum"] if script is None else ["--no-python", "--", sys.executable, "-c", script]
    )
    hidden = ("RANK", "WORLD_SIZE", "PANTOUM_LAUNCHER")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    threads = {"OMP_NUM_THREADS": "1", "PANTOUM_THREADS": "1", "PANTOUM_RANK_TIMEOUT": "10"}
    return subprocess.run(
        [*launcher, "train", *arguments],
        cwd=folder, env={**clean, **threads, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip


def one_process(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pantoum", "train", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What pantoum told, without torchrun's own lines."""
    return re.findall(r"^pantoum: .*$", done.stderr, re.MULTILINE)


def test_two_ranks_train_the_bits_of_one_process(text: Path, tmp_path: Path) -> None:
    """Started on two ranks, resumed on two: the model file of one process with two shards."""
    one = one_process(tmp_path, str(text), "--steps", "6", "--run", "one", *SIZES)
    begun = torchrun(tmp_path, str(text), "--steps", "6", "--stop-after", "3", "--run", "two", *SIZES)
    assert begun.returncode == 0, begun.stderr
    done = torchrun(tmp_path, "--run", "two", "--resume", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model") == one.stdout.count("model"), "rank 0 alone tells the result"
    files = [tmp_path / name / "model.safetensors" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_pytorch_on_two_ranks_goes_on_after_one_has_died(text: Path, tmp_path: Path) -> None:
    """Rank 1 is named, and ``--resume`` goes on with the run: its loss is that of one process of the core,
    which then resumes it."""
    asked = [str(text), "--steps", "10", "--checkpoint-every", "2", *SIZES]
    done = torchrun(tmp_path, *asked, "--run", "two", "--device", "cpu", script=DIES)
    assert done.returncode != 0, done.stderr
    (line,) = said(done)
    assert re.search(r"rank 1 \(host .*, process \d+\) has ended, so all ranks end; the newest", line)
    done = torchrun(tmp_path, "--run", "two", "--resume", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    one_process(tmp_path, *asked, "--run", "one")
    runs = [pantoum.train(run=str(tmp_path / name), resume=True, steps=2) for name in ("one", "two")]
    assert [run.result.steps for run in runs] == [12, 12]
    losses = [run.evaluation.nats_per_token for run in runs if run.evaluation is not None]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3) and len(losses) == 2


def test_a_restart_of_the_launcher_goes_on_with_the_run_of_its_job(text: Path, tmp_path: Path) -> None:
    """The whole command, once a rank has died: the bits of a run that was left alone."""
    asked = [str(text), "--steps", "10", "--checkpoint-every", "2", *SIZES]
    one_process(tmp_path, *asked, "--run", "one")
    done = torchrun(tmp_path, *asked, "--run", "two", script=DIES, restarts=1)
    assert done.returncode == 0 and "rank 1 (host" in done.stderr, done.stderr
    files = [tmp_path / name / "model.safetensors" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_restart_never_goes_on_with_the_run_of_another_job(
    torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pantoum.apps.ranks.gloo import GlooRanks

    ranks = object.__new__(GlooRanks)
    ranks._store = torch.distributed.HashStore()
    other, own = tmp_path / "other", tmp_path / "own"
    other.mkdir()
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    assert not ranks.restarted(str(other)) and not ranks.restarted(str(own))
    own.mkdir()
    assert not ranks.restarted(str(other)) and ranks.restarted(str(own))
    with pytest.raises(SettingError, match="give --run DIR"):
        ranks.restarted(None)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")
    assert not ranks.restarted(str(own)) and not ranks.restarted(None)


def test_a_rank_that_differs_and_an_error_of_rank_0_are_told_in_one_line(text: Path, tmp_path: Path) -> None:
    differs = (
        "import os, sys; sys.argv = ['pantoum', *sys.argv[1:], '--seed', os.environ['RANK']]; "
        "from pantoum.__main__ import entry; entry()"
    )
    asked = [str(text), "--steps", "2", "--run", "r", "--device", "cpu", *SIZES]
    done = torchrun(tmp_path, *asked, script=differs)
    (line,) = (
        line for line in done.stderr.splitlines() if "differs" in line and "rank 0 has ended" not in line
    )
    assert done.returncode != 0 and not (tmp_path / "r").exists()
    assert "rank 1 (host" in line and "seed is '1' there and '0' here" in line
    done = torchrun(tmp_path, "missing.txt", *asked[1:])
    assert done.returncode != 0 and done.stderr.count("missing.txt") >= 1
    assert sum("pantoum train" in line and "missing.txt" in line for line in done.stderr.splitlines()) <= 2
