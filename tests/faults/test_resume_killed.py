"""SIGKILL at random instants, signals to stop, and a second Ctrl-C: nothing that was saved is lost."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pantoum.cli.main import main
from pantoum.formats import checkpoint, metrics_file
from pantoum.formats.durable import is_temporary

pytestmark = pytest.mark.usefixtures("hang_up")

STEPS = 40


def wait_for_step(process, step):
    """Until the process has reported this step."""
    for line in process.stdout:
        if line.strip().isdigit() and int(line) >= step:
            return
    raise AssertionError(process.stderr.read())


def test_killed_ten_times_at_random_instants_it_is_the_run_that_never_was(run, spawn, tmp_path):
    run("whole", steps=STEPS, checkpoint_every=1)
    draw, kills, resume = random.Random(5), 0, False
    while kills < 10:
        settings = {"resume": True} if resume else {"steps": STEPS, "checkpoint_every": 1}
        process = spawn("cut", **settings)
        wait_for_step(process, 0)
        time.sleep(draw.uniform(0.0, 0.08))
        process.kill()
        process.communicate()
        kills, resume = kills + 1, True
        newest = checkpoint.newest(tmp_path / "cut")
        if newest is not None and newest.state["finished"]:
            break
    assert run("cut", resume=True).finished
    assert not [path for path in (tmp_path / "cut").rglob("*") if is_temporary(path.name)]
    one, other = (checkpoint.newest(tmp_path / name) for name in ("whole", "cut"))
    assert one.step == other.step == STEPS
    assert all(np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items())
    digests = {
        hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()).hexdigest()
        for name in ("whole", "cut")
    }
    assert len(digests) == 1


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_saves_and_ends_soon_with_a_code_that_says_it_is_not_finished(
    story, run, tmp_path, name, code
):
    options = ["--hidden-size", "12", "--num-layers", "1", "--batch-size", "4", "--seq-len", "16"]
    command = ["train", story, "--run", tmp_path / "run", "--steps", "100000", "--checkpoint-every", "5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pantoum", *map(str, command), *options, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while checkpoint.newest(tmp_path / "run") is None and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    output, errors = process.communicate(timeout=120)  # 100,000 steps take far longer
    assert process.returncode == code, errors
    assert json.loads(output)["stopped"] == name and "continue with:" in errors
    newest = checkpoint.newest(tmp_path / "run")
    assert newest.step >= 5 and (tmp_path / "run" / "model.safetensors").exists()
    assert metrics_file.read(tmp_path / "run" / "metrics.jsonl")[-1]["ended"] == "stopped"
    assert run("run", resume=True, stop_after=newest.step + 2).steps == newest.step + 2


def test_an_end_that_was_asked_for_beforehand_is_a_success(story, tmp_path, capsys):
    asked = ["--steps", "9", "--stop-after", "2", "--hidden-size", "12", "--json"]
    assert main(["train", str(story), "--run", str(tmp_path / "run"), *asked]) == 0
    assert json.loads(capsys.readouterr().out)["stopped"] == "stop_after"


def test_a_second_ctrl_c_does_not_wait_and_the_checkpoint_before_is_whole(spawn, tmp_path):
    process = spawn("run", steps=100_000, checkpoint_every=5)
    wait_for_step(process, 20)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:  # both arrived as one: the kernel keeps no count
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode != 0
    assert checkpoint.newest(tmp_path / "run").step >= 15
