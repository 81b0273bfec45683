"""``torchrun`` starts the ranks: they train what one process trains, to the bit, and are named if lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pantoum

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
SOURCE = Path(pantoum.__file__).parents[1]
SIZES = ["--hidden-size", "12", "--num-layers", "1", "--batch-size", "6", "--seq-len", "8"]
SIZES += ["--shards", "2", "--threads", "1", "--quiet"]


@pytest.fixture
def text(torch: Any, tmp_path: Path) -> Path:
    draw = random.Random(2)
    words = ["north", "south", "east", "west", "wind", "rain", "sun", "and"]
    path = tmp_path / "story.txt"
    path.write_text("".join(" ".join(draw.choices(words, k=6)) + "\n" for _ in range(150)))
    return path


def torchrun(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    hidden = ("RANK", "WORLD_SIZE", "PANTOUM_LAUNCHER", "PANTOUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        # Without the two dashes torchrun takes --run for one of its own options.
        [*launcher, "-m", "--", "pantoum", "train", *arguments],
        cwd=folder, env={**clean, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_two_ranks_train_the_bits_of_one_process(text: Path, tmp_path: Path) -> None:
    """Started on two ranks, resumed on two: the model file of one process with two shards."""
    one = subprocess.run(
        [sys.executable, "-m", "pantoum", "train", str(text), "--steps", "6", "--run", "one", *SIZES],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True,
    )  # fmt: skip
    assert one.returncode == 0, one.stderr
    begun = torchrun(tmp_path, str(text), "--steps", "6", "--stop-after", "3", "--run", "two", *SIZES)
    assert begun.returncode == 0, begun.stderr
    done = torchrun(tmp_path, "--run", "two", "--resume", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model") == one.stdout.count("model"), "rank 0 alone tells the result"
    files = [tmp_path / name / "model.safetensors" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_error_of_rank_0_ends_all_ranks_in_one_line(text: Path, tmp_path: Path) -> None:
    done = torchrun(tmp_path, str(text), "--steps", "2", "--run", "r", "--device", "cpu", *SIZES)
    assert done.returncode != 0
    assert done.stderr.count("a launcher has started several") == 1
