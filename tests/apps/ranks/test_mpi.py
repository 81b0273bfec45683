"""Over MPI itself, where mpi4py and mpirun are: the command of the README, against one process."""

import os
import random
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MPIRUN = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
TINY = "--hidden-size 12 --num-layers 1 --embedding-size 6 --batch-size 6 --seq-len 8 --steps 6 --shards 4"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("mpi4py") is None or MPIRUN is None, reason="SKIP SKIP SKIP  no mpi4py or no mpirun"
    ),
]


@pytest.fixture
def text(tmp_path):
    """Random words."""
    draw = random.Random(1)
    path = tmp_path / "story.txt"
    path.write_text(" ".join(draw.choices(["north", "south", "wind", "rain", "and", "then"], k=800)))
    return path


APART = """
import os, platform
platform.node = lambda: "node" + os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK", ""))
"""
"""Every rank believes to be on a machine of its own, so that sums begin within the backward pass."""
ENTRY = "import sys; sys.argv[0] = 'pantoum'; from pantoum.__main__ import entry; entry()"


def launched(count, *words, apart=False, stdin=None, **environment):
    """``pantoum`` on so many ranks, with its exit code and what it told."""
    program = ["-c", APART + ENTRY] if apart else ["-m", "pantoum"]
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    launcher = [MPIRUN, "-n", str(count), "--oversubscribe", *root]
    return subprocess.run(
        [*launcher, sys.executable, *program, *map(str, words)],
        capture_output=True,
        text=True,
        input=stdin,
        timeout=120,
        env={**os.environ, "PANTOUM_THREADS": "1", "PANTOUM_RANK_TIMEOUT": "20", **environment},
    )


@pytest.mark.parametrize("more", ["", "--shards 2 --num-layers 2"])
def test_two_ranks_give_the_model_file_of_one_process(text, tmp_path, more):
    asked = ["train", text, *TINY.split(), *more.split()]
    on_two = launched(2, *asked, "--run", tmp_path / "two", "--json", apart=bool(more))
    assert on_two.returncode == 0, on_two.stderr
    assert on_two.stdout.count('"steps": 6') == 1, "rank 0 alone answers"
    alone = [sys.executable, "-m", "pantoum", *map(str, asked), "--run", str(tmp_path / "one"), "--quiet"]
    subprocess.run(alone, check=True, capture_output=True)
    one, two = (tmp_path / name / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    refused = launched(2, *asked, "--run", tmp_path / "two")
    assert refused.returncode != 0 and refused.stderr.count("exists already") == 1, refused.stderr


def test_a_stopped_rank_is_named_and_the_run_goes_on(text, tmp_path):
    folder = tmp_path / "run"
    asked = ["train", text, "--run", folder, *TINY.split()[:-4], "--shards", "2", "--checkpoint-every", "2"]
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    stop_itself = (  # rank 1 stops in its fourth update
        "import os, signal; from pantoum.apps.ranks.backend import Worker; honest, n = Worker.update, [0]\n"
        "def update(*a, **k):\n"
        "    n[0] += 1; n[0] == 4 and os.kill(os.getpid(), signal.SIGSTOP); honest(*a, **k)\n"
        "Worker.update = update\n"
    )
    words = [
        MPIRUN,
        "-n",
        "2",
        "--oversubscribe",
        *root,
        sys.executable,
        "-c",
        APART + stop_itself + ENTRY,
        *map(str, asked),
    ]
    environment = {**os.environ, "PANTOUM_THREADS": "1", "PANTOUM_RANK_TIMEOUT": "2"}
    ended = subprocess.run(
        [*words, "--steps", "8"], capture_output=True, text=True, timeout=60, env=environment
    )
    assert ended.returncode != 0
    assert ended.stderr.count("has not answered for") == 1 and "pantoum: rank 1 (host " in ended.stderr
    resumed = launched(2, "train", "--run", folder, "--resume", "--json")
    assert resumed.returncode == 0 and '"finished": true' in resumed.stdout, resumed.stderr


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_text_on_stdin_is_refused_in_one_line(tmp_path, name):
    done = launched(2, "train", name, *TINY.split(), "--run", tmp_path / "run", stdin="a text " * 500)
    assert done.returncode == 1 and not (tmp_path / "run").exists()
    assert done.stderr.count(f"pantoum train: cannot read '{name}'") == done.stderr.count("pantoum") == 1
